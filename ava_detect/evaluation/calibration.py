"""A calibration: the threshold of each class, and the map from its scores to probabilities; one JSON file.

``evaluation/calibrate.py`` fits it. The thresholds are of the network's own scores, before any map.

Shapes: N people, C actions.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, FormatError, require_file, shown
from ava_detect.evaluation.score_maps import METHODS, IsotonicMap, PlattMap
from ava_detect.formats.json_values import (
    LARGEST_INT64,
    MALFORMED,
    check_number,
    check_text,
    check_type,
    check_whole,
    parse_json,
    reason_of,
)
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures import Float32Array
from ava_detect.structures.labels import GREATEST_ACTION_ID, LabelMap

FORMAT = "ava_detect.calibration"
VERSION = 1
#: How every file of this kind begins.
FILE_START = b'{\n  "format": "' + FORMAT.encode() + b'"'
#: In the place of a file: the one beside the weights.
BESIDE = "beside"
_MAX_BYTES = 1 << 28
_BASES = ("class", "pooled")
_COUNTS = ("num_gt", "num_det", "num_tp")


@dataclass(frozen=True)
class ClassCalibration:
    """The calibration of one class.

    Attributes:
        id: Id of the action.
        name: Name of the action.
        threshold: Least score of a detection that is kept, 0..1; None where no threshold gives what was asked for, and
            then no detection of the class is kept.
        score_map: From scores to probabilities; None leaves scores as they are.
        basis: ``class`` where threshold and map are fitted to the class; ``pooled`` where the class has too few true
            positives, and both are those of all classes together.
        num_gt: Number of ground-truth boxes of the class.
        num_det: Number of detections.
        num_tp: Number of true positives among them.
    """

    id: int
    name: str
    threshold: float | None
    score_map: IsotonicMap | PlattMap | None
    basis: str
    num_gt: int
    num_det: int
    num_tp: int

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``."""
        values = {name: getattr(self, name) for name in ("id", "name", "threshold", "basis", *_COUNTS)}
        return {**values, "map": None if self.score_map is None else self.score_map.to_json()}

    @classmethod
    def from_json(cls, value: Any, method: str) -> Self:
        """Build from the values of ``to_json``.

        Args:
            value: Parsed JSON.
            method: The method of the map, one of ``METHODS``.

        Returns:
            The calibration of the class.

        Raises:
            KeyError: A part is missing.
            TypeError: A value has another type.
            ValueError: A number is out of range.
        """
        check_type("a class", value, dict)
        check_whole("id", value["id"], 0, GREATEST_ACTION_ID)
        check_text("name", value["name"])
        if value["threshold"] is not None:
            check_number("threshold", value["threshold"], 0, 1)
        if value["basis"] not in _BASES:
            raise ValueError(f"basis is {' or '.join(_BASES)}, got {value['basis']!r:.80}")
        for name in _COUNTS:
            check_whole(name, value[name], 0, LARGEST_INT64)
        kind, score_map = METHODS[method], None
        if kind is None:
            if value["map"] is not None:
                raise ValueError("there is a map, and the method is none")
        else:
            check_type("map", value["map"], dict)
            score_map = kind.from_json(value["map"])
        threshold = None if value["threshold"] is None else float(value["threshold"])
        return cls(value["id"], value["name"], threshold, score_map, value["basis"], *(value[n] for n in _COUNTS))


