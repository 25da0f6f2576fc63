"""Files and text for pyarrow, held by Arrow itself and never by a Python object.

Arrow's threads can release their last reference to what they read after the read has returned. If that is a Python
object, the thread needs the interpreter's lock; where the interpreter is just ending, it is ended inside a C++
destructor, and the whole process is aborted (SIGABRT), though its work is done.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: What pyarrow raises where it cannot read a file; the last one where the name of a column is not UTF-8.
READ_ERRORS = (OSError, pa.ArrowException, UnicodeDecodeError)


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


def number_column(values: npt.NDArray[np.generic]) -> pa.Array:
    """Copy numbers into a column. ``pa.array`` would import pandas for it, which takes a quarter of a second.

    Args:
        values: Numbers ``[R]``.

    Returns:
        The column, without nulls.
    """
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, _buffer(values)])


def text_column(texts: Sequence[str | None]) -> pa.DictionaryArray:
    """Copy texts into a column with a dictionary; ``pa.array`` would import pandas for it, too.

    Args:
        texts: Texts ``[R]``; None for a null.

    Returns:
        The column, int32 numbers of texts; its dictionary has the texts in the order of their first appearance.
    """
    distinct = {text: number for number, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    encoded = [text.encode() for text in distinct]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    dictionary = pa.StringArray.from_buffers(len(encoded), _buffer(ends), native_copy(b"".join(encoded)).read_buffer())
    numbers = np.array([0 if text is None else distinct[text] for text in texts], np.int32)
    # One bit for each row, the first row's the lowest of the first byte.
    is_text = np.packbits(np.array([text is not None for text in texts], bool), bitorder="little")
    rows = pa.Array.from_buffers(pa.int32(), len(texts), [_buffer(is_text), _buffer(numbers)])
    return pa.DictionaryArray.from_arrays(rows, dictionary)


def _buffer(values: npt.NDArray[np.generic]) -> pa.Buffer:
    return native_copy(np.ascontiguousarray(values)).read_buffer()
