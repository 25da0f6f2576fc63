from __future__ import annotations

import wave
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from tolerances import EXACT_SECONDS, MILLISECOND_SECONDS, MP4_SECONDS
from videos import constant_rate, frame_number, numbered_frame, write_numbered_video

from ava_detect.errors import VideoError
from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter

# name: (width, height, frames, seconds to the end of the last frame, what the damage sentence says)
REAL_VIDEOS = {
    "dc_corrupted.mp4": (1280, 720, 49, 5.0, "1 damaged packet had to be left out"),
    "dc_unordered.mov": (50, 50, 4, 0.125, ""),
    "dc_video_90.mov": (320, 568, 3, 0.1, ""),
    "intel_onebyone.mp4": (768, 432, 1394, 139.4, ""),
    "mm_demo.mp4": (427, 256, 280, 10.0, ""),
    "mm_ntu.avi": (1920, 1080, 103, 103 / 30, ""),
    "mm_part0.mp4": (455, 256, 32, 1.1, ""),
    "mm_skeleton.mp4": (1920, 1080, 72, 39424 / 15360, ""),
    "mm_test.avi": (320, 240, 164, 6.56, ""),
    "mm_test.mp4": (455, 256, 300, 10.0, ""),
    "odd_nots.h264": (455, 256, 300, 10.0, ""),
    "odd_truncfs.mp4": (455, 256, 143, 143 / 30, "ends at 4.77 s of the 10.00 s"),
    "odd_vfr.mp4": (455, 256, 108, 10.0, ""),
    "sam2_04_coffee.mp4": (1280, 720, 287, 287 * 1001 / 30000, ""),
    "sam2_05_default_juggle.mp4": (1280, 720, 247, 247 / 24, ""),
    "tc_av1_video.mkv": (640, 360, 125, 5.0, ""),
    "tc_h265_10bits.mp4": (200, 200, 30, 1.0, ""),
}


@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_real_videos(shared, name):
    width, height, num_frames, end, damage = REAL_VIDEOS[name]
    video = VideoReader(shared / "videos" / name)
    frames = list(video.decode())
    times = np.array([frame.timestamp_seconds for frame in frames])
    assert (video.info.width, video.info.height, len(frames), video.num_frames) == (
        width,
        height,
        num_frames,
        num_frames,
    )
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert video.end_seconds == pytest.approx(end, abs=EXACT_SECONDS)
    assert damage in video.damage()
    assert bool(video.damage()) == bool(damage)
    assert frames[0].image(width, height).shape == (height, width, 3)


@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_seeking_gives_the_frames_of_a_whole_pass(shared, name):
    video = VideoReader(shared / "videos" / name)
    decoded = [(frame.timestamp_seconds, frame.image(32, 32)) for frame in video.decode()]
    whole, pictures = zip(*decoded, strict=True)
    for seconds in (0.0, 0.04, whole[-1] / 3, whole[-1] * 0.9, whole[-1], whole[-1] + 5):
        first = max(i for i, time in enumerate(whole) if time <= seconds)
        tail = [(frame.timestamp_seconds, frame.image(32, 32)) for frame in islice(video.decode(seconds), 3)]
        assert tuple(time for time, _ in tail) == whole[first : first + 3]
        for (_, image), expected in zip(tail, pictures[first:], strict=False):
            np.testing.assert_array_equal(image, expected)


def test_times_of_a_variable_rate(tmp_path):
    times = [0, 0.1, 0.15, 0.9, 2.5, 2.54]
    video = VideoReader(write_numbered_video(tmp_path / "vfr.mp4", times))
    frames = [(frame.timestamp_seconds, frame_number(frame.image)) for frame in video]
    assert [number for _, number in frames] == list(range(6))
    np.testing.assert_allclose([time for time, _ in frames], times, atol=MP4_SECONDS)


def test_a_file_that_starts_late_starts_at_zero(tmp_path):
    path = write_numbered_video(tmp_path / "late.mkv", [5 + time for time in constant_rate(10, 25)], rate=25)
    times = [frame.timestamp_seconds for frame in VideoReader(path).decode()]
    np.testing.assert_allclose(times, constant_rate(10, 25), atol=MILLISECOND_SECONDS)


