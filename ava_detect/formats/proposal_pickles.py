"""Person boxes in pickles, as mmaction2 and Long-Term Feature Banks publish AVA's proposals; read without running them.

The file holds a dictionary of ``"VIDEO,SECOND"``, or of ``(VIDEO, SECOND)``, to the rows of one keyframe: x1, y1, x2,
y2 as fractions of the frame and, in most files, a score.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.storage.numpy_pickle import NumpyPickle
from ava_detect.storage.pickles import PickleRefusedError

_SUFFIXES = (".pkl", ".pickle")
# The first byte of every binary pickle, which no text in UTF-8 begins with.
_FIRST_BYTE = b"\x80"
# The file is read as a whole; a million keyframes take less.
_MAX_BYTES = 1 << 30
_FORM = "a dictionary of 'VIDEO,SECOND' to rows of x1 y1 x2 y2 and a score, in fractions of the frame"


class _ProposalPickle(NumpyPickle):
    # AVA's training set has 211,000 keyframes, each an array of some 15 operations.
    max_opcodes = 20_000_000


def is_pickle_file(path: str | Path) -> bool:
    """Return whether a file of boxes is a pickle, by its name or its first byte.

    Args:
        path: The file.

    Returns:
        Whether it is; False where it cannot be opened.
    """
    if Path(path).suffix.lower() in _SUFFIXES:
        return True
    try:
        # A pipe can be read only once.
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return file.read(1) == _FIRST_BYTE
    except OSError:
        return False


def read_proposal_pickle(path: str | Path) -> AvaTable:
    """Read a pickle of proposals.

    Args:
        path: The file.

    Returns:
        A row per box, in the order of the file; a row that only lists its keyframe where it has no box.

    Raises:
        FormatError: If the file cannot be read, holds more than numbers, or has another form.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise FormatError(f"{shown(path)}: a pickle of proposals is {_FORM}, got a {type(content).__name__}")
    return proposals_of(content, path)


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of plain values and arrays of numbers without running it.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        FormatError: If the file cannot be read, or holds more.
    """
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        return _ProposalPickle(Path(path).read_bytes()).load()
    except PickleRefusedError as error:
        raise FormatError(
            f"{shown(path)}: this pickle cannot be read as proposals ({shown(error)}); nothing in it was run. Such a "
            f"file is {_FORM}; a csv of video, second, x1, y1, x2, y2 can be read, too"
        ) from error
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({error.strerror or error})") from error


def proposals_of(content: Mapping[Any, Any], path: str | Path) -> AvaTable:
    """Return the rows of the dictionary of a pickle of proposals.

    Args:
        content: The dictionary.
        path: Its file, for messages.

    Returns:
        As ``read_proposal_pickle``.

    Raises:
        FormatError: If it has another form.
    """
    video_ids: list[str] = []
    seconds: list[float] = []
    rows: list[npt.NDArray[np.float64]] = []
    for key, value in content.items():
        video_id, second = _keyframe(key, path)
        boxes = _rows(value, key, path)
        video_ids += [video_id] * len(boxes)
        seconds += [second] * len(boxes)
        rows.append(boxes)
    columns = np.concatenate([np.empty((0, 5)), *rows])  # [R, 5]
    return AvaTable.from_columns(video_ids, seconds, columns[:, :4], scores=columns[:, 4])


def _keyframe(key: Any, path: str | Path) -> tuple[str, float]:
    """The video and the second of a key."""
    parts = key.rpartition(",")[::2] if isinstance(key, str) else key
    if isinstance(parts, tuple) and len(parts) == 2 and isinstance(parts[0], str) and parts[0]:
        try:
            second = float(parts[1])
        except (TypeError, ValueError, OverflowError):
            second = np.nan
        if np.isfinite(second):
            return parts[0], second
    raise FormatError(f"{shown(path)}: a pickle of proposals is {_FORM}, got the key {shown(repr(key))[:80]}")


def _rows(value: Any, key: Any, path: str | Path) -> npt.NDArray[np.float64]:
    """The boxes of a keyframe and their scores, NaN where there are none: ``[N, 5]``; one row of NaN without boxes."""
    try:
        boxes = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError):
        boxes = np.empty(0)
    if isinstance(value, list | np.ndarray) and boxes.size == 0 and len(value) == 0:
        return np.full((1, 5), np.nan)
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5) or not np.isfinite(boxes).all():
        raise FormatError(
            f"{shown(path)}: a pickle of proposals is {_FORM}; at {shown(repr(key))[:80]} it has other values"
        )
    return boxes if boxes.shape[1] == 5 else np.insert(boxes, 4, np.nan, axis=1)
