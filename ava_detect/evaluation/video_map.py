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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.evaluation.frame_map_result import ClassResult
from ava_detect.evaluation.tube_dialects import area, counting_of, match
from ava_detect.evaluation.tube_items import (
    MAX_FRAMES,
    NOT_MEASURED,
    BoxItems,
    TubeItems,
    pairs_of,
)
from ava_detect.evaluation.tube_overlap import suppress
from ava_detect.evaluation.video_map_result import TubeDialect, TubeMetric, VideoMAPResult, check_tube_dialect
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Item = TypeVar("Item", TubeItems, BoxItems)

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
_MAX_TUBE_OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class ClassItems(Generic[Item]):
    """The detections and the ground truth of one class.

    Attributes:
        action: The class.
        scores: float64 ``[R]``, descending.
        found: The R detections, best first.
        truth: The G tubes or boxes of the ground truth.
    """

    action: Action
    scores: FloatArray
    found: Item
    truth: Item


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
            check_boxes(boxes)
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
        per_class: list[dict[int, ClassResult]] = [{} for _ in iou_thresholds]
        ignored: dict[str, int] = {}
        for item in items_of(self, metric, ignored):
            pairs = pairs_of(item.found.keys, item.truth.keys)
            iou = item.found.overlaps(item.truth, pairs, counting_of(self.dialect)).iou
            for results, threshold in zip(per_class, iou_thresholds, strict=True):
                is_tp = match(self.dialect, pairs, iou, len(item.found), threshold) >= 0
                results[item.action.id] = self._class_result(item, is_tp)
        return [
            VideoMAPResult(results, metric, self.dialect, threshold, len(self._videos), ignored)
            for results, threshold in zip(per_class, iou_thresholds, strict=True)
        ]

    @property
    def num_videos(self) -> int:
        """Number of videos that are measured."""
        return len(self._videos)

    def _tube_items(self, ignored: dict[str, int]) -> Iterator[ClassItems[TubeItems]]:
        ignored["ground_truth_of_other_actions"] = self._num_other_truth
        ignored["detections_of_other_actions"] = self._num_other_tubes
        for action in self._classes.values():
            truth = sorted(self._truth[action.id], key=lambda tube: self._videos[tube.video_id])
            found = self._tubes[action.id]
            if self.dialect == "act":
                kept = self._suppressed(found)
                _count(ignored, "detections_suppressed", len(found) - len(kept))
                found = kept
            found = sorted(found, key=lambda tube: -tube.score)  # stable: of equal scores the earlier one first
            items = self._as_items(found)
            _count(ignored, "detections_in_other_videos", int((items.videos == NOT_MEASURED).sum()))
            scores = np.array([tube.score for tube in found])
            yield ClassItems(action, scores, items, self._as_items(truth))

    def _as_items(self, tubes: Sequence[FrameTube]) -> TubeItems:
        return TubeItems(tubes, np.array([self._videos.get(tube.video_id, NOT_MEASURED) for tube in tubes], np.int64))

    def _suppressed(self, found: Sequence[FrameTube]) -> list[FrameTube]:
        """Leave out tubes that repeat a better one, video by video in the order of the ground truth."""
        by_video: dict[str, list[FrameTube]] = {video_id: [] for video_id in self._videos}
        for tube in found:
            by_video.setdefault(tube.video_id, []).append(tube)
        groups = list(by_video.values())
        kept = suppress(groups, _MAX_TUBE_OVERLAP, counting_of(self.dialect))
        return [tubes[i] for tubes, indices in zip(groups, kept, strict=True) for i in indices]

    def _box_items(self, ignored: dict[str, int]) -> Iterator[ClassItems[BoxItems]]:
        """The boxes of the ground truth are in the order of their tubes."""
        boxes = AvaTable.concatenate(self._boxes)
        ignored["ground_truth_of_other_actions"] = self._num_other_truth
        ignored["detections_of_other_actions"] = int((~np.isin(boxes.action_ids, list(self._classes))).sum())
        video_numbers = np.array([self._videos.get(one, NOT_MEASURED) for one in boxes.video_ids], np.int64)
        for action in self._classes.values():
            truth = self._truth[action.id]
            rows = np.flatnonzero(boxes.action_ids == action.id)
            rows = rows[np.argsort(-boxes.scores[rows], kind="stable")]  # [R]
            videos = video_numbers[boxes.video_index[rows]] if len(rows) else np.empty(0, np.int64)
            _count(ignored, "detections_in_other_videos", int((videos == NOT_MEASURED).sum()))
            frames = boxes.timestamps_seconds[rows].astype(np.int64)
            yield ClassItems(
                action,
                boxes.scores[rows],
                BoxItems(videos, frames, boxes.boxes_fraction[rows]),
                BoxItems(
                    np.repeat(
                        np.array([self._videos[tube.video_id] for tube in truth], np.int64), list(map(len, truth))
                    ),
                    np.concatenate([np.empty(0, np.int64), *(tube.frames for tube in truth)]),
                    np.concatenate([np.empty((0, 4)), *(tube.boxes_xyxy for tube in truth)]),
                ),
            )

    def _class_result(self, item: ClassItems[Any], is_tp: BoolArray) -> ClassResult:
        """Compute AP and its tie interval from the true positives ``[R]``."""
        ranks = np.flatnonzero(is_tp)
        # The run of equal scores of each true positive: ranks ``first`` up to, not including, ``end``.
        negated = -item.scores
        first = np.searchsorted(negated, negated[ranks], side="left")
        end = np.searchsorted(negated, negated[ranks], side="right")
        number = np.arange(len(ranks))
        # In the worst order the true positives fill the last ranks of their run, in the best the first ones.
        worst = end - (np.searchsorted(first, first, side="right") - number)
        best = first + number - np.searchsorted(first, first, side="left")
        num_gt = len(item.truth)
        ap, least, greatest = (area(self.dialect, order, len(is_tp), num_gt) for order in (ranks, worst, best))
        return ClassResult(
            item.action.name,
            item.action.kind,
            ap,
            num_gt=num_gt,
            num_det=len(is_tp),
            num_tp=len(ranks),
            ap_tie_min=least,
            ap_tie_max=greatest,
        )


