"""FrameMAP: by hand, against a naive second implementation, and by its properties."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_frame_map import Row, frame_ap
from processes import run_python
from tolerances import FLOAT64_AP

from ava_detect.errors import FormatError
from ava_detect.evaluation import matches
from ava_detect.evaluation.frame_map import FrameMAP, FrameMAPResult, evaluate_files, load_metric
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.formats.ava_csv import AvaTable, write_ava_csv, write_ava_table
from ava_detect.formats.parquet import write_parquet
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import NO_ACTION, Action, ActionKind, LabelMap

LEFT, RIGHT, WHOLE = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)
# Not in the order of the ids, as a label map need not be.
IDS = (12, 80, 3)
LABELS = LabelMap.ava().subset(IDS)
DIALECTS: tuple[Dialect, ...] = ("official", "pyslowfast")


def truth_table(rows: Sequence[Row]) -> AvaTable:
    videos, seconds, boxes, actions, persons = tuple(zip(*rows, strict=True)) or ((),) * 5
    return AvaTable.from_columns(videos, seconds, boxes, actions, person_ids=persons)


def detection_table(rows: Sequence[Row]) -> AvaTable:
    videos, seconds, boxes, actions, scores = tuple(zip(*rows, strict=True)) or ((),) * 5
    return AvaTable.from_columns(videos, seconds, boxes, actions, scores)


def score(
    truth: Sequence[Row], detections: Sequence[Row], dialect: Dialect = "official", **settings: Any
) -> FrameMAPResult:
    metric = FrameMAP(LABELS, dialect, **settings)
    metric.update(ground_truth=truth_table(truth), detections=detection_table(detections))
    return metric.compute()


def aps(result: FrameMAPResult) -> dict[int, float]:
    return {action: of_class.ap for action, of_class in result.per_class.items() if of_class.num_gt}


# A coarse grid, so that boxes coincide, halve each other and tie; reversed and empty boxes among them.
corners = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
boxes = st.one_of(
    st.sampled_from([LEFT, RIGHT, WHOLE, (0.1, 0.0, 0.5, 1.0)]), st.tuples(corners, corners, corners, corners)
)
good_boxes = st.sampled_from([LEFT, RIGHT, WHOLE, (0.1, 0.0, 0.5, 1.0), (0.0, 0.3, 0.5, 1.0)])
places = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([1.0, 2.0]))
grid_scores = st.integers(0, 8).map(lambda eighths: eighths / 8)
any_action = st.sampled_from([*IDS, 4])


def rows_of(box: st.SearchStrategy[Any], last: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(places, box, any_action, last).map(lambda r: (*r[0], r[1], r[2], r[3])), max_size=most)


@st.composite
def ground_truths(draw: st.DrawFn) -> list[Row]:
    """Persons are numbered throughout: among equal ids the official order is that of a heap, which ours leaves open."""
    rows = draw(rows_of(good_boxes, st.just(0), 12))
    return [(*row[:4], float(number)) for number, row in enumerate(rows)]  # type: ignore[misc]


truths = ground_truths()
detections = rows_of(boxes, grid_scores, 40)


@settings(max_examples=300, deadline=None)
@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS))
def test_the_naive_way_gives_the_same(truth: list[Row], found: list[Row], dialect: Dialect) -> None:
    assert aps(score(truth, found, dialect)) == pytest.approx(frame_ap(truth, found, IDS, dialect), abs=FLOAT64_AP)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.sampled_from([2, 5, 40, 10**6]), step=st.sampled_from([7, 1 << 19]))
def test_the_cap_of_50_the_naive_way(seed: int, levels: int, step: int) -> None:
    """Keyframes of 0 to 250 rows, with few score levels so that the cap is fought over."""
    generator = np.random.default_rng(seed)
    truth: list[Row] = []
    found: list[Row] = []
    for video in "abc":
        truth += [(video, 1.0, LEFT, int(action), float(p)) for p, action in enumerate(generator.permutation(IDS))]
        for _ in range(generator.integers(0, 250)):
            x1, y1 = generator.integers(0, 6, 2) / 10
            box = (float(x1), float(y1), float(x1 + generator.integers(0, 6) / 10), 1.0)
            value = float(generator.integers(0, levels) / levels)
            found.append((video, 1.0, box, int(generator.choice([*IDS, 4])), value))
    generator.shuffle(found)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matches, "_ROWS_PER_STEP", step)
        result = score(truth, found)
    assert aps(result) == pytest.approx(frame_ap(truth, found, IDS, "official"), abs=FLOAT64_AP)
    # What is counted, capped, empty or of other classes is everything.
    assert len(found) == sum(r.num_det for r in result.per_class.values()) + sum(result.ignored.values())


@given(truth=truths, dialect=st.sampled_from(DIALECTS))
def test_perfect_detections_score_one(truth: list[Row], dialect: Dialect) -> None:
    truth = list({row[:4]: row for row in truth}.values())
    result = score(truth, [(*row[:4], 0.5) for row in truth], dialect)
    assert all(ap == pytest.approx(1.0) for ap in aps(result).values())
    assert result.mAP == pytest.approx(1.0) if aps(result) else math.isnan(result.mAP)


@given(truth=truths, dialect=st.sampled_from(DIALECTS))
def test_no_detections_score_zero(truth: list[Row], dialect: Dialect) -> None:
    result = score(truth, [], dialect)
    assert all(ap == 0 for ap in aps(result).values())


@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS), order=st.permutations(["a", "b", "c"]))
def test_the_order_of_videos_changes_no_interval(
    truth: list[Row], found: list[Row], dialect: Dialect, order: list[str]
) -> None:
    """The tie interval holds over all orders, so it must not move; AP must not where it is one point."""
    before = score(truth, found, dialect)
    moved = score(
        sorted(truth, key=lambda r: order.index(r[0])), sorted(found, key=lambda r: order.index(r[0])), dialect
    )
    for action, a in before.per_class.items():
        b = moved.per_class[action]
        assert (a.num_gt, a.num_det, a.num_tp) == (b.num_gt, b.num_det, b.num_tp)
        assert (a.ap_tie_min, a.ap_tie_max) == pytest.approx((b.ap_tie_min, b.ap_tie_max), abs=FLOAT64_AP, nan_ok=True)
        if a.ap_tie_min == a.ap_tie_max:
            assert a.ap == pytest.approx(b.ap, abs=FLOAT64_AP, nan_ok=True)


@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS), where=places, value=grid_scores)
def test_a_false_positive_never_raises_ap(
    truth: list[Row], found: list[Row], dialect: Dialect, where: tuple[str, float], value: float
) -> None:
    before = aps(score(truth, found, dialect))
    after = aps(score(truth, [*found, (*where, (7.0, 7.0, 8.0, 8.0), 12, value)], dialect))
    assert all(after[action] <= ap + 1e-12 for action, ap in before.items())


@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS))
def test_only_the_order_of_scores_matters(truth: list[Row], found: list[Row], dialect: Dialect) -> None:
    mapped: list[Row] = [(*row[:4], math.exp(3 * row[4]) - 50) for row in found]
    assert aps(score(truth, mapped, dialect)) == pytest.approx(aps(score(truth, found, dialect)), abs=FLOAT64_AP)


@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS), cut=st.integers(0, 40))
def test_pieces_give_what_the_whole_gives(truth: list[Row], found: list[Row], dialect: Dialect, cut: int) -> None:
    metric = FrameMAP(LABELS, dialect)
    metric.update(detections=detection_table(found[:cut]))
    metric.compute()  # looking must not change what comes after
    metric.update(ground_truth=truth_table(truth[:cut]), detections=detection_table(found[cut:]))
    metric.update(ground_truth=truth_table(truth[cut:]))
    whole = score(truth, found, dialect)
    assert json.dumps(metric.compute().to_json()) == json.dumps(whole.to_json())
    metric.reset()
    assert metric.compute().num_keyframes == 0


@given(truth=truths, found=detections, dialect=st.sampled_from(DIALECTS))
def test_ap_falls_as_the_threshold_rises(truth: list[Row], found: list[Row], dialect: Dialect) -> None:
    metric = FrameMAP(LABELS, dialect)
    metric.update(ground_truth=truth_table(truth), detections=detection_table(found))
    results = metric.compute_at([0.25, 0.5, 0.75, 1.0])
    for loose, strict in pairwise(results):
        assert loose.iou_threshold < strict.iou_threshold
        for action, of_class in loose.per_class.items():
            assert of_class.num_tp >= strict.per_class[action].num_tp
            # PySlowFast matches in the file's order, where AP may rise; see the next test.
            assert (
                dialect == "pyslowfast"
                or math.isnan(of_class.ap)
                or of_class.ap_tie_max >= strict.per_class[action].ap_tie_max - 1e-12
            )


def test_in_pyslowfasts_order_ap_may_rise_with_the_threshold() -> None:
    """A poor box with the lower score comes first in the file: at 0.5 it takes the truth, and the better is false."""
    truth: list[Row] = [("a", 1.0, (0.0, 0.0, 0.5, 1.0), 80, 0.0)]
    found: list[Row] = [("a", 1.0, (0.0, 0.0, 1.0, 1.0), 80, 0.25), ("a", 1.0, (0.0, 0.0, 0.5, 1.0), 80, 0.75)]
    for dialect, expected in (("official", [1.0, 1.0]), ("pyslowfast", [0.5, 1.0])):
        metric = FrameMAP(LABELS, dialect)  # type: ignore[arg-type]
        metric.update(ground_truth=truth_table(truth), detections=detection_table(found))
        assert [result.per_class[80].ap for result in metric.compute_at([0.5, 0.75])] == expected


def test_the_dialects_by_hand() -> None:
    """Two detections want one box, the worse one first in the file; a third is on a keyframe without ground truth."""
    truth: list[Row] = [("v", 1.0, LEFT, 12, 0), ("v", 2.0, LEFT, 80, 0)]
    found: list[Row] = [("v", 1.0, LEFT, 12, 0.3), ("v", 1.0, LEFT, 12, 0.9), ("w", 1.0, LEFT, 12, 0.5)]
    official, pyslowfast = score(truth, found), score(truth, found, "pyslowfast")
    assert official.per_class[12].ap == 1.0  # true 0.9, false 0.3
    assert official.ignored["detections_on_unlisted_keyframes"] == 1
    assert (official.num_keyframes, pyslowfast.num_keyframes) == (2, 3)
    assert pyslowfast.per_class[12].ap == pytest.approx(1 / 3)  # false 0.9, false 0.5, true 0.3
    assert official.mAP == 0.5  # "80" has ground truth and no detection: 0, and it counts
    assert math.isnan(official.per_class[3].ap)
    assert official.num_classes == 2


def test_a_tie_by_hand() -> None:
    """One true and one false positive of equal score: AP is 1 or 1/2, and ours ranks the later row first."""
    truth: list[Row] = [("v", 1.0, LEFT, 12, 0)]
    miss, hit = ("v", 1.0, RIGHT, 12, 0.5), ("v", 1.0, LEFT, 12, 0.5)
    for order, ap in (([miss, hit], 1.0), ([hit, miss], 0.5)):
        of_class = score(truth, order, "pyslowfast").per_class[12]
        assert (of_class.ap, of_class.ap_tie_min, of_class.ap_tie_max) == (ap, 0.5, 1.0)


@pytest.mark.parametrize(
    ("dialect", "persons", "ap"),
    [
        ("official", (5, 3), 1.0),
        ("official", (3, 5), 0.5),
        ("official", (0, -1), 0.5),
        ("pyslowfast", (5, 3), 1.0),
        ("pyslowfast", (3, 5), 1.0),
    ],
)
def test_between_equal_overlaps_the_higher_person_id_decides(
    dialect: Dialect, persons: tuple[int, int], ap: float
) -> None:
    """The second detection lies half way between two boxes, of which the first detection has taken the second."""
    first, second, between = (0.0, 0.0, 0.75, 1.0), (0.25, 0.0, 1.0, 1.0), (0.125, 0.0, 0.875, 1.0)
    truth: list[Row] = [("v", 1.0, first, 12, persons[0]), ("v", 1.0, second, 12, persons[1])]
    assert score(truth, [("v", 1.0, second, 12, 0.9), ("v", 1.0, between, 12, 0.8)], dialect).mAP == ap


def test_one_half_counts_and_a_hair_less_does_not() -> None:
    truth: list[Row] = [("v", 1.0, WHOLE, 12, 0)]
    assert score(truth, [("v", 1.0, LEFT, 12, 1.0)]).mAP == 1.0
    assert score(truth, [("v", 1.0, (0.0, 0.0, 0.4999999, 1.0), 12, 1.0)]).mAP == 0.0


def test_excluded_keyframes_leave_on_both_sides() -> None:
    truth: list[Row] = [("v", 1.0, LEFT, 12, 0), ("v", 2.0, LEFT, 12, 0)]
    found: list[Row] = [("v", 1.0, RIGHT, 12, 0.9), ("v", 2.0, LEFT, 12, 0.8)]
    exclude = AvaTable.from_columns(["v", "x"], [1.0000001, 5], np.full((2, 4), np.nan))
    for dialect in DIALECTS:
        result = score(truth, found, dialect, exclude=exclude)
        assert result.mAP == 1.0
        assert result.num_keyframes == 1
        assert result.ignored["detections_on_excluded_keyframes"] == 1
        assert result.ignored["ground_truth_on_excluded_keyframes"] == 1


def test_a_listed_keyframe_without_boxes_makes_false_positives() -> None:
    truth = AvaTable.from_columns(["v", "v"], [1, 2], [LEFT, (np.nan,) * 4], [12, NO_ACTION])
    metric = FrameMAP(LABELS)
    found: list[Row] = [("v", 2.0, LEFT, 12, 0.9), ("v", 1.0, LEFT, 12, 0.5), ("v", 3.0, LEFT, 12, 0.99)]
    metric.update(ground_truth=truth, detections=detection_table(found))
    result = metric.compute()
    assert result.mAP == 0.5
    assert result.ignored["detections_on_unlisted_keyframes"] == 1
    with pytest.raises(FormatError, match="video 'v', second 2: a row that only lists its keyframe has no meaning in"):
        FrameMAP(LABELS, "pyslowfast").update(ground_truth=truth)


def test_a_missing_score_is_one_or_refused() -> None:
    unscored = AvaTable.from_columns(["v", "v"], [1, 1], [RIGHT, LEFT], [12, 12], [np.nan, 0.9])
    metric = FrameMAP(LABELS)
    metric.update(ground_truth=truth_table([("v", 1.0, LEFT, 12, 0)]), detections=unscored)
    assert metric.compute().mAP == 0.5
    with pytest.raises(FormatError, match="video 'v', second 1: a detection without a score, which dialect"):
        FrameMAP(LABELS, "pyslowfast").update(detections=unscored)


@pytest.mark.parametrize(
    ("table", "side", "message"),
    [
        (AvaTable.from_columns(["v"], [1], [LEFT]), "detections", "a detection without an action; is this a proposal"),
        (AvaTable.from_columns(["v"], [1], [(0, 0, np.inf, 1)], [12]), "ground_truth", "no finite number"),
        (AvaTable.from_columns(["v"], [3e6], [LEFT], [12]), "detections", "timestamp 3e.06 is no time in a movie"),
        (AvaTable.from_columns(["v"] * 3, [1] * 3, [LEFT] * 3), "detections", r"\(2 more rows like it\)"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(table: AvaTable, side: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        FrameMAP(LABELS).update(**{side: table})


def test_fractions_of_a_second_need_the_official_dialect() -> None:
    truth: list[Row] = [("v", 1.5, LEFT, 12, 0)]
    assert score(truth, [("v", 1.5, LEFT, 12, 1.0)]).mAP == 1.0
    with pytest.raises(FormatError, match=r"second 1\.5: dialect 'pyslowfast' knows whole seconds only"):
        score(truth, [], "pyslowfast")


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="`dialect` is official or pyslowfast, got 'voc'"):
        FrameMAP(LABELS, "voc")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="iou_threshold must be above 0 and at most 1, got 0"):
        FrameMAP(LABELS, iou_threshold=0)


def test_id_0_is_an_id_like_any_other() -> None:
    metric = FrameMAP(LabelMap((Action(0, "run"), Action(1, "walk"))))
    found: list[Row] = [("v", 1.0, LEFT, 0, 0.9), ("v", 1.0, RIGHT, 1, 0.8)]
    metric.update(ground_truth=truth_table([("v", 1.0, LEFT, 0, 0), ("v", 1.0, LEFT, 1, 0)]))
    metric.update(detections=detection_table(found))
    assert [result.ap for result in metric.compute().per_class.values()] == [1, 0]


@pytest.mark.parametrize("dialect", ["official", "pyslowfast"])
def test_a_person_without_an_action_does_none_of_the_evaluated_ones(dialect: Dialect) -> None:
    idle = AvaTable.from_columns(["v", "w"], [1, 1], [LEFT, LEFT], [12, NO_ACTION])
    metric = FrameMAP(LABELS, dialect)
    found: list[Row] = [("w", 1.0, LEFT, 12, 0.9), ("v", 1.0, LEFT, 12, 0.5)]
    metric.update(ground_truth=idle, detections=detection_table(found))
    result = metric.compute()
    assert result.per_class[12].ap == 0.5  # the detection of the idle person is wrong
    assert result.ignored["ground_truth_of_other_actions"] == 1


def test_the_result_prints_and_becomes_json() -> None:
    truth: list[Row] = [("v", 1.0, LEFT, 12, 0), ("v", 1.0, LEFT, 80, 0), ("v", 1.0, LEFT, 4, 0)]
    result = score(truth, [("v", 1.0, LEFT, 12, 0.5), ("v", 1.0, LEFT, 4, 0.5)])
    text = str(result)
    assert text.splitlines()[1].split() == ["12", "stand", "pose", "100.00", "100.00", "to", "100.00", "1", "1", "1"]
    assert "1 detections of actions that the label map does not have were left out" in text
    assert text.splitlines()[-1] == (
        "mAP 50.00 @ IoU 0.5 over 2 classes and 1 keyframe (dialect official; equal scores leave 50.00 to 50.00)"
    )
    assert result.mean_per_kind == {ActionKind.POSE: 1.0, ActionKind.PERSON: 0.0}
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert data["mAP"] == 0.5
    assert data["dialect"] == "official"
    assert data["per_class"]["3"]["ap"] is None
    assert data["per_class"]["12"] == {
        "name": "stand",
        "kind": "pose",
        "ap": 1.0,
        "num_gt": 1,
        "num_det": 1,
        "num_tp": 1,
        "ap_tie_min": 1.0,
        "ap_tie_max": 1.0,
    }


def test_the_default_is_the_60_evaluated_classes() -> None:
    assert FrameMAP().label_map is LabelMap.ava_evaluated()
    assert len(FrameMAP().compute().per_class) == 60
    assert math.isnan(FrameMAP(LabelMap((Action(7, "x"),))).compute().mAP)


@pytest.fixture
def keyframes() -> list[ActionDetections]:
    generator = np.random.default_rng(3)
    corner = generator.random((40, 3, 2)) * 0.5
    return [
        ActionDetections(f"v{i % 3}", i // 3, np.concatenate([c, c + 0.4], 1), np.ones(3), generator.random((3, 80)))  # type: ignore[arg-type]
        for i, c in enumerate(corner)
    ]


def test_csv_gzip_parquet_and_memory_agree(tmp_path: Path, keyframes: list[ActionDetections]) -> None:
    table = AvaTable.from_detections(keyframes, start_seconds=900)
    truth = AvaTable.from_columns(
        [table.video_ids[i] for i in table.video_index[::7]],
        table.timestamps_seconds[::7],
        table.boxes_fraction[::7] + 0.05,
        table.action_ids[::7],
    )
    write_ava_table(tmp_path / "gt.csv", truth)
    write_ava_csv(tmp_path / "d.csv", keyframes, start_seconds=900)
    write_ava_table(tmp_path / "d.csv.gz", table)
    write_parquet(tmp_path / "d.bin", keyframes, LabelMap.ava())
    write_ava_csv(tmp_path / "first.csv", keyframes[:20], start_seconds=900)
    write_ava_csv(tmp_path / "rest.csv", keyframes[20:], start_seconds=900)
    metric = FrameMAP()
    metric.update(ground_truth=truth, detections=table)
    expected = metric.compute().to_json()
    assert 0.01 < expected["mAP"] < 0.99
    several = [tmp_path / "first.csv", tmp_path / "rest.csv"]
    for found in (tmp_path / "d.csv", tmp_path / "d.csv.gz", str(tmp_path / "d.csv"), several):
        assert evaluate_files(tmp_path / "gt.csv", found).to_json() == expected
    assert load_metric(tmp_path / "gt.csv", several).compute().to_json() == expected
    from_parquet = evaluate_files(tmp_path / "gt.csv", tmp_path / "d.bin", start_seconds=900)
    assert from_parquet.to_json() == expected


def test_file_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text("v,1,0,0,1,1,12,0\n")
    (tmp_path / "d.csv").write_text("v,1,0,0,1,1,,0.5\n")
    with pytest.raises(FormatError, match=r"d\.csv: video 'v', second 1: a detection without an action"):
        evaluate_files(tmp_path / "gt.csv", tmp_path / "d.csv")


def test_neither_torch_nor_pandas_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("v,1,0,0,1,1,12,0.5\n")
    code = (
        "import sys; from ava_detect.evaluation.frame_map import evaluate_files;"
        f"print(evaluate_files({str(tmp_path / 'rows.csv')!r}, {str(tmp_path / 'rows.csv')!r}).mAP);"
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = run_python(code, cwd=root)
    assert done.stdout.split("\n")[:2] == ["1.0", "[]"]
