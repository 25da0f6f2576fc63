"""FiftyOne's datasets: as its database exports them, and as ``hand-over`` writes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from round_trip import Row, imported_rows
from videos import constant_rate, write_numbered_video

from ava_detect.errors import FormatError

DATA = Path(__file__).parent / "data"
STAND, SIT, SWIM, WALK, TALK = 12, 11, 13, 14, 79
# What FiftyOne exported after a change, see data/README.md.
ONE, TWO, STILL = (0.1, 0.2, 0.3, 0.8), (0.5, 0.5, 0.9, 0.9), (0.3, 0.2, 0.5, 0.8)
CHANGED: list[Row] = [
    ("movie", 0, ONE, STAND, 1),
    ("movie", 0, TWO, WALK, 2),
    ("movie", 0, TWO, TALK, 2),
    ("movie", 1, (0.1, 0.2, 0.4, 0.6), STAND, 1),
    ("movie", 1, (0.1, 0.2, 0.4, 0.6), SWIM, 1),
    ("movie", 1, (0.5, 0.4, 0.9, 0.8), WALK, 2),
    ("movie", 1, (0.5, 0.5, 0.75, 0.75), SIT, 9),
    ("movie", 1, (0.5, 0.5, 0.75, 0.75), WALK, 9),
    ("movie", 2, STILL, -1, 1),
    ("movie", 3, (), -1, -1),
    ("movie", 4, STILL, WALK, 1),
]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds, ten frames a second."""
    folder = tmp_path_factory.mktemp("videos")
    write_numbered_video(folder / "movie.mp4", constant_rate(50, 10), rate=10, width=320, height=240)
    return folder


@pytest.mark.parametrize("name", ["fiftyone_videos", "fiftyone_videos/manifest.json", "fiftyone_dataset"])
def test_what_fiftyone_exported(name: str, videos: Path, tmp_path: Path) -> None:
    summary, rows = imported_rows(DATA / name, tmp_path / "gt.csv", videos=videos)
    assert rows == CHANGED
    assert summary.sources == ("fiftyone",) and summary.dropped == {"events beside the actions of boxes": 3}


def write(folder: Path, samples: object, frames: object = ()) -> Path:
    (folder / "samples.json").write_text(json.dumps({"samples": samples}))
    (folder / "frames.json").write_text(json.dumps({"frames": frames}))
    return folder / "samples.json"


def sample(**more: object) -> dict[str, Any]:
    return {"_id": {"$oid": "1"}, "filepath": "/elsewhere/movie.mp4", "_media_type": "video", **more}


def frame(number: int, name: str = "detections", *boxes: dict[str, Any]) -> dict[str, Any]:
    labels = {"_cls": "Detections", "detections": list(boxes)}
    return {"_sample_id": {"$oid": "1"}, "frame_number": number, name: labels}


def box(label: str = "person", **more: object) -> dict[str, Any]:
    return {"_cls": "Detection", "label": label, "bounding_box": [0.1, 0.2, 0.2, 0.6], "tags": [], **more}


def event(label: str, first: int, last: int, **more: object) -> dict[str, Any]:
    return {"_cls": "TemporalDetection", "label": label, "support": [first, last], **more}


def test_actions_as_events(videos: Path, tmp_path: Path) -> None:
    """Of the person they name, or of the only one; labels that are no word for a person are people beside events."""
    events = {"_cls": "TemporalDetections", "detections": [event("stand", 1, 20, person=4), event("walk", 11, 11)]}
    frames = [
        frame(1, "detections", box("mouse", index=4), box("mouse", index=5, bounding_box=[0.5, 0.5, 0.5, 0.5])),
        frame(11, "detections", box("mouse", index=4)),
        frame(31, "detections", box("mouse", index=4)),
    ]
    path = write(tmp_path, [sample(events=events)], frames)
    summary, rows = imported_rows(path, tmp_path / "gt.csv", videos=videos)
    assert [(row[1], row[3], row[4]) for row in rows] == [
        (0, STAND, 4),
        (0, -1, 5),
        (1, STAND, 4),
        (1, WALK, 4),
        (3, -1, 4),
    ]
    assert summary.dropped == {}