def items_of(metric: VideoMAP, kind: TubeMetric, ignored: dict[str, int] | None = None) -> Iterator[ClassItems[Any]]:
    """Sort what is measured by class; used by the metric itself and by the error analyses.

    Args:
        metric: The filled metric.
        kind: ``video`` for tubes, without those that the dialect suppresses; ``frame`` for boxes.
        ignored: Gets the number of tubes or boxes that take no part, by reason.

    Yields:
        The detections, best first, and the ground truth of each class, in the order of the label map.
    """
    ignored = {} if ignored is None else ignored
    yield from metric._box_items(ignored) if kind == "frame" else metric._tube_items(ignored)


def _count(ignored: dict[str, int], reason: str, number: int) -> None:
    ignored[reason] = ignored.get(reason, 0) + number


def check_boxes(boxes: AvaTable) -> None:
    """Refuse detected boxes without a score, a finite box or a whole frame number.

    Args:
        boxes: The boxes; the timestamps are numbers of frames.

    Raises:
        FormatError: A box is such a one; the message names its video and frame.
    """
    frames = boxes.timestamps_seconds
    wrong = {
        "a detected box without a score": np.isnan(boxes.scores),
        "a detected box with a corner that is no finite number": ~np.isfinite(boxes.boxes_fraction).all(axis=1),
        "a frame number is whole, from 0": ~((frames == np.rint(frames)) & (frames >= 0) & (frames < MAX_FRAMES)),
    }
    for what, is_wrong in wrong.items():
        if is_wrong.any():
            row = int(is_wrong.argmax())
            video_id = boxes.video_ids[boxes.video_index[row]]
            raise FormatError(f"video {shown(video_id)!r}, frame {frames[row]:.10g}: {what}")
