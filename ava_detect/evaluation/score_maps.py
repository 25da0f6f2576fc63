"""Maps from the scores of a class to probabilities, and how they are fitted: isotonic regression and Platt scaling.

A score is *calibrated* where, of all detections with score 0.7, 70% are right. Isotonic regression (Zadrozny and Elkan
2002) is the ascending step function with the least squared error; Platt scaling (Platt 1999) is a sigmoid of two
numbers, for classes with few examples.

Shapes: N detections, U distinct scores, K knots.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, suggestion
from ava_detect.formats.json_values import check_number, check_type

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
# Scores are float32: the nearest to 1 that is not 1 is 1 - 6e-8.
_LOGIT_MARGIN = 1e-7
_LARGEST_PARAMETER = 1e6
_MAX_KNOTS = 1_000_000


@dataclass(frozen=True)
class ScoreCounts:
    """The detections of a class, counted by score, so that no fit depends on the order of the rows.

    Attributes:
        scores: float64 ``[U]``, the distinct scores, ascending.
        totals: float64 ``[U]``, number of detections with each score.
        rights: float64 ``[U]``, number of true positives among them.
    """

    scores: FloatArray
    totals: FloatArray
    rights: FloatArray

    @classmethod
    def of(cls, scores: npt.ArrayLike, is_right: npt.ArrayLike) -> Self:
        """Count detections by score.

        Args:
            scores: ``[N]``, in 0..1.
            is_right: bool ``[N]``, whether each detection is a true positive.

        Returns:
            The counts.
        """
        distinct, index = np.unique(np.asarray(scores, np.float64), return_inverse=True)
        totals = np.bincount(index, minlength=len(distinct)).astype(np.float64)
        rights = np.bincount(index, np.asarray(is_right, np.float64), minlength=len(distinct)).astype(np.float64)
        return cls(distinct, totals, rights)


@dataclass(frozen=True)
class IsotonicMap:
    """An ascending map through knots, straight between them and constant beyond the first and the last.

    Attributes:
        scores: The scores of the K knots, strictly ascending, in 0..1.
        probabilities: The probability at each knot, ascending, in 0..1.
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, scores: npt.ArrayLike) -> FloatArray:
        """Return the probability of each score.

        Args:
            scores: Of any shape, in 0..1.

        Returns:
            float64 of the same shape, in 0..1.
        """
        return np.interp(np.asarray(scores, np.float64), self.scores, self.probabilities)

    @classmethod
    def fit(cls, counts: ScoreCounts) -> Self:
        """Fit by isotonic regression.

        Args:
            counts: The detections; at least one.

        Returns:
            The map, with two knots for each step: its first score and its last.
        """
        from scipy.optimize import isotonic_regression

        fitted = isotonic_regression(counts.rights / counts.totals, weights=counts.totals)
        steps = fitted.blocks  # indices at which a step begins, and U
        knots = np.unique(np.concatenate([steps[:-1], steps[1:] - 1]))  # [K]
        probabilities = np.maximum.accumulate(np.clip(fitted.x[knots], 0, 1))
        return cls(tuple(counts.scores[knots].tolist()), tuple(probabilities.tolist()))

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``."""
        return {"scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build from the values of ``to_json``.

        Args:
            value: Parsed JSON.

        Returns:
            The map.

        Raises:
            KeyError: A part is missing.
            TypeError: A value has another type.
            ValueError: The knots do not ascend, or a number is out of range.
        """
        for name in ("scores", "probabilities"):
            check_type(name, value[name], list)
            if not 1 <= len(value[name]) <= _MAX_KNOTS:
                raise ValueError(f"{name} has {len(value[name])} knots, and a map has 1 to {_MAX_KNOTS:,}")
            for number in value[name]:
                check_number(name, number, 0, 1)
        scores, probabilities = value["scores"], value["probabilities"]
        if len(scores) != len(probabilities):
            raise ValueError(f"there are {len(scores)} scores and {len(probabilities)} probabilities")
        if any(b <= a for a, b in pairwise(scores)):
            raise ValueError("the scores of the knots do not ascend")
        if any(b < a for a, b in pairwise(probabilities)):
            raise ValueError("the probabilities descend, and a greater score would become a smaller probability")
        return cls(tuple(map(float, scores)), tuple(map(float, probabilities)))


