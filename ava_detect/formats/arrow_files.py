"""Files and text for pyarrow, held by Arrow itself and never by a Python object.

Arrow's threads can release their last reference to what they read after the read has returned. If that is a Python
object, the thread needs the interpreter's lock; where the interpreter is just ending, it is ended inside a C++
destructor, and the whole process is aborted (SIGABRT), though its work is done.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def open_native(path: str | Path, mode: str = "rb") -> pa.NativeFile:
    """Open a file for pyarrow, which takes a path only if it is UTF-8.

    Args:
        path: The file.
        mode: ``"rb"`` or ``"wb"``.

    Returns:
        The open file; a context manager.
    """
    return pa.OSFile(os.fsencode(path), mode)


def native_copy(data: bytes | memoryview | npt.NDArray[np.uint8]) -> pa.BufferReader:
    """Copy bytes into Arrow's own memory, for its readers.

    Args:
        data: The bytes, contiguous.

    Returns:
        A file of them.
    """
    view = memoryview(data)  # type: ignore[arg-type]  # an array is a buffer; Python 3.11's types cannot say so
    size = view.nbytes
    # The default memory pool keeps freed memory: a 20 MB higher peak, and no faster.
    buffer = pa.allocate_buffer(size, memory_pool=pa.system_memory_pool())
    np.frombuffer(buffer, np.uint8)[:] = np.frombuffer(view, np.uint8) if size else ()
    return pa.BufferReader(buffer)
