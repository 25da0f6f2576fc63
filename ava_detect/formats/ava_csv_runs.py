"""Rows of an AVA csv that repeat each other: what they share is parsed once.

A detector writes one row per person and action, 60 to 80 neighbours with the same video, timestamp and box. Here
the text of a block of rows is taken apart by whole-array operations: where its lines end, where the last two cells
begin, and where the text before those differs from the line above. R rows in U runs; a *head* is the first row of a
run. Only blocks of plain rows are understood, and others are left to the csv parser, so that both agree on each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]

MARGIN_BYTES = 128  # to be readable before and behind a block, whatever is there
_TAIL_BYTES = 32  # in which the last two cells are looked for: room for an action and 17 digits
_INLINE_BYTES = 12  # Arrow keeps shorter strings in the view itself
# The first n bytes of a word, n from 0 to 8.
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)


@dataclass(frozen=True, eq=False)
class RowRuns:
    """``heads``: the heads as csv text without their last two cells. ``lengths``: int64 ``[U]``, rows per run.

    ``second_last``, ``last``: the last two cells of each row, Arrow arrays of R strings that are views of the text.
    ``longest_second_last``: bytes.
    """

    heads: ByteArray
    lengths: IntArray
    second_last: Any
    last: Any
    longest_second_last: int


def find_runs(buffer: bytearray, start: int, stop: int) -> RowRuns | None:
    """The runs of the whole lines in ``buffer[start:stop]``, or None where the text is not plain enough.

    Plain: every line ends with ``\\n``, none is blank, and nothing is quoted. ``MARGIN_BYTES`` of the buffer must lie
    on either side.
    """
    assert start >= MARGIN_BYTES and stop + MARGIN_BYTES <= len(buffer)
    if (
        start == stop
        or buffer[stop - 1] != ord("\n")
        or any(buffer.find(odd, start, stop) >= 0 for odd in (b'"', b"\r"))
    ):
        return None
    text = np.frombuffer(buffer, np.uint8)
    ends = np.flatnonzero(text[start:stop] == ord("\n")) + start
    starts = np.concatenate([[start], ends[:-1] + 1])
    # A window's comma bits, the last byte lowest: the last comma is the lowest bit, the one before it the next.
    is_comma = _windows(text, ends - _TAIL_BYTES, _TAIL_BYTES) == ord(",")
    commas = np.packbits(is_comma).view(">u4").astype(np.uint32)
    others = commas & (commas - np.uint32(1))
    if not others.all():
        return None
    last, second_last = _lowest_bit(commas), _lowest_bit(others)
    shared = ends - 1 - second_last - starts
    if not 0 < shared.min() <= shared.max() <= MARGIN_BYTES:
        return None
    heads, lengths = _runs(text, starts, shared)
    return RowRuns(
        heads,
        lengths,
        _views(buffer, ends - second_last, second_last - last - 1),
        _views(buffer, ends - last, last),
        int((second_last - last).max()) - 1,
    )


def _runs(text: ByteArray, starts: IntArray, shared: IntArray) -> tuple[ByteArray, IntArray]:
    """The heads as lines of text, and how many rows each has; ``shared``: bytes ``[R]`` that a run has in common."""
    width = -(-int(shared.max()) // 8) * 8
    words = _windows(text, starts, width).view("<u8")
    is_head = np.ones(len(starts), np.bool_)
    differs = is_head[1:]
    np.not_equal(shared[1:], shared[:-1], out=differs)
    shortest = int(shared.min())
    for place, column in enumerate(words.T):
        if shortest < 8 * (place + 1):
            column &= _FIRST_BYTES[np.clip(shared - 8 * place, 0, 8)]
        differs |= column[1:] != column[:-1]
    heads = np.flatnonzero(is_head)
    lines = np.full((len(heads), width + 1), ord(" "), np.uint8)
    belongs = np.arange(width) < shared[heads, None]
    np.copyto(lines[:, :-1], words[heads].view(np.uint8), where=belongs)
    lines[:, -1] = ord("\n")
    return lines, np.diff(heads, append=len(starts))


def _windows(text: ByteArray, starts: IntArray, width: int) -> ByteArray:
    """``width`` bytes from each of the places ``starts`` ``[R]`` on: uint8 ``[R, width]``."""
    at_each_byte = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))
    return at_each_byte[starts].view(np.uint8).reshape(-1, width)


def _lowest_bit(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    """The place of the lowest bit that is set, by way of a float's exponent."""
    lowest = bits & (~bits + np.uint32(1))
    return (lowest.astype(np.float32).view(np.int32) >> 23) - 127


def _views(buffer: bytearray, starts: IntArray, lengths: npt.NDArray[np.int32]) -> Any:
    """Parts of the buffer as an Arrow array of strings, without copying more than the short ones' text."""
    # Arrow's layout: the length, and 12 bytes of text or, of longer ones, 4 bytes, the buffer's number and the place.
    views = _windows(np.frombuffer(buffer, np.uint8), starts - 4, 16).view("<i4")
    views[:, 0] = lengths
    longer = np.flatnonzero(lengths > _INLINE_BYTES)
    views[longer, 2] = 0
    views[longer, 3] = starts[longer]
    return pa.Array.from_buffers(pa.string_view(), len(starts), [None, pa.py_buffer(views), pa.py_buffer(buffer)])
