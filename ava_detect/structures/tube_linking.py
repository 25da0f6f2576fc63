"""Linking detected boxes of single frames into tubes, action by action, as ACT, MOC and mmaction2 do.

Kalogeiton et al., "Action tubelet detector for spatio-temporal action localization", 2017, section 3.3, with tubelets
of one frame (``BuildTubes`` in MOC's ``ACT_build.py``, ``link_tubes`` in mmaction2's ``multisports_utils.py``). On each
frame the scores of boxes that overlap a better one are lowered, and the best boxes are kept. Tubes, best mean score
first, take the best-scored box that overlaps their last one. Boxes that no tube takes start tubes.

``structures.linking`` links people, whatever they do; its tracks go through cuts and gaps.

Shapes: N boxes of one action on one frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ava_detect.structures.boxes import iou
from ava_detect.structures.frame_tubes import FrameTube

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TubeLinking:
    """Settings of the linking; the defaults are MOC's.

    Attributes:
        max_gap: A tube ends when it has found no box on so many frames in a row, from 1; the boxes in between are
            interpolated. mmaction2 ends it at once: 1.
        min_iou: Least IoU of a box with the last one of its tube, 0..1.
        inclusive: Whether the last pixel counts, so that a box from pixel 3 to 5 is 3 wide (MOC); mmaction2 links with
            differences. The scores are lowered with the last pixel in both.
        suppress_above: IoU with a better box above which a score is multiplied by 1 - IoU.
        boxes_per_frame: Number of boxes of an action that are kept on a frame.
        min_score: Least mean score of a tube.
        min_length: Least number of frames of a tube.
    """

    max_gap: int = 5
    min_iou: float = 0.5
    inclusive: bool = True
    suppress_above: float = 0.6
    boxes_per_frame: int = 10
    min_score: float = 0.005
    min_length: int = 15

    def __post_init__(self) -> None:
        if self.max_gap < 1:
            raise ValueError(f"max_gap is a number of frames from 1, got {self.max_gap}")


@dataclass(eq=False)
class _Tube:
    """A tube that may go on: its frames, its boxes ``[4]`` and their scores."""

    frames: list[int] = field(default_factory=list)
    boxes: list[FloatArray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, frame: int, box: FloatArray, score: float) -> None:
        self.frames.append(frame)
        self.boxes.append(box)
        self.scores.append(score)


def link_boxes(
    video_id: str, action_id: int, frames: Iterable[tuple[int, FloatArray, FloatArray]], settings: TubeLinking
) -> Iterator[FrameTube]:
    """Link the boxes of one action in one video.

    Args:
        video_id: The video's name.
        action_id: The action.
        frames: Number, boxes ``[N, 4]`` x1, y1, x2, y2 in pixels and scores ``[N]`` of each frame with boxes, in
            ascending order.
        settings: The settings.

    Yields:
        The tubes; their score is the mean of the scores of their boxes.
    """
    current: list[_Tube] = []
    finished: list[_Tube] = []
    for frame, boxes, scores in frames:
        # Frames without boxes have passed: tubes that found none for too long ended there.
        finished += [tube for tube in current if frame - tube.frames[-1] > settings.max_gap]
        current = [tube for tube in current if frame - tube.frames[-1] <= settings.max_gap]
        current.sort(key=lambda tube: -float(np.mean(tube.scores)))
        boxes, scores = _best(boxes, scores, settings)
        ended = []
        for tube in current:
            overlaps = _iou(boxes, tube.boxes[-1][None], inclusive=settings.inclusive)[:, 0]
            valid = np.flatnonzero(overlaps >= settings.min_iou)
            if valid.size:
                taken = valid[scores[valid].argmax()]
                tube.add(frame, boxes[taken], float(scores[taken]))
                boxes, scores = np.delete(boxes, taken, axis=0), np.delete(scores, taken)
            elif frame - tube.frames[-1] >= settings.max_gap:
                ended.append(tube)
        finished += ended
        current = [tube for tube in current if tube not in ended]
        for box, score in zip(boxes, scores.tolist(), strict=True):
            tube = _Tube()
            tube.add(frame, box, score)
            current.append(tube)
    for tube in [*finished, *current]:
        score = float(np.mean(tube.scores))
        if score >= settings.min_score and tube.frames[-1] - tube.frames[0] + 1 >= settings.min_length:
            found = FrameTube(video_id, action_id, np.array(tube.frames), np.stack(tube.boxes), score)
            yield found.on_frames(tube.frames[0], tube.frames[-1])


def _best(boxes: FloatArray, scores: FloatArray, settings: TubeLinking) -> tuple[FloatArray, FloatArray]:
    """Lower the scores of boxes that overlap a better one, and return the best, best first; ``nms_tubelets``."""
    scores = scores.copy()
    overlaps = _iou(boxes, boxes, inclusive=True)  # [N, N]
    # Best score first, of equal ones the later box.
    left = np.argsort(scores, kind="stable")[::-1]
    weights = np.ones(len(scores))
    while left.size:
        best, left = left[0], left[1:]
        is_near = overlaps[best, left] > settings.suppress_above
        weights[left[is_near]] = 1 - overlaps[best, left[is_near]]
        left = left[~is_near]
    scores *= weights
    order = np.argsort(scores, kind="stable")[::-1][: settings.boxes_per_frame]
    return boxes[order], scores[order]


def _iou(a: FloatArray, b: FloatArray, *, inclusive: bool) -> FloatArray:
    end = np.array([0, 0, 1, 1]) if inclusive else np.zeros(4)
    return iou(a + end, b + end).astype(np.float64)