def test_labels_of_people_before_predictions_and_old_attributes(videos: Path, tmp_path: Path) -> None:
    """Of two fields one holds what people labelled; instances tell people apart; attributes of old versions."""
    old = {"stand": {"_cls": "BooleanAttribute", "value": True}, "mood": {"_cls": "CategoricalAttribute", "value": "x"}}
    labelled = box(attributes=old, instance={"_cls": "Instance", "_id": {"$oid": "ab12"}})
    document = {**frame(1, "ground_truth", labelled, box("ball")), **frame(1, "predictions", box(), box())}
    document["where"] = {"_cls": "Classification", "label": "street"}
    summary, rows = imported_rows(write(tmp_path, [sample()], [document]), tmp_path / "gt.csv", videos=videos)
    assert rows == [("movie", 0, ONE, STAND, 0)]
    assert summary.dropped == {
        "boxes of the field 'predictions'": 2,
        "boxes of the label 'ball'": 1,
        "values of the attribute 'mood'": 1,
        "labels of whole frames": 1,
    }


def test_frames_that_fiftyone_lists_were_not_all_looked_at(videos: Path, tmp_path: Path) -> None:
    """It has a document for every frame of a video whose metadata it computed; a single one without boxes was empty."""
    listed = [{"_sample_id": {"$oid": "1"}, "frame_number": n, "detections": None} for n in range(2, 51)]
    some = frame(1, "detections", box(stand=True))
    _, rows = imported_rows(write(tmp_path, [sample()], [some, *listed]), tmp_path / "gt.csv", videos=videos)
    assert rows == [("movie", 0, ONE, STAND, -1)]
    _, rows = imported_rows(write(tmp_path, [sample()], [some, frame(21)]), tmp_path / "gt.csv", videos=videos)
    assert rows == [("movie", 0, ONE, STAND, -1), ("movie", 2, (), -1, -1)]


def test_images_of_keyframes(tmp_path: Path) -> None:
    """An image without a list of boxes was never labelled."""
    samples = [
        {
            "filepath": "/x/v/0001.jpg",
            "ground_truth": {"_cls": "Detections", "detections": [box("walk"), box("stand")]},
        },
        {"filepath": "/x/v/0002.jpg", "ground_truth": {"_cls": "Detections", "detections": []}},
        {"filepath": "/x/v/0003.jpg", "ground_truth": None},
    ]
    _, rows = imported_rows(write(tmp_path, samples), tmp_path / "gt.csv")
    assert rows == [("v", 1, ONE, STAND, -1), ("v", 1, ONE, WALK, -1), ("v", 2, (), -1, -1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bounding_box": [0, 1]}, r"bounding_box is \[x, y, width, height\] in fractions"),
        ({"bounding_box": [0, 0, "NaN", 1]}, "bounding_box is a finite number"),
        ({"bounding_box": [0, 0, 1e300, 1]}, "a box has finite corners near the frame"),
    ],
)
def test_faults_of_boxes(change: dict[str, object], message: str, videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, [sample()], [frame(1, "detections", box(**change))])
    with pytest.raises(FormatError, match=f"frame 0: {message}"):
        imported_rows(path, tmp_path / "gt.csv", videos=videos)


def test_faults(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="frame 90, counted from 0, is not in"):
        imported_rows(write(tmp_path, [sample()], [frame(91, "d", box())]), tmp_path / "gt.csv", videos=videos)
    with pytest.raises(FormatError, match=r"the video '/elsewhere/movie\.mp4' is needed"):
        imported_rows(write(tmp_path, [sample()], [frame(1, "d", box())]), tmp_path / "gt.csv")
    with pytest.raises(FormatError, match="sample 0: a sample has a filepath"):
        imported_rows(write(tmp_path, [{}]), tmp_path / "gt.csv")
    folder = shutil.copytree(DATA / "fiftyone_videos", tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["index"][0]["labels"] = "../../secret.json"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=r"the labels '../../secret.json' are not in the folder of the dataset"):
        imported_rows(folder, tmp_path / "gt.csv", videos=videos)
