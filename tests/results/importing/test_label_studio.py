"""Label Studio's exports: tracks and timelines of videos, images, who of several annotators counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from round_trip import Row, imported_rows
from videos import constant_rate, write_numbered_video

from ava_detect.errors import FormatError
from ava_detect.results.importing.import_labels import ImportSummary

DATA = Path(__file__).parent / "data"
STAND, SIT, WALK, TALK = 12, 11, 14, 79
ONE, TWO = (0.1, 0.2, 0.3, 0.8), (0.5, 0.5, 0.9, 0.9)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds, ten frames a second."""
    folder = tmp_path_factory.mktemp("videos")
    write_numbered_video(folder / "movie.mp4", constant_rate(50, 10), rate=10, width=320, height=240)
    return folder


def test_what_label_studio_exported(videos: Path, tmp_path: Path) -> None:
    """In the page person 1 was dragged by a twentieth of the frame on the first frame, see data/README.md."""
    summary, rows = imported_rows(DATA / "label_studio.json", tmp_path / "gt.csv", videos=videos)
    assert rows == [
        ("movie", 0, (0.15, 0.15, 0.35, 0.75), STAND, 1),
        ("movie", 0, TWO, WALK, 2),
        ("movie", 0, TWO, TALK, 2),
        ("movie", 1, (0.2, 0.2, 0.4, 0.8), STAND, 1),
        ("movie", 1, (0.5, 0.4, 0.9, 0.8), WALK, 2),
        ("movie", 2, (0.3, 0.2, 0.5, 0.8), -1, 1),
        ("movie", 3, (), -1, -1),
        ("movie", 4, (0.3, 0.2, 0.5, 0.8), WALK, 1),
    ]
    assert summary.sources == ("label-studio",) and summary.dropped == {}


def test_the_short_form_does_not_say_who_acts(videos: Path, tmp_path: Path) -> None:
    """JSON_MIN has neither ids nor metadata: an action belongs to the only person, or is counted."""
    summary, rows = imported_rows(DATA / "label_studio_min.json", tmp_path / "gt.csv", videos=videos)
    assert [(row[1], row[3]) for row in rows] == [(0, -1), (0, -1), (1, -1), (1, -1), (2, -1), (3, -1), (4, WALK)]
    assert summary.dropped == {"labels without a box at their time": 2}


def step(frame: Any, x: Any = 10, *, enabled: bool = True, **more: object) -> dict[str, Any]:
    box = {"x": x, "y": 20, "width": 20, "height": 60, "rotation": 0}
    return {"frame": frame, "enabled": enabled, "time": (frame or 0) / 10, **box, **more}


def track(*steps: dict[str, Any], name: str = "a", note: str = "", **value: object) -> dict[str, Any]:
    content = {"framesCount": 50, "duration": 5.0, "sequence": [*steps], "labels": ["person"], **value}
    meta = {"meta": {"text": [note]}} if note else {}
    return {"id": name, "type": "videorectangle", "from_name": "box", "value": content, **meta}


def span(action: str, start: int, end: int, note: str = "", name: str = "s") -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [action]}
    return {"id": name, "type": "timelinelabels", "from_name": "t", "value": value, "meta": {"text": [note]}}


def task(*results: dict[str, Any], data: object = None, **more: object) -> dict[str, Any]:
    annotation = {"result": [*results], "was_cancelled": False, "updated_at": "2026-01-02"}
    return {
        "id": 5,
        "data": data or {"video": "/data/upload/1/0a1b2c3d-movie.mp4"},
        "annotations": [annotation],
        **more,
    }


def imported(tmp_path: Path, videos: Path | None, *tasks: Any, **settings: Any) -> tuple[ImportSummary, list[Row]]:
    path = tmp_path / "project.json"
    path.write_text(json.dumps(tasks))
    return imported_rows(path, tmp_path / "gt.csv", videos=videos, **settings)


def test_a_frame_that_one_person_is_labelled_on_has_all_that_are_visible(videos: Path, tmp_path: Path) -> None:
    """Person a moves from frame 1 to 41 and is gone after it; b, labelled on frame 21 alone, stays to the end."""
    moving = track(step(1), step(41, 50, enabled=False), note="person 1")
    staying = track(step(21, 70), name="b", note="person 2")
    _, rows = imported(tmp_path, videos, task(moving, staying, span("walk", 1, 21, "person 1")))
    assert rows == [
        ("movie", 0, ONE, WALK, 1),
        ("movie", 2, (0.3, 0.2, 0.5, 0.8), WALK, 1),
        ("movie", 2, (0.7, 0.2, 0.9, 0.8), -1, 2),
        ("movie", 4, (0.5, 0.2, 0.7, 0.8), -1, 1),
        ("movie", 4, (0.7, 0.2, 0.9, 0.8), -1, 2),
    ]
    _, rows = imported(tmp_path, videos, task(track(step(1), step(21, 30))), every_seconds=1)
    assert [(row[1], row[2][0]) for row in rows] == [(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.3), (4, 0.3)]


def test_who_does_what_a_timeline_says(videos: Path, tmp_path: Path) -> None:
    """The person in the metadata, or the region that was connected; else the only one, if there is one."""
    people = (track(step(1), step(11), note="person 7"), track(step(1, 50), name="b"))
    relation = {"type": "relation", "from_id": "s", "to_id": "b", "direction": "right"}
    spans = (span("stand", 1, 5), span("walk", 1, 5, "Person: 7", "t"), span("sit", 11, 11, "", "u"))
    lost = span("sit", 1, 5, "person 99", "v")
    summary, rows = imported(tmp_path, videos, task(*people, *spans, lost, relation))
    assert [(row[1], row[3], row[4]) for row in rows] == [(0, WALK, 7), (0, STAND, 8), (1, -1, 7), (1, -1, 8)]
    assert summary.dropped == {"actions of people without a box": 1, "labels without a box at their time": 1}
    _, rows = imported(tmp_path, videos, task(people[0], span("sit", 11, 11)))
    assert [(row[1], row[3]) for row in rows] == [(0, -1), (1, SIT)]


