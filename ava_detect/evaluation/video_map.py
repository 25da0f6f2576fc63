"""Video-mAP and frame-mAP on tubes: MultiSports, UCF101-24 and JHMDB.

A detected tube is a true positive where its overlap in space and time with a tube of the ground truth reaches the
threshold (``tube_overlap``). Two evaluators are in use, and their numbers differ, so the ``dialect`` is a parameter and
is recorded in the result:

* ``multisports``: MultiSports' ``evaluate_multisports.py`` (github.com/MCG-NJU/MultiSports at a29e291; mmaction2's
  ``multisports_utils.py`` computes the same). Lengths are differences. A detection claims the tube that it overlaps
  most; where another one has taken that, it is false. AP is the area under the monotone envelope (VOC). Classes without
  ground truth, and the six that the data set does not evaluate, take no part.
* ``act``: the evaluator of ACT and MOC (``src/ACT.py`` of github.com/MCG-NJU/MOC-Detector), for UCF101-24 and JHMDB.
  The last pixel and the last frame count. Tubes of one action that overlap a better one by more than 0.3 are suppressed
  first. A tube of the ground truth that was taken is removed, and the next detection may claim its second best. AP is
  the trapezoid area, from precision 1 at recall 0, in float32. All classes count, with 0 where they have no truth.

``docs/video-map.md`` has the rules in full. Of equal scores the earlier detection ranks first; the published programs
leave that order to an unstable sort. Each result has the interval that other orders of equal scores would give.

Shapes: R detections of one class, best first; G tubes or boxes of its ground truth; P pairs of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.evaluation.average_precision import area_under_envelope
from ava_detect.evaluation.frame_map_result import ClassResult
from ava_detect.evaluation.tube_overlap import Counting, TubeStack, box_iou, suppress, tube_iou
from ava_detect.evaluation.video_map_result import TubeDialect, TubeMetric, VideoMAPResult, check_tube_dialect
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: The classes that MultiSports' evaluator leaves out, by name.
NOT_EVALUATED = frozenset(
    (
        "aerobic kick jump",
        "aerobic off axis jump",
        "aerobic butterfly jump",
        "aerobic balance turn",
        "basketball save",
        "basketball jump ball",
    )
)
_COUNTING = {"multisports": Counting(box_side=0, span=0), "act": Counting(box_side=1, span=1)}
_MAX_TUBE_OVERLAP = 0.3
# Frames of a video, for keys of video and frame in one number.
_MAX_FRAMES = 1 << 40


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of detections and ground truth of one class that may match.

    Attributes:
        scores: float64 ``[R]``, descending.
        num_gt: Number of tubes or boxes of the ground truth.
        detections: int64 ``[P]``, ascending, rank of the detection of each pair.
        truths: int64 ``[P]``, index of the ground truth of each pair, ascending within a detection.
        iou: float64 ``[P]``.
    """

    scores: FloatArray
    num_gt: int
    detections: IntArray
    truths: IntArray
    iou: FloatArray


