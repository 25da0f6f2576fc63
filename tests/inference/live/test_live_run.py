"""Live runs from the outside: rows equal those of a run over the file, and streams that break go on."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import av.error
import numpy as np
import pytest
from concurrency import wait_until
from fixed_detector import FixedDetector
from networks import lively_model
from stream_server import StreamServer, paced, transport_stream
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.errors import ConfigError, VideoError
from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.structures import ClipSettings

PEOPLE = ((0.1, 0.1, 0.5, 0.9), (0.4, 0.2, 0.95, 0.8))
SHORT = ClipSettings(num_frames=4, sampling_rate=3, short_side=32)  # 0.4 s


class ReadsNumbers:
    """A scorer that notes the numbers that the frames of each clip carry; it may be held."""

    clip_settings, num_actions, clips_per_batch, calls_at_once = SHORT, 80, 1, 1

    def __init__(self, held_seconds: float = 0.0) -> None:
        self.numbers: list[list[int]] = []
        self.held_seconds = held_seconds

    def start_thread(self) -> None: ...

    def score(self, clips, people):
        time.sleep(self.held_seconds)
        self.numbers += [[frame_number(frame) for frame in clip.frames] for clip in clips]
        return [np.full((len(found), 80), 0.5, np.float32) for found in people]


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_numbered_video(tmp_path_factory.mktemp("live") / "movie.mp4", constant_rate(75, 25), rate=25)


def test_rows_equal_those_of_a_run_over_the_file(movie):
    pipeline = Pipeline(FixedDetector(*PEOPLE), Scorer(lively_model()), every_seconds=0.25)
    expected = {keyframe.timestamp_seconds: keyframe for keyframe in pipeline(movie)}
    run = pipeline.live(movie, LiveOptions(speed=6))
    found = list(run)
    assert found
    for keyframe in found:
        same = expected[keyframe.timestamp_seconds]
        assert np.array_equal(keyframe.boxes_fraction, same.boxes_fraction)
        assert np.array_equal(keyframe.action_scores, same.action_scores)
        assert np.array_equal(keyframe.person_scores, same.person_scores)
        lines = keyframe.to_dict(), same.to_dict()
        assert {name: value for name, value in lines[0].items() if name in lines[1]} == lines[1]
    (status,) = run.status()
    assert status.num_keyframes + status.num_dropped == len(expected)
    assert sum(keyframe.num_dropped for keyframe in found) == status.num_dropped
    assert (status.state, status.num_frames, status.num_connections) == ("ended", 75, 1)


@pytest.mark.parametrize(("latency", "frames"), [("centred", [17, 20, 22, 25]), ("now", [17, 20, 22, 25])])
def test_which_frames_a_clip_holds(movie, latency, frames):
    """At 25 fps and a grid of 30, points 24, 27, 30, 33 show the frames 20, 22, 25, 27; ending now 21, 24, 27, 30."""
    scorer = ReadsNumbers()
    run = Pipeline(FixedDetector(*PEOPLE), scorer, every_seconds=0.5).live(movie, LiveOptions(latency, speed=4))
    times = [keyframe.timestamp_seconds for keyframe in run]
    of_second_1 = scorer.numbers[times.index(1.0)]
    assert of_second_1 == ([20, 22, 25, 27] if latency == "centred" else frames)


def test_a_slow_network_drops_keyframes_and_queues_none(movie):
    scorer, detector = ReadsNumbers(held_seconds=0.25), FixedDetector(*PEOPLE)
    run = Pipeline(detector, scorer, every_seconds=0.1).live(movie)
    most_waiting = max(len(detector.seen) - number for number, _ in enumerate(run, start=1))
    (status,) = run.status()
    assert status.num_dropped > 0
    assert status.num_keyframes + status.num_dropped == 30
    # Beside the one that is scored: one with the detector, whose people may be known.
    assert most_waiting <= 2
    assert status.lag_median_seconds <= status.lag_p99_seconds


def test_several_sources_share_one_network(movie, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(movie.read_bytes())
    scorer = ReadsNumbers()
    run = Pipeline(FixedDetector(*PEOPLE), scorer, every_seconds=0.5).live(
        [movie, f"door={other}"], LiveOptions(speed=4)
    )
    names = {keyframe.video_id for keyframe in run}
    assert names == {"movie", "door"}
    assert [status.num_keyframes + status.num_dropped for status in run.status()] == [6, 6]


def test_a_run_ends_when_it_is_stopped_and_leaves_no_thread(movie):
    before = threading.active_count()
    run = Pipeline(FixedDetector(*PEOPLE), ReadsNumbers(), every_seconds=0.1).live(movie)
    next(run)
    run.stop()
    assert len(list(run)) <= 2
    wait_until(lambda: threading.active_count() == before)


def test_a_run_that_is_left_early_leaves_no_thread(movie):
    before = threading.active_count()
    run = Pipeline(FixedDetector(*PEOPLE), ReadsNumbers(), every_seconds=0.1).live(movie)
    next(run)
    run.close()
    wait_until(lambda: threading.active_count() == before)


def test_max_seconds_ends_a_run_also_where_nothing_comes():
    with StreamServer([(b"", 60.0)]) as server:
        run = Pipeline(FixedDetector(), ReadsNumbers()).live(server.url, LiveOptions(max_seconds=0.3, lost_seconds=0.5))
        assert list(run) == []


def test_a_stream_goes_on_after_a_lost_connection_a_restarted_clock_and_another_size():
    """Three parts on the first connection, then it is closed; the second has another size."""
    first = transport_stream(range(50))
    again = transport_stream(range(50, 75))  # its time stamps start from 0 again
    larger = transport_stream(range(75, 125), width=160, height=96)
    scorer, notices = ReadsNumbers(), []
    script = [*paced(first, 2.0, 50), *paced(again, 1.0, 25)]
    with StreamServer(script, [*paced(larger, 2.0, 50), (b"", 60.0)]) as server:
        pipeline = Pipeline(FixedDetector(*PEOPLE), scorer, every_seconds=0.2)
        run = pipeline.live(f"cam={server.url}", LiveOptions(max_seconds=60), on_notice=notices.append)
        keyframes = []
        for keyframe in run:
            keyframes.append(keyframe)
            if max(scorer.numbers[-1]) >= 110:
                run.stop()
        (status,) = run.status()
    times = [keyframe.timestamp_seconds for keyframe in keyframes]
    assert times == sorted(set(times))
    assert [notice.kind for notice in notices[:3]] == ["connected", "lost", "connected"]
    assert (status.width, status.height, status.num_connections, status.time_jumps) == (160, 96, 2, 1)
    # No clip reaches over the end of a connection, and in one the motion has its speed: 3 grid steps are 2 or 3 frames.
    for numbers in scorer.numbers:
        assert (max(numbers) >= 75) == (min(numbers) >= 75)
        if min(numbers) > 20 and max(numbers) < 49:
            assert set(np.diff(numbers)) <= {2, 3}
    # People keep their ids where the gap is short, and boxes are fractions whatever the size.
    assert all(np.allclose(keyframe.boxes_fraction[0], PEOPLE[0]) for keyframe in keyframes)


def test_the_size_may_change_within_a_connection():
    small, large = transport_stream(range(30)), transport_stream(range(30, 60), start_seconds=1.2, width=160, height=96)
    notices, scorer = [], ReadsNumbers()
    with StreamServer([*paced(small, 1.2, 30), *paced(large, 1.2, 30), (b"", 60.0)]) as server:
        run = Pipeline(FixedDetector(*PEOPLE), scorer, every_seconds=0.2).live(server.url, on_notice=notices.append)
        for _ in run:
            if max(scorer.numbers[-1]) >= 50:
                run.stop()
    changed = [notice for notice in notices if notice.kind == "changed"]
    assert [notice.text for notice in changed] == ["160x96, h264"]
    assert not any(min(numbers) < 30 <= max(numbers) for numbers in scorer.numbers)


def test_damaged_packets_are_counted_and_the_stream_goes_on():
    stream = transport_stream(range(100))
    packets = [stream[start : start + 188] for start in range(0, len(stream), 188)]
    lost = np.random.default_rng(3).choice(range(40, len(packets)), len(packets) // 10, replace=False)
    data = b"".join(packet for number, packet in enumerate(packets) if number not in lost)
    scorer = ReadsNumbers()
    with StreamServer([*paced(data, 3.0, 100), (b"", 60.0)]) as server:
        run = Pipeline(FixedDetector(*PEOPLE), scorer, every_seconds=0.2).live(server.url, LiveOptions(max_seconds=60))
        for _ in run:
            if max(scorer.numbers[-1]) >= 80:
                run.stop()
        (status,) = run.status()
    assert status.damaged_packets > 0
    assert status.num_connections == 1


def test_a_stream_is_joined_between_two_keyframes_of_the_codec():
    """The first picture comes after FFmpeg's look at the stream; what is before it is not damaged."""
    stream = transport_stream(range(260), keyframe_every=150, aspect=Fraction(4, 3))
    notices = []
    with StreamServer([(stream[len(stream) // 16 // 188 * 188 :], 60.0)]) as server:
        run = Pipeline(FixedDetector(), ReadsNumbers(), every_seconds=0.2).live(
            server.url, LiveOptions(max_seconds=60), on_notice=notices.append
        )
        next(run)
        (status,) = run.status()
        run.close()
    assert notices[0].text == "107x48, h264"
    assert (status.width, status.damaged_packets) == (107, 0)


def test_a_stream_without_a_keyframe_of_the_codec_says_so():
    stream = transport_stream(range(200), keyframe_every=1000)
    rest = stream[len(stream) // 4 // 188 * 188 :]
    notices = []
    with StreamServer([*paced(rest, 6.0, 60), (b"", 60.0)]) as server:
        run = Pipeline(FixedDetector(), ReadsNumbers()).live(
            server.url, LiveOptions(lost_seconds=0.5, max_seconds=60), on_notice=notices.append
        )
        thread = threading.Thread(target=lambda: list(run))
        thread.start()
        wait_until(lambda: bool(notices))
        run.stop()
        thread.join()
    assert notices[0].kind == "lost"
    assert "no keyframe of the codec" in notices[0].text
    assert "no keyframe of the codec" in run.status()[0].reason  # not "stopped"


def test_a_black_picture_is_told():
    stream = transport_stream([0] * 100)
    notices = []
    with StreamServer([*paced(stream, 2.0, 50), (b"", 60.0)]) as server:
        run = Pipeline(FixedDetector(), ReadsNumbers(), every_seconds=0.2).live(server.url, on_notice=notices.append)
        for _ in run:
            if any(notice.kind == "dark" for notice in notices):
                run.stop()
        assert run.status()[0].is_dark


def test_a_stream_that_stays_silent_is_lost_and_tried_again():
    notices = []
    stream = transport_stream(range(100))
    with StreamServer([(stream, 60.0)], [(stream, 60.0)]) as server:
        run = Pipeline(FixedDetector(), ReadsNumbers()).live(
            server.url, LiveOptions(lost_seconds=0.5, max_seconds=60), on_notice=notices.append
        )
        thread = threading.Thread(target=lambda: list(run))
        thread.start()
        wait_until(lambda: [notice.kind for notice in notices][:3] == ["connected", "lost", "connected"])
        run.stop()
        thread.join()
    assert "0.5 s" in notices[1].text


def test_a_password_is_in_no_notice():
    notices = []
    run = Pipeline(FixedDetector(), ReadsNumbers()).live(
        "rtsp://me:hunter2@127.0.0.1:9/s", LiveOptions(max_seconds=1.0), on_notice=notices.append
    )
    assert list(run) == []
    assert notices[0].kind == "lost"
    assert "hunter2" not in repr(notices) + repr(run.status()) + repr(run)


def test_a_protocol_that_pyav_does_not_have_is_not_tried_again(monkeypatch):
    def refuse(*args, **options):
        raise av.error.ProtocolNotFoundError(1, "Protocol not found")

    monkeypatch.setattr("ava_detect.video.live.opening.av.open", refuse)
    notices = []
    assert list(Pipeline(FixedDetector(), ReadsNumbers()).live("srt://127.0.0.1:9", on_notice=notices.append)) == []
    (notice,) = notices
    assert notice.kind == "failed"
    assert "cannot read srt://" in notice.text


def test_a_file_that_is_no_video_is_refused_before_any_work(tmp_path):
    path = tmp_path / "no.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        Pipeline(FixedDetector(), ReadsNumbers()).live(path)


@pytest.mark.parametrize(
    "changes",
    [{"latency": "late"}, {"max_seconds": 0}, {"lost_seconds": 0.1}, {"speed": 0}, {"speed": float("nan")}],
)
def test_options_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        LiveOptions(**changes)
