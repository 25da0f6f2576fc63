"""VIA 2 and 3: projects and exports, what counts as an action, times and pixels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from round_trip import Row

from ava_detect.errors import FormatError

BOX = (0.125, 0.25, 0.5, 0.75)
RECTANGLE = [2, 40, 60, 120, 120]  # of 320 x 240


def attribute(name: str, kind: int, *options: str, anchor: str = "FILE1_Z1_XY1") -> dict[str, object]:
    named = {str(number): option for number, option in enumerate(options)}
    return {"aname": name, "anchor_id": anchor, "type": kind, "desc": "", "options": named, "default_option_id": ""}


def project(attributes: list[dict[str, object]], entries: list[dict[str, object]], name: str = "movie.mp4") -> str:
    video = {"fid": 1, "fname": name, "type": 2 if name.endswith("jpg") else 4, "loc": 1, "src": ""}
    metadata = {f"1_{number}": {"vid": "1", "flg": 0, "xy": [], **entry} for number, entry in enumerate(entries)}
    return json.dumps(
        {
            "project": {"pid": "x", "pname": "p", "creator": "VGG Image Annotator", "vid_list": ["1"]},
            "config": {},
            "attribute": {str(number): entry for number, entry in enumerate(attributes, 1)},
            "file": {"1": video},
            "view": {"1": {"fid_list": [1]}},
            "metadata": metadata,
        }
    )


def test_choices_of_via_3(imported, movies: Path) -> None:
    """A checkbox with names of AVA and others, a radio that tells people from cars, a text that is the track."""
    attributes = [
        attribute("what he does", 2, "talk to (e.g., self, a person, a group)", "juggle"),
        attribute("object", 3, "person", "car"), attribute("track", 1), attribute("mood", 4, "good"),
    ]  # fmt: skip
    entries = [
        {"z": [2.04], "xy": RECTANGLE, "av": {"1": "0,1", "2": "0", "3": "5", "4": "0"}},
        {"z": [3.0], "xy": RECTANGLE, "av": {"1": "", "2": "0", "3": "5"}},
        {"z": [3.0], "xy": RECTANGLE, "av": {"2": "1", "1": "1"}},
        {"z": [3.0], "xy": [7, 1, 1, 2, 2, 3, 3], "av": {"2": "0"}},
        {"z": [3.0], "xy": [8, 40, 100, 100, 60, 160, 100, 100, 180], "av": {"1": "7", "3": "6"}},
    ]
    summary, rows = imported(project(attributes, entries), videos=movies)
    assert rows == [
        Row("movie", 2, BOX, 79, 5), Row("movie", 2, BOX, 81, 5),
        Row("movie", 3, BOX, -1, 5), Row("movie", 3, BOX, -1, 6),
    ]  # fmt: skip
    assert summary.new_actions == ("juggle",) and summary.dropped == {
        "polygons": 1, "choices that the project does not list": 1, "values of the attribute 'mood'": 1,
        "boxes of the label 'car'": 1,
    }  # fmt: skip


def test_labels_that_are_the_actions(imported, movies: Path) -> None:
    """A project with one attribute ``label``, whose choices are no people."""
    text = project([attribute("label", 4, "walk", "juggle")], [{"z": [1.0], "xy": RECTANGLE, "av": {"1": "0"}}])
    assert imported(text, videos=movies)[1] == [Row("movie", 1, BOX, 14, -1)]


def test_segments_give_their_actions_to_boxes_without(imported, movies: Path) -> None:
    spans = attribute("activity", 1, anchor="FILE1_Z2_XY0")
    boxes = [{"z": [t], "xy": RECTANGLE, "av": {"1": "3"}} for t in (1.0, 2.0)]
    segments = [
        {"z": [0.5, 1.5], "av": {"2": "3: walk"}}, {"z": [1.5, 2.5], "av": {"2": "juggle"}},
        {"z": [1.5, 2.5], "av": {"2": "9: stand"}}, {"z": [3.5, 4.5], "av": {"2": "stand"}},
    ]  # fmt: skip
    summary, rows = imported(project([attribute("person", 1), spans], boxes + segments), videos=movies)
    assert rows == [Row("movie", 1, BOX, 14, 3), Row("movie", 2, BOX, 81, 3)]
    assert summary.dropped == {
        "segments of the timeline without a box in their time": 1, "labels without a box at their time": 1,
    }  # fmt: skip
    with pytest.raises(FormatError, match=r"no people are labelled in it \(left out: 4 segments of the timeline"):
        imported(project([attribute("person", 1), spans], segments), videos=movies)


VIA3_CSV = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# ATTRIBUTE = {"1":{"aname":"actions","anchor_id":"FILE1_Z1_XY1","type":2,"desc":"","options":{"4":"walk"}}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_ABC","[""movie.mp4""]",0,"[1.02]","[2,40,60,120,120]","{""1"":""4""}"
"""