@pytest.mark.parametrize(
    ("data", "value"),
    [({"fps": 5}, {"framesCount": 25}), ({}, {"framesCount": 25}), ({"frame_rate": 99}, {"framesCount": 25})],
)
def test_frames_are_numbered_at_the_rate_of_the_project(
    data: dict[str, object], value: dict[str, object], videos: Path, tmp_path: Path
) -> None:
    """At 5 frames a second frame 11 is at 2 s: as the data of the task says, the track's times, or its length."""
    at_five = track(step(1, time=0.2), step(11, time=2.2), **value)
    _, rows = imported(tmp_path, videos, task(at_five, data={"video": "x/movie.mp4", **data}))
    assert [row[1] for row in rows] == [0, 2]


def test_which_annotation_counts(videos: Path, tmp_path: Path) -> None:
    def annotation(x: float, **more: object) -> dict[str, object]:
        return {"result": [track(step(1, x))], "updated_at": "2026-01-01", **more}

    def left_side(*annotations: dict[str, object]) -> tuple[float, dict[str, int]]:
        summary, rows = imported(tmp_path, videos, task(annotations=[*annotations]))
        return rows[0][2][0], dict(summary.dropped)

    late, skipped = annotation(20, updated_at="2026-01-03"), annotation(40, updated_at="2026-01-04", was_cancelled=True)
    assert left_side(annotation(10), late, skipped) == (
        0.2,
        {"other annotations of the same task": 1, "skipped annotations": 1},
    )
    assert left_side(annotation(10, ground_truth=True), late)[0] == 0.1
    predicted = {"id": 6, "data": {"video": "movie.mp4"}, "predictions": [annotation(30)]}
    # A task that came back from Label Studio without annotations: nobody looked at its predictions.
    summary, rows = imported(tmp_path, videos, task(track(step(1))), {**predicted, "annotations": []})
    assert len(rows) == 1 and summary.dropped == {"tasks without an annotation": 1}
    assert imported(tmp_path, videos, predicted)[1][0][2][0] == 0.3


def rectangle(name: str = "r", label: str = "person", **more: object) -> dict[str, Any]:
    value = {"x": 10, "y": 20, "width": 20, "height": 60, "rotation": 0, "rectanglelabels": [label], **more}
    sizes = {"original_width": 200, "original_height": 100}
    return {"id": name, "type": "rectanglelabels", "from_name": "label", "value": value, **sizes}


def choice(name: str, control: str, *values: str) -> dict[str, Any]:
    return {"id": name, "type": "choices", "from_name": control, "value": {"choices": [*values]}}


def image(*results: dict[str, Any], name: str = "/data/local-files/?d=stills/v/0003.jpg") -> dict[str, Any]:
    return task(*results, data={"image": name})


def test_images(tmp_path: Path) -> None:
    """Choices on boxes, a choice about the image, a turned box, other shapes and labels, an image without people."""
    first = image(
        rectangle("r"),
        choice("r", "action", "walk", "none"),
        choice("r", "mood", "happy"),
        rectangle("b", "ball"),
        {
            "id": "p",
            "type": "polygonlabels",
            "from_name": "label",
            "value": {"points": [], "polygonlabels": ["person"]},
        },
    )
    turned = image(rectangle(rotation=90, x=50), choice("c", "action", "stand"), name="v/0004.jpg")
    summary, rows = imported(tmp_path, None, first, turned, image(name="s3://bucket/v/0005.jpg"))
    # A quarter turn around the corner (0.5, 0.2): 40 pixels wide and 60 high become 60 to the left and 40 down.
    assert rows == [("v", 3, ONE, WALK, -1), ("v", 4, (0.2, 0.2, 0.5, 0.6), STAND, -1), ("v", 5, (), -1, -1)]
    assert summary.dropped == {
        "values of 'mood'": 1,
        "boxes of the label 'ball'": 1,
        "polygons": 1,
        "rotations of boxes, of which the upright box around them was taken": 1,
    }


def test_labels_that_are_the_actions(tmp_path: Path) -> None:
    _, rows = imported(tmp_path, None, image(rectangle("a", "walk"), rectangle("b", "stand")))
    assert rows == [("v", 3, ONE, STAND, -1), ("v", 3, ONE, WALK, -1)]
    minimal = {"image": "v_3.jpg", "id": 1, "annotator": 1, "annotation_id": 2, "label": [rectangle()["value"]]}
    assert imported(tmp_path, None, minimal)[1] == [("v", 3, ONE, -1, -1)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (task(track(step(1, "x"))), "task 5, region 'a': x is a finite number, got 'x'"),
        (task(track(step(None))), "frame is a finite number"),
        (task(track(step(1), sequence=7)), "its sequence is a list of keyframes, got 7"),
        (task({"id": "s", "value": {"ranges": [1], "timelinelabels": ["x"]}}), "ranges are a list of starts and ends"),
        (task({"id": "s", "value": 3}), "result 0: its value is an object, got 3"),
        (task(track(step(1)), data={"text": "hello"}), "its data names no video and no image"),
        (task(track(step(1)), data={"video": "other.mp4"}), r"the video 'other\.mp4' is needed"),
        (task(annotations="x"), "annotations or predictions are a list of objects"),
        (7, "task 1: a task is an object, got 7"),
    ],
)
def test_faults(entry: Any, message: str, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        imported(tmp_path, videos, task(track(step(1))), entry)
