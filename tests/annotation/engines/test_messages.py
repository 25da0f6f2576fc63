"""Messages arrive as they were sent, with their large arrays in memory that is theirs alone."""

from __future__ import annotations

import multiprocessing
import sys
import threading

import numpy as np
import pytest

from ava_detect.annotation.engines import messages as wire


@pytest.fixture
def pipe():
    ours, theirs = multiprocessing.Pipe()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3_000_000, dtype=np.float32).reshape(3, 1000, 1000),
        np.asfortranarray(np.arange(1 << 17, dtype=np.int16).reshape(256, 512)),
        np.arange(1 << 18, dtype=np.uint8).reshape(512, 512)[:, ::2],
        np.zeros((0, 4), np.float32),
        np.arange(5),
    ],
    ids=["large", "by columns", "every second", "empty", "small"],
)
def test_arrays_arrive_whole_and_may_be_written_to(pipe, array):
    ours, theirs = pipe
    # A pipe holds less than a large array: one side writes while the other reads.
    sender = threading.Thread(target=wire.send, args=(ours, ("ask", {"frames": array, "name": "a"})))
    sender.start()
    kind, message = wire.receive(theirs)
    sender.join()
    assert (kind, message["name"]) == ("ask", "a")
    np.testing.assert_array_equal(message["frames"], array)
    assert message["frames"].dtype == array.dtype
    message["frames"][...] = 1


def test_messages_keep_their_order(pipe):
    ours, theirs = pipe
    messages = [np.full(100_000, 7, np.uint8), "between", b"x" * 100_000, np.full(70_000, 8, np.uint8)]

    def send():
        for message in messages:
            wire.send(ours, message)

    sender = threading.Thread(target=send)
    sender.start()
    for message in messages:
        np.testing.assert_array_equal(wire.receive(theirs), message)
    sender.join()


def test_a_message_that_breaks_off_is_an_end_of_file(pipe):
    ours, theirs = pipe
    ours.send((b"", [100]))
    ours.close()
    with pytest.raises((EOFError, OSError)):
        wire.receive(theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="a connection is passed on through a Unix socket")
def test_a_connection_is_passed_on(pipe):
    ours, theirs = pipe
    kept, given = multiprocessing.Pipe()
    wire.send(ours, {"use": given, "frames": np.full(100_000, 7, np.uint8)})
    given.close()
    wire.send(ours, "next")
    message = wire.receive(theirs)
    with kept, message["use"] as received:
        received.send("hello")
        assert kept.recv() == "hello"
    assert message["frames"].sum() == 700_000
    assert wire.receive(theirs) == "next"
