"""COCO json with actions: attributes or categories, images named by seconds or by frames, and what is no person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from round_trip import Row, imported_rows
from videos import constant_rate, write_numbered_video

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.results.importing.import_labels import ImportSummary, import_labels

DATA = Path(__file__).parent / "data"
WIDTH, HEIGHT = 200, 100
BOX, CORNERS = [20, 10, 40, 50], (0.1, 0.1, 0.3, 0.6)
STAND, WALK = 12, 14


def image(number: int, name: str = "", **more: object) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **more}


def annotation(image_id: int, category: int = 1, box: object = BOX, **more: object) -> dict[str, Any]:
    return {"id": 1, "image_id": image_id, "category_id": category, "bbox": box, **more}


PERSON = ({"id": 1, "name": "person"},)


def imported(
    tmp_path: Path, images: object, annotations: object, categories: object = PERSON, **settings: Any
) -> tuple[ImportSummary, list[Row]]:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return imported_rows(path, tmp_path / "gt.csv", **settings)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds, ten frames a second."""
    folder = tmp_path_factory.mktemp("videos")
    write_numbered_video(folder / "movie.mp4", constant_rate(50, 10), rate=10, width=320, height=240)
    return folder


def test_actions_as_attributes(tmp_path: Path) -> None:
    """Scores, truth values, texts and lists; what tools add to every box, and what tells no action."""
    first = annotation(1, attributes={"track_id": 7, "stand": 0.9, "walk": 0, "occluded": False, "mood": "happy"})
    second = annotation(1, box=[100, 0, 100, 100], track_id=8, attributes={"walk": "true", "action": "Stand"})
    third = annotation(2, attributes={"actions": ["run/jog", "none"], "track_id": 7, "occluded": True})
    summary, rows = imported(tmp_path, [image(1, "v/0001.jpg"), image(2, "v/0002.5.jpg")], [first, second, third])
    assert rows == [
        ("v", 1, CORNERS, STAND, 7),
        ("v", 1, (0.5, 0, 1, 1), STAND, 8),
        ("v", 1, (0.5, 0, 1, 1), WALK, 8),
        ("v", 2.5, CORNERS, 10, 7),
    ]
    assert summary.dropped == {"values of the attribute 'mood'": 1, "values of the attribute 'occluded'": 1}
    assert summary.sources == ("coco",)


def test_categories_that_are_the_actions(tmp_path: Path) -> None:
    """Boxes at one place are one person; a box of the category person beside them is one without an action."""
    categories = [*PERSON, {"id": 2, "name": "walk"}, {"id": 9, "name": "juggle"}]
    annotations = [annotation(1, 2), annotation(1, 9), annotation(1, 1, [100, 0, 100, 100])]
    summary, rows = imported(tmp_path, [image(1, "v_1.png"), image(2, "v_2.png")], annotations, categories)
    assert rows == [
        ("v", 1, CORNERS, WALK, -1),
        ("v", 1, CORNERS, 81, -1),
        ("v", 1, (0.5, 0, 1, 1), -1, -1),
        ("v", 2, (), -1, -1),
    ]
    assert summary.new_actions == ("juggle",) and summary.dropped == {}
    assert (tmp_path / "label_map.pbtxt").read_text().count("label {") == 2


