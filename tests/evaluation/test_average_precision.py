"""The precision-recall curve: by hand, and its envelope's area is the AP."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.evaluation.average_precision import Ranking
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap


def test_curve_by_hand() -> None:
    # By score: right, wrong, right, wrong; of 4 boxes two are found.
    scores, is_tp = np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, True, False])
    points = Ranking(scores).precision_recall(is_tp, 4)
    np.testing.assert_allclose(points.recall, [1 / 4, 2 / 4])
    np.testing.assert_allclose(points.precision, [1 / 1, 2 / 3])


def test_curve_is_empty_where_nothing_is_found_or_nothing_is_there() -> None:
    for num_gt in (0, 3):
        points = Ranking(np.array([0.5])).precision_recall(np.array([False]), num_gt)
        assert len(points.recall) == len(points.precision) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.integers(1, 5))
def test_area_under_the_envelope_is_the_ap(rows: list[tuple[int, bool]], num_missed: int) -> None:
    scores, is_tp = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], bool)
    num_gt = int(is_tp.sum()) + num_missed
    ranking = Ranking(scores)
    points = ranking.precision_recall(is_tp, num_gt)
    envelope = [points.precision[place:].max() for place in range(len(points.precision))]
    steps = np.diff(points.recall, prepend=0)
    assert float((envelope * steps).sum()) == pytest.approx(ranking.average_precision(is_tp, num_gt).ap)


def test_metric_gives_the_curve_of_each_class() -> None:
    metric = FrameMAP(LabelMap.ava().subset([12, 80]))
    box = [[0.1, 0.1, 0.5, 0.5]]
    metric.update(
        ground_truth=AvaTable.from_columns(["a", "a"], [1, 2], box * 2, [12, 12]),
        detections=AvaTable.from_columns(["a", "a"], [1, 2], [*box, [0.6, 0.6, 0.9, 0.9]], [12, 12], [0.3, 0.8]),
    )
    curves = metric.precision_recall()
    assert list(curves) == [12, 80]
    assert (curves[12].recall.tolist(), curves[12].precision.tolist()) == ([0.5], [0.5])
    assert len(curves[80].recall) == 0
