"""What pyarrow reads belongs to pyarrow, so its threads never need Python's lock to let go of it."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.formats.arrow_files import native_copy


@pytest.mark.parametrize(
    "data", [b"", b"one,two\n", memoryview(b"xone,twox")[1:-1], np.arange(12, dtype=np.uint8).reshape(3, 4)]
)
def test_a_copy_holds_the_bytes(data):
    assert native_copy(data).read() == bytes(data)


def test_a_copy_does_not_hold_its_source():
    source = bytearray(b"one,two")
    copy = native_copy(memoryview(source))
    source += b"more"  # a bytearray whose memory is in use cannot be resized
    source[:] = bytes(len(source))
    assert copy.read() == b"one,two"
