"""Contact sheets: which moments are chosen, where they lie on the sheet, and faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from people import detections
from PIL import Image
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.contact_sheet import write_contact_sheet
from ava_detect.visualization.draw import DrawOptions

AVA = LabelMap.ava()


def keyframe(time: float, score: float | None) -> ActionDetections:
    """A person in the lower corner whose first action has a score; None: no person."""
    if score is None:
        return ActionDetections.empty("v", time)
    return detections([(0.8, 0.8, 0.9, 0.9)], [{1: score}], seconds=time)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_numbered_video(tmp_path / "v.mp4", constant_rate(80, 10), rate=10, width=160, height=96)


def test_the_telling_moment_of_each_share(video: Path, tmp_path: Path) -> None:
    """Six keyframes with people in three pairs: of each pair the surer one; frame 10 t carries its number."""
    scores = [0.4, 0.9, None, 0.8, 0.5, 0.31, 0.3, None]
    keyframes = [keyframe(t, score) for t, score in enumerate(scores)]
    path = tmp_path / "sheet.png"
    times = write_contact_sheet(
        video, keyframes, path, AVA, DrawOptions(max_actions=0), num_frames=3, columns=2, frame_width=160
    )
    assert times == [1, 3, 5]
    with Image.open(path) as sheet:
        image = np.asarray(sheet)
    assert image.shape == (2 * (96 + 2) + 2, 2 * (160 + 2) + 2, 3)
    # The upper part of each picture is free of box and signs.
    places = [(2, 2), (2, 164), (100, 2)]
    assert [frame_number(image[top : top + 40, left : left + 160]) for top, left in places] == [10, 30, 50]
    assert (image[100:196, 164:324] == 24).all(), "the fourth place is empty"


def test_ground_truth_is_compared_where_it_has_the_moment(video: Path, tmp_path: Path) -> None:
    keyframes = [keyframe(0, 0.9), keyframe(1, 0.9)]
    settings = {"num_frames": 2, "columns": 2, "frame_width": 160}
    write_contact_sheet(video, keyframes, tmp_path / "a.png", AVA, **settings)
    options = DrawOptions(ground_truth=[keyframe(1.001, 1.0)])
    write_contact_sheet(video, keyframes, tmp_path / "b.png", AVA, options, **settings)
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        changed = (np.asarray(a, int) != np.asarray(b, int)).any(axis=(0, 2))
    assert not changed[:163].any() and changed[163:].any()


def test_faults(video: Path, tmp_path: Path) -> None:
    with pytest.raises(AvaDetectError, match=r"v.mp4: the results have no keyframe"):
        write_contact_sheet(video, [], tmp_path / "x.png", AVA)
    with pytest.raises(AvaDetectError, match="num_frames and columns are at least 1, got 0 and 3"):
        write_contact_sheet(video, [keyframe(0, 0.9)], tmp_path / "x.png", AVA, num_frames=0)
    assert not (tmp_path / "x.png").exists()