@dataclass(frozen=True)
class PlattMap:
    """A sigmoid of the logit of the score: ``1 / (1 + exp(-(slope * logit(score) + intercept)))``.

    Attributes:
        slope: At least 0, so that the order of scores stays; 1 and intercept 0 change nothing.
        intercept: Added to the scaled logit.
    """

    slope: float
    intercept: float

    def __call__(self, scores: npt.ArrayLike) -> FloatArray:
        """Return the probability of each score.

        Args:
            scores: Of any shape, in 0..1.

        Returns:
            float64 of the same shape, in 0..1.
        """
        return _sigmoid(self.slope * _logit(np.asarray(scores, np.float64)) + self.intercept)

    @classmethod
    def fit(cls, counts: ScoreCounts) -> Self:
        """Fit by the greatest likelihood, with Platt's targets, which keep few examples from giving 0 or 1.

        J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
        1999: a right detection has the target (R + 1) / (R + 2) and a wrong one 1 / (W + 2), where R and W are their
        numbers.

        Args:
            counts: The detections; at least one.

        Returns:
            The map.
        """
        from scipy.optimize import minimize

        num_right, num_all = counts.rights.sum(), counts.totals.sum()
        wrongs = counts.totals - counts.rights
        target_right, target_wrong = (num_right + 1) / (num_right + 2), 1 / (num_all - num_right + 2)
        targets = (counts.rights * target_right + wrongs * target_wrong) / counts.totals  # [U]
        logits, weights = _logit(counts.scores), counts.totals / num_all  # [U], [U]

        def loss_and_gradient(parameters: FloatArray) -> tuple[float, FloatArray]:
            z = parameters[0] * logits + parameters[1]  # [U]
            loss = weights @ (np.logaddexp(0, z) - targets * z)
            error = weights * (_sigmoid(z) - targets)
            return float(loss), np.array([error @ logits, error.sum()])

        # The loss is convex; the bound keeps a class whose scores rank backwards from being turned round.
        bounds = [(0.0, _LARGEST_PARAMETER), (-_LARGEST_PARAMETER, _LARGEST_PARAMETER)]
        found = minimize(
            loss_and_gradient,
            np.array([1.0, 0.0]),
            method="L-BFGS-B",
            jac=True,
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
        )
        return cls(float(found.x[0]), float(found.x[1]))

    def to_json(self) -> dict[str, Any]:
        """Return a dict for ``json.dumps``."""
        return {"slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build from the values of ``to_json``.

        Args:
            value: Parsed JSON.

        Returns:
            The map.

        Raises:
            KeyError: A part is missing.
            TypeError: A value has another type.
            ValueError: A number is out of range.
        """
        check_number("slope", value["slope"], 0, _LARGEST_PARAMETER)
        check_number("intercept", value["intercept"], -_LARGEST_PARAMETER, _LARGEST_PARAMETER)
        return cls(float(value["slope"]), float(value["intercept"]))


ScoreMap = IsotonicMap | PlattMap
#: The methods of calibration, by name; ``none`` leaves scores as they are.
METHODS: dict[str, type[IsotonicMap] | type[PlattMap] | None] = {
    "isotonic": IsotonicMap,
    "platt": PlattMap,
    "none": None,
}


def check_method(method: str) -> None:
    """Refuse an unknown method.

    Args:
        method: The name that was given.

    Raises:
        ConfigError: It is not one of ``METHODS``.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ConfigError(f"`method` is one of {known}, got {method!r}{suggestion(method, METHODS)}")


def _logit(scores: FloatArray) -> FloatArray:
    inside = np.clip(scores, _LOGIT_MARGIN, 1 - _LOGIT_MARGIN)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _sigmoid(z: FloatArray) -> FloatArray:
    # exp of a number that is never positive: no overflow.
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + small), small / (1 + small))
