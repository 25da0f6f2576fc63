"""Pickles of mmaction2: proposals, annotations, tubes; nothing in them is run."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from round_trip import Row

from ava_detect.errors import FormatError

BOX = (0.125, 0.25, 0.5, 0.75)


@pytest.mark.parametrize("protocol", [2, 4])
def test_proposals_are_people_without_actions(imported, protocol: int) -> None:
    content = {"5KQ,0902": np.array([[*BOX, 0.9], [0, 0, 1, 1, 0.5]], np.float32), "5KQ,0903": np.empty((0, 5))}
    summary, rows = imported(pickle.dumps(content, protocol), start_seconds=900)
    assert summary.sources == ("mmaction2",)
    assert rows[:2] == [Row("5KQ", 902, (0, 0, 1, 1), -1, -1), Row("5KQ", 902, BOX, -1, -1)]
    assert rows[2][:2] == ("5KQ", 903) and summary.num_boxes == 2


def test_annotations_of_the_data_set(imported) -> None:
    hot = np.zeros((2, 81), np.int64)
    hot[0, [12, 80]] = 1
    ann = {"gt_bboxes": np.array([BOX, (0, 0, 1, 1)], np.float32), "gt_labels": hot, "entity_ids": np.array([4, -1])}
    entry = {"frame_dir": "frames/5KQ", "video_id": "5KQ", "timestamp": 902, "img_key": "5KQ,0902", "ann": ann}
    _, rows = imported(pickle.dumps([entry, {**entry, "timestamp": 903, "ann": {"gt_bboxes": np.empty((0, 4))}}]))
    assert rows[:3] == [
        Row("5KQ", 902, BOX, 12, 4), Row("5KQ", 902, BOX, 80, 4), Row("5KQ", 902, (0, 0, 1, 1), -1, -1),
    ]  # fmt: skip
    assert rows[3][:2] == ("5KQ", 903)


def test_tubes_of_multisports(imported, movies: Path) -> None:
    """Frames from 1, pixels, height before width; two people with the same action are two tubes."""
    tube = np.array([[n, 40, 60, 160, 180] for n in range(1, 22)], np.float32)
    content = {
        "labels": ["jump", "hide"],
        "gttubes": {"movie": {1: [tube, tube[:2]], 0: [np.array([[60, 0, 0, 1, 1]], np.float32)]}},
        "resolution": {"movie": (240, 320)},
        "nframes": {"movie": 50},
    }
    summary, rows = imported(pickle.dumps(content), videos=movies, every_seconds=1)
    assert rows == [Row("movie", 0, BOX, 2, 1), Row("movie", 0, BOX, 2, 2), Row("movie", 1, BOX, 2, 1),
                    Row("movie", 2, BOX, 2, 1)]  # fmt: skip
    assert summary.dropped == {"boxes on frames after the end of the video": 1}
    assert imported(pickle.dumps(content), videos=movies)[0].num_boxes == 23


class Evil:
    """Would write a file when it is loaded."""

    def __reduce__(self):
        return Path.write_text, (Path("/nonexistent/evil"), "x")


def test_hostile_pickles(imported, movies: Path) -> None:
    bad = {
        "nothing in it was run": pickle.dumps({"a,1": Evil()}),
        "it has other values": pickle.dumps({"a,1": np.array([[0, 0, np.nan, 1, 1]])}),
        "got the key": pickle.dumps({"a": np.zeros((1, 5))}),
        "no boxes": pickle.dumps([{"frame_dir": "x", "label": 3}]),
        "damaged or incomplete": pickle.dumps({"a,1": np.zeros((1, 5))})[:-20],
        "a row of zeros and ones": pickle.dumps([{"timestamp": 1, "ann": {"gt_bboxes": [BOX], "gt_labels": [[3]]}}]),
        "a label is a number below 1": pickle.dumps({"labels": ["x"], "gttubes": {"movie": {4: []}}}),
        "the pickle holds a str": pickle.dumps("x" * 20),
    }
    for message, content in bad.items():
        with pytest.raises(FormatError, match=message):
            imported(content, videos=movies)
    content: list[object] = []
    content.append(content)
    with pytest.raises(FormatError, match="an annotation is a dictionary, got a list"):
        imported(pickle.dumps(content))
