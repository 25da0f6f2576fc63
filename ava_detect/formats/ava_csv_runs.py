"""Runs of csv rows that differ only in their last two cells, found with whole-array operations.

A detector writes one row per person and action, so 60 to 80 consecutive rows share the video id, the timestamp and the
box, and only these need to be parsed once. From the bytes of a block this module finds the ends of its lines, the
starts of the last two cells, and the lines whose earlier cells differ from those of the line above. Blocks that are not
plain enough are left to a csv parser, so both give the same values for every cell.

Shapes: R rows; U runs of rows; B bytes of the buffer. The *head* of a run is its first row without the last two cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]

MARGIN_BYTES = 128  # bytes of the buffer, of any content, that must be readable before and after a block
_TAIL_BYTES = 32  # length of the window at a line's end that must contain the last two cells; one comma is one bit
_INLINE_BYTES = 12  # Arrow stores strings of at most this length in the view itself
# Masks of the first n bytes, n = 0..8, of a little-endian 64-bit word.
_FIRST_BYTES_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)


@dataclass(frozen=True, eq=False)
class RowRuns:
    """The runs of a block of rows.

    Attributes:
        heads: The heads as csv text, uint8 ``[U, width + 1]``: one line each, padded with blanks.
        lengths: int64 ``[U]``, the number of rows of each run.
        second_last: The second last cell of each row, an Arrow array of R strings that are views of the buffer.
        last: The last cell of each row, likewise.
        longest_second_last: The length of the longest cell of ``second_last``, in bytes.
    """

    heads: ByteArray
    lengths: IntArray
    second_last: Any
    last: Any
    longest_second_last: int


def find_runs(buffer: bytearray, start: int, stop: int) -> RowRuns | None:
    """Find the runs of the lines in ``buffer[start:stop]``.

    Args:
        buffer: The text, with at least ``MARGIN_BYTES`` before ``start`` and after ``stop``.
        start: Offset of the first line.
        stop: Offset of the end of the last line.

    Returns:
        The runs; None if the text is not plain: a line does not end with a bare line feed, is blank, has fewer than
        three cells, or has very long cells, or there is a quote.
    """
    assert start >= MARGIN_BYTES and stop + MARGIN_BYTES <= len(buffer)
    if (
        start == stop
        or buffer[stop - 1] != ord("\n")
        or any(buffer.find(odd, start, stop) >= 0 for odd in (b'"', b"\r"))
    ):
        return None
    text = np.frombuffer(buffer, np.uint8)  # [B]
    # Offsets of each line's line feed and first byte.
    ends = np.flatnonzero(text[start:stop] == ord("\n")) + start  # [R]
    starts = np.concatenate([[start], ends[:-1] + 1])  # [R]
    # The commas of each line's last 32 bytes as the bits of one number, the last byte in the lowest bit. The position
    # of a bit is then the number of bytes between the comma and the line's end.
    is_comma = _windows(text, ends - _TAIL_BYTES, _TAIL_BYTES) == ord(",")  # [R, 32]
    commas = np.packbits(is_comma).view(">u4").astype(np.uint32)  # [R]
    # Clear the lowest bit, the last comma; each line needs another one.
    other_commas = commas & (commas - np.uint32(1))  # [R]
    if not other_commas.all():
        return None
    last, second_last = _lowest_bit(commas), _lowest_bit(other_commas)  # [R], [R]
    # Length of each line's text before its second last comma.
    shared = ends - 1 - second_last - starts  # [R]
    if not 0 < shared.min() <= shared.max() <= MARGIN_BYTES:
        return None
    heads, lengths = _runs(text, starts, shared)
    # The last cell has `last` bytes; the second last one lies between the two commas.
    return RowRuns(
        heads,
        lengths,
        _views(buffer, ends - second_last, second_last - last - 1),
        _views(buffer, ends - last, last),
        int((second_last - last).max()) - 1,
    )


def _runs(text: ByteArray, starts: IntArray, shared: IntArray) -> tuple[ByteArray, IntArray]:
    """Split rows into runs of equal leading text.

    Args:
        text: The buffer ``[B]``.
        starts: Offsets ``[R]`` of the lines.
        shared: Lengths ``[R]`` in bytes of each line's text before its last two cells.

    Returns:
        The heads as lines of text ``[U, width + 1]``, and the number of rows ``[U]`` of each run.
    """
    # Compare eight bytes at once: the longest text, rounded up to whole 64-bit words.
    width = -(-int(shared.max()) // 8) * 8
    words = _windows(text, starts, width).view("<u8")  # [R, width / 8], a copy of the text
    # A row is a head if the length or any word of its text differs from the row above; the first row always is.
    is_head = np.ones(len(starts), np.bool_)  # [R]
    differs = is_head[1:]  # a view, so that writing to it fills is_head
    np.not_equal(shared[1:], shared[:-1], out=differs)
    shortest = int(shared.min())
    for position, column in enumerate(words.T):
        # Set bytes after the end of a row's text to zero; needed only where a word can extend beyond it.
        if shortest < 8 * (position + 1):
            column &= _FIRST_BYTES_MASKS[np.clip(shared - 8 * position, 0, 8)]
        differs |= column[1:] != column[:-1]
    heads = np.flatnonzero(is_head)  # [U]
    # Write the heads as lines of one width, padded with blanks, each ended by a line feed.
    lines = np.full((len(heads), width + 1), ord(" "), np.uint8)
    is_text = np.arange(width) < shared[heads, None]  # [U, width]
    np.copyto(lines[:, :-1], words[heads].view(np.uint8), where=is_text)
    lines[:, -1] = ord("\n")
    return lines, np.diff(heads, append=len(starts))


def _windows(text: ByteArray, starts: IntArray, width: int) -> ByteArray:
    """Copy ``width`` bytes from each of the offsets ``starts`` ``[R]``: uint8 ``[R, width]``."""
    # A view with one overlapping element of `width` bytes per byte of the text; indexing it copies whole windows.
    overlapping = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))
    return overlapping[starts].view(np.uint8).reshape(-1, width)


def _lowest_bit(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    """Find the position of the lowest set bit of each number ``[R]``, each above 0."""
    # Isolate the bit; as a float32 it is a power of two, whose exponent (biased by 127) is the position.
    lowest = bits & (~bits + np.uint32(1))
    return (lowest.astype(np.float32).view(np.int32) >> 23) - 127


def _views(buffer: bytearray, starts: IntArray, lengths: npt.NDArray[np.int32]) -> Any:
    """Build an Arrow array of R strings from parts of the buffer; only short strings are copied."""
    # Arrow's string view has 16 bytes: the length (4), then the text of up to 12 bytes. For a longer string: the first
    # 4 bytes of the text, the number of the data buffer (4), and the offset in it (4).
    # Copying 16 bytes from 4 bytes before each string puts its first 12 bytes where the view needs them.
    views = _windows(np.frombuffer(buffer, np.uint8), starts - 4, 16).view("<i4")  # [R, 4]
    views[:, 0] = lengths
    longer = np.flatnonzero(lengths > _INLINE_BYTES)
    views[longer, 2] = 0
    views[longer, 3] = starts[longer]
    return pa.Array.from_buffers(pa.string_view(), len(starts), [None, pa.py_buffer(views), pa.py_buffer(buffer)])