class VideoMAP:
    """Video-mAP and frame-mAP over tubes that arrive in chunks.

    Args:
        label_map: The classes. In ``multisports`` those of ``NOT_EVALUATED`` take no part.
        dialect: The evaluator whose rules apply, ``multisports`` or ``act``.
        videos: Ids of the videos that are measured, in the order in which equal scores rank in ``act``; those with
            ground truth follow.

    Raises:
        ConfigError: The dialect is unknown.

    Example:
        >>> metric = VideoMAP(truth.label_map, "multisports")
        >>> metric.update(ground_truth=truth.tubes, tubes=detected)
        >>> print(metric.compute(0.5).summary())
    """

    def __init__(self, label_map: LabelMap, dialect: TubeDialect = "multisports", videos: Sequence[str] = ()) -> None:
        self.label_map = label_map
        self.dialect = check_tube_dialect(dialect)
        is_left_out = NOT_EVALUATED if dialect == "multisports" else frozenset()
        self._classes = {action.id: action for action in label_map if action.name not in is_left_out}
        self._known_videos = tuple(videos)
        self.reset()

    def reset(self) -> None:
        """Remove all tubes and boxes."""
        self._truth: dict[int, list[FrameTube]] = {action_id: [] for action_id in self._classes}
        self._tubes: dict[int, list[FrameTube]] = {action_id: [] for action_id in self._classes}
        self._boxes: list[AvaTable] = []
        self._videos = {video_id: number for number, video_id in enumerate(self._known_videos)}
        self._num_other_truth = self._num_other_tubes = 0

    def update(
        self,
        *,
        ground_truth: Iterable[FrameTube] = (),
        tubes: Iterable[FrameTube] = (),
        boxes: AvaTable | None = None,
    ) -> None:
        """Add tubes of the ground truth, detected tubes, or detected boxes of single frames.

        Args:
            ground_truth: Tubes of the ground truth.
            tubes: Detected tubes, each with a score; for video-mAP.
            boxes: Detected boxes, for frame-mAP: the timestamps are numbers of frames, the boxes in pixels.

        Raises:
            FormatError: A detection has no score or no finite box; the message names its video and frame.
        """
        for tube in ground_truth:
            self._videos.setdefault(tube.video_id, len(self._videos))
            if tube.action_id in self._truth:
                self._truth[tube.action_id].append(tube)
            else:
                self._num_other_truth += 1
        for tube in tubes:
            if np.isnan(tube.score):
                raise FormatError(f"video {shown(tube.video_id)!r}: a detected tube without a score")
            if tube.action_id in self._tubes:
                self._tubes[tube.action_id].append(tube)
            else:
                self._num_other_tubes += 1
        if boxes is not None:
            _check_boxes(boxes)
            self._boxes.append(boxes)

    def compute(self, iou_threshold: float = 0.5) -> VideoMAPResult:
        """Evaluate the tubes added so far.

        Args:
            iou_threshold: Least overlap of a true positive with its tube, above 0 and at most 1.

        Returns:
            The video-mAP.

        Raises:
            ValueError: The threshold is out of range.
        """
        return self.compute_at((iou_threshold,))[0]

    def compute_at(self, iou_thresholds: Sequence[float], metric: TubeMetric = "video") -> list[VideoMAPResult]:
        """Evaluate what was added so far at several thresholds; overlaps are computed once for all of them.

        Args:
            iou_thresholds: Least overlaps of a true positive, each above 0 and at most 1.
            metric: ``video`` for the detected tubes, ``frame`` for the detected boxes.

        Returns:
            A result for each threshold, in the order given.

        Raises:
            ValueError: A threshold is out of range.
        """
        for threshold in iou_thresholds:
            if not 0 < threshold <= 1:
                raise ValueError(f"iou_threshold must be above 0 and at most 1, got {threshold}")
        ignored = {"ground_truth_of_other_actions": self._num_other_truth}
        per_class: list[dict[int, ClassResult]] = [{} for _ in iou_thresholds]
        boxes = AvaTable.concatenate(self._boxes)
        if metric == "frame":
            ignored["detections_of_other_actions"] = int((~np.isin(boxes.action_ids, list(self._classes))).sum())
        else:
            ignored["detections_of_other_actions"] = self._num_other_tubes
        for action in self._classes.values():
            pairs = self._box_pairs(action, boxes, ignored) if metric == "frame" else self._tube_pairs(action, ignored)
            for results, threshold in zip(per_class, iou_thresholds, strict=True):
                results[action.id] = self._class_result(action, pairs, threshold)
        return [
            VideoMAPResult(results, metric, self.dialect, threshold, len(self._videos), ignored)
            for results, threshold in zip(per_class, iou_thresholds, strict=True)
        ]

    def _tube_pairs(self, action: Action, ignored: dict[str, int]) -> _Pairs:
        """Pair the detected tubes of a class, best first, with the ground truth of their videos."""
        truth = sorted(self._truth[action.id], key=lambda tube: self._videos[tube.video_id])
        found = self._tubes[action.id]
        if self.dialect == "act":
            kept = self._suppressed(found)
            _count(ignored, "detections_suppressed", len(found) - len(kept))
            found = kept
        found = sorted(found, key=lambda tube: -tube.score)  # stable: of equal scores the earlier one first
        _count(ignored, "detections_in_other_videos", sum(tube.video_id not in self._videos for tube in found))
        truth_videos = np.array([self._videos[tube.video_id] for tube in truth], np.int64)
        videos = np.array([self._videos.get(tube.video_id, -1) for tube in found], np.int64)
        detections, truths = _pairs_of_equal(videos, truth_videos)
        stacks = TubeStack.build(truth), TubeStack.build(found)
        iou = tube_iou(*stacks, (truths, detections), _COUNTING[self.dialect])
        return _Pairs(np.array([tube.score for tube in found]), len(truth), detections, truths, iou)

    def _suppressed(self, found: Sequence[FrameTube]) -> list[FrameTube]:
        """Leave out tubes that repeat a better one, video by video in the order of the ground truth."""
        by_video: dict[str, list[FrameTube]] = {video_id: [] for video_id in self._videos}
        for tube in found:
            by_video.setdefault(tube.video_id, []).append(tube)
        groups = list(by_video.values())
        kept = suppress(groups, _MAX_TUBE_OVERLAP, _COUNTING[self.dialect])
        return [tubes[i] for tubes, indices in zip(groups, kept, strict=True) for i in indices]

    def _box_pairs(self, action: Action, boxes: AvaTable, ignored: dict[str, int]) -> _Pairs:
        """Pair the detected boxes of a class, best first, with the boxes of the ground truth on their frames."""
        truth = self._truth[action.id]
        lengths = [len(tube) for tube in truth]
        truth_videos = np.repeat(np.array([self._videos[tube.video_id] for tube in truth], np.int64), lengths)
        truth_frames = np.concatenate([np.empty(0, np.int64), *(tube.frames for tube in truth)])
        truth_boxes = np.concatenate([np.empty((0, 4)), *(tube.boxes_xyxy for tube in truth)])
        # Boxes of one frame in the order of the tubes.
        truth_keys = truth_videos * _MAX_FRAMES + truth_frames
        by_key = np.argsort(truth_keys, kind="stable")
        rows = np.flatnonzero(boxes.action_ids == action.id)
        rows = rows[np.argsort(-boxes.scores[rows], kind="stable")]  # [R]
        video_numbers = np.array([self._videos.get(video_id, -1) for video_id in boxes.video_ids], np.int64)
        videos = video_numbers[boxes.video_index[rows]] if len(rows) else np.empty(0, np.int64)
        _count(ignored, "detections_in_other_videos", int((videos < 0).sum()))
        keys = np.where(videos < 0, -1, videos * _MAX_FRAMES + boxes.timestamps_seconds[rows].astype(np.int64))
        detections, truths = _pairs_of_equal(keys, truth_keys[by_key])
        truths = by_key[truths]
        iou = box_iou(truth_boxes[truths], boxes.boxes_fraction[rows[detections]], _COUNTING[self.dialect].box_side)
        return _Pairs(boxes.scores[rows], len(truth_keys), detections, truths, iou)

    def _class_result(self, action: Action, pairs: _Pairs, threshold: float) -> ClassResult:
        """Match, and compute AP and its tie interval."""
        take = _matched_best_only if self.dialect == "multisports" else _matched_with_removal
        is_tp = take(pairs, threshold)
        ranks = np.flatnonzero(is_tp)
        # The run of equal scores of each true positive: ranks ``first`` up to, not including, ``end``.
        negated = -pairs.scores
        first = np.searchsorted(negated, negated[ranks], side="left")
        end = np.searchsorted(negated, negated[ranks], side="right")
        number = np.arange(len(ranks))
        # In the worst order the true positives fill the last ranks of their run, in the best the first ones.
        worst = end - (np.searchsorted(first, first, side="right") - number)
        best = first + number - np.searchsorted(first, first, side="left")
        ap, least, greatest = (self._ap(order, len(is_tp), pairs.num_gt) for order in (ranks, worst, best))
        return ClassResult(
            action.name,
            action.kind,
            ap,
            num_gt=pairs.num_gt,
            num_det=len(is_tp),
            num_tp=len(ranks),
            ap_tie_min=least,
            ap_tie_max=greatest,
        )

    def _ap(self, ranks: IntArray, num_det: int, num_gt: int) -> float:
        if self.dialect == "act":
            return trapezoid_area(ranks, num_det, num_gt)
        return area_under_envelope(ranks, num_gt) if num_gt else np.nan


