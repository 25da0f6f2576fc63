"""The scores of each class, split into true and false positives by frame-mAP's matching, and thresholds from them.

Shapes: N detections of a class, G ground-truth boxes of it, V videos, U distinct scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ava_detect.errors import FormatError, shown
from ava_detect.evaluation.frame_map import FrameMAP, matches_of
from ava_detect.evaluation.ground_truth_index import BoolArray, FloatArray
from ava_detect.evaluation.keyframes import IntArray, video_numbers
from ava_detect.evaluation.score_maps import ScoreCounts
from ava_detect.formats.jsonl import shortest_decimal
from ava_detect.structures.labels import Action


@dataclass(frozen=True, eq=False)
class ClassScores:
    """The detections and the ground truth of one class.

    Attributes:
        action: The class; None for all classes together.
        scores: float64 ``[N]``, in 0..1, each exactly a float32.
        is_right: bool ``[N]``, whether each detection is a true positive.
        videos: int64 ``[N]``, index of each detection's video.
        truth_videos: int64 ``[G]``, index of each ground-truth box's video.
    """

    action: Action | None
    scores: FloatArray
    is_right: BoolArray
    videos: IntArray
    truth_videos: IntArray

    @property
    def num_gt(self) -> int:
        """Number of ground-truth boxes."""
        return len(self.truth_videos)

    @property
    def num_tp(self) -> int:
        """Number of true positives among the detections."""
        return int(np.count_nonzero(self.is_right))

    def counts(self) -> ScoreCounts:
        """Count the detections by score."""
        return ScoreCounts.of(self.scores, self.is_right)

    def of_videos(self, chosen: BoolArray) -> ClassScores:
        """Select videos.

        Args:
            chosen: bool ``[V]``.

        Returns:
            The detections and the ground truth on them.
        """
        kept = chosen[self.videos]
        truth = self.truth_videos[chosen[self.truth_videos]]
        return ClassScores(self.action, self.scores[kept], self.is_right[kept], self.videos[kept], truth)


@dataclass(frozen=True, eq=False)
class VideoScores:
    """The scores of all classes.

    Attributes:
        video_ids: Ids of the V videos that take part, ascending.
        classes: Each class, in the order of the label map.
    """

    video_ids: tuple[str, ...]
    classes: tuple[ClassScores, ...]

    @classmethod
    def of(cls, metric: FrameMAP) -> VideoScores:
        """Match the detections of a metric with its ground truth, without a limit of detections per keyframe.

        Args:
            metric: The metric, with the rows added so far, at its IoU threshold.

        Returns:
            The scores.

        Raises:
            FormatError: A score is not in 0..1.
        """
        matches = matches_of(metric, is_capped=False)
        detections, truth = matches.detections, matches.truth
        is_right = matches.true_positives(metric.iou_threshold)  # [R]
        number_of_keyframe = video_numbers(matches.keys)  # [K]
        of_detections = number_of_keyframe[detections.keyframes_of(matches.counted)]
        of_truth = number_of_keyframe[truth.keyframes]  # [G]
        # Videos are numbered by their ids, so that the order of rows and files decides nothing.
        used = np.unique(np.concatenate([of_detections, of_truth]))
        video_ids = sorted(matches.video_ids[number] for number in used.tolist())
        index_of_id = {video_id: index for index, video_id in enumerate(video_ids)}
        index_of_number = np.array([index_of_id.get(video_id, -1) for video_id in matches.video_ids], np.int64)
        classes = []
        for index, (action, rows) in enumerate(zip(metric.label_map, matches.by_class(), strict=True)):
            # The decimals of a csv and the float32 of a Parquet file are the same score.
            scores = detections.scores[rows].astype(np.float32).astype(np.float64)
            if not ((scores >= 0) & (scores <= 1)).all():
                wrong = scores[~((scores >= 0) & (scores <= 1))][0]
                raise FormatError(
                    f"a score of {shown(action.name)!r} is {wrong:g}, and scores are from 0 to 1; of logits take the "
                    "sigmoid first"
                )
            videos = index_of_number[number_of_keyframe[detections.keyframes_of(rows)]]
            truth_videos = index_of_number[of_truth[truth.classes == index]]
            classes.append(ClassScores(action, scores, is_right[rows], videos, truth_videos))
        return cls(tuple(video_ids), tuple(classes))

    def of_videos(self, chosen: BoolArray) -> VideoScores:
        """Select videos; their indices stay.

        Args:
            chosen: bool ``[V]``.

        Returns:
            The scores on them.
        """
        return VideoScores(self.video_ids, tuple(one.of_videos(chosen) for one in self.classes))

    def pooled(self) -> ClassScores:
        """Return all classes together, as if they were one."""
        scores, is_right, videos, truth = zip(
            *((one.scores, one.is_right, one.videos, one.truth_videos) for one in self.classes), strict=True
        )
        return ClassScores(
            None, np.concatenate(scores), np.concatenate(is_right), np.concatenate(videos), np.concatenate(truth)
        )


def best_f1_threshold(counts: ScoreCounts, num_gt: int) -> float | None:
    """Find the threshold with the best F1, which is ``2 TP / (detections + ground truth)``.

    Args:
        counts: The detections of a class by score.
        num_gt: Number of its ground-truth boxes.

    Returns:
        Half-way between the least score that is kept and the next one below it (or 0), which holds better on other
        videos than the least score itself. Of several with the best F1 the greatest. None where no detection is right,
        and F1 is 0 at every threshold.
    """
    kept, right = _kept_and_right(counts)
    if not len(kept) or not right[-1]:
        return None
    last = len(kept) - 1 - int(np.argmax(2 * right / (kept + num_gt)))  # index of the least score that is kept
    least, below = np.float32(counts.scores[last]), np.float32(counts.scores[last - 1] if last else 0)
    half_way = (least + below) / np.float32(2)
    # Neighbouring float32 have nothing between them.
    return shortest_decimal(half_way if half_way > below else least)


def precision_threshold(counts: ScoreCounts, precision: float) -> float | None:
    """Find the lowest threshold at which a precision is reached.

    Args:
        counts: The detections of a class by score.
        precision: The wanted precision, above 0 and at most 1.

    Returns:
        A score: of the detections with this score or a greater one at least ``precision`` are right. None where no
        threshold reaches it.
    """
    kept, right = _kept_and_right(counts)
    reaching = np.flatnonzero(right / kept >= precision) if len(kept) else np.empty(0, np.intp)
    return shortest_decimal(np.float32(counts.scores[::-1][reaching[-1]])) if len(reaching) else None


def _kept_and_right(counts: ScoreCounts) -> tuple[FloatArray, FloatArray]:
    """Numbers ``[U]`` of detections that each distinct score as a threshold keeps, and of true positives among them.

    From the greatest score to the least.
    """
    return np.cumsum(counts.totals[::-1]), np.cumsum(counts.rights[::-1])
