"""GIFs: decoded again, with their times; and faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ava_detect.video.gif import GifWriter


def test_frames_times_and_colours_come_back(tmp_path: Path) -> None:
    path = tmp_path / "x.gif"
    with GifWriter(path, fps=8) as writer:
        for index in range(5):
            image = np.full((37, 51, 3), (200, 30, 60), np.uint8)
            image[:, : 10 * index] = (20, 40, 220)
            writer.write(image)
    with Image.open(path) as gif:
        assert (gif.size, gif.n_frames, gif.info["loop"]) == ((51, 37), 5, 0)
        durations = []
        for index in range(5):
            gif.seek(index)
            durations.append(gif.info["duration"])
            frame = np.asarray(gif.convert("RGB"), int)
            np.testing.assert_allclose(frame[18, 48], (200, 30, 60), atol=8)
            if index:
                np.testing.assert_allclose(frame[18, 2], (20, 40, 220), atol=8)
        assert sum(durations) / 5 == pytest.approx(125, abs=6), "an eighth of a second, in hundredths"


def test_each_frame_has_a_palette_of_its_own(tmp_path: Path) -> None:
    """Two frames of 256 colours each that have none in common."""
    path, ramp = tmp_path / "x.gif", np.arange(256, dtype=np.uint8).reshape(16, 16)
    red, blue = (np.stack([ramp * (c == 0), ramp * 0, ramp * (c == 2)], axis=2).astype(np.uint8) for c in (0, 2))
    with GifWriter(path, fps=2) as writer:
        writer.write(red)
        writer.write(blue)
    with Image.open(path) as gif:
        for index, expected in enumerate((red, blue)):
            gif.seek(index)
            assert np.abs(np.asarray(gif.convert("RGB"), int) - expected).mean() < 8


def test_faults_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a GIF has at most 50 frames per second, and more than 0; got 60"):
        GifWriter(tmp_path / "x.gif", fps=60)
    with pytest.raises(ValueError, match="frames must all be 8x6, got 6x8"), GifWriter(tmp_path / "x.gif", 5) as writer:
        writer.write(np.zeros((6, 8, 3), np.uint8))
        writer.write(np.zeros((8, 6, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
