"""The 64 cases in which the official evaluators were run: ours answers as they do, or differs on purpose."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tolerances import FLOAT64_AP

from ava_detect.errors import FormatError
from ava_detect.evaluation.frame_map import evaluate_files
from ava_detect.evaluation.frame_map_result import Dialect, FrameMAPResult

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases" / "evaluator"
NAMES = sorted(path.name for path in CASES.iterdir()) if CASES.is_dir() else []
DIALECTS: tuple[Dialect, ...] = ("official", "pyslowfast")

# Where the official code crashes: the mAP of the file as a person means it, or the sentence that refuses it.
CRASHES: dict[tuple[str, str], float | str] = {
    ("blank_line_end", "official"): 0.6833333333333332,
    ("blank_line_end", "pyslowfast"): 0.6833333333333332,
    ("header_line", "official"): 0.6833333333333332,
    ("header_line", "pyslowfast"): 0.6833333333333332,
    ("gt_person_id_text", "official"): 0.6833333333333332,
    # A box with reversed sides counts as one that nothing can find: 5 in place of 4, 0.55 * 4 / 5.
    ("degenerate_gt_reversed_hit", "official"): (0.44 + 0.5 + 1) / 3,
    ("degenerate_gt_reversed_hit", "pyslowfast"): (0.44 + 0.5 + 1) / 3,
    # Only "stand" is in the map, whatever its lines are indented with.
    ("labelmap_tabs", "official"): 0.55,
    ("labelmap_tabs", "pyslowfast"): 0.55,
    # 902.0 is a whole second.
    ("timestamp_formats", "pyslowfast"): 0.6666666666666667,
    ("score_empty_field", "official"): "det.csv, line 9: column 8 (score) is empty; give a number",
    ("score_empty_field", "pyslowfast"): "det.csv, line 9: column 8 (score) is empty; give a number",
    ("text_box", "official"): "det.csv, line 1: column 4 (y1) is 'abc', which is no number",
    ("text_box", "pyslowfast"): "det.csv, line 1: column 4 (y1) is 'abc', which is no number",
    ("wrong_columns_9", "official"): "det.csv, line 9: 9 columns, expected video_id,timestamp,x1,y1,x2,y2,action_id",
    ("wrong_columns_9", "pyslowfast"): "det.csv, line 9: 9 columns, expected video_id,timestamp,x1,y1,x2,y2,action_id",
    ("score_mixed_7_8_cols", "pyslowfast"): "det.csv: video 'vidA', second 902: a detection without a score, which",
}
# Where the official code answers, but to another question: it takes the byte order mark for a part of the video's id.
ON_PURPOSE = {("bom", "official"): 0.6833333333333332, ("bom", "pyslowfast"): 0.6833333333333332}

pytestmark = pytest.mark.skipif(not NAMES, reason=f"the reference cases are not there ({CASES})")


def evaluate(case: str, dialect: Dialect) -> FrameMAPResult:
    folder = CASES / case

    def file(name: str) -> Path:
        return folder / name if (folder / name).exists() else folder / f"{name}.gz"

    return evaluate_files(
        file("gt.csv"),
        file("det.csv"),
        label_map=file("labelmap.pbtxt"),
        # The official script has no such list; the references of this dialect were made without.
        exclude=file("excluded.csv") if dialect == "pyslowfast" else None,
        dialect=dialect,
    )


def expected(case: str, dialect: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((CASES / case / "expected.json").read_text())["dialects"][dialect]
    return answer


def number(value: float | None) -> float:
    return math.nan if value is None else value


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", NAMES)
def test_as_the_official_code_or_on_purpose(case: str, dialect: Dialect) -> None:
    reference = expected(case, dialect)
    if reference["status"] == "crash":
        ours = CRASHES[case, dialect]
        if isinstance(ours, str):
            with pytest.raises(FormatError) as error:
                evaluate(case, dialect)
            assert ours in str(error.value)
        else:
            assert evaluate(case, dialect).mAP == pytest.approx(ours, abs=FLOAT64_AP)
        return
    result = evaluate(case, dialect)
    if (case, dialect) in ON_PURPOSE:
        assert result.mAP == pytest.approx(ON_PURPOSE[case, dialect], abs=FLOAT64_AP)
        assert reference["mAP"] != pytest.approx(ON_PURPOSE[case, dialect], abs=1e-3)
        return
    stable = expected(case, f"{dialect}_stable")
    assert result.mAP == pytest.approx(number(stable["mAP"]), abs=FLOAT64_AP, nan_ok=True)
    for action_id, ours_of_class in result.per_class.items():
        check_class(ours_of_class, reference["per_class"].get(str(action_id)), stable["per_class"].get(str(action_id)))


def check_class(ours: Any, reference: dict[str, Any] | None, stable: dict[str, Any] | None) -> None:
    if reference is None or stable is None:
        assert (ours.num_gt, ours.num_det, ours.num_tp) == (0, 0, 0)
        assert math.isnan(ours.ap)
        return
    assert (ours.num_gt, ours.num_det, ours.num_tp) == tuple(stable[key] for key in ("num_gt", "num_det", "num_tp"))
    assert ours.ap == pytest.approx(number(stable["ap"]), abs=FLOAT64_AP, nan_ok=True)
    if "ap_tie_min" in reference:
        assert ours.ap_tie_min == pytest.approx(reference["ap_tie_min"], abs=FLOAT64_AP)
        assert ours.ap_tie_max == pytest.approx(reference["ap_tie_max"], abs=FLOAT64_AP)
        assert ours.ap_tie_min - 1e-12 <= reference["ap"] <= ours.ap_tie_max + 1e-12
        if ours.ap_tie_min == ours.ap_tie_max:
            assert ours.ap == pytest.approx(reference["ap"], abs=FLOAT64_AP)


def test_every_crash_is_decided_and_no_decision_is_left_over() -> None:
    crashes = {
        (case, dialect) for case in NAMES for dialect in DIALECTS if expected(case, dialect)["status"] == "crash"
    }
    assert crashes == set(CRASHES)


def test_the_hand_made_case_by_hand() -> None:
    result = evaluate("basic_hand", "official")
    by_hand = json.loads((CASES / "basic_hand" / "expected.json").read_text())["by_hand"]
    assert result.per_class[12].ap == pytest.approx(by_hand["12"])
    assert result.mAP == pytest.approx(by_hand["mAP"])


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_full_size_validation_set(dialect: Dialect, full_detections: Path, full_folder: Path) -> None:
    reference = json.loads((full_folder / "expected.json").read_text())["dialects"][dialect]
    exclude = full_folder / "excluded.csv" if dialect == "pyslowfast" else None
    result = evaluate_files(full_folder / "gt.csv.gz", full_detections, dialect=dialect, exclude=exclude)
    assert result.tie_min <= reference["mAP"] <= result.tie_max
    # Equal scores may stand in another order; all orders together leave less than 2e-4.
    assert result.mAP == pytest.approx(reference["mAP"], abs=1e-5)
    assert result.tie_max - result.tie_min < 2e-4
    for action_id, of_class in reference["per_class"].items():
        ours = result.per_class[int(action_id)]
        assert (ours.num_gt, ours.num_tp) == (of_class["num_gt"], of_class["num_tp"])
        assert ours.ap_tie_min == pytest.approx(of_class["ap_tie_min"], abs=FLOAT64_AP)
        assert ours.ap_tie_max == pytest.approx(of_class["ap_tie_max"], abs=FLOAT64_AP)
