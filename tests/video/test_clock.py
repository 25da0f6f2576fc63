from __future__ import annotations

import re
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from tolerances import EXACT_SECONDS, MILLISECOND_SECONDS, MP4_SECONDS
from videos import constant_rate, frame_number, shift_packets, write_numbered_video, write_parts

from ava_detect.structures import ClipSettings
from ava_detect.video.clip_sampler import ClipSampler, keyframe_times, sample_clip
from ava_detect.video.reader import VideoReader

HOUR = 3600.0


def times_and_numbers(video, from_seconds=0.0):
    frames = [(f.timestamp_seconds, frame_number(f.image(80, 48))) for f in video.decode(from_seconds)]
    return [time for time, _ in frames], [number for _, number in frames]


def num_keyframes(video):
    return sum(1 for _ in ClipSampler(video, ClipSettings(), keyframe_images=False).sample(keyframe_times(1.0)))


# FFmpeg's own program gives the same frames for each of these ("timestamp discontinuity"). The clock of MPEG-TS starts
# anew after 26.5 hours.
@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ((0, 10 * HOUR), r"jump by \+35,99\d\.\d\d s at 1\.00 s;"),
        ((0, 12), r"jump by \+1[01]\.\d\d s at 1\.00 s;"),
        ((0, 0), r"jump by -1\.\d\d s at 1\.00 s;"),
        ((5 * HOUR, 0), r"jump by [-+][\d,.]+ s at 1\.00 s;"),
        ((0, 10 * HOUR, 0), r"jump by \+35,99\d\.\d\d s at 1\.00 s and 1 times more;"),
    ],
)
def test_jumps_of_an_mpeg_ts_file_are_joined_and_said(tmp_path, starts, message):
    video = VideoReader(write_parts(tmp_path / "a.ts", *starts))
    times, numbers = times_and_numbers(video)
    assert numbers == list(range(25 * len(starts)))
    # The first part's last frames are decoded a little before their time.
    np.testing.assert_allclose(times, constant_rate(25 * len(starts), 25), atol=0.081)
    assert re.search(message, video.time_jumps())
    assert video.damage() == ""
    assert video.info.duration_seconds == pytest.approx(len(starts), abs=0.1)
    assert num_keyframes(video) == len(starts)


def test_less_than_ten_seconds_may_be_a_pause(tmp_path):
    video = VideoReader(write_parts(tmp_path / "a.ts", 0, 9))
    times, _ = times_and_numbers(video)
    assert times[25] - times[24] > 7.9
    assert video.time_jumps() == ""


@pytest.mark.parametrize("starts", [(0, 10 * HOUR), (0, 0, 0), (7, 0, 7)])
def test_seeking_among_jumps_gives_the_frames_of_a_whole_pass(tmp_path, starts):
    path = write_parts(tmp_path / "a.ts", *starts)
    whole, _ = times_and_numbers(VideoReader(path))
    for first in (0, 10, 24, 25, 26, 40, len(whole) - 1):
        times, numbers = times_and_numbers(VideoReader(path), whole[first] + 0.001)
        assert (times, numbers) == (whole[first:], list(range(first, len(whole))))