def test_things_beside_people_with_actions(tmp_path: Path) -> None:
    categories = [*PERSON, {"id": 3, "name": "ball"}]
    annotations = [
        annotation(1, attributes={"stand": True}),
        annotation(1, 3),
        annotation(1, iscrowd=1),
        annotation(1, box=[], segmentation=[[0, 0, 1, 1, 2, 0]]),
    ]
    summary, rows = imported(tmp_path, [image(1, "v/0001.jpg")], annotations, categories)
    assert [row[3] for row in rows] == [STAND]
    assert summary.dropped == {
        "boxes of the label 'ball'": 1,
        "regions of crowds (iscrowd)": 1,
        "shapes without a box": 1,
    }


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"name": "movie/0002.jpg"}, 2),
        ({"name": "images/train/movie/movie_0002.png"}, 2),
        ({"name": "movie,1.25"}, 1.25),
        ({"name": "movie/frame_000021.PNG"}, 2.1),  # CVAT counts from 0
        ({"name": "movie/img_00021.jpg"}, 2),  # FFmpeg counts from 1
        ({"name": "movie/movie_000022.jpg"}, 2.1),
        ({"name": "frame_000020.png"}, 2),  # the only video
        ({"name": "default/00021.jpg"}, 2),
        ({"video_id": "movie", "timestamp": 1.3}, 1.3),
        ({"video_id": "movie", "frame": 21}, 2.1),
        ({"video_id": 4, "frame_id": 21}, 2.1),
    ],
)
def test_keyframes_of_images(fields: dict[str, object], seconds: float, videos: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    content = {"images": [image(1, **fields)], "annotations": [annotation(1)], "categories": [*PERSON]}
    path.write_text(json.dumps({**content, "videos": [{"id": 4, "name": "movie"}]}))
    import_labels(path, tmp_path / "gt.csv", videos=videos)
    table = read_ava_csv(tmp_path / "gt.csv", last_column="person_id")
    assert (*table.video_ids,) == ("movie",) and table.timestamps_seconds.tolist() == [seconds]


def test_numbers_beyond_the_video_are_those_of_frames(videos: Path, tmp_path: Path) -> None:
    """Frames 1, 11, ... of a video of five seconds; the same numbers are seconds where the video is unknown."""
    images = [image(n, f"movie/{n}.jpg") for n in (1, 11, 21, 31)]
    _, rows = imported(tmp_path, images, [annotation(n) for n in (1, 11, 21, 31)], videos=videos)
    assert [row[1] for row in rows] == [0, 1, 2, 3]
    _, rows = imported(tmp_path, images, [annotation(n) for n in (1, 11, 21, 31)])
    assert [row[1] for row in rows] == [1, 11, 21, 31]


def test_seconds_of_the_movie(tmp_path: Path) -> None:
    """AVA's images are named by the second of the movie, from 900 s on; others by that of the file."""
    images = [image(1, "v/0902.jpg"), image(2, "w/0002.jpg")]
    _, rows = imported(tmp_path, images, [annotation(1), annotation(2)], start_seconds=900)
    assert [row[:2] for row in rows] == [("v", 902), ("w", 902)]


def test_what_datumaro_made_of_a_hand_over(tmp_path: Path) -> None:
    """In Datumaro person 2 was moved by 10 and 5 of 320 x 240 pixels, and swims."""
    _, rows = imported_rows(DATA / "coco_datumaro.json", tmp_path / "gt.csv")
    assert [row for row in rows if row[1] == 1] == [
        ("movie", 1, (0.2, 0.2, 0.4, 0.8), STAND, 1),
        ("movie", 1, (0.5312, 0.4208, 0.9313, 0.8208), 13, 2),
        ("movie", 1, (0.5312, 0.4208, 0.9313, 0.8208), WALK, 2),
    ]
    assert [(row[1], row[3], row[4]) for row in rows if row[1] != 1] == [
        (0, STAND, 1),
        (0, WALK, 2),
        (0, 79, 2),
        (2, -1, 1),
        (3, -1, -1),
        (4, WALK, 1),
    ]


@pytest.mark.parametrize(
    ("images", "annotations", "message"),
    [
        ([image(1, "v/cover.jpg")], [annotation(1)], "ends in its second or in the number of its frame"),
        ([image(1, "v/0001.jpg")], [annotation(2)], "annotations 0: image_id is the id of one of the 1 images, got 2"),
        ([image(1, "v/0001.jpg")], [annotation(1, 5)], "category_id is the id of one of the 1 categories, got 5"),
        ([image(1, "v/0001.jpg")], [annotation(1, box=[1, 2, 3])], r"bbox is \[x, y, width, height\]"),
        ([image(1, "v/0001.jpg")], [annotation(1, box=[1, 2, "x", 4])], "bbox is a finite number, got 'x'"),
        ([image(1, "v/0001.jpg")], [annotation(1, box=[1e9, 0, 4, 4])], "a box has finite corners near the frame"),
        ([image(1, "v/0001.jpg"), image(1, "v/0002.jpg")], [], "every image has an id of its own"),
        ([image(1, "v/frame_000001.jpg")], [annotation(1)], "the video 'v' is needed"),
        ([image(1, "frame_000001.jpg")], [annotation(1)], "does not name its video"),
        ([image(1, "v/\x1b[31m.jpg")], [annotation(1)], r"got 'v/\\\\x1b\[31m.jpg'"),
        (["x"], [], "images 0: an entry is an object, got 'x'"),
        ({}, [], "no 'images' list"),
    ],
)
def test_faults(images: object, annotations: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        imported(tmp_path, images, annotations, source="coco")


def test_frames_that_the_video_lacks(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"frame 70, counted from 0, is not in .*movie.mp4, which has 50 frames"):
        imported(tmp_path, [image(1, "movie/frame_000070.jpg")], [annotation(1)], videos=videos)
