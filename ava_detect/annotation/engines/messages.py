"""Messages to another process: pickles, with large arrays beside them, so that nobody copies those in vain."""

from __future__ import annotations

import os
import pickle
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

# What is smaller is copied sooner than it is sent by itself.
_LEAST_BYTES_BESIDE = 1 << 16


def send(pipe: Connection, message: Any) -> None:
    """Send what pickles; one thread at a time. ``OSError`` where the other side is gone."""
    beside: list[memoryview] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= _LEAST_BYTES_BESIDE:
            beside.append(raw)
            return False
        return True

    data = pickle.dumps(message, protocol=5, buffer_callback=stays_inside)
    pipe.send((data, [raw.nbytes for raw in beside]))
    for raw in beside:
        _write(pipe, raw)


def receive(pipe: Connection) -> Any:
    """The next message. ``EOFError`` or ``OSError`` where the other side is gone."""
    data, sizes = pipe.recv()
    return pickle.loads(data, buffers=[_read(pipe, size) for size in sizes])


def _write(pipe: Connection, raw: memoryview) -> None:
    if not hasattr(os, "readv"):
        return pipe.send_bytes(raw)
    while raw:
        raw = raw[os.write(pipe.fileno(), raw) :]
    return None


def _read(pipe: Connection, size: int) -> Any:
    """So many bytes, in memory that may be written to. ``Connection`` itself would copy them twice."""
    if not hasattr(os, "readv"):
        return bytearray(pipe.recv_bytes())
    buffer = np.empty(size, np.uint8)
    left = buffer.data
    while left:
        got = os.readv(pipe.fileno(), [left])
        if not got:
            raise EOFError
        left = left[got:]
    return buffer
