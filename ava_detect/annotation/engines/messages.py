"""Messages to another process: pickles, with large arrays sent apart from them, which saves copies.

Where a connection between two processes is a Unix socket, a message may hold connections, which the receiver then has.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

# Copying a smaller buffer takes less time than sending it apart.
_MIN_BYTES_APART = 1 << 16


def send(pipe: Connection, message: Any) -> None:
    """Send a message; one thread at a time.

    Args:
        pipe: The connection.
        message: Anything that pickles, and connections where there are Unix sockets.

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

    data = io.BytesIO()
    pickler = _Pickler(data, stays_inside)
    pickler.dump(message)
    pipe.send((data.getvalue(), [raw.nbytes for raw in apart]))
    for raw in apart:
        _write(pipe, raw)
    for connection in pickler.connections:
        reduction.send_handle(pipe, connection.fileno(), None)


def receive(pipe: Connection) -> Any:
    """Return the next message.

    Args:
        pipe: The connection.

    Raises:
        EOFError: The other side has ended; on some systems ``OSError``.
    """
    data, sizes = pipe.recv()
    return _Unpickler(io.BytesIO(data), [_read(pipe, size) for size in sizes], pipe).load()


class _Pickler(pickle.Pickler):
    """Leaves connections out of the pickle, for the receiver to take in the same order."""

    def __init__(self, file: io.BytesIO, buffer_callback: Callable[[pickle.PickleBuffer], bool]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self.connections: list[Connection] = []

    def persistent_id(self, value: Any) -> bool | None:
        if not isinstance(value, Connection):
            return None
        self.connections.append(value)
        return True


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: list[Any], pipe: Connection) -> None:
        super().__init__(file, buffers=buffers)
        self._pipe = pipe

    def persistent_load(self, _: Any) -> Connection:
        return Connection(reduction.recv_handle(self._pipe))


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
