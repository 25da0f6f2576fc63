"""JSON that this package reads back: parsed strictly, and each value checked against what may stand there.

Files of results and records are edited by hand, cut, and copied over one another. A value that this package never
writes is an error with its name, what was got and what is allowed; the caller adds the file and the line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import IO, Any

from ava_detect.errors import shown

#: The exceptions that reading a file may raise that is not as this package writes it, UnicodeDecodeError included.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
_LONGEST_LINE_BYTES = 1 << 28
LARGEST_INT64 = 2**63 - 1
LARGEST_INT32 = 2**31 - 1
#: Largest time that is taken for one, 31 years in seconds.
LARGEST_SECONDS = 1e9


def iter_whole_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Read a file line by line, and never more than 256 MiB at once: a file of zeros is one line without end.

    Args:
        file: An open binary file.

    Yields:
        The number of each line, from 1, and the line with its line feed; the last may have none.

    Raises:
        ValueError: A line is longer.
    """
    for number in count(1):
        line = file.readline(_LONGEST_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > _LONGEST_LINE_BYTES:
            raise ValueError(f"line {number} has more than {_LONGEST_LINE_BYTES:,} bytes")
        yield number, line


def parse_json(data: bytes) -> Any:
    """Parse one JSON value; NaN and infinities, which are no JSON, are refused.

    Args:
        data: UTF-8 text, with or without a byte order mark.

    Returns:
        The value.

    Raises:
        ValueError: The bytes are not UTF-8 or not JSON.
        RecursionError: The value is nested too deep.
    """
    return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"it holds {text}, which is no number")


def check_type(name: str, value: object, expected: Any) -> None:
    """Raise where a value has another type than expected.

    Args:
        name: Name of the value, for the message.
        value: The value.
        expected: A type or a union of types; ``bool`` is never one of them, although Python counts it as an integer.

    Raises:
        TypeError: The type differs.
    """
    if isinstance(value, bool) or not isinstance(value, expected):
        raise TypeError(f"{name} holds {value!r:.80}")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise where a value is not a finite number of a range.

    Args:
        name: Name of the value, for the message.
        value: The value.
        low: Least allowed number.
        high: Largest allowed number.

    Raises:
        TypeError: The value is no number.
        ValueError: The number is out of range, or not finite.
    """
    if type(value) is not float and type(value) is not int:
        raise TypeError(f"{name} is a number, got {value!r:.80}")
    if not low <= value <= high:
        raise ValueError(f"{name} is a number from {low:g} to {high:g}, got {value!r:.80}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise where a value is not a whole number of a range.

    Args:
        name: Name of the value, for the message.
        value: The value.
        low: Least allowed number.
        high: Largest allowed number.

    Raises:
        TypeError: The value is no whole number.
        ValueError: The number is out of range.
    """
    if type(value) is not int:
        raise TypeError(f"{name} is a whole number, got {value!r:.80}")
    if not low <= value <= high:
        raise ValueError(f"{name} is a whole number from {low} to {high}, got {value!r:.80}")


def check_text(name: str, value: object) -> None:
    """Raise where a value is not text that can be written as UTF-8.

    Args:
        name: Name of the value, for the message.
        value: The value.

    Raises:
        TypeError: The value is no text.
        ValueError: It holds half a character (a lone surrogate).
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is text, got {value!r:.80}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character: {value!r:.80}") from None


def reason_of(error: BaseException) -> str:
    """Describe one of the errors of ``MALFORMED`` for a message.

    Args:
        error: The error.

    Returns:
        A clause without line breaks and control characters.
    """
    if isinstance(error, KeyError):
        return shown(f"{error.args[0] if error.args else 'an entry'} is missing")
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"the text is not UTF-8: byte {error.start + 1} is {error.object[error.start]:#04x}"
    if isinstance(error, json.JSONDecodeError):
        return shown(f"no JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    if "set_int_max_str_digits" in str(error):
        return "a number has thousands of digits"
    return shown(error) or type(error).__name__
