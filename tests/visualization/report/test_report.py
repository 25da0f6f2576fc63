"""The report has every section and the numbers of the result, holds all it needs, and stands any input."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from report_data import NASTY, SMALL_MAP, filled_metric
from report_page import Page, points

from ava_detect.evaluation.classified_run import KINDS
from ava_detect.evaluation.compare import ap_intervals, compare
from ava_detect.evaluation.error_analysis import analyze_errors
from ava_detect.evaluation.frame_map import FrameMAP, load_metric
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.report.write_report import write_report

SECTIONS = ["result", "classes", "curves", "frequency", "errors", "groups", "confusions"]


@pytest.fixture(scope="module")
def metric() -> FrameMAP:
    return filled_metric(SMALL_MAP)


@pytest.fixture(scope="module")
def report(metric: FrameMAP, tmp_path_factory: pytest.TempPathFactory) -> Page:
    out = tmp_path_factory.mktemp("report") / "new" / "folder"
    other = compare(filled_metric(SMALL_MAP, seed=3, noise=1.5), metric, num_resamples=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write_report(
            out, metric, title='A & "B" <i>', source={"detections": "עברית<1>.csv"}, comparison=other, num_resamples=50
        )
    assert path == out / "index.html"
    assert [file.name for file in out.iterdir()] == ["index.html"]
    return Page(path)


def test_every_section_is_there_and_the_contents_lead_to_it(report: Page) -> None:
    ids = report.values("id")
    assert [i for i in ids if i in [*SECTIONS, "comparison"]] == [*SECTIONS, "comparison"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<a href="#([\w-]+)"', report.text)) == {*SECTIONS[1:], "comparison"}
    assert set(report.values("aria-labelledby")) <= set(ids)


def test_nothing_points_outside(report: Page) -> None:
    assert not re.search(r"https?:|//[a-z]|\bsrc\s*=|@import|xlink|data:", report.text.replace("data-sort", ""))
    ids = set(report.values("id"))
    targets = [*report.values("href"), *re.findall(r"url\(([^)]*)\)", report.text)]
    assert targets
    assert all(target[0] == "#" and target[1:] in ids for target in targets)
    assert "default-src 'none'" in report.text


def test_headline(report: Page, metric: FrameMAP) -> None:
    result = metric.compute()
    assert f"<strong>{points(result.mAP)}</strong>" in report.text
    interval = ap_intervals(metric, num_resamples=50).mAP
    assert f"{points(interval.low)} to {points(interval.high)} (95% interval, 50 bootstrap draws of 4 videos)" in (
        report.words
    )
    assert re.search(r"keyframes\s*80\s", re.sub(r"<[^>]+>", " ", report.text))
    assert "3 of 4" in report.words
    assert all(note in report.words for note in result.notes)
    kinds = report.table("Mean AP of each kind")
    for kind, mean in result.mean_per_kind.items():
        assert any(kind in name and row[0] in (points(mean), "–no ground truth") for name, row in kinds.items())


def test_class_table_has_the_numbers_of_the_result(report: Page, metric: FrameMAP) -> None:
    rows = report.table("Every class")
    for action_id, c in metric.compute().per_class.items():
        cells = rows[c.name]
        assert cells[0] == str(action_id)
        assert c.kind in cells[1]
        assert cells[-3:] == [f"{n:,}" for n in (c.num_gt, c.num_det, c.num_tp)]
        if c.num_gt:
            assert cells[2] == points(c.ap)
            assert cells[4] == f"{points(c.ap_tie_min)} to {points(c.ap_tie_max)}"
    assert rows["never"][2:5] == ["–no ground truth"] * 3
    best_first = [float(cells[2]) for cells in list(rows.values())[1:-1]]
    assert best_first == sorted(best_first, reverse=True)


def test_error_tables_have_the_numbers_of_the_analysis(report: Page, metric: FrameMAP) -> None:
    errors = analyze_errors(metric)
    rows = report.table("Errors by cost")
    assert len(rows) == 1 + len(KINDS)
    costs = [float(cells[1]) for cells in list(rows.values())[1:]]
    assert costs == sorted(costs, reverse=True)
    for kind in KINDS:
        assert rows[kind.replace("_", " ")][1:] == [points(getattr(errors.costs, kind)), f"{errors.counts[kind]:,}"]
    oracles = report.table("if one side were perfect")
    assert oracles["perfect boxes"][1] == points(errors.oracles["perfect_boxes"])
    assert oracles["perfect labels"][1] == points(errors.oracles["perfect_labels"])
    per_class = report.table("Points of AP")
    assert per_class["stand"][1] == points(errors.costs_per_class[5].missed_person)
    assert "never" not in per_class
    groups = report.table("mAP by group")
    for group, value in {**errors.by_size, **errors.by_crowd, **errors.by_frequency}.items():
        assert groups[group][1] == (points(value) if value == value else "–no ground truth")
    assert "–no ground truth" in [row[1] for row in groups.values()]
    ((caption, pairs),) = [table for table in report.tables if "frequent confusions" in table[0]]
    assert caption.startswith(f"The {(errors.confusions > 0).sum()} most")
    assert pairs[1][2] == f"{errors.confusions.max():,}"


def test_comparison_marks_what_is_clear(report: Page) -> None:
    rows = report.table("Both runs")
    other = compare(filled_metric(SMALL_MAP, seed=3, noise=1.5), filled_metric(SMALL_MAP), num_resamples=50)
    assert other.summary() in report.words
    for action_id, difference in other.per_class.items():
        first = other.first.per_class[action_id]
        cells = rows[first.name]
        if first.num_gt:
            assert cells[1:4] == [
                points(first.ap),
                points(other.second.per_class[action_id].ap),
                f"{100 * difference.value:+.2f}",
            ]
        assert cells[5] == ("clear" if difference.is_clear else "")
    assert "clear" in [cells[5] for cells in rows.values()]


def test_figures_are_there_labelled_and_take_the_colours_of_the_page(report: Page) -> None:
    labels = [attributes["aria-label"] for tag, attributes in report.tags if tag == "svg"]
    for words in ("3 classes; numbers", "curve of stand", "AP against", "each kind of error", "Confusions among"):
        assert any(words in label for label in labels), words
    assert sum("Precision-recall" in label for label in labels) == 3
    assert sum(label.startswith("mAP by") for label in labels) == 3
    assert not re.search(r"#[0-9a-f]{6}", report.text[report.text.index("<body") :])
    assert all(attributes.get("role") == "img" for tag, attributes in report.tags if tag == "svg")


def test_text_from_outside_is_escaped(report: Page) -> None:
    assert "<b>" not in report.text
    assert "<i>" not in report.text
    assert 'A & "B" <i>' in report.words
    assert "עברית<1>.csv" in report.words
    assert NASTY in report.words
    assert "<1>" not in report.text


def test_tables_are_captioned_and_headed(report: Page) -> None:
    assert all(caption for caption, _ in report.tables)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in report.tags if tag == "th")
    assert report.text.index("<h1>") < report.text.index("<h2")


def test_the_same_metric_gives_the_same_page(metric: FrameMAP, tmp_path: Path) -> None:
    first, second = (write_report(tmp_path / name, metric, num_resamples=5).read_text() for name in "ab")
    assert first == second


def test_sixty_classes(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, filled_metric(LabelMap.ava_evaluated()), num_resamples=5))
    labels = [attributes["aria-label"] or "" for tag, attributes in page.tags if tag == "svg"]
    assert sum(label.startswith("AP and number") for label in labels) == 2
    assert any("Confusions among 10 classes" in label for label in labels)
    assert "comparison" not in page.values("id")
    assert len(page.table("frequent confusions")) <= 21


def test_one_video_has_no_interval_over_videos(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, filled_metric(SMALL_MAP, num_videos=1), num_resamples=5))
    assert "With one video alone there is no interval over videos." in page.words
    assert "95%" not in page.words
    assert page.table("Every class")["action"][3] == "ties"


def empty_cases() -> dict[str, tuple[FrameMAP, str]]:
    box = [[0.1, 0.1, 0.5, 0.5]]
    one = AvaTable.from_columns(["a"], [1], box, [5])
    nothing, no_detections, no_truth, other_keyframe = (FrameMAP(SMALL_MAP) for _ in range(4))
    no_detections.update(ground_truth=one)
    no_truth.update(detections=one)
    other_keyframe.update(ground_truth=one, detections=AvaTable.from_columns(["a"], [7], box, [5], [0.5]))
    return {
        "nothing": (nothing, "No ground truth takes part"),
        "no detections": (no_detections, "No detection takes part, so every class with ground truth has AP 0."),
        "no ground truth": (no_truth, "No ground truth takes part"),
        "other keyframes": (other_keyframe, "detections on keyframes without a ground-truth row were ignored"),
    }


@pytest.mark.parametrize("case", empty_cases())
def test_a_result_without_rows_says_so(case: str, tmp_path: Path) -> None:
    metric, sentence = empty_cases()[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write_report(tmp_path, metric, comparison=compare(metric, metric, num_resamples=5))
    page = Page(path)
    assert sentence in page.words
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", page.text, flags=re.DOTALL).lower()
    if "No ground truth" in sentence:
        assert page.table("Every class")["stand"][2:4] == ["–no ground truth"] * 2
        assert "there is nothing to compare" in page.words


def test_an_older_page_stays_when_writing_fails(
    metric: FrameMAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("older")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, metric, num_resamples=2)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("index.html", b"older")]


def test_real_excerpt(shared: Path, tmp_path: Path) -> None:
    folder = shared / "cases" / "evaluator" / "real_v22_excerpt"
    metric = load_metric(folder / "gt.csv", folder / "det.csv", label_map=folder / "labelmap.pbtxt")
    page = Page(write_report(tmp_path, metric, num_resamples=20))
    assert f"<strong>{points(metric.compute().mAP)}</strong>" in page.text
