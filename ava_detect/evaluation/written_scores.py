"""Which scores of a person are written, and as what: thresholds, the best few, calibrated probabilities.

Shapes: N people on a keyframe, C actions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ava_detect.errors import AvaDetectWarning, ConfigError
from ava_detect.evaluation.calibration import BESIDE, Calibration, path_beside
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.formats.keyframe_writer import BoolArray
from ava_detect.structures import ActionDetections, Float32Array
from ava_detect.structures.labels import LabelMap

_Keyframe = TypeVar("_Keyframe", bound=ActionDetections)


def thresholds_of(given: float | str | Path | Thresholds | None, weights: str) -> Thresholds | None:
    """Read thresholds as they are given to a run.

    Args:
        given: As for ``Thresholds.of``, or ``"beside"`` for the calibration beside the file of weights; None for none.
        weights: The weights.

    Returns:
        The thresholds; None for none.

    Raises:
        FormatError: The file cannot be read, or has something else in it.
        ConfigError: A threshold is not in 0..1, or there is no file of weights on this machine.
    """
    if given is None:
        return None
    return Thresholds.of(path_beside(weights) if given == BESIDE else given)


def calibration_of(given: str | Path | Calibration | None, weights: str) -> Calibration | None:
    """Read a calibration as it is given to a run.

    Args:
        given: A file of ``ava-detect calibrate``, ``"beside"`` for that beside the file of weights, or the calibration;
            None for none.
        weights: The weights.

    Returns:
        The calibration; None for none.

    Raises:
        FormatError: The file cannot be read, or has something else in it.
        ConfigError: There is no file of weights on this machine.
    """
    if given is None or isinstance(given, Calibration):
        return given
    return Calibration.load(path_beside(weights) if given == BESIDE else given)


@dataclass(frozen=True)
class ScoreRules:
    """The rules; a score is written where it meets all of them.

    Attributes:
        min_score: Least score as it is written, 0..1.
        thresholds: Least score for each class; None for none. Those of a calibration are of the network's scores, all
            others of the scores as they are written.
        top: The most actions of a person, the best; None for all.
        calibration: Turns scores into the probabilities that are written; None writes the network's scores.

    Raises:
        ConfigError: ``min_score`` is no score, or ``top`` is less than 1.
    """

    min_score: float = 0.0
    thresholds: Thresholds | None = None
    top: int | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        # Written so that NaN is refused, too.
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {self.min_score}")
        if self.top is not None and (isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1):
            raise ConfigError(f"`top` is the number of actions of a person, at least 1, got {self.top!r}")

    @property
    def is_of_classes(self) -> bool:
        """Whether they name classes, which must be those of the network."""
        return self.thresholds is not None or self.calibration is not None

    def warn_of_other_weights(self, sha256: str | None) -> None:
        """Warn where thresholds or calibration were fitted to the scores of other weights.

        Args:
            sha256: That of the weights; None where they are untrained.
        """
        of_thresholds = None if self.thresholds is None else self.thresholds.calibration
        fitted = {one.weights_sha256 for one in (of_thresholds, self.calibration) if one is not None} - {None}
        if fitted - {sha256}:
            warnings.warn(
                "the calibration was fitted to the scores of other weights than these (by SHA-256), so its thresholds "
                "and probabilities may not hold; `ava-detect calibrate` fits one to these",
                AvaDetectWarning,
                stacklevel=2,
            )

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the results, as plain values; without the rules that do nothing."""
        given: dict[str, Any] = {}
        if self.thresholds is not None:
            given["thresholds"] = self.thresholds.to_json()
        if self.top is not None:
            given["top"] = self.top
        if self.calibration is not None:
            given["calibration"] = self.calibration.sha256
            if self.thresholds is not None:
                given["thresholds_of_network_scores"] = self.thresholds.is_of_network_scores
        return given

    def for_classes(self, label_map: LabelMap) -> WrittenScores:
        """Fit the rules to the columns of a network.

        Args:
            label_map: The actions of its C score columns.

        Returns:
            What applies them.

        Raises:
            ConfigError: The thresholds or the calibration are for other classes.
        """
        limits = None if self.thresholds is None else self.thresholds.of_classes(label_map)
        if self.calibration is not None:
            self.calibration.require_classes(label_map)
        return WrittenScores(self, limits)


@dataclass(frozen=True, eq=False)
class WrittenScores:
    """Applies the rules to keyframes.

    Attributes:
        rules: The rules.
        limits: float32 ``[C]``, the threshold of each class; None for none.
    """

    rules: ScoreRules
    limits: Float32Array | None

    def __call__(self, keyframe: _Keyframe) -> tuple[_Keyframe, BoolArray]:
        """Select the scores of a keyframe that are written.

        Args:
            keyframe: The keyframe with the network's scores.

        Returns:
            The keyframe with the scores as they are written, and which of them are, bool ``[N, C]``.
        """
        rules, own = self.rules, keyframe.action_scores
        if rules.calibration is not None:
            keyframe = replace(keyframe, action_scores=rules.calibration.apply(own, keyframe.action_ids))
        kept = keyframe.action_scores >= np.float32(rules.min_score)
        if self.limits is not None:
            assert rules.thresholds is not None
            kept &= (own if rules.thresholds.is_of_network_scores else keyframe.action_scores) >= self.limits
        if rules.top is not None:
            kept &= _is_among_best(keyframe.action_scores, own, kept, rules.top)
        return keyframe, kept

    def drawn(self, keyframe: ActionDetections, kept: BoolArray) -> ActionDetections:
        """Return a keyframe as it is drawn: a drawn video shows the most certain actions, and none that is not written.

        Args:
            keyframe: The keyframe as it is written.
            kept: bool ``[N, C]``, which of its scores are written.

        Returns:
            The keyframe, with score 0 for actions that thresholds or ``top`` leave out.
        """
        if self.limits is None and self.rules.top is None:
            return keyframe
        return replace(keyframe, action_scores=np.where(kept, keyframe.action_scores, np.float32(0)))

    @property
    def least_drawn(self) -> float | None:
        """Least score of an action in a drawn video; None for that of drawing itself."""
        return None if self.limits is None else float(np.finfo(np.float32).tiny)


def _is_among_best(written: Float32Array, own: Float32Array, kept: BoolArray, top: int) -> BoolArray:
    """Return which of the kept scores are the ``top`` best of their person.

    A calibration makes scores of a class equal; the network's own then decide, and at last the order of the classes.
    """
    is_best = np.zeros(kept.shape, np.bool_)
    for person in range(len(kept)):
        order = np.lexsort((-own[person], -written[person], ~kept[person]))  # [C], the last key is the first to decide
        is_best[person, order[:top]] = True
    return is_best