def test_the_shared_file_of_two_segments_lasts_eight_seconds(shared):
    video = VideoReader(shared / "cases/faults/ts_pts_jump/two_segments.ts")
    # Known before a pass, for the file is too small for ten hours.
    assert video.info.duration_seconds == pytest.approx(8, abs=MILLISECOND_SECONDS)
    assert num_keyframes(video) == 8
    assert "jump by +35,995.92 s at 4.00 s" in video.time_jumps()
    clip = sample_clip(video, 5.5, ClipSettings(num_frames=2, sampling_rate=1))
    assert clip.timestamp_seconds == 5.5


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize(("seconds", "timescale"), [(16e6, 100), (1.2e5, 12800), (2.0**31 / 90000, 12800)])
@pytest.mark.parametrize("first", [20, 39], ids=["from the middle on", "the last"])
@pytest.mark.parametrize("options", [{}, {"bf": "0"}], ids=["reordered", "in order"])
def test_broken_time_stamps_are_no_hours(tmp_path, name, seconds, timescale, first, options):
    whole = write_numbered_video(tmp_path / "whole.mp4", constant_rate(40, 25), rate=25, options=options)
    path = shift_packets(whole, tmp_path / name, range(first, 40), seconds, timescale=timescale)
    video = VideoReader(path)
    times, numbers = times_and_numbers(video)
    assert numbers == list(range(40))
    # Matroska has no decoding times, so the few frames that a reordering decoder holds back are numbered at the jump.
    slack = 0.121 if name == "a.mkv" and not options else MILLISECOND_SECONDS
    np.testing.assert_allclose(times, constant_rate(40, 25), atol=slack)
    assert video.end_seconds == pytest.approx(1.6, abs=slack)
    assert video.info.duration_seconds == pytest.approx(1.6, abs=slack + 0.041)
    assert video.info.average_fps == pytest.approx(25, rel=0.1)
    assert num_keyframes(video) == 2
    assert "its time stamps jump by +" in video.time_jumps()
    assert video.damage() == ""


@pytest.mark.parametrize("options", [{}, {"bf": "0"}], ids=["reordered", "in order"])
def test_one_broken_presentation_time_amid_others_is_no_hours(tmp_path, options):
    whole = write_numbered_video(tmp_path / "whole.mp4", constant_rate(40, 25), rate=25, options=options)
    video = VideoReader(shift_packets(whole, tmp_path / "a.mkv", range(20, 21), 16e6))
    times, numbers = times_and_numbers(video)
    assert numbers == list(range(40))
    np.testing.assert_allclose(times, constant_rate(40, 25), atol=0.121 if not options else MILLISECOND_SECONDS)
    assert re.search(r"its time stamps jump by \+(16,000,000|15,999,99\d)", video.time_jumps())


def test_a_last_picture_that_claims_to_last_months_does_not(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(30, 25), rate=25, time_base=Fraction(1, 12800))
    data = bytearray(path.read_bytes())
    # The table of durations has one entry, 30 samples of 512; make it 29 of 512 and one of 2^31 - 1.
    at = data.index(b"stts")
    assert struct.unpack(">4I", data[at + 4 : at + 20]) == (0, 1, 30, 512)
    assert b"free" in data[:at], "the table can grow only where the index is at the end"
    entry = struct.pack(">5I", 0, 2, 29, 512, 1) + struct.pack(">I", 2**31 - 1)
    grown = 8
    data[at + 4 : at + 20] = entry
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        start = data.index(box, data.index(b"moov")) - 4
        data[start : start + 4] = struct.pack(">I", struct.unpack(">I", data[start : start + 4])[0] + grown)
    path.write_bytes(data)
    video = VideoReader(path)
    times, _ = times_and_numbers(video)
    np.testing.assert_allclose(times, constant_rate(30, 25), atol=MP4_SECONDS)
    assert num_keyframes(video) == 2
    assert video.info.duration_seconds == pytest.approx(1.2, abs=0.1)
    assert "jump by +167,772.16 s" in video.time_jumps()


def test_a_pause_of_minutes_is_no_jump(tmp_path):
    times = [0, 0.04, 0.08, 900, 900.04]
    video = VideoReader(write_numbered_video(tmp_path / "a.mp4", times, options={"bf": "0"}))
    found, _ = times_and_numbers(video)
    np.testing.assert_allclose(found, times, atol=MP4_SECONDS)
    assert video.time_jumps() == ""


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("options", [{}, {"bf": "0"}], ids=["reordered", "in order"])
@pytest.mark.parametrize("num_threads", [1, 3])
def test_avi_chunks_without_a_picture_take_their_time(tmp_path, codec, options, num_threads):
    chunks = [*range(10), *range(110, 140), *range(240, 250), 299]
    times = [number / 25 for number in chunks]
    path = tmp_path / "a.avi"
    write_numbered_video(path, times, codec=codec, rate=25, time_base=Fraction(1, 25), options=options)
    with av.open(str(path)) as container:
        stored = sorted(packet.dts for packet in container.demux(video=0) if packet.size)
    assert stored[-1] >= 240, "FFmpeg wrote no empty chunks"
    video = VideoReader(path, num_threads=num_threads)
    found, numbers = times_and_numbers(video)
    assert numbers == list(range(len(times)))
    np.testing.assert_allclose(found, np.array(stored) / 25, atol=EXACT_SECONDS)
    assert video.damage() == ""
    assert video.info.average_fps == pytest.approx(len(times) / video.info.duration_seconds)
    np.testing.assert_array_equal(video.frame_times(), found)


