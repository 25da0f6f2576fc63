"""Error analysis: a run with one error of each kind, made by hand, and what must hold for any run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ava_detect.evaluation.classified_run import KINDS
from ava_detect.evaluation.error_analysis import analyze_errors
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap

STAND, WATCH, CROUCH = 12, 80, 3
LABELS = LabelMap.ava().subset([STAND, WATCH, CROUCH])
ANN, BOB = (0.0, 0.0, 0.2, 1.0), (0.5, 0.0, 0.7, 1.0)
NEAR_ANN = (0.1, 0.0, 0.3, 1.0)  # IoU 1/3 with Ann
NOBODY = (0.8, 0.0, 1.0, 0.1)


def analyzed(truth: list[tuple[object, ...]], found: list[tuple[object, ...]]):  # type: ignore[no-untyped-def]
    metric = FrameMAP(LABELS)
    for side, rows in (("ground_truth", truth), ("detections", found)):
        seconds, boxes, actions, *scores = zip(*rows, strict=True)
        table = AvaTable.from_columns(["v"] * len(rows), seconds, boxes, actions, *scores)
        metric.update(**{side: table})
    return analyze_errors(metric), metric.compute()


TRUTH = [(1, ANN, STAND), (1, BOB, WATCH), (2, ANN, STAND), (3, ANN, CROUCH), (3, ANN, STAND)]


def test_one_error_of_each_kind_by_hand() -> None:
    analysis, result = analyzed(
        TRUTH,
        [
            (1, ANN, STAND, 0.9),  # right
            (1, ANN, STAND, 0.8),  # duplicate
            (1, BOB, STAND, 0.7),  # wrong label: Bob watches
            (2, NEAR_ANN, STAND, 0.6),  # bad box; the person of second 2 is found by nothing
            (1, NEAR_ANN, WATCH, 0.5),  # bad box and label
            (1, NOBODY, WATCH, 0.4),  # background
            (3, ANN, CROUCH, 0.9),  # right; that the same person stands is not found
        ],
    )
    assert analysis.counts == {
        "duplicate": 1,
        "wrong_label": 1,
        "bad_box": 1,
        "bad_box_and_label": 1,
        "background": 1,
        "missed_person": 1,
        "missed_label": 2,
    }
    assert analysis.mAP == pytest.approx(result.mAP) == pytest.approx((1 / 3 + 0 + 1) / 3)
    stand = analysis.costs_per_class[STAND]
    # Ranked: right, duplicate, wrong label, bad box; 3 to find. Only the moved box becomes a true positive, at 2 of 4.
    assert stand.bad_box == pytest.approx(0.5 / 3)
    assert (stand.duplicate, stand.wrong_label) == (0, 0)
    # With one of three no longer to be found, AP is 1/2.
    assert stand.missed_person == pytest.approx(1 / 2 - 1 / 3)
    assert stand.missed_label == pytest.approx(1 / 2 - 1 / 3)
    # "watch" has one box, which is missed: without it there is nothing to lose.
    assert analysis.costs_per_class[WATCH].missed_label == 1.0
    assert analysis.costs.missed_label == pytest.approx((1 / 6 + 1 + 0) / 3)


def test_removing_false_positives_by_hand() -> None:
    analysis, _ = analyzed(
        [(1, ANN, STAND), (1, BOB, WATCH)],
        [(1, BOB, STAND, 0.9), (1, NOBODY, STAND, 0.8), (1, ANN, STAND, 0.7), (1, BOB, WATCH, 0.9)],
    )
    stand = analysis.costs_per_class[STAND]
    assert stand.wrong_label == pytest.approx(1 / 2 - 1 / 3)
    assert stand.background == pytest.approx(1 / 2 - 1 / 3)
    # Within its one box, the best "stand" was said of Bob, who watches.
    assert analysis.to_json()["confusions"] == [(WATCH, STAND, 1)]
    assert np.isnan(analysis.costs_per_class[CROUCH].wrong_label)


def test_a_box_that_is_found_anyway_needs_no_better_box() -> None:
    analysis, _ = analyzed([(1, ANN, STAND)], [(1, ANN, STAND, 0.9), (1, NEAR_ANN, STAND, 0.8)])
    assert analysis.counts["bad_box"] == 1
    assert analysis.costs_per_class[STAND].bad_box == 0


def test_the_oracles_by_hand() -> None:
    """Of three people two are found, one of them by an ill-placed box."""
    analysis, _ = analyzed(
        [(1, ANN, STAND), (1, BOB, STAND), (2, ANN, STAND)],
        [(1, ANN, STAND, 0.9), (2, NEAR_ANN, STAND, 0.8)],
    )
    assert analysis.oracles["as_is"] == pytest.approx(1 / 3)
    assert analysis.oracles["perfect_boxes"] == pytest.approx(2 / 3)
    assert analysis.oracles["perfect_labels"] == pytest.approx(1 / 3)


def test_groups_by_hand() -> None:
    small = (0.0, 0.0, 0.1, 0.1)
    analysis, _ = analyzed(
        [(1, small, STAND), (2, ANN, STAND), (2, BOB, STAND)],
        [(1, small, STAND, 0.9), (2, ANN, STAND, 0.8), (2, NOBODY, STAND, 0.95)],
    )
    # NOBODY is small itself, so it counts against small people.
    assert analysis.by_size["under 5% of the frame"] == 0.5
    assert analysis.by_size["5 to 20% of the frame"] == 0.5
    assert np.isnan(analysis.by_size["over 20% of the frame"])
    assert analysis.by_crowd["1 person at most"] == 1.0
    assert analysis.by_crowd["2 people"] == pytest.approx(0.25)
    assert analysis.by_frequency["up to 100 boxes"] == pytest.approx(analysis.mAP)


@pytest.mark.parametrize("seed", range(8))
def test_what_must_hold_for_any_run(seed: int) -> None:
    generator = np.random.default_rng(seed)

    def rows(count: int, *, scored: bool) -> list[tuple[object, ...]]:
        people = [ANN, BOB, NEAR_ANN, (0.5, 0.1, 0.7, 0.6), NOBODY]
        columns = generator.integers(0, 4, count), generator.integers(0, 5, count), generator.choice(LABELS.ids, count)
        plain = [(int(t), people[b], int(a)) for t, b, a in zip(*columns, strict=True)]
        return [(*row, float(generator.random())) for row in plain] if scored else list(dict.fromkeys(plain))

    analysis, result = analyzed(rows(25, scored=False), rows(60, scored=True))
    false_positives = sum(r.num_det - r.num_tp for r in result.per_class.values())
    missed = sum(r.num_gt - r.num_tp for r in result.per_class.values())
    assert sum(analysis.counts[kind] for kind in KINDS[:5]) == false_positives
    assert sum(analysis.counts[kind] for kind in KINDS[5:]) == missed
    assert analysis.mAP == pytest.approx(result.mAP)
    assert all(getattr(costs, kind) >= -1e-12 for costs in analysis.costs_per_class.values() for kind in KINDS)
    assert analysis.confusions.sum() <= 3 * sum(r.num_gt for r in result.per_class.values())
    json.dumps(analysis.to_json(), allow_nan=False)
    assert "wrong_label" in str(analysis)


def test_nothing_to_analyze_is_no_error() -> None:
    analysis = analyze_errors(FrameMAP(LABELS))
    assert set(analysis.counts.values()) == {0}
    assert np.isnan(analysis.mAP)
