"""The thresholds above which actions are kept: one for all classes, or one for each, from a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ava_detect.errors import ConfigError, FormatError, require_file, shown
from ava_detect.evaluation.calibration import FORMAT, Calibration, require_same_classes
from ava_detect.formats.json_values import MALFORMED, parse_json, reason_of
from ava_detect.structures import Float32Array
from ava_detect.structures.labels import GREATEST_ACTION_ID, LabelMap

_MAX_BYTES = 1 << 28
_DEFAULT = "default"
_HOW = "give lines `id,threshold` (and `default,0.5` for all other ids), or a file of `ava-detect calibrate`"


@dataclass(frozen=True)
class Thresholds:
    """The least score of an action that is kept, for each class.

    Attributes:
        default: That of the classes without one of their own, 0..1; None where every class must have one.
        by_id: The threshold of single classes by action id; None for a class of which nothing is kept.
        calibration: The calibration that the thresholds are from. They are then of the network's own scores; all other
            thresholds are of the scores as they are written.
        source: Where they are from, for messages.

    Raises:
        ConfigError: A threshold is not in 0..1.

    Example:
        >>> annotate_videos("videos/", "results", weights="demo", thresholds=Thresholds(0.5, {12: 0.8, 80: None}))
    """

    default: float | None = None
    by_id: Mapping[int, float | None] | None = None
    calibration: Calibration | None = None
    source: str = "the thresholds"

    def __post_init__(self) -> None:
        for value in (self.default, *(self.by_id or {}).values()):
            # Written so that NaN is refused, too.
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"`thresholds` are scores from 0 to 1, got {value:g}")
        if self.default is None and self.by_id is None:
            raise ConfigError("`thresholds` holds no threshold; give one for all classes, such as 0.5, or a file")

    @classmethod
    def of(cls, value: float | str | Path | Thresholds) -> Thresholds:
        """Read thresholds as they are given to a function or on the command line.

        Args:
            value: A number for all classes, a file (of ``calibrate``, a csv of ``id,threshold``, or a JSON object of
                ``"id": threshold``), or thresholds.

        Returns:
            The thresholds.

        Raises:
            FormatError: The file cannot be read, or has something else in it.
            ConfigError: A threshold is not in 0..1.
        """
        if isinstance(value, Thresholds):
            return value
        if not isinstance(value, str | Path):
            return cls(float(value))
        try:
            number = float(value) if isinstance(value, str) else None
        except ValueError:
            number = None
        return cls.load(value) if number is None else cls(number)

    @classmethod
    def from_calibration(cls, calibration: Calibration) -> Self:
        """Take the thresholds of a calibration.

        Args:
            calibration: The calibration.

        Returns:
            Its thresholds.
        """
        return cls(None, calibration.thresholds, calibration, calibration.path or "the calibration")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file of thresholds.

        Args:
            path: A file of ``ava-detect calibrate``, a csv of ``id,threshold``, or a JSON object of
                ``"id": threshold``. An empty threshold, or ``null``, keeps nothing of the class; the id ``default``
                stands for all classes that are not named.

        Returns:
            The thresholds.

        Raises:
            FormatError: The file cannot be read, or has something else in it; names the line.
        """
        try:
            require_file(path, max_bytes=_MAX_BYTES)
            data = Path(path).read_bytes()
        except OSError as error:
            raise FormatError(
                f"{shown(path)}: the thresholds cannot be read ({shown(error.strerror or error)}); give a number from "
                "0 to 1, or a file"
            ) from error
        if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return cls._from_json(data, path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FormatError(f"{shown(path)} holds no thresholds (it is no text); {_HOW}") from error
        return cls._from_pairs(_csv_rows(text, path), path)

    @classmethod
    def _from_json(cls, data: bytes, path: str | Path) -> Self:
        try:
            content = parse_json(data)
        except MALFORMED as error:
            raise FormatError(f"{shown(path)} holds no thresholds ({reason_of(error)}); {_HOW}") from error
        if "format" in content and content["format"] == FORMAT:
            return cls.from_calibration(Calibration.load(path))
        return cls._from_pairs(((f"entry {key!r:.40}", str(key), value) for key, value in content.items()), path)

    @classmethod
    def _from_pairs(cls, pairs: Iterator[tuple[str, str, Any]], path: str | Path) -> Self:
        """Build from places in the file, ids and thresholds."""
        by_id: dict[int, float | None] = {}
        default: float | None = None
        seen: set[str] = set()
        for place, key, value in pairs:
            where = f"{shown(path)}, {shown(place)}:"
            threshold = _number(value)
            if threshold is not None and not 0 <= threshold <= 1:
                raise FormatError(f"{where} a threshold is a number from 0 to 1, got {value!r:.80}; {_HOW}")
            if key == _DEFAULT and threshold is None:
                raise FormatError(f"{where} the default needs a threshold; give one, or leave the entry out")
            if key != _DEFAULT and not _is_id(key):
                raise FormatError(f"{where} an id is a whole number from 0 to {GREATEST_ACTION_ID}, got {key!r:.80}")
            name = key if key == _DEFAULT else str(int(key))
            if name in seen:
                raise FormatError(f"{where} {name} is given twice; leave one of them out")
            seen.add(name)
            if key == _DEFAULT:
                default = threshold
            else:
                by_id[int(key)] = threshold
        if not seen:
            raise FormatError(f"{shown(path)} holds no thresholds (it is empty); {_HOW}")
        return cls(default, by_id, None, str(path))

    @property
    def is_of_network_scores(self) -> bool:
        """Whether the thresholds are of the network's own scores, also where calibrated ones are written."""
        return self.calibration is not None

    def of_classes(self, label_map: LabelMap) -> Float32Array:
        """Return the threshold of each class of a network.

        Args:
            label_map: The actions of its C score columns.

        Returns:
            float32 ``[C]``; infinite for a class of which nothing is kept.

        Raises:
            ConfigError: The classes are not the network's, or one of them has no threshold.
        """
        if self.calibration is not None:
            self.calibration.require_classes(label_map)
        by_id: dict[int, float | None] = {}
        if self.default is not None:
            by_id.update(dict.fromkeys(label_map.ids, self.default))
        by_id.update(self.by_id or {})
        require_same_classes(dict.fromkeys(by_id), label_map, self.source)
        values = (by_id[action_id] for action_id in label_map.ids)
        # A file's decimals are those of a float32, as the network's scores are.
        return np.array([np.inf if value is None else value for value in values], np.float32)

    def to_json(self) -> float | dict[str, float | None]:
        """Return the value that a run records: the number, or the thresholds by id."""
        if not self.by_id and self.default is not None:
            return self.default
        default = {} if self.default is None else {_DEFAULT: self.default}
        return {**{str(i): value for i, value in sorted((self.by_id or {}).items())}, **default}


def _csv_rows(text: str, path: str | Path) -> Iterator[tuple[str, str, Any]]:
    """Yield the place, the id and the threshold of each row; a heading and blank lines are passed over."""
    rows = csv.reader(text.splitlines())
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (rows.line_num == 1 and cells[0].casefold() in ("id", "action_id")):
                continue
            if len(cells) != 2:
                raise FormatError(
                    f"{shown(path)}, line {rows.line_num}: {len(cells)} columns, where `id,threshold` has 2; {_HOW}"
                )
            yield f"line {rows.line_num}", cells[0], cells[1]
    except csv.Error as error:
        raise FormatError(f"{shown(path)}, line {rows.line_num}: {shown(error)}; {_HOW}") from error


def _is_id(text: str) -> bool:
    is_digits = text.isascii() and text.isdecimal() and len(text) <= len(str(GREATEST_ACTION_ID))
    return is_digits and int(text) <= GREATEST_ACTION_ID


def _number(value: Any) -> float | None:
    """Return a threshold as a number, NaN where it is none; None where it is empty."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")