def trapezoid_area(ranks: IntArray, num_det: int, num_gt: int) -> float:
    """Compute AP as ACT and MOC do: trapezoids between neighbouring detections, from precision 1 at recall 0.

    Args:
        ranks: int64 ``[P]``, ascending ranks of the true positives among all detections, 0 = best.
        num_det: Number of detections.
        num_gt: Number of tubes or boxes of the ground truth.

    Returns:
        AP, 0..1; 0 without ground truth.
    """
    if not num_gt:
        return 0.0
    is_tp = np.zeros(num_det, np.bool_)
    is_tp[ranks] = True
    num_found = np.cumsum(is_tp)
    # Rounded to float32 where the published code rounds: as it stores them.
    precision = np.concatenate([[1.0], num_found / np.arange(1, num_det + 1)]).astype(np.float32)
    recall = np.concatenate([[0.0], num_found / num_gt]).astype(np.float32)
    return float(np.sum((recall[1:] - recall[:-1]) * (precision[1:] + precision[:-1]) * np.float32(0.5)))


def _count(ignored: dict[str, int], reason: str, number: int) -> None:
    ignored[reason] = ignored.get(reason, 0) + number


def _check_boxes(boxes: AvaTable) -> None:
    """Refuse detections without a score, a finite box or a whole frame number."""
    frames = boxes.timestamps_seconds
    wrong = {
        "a detected box without a score": np.isnan(boxes.scores),
        "a detected box with a corner that is no finite number": ~np.isfinite(boxes.boxes_fraction).all(axis=1),
        "a frame number is whole, from 0": ~((frames == np.rint(frames)) & (frames >= 0) & (frames < _MAX_FRAMES)),
    }
    for what, is_wrong in wrong.items():
        if is_wrong.any():
            row = int(is_wrong.argmax())
            video_id = boxes.video_ids[boxes.video_index[row]]
            raise FormatError(f"video {shown(video_id)!r}, frame {frames[row]:.10g}: {what}")


