from __future__ import annotations

import copy

import numpy as np
import pytest

from ava_detect.errors import FormatError
from ava_detect.formats.coco_json import read_coco_json

INSTANCES = {
    "images": [
        {"id": 1, "width": 200, "height": 100, "file_name": "-5KQ_66/0902.jpg"},
        {"id": 2, "width": 400, "height": 100, "video_id": "other", "timestamp": 3.5, "file_name": "whatever.png"},
        {"id": 3, "width": 10, "height": 10, "file_name": "-5KQ_66_0903.5.PNG"},
    ],
    "categories": [{"id": 9, "name": "person"}, {"id": 1, "name": "dog"}],
    "annotations": [
        {"image_id": 2, "category_id": 9, "bbox": [100, 25, 200, 50]},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]},
        {"image_id": 1, "category_id": 9, "bbox": [20, 10, 40, 80], "score": 0.25},
    ],
}


def test_annotations_become_rows_and_an_empty_image_lists_its_keyframe(write):
    table = read_coco_json(write(INSTANCES))
    assert [table.video_ids[index] for index in table.video_index] == ["other", "-5KQ_66", "-5KQ_66"]
    assert table.timestamps_seconds.tolist() == [3.5, 902, 903.5]
    np.testing.assert_allclose(table.boxes_fraction[:2], [[0.25, 0.25, 0.75, 0.75], [0.1, 0.1, 0.3, 0.9]])
    np.testing.assert_array_equal(table.scores, [np.nan, 0.25, np.nan])
    assert table.is_keyframe_only.tolist() == [False, False, True]


def test_results_need_the_instances_file(write):
    results = write([{"image_id": 1, "category_id": 9, "bbox": [0, 0, 100, 50], "score": 0.5}], "results.json")
    table = read_coco_json(results, images_path=write(INSTANCES))
    assert table.boxes_fraction[0].tolist() == [0, 0, 0.5, 0.5]
    assert table.is_keyframe_only.tolist() == [False, True, True]
    with pytest.raises(FormatError, match=r"results\.json: no 'images' list.*\(images=FILE\)"):
        read_coco_json(results)


def test_without_categories_people_are_category_one_and_by_name_any_other(write):
    bare = {key: value for key, value in INSTANCES.items() if key != "categories"}
    assert (~read_coco_json(write(bare)).is_keyframe_only).sum() == 1
    seen = {}

    def choose(names):
        seen.update(names)
        return [index for index, name in names.items() if name == "dog"]

    assert (~read_coco_json(write(INSTANCES), choose=choose).is_keyframe_only).sum() == 1
    assert seen == {entry["id"]: entry["name"] for entry in INSTANCES["categories"]}
    others = {**INSTANCES, "categories": [{"id": 1, "name": "cat"}, {"id": 9, "name": "dog"}]}
    with pytest.raises(FormatError, match="no category is called 'person'; the file has cat, dog"):
        read_coco_json(write(others))


@pytest.mark.parametrize("name", ["v,0902", "v/0902.jpg", "v_902.00.jpeg"])
def test_names_of_keyframes(write, name):
    images = [{"id": 1, "width": 2, "height": 2, "file_name": name}]
    table = read_coco_json(write({"images": images, "annotations": []}))
    assert (table.video_ids, table.timestamps_seconds.tolist()) == (("v",), [902])


def _changed(where: str, index: int, **changes):
    content = copy.deepcopy(INSTANCES)
    content[where][index].update(changes)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"cannot be read as json"),
        ("3", "it does not begin with \\{ or \\["),
        (
            _changed("images", 0, file_name="v_000123.jpg"),
            r"image 0: .* ends in its second, .* got file_name 'v_000123",
        ),
        (_changed("images", 0, width=0), "image 0: width and height must be above 0, got 0 and 100"),
        (_changed("images", 1, id=1), "image 1: the id 1 is given twice"),
        (_changed("images", 1, timestamp="soon"), "image 1: timestamp must be a finite number, got 'soon'"),
        (_changed("annotations", 0, image_id=77), "box 0: image_id must be the id of one of the 3 images"),
        (_changed("annotations", 0, bbox=[1, 2, 3]), r"box 0: bbox must be \[x, y, width, height\] in pixels, got"),
        (_changed("annotations", 0, bbox=[1, 2, -3, 4]), "box 0: bbox must have a width and height above 0"),
        (_changed("annotations", 2, score=None), "box 2: score must be a number, got None"),
        ({"images": [{"id": 1}]}, "image 0: an image needs id, width and height"),
        (_changed("images", 1, video_id=None), "image 1: an image needs video_id and timestamp, or a file_name"),
        (_changed("images", 1, timestamp=None), "image 1: an image needs video_id and timestamp, or a file_name"),
        (_changed("images", 1, video_id=[1]), r"image 1: video_id is text or a whole number, got \[1\]"),
        (_changed("images", 1, width=10**400), "image 1: width must be a finite number"),
        (_changed("images", 1, height=None), "image 1: height must be a number, got None"),
        (_changed("annotations", 0, bbox=None), r"box 0: bbox must be \[x, y, width, height\] in pixels, got None"),
        (_changed("annotations", 0, bbox=[0, 0, None, 1]), "box 0: bbox must be a number, got None"),
        (_changed("annotations", 0, image_id=None), "box 0: image_id must be the id of one of the 3 images"),
        ("[" * 100_000, r"cannot be read as json \(it is nested too deep\)"),
        ('{"images": [' + "9" * 5000 + "]}", r"cannot be read as json \(a number has thousands of digits\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write, content, message):
    with pytest.raises(FormatError, match=rf"coco\.json.*{message}"):
        read_coco_json(write(content, "coco.json"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"nothing\.json: the file cannot be read"):
        read_coco_json(tmp_path / "nothing.json")
