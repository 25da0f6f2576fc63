"""How good the person boxes are, whatever is said of their actions: COCO's AP, and recall at a working point.

Action detection can only be as good as the boxes it is given, so this is asked of every proposal file first. AP is
computed by pycocotools (COCO's own evaluator: 101 recall points, 100 boxes per frame at most), on AVA's keyframes.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import MissingDependencyError
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys
from ava_detect.formats.ava_csv import AvaTable

FloatArray = npt.NDArray[np.float64]

_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_MOST_PER_FRAME = 100


@dataclass(frozen=True)
class PersonAPResult:
    """Person boxes against ground truth; numbers in 0..1, NaN without ground truth.

    ``ap_50``: AP at IoU 0.5. ``ap``: mean over IoU 0.5, 0.55, ... 0.95. ``recall`` and ``precision``: at IoU 0.5, of
    the boxes whose score is at least ``min_score``. ``num_ignored``: boxes on keyframes that the ground truth does not
    list.
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
            f"recall {100 * self.recall:.2f}, precision {100 * self.precision:.2f} ({self.num_people} people on "
            f"{self.num_keyframes} keyframes; {self.num_boxes} boxes, {self.num_ignored} on other keyframes ignored)"
        )


def person_ap(ground_truth: AvaTable, boxes: AvaTable, *, min_score: float = 0.8) -> PersonAPResult:
    """AP of person boxes, a proposal file or detections, on the keyframes that the ground truth lists.

    Rows with the same box on the same keyframe are one person, as where a person has several actions; their best score
    counts, and 1 where none is given. ``min_score``: the working point of recall and precision (PySlowFast keeps
    proposals from 0.8 on). Raises ``MissingDependencyError`` without pycocotools.
    """
    keys = KeyframeKeys()
    listed = np.unique(keys.of_rows(ground_truth))
    ground_truth, boxes = ground_truth[~ground_truth.lists_only], boxes[~boxes.lists_only]
    people, frames, _ = _distinct(ground_truth, keys.of_rows(ground_truth))
    found, found_frames, scores = _distinct(boxes, keys.of_rows(boxes))
    is_listed = np.isin(found_frames, listed)
    found, found_frames, scores = found[is_listed], found_frames[is_listed], scores[is_listed]
    whole = _evaluate(listed, people, frames, found, found_frames, scores)
    kept = scores >= min_score
    at_point = _evaluate(listed, people, frames, found[kept], found_frames[kept], scores[kept])
    hits = sum(np.count_nonzero(image["dtMatches"][0]) for image in at_point.evalImgs if image is not None)
    precision = np.array(whole.eval["precision"])[:, :, 0, 0, 0]  # [IoU, recall]
    return PersonAPResult(
        float(precision[0].mean()) if len(people) else np.nan,
        float(precision.mean()) if len(people) else np.nan,
        hits / len(people) if len(people) else np.nan,
        hits / int(kept.sum()) if kept.any() else np.nan,
        min_score,
        len(listed),
        len(people),
        len(found),
        int(np.count_nonzero(~is_listed)),
    )


def _distinct(table: AvaTable, keys: IntArray) -> tuple[FloatArray, IntArray, FloatArray]:
    """The distinct boxes ``[N, 4]`` of each keyframe, the keys of their keyframes, and their best scores."""
    scores = np.where(np.isnan(table.scores), 1.0, table.scores)
    order = np.lexsort((-scores, *table.boxes_fraction.T, keys))
    boxes, keys = table.boxes_fraction[order], keys[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (keys[1:] != keys[:-1]) | (boxes[1:] != boxes[:-1]).any(axis=1)
    return boxes[is_first], keys[is_first], scores[order][is_first]


def _evaluate(
    listed: IntArray,
    people: FloatArray,
    frames: IntArray,
    found: FloatArray,
    found_frames: IntArray,
    scores: FloatArray,
) -> Any:
    """Pycocotools' evaluation, accumulated; its prints are swallowed."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError("person AP needs pycocotools: pip install pycocotools") from error
    with contextlib.redirect_stdout(io.StringIO()):
        truth, guesses = COCO(), COCO()
        for target, boxes, keys, values in ((truth, people, frames, None), (guesses, found, found_frames, scores)):
            images = [{"id": image} for image in range(len(listed))]
            rows = _annotations(boxes, np.searchsorted(listed, keys), values)
            target.dataset = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "person"}]}
            target.createIndex()
        evaluation = COCOeval(truth, guesses, "bbox")
        evaluation.params.iouThrs = _IOU_THRESHOLDS
        evaluation.params.maxDets = [_MOST_PER_FRAME]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _annotations(boxes: FloatArray, images: npt.NDArray[np.intp], scores: FloatArray | None) -> list[dict[str, Any]]:
    sizes = boxes[:, 2:] - boxes[:, :2]
    corners_and_sizes = np.concatenate([boxes[:, :2], sizes], axis=1).tolist()
    rows = zip(images.tolist(), corners_and_sizes, sizes.prod(axis=1).tolist(), strict=True)
    annotations: list[dict[str, Any]] = [
        # Ids from 1: pycocotools takes 0 for "not matched".
        {"id": number, "image_id": image, "category_id": 1, "bbox": box, "area": area, "iscrowd": 0}
        for number, (image, box, area) in enumerate(rows, 1)
    ]
    for annotation, score in zip(annotations, () if scores is None else scores.tolist(), strict=False):
        annotation["score"] = score
    return annotations
