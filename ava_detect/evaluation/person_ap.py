"""Quality of person boxes, whatever their actions: COCO's AP, and recall and precision at a working point.

Action detection can only be as good as the boxes it is given, so every proposal file is scored with this first. AP is
computed by pycocotools (COCO's own evaluator: 101 recall points, 100 boxes per frame at most), on AVA's keyframes.
Equal scores rank as in pycocotools: by keyframe, in the order of the ground truth, and on one keyframe by file order.

Shapes: R rows of a table, N distinct boxes, K keyframes.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.environment import pip_line
from ava_detect.errors import MissingDependencyError, counted
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, enumerate_keys
from ava_detect.formats.ava_csv import AvaTable

FloatArray = npt.NDArray[np.float64]

_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_MAX_BOXES_PER_FRAME = 100


@dataclass(frozen=True)
class PersonAPResult:
    """Person boxes against ground truth; scores in 0..1, NaN without ground truth.

    Attributes:
        ap_50: AP at IoU 0.5.
        ap: Mean AP over IoU 0.5, 0.55, ... 0.95.
        recall: Recall at IoU 0.5 of the boxes whose score is at least ``min_score``.
        precision: Precision at IoU 0.5 of the same boxes.
        min_score: Score of the working point.
        num_keyframes: Number of keyframes that the ground truth lists.
        num_people: Number of people on them.
        num_boxes: Number of boxes on them.
        num_ignored: Number of boxes on other keyframes.
    """

    ap_50: float
    ap: float
    recall: float
    precision: float
    min_score: float
    num_keyframes: int
    num_people: int
    num_boxes: int
    num_ignored: int

    def __str__(self) -> str:
        return (
            f"person AP {100 * self.ap_50:.2f} @ IoU 0.5, {100 * self.ap:.2f} @ 0.5:0.95; at score {self.min_score:g} "
            f"recall {100 * self.recall:.2f}, precision {100 * self.precision:.2f} "
            f"({counted(self.num_people, 'person', 'people')} on {counted(self.num_keyframes, 'keyframe')}; "
            f"{counted(self.num_boxes, 'box', 'boxes')}, {self.num_ignored} on other keyframes ignored)"
        )


def person_ap(ground_truth: AvaTable, boxes: AvaTable, *, min_score: float = 0.8) -> PersonAPResult:
    """Compute AP, recall and precision of person boxes on the keyframes that the ground truth lists.

    Rows with the same box on the same keyframe are one person, as where a person has several actions. Their best score
    counts; a row without a score has score 1.

    Args:
        ground_truth: Ground-truth boxes, and the keyframes that have none.
        boxes: Person boxes with scores: a proposal file, or detections.
        min_score: Score of the working point at which recall and precision are computed, 0..1 (PySlowFast keeps
            proposals from 0.8 on).

    Returns:
        The result.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    keyframe_keys = KeyframeKeys()
    listed, _ = enumerate_keys(keyframe_keys.of_rows(ground_truth))  # [K], in the order of the file
    ground_truth, boxes = ground_truth[~ground_truth.is_keyframe_only], boxes[~boxes.is_keyframe_only]
    people = _distinct_boxes(ground_truth, keyframe_keys.of_rows(ground_truth))
    proposals = _distinct_boxes(boxes, keyframe_keys.of_rows(boxes))
    on_listed = proposals.select(np.isin(proposals.keys, listed))
    # AP over all boxes; recall and precision over the boxes from the working point on.
    evaluation = _evaluate(listed, people, on_listed)
    kept = on_listed.select(on_listed.scores >= min_score)
    at_point = _evaluate(listed, people, kept)
    # ``dtMatches`` has a row for each IoU threshold, of which row 0 is IoU 0.5; 0 marks a box without a match.
    num_found = sum(np.count_nonzero(image["dtMatches"][0]) for image in at_point.evalImgs if image is not None)
    # pycocotools' [IoU, recall, category, area, maxDets] -> [IoU, recall]
    precision = np.array(evaluation.eval["precision"])[:, :, 0, 0, 0]
    return PersonAPResult(
        float(precision[0].mean()) if len(people) else np.nan,
        float(precision.mean()) if len(people) else np.nan,
        num_found / len(people) if len(people) else np.nan,
        num_found / len(kept) if len(kept) else np.nan,
        min_score,
        len(listed),
        len(people),
        len(on_listed),
        len(proposals) - len(on_listed),
    )