def test_the_csv_of_via_3(imported, movies: Path) -> None:
    summary, rows = imported(VIA3_CSV, videos=movies)
    assert (summary.sources, rows) == (("via",), [Row("movie", 1, BOX, 14, -1)])
    with pytest.raises(FormatError, match="labels, line 5: 2 cells, and VIA's csv has 6"):
        imported(VIA3_CSV + '"1_X","[]"\n', videos=movies)


VIA2_REGION = {
    "shape_attributes": {"name": "rect", "x": 40, "y": 60, "width": 120, "height": 120},
    "region_attributes": {"action": {"walk": True, "juggle": False}, "person": "5"},
}


def via2(*names: str, region: object = VIA2_REGION) -> dict[str, object]:
    return {
        f"{name}99": {"filename": name, "size": 99, "regions": [region] if number == 0 else [], "file_attributes": {}}
        for number, name in enumerate(names)
    }


def test_via_2(imported, movies: Path, tmp_path: Path) -> None:
    """Its json, its project and its csv are the same; an image without regions is a keyframe without people."""
    images = via2("movie_0002.jpg", "movie_0003.jpg")
    defined = {
        "region": {"action": {"type": "checkbox", "options": {"walk": "", "juggle": ""}}, "person": {"type": "text"}}
    }
    texts = [
        json.dumps(images),
        json.dumps({"_via_settings": {}, "_via_img_metadata": images, "_via_attributes": defined}),
    ]
    shape, said = (json.dumps(VIA2_REGION[key]).replace('"', '""') for key in ("shape_attributes", "region_attributes"))
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    lines = [header, f'movie_0002.jpg,99,"{{}}",1,0,"{shape}","{said}"', 'movie_0003.jpg,99,"{}",0,0,"{}","{}"']
    texts.append("\n".join(lines))
    for text in texts:
        summary, rows = imported(text, videos=movies)
        assert summary.sources == ("via",)
        assert rows[0] == Row("movie", 2, BOX, 14, 5) and rows[1][:2] == ("movie", 3)
    # Without the video, images beside the file have the size.
    with pytest.raises(FormatError, match=r"region 0: the video 'movie' is needed \(VIA's file does not have the size"):
        imported(texts[0])
    Image.new("RGB", (640, 480)).save(tmp_path / "movie_0002.jpg")
    assert imported(texts[0])[1][0].box == tuple(corner / 2 for corner in BOX)


def test_numbers_as_actions_are_ids(imported, movies: Path) -> None:
    """As in public scripts that make projects for AVA."""
    text = project(
        [attribute("action", 2, "1", "12")], [{"xy": RECTANGLE, "z": [], "av": {"1": "0,1"}}], "movie_000021.jpg"
    )
    assert [row.action_id for row in imported(text, videos=movies)[1]] == [1, 12]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"z": [1], "xy": [2, 1, 1, 1], "av": {}}, r"annotation 1_0: a rectangle is \[2, x, y, width, height\]"),
        ({"z": [1], "xy": [2, 1, 1, 1e300, 1], "av": {}}, r"annotation 1_0: a box has finite corners near the frame"),
        ({"z": ["soon"], "xy": RECTANGLE, "av": {}}, r"annotation 1_0: z is a finite number, got 'soon'"),
        ({"vid": "9", "z": [1], "xy": RECTANGLE, "av": {}}, r"annotation 1_0: its view '9' is not in the project"),
        ({"z": [1], "xy": RECTANGLE, "av": [1]}, r"annotation 1_0: the attributes of an annotation are an object"),
    ],
)
def test_a_bad_annotation_is_named(imported, movies: Path, entry: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        imported(project([], [entry]), videos=movies)
    with pytest.raises(FormatError, match="xy is a finite number, got None"):
        imported(project([], [{"z": [1], "xy": [2, float("nan"), 1, 1, 1], "av": {}}]), videos=movies)
