from __future__ import annotations

import threading
import time

import pytest

from ava_detect.background import in_background


def counting(made, end=10**9, closed=None):
    try:
        for number in range(end):
            made.append(threading.current_thread().name)
            yield number
    finally:
        if closed is not None:
            closed.append(threading.current_thread().name)


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within 5 seconds")


def test_the_same_items_in_the_same_order_from_another_thread():
    made = []
    assert list(in_background(counting(made, 100), 3)) == list(range(100))
    assert threading.current_thread().name not in made


@pytest.mark.parametrize("depth", [1, 3])
def test_a_slow_consumer_stops_the_maker(depth):
    made = []
    items = in_background(counting(made), depth)
    next(items)
    wait_until(lambda: len(made) == 1 + depth)
    time.sleep(0.05)
    assert len(made) == 1 + depth
    items.close()


def test_an_error_comes_after_what_was_made_before_it():
    def failing():
        yield 1
        yield 2
        raise KeyError("broken")

    items = in_background(failing(), 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_closing_ends_the_thread_and_closes_the_items():
    made, closed, before = [], [], threading.active_count()
    items = in_background(counting(made, closed=closed), 2)
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
    assert len(closed) == 1


def test_nothing_starts_before_it_is_asked_for():
    made, before = [], threading.active_count()
    in_background(counting(made), 2).close()
    assert (made, threading.active_count()) == ([], before)


def test_two_in_a_row_end_together_whichever_is_closed():
    before = threading.active_count()
    made = []
    first = in_background(counting(made), 2)
    second = in_background((2 * n for n in first), 2)
    assert [next(second), next(second)] == [0, 2]
    second.close()
    first.close()
    assert threading.active_count() == before
