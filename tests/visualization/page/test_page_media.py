"""Which videos a browser can play, copies for those that it cannot, and videos that are not the annotated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import constant_rate, frame_number, numbered_frame, write_frames, write_numbered_video

from ava_detect.video.reader import VideoReader
from ava_detect.visualization.page.media import AnnotatedFile, PageVideo, differences, place_video, write_thumbnail


@pytest.fixture
def mp4(tmp_path) -> Path:
    return write_numbered_video(tmp_path / "v 1#.mp4", constant_rate(30, 10), rate=10, width=160, height=96)


def test_a_playable_video_is_linked_copied_or_referred_to(mp4, tmp_path):
    page = tmp_path / "deep" / "page"
    linked = place_video(mp4, page, "0001", "link")
    assert linked == PageVideo(
        "page-media/0001.mp4", 160, 96, pytest.approx(3.0), 10.0, pytest.approx(3.0), is_proxy=False
    )
    assert (page / linked.source).samefile(mp4)
    copied = place_video(mp4, page, "0001", "copy")
    assert not (page / copied.source).samefile(mp4)
    assert (page / copied.source).read_bytes() == mp4.read_bytes()
    pointed = place_video(mp4, page, "0001", "symlink")
    assert (page / pointed.source).readlink() == mp4.resolve()
    referred = place_video(mp4, page, "0002", "refer")
    assert referred.source == "../../v%201%23.mp4"
    assert sorted(path.name for path in (page / "page-media").iterdir()) == ["0001.mp4"]


def test_a_link_of_an_interrupted_page_never_has_the_video_behind_it_replaced(mp4, tmp_path):
    other = write_numbered_video(tmp_path / "o.mkv", constant_rate(20, 10), rate=10, width=160, height=96)
    before = mp4.read_bytes()
    for placing, video in (("symlink", mp4), ("copy", mp4), ("link", other)):
        place_video(mp4, tmp_path / "page", "0001", "symlink")
        place_video(video, tmp_path / "page", "0001", placing)
        assert not mp4.is_symlink()
        assert mp4.read_bytes() == before


def test_where_no_link_is_possible_there_is_a_copy(mp4, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    video = place_video(mp4, tmp_path / "page", "0001", "link")
    assert (tmp_path / "page" / video.source).read_bytes() == mp4.read_bytes()


@pytest.mark.parametrize("name", ["a.mkv", "ten_bit.mp4", "late.mp4", "big.mkv", "mirrored.mp4"])
def test_any_other_video_gets_a_copy_that_browsers_play(tmp_path, name):
    path = tmp_path / name
    size = (1600, 960) if name == "big.mkv" else (160, 96)
    times = [0.5 + t for t in constant_rate(30, 10)] if name == "late.mp4" else constant_rate(30, 10)
    if name == "ten_bit.mp4":
        _write_ten_bit(path)
    elif name == "mirrored.mp4":
        stored = [np.fliplr(numbered_frame(number, *size)) for number in range(30)]
        write_frames(path, stored, times, rate=10, display_matrix=(-1, 0, 0, 1))
    else:
        write_numbered_video(path, times, rate=10, width=size[0], height=size[1])
    seconds = []
    video = place_video(path, tmp_path / "page", "0001", "refer", seconds.append)
    assert (video.source, video.is_proxy) == ("page-media/0001.mp4", True)
    assert seconds == sorted(seconds)
    assert len(seconds) == 30
    proxy = VideoReader(tmp_path / "page" / video.source)
    assert (proxy.info.codec, proxy.info.width, proxy.info.height) == (
        "h264",
        *((1200, 720) if size[0] > 999 else size),
    )
    shown = [(frame_number(frame.image), round(frame.timestamp_seconds, 3)) for frame in proxy]
    assert shown == [(number, number / 10) for number in range(30)]
    assert video.duration_seconds == pytest.approx(3.0, abs=0.11)


def _write_ten_bit(path: Path) -> None:
    """H.264 with ten bits a sample, which browsers do not play."""
    write_numbered_video(path, constant_rate(30, 10), rate=10, pixel_format="yuv420p10le", width=160, height=96)


def test_the_thumbnail_is_the_picture_of_its_moment(mp4, tmp_path):
    write_thumbnail(mp4, tmp_path / "t.jpg", 1.72)
    with Image.open(tmp_path / "t.jpg") as picture:
        assert picture.size == (160, 96)
        assert frame_number(np.asarray(picture.convert("RGB"))) == 17


@pytest.mark.parametrize(
    ("last", "annotated", "sentences"),
    [
        (2.0, AnnotatedFile(), []),
        (3.4, AnnotatedFile(), []),
        (2.0, AnnotatedFile(fps=10.04, seconds=3.3), []),
        (0.4, AnnotatedFile(fps=10, seconds=3), []),
        (2.0, AnnotatedFile(77, 25, 3), ["v 1#.mp4 is not the file that was annotated: it is now 10 frames a "]),
        (
            2.0,
            AnnotatedFile(77, 10, 8),
            ["v 1#.mp4 is not the file that was annotated: it is now 3.0 s long "],
        ),
        (2.0, AnnotatedFile(77, 10, 3), ["v 1#.mp4 has changed since it was annotated (77 bytes then, "]),
        (
            9.0,
            AnnotatedFile(),
            ["v 1#.mp4 is 3.0 s long and the results go on to 9.0 s: is it the video that was annotated?"],
        ),
        (
            0.4,
            AnnotatedFile(),
            ["v 1#.mp4 is 3.0 s long and the results end at 0.4 s: the rest was not annotated, or this is another"],
        ),
        (2.0, AnnotatedFile(77), ["v 1#.mp4 has changed since it was annotated (77 bytes then, "]),
    ],
)
def test_what_is_said_of_another_video(mp4, tmp_path, last, annotated, sentences):
    video = place_video(mp4, tmp_path / "page", "0001", "link")
    said = differences(mp4, video, [0.0, last], 1.0, annotated)
    assert len(said) == len(sentences)
    assert all(sentence.startswith(start) for sentence, start in zip(said, sentences, strict=True))
    if said and "has changed" in said[0]:
        assert "now 10 frames a second, 3.0 s): boxes may lie beside the people." in said[0]


def test_a_truncated_file_is_not_taken_for_another(shared, tmp_path):
    """Its header promises more than can be decoded: what counts is that the header says what it said then."""
    path = shared / "videos" / "odd_truncfs.mp4"
    info = VideoReader(path).info
    video = place_video(path, tmp_path / "page", "0001", "link")
    annotated = AnnotatedFile(path.stat().st_size, info.average_fps, info.duration_seconds)
    assert differences(path, video, [0.0], 1.0, annotated) == []