@pytest.mark.parametrize(("name", "rate"), [("a.avi", 25), ("a.h264", 25), ("a.avi", Fraction(30000, 1001))])
def test_containers_without_presentation_times_go_by_order_and_rate(tmp_path, name, rate):
    # libx264 reorders by default, so that decoding times are not presentation times.
    path = write_numbered_video(tmp_path / name, constant_rate(40, rate), rate=rate, time_base=1 / Fraction(rate))
    frames = [(frame.timestamp_seconds, frame_number(frame.image)) for frame in VideoReader(path)]
    assert [number for _, number in frames] == list(range(40))
    np.testing.assert_allclose([time for time, _ in frames], constant_rate(40, rate), atol=EXACT_SECONDS)


def test_rotation_is_applied(shared):
    path = shared / "videos" / "dc_video_90.mov"
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    video = VideoReader(path)
    # The container asks for a quarter turn clockwise.
    assert video.info.rotation_degrees == -90
    np.testing.assert_array_equal(next(iter(video)).image, np.rot90(stored, -1))


def test_pixels_are_made_square(shared):
    info = VideoReader(shared / "videos" / "mm_demo.mp4").info
    # 340x256 stored, each pixel 64/51 as wide as high: 426.7 across.
    assert (info.sample_aspect, info.width, info.height) == (pytest.approx(64 / 51), 427, 256)


def test_the_largest_video_stream_is_read(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream, size in zip(streams, ((40, 24), (80, 48)), strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(5):
            for index, stream in enumerate(streams):
                picture = numbered_frame(number + 100 * index, stream.width, stream.height)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    video = VideoReader(path)
    assert (video.info.width, video.info.height) == (80, 48)
    assert [frame_number(frame.image) for frame in video] == [100, 101, 102, 103, 104]


def test_threads_change_nothing(shared):
    path = shared / "videos" / "mm_demo.mp4"
    one, four = (
        [(f.timestamp_seconds, f.image(64, 48)) for f in VideoReader(path, num_threads=n).decode()] for n in (1, 4)
    )
    for (time, image), (other_time, other_image) in zip(one, four, strict=True):
        assert time == other_time
        np.testing.assert_array_equal(image, other_image)


def test_a_title_that_is_no_utf8_does_no_harm(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 25, title="cafe QQQQ") as writer:
        for number in range(3):
            writer.write(numbered_frame(number))
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"\xe9\xff\xe9\xe9"))
    assert [frame_number(frame.image) for frame in VideoReader(path)] == [0, 1, 2]


def test_two_passes_at_once_do_not_disturb_each_other(tmp_path):
    video = VideoReader(write_numbered_video(tmp_path / "a.mp4", constant_rate(12, 30)))
    numbers = [(frame_number(a.image), frame_number(b.image)) for a, b in zip(video, video, strict=True)]
    assert numbers == [(i, i) for i in range(12)]


def text_named_mp4(path):
    path.write_text("this is no video\n" * 50)


def empty_file(path):
    path.touch()


def sound_only(path):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


def folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such file"),
        (text_named_mp4, "cannot be opened as a video (Invalid data found"),
        (empty_file, "cannot be opened as a video"),
        (sound_only, "holds no video, only audio"),
        (folder, "is a folder, not a video file"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(tmp_path, make, message):
    path = tmp_path / "bad.mp4"
    make(path)
    with pytest.raises(VideoError) as error:
        VideoReader(path)
    assert message in str(error.value)
    assert "bad.mp4" in str(error.value)


def test_a_video_without_its_index_is_refused(shared):
    with pytest.raises(VideoError, match=r"odd_truncated\.mp4 cannot be opened as a video"):
        VideoReader(shared / "videos" / "odd_truncated.mp4")


def test_a_file_whose_every_packet_is_damaged_is_refused(tmp_path, shared):
    data = bytearray((shared / "videos" / "mm_demo.mp4").read_bytes())
    start, index = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:index] = bytes(index - start)
    path = tmp_path / "zeros.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"zeros\.mp4: no picture could be decoded \(\d+ damaged packets\)"):
        VideoReader(path)