@dataclass(frozen=True, eq=False)
class _KeyframeBoxes:
    """N boxes on keyframes: corners float64 ``[N, 4]``, keyframe keys int64 ``[N]``, scores float64 ``[N]``."""

    corners: FloatArray
    keys: IntArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.corners)

    def select(self, is_wanted: npt.NDArray[np.bool_]) -> _KeyframeBoxes:
        return _KeyframeBoxes(self.corners[is_wanted], self.keys[is_wanted], self.scores[is_wanted])


def _distinct_boxes(table: AvaTable, keys: IntArray) -> _KeyframeBoxes:
    """Return the distinct boxes of each keyframe with their best scores; ``keys`` ``[R]`` are those of the rows.

    Boxes are in file order, each at the first of its rows with the best score.
    """
    scores = np.where(np.isnan(table.scores), 1.0, table.scores)
    # Equal boxes of one keyframe become neighbours, the best score first, and of equal scores the first row.
    order = np.lexsort((-scores, *table.boxes_fraction.T, keys))  # [R]
    boxes, sorted_keys = table.boxes_fraction[order], keys[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (sorted_keys[1:] != sorted_keys[:-1]) | (boxes[1:] != boxes[:-1]).any(axis=1)
    rows = np.sort(order[is_first])
    return _KeyframeBoxes(table.boxes_fraction[rows], keys[rows], scores[rows])


def _evaluate(listed: IntArray, people: _KeyframeBoxes, proposals: _KeyframeBoxes) -> Any:
    """Run and accumulate pycocotools' evaluation, without its prints; ``listed`` ``[K]`` are the keyframes' keys."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError(
            f"person AP needs pycocotools, which is not installed; try: {pip_line('pycocotools')}"
        ) from error
    by_value = np.argsort(listed)  # [K], the listed keys in rising order
    with contextlib.redirect_stdout(io.StringIO()):
        truth, detections = COCO(), COCO()
        for target, boxes, scores in ((truth, people, None), (detections, proposals, proposals.scores)):
            # A keyframe is an image; its id is its position among the listed keys.
            images = [{"id": image} for image in range(len(listed))]
            image_of_box = by_value[np.searchsorted(listed, boxes.keys, sorter=by_value)]
            annotations = _annotations(boxes.corners, image_of_box, scores)
            target.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
            target.createIndex()
        evaluation = COCOeval(truth, detections, "bbox")
        evaluation.params.iouThrs = _IOU_THRESHOLDS
        evaluation.params.maxDets = [_MAX_BOXES_PER_FRAME]
        # One range of areas instead of COCO's small, medium and large, which are in pixels.
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _annotations(corners: FloatArray, images: npt.NDArray[np.intp], scores: FloatArray | None) -> list[dict[str, Any]]:
    """Return COCO annotations of boxes ``[N, 4]`` on images ``[N]``, with scores ``[N]`` where they are detections."""
    sizes = corners[:, 2:] - corners[:, :2]  # [N, 2]
    # x1, y1, x2, y2 -> COCO's x, y, width, height
    xywh = np.concatenate([corners[:, :2], sizes], axis=1).tolist()
    rows = zip(images.tolist(), xywh, sizes.prod(axis=1).tolist(), strict=True)
    annotations: list[dict[str, Any]] = [
        # Ids from 1: pycocotools takes 0 for "not matched".
        {"id": number, "image_id": image, "category_id": 1, "bbox": box, "area": area, "iscrowd": 0}
        for number, (image, box, area) in enumerate(rows, 1)
    ]
    for annotation, score in zip(annotations, () if scores is None else scores.tolist(), strict=False):
        annotation["score"] = score
    return annotations