def test_a_damaged_avi_packet_moves_no_other_frame(tmp_path):
    path = write_numbered_video(
        tmp_path / "a.avi", constant_rate(40, 25), codec="mpeg4", rate=25, time_base=Fraction(1, 25), options={"g": "1"}
    )
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        damaged = bytes(packets[7])
    data = path.read_bytes()
    assert data.count(damaged) == 1
    path.write_bytes(data.replace(damaged, bytes(len(damaged))))
    video = VideoReader(path)
    times, numbers = times_and_numbers(video)
    assert 7 not in numbers
    np.testing.assert_allclose(times, np.array(numbers) / 25, atol=EXACT_SECONDS)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.nut", "a.asf", "a.flv", "a.mp4", "a.ts"])
def test_a_file_that_starts_late_is_neither_damaged_nor_longer(tmp_path, name):
    codec = {"a.webm": "libvpx", "a.asf": "mpeg4"}.get(name, "libx264")
    times = [5 + time for time in constant_rate(50, 25)]
    path = write_numbered_video(tmp_path / name, times, codec=codec, rate=25, time_base=Fraction(1, 25))
    video = VideoReader(path)
    found, _ = times_and_numbers(video)
    np.testing.assert_allclose(found, constant_rate(50, 25), atol=2 * MILLISECOND_SECONDS)
    assert video.damage() == ""
    assert video.info.duration_seconds == pytest.approx(2, abs=0.1)


def test_a_cut_recording_says_that_its_first_picture_is_late(tmp_path):
    path = tmp_path / "a.ts"
    write_numbered_video(
        path, constant_rate(100, 25), rate=25, options={"g": "50", "keyint_min": "50", "sc_threshold": "0"}
    )
    with av.open(str(path)) as container:
        second = [packet for packet in container.demux(video=0) if packet.size][1]
        cut = second.pos
    data = path.read_bytes()
    # The tables of the stream, then everything from the second picture on.
    path.write_bytes(data[: 3 * 188] + data[cut // 188 * 188 :])
    video = VideoReader(path)
    times, numbers = times_and_numbers(video)
    assert numbers[0] == 50
    assert times[0] > 1.5
    assert f"no picture can be decoded before {times[0]:.2f} s" in video.damage()


@pytest.mark.parametrize(
    ("name", "codec", "rate", "time_base"),
    [
        ("a.h264", "libx264", 30, Fraction(1, 30)),
        ("a.avi", "libx264", 25, Fraction(1, 600)),
        ("a.avi", "mpeg4", Fraction(30000, 1001), Fraction(1001, 30000)),
        ("a.dv", "dvvideo", 25, Fraction(1, 25)),
        ("a.mp4", "libx264", 25, Fraction(1, 12800)),
        ("a.mkv", "libx264", 50, Fraction(1, 1000)),
    ],
)
def test_the_average_rate_is_that_of_the_frame_times(tmp_path, name, codec, rate, time_base):
    size = {"width": 720, "height": 576} if codec == "dvvideo" else {}
    path = tmp_path / name
    write_numbered_video(path, constant_rate(50, rate), codec=codec, rate=rate, time_base=time_base, **size)
    video = VideoReader(path)
    times, _ = times_and_numbers(video)
    assert video.info.average_fps == pytest.approx(float(rate), rel=1e-3)
    assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(float(rate), rel=1e-2)


def test_frame_times_are_those_of_the_frames_that_decode(shared):
    video = VideoReader(shared / "videos" / "dc_corrupted.mp4")
    decoded = [frame.timestamp_seconds for frame in video.decode()]
    assert len(decoded) == 49
    np.testing.assert_array_equal(video.frame_times(), decoded)
