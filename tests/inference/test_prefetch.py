from __future__ import annotations

import itertools
import signal
import threading
import time
from contextlib import closing

import pytest
from concurrency import wait_until

from ava_detect.inference.prefetch import ordered_map, prefetch, start_prefetch


def counting(made, end=10**9, closed=None):
    try:
        for number in range(end):
            made.append(threading.current_thread().name)
            yield number
    finally:
        if closed is not None:
            closed.append(threading.current_thread().name)


def test_the_same_items_in_the_same_order_from_another_thread():
    made = []
    assert list(prefetch(counting(made, 100), 3)) == list(range(100))
    assert threading.current_thread().name not in made


@pytest.mark.parametrize("depth", [1, 3])
def test_a_slow_consumer_stops_the_maker(depth):
    made = []
    items = prefetch(counting(made), depth)
    next(items)
    wait_until(lambda: len(made) == 1 + depth)
    time.sleep(0.05)  # for more to be made, if that were possible
    assert len(made) == 1 + depth
    items.close()


def test_an_error_comes_after_what_was_made_before_it():
    def failing():
        yield 1
        yield 2
        raise KeyError("broken")

    items = prefetch(failing(), 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_closing_ends_the_thread_and_closes_the_items():
    made, closed, before = [], [], threading.active_count()
    items = prefetch(counting(made, closed=closed), 2)
    assert next(items) == 0
    items.close()
    assert threading.active_count() <= before
    assert len(closed) == 1


def test_nothing_starts_before_it_is_asked_for():
    made, before = [], threading.active_count()
    prefetch(counting(made), 2).close()
    assert made == [] and threading.active_count() <= before


def test_a_started_prefetch_runs_before_it_is_asked_and_ends_unasked():
    made, before = [], threading.active_count()
    items = start_prefetch(counting(made), 2)
    wait_until(lambda: len(made) == 2)
    assert next(items) == 0
    items.close()
    unasked = start_prefetch(counting([]), 2)
    unasked.close()
    assert threading.active_count() <= before


def test_two_chained_prefetches_end_together():
    before = threading.active_count()
    made = []
    first = prefetch(counting(made), 2)
    second = prefetch((2 * n for n in first), 2)
    assert [next(second), next(second)] == [0, 2]
    second.close()
    first.close()
    assert threading.active_count() <= before


def test_an_interrupt_while_the_thread_starts_leaves_no_thread(monkeypatch):
    start, source = threading.Thread.start, counting([])

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    items = prefetch(source, 2)
    with pytest.raises(KeyboardInterrupt):
        next(items)
    wait_until(lambda: not any(thread.name == "ava-detect prefetch" for thread in threading.enumerate()))
    assert source.gi_frame is None


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to a thread are POSIX")
def test_an_interrupt_while_a_chain_is_closed_is_raised():
    main, go_on, interrupted, waits = threading.get_ident(), threading.Event(), threading.Event(), threading.Event()

    def interrupt(*_):
        interrupted.set()
        raise KeyboardInterrupt

    def slow():
        yield 1
        waits.set()
        go_on.wait(60)
        yield from itertools.repeat(1)

    def interrupt_then_let_the_maker_go_on():
        time.sleep(0.1)  # for the main thread to close the row, and so to wait for the maker
        signal.pthread_kill(main, signal.SIGINT)
        interrupted.wait(60)  # on a busy machine the main thread runs its handler later
        go_on.set()

    def taken(items):
        with closing(items):
            yield from items

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        row = prefetch(taken(prefetch(slow(), 1)), 1)
        next(row)
        assert waits.wait(60)  # closed before, the maker would end without waiting for anything
        with pytest.raises(KeyboardInterrupt):
            threading.Thread(target=interrupt_then_let_the_maker_go_on).start()
            row.close()
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: not any(thread.name == "ava-detect prefetch" for thread in threading.enumerate()))


def nothing():
    pass


def test_order_is_kept_and_no_more_than_asked_for_are_made_at_once():
    lock, inside, most, first_three = threading.Lock(), 0, 0, threading.Barrier(3)

    def slow_when_even(number):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        if number < 3:
            first_three.wait(60)
        time.sleep(0.02 if number % 2 == 0 else 0.001)
        with lock:
            inside -= 1
        return number * 10

    assert list(ordered_map(slow_when_even, iter(range(9)), 3, nothing)) == [number * 10 for number in range(9)]
    assert most == 3


def test_one_at_a_time_is_done_by_the_caller_and_nothing_ahead():
    taken = []
    made = ordered_map(lambda number: (number, threading.current_thread()), map(taken_by(taken), range(5)), 1, nothing)
    assert next(made) == (0, threading.current_thread())
    assert taken == [0]


def taken_by(taken):
    return lambda number: taken.append(number) or number


def test_what_is_held_is_bounded_without_an_end():
    taken = []
    made = ordered_map(str, map(taken_by(taken), itertools.count()), 2, nothing)
    assert [next(made), next(made)] == ["0", "1"]
    assert taken == [0, 1, 2, 3]
    made.close()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_errors_come_in_their_place(num_threads):
    def items():
        yield from (1, 2, 0)
        raise RuntimeError("no more")

    made = ordered_map(lambda number: 10 // number, items(), num_threads, nothing)
    assert [next(made), next(made)] == [10, 5]
    with pytest.raises(ZeroDivisionError):
        next(made)
    made = ordered_map(lambda number: number, items(), num_threads, nothing)
    assert list(itertools.islice(made, 3)) == [1, 2, 0]
    with pytest.raises(RuntimeError, match="no more"):
        next(made)


def test_closing_waits_for_what_is_being_made_and_begins_nothing_more():
    made, started = [], threading.Event()

    def slowly(number):
        started.set()
        time.sleep(0.1)
        made.append(number)
        return number

    results = ordered_map(slowly, iter(range(10)), 2, nothing)
    assert next(results) == 0
    results.close()
    count = len(made)
    assert count <= 4
    time.sleep(0.25)  # for more to be made, if that were possible
    assert len(made) == count


def test_every_thread_is_started_as_asked():
    started = []
    barrier = threading.Barrier(2)

    def together(_):
        barrier.wait(60)
        return threading.current_thread()

    threads = set(ordered_map(together, iter(range(4)), 2, lambda: started.append(threading.current_thread())))
    assert threads == set(started)
