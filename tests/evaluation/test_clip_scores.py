"""Top-k and multi-label AP against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.evaluation.clip_scores import average_precisions, top_k_accuracy

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4]], np.float32)


@pytest.mark.parametrize(("k", "wanted"), [(1, 1 / 3), (2, 2 / 3), (3, 1.0)])
def test_top_k(k, wanted):
    assert top_k_accuracy(SCORES, np.array([1, 1, 1]), k) == pytest.approx(wanted)


def test_of_equal_scores_the_lower_class_comes_first():
    assert top_k_accuracy(SCORES[2:], np.array([0]), 2) == 1
    assert top_k_accuracy(SCORES[2:], np.array([1]), 2) == 0


def test_top_k_of_nothing_is_unknown():
    assert np.isnan(top_k_accuracy(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 1))


def ap(scores, labels):
    return average_precisions(np.array(scores, np.float32)[:, None], np.array(labels, np.bool_)[:, None])[0]


def test_average_precision_has_no_envelope():
    """Right at ranks 1, 3 and 4: (1/1 + 2/3 + 3/4) / 3. An envelope would make the 2/3 a 3/4."""
    assert ap([0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 1, 0]) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_equal_scores_count_together():
    """Two of the three at 0.5 are right: recall 2/3 is reached at precision 2/3, whatever their order."""
    for labels in ([1, 1, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1]):
        assert ap([0.5, 0.5, 0.5, 0.2], labels) == pytest.approx(2 / 3 * 2 / 3 + 1 / 3 * 3 / 4)


def test_a_class_that_never_occurs_is_unknown():
    found = average_precisions(SCORES, np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], np.bool_))
    assert np.isnan(found).tolist() == [False, True, False]
    assert found[0] == pytest.approx(1 / 3)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_its_definition(pairs):
    """Threshold by threshold: what is gained in recall, times the precision there."""
    scores, labels = np.array([s for s, _ in pairs], np.float32), np.array([x for _, x in pairs])
    if not labels.any():
        assert np.isnan(ap(scores, labels))
        return
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        taken = labels[scores >= threshold]
        recall = taken.sum() / labels.sum()
        total += (recall - recall_before) * taken.mean()
        recall_before = recall
    assert ap(scores, labels) == pytest.approx(total)
