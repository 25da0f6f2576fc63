from __future__ import annotations

import os
import socket
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import constant_rate, frame_number, numbered_frame, write_numbered_video

from ava_detect.errors import VideoError
from ava_detect.video.gif import GifWriter
from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter


def numbers_of(path):
    return [frame_number(frame.image) for frame in VideoReader(path)]


def test_a_log_that_another_library_turned_on_is_off(tmp_path):
    """Its callback takes the GIL in FFmpeg's threads, for which closing a decoder waits with the GIL."""
    path = write_numbered_video(tmp_path / "video.mp4", constant_rate(3, 10))
    av.logging.set_level(av.logging.ERROR)
    try:
        assert numbers_of(path) == [0, 1, 2]
        assert av.logging.get_level() is None
    finally:
        av.logging.set_level(None)


NAMES = [
    "10:30.mp4",
    "http:x.mp4",
    "file:x.mp4",
    "a%03d.mp4",
    "-5KQ66BBWC4.mp4",
    "take[1]?.mp4",
    "a b\n.mp4",
    "caf\udce9.mp4",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_files_of_any_name_are_read_and_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    # Relative, so that the name is all that FFmpeg sees.
    with VideoWriter(name, 25) as writer:
        for number in range(3):
            writer.write(numbered_frame(number))
    assert numbers_of(Path(name)) == numbers_of(tmp_path / name) == [0, 1, 2]
    with GifWriter(f"{name}.gif", 10) as writer:
        writer.write(numbered_frame(5))
    assert numbers_of(Path(f"{name}.gif"))[:1] == [5]


def pipe(path):
    os.mkfifo(path)


def socket_file(path):
    # The path of a socket may be no longer than about 100 letters.
    os.chdir(path.parent)
    socket.socket(socket.AF_UNIX).bind(path.name)


def circle(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (pipe, "bad.mp4 is a pipe, not a file; videos are read more than once, so save the video to a file first"),
        (socket_file, "bad.mp4 is a socket, not a file"),
        (lambda path: path.symlink_to("/dev/null"), "bad.mp4 is a device, not a file"),
        (circle, "bad.mp4 cannot be read (Too many levels of symbolic links)"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.mp4"
    make(path)
    with pytest.raises(VideoError) as error:
        VideoReader(path)
    assert message in str(error.value)


def test_names_that_no_file_can_have_are_a_sentence(tmp_path):
    for name, reason in (("x" * 300, "File name too long"), ("a\0b", "embedded null byte")):
        with pytest.raises(VideoError, match=f"cannot be read .{reason}"):
            VideoReader(tmp_path / name)


def write_streams(path, *streams):
    """A file of several video streams: (codec, (width, height), numbers of its frames at 10 a second, disposition)."""
    with av.open(str(path), "w") as container:
        packets = []
        for codec, (width, height), numbers, disposition in streams:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            for number in numbers:
                image = numbered_frame(number, width, height)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number % 100, Fraction(1, 10)
                packets += stream.encode(frame)
            packets += stream.encode()
        container.start_encoding()
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return path


NONE, DEFAULT = av.stream.Disposition(0), av.stream.Disposition.default
SMALL, LARGE = (80, 48), (160, 96)
FILM, OTHER, STILL = range(5), range(100, 105), range(200, 201)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.nut"])
@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        # A still picture comes after the film, whatever its size and place.
        ([("mjpeg", LARGE, STILL, NONE), ("libx264", SMALL, FILM, NONE)], FILM),
        ([("libx264", SMALL, FILM, NONE), ("libx264", LARGE, STILL, DEFAULT)], FILM),
        # The default comes before the larger one.
        ([("libx264", LARGE, OTHER, NONE), ("libx264", SMALL, FILM, DEFAULT)], FILM),
        # Else the largest.
        ([("libx264", SMALL, OTHER, DEFAULT), ("libx264", LARGE, FILM, DEFAULT)], FILM),
        # Two still pictures: there is nothing better.
        ([("libx264", SMALL, [0], DEFAULT), ("libx264", LARGE, STILL, DEFAULT)], STILL),
    ],
)
def test_the_film_is_read_and_not_its_still_pictures(tmp_path, name, streams, expected):
    path = write_streams(tmp_path / name, *streams)
    with av.open(str(path)) as container:
        stored = [bool(stream.disposition & DEFAULT) for stream in container.streams.video]
    if stored != [bool(disposition) for *_, disposition in streams]:
        pytest.skip("this container does not keep the dispositions")
    assert numbers_of(path) == list(expected)


def test_sound_with_a_cover_picture_is_called_that(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        cover = container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(numbered_frame(1, 64, 64), format="rgb24")
        container.mux(cover.encode(picture))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
        container.mux(cover.encode())
    with pytest.raises(VideoError, match=r"song\.mp3 holds no video, only audio, a cover picture; give a file"):
        VideoReader(path)


def test_sound_alone_is_called_that(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(VideoError, match=r"holds no video, only audio; give"):
        VideoReader(path)


def test_a_codec_that_ffmpeg_does_not_know_is_a_sentence(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(5, 25), rate=25)
    data = path.read_bytes()
    assert data.count(b"avc1") >= 2
    head, _, tail = data.rpartition(b"avc1")
    path.write_bytes(head + b"zzzz" + tail.replace(b"avcC", b"zzzC"))
    with pytest.raises(VideoError, match=r"a\.mp4 "):
        VideoReader(path)