def _pairs_of_equal(left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
    """Return the indices of all pairs of equal keys, by ``left``; ``right`` ascends."""
    low = np.searchsorted(right, left, side="left")
    sizes = np.searchsorted(right, left, side="right") - low
    first = np.repeat(np.arange(len(left)), sizes)
    return first, np.repeat(low - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def _matched_best_only(pairs: _Pairs, threshold: float) -> BoolArray:
    """Return the true positives ``[R]``: the first detections, in order, whose best overlap is with that truth."""
    is_tp = np.zeros(len(pairs.scores), np.bool_)
    if not len(pairs.iou):
        return is_tp
    # The pair of greatest IoU of each detection. As for numpy's argmax, NaN is greater than any number, and of equal
    # ones the first counts.
    starts = np.flatnonzero(np.diff(pairs.detections, prepend=-1))
    greatest = np.maximum.reduceat(pairs.iou, starts)
    sizes = np.diff(starts, append=len(pairs.iou))
    spread = np.repeat(greatest, sizes)
    candidates = np.flatnonzero((pairs.iou == spread) | (np.isnan(pairs.iou) & np.isnan(spread)))
    _, positions = np.unique(pairs.detections[candidates], return_index=True)
    best = candidates[positions]
    best = best[pairs.iou[best] >= threshold]
    # Detections are in the order of their scores: the first one of each truth takes it.
    _, winners = np.unique(pairs.truths[best], return_index=True)
    is_tp[pairs.detections[best[winners]]] = True
    return is_tp


def _matched_with_removal(pairs: _Pairs, threshold: float) -> BoolArray:
    """Return the true positives ``[R]``: each detection, in order, takes the truth left that it overlaps most."""
    is_tp = np.zeros(len(pairs.scores), np.bool_)
    is_enough = pairs.iou >= threshold
    taken: set[int] = set()
    current, best_iou, best_truth = -1, -1.0, -1

    def settle() -> None:
        if best_truth >= 0:
            taken.add(best_truth)
            is_tp[current] = True

    columns = (pairs.detections[is_enough], pairs.truths[is_enough], pairs.iou[is_enough])
    for detection, truth, iou in zip(*(column.tolist() for column in columns), strict=True):
        if detection != current:
            settle()
            current, best_iou, best_truth = detection, -1.0, -1
        if iou > best_iou and truth not in taken:
            best_iou, best_truth = iou, truth
    settle()
    return is_tp
