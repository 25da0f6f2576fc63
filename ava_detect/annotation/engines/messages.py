"""Messages to another process: pickles, with large arrays sent apart from them, which saves copies."""

from __future__ import annotations

import os
import pickle
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

# Copying a smaller buffer takes less time than sending it apart.
_MIN_BYTES_APART = 1 << 16


def send(pipe: Connection, message: Any) -> None:
    """Send a message; one thread at a time.

    Args:
        pipe: The connection.
        message: Anything that pickles.

    Raises:
        OSError: The other side has ended.
    """
    apart: list[memoryview] = []

    def stays_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= _MIN_BYTES_APART:
            apart.append(raw)
            return False
        return True

    data = pickle.dumps(message, protocol=5, buffer_callback=stays_inside)
    pipe.send((data, [raw.nbytes for raw in apart]))
    for raw in apart:
        _write(pipe, raw)


def receive(pipe: Connection) -> Any:
    """Return the next message.

    Args:
        pipe: The connection.

    Raises:
        EOFError: The other side has ended; on some systems ``OSError``.
    """
    data, sizes = pipe.recv()
    return pickle.loads(data, buffers=[_read(pipe, size) for size in sizes])


def _write(pipe: Connection, raw: memoryview) -> None:
    if not hasattr(os, "readv"):
        return pipe.send_bytes(raw)
    while raw:
        raw = raw[os.write(pipe.fileno(), raw) :]
    return None


def _read(pipe: Connection, size: int) -> Any:
    """Read ``size`` bytes into writable memory; ``Connection`` itself would copy them twice."""
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