@dataclass(frozen=True)
class Calibration:
    """Thresholds and score maps of all classes of a network.

    Attributes:
        classes: The classes, in the order of the label map.
        method: ``isotonic``, ``platt`` or ``none``.
        precision: The precision that the thresholds should reach, above 0 and at most 1; None where they give the best
            F1.
        iou_threshold: Least IoU of a true positive with its ground-truth box.
        min_positives: A class with fewer true positives has the threshold and the map of all classes together.
        videos: Ids of the videos that it was fitted to, ascending.
        weights_sha256: Hash of the weights whose scores it was fitted to; None where it is unknown.
        sources: How it was made: the files and their hashes, versions.
        path: The file that it was read from, for messages; empty where it was not.

    Example:
        >>> calibration = Calibration.load("calibration.json")
        >>> calibration.thresholds[12], calibration.apply(keyframe.action_scores, keyframe.action_ids)
    """

    classes: tuple[ClassCalibration, ...]
    method: str
    precision: float | None
    iou_threshold: float
    min_positives: int
    videos: tuple[str, ...] = ()
    weights_sha256: str | None = None
    sources: Mapping[str, Any] = field(default_factory=dict)
    path: str = field(default="", compare=False)

    @property
    def thresholds(self) -> dict[int, float | None]:
        """The threshold of each class by action id; None where no detection of the class is kept."""
        return {one.id: one.threshold for one in self.classes}

    def apply(self, scores: npt.ArrayLike, action_ids: Sequence[int] | npt.NDArray[np.integer]) -> Float32Array:
        """Turn scores into probabilities.

        Args:
            scores: ``[..., C]``, the network's scores, in 0..1: of people, ``[N, C]``, or of rows, ``[C]``.
            action_ids: ``[C]``, the action of each column; ids of this calibration, any of them several times.

        Returns:
            float32 of the shape of ``scores``, in 0..1; the scores themselves where the method is ``none``.

        Raises:
            ConfigError: An id is not one of this calibration's, or a score is not in 0..1.
        """
        values, ids = np.asarray(scores, np.float32), np.asarray(action_ids, np.int64)
        if values.ndim == 0 or ids.shape != values.shape[-1:]:
            raise ConfigError(
                f"`scores` has the shape {list(values.shape)}, and `action_ids` has {list(ids.shape)}; they are "
                "[..., C] and [C]"
            )
        if not ((values >= 0) & (values <= 1)).all():
            raise ConfigError("`scores` are from 0 to 1; of logits take the sigmoid first")
        of_id = {one.id: one for one in self.classes}
        wanted = np.unique(ids).tolist()
        if unknown := [action_id for action_id in wanted if action_id not in of_id]:
            raise ConfigError(f"the calibration has no class {_listed(unknown)}; it has {_listed(sorted(of_id))}")
        calibrated = values.copy()
        for action_id in wanted:
            if (score_map := of_id[action_id].score_map) is not None:
                columns = ids == action_id
                calibrated[..., columns] = score_map(values[..., columns])
        return calibrated

    @property
    def sha256(self) -> str:
        """Hash of what decides results: the classes with their thresholds and maps."""
        text = json.dumps([self.method, [one.to_json() for one in self.classes]])
        return hashlib.sha256(text.encode()).hexdigest()

    def require_classes(self, label_map: LabelMap) -> None:
        """Refuse a network with other classes.

        Args:
            label_map: The actions of the network.

        Raises:
            ConfigError: An action is missing on one side, or has another name.
        """
        require_same_classes({one.id: one.name for one in self.classes}, label_map, self.path or "the calibration")

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``, the content of the file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "precision": self.precision,
            "iou_threshold": self.iou_threshold,
            "min_positives": self.min_positives,
            "weights_sha256": self.weights_sha256,
            "classes": [one.to_json() for one in self.classes],
            "videos": list(self.videos),
            "sources": dict(self.sources),
        }

    def save(self, path: str | Path) -> None:
        """Write the file, atomically. The same calibration gives the same bytes.

        Args:
            path: The file; ``-`` is the standard output.
        """
        write_text_atomic(path, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that ``ava-detect calibrate`` wrote.

        Args:
            path: The file.

        Returns:
            The calibration.

        Raises:
            FormatError: The file cannot be read, is none of a calibration, or holds values out of range.
        """
        try:
            require_file(path, max_bytes=_MAX_BYTES)
            return replace(cls.from_json(parse_json(Path(path).read_bytes())), path=str(path))
        except OSError as error:
            raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror or error)})") from error
        except MALFORMED as error:
            raise FormatError(
                f"{shown(path)} is no calibration as `ava-detect calibrate` writes it ({reason_of(error)}); calibrate "
                "again"
            ) from error

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Build from the values of ``to_json``.

        Args:
            content: Parsed JSON.

        Returns:
            The calibration.

        Raises:
            KeyError: A part is missing.
            TypeError: A value has another type.
            ValueError: A number is out of range.
        """
        check_type("the file", content, dict)
        if content["format"] != FORMAT:
            raise ValueError(f"format is {FORMAT}, got {content['format']!r:.80}")
        check_whole("version", content["version"], 1, LARGEST_INT64)
        if content["version"] != VERSION:
            raise ValueError(f"it is of version {content['version']}, and this program reads version {VERSION}")
        method = content["method"]
        if not isinstance(method, str) or method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, got {method!r:.80}")
        precision, weights, videos = content["precision"], content["weights_sha256"], content["videos"]
        if precision is not None:
            check_number("precision", precision, math.ulp(0), 1)
        check_number("iou_threshold", content["iou_threshold"], math.ulp(0), 1)
        check_whole("min_positives", content["min_positives"], 1, LARGEST_INT64)
        if weights is not None:
            check_text("weights_sha256", weights)
        for name, kind in (("classes", list), ("videos", list), ("sources", dict)):
            check_type(name, content[name], kind)
        for video in videos:
            check_text("videos", video)
        classes = tuple(ClassCalibration.from_json(value, method) for value in content["classes"])
        if len({one.id for one in classes}) != len(classes):
            raise ValueError("an id is given twice")
        return cls(
            classes,
            method,
            precision,
            float(content["iou_threshold"]),
            content["min_positives"],
            tuple(videos),
            weights,
            content["sources"],
        )


def path_beside(weights: str | Path) -> Path:
    """Return the file of the calibration that belongs to a file of weights.

    Args:
        weights: The file of weights, on this machine.

    Returns:
        ``WEIGHTS.calibration.json``, in the same folder.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(weights)
    if not path.is_file():
        raise ConfigError(
            f"{shown(weights)} is no file of weights on this machine, so no calibration can lie beside it; name the "
            "file of the calibration itself"
        )
    return path.with_name(f"{path.name}.calibration.json")


def require_same_classes(names: Mapping[int, str | None], label_map: LabelMap, where: str) -> None:
    """Refuse classes of another label map than the network's.

    Args:
        names: Name of each class by id; None where the name is unknown.
        label_map: The actions of the network.
        where: The file of the classes, for the message.

    Raises:
        ConfigError: An action is missing on one side, or has another name.
    """
    own = {action.id: action.name for action in label_map}
    differing = [i for i, name in names.items() if i in own and name is not None and name != own[i]]
    reasons = []
    if differing:
        first = differing[0]
        reasons.append(f"id {first} is {shown(names[first])!r} there and {shown(own[first])!r} here")
    if foreign := sorted(set(names) - set(own)):
        reasons.append(f"the network has no class {_listed(foreign)}")
    if missing := sorted(set(own) - set(names)):
        reasons.append(f"nothing is given for class {_listed(missing)}")
    if reasons:
        raise ConfigError(f"{shown(where)} is for other classes than the network's: {'; '.join(reasons)}")


def _listed(ids: Sequence[int], most: int = 5) -> str:
    text = ", ".join(map(str, ids[:most]))
    return text if len(ids) <= most else f"{text} and {len(ids) - most} more"
