"""One place for each source: the newest keyframe waits, older ones are dropped and counted, nothing queues."""

from __future__ import annotations

import threading
import time

import numpy as np
from concurrency import wait_until
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.inference.live.newest import NewestKeyframes
from ava_detect.inference.live.spacing import Spacing
from ava_detect.structures import Clip
from ava_detect.video.clip_sampler import Keyframe
from ava_detect.video.live.reader import SeenKeyframe


def seen(seconds: float, *, side: int = 8, is_last: bool = False) -> SeenKeyframe:
    clip = Clip(np.zeros((2, side, side, 3), np.uint8), seconds, 1)
    return SeenKeyframe(Keyframe(clip, None), 0.0, is_last)


def shape(keyframe: SeenKeyframe) -> object:
    return keyframe.keyframe.clip.frames.shape


def taken(newest: NewestKeyframes, most: int = 1) -> list[tuple[int, float, int]]:
    return [
        (number, one.keyframe.timestamp_seconds, dropped)
        for number, one, dropped in newest.take(most, shape, time.monotonic() + 0.05)
    ]


def test_a_newer_keyframe_takes_the_place_of_the_one_that_waits():
    newest = NewestKeyframes(1, threading.Event())
    for second in range(5):
        newest.offer(0, seen(second))
    assert taken(newest) == [(0, 4, 4)]
    assert taken(newest) == []
    newest.offer(0, seen(7))
    assert taken(newest) == [(0, 7, 0)]
    assert newest.num_dropped(0) == 4


def test_sources_take_turns():
    newest = NewestKeyframes(3, threading.Event())
    order = []
    for second in range(4):
        for source in range(3):
            newest.offer(source, seen(second))
        order += [taken(newest)[0][0], taken(newest)[0][0]]
    assert order == [0, 1, 2, 0, 1, 2, 0, 1]


def test_only_clips_of_one_shape_go_together():
    newest = NewestKeyframes(4, threading.Event())
    for source, side in enumerate((8, 16, 8, 8)):
        newest.offer(source, seen(1.0, side=side))
    assert [number for number, _, _ in taken(newest, most=2)] == [0, 2]
    assert [number for number, _, _ in taken(newest, most=8)] == [1]
    assert [number for number, _, _ in taken(newest, most=8)] == [3]


def test_the_last_keyframes_of_a_file_wait_for_each_other():
    stop = threading.Event()
    newest = NewestKeyframes(1, stop)

    def offer_all() -> None:
        for second in range(3):
            newest.offer(0, seen(second, is_last=True))
        newest.close(0)

    thread = threading.Thread(target=offer_all)
    thread.start()
    found = []
    while batch := newest.take(1, shape):
        found += [(one.keyframe.timestamp_seconds, dropped) for _, one, dropped in batch]
    thread.join()
    assert found == [(0, 0), (1, 0), (2, 0)]


def test_waiting_ends_when_it_is_stopped():
    stop = threading.Event()
    newest = NewestKeyframes(1, stop)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(newest.take(1, shape)))
    thread.start()
    stop.set()
    wait_until(lambda: ended == [[]])
    thread.join()


def test_the_time_is_over_also_where_a_keyframe_always_waits():
    newest = NewestKeyframes(1, threading.Event())
    newest.offer(0, seen(0))
    assert newest.take(1, shape, time.monotonic()) == []


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_every_keyframe_is_taken_or_counted(steps):
    newest = NewestKeyframes(3, threading.Event())
    offered, done, since = [0, 0, 0], [0, 0, 0], [0, 0, 0]
    for number, (source, is_taken) in enumerate(steps):
        newest.offer(source, seen(number))
        offered[source] += 1
        if is_taken:
            for place, _, dropped in taken(newest, most=3):
                done[place] += 1
                since[place] += dropped
    for place, _, dropped in taken(newest, most=3):
        done[place] += 1
        since[place] += dropped
    assert since == [newest.num_dropped(source) for source in range(3)]
    assert [a + b for a, b in zip(done, since, strict=True)] == offered


def test_the_usual_distance_is_the_median_of_the_last_ones_and_what_drops_explain():
    spacing = Spacing(1.0)
    assert [spacing.update(second, 0) for second in (0, 1, 2, 3)] == [1, 1, 1, 1]
    # Of 6 and 9 two were left out before each; 12 follows a loss, of which the median tells.
    assert [spacing.update(second, dropped) for second, dropped in ((6, 2), (9, 2), (12, 0))] == [3, 3, 3]
