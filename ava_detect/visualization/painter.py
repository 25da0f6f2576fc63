"""Painting the people of one frame after another, with label chips that keep their position from frame to frame.

Shapes: N detected people, T true people, C actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections, Float32Array
from ava_detect.structures.boxes import FloatArray, areas, clip, fractions_to_pixels
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.chips import (
    Chip,
    ChipRow,
    Colour,
    Patch,
    RGBImage,
    Style,
    Verdict,
    banner_strip,
    format_time,
    legend,
    render_chip,
    short_name,
    time_stamp,
    track_colour,
)
from ava_detect.visualization.layout import Rectangle, place_chips
from ava_detect.visualization.outlines import Outline, paint_box
from ava_detect.visualization.verdicts import KeyframeVerdicts, actions_above_zero, judge_keyframe

_TRUTH_COLOUR: Colour = (255, 255, 255)


class _Label(NamedTuple):
    """A chip to be placed.

    Attributes:
        owner: The track id, or a number below 0 for a missed true person.
        box_xyxy: ``[4]``, whole pixels, the box beside which the chip is placed.
        versions: The chip with ever fewer rows, the longest first.
    """

    owner: int
    box_xyxy: FloatArray
    versions: list[Chip]


class Painter:
    """Paints onto one frame after another and remembers the position of each person's chip.

    Args:
        label_map: Names and kinds of the actions.
        min_score: Least score of a drawn action, 0..1.
        max_actions: Most actions on one chip.
        banner: Text across the top of the frame; empty for none.

    Raises:
        AvaDetectError: ``max_actions`` is negative.
    """

    def __init__(self, label_map: LabelMap, min_score: float, max_actions: int, banner: str) -> None:
        if max_actions < 0:
            raise AvaDetectError(f"max_actions must be 0 or more, got {max_actions}")
        self._actions = {action.id: (short_name(action.name), action.kind) for action in label_map}
        self._min_score = min_score
        self._max_actions = max_actions
        self._banner = banner
        # Positions of the chips on the previous frame, by owner.
        self._positions: dict[int, int] = {}

    def paint(
        self,
        image: RGBImage,
        timestamp_seconds: float,
        detections: ActionDetections | None,
        truth: ActionDetections | None = None,
    ) -> None:
        """Paint onto a frame in place.

        Args:
            image: uint8 RGB ``[H, W, 3]``, changed in place.
            timestamp_seconds: The time to be shown, seconds.
            detections: The detected people; None for no person.
            truth: The true people; None where there is no ground truth, so that nothing is judged.

        Raises:
            AvaDetectError: A drawn action is not in the label map.
        """
        height, width = image.shape[:2]
        style = Style(width, height)
        labels: list[_Label] = []
        if truth is not None:
            detections = ActionDetections.empty(truth.video_id, timestamp_seconds) if detections is None else detections
            verdicts = judge_keyframe(detections, truth)
            labels += self._paint_truth(image, truth, verdicts, style)
            labels += self._paint_detections(image, detections, style, verdicts)
        elif detections is not None:
            labels += self._paint_detections(image, detections, style)
        top = 0
        if self._banner:
            strip = banner_strip(self._banner, style)
            strip.paste(image, 0, 0)
            top = min(strip.height, height)
        stamp = time_stamp(format_time(timestamp_seconds), style)
        obstacles = [_paste_in_corner(image, stamp, style.pad, at_right=True)]
        if truth is not None:
            obstacles.append(_paste_in_corner(image, legend(style), style.pad, at_right=False))
        self._paint_chips(image, labels, (0, top, width, height), obstacles)

    def _paint_detections(
        self, image: RGBImage, detections: ActionDetections, style: Style, verdicts: KeyframeVerdicts | None = None
    ) -> list[_Label]:
        """Paint the detected boxes, dashed where false; return their labels."""
        boxes = _whole_pixel_boxes(detections, style)  # [N, 4]
        # Without track ids the numbers only choose different colours.
        track_ids = np.arange(1, len(detections) + 1) if detections.track_ids is None else detections.track_ids
        labels = []
        for i in np.flatnonzero(areas(boxes) > 0).tolist():
            track_id = int(track_ids[i])
            colour = track_colour(track_id)
            is_false = verdicts is not None and not verdicts.is_found[i]
            paint_box(image, boxes[i], colour, style.line, Outline.DASHED if is_false else Outline.SOLID)
            true_actions = None if verdicts is None else verdicts.true_actions[i]
            rows = self._chip_rows(detections.action_ids, detections.action_scores[i], true_actions)
            if rows:
                tab = "" if detections.track_ids is None else str(track_id)
                labels.append(_Label(track_id, boxes[i], Chip(rows, colour, tab, style).versions()))
        return labels

    def _paint_truth(
        self, image: RGBImage, truth: ActionDetections, verdicts: KeyframeVerdicts, style: Style
    ) -> list[_Label]:
        """Paint the true boxes, heavier where missed; return the labels of the missed people."""
        boxes = _whole_pixel_boxes(truth, style)  # [T, 4]
        labels = []
        for i in np.flatnonzero(areas(boxes) > 0).tolist():
            if not verdicts.is_missed[i]:
                paint_box(image, boxes[i], _TRUTH_COLOUR, max(1, style.line // 2), Outline.DOTTED)
                continue
            paint_box(image, boxes[i], _TRUTH_COLOUR, style.line, Outline.DOTTED)
            missed = sorted(actions_above_zero(truth, i))[: self._max_actions]
            rows = tuple(self._chip_row(action_id, 0.0, Verdict.MISSED) for action_id in missed)
            if rows:
                # Owners below 0 cannot collide with track ids.
                labels.append(_Label(-1 - i, boxes[i], Chip(rows, _TRUTH_COLOUR, "", style).versions()))
        return labels

    def _paint_chips(
        self, image: RGBImage, labels: list[_Label], area_xyxy: Rectangle, obstacles_xyxy: Sequence[Rectangle]
    ) -> None:
        """Place the chips inside ``area_xyxy``, clear of the obstacles, and paint those that found a position."""
        placements = place_chips(
            np.array([label.box_xyxy for label in labels]).reshape(-1, 4),
            [[chip.size for chip in label.versions] for label in labels],
            area_xyxy,
            np.array(obstacles_xyxy, np.float64),
            [self._positions.get(label.owner) for label in labels],
        )
        self._positions = {}
        for label, placement in zip(labels, placements, strict=True):
            if placement is not None:
                render_chip(label.versions[placement.size_index]).paste(image, placement.x, placement.y)
                self._positions[label.owner] = placement.position

    def _chip_rows(
        self, action_ids: npt.NDArray[np.int64], scores: Float32Array, true_actions: frozenset[int] | None
    ) -> tuple[ChipRow, ...]:
        """Return the rows of one person's chip: the best predicted actions, then the missed ones.

        ``action_ids`` and ``scores``: ``[C]``. ``true_actions``: None where there is no ground truth.
        """
        ids: list[int] = action_ids.tolist()
        # Sort by descending score; a stable sort keeps the column order between equal scores.
        best: list[int] = np.argsort(-scores, kind="stable")[: self._max_actions].tolist()
        rows = []
        for column in best:
            if scores[column] >= self._min_score:
                verdict = Verdict.NONE
                if true_actions is not None:
                    verdict = Verdict.RIGHT if ids[column] in true_actions else Verdict.WRONG
                rows.append(self._chip_row(ids[column], float(scores[column]), verdict))
        # True actions below the threshold, or without a score column.
        score_of = dict(zip(ids, scores.tolist(), strict=True))
        missed = [action_id for action_id in true_actions or () if score_of.get(action_id, 0.0) < self._min_score]
        rows += [
            self._chip_row(action_id, score_of.get(action_id, 0.0), Verdict.MISSED)
            for action_id in sorted(missed)[: self._max_actions]
        ]
        return tuple(rows)

    def _chip_row(self, action_id: int, score: float, verdict: Verdict) -> ChipRow:
        if action_id not in self._actions:
            raise AvaDetectError(
                f"the detections hold action {action_id}, and the label map has {len(self._actions)} others; "
                "draw with the label map that the detections were made with"
            )
        return ChipRow(*self._actions[action_id], score, verdict)


def _whole_pixel_boxes(detections: ActionDetections, style: Style) -> FloatArray:
    """Return the boxes ``[N, 4]`` in whole pixels, cut to the frame."""
    width, height = style.frame_width, style.frame_height
    boxes = np.rint(fractions_to_pixels(detections.boxes_fraction.astype(np.float64), width, height))
    return clip(boxes, width, height)


def _paste_in_corner(image: RGBImage, patch: Patch, pad: int, *, at_right: bool) -> Rectangle:
    """Paste a patch into a lower corner; return the rectangle that it covers."""
    height, width = image.shape[:2]
    x = max(width - patch.width - pad, 0) if at_right else pad
    y = max(height - patch.height - pad, 0)
    patch.paste(image, x, y)
    return x, y, x + patch.width, y + patch.height
