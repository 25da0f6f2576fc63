"""Person boxes against ground truth, by hand and at the ends of the scale."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import MissingDependencyError
from ava_detect.evaluation.person_ap import person_ap
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import NO_ACTION

LEFT, RIGHT, NOBODY = (0.0, 0.0, 0.25, 1.0), (0.5, 0.0, 0.75, 1.0), (0.8, 0.0, 1.0, 0.5)


def boxes(rows: list[tuple[int, tuple[float, ...], float]]) -> AvaTable:
    seconds, corners, scores = zip(*rows, strict=True)
    return AvaTable.from_columns(["v"] * len(rows), seconds, corners, None, scores)


@pytest.fixture
def truth() -> AvaTable:
    """Three people on two keyframes, one of them with two actions; a third keyframe is listed and empty."""
    nothing = (np.nan,) * 4
    return AvaTable.from_columns(
        ["v"] * 5, [1, 1, 1, 2, 3], [LEFT, LEFT, RIGHT, LEFT, nothing], [12, 80, 12, 12, NO_ACTION]
    )


def test_perfect_boxes(truth: AvaTable) -> None:
    result = person_ap(truth, boxes([(1, LEFT, 0.9), (1, RIGHT, 0.9), (2, LEFT, 0.9)]))
    assert (result.ap_50, result.ap, result.recall, result.precision) == (1, 1, 1, 1)
    assert (result.num_people, result.num_keyframes, result.num_boxes) == (3, 3, 3)


def test_by_hand(truth: AvaTable) -> None:
    """Ranked: right, wrong on an empty keyframe, right; the third person is not found."""
    found = [(1, LEFT, 0.9), (3, NOBODY, 0.85), (2, LEFT, 0.7), (9, LEFT, 0.99), (1, LEFT, 0.3)]
    result = person_ap(truth, boxes(found))
    # 101 recall points: precision 1 up to recall 1/3 (points 0 to 33), 2/3 up to 2/3 (34 to 66), then 0.
    assert result.ap_50 == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert (result.recall, result.precision) == pytest.approx((1 / 3, 1 / 2))
    assert (result.num_boxes, result.num_ignored) == (3, 1)
    assert "3 people on 3 keyframes; 3 boxes, 1 on other keyframes ignored" in str(result)
    everything = person_ap(truth, boxes(found), min_score=0)
    assert (everything.recall, everything.precision) == pytest.approx((2 / 3, 2 / 3))


def test_loose_boxes_pass_some_thresholds(truth: AvaTable) -> None:
    """An IoU of exactly 3/4 passes 0.5, 0.55, 0.6, 0.65, 0.7 and 0.75: 6 of 10."""
    left, right = (0.0, 0.0, 0.1875, 1.0), (0.5, 0.0, 0.6875, 1.0)
    loose = person_ap(truth, boxes([(1, left, 1), (1, right, 1), (2, left, 1)]))
    assert (loose.ap_50, loose.ap) == (1, pytest.approx(0.6))


def test_rows_that_only_list_their_keyframe_are_no_people(truth: AvaTable) -> None:
    found = boxes([(1, LEFT, 0.9), (2, (np.nan,) * 4, np.nan)])
    assert person_ap(truth, found) == person_ap(truth, found[:1])


def test_no_person_to_find_and_no_box_found(truth: AvaTable) -> None:
    assert person_ap(truth, AvaTable.empty()).ap_50 == 0
    assert person_ap(truth, AvaTable.empty()).recall == 0
    assert np.isnan(person_ap(truth[4:], boxes([(3, LEFT, 0.9)])).ap)


def test_without_pycocotools_there_is_a_sentence(truth: AvaTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(MissingDependencyError, match=r"try: .*pip install pycocotools"):
        person_ap(truth, boxes([(1, LEFT, 0.9)]))


def test_equal_scores_rank_by_file_order() -> None:
    """pycocotools sorts stably: of two boxes with one score, the first one of the file is the better one."""
    truth = AvaTable.from_columns(["v"], [1], [RIGHT], [12])
    assert person_ap(truth, boxes([(1, RIGHT, 0.9), (1, LEFT, 0.9)])).ap_50 == pytest.approx(1)
    assert person_ap(truth, boxes([(1, LEFT, 0.9), (1, RIGHT, 0.9)])).ap_50 == pytest.approx(0.5)
    # A box of several rows has the place of its best row.
    assert person_ap(truth, boxes([(1, LEFT, 0.5), (1, RIGHT, 0.9), (1, LEFT, 0.9)])).ap_50 == pytest.approx(1)


CORNERS = st.sampled_from([LEFT, RIGHT, (0.0, 0.0, 0.2, 1.0), (0.05, 0.0, 0.3, 1.0), (0.5, 0.0, 0.7, 0.9)])
SECONDS = st.sampled_from([1, 2, 3, 7])
SCORES = st.sampled_from([0.25, 0.5, 0.75])


@settings(max_examples=40)
@given(
    st.lists(st.tuples(SECONDS, CORNERS), min_size=1, max_size=8, unique=True),
    st.lists(st.tuples(SECONDS, CORNERS, SCORES), max_size=10, unique_by=lambda row: row[:2]),
)
def test_pycocotools_itself_gives_the_same(people: list[Any], found: list[Any]) -> None:
    """The rows as a person would write them into COCO files: ids and rows in the order of the files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = list(dict.fromkeys(second for second, _ in people))

    def entry(number: int, second: int, corners: Any, **more: Any) -> dict[str, Any]:
        x1, y1, x2, y2 = corners
        box, area = [x1, y1, x2 - x1, y2 - y1], (x2 - x1) * (y2 - y1)
        place = {"id": number, "image_id": images.index(second), "category_id": 1, "iscrowd": 0}
        return place | {"bbox": box, "area": area} | more

    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": number, "width": 1, "height": 1} for number in range(len(images))],
        "annotations": [entry(number, *row) for number, row in enumerate(people, 1)],
        "categories": [{"id": 1, "name": "person"}],
    }
    rows = [entry(number, *row[:2], score=row[2]) for number, row in enumerate(found, 1) if row[0] in images]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows) if rows else COCO(), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    expected = np.array(evaluation.eval["precision"])[:, :, 0, 0, 0]
    seconds, corners = zip(*people, strict=True)
    result = person_ap(
        AvaTable.from_columns(["v"] * len(people), seconds, corners, [12] * len(people)),
        boxes(found) if found else AvaTable.empty(),
    )
    assert (result.ap_50, result.ap) == (expected[0].mean(), expected.mean())
