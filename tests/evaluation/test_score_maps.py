"""The maps from scores to probabilities: by hand, and by the properties of their methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import ConfigError
from ava_detect.evaluation.score_maps import METHODS, IsotonicMap, PlattMap, ScoreCounts, check_method

# Scores that come several times, and neighbours of 0 and 1.
scores = st.one_of(st.integers(0, 10).map(lambda tenths: tenths / 10), st.floats(0, 1, width=32))
detections = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=40)


def counts_of(rows) -> ScoreCounts:
    values, rights = zip(*rows, strict=True)
    return ScoreCounts.of(values, rights)


def test_isotonic_regression_by_hand():
    """0.1 W, 0.2 R, 0.3 W, 0.4 W, 0.6 R, 0.8 W, 0.9 R, 0.9 R: 0.2 to 0.4 violate and get 1/3, 0.6 and 0.8 get 1/2."""
    fitted = IsotonicMap.fit(
        counts_of([(0.1, 0), (0.2, 1), (0.3, 0), (0.4, 0), (0.6, 1), (0.8, 0), (0.9, 1), (0.9, 1)])
    )
    assert fitted.scores == (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
    assert fitted.probabilities == pytest.approx((0, 1 / 3, 1 / 3, 1 / 2, 1 / 2, 1))
    # On a step, between two, and beyond the ends.
    np.testing.assert_allclose(fitted([0.3, 0.5, 0.85, 0.0, 1.0]), [1 / 3, 5 / 12, 3 / 4, 0, 1])


def test_equal_scores_are_one_point():
    """Two of the three detections with 0.5 are right, in whatever order they come."""
    assert IsotonicMap.fit(counts_of([(0.5, 0), (0.5, 1), (0.5, 1)])) == IsotonicMap((0.5,), (2 / 3,))


def test_platt_scaling_by_hand():
    """Of four detections with score 1/4 one is right, of four with 3/4 three.

    With four right and four wrong, Platt's targets are 5/6 and 1/6. The mean target is (5/6 + 3/6) / 4 = 1/3 at 1/4 and
    2/3 at 3/4; two points are met exactly: sigmoid(slope * ln 3) = 2/3, so slope = ln 2 / ln 3, and the intercept is 0.
    """
    low, high = [(0.25, i < 1) for i in range(4)], [(0.75, i < 3) for i in range(4)]
    fitted = PlattMap.fit(counts_of([*low, *high]))
    assert fitted.slope == pytest.approx(math.log(2) / math.log(3), abs=1e-6)
    assert fitted.intercept == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(fitted([0.25, 0.5, 0.75]), [1 / 3, 1 / 2, 2 / 3], atol=1e-6)


def test_platt_scaling_does_not_turn_scores_round():
    """Scores that rank backwards give one probability for all: the mean target, here that of 2 right and 2 wrong."""
    fitted = PlattMap.fit(counts_of([(0.2, 1), (0.3, 1), (0.8, 0), (0.9, 0)]))
    assert fitted.slope == 0
    np.testing.assert_allclose(fitted([0.1, 0.9]), [0.5, 0.5], atol=1e-6)


def test_scores_of_0_and_1_have_a_logit():
    fitted = PlattMap.fit(counts_of([(0.0, 0), (1.0, 1)]))
    assert np.isfinite(fitted([0.0, 1.0])).all()
    # The mean target of one wrong is 1/3, of one right 2/3.
    np.testing.assert_allclose(fitted([0.0, 1.0]), [1 / 3, 2 / 3], atol=1e-5)


@given(detections)
def test_isotonic_regression_is_monotone_and_calibrated(rows):
    fitted = IsotonicMap.fit(counts_of(rows))
    assert all(a < b for a, b in zip(fitted.scores, fitted.scores[1:], strict=False))
    grid = fitted(np.linspace(0, 1, 101))
    assert (np.diff(grid) >= 0).all()
    assert ((grid >= 0) & (grid <= 1)).all()
    values, rights = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    assert fitted(values).mean() == pytest.approx(rights.mean())


@given(detections)
def test_isotonic_regression_is_idempotent(rows):
    """Probabilities that are calibrated already stay as they are."""
    values, rights = zip(*rows, strict=True)
    once = IsotonicMap.fit(ScoreCounts.of(values, rights))(values)
    # Sums in another order differ in the last bits; equal steps must stay equal scores.
    once = np.round(once, 12)
    twice = IsotonicMap.fit(ScoreCounts.of(once, rights))(once)
    np.testing.assert_allclose(twice, once, atol=1e-9)


@given(detections, st.randoms(use_true_random=False), st.sampled_from([IsotonicMap, PlattMap]))
def test_the_order_of_the_rows_does_not_matter(rows, random, kind):
    shuffled = random.sample(rows, len(rows))
    assert kind.fit(counts_of(rows)) == kind.fit(counts_of(shuffled))


@given(detections, st.sampled_from([IsotonicMap, PlattMap]))
def test_a_map_comes_back_from_json(rows, kind):
    fitted = kind.fit(counts_of(rows))
    assert kind.from_json(fitted.to_json()) == fitted


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (IsotonicMap, {"scores": [0.1, 0.1], "probabilities": [0, 1]}, "scores of the knots do not ascend"),
        (IsotonicMap, {"scores": [0.1, 0.2], "probabilities": [1, 0]}, "the probabilities descend"),
        (IsotonicMap, {"scores": [0.1], "probabilities": [0, 1]}, "there are 1 scores and 2 probabilities"),
        (IsotonicMap, {"scores": [], "probabilities": []}, "scores has 0 knots"),
        (IsotonicMap, {"scores": [0.1], "probabilities": [1.5]}, "probabilities is a number from 0 to 1, got 1.5"),
        (IsotonicMap, {"scores": [True], "probabilities": [1]}, "scores is a number, got True"),
        (IsotonicMap, {"scores": [0.1]}, "probabilities"),
        (PlattMap, {"slope": -1, "intercept": 0}, "slope is a number from 0"),
        (PlattMap, {"slope": 1}, "intercept"),
    ],
)
def test_broken_maps_are_refused(kind, value, message):
    with pytest.raises((ValueError, TypeError, KeyError), match=message):
        kind.from_json(value)


def test_an_unknown_method_is_refused():
    for name in METHODS:
        check_method(name)
    with pytest.raises(
        ConfigError, match=r"`method` is one of isotonic, platt, none, got 'plat' \(did you mean 'platt'"
    ):
        check_method("plat")
