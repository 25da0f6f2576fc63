"""The times of a stream's frames, and whether its reader is behind: worked out by hand, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.video.live.catch_up import CatchUp
from ava_detect.video.live.reader import Arrivals
from ava_detect.video.live.stream_clock import StreamClock


def times_of(pairs):
    clock = StreamClock()
    return [clock.seconds(pts, arrival) for pts, arrival in pairs], clock


def test_presentation_times_give_the_distances_and_arrival_the_start():
    times, clock = times_of([(7.0, 100.0), (7.04, 100.3), (7.08, 100.31), (8.0, 101.2)])
    assert times == pytest.approx([0, 0.04, 0.08, 1.0])
    assert clock.num_jumps == 0


def test_a_restart_goes_on_by_arrival():
    times, clock = times_of([(500.0, 10.0), (501.0, 11.0), (0.0, 11.5), (1.0, 12.5)])
    assert times == pytest.approx([0, 1, 1.5, 2.5])
    assert clock.num_jumps == 1


def test_a_jump_forwards_is_one_only_if_it_took_no_time():
    times, clock = times_of([(0.0, 10.0), (3600.0, 10.04), (3600.04, 10.08), (3630.0, 40.0)])
    assert times == pytest.approx([0, 0.04, 0.08, 30.04])
    assert clock.num_jumps == 1


def test_without_presentation_times_frames_are_placed_by_arrival():
    times, _ = times_of([(None, 5.0), (None, 5.5), (None, 7.0)])
    assert times == pytest.approx([0, 0.5, 2.0])


def test_a_new_connection_is_placed_by_arrival():
    clock = StreamClock()
    clock.seconds(40.0, 100.0)
    clock.seconds(41.0, 101.0)
    clock.reconnected()
    assert clock.seconds(0.0, 109.0) == pytest.approx(9.0)
    assert clock.seconds(0.5, 109.4) == pytest.approx(9.5)
    assert clock.num_jumps == 0


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 100)), max_size=40))
def test_times_always_increase_whatever_a_camera_sends(steps):
    clock, arrival, last = StreamClock(), 0.0, -1.0
    for pts, waited in steps:
        arrival += waited
        seconds = clock.seconds(pts, arrival)
        assert seconds > last
        last = seconds


def test_a_reader_that_falls_behind_leaves_out_more_and_more_and_catches_up():
    catch_up = CatchUp()
    skips = [catch_up.update(second, 50 + second) for second in range(5)]
    assert set(skips) == {"DEFAULT"}
    assert catch_up.update(5, 50 + 5 + 2) == "NONREF"  # 2 s behind
    assert catch_up.update(6, 50 + 6 + 1) == "NONREF"  # catching up
    assert catch_up.update(7, 50 + 7 + 5) == "NONKEY"  # 5 s
    assert catch_up.update(12, 50 + 12 + 0.2) == "DEFAULT"
    assert catch_up.num_times == 1


def test_the_packet_of_a_keyframe_tells_that_the_reader_has_caught_up():
    """A decoder that puts frames in order gives a keyframe when the next one comes, here 7 s later."""
    catch_up = CatchUp()
    assert catch_up.update(0, 50) == "DEFAULT"
    assert catch_up.update(1, 50 + 1 + 5) == "NONKEY"
    assert catch_up.at_keyframe(7, 50 + 7 + 3) == "NONKEY"
    assert catch_up.update(7, 50 + 7 + 7.1) == "NONKEY"
    assert catch_up.at_keyframe(14, 50 + 14 + 0.1) == "DEFAULT"
    assert catch_up.update(13.9, 50 + 14 + 7) == "DEFAULT"  # from before
    assert catch_up.update(14.1, 50 + 14 + 5) == "NONKEY"


def test_a_burst_at_the_start_and_slow_drift_are_no_backlog():
    catch_up = CatchUp()
    assert {catch_up.update(i / 25, 10.0) for i in range(75)} == {"DEFAULT"}  # three seconds at once
    # The camera's clock is slower by 0.05 percent, for two hours.
    drifting = {catch_up.update(3 + second, 10 + second * 1.0005) for second in range(7200)}
    assert drifting == {"DEFAULT"}


def test_the_arrival_of_the_frame_on_display():
    arrivals = Arrivals(2.0)
    for i in range(100):
        arrivals.add(i * 0.5, 1000 + i)
    assert arrivals.of(49.5) == 1099
    assert arrivals.of(49.4) == 1098
    assert arrivals.of(48.0) == 1096
    assert arrivals.of(0.0) >= 1090  # forgotten: the first that is known
