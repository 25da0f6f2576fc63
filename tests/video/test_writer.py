from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from tolerances import MP4_SECONDS
from videos import frame_number, numbered_frame

from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, Fraction(30000, 1001), title="numbers") as writer:
        for number in range(50):
            writer.write(numbered_frame(number))
        assert not path.exists()
    frames = list(VideoReader(path))
    assert [frame_number(frame.image) for frame in frames] == list(range(50))
    np.testing.assert_allclose([f.timestamp_seconds for f in frames], np.arange(50) * 1001 / 30000, atol=MP4_SECONDS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_browser_can_play_it(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 25, title="shown") as writer:
        for number in range(5):
            writer.write(numbered_frame(number, width=81, height=49))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # An odd side loses its last pixel, since yuv420p halves the colour planes.
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, container.metadata["title"]) == (80, 48, "shown")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(numbered_frame(1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_frames_are_of_one_size(tmp_path):
    with (
        pytest.raises(ValueError, match="frames must all be 80x48, got 40x24"),
        VideoWriter(tmp_path / "a.mp4", 25) as w,
    ):
        w.write(numbered_frame(1))
        w.write(numbered_frame(1, width=40, height=24))
    with pytest.raises(ValueError, match="at least 2x2 pixels, got 1x9"), VideoWriter(tmp_path / "a.mp4", 25) as w:
        w.write(np.zeros((9, 1, 3), np.uint8))


def test_the_rate_is_positive(tmp_path):
    with pytest.raises(ValueError, match="fps must be above 0, got 0"):
        VideoWriter(tmp_path / "a.mp4", 0)


def test_the_same_frames_make_the_same_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(90, 150, (120, 160, 3), np.uint8)
    frames = [np.roll(noise, (i % 7, 2 * i), (0, 1)) for i in range(60)]
    made = set()
    for number in range(40):
        with VideoWriter(tmp_path / f"{number}.mp4", 30) as writer:
            for frame in frames:
                writer.write(frame)
        made.add((tmp_path / f"{number}.mp4").read_bytes())
    assert len(made) == 1
