"""Painting the people of one moment onto a picture, frame after frame, with chips that stay where they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections, Float32Array
from ava_detect.structures.boxes import FloatArray, areas, clip, fractions_to_pixels
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.chips import (
    Chip,
    ChipRow,
    Colour,
    Patch,
    Picture,
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
from ava_detect.visualization.verdicts import Judgement, actions_above_zero, judge_moment

_TRUTH: Colour = (255, 255, 255)


class _Label(NamedTuple):
    """A chip to be placed: whose, beside which box (whole pixels), and its versions, longest first."""

    owner: int
    box_xyxy: FloatArray
    versions: list[Chip]


class Painter:
    """Draws onto one frame after another and remembers where each person's chip was."""

    def __init__(self, label_map: LabelMap, min_score: float, max_actions: int, banner: str) -> None:
        """See ``draw_detections`` for the settings; ``AvaDetectError`` when one is out of range."""
        if max_actions < 0:
            raise AvaDetectError(f"max_actions must be 0 or more, got {max_actions}")
        self._rows = {action.id: (short_name(action.name), action.kind) for action in label_map}
        self._min_score = min_score
        self._max_actions = max_actions
        self._banner = banner
        self._places: dict[int, int] = {}

    def paint(
        self,
        picture: Picture,
        timestamp_seconds: float,
        people: ActionDetections | None,
        truth: ActionDetections | None = None,
    ) -> None:
        """Draw onto ``picture``, in place; ``people`` ``None``: nobody; ``truth`` ``None``: not known."""
        height, width = picture.shape[:2]
        style = Style(width, height)
        labels: list[_Label] = []
        if truth is not None:
            people = ActionDetections.empty(truth.video_id, timestamp_seconds) if people is None else people
            judgement = judge_moment(people, truth)
            labels += self._paint_truth(picture, truth, judgement, style)
            labels += self._paint_people(picture, people, style, judgement)
        elif people is not None:
            labels += self._paint_people(picture, people, style)
        top = 0
        if self._banner:
            strip = banner_strip(self._banner, style)
            strip.paste(picture, 0, 0)
            top = min(strip.height, height)
        signs = [_sign(picture, time_stamp(format_time(timestamp_seconds), style), style.pad, at_right=True)]
        if truth is not None:
            signs.append(_sign(picture, legend(style), style.pad, at_right=False))
        self._paint_chips(picture, labels, (0, top, width, height), signs)

    def _paint_people(
        self, picture: Picture, people: ActionDetections, style: Style, judgement: Judgement | None = None
    ) -> list[_Label]:
        """Draw everybody's box; the labels that are to go with them."""
        boxes = _whole_pixels(people, style)
        track_ids = np.arange(1, len(people) + 1) if people.track_ids is None else people.track_ids
        labels = []
        for i in np.flatnonzero(areas(boxes) > 0).tolist():
            track_id = int(track_ids[i])
            colour = track_colour(track_id)
            is_false = judgement is not None and not judgement.is_found[i]
            paint_box(picture, boxes[i], colour, style.line, Outline.DASHED if is_false else Outline.SOLID)
            true_actions = None if judgement is None else judgement.true_actions[i]
            rows = self._top_rows(people, people.action_scores[i], true_actions)
            if rows:
                number = "" if people.track_ids is None else str(track_id)
                labels.append(_Label(track_id, boxes[i], Chip(rows, colour, number, style).shortened()))
        return labels

    def _paint_truth(
        self, picture: Picture, truth: ActionDetections, judgement: Judgement, style: Style
    ) -> list[_Label]:
        """Draw the true boxes; labels for those who were missed."""
        boxes = _whole_pixels(truth, style)
        labels = []
        for i in np.flatnonzero(areas(boxes) > 0).tolist():
            if not judgement.is_missed[i]:
                paint_box(picture, boxes[i], _TRUTH, max(1, style.line // 2), Outline.DOTTED)
                continue
            paint_box(picture, boxes[i], _TRUTH, style.line, Outline.DOTTED)
            missed = sorted(actions_above_zero(truth, i))[: self._max_actions]
            rows = tuple(self._row(action_id, 0.0, Verdict.MISSED) for action_id in missed)
            if rows:
                # Below 0, so that no track has the number.
                labels.append(_Label(-1 - i, boxes[i], Chip(rows, _TRUTH, "", style).shortened()))
        return labels

    def _paint_chips(
        self, picture: Picture, labels: list[_Label], area_xyxy: Rectangle, signs_xyxy: Sequence[Rectangle]
    ) -> None:
        placements = place_chips(
            np.array([label.box_xyxy for label in labels]).reshape(-1, 4),
            [[chip.size for chip in label.versions] for label in labels],
            area_xyxy,
            np.array(signs_xyxy, np.float64),
            [self._places.get(label.owner) for label in labels],
        )
        self._places = {}
        for label, placement in zip(labels, placements, strict=True):
            if placement is not None:
                render_chip(label.versions[placement.size_index]).paste(picture, placement.x, placement.y)
                self._places[label.owner] = placement.place

    def _top_rows(
        self, people: ActionDetections, scores: Float32Array, true_actions: frozenset[int] | None
    ) -> tuple[ChipRow, ...]:
        best: Sequence[int] = np.argsort(-scores, kind="stable")[: self._max_actions].tolist()
        rows = []
        for column in best:
            if scores[column] >= self._min_score:
                action_id = int(people.action_ids[column])
                verdict = Verdict.RIGHT if action_id in (true_actions or ()) else Verdict.WRONG
                rows.append(
                    self._row(action_id, float(scores[column]), Verdict.NONE if true_actions is None else verdict)
                )
        score_of = dict(zip(people.action_ids.tolist(), scores.tolist(), strict=True))
        missed = [action_id for action_id in true_actions or () if score_of.get(action_id, 0.0) < self._min_score]
        rows += [
            self._row(action_id, score_of.get(action_id, 0.0), Verdict.MISSED)
            for action_id in sorted(missed)[: self._max_actions]
        ]
        return tuple(rows)

    def _row(self, action_id: int, score: float, verdict: Verdict) -> ChipRow:
        if action_id not in self._rows:
            raise AvaDetectError(
                f"the detections hold action {action_id}, and the label map has {len(self._rows)} others; "
                "draw with the label map that the detections were made with"
            )
        return ChipRow(*self._rows[action_id], score, verdict)


def _whole_pixels(people: ActionDetections, style: Style) -> FloatArray:
    """Their boxes, rounded and cut to the frame."""
    width, height = style.frame_width, style.frame_height
    boxes = np.rint(fractions_to_pixels(people.boxes_fraction.astype(np.float64), width, height))
    return clip(boxes, width, height)


def _sign(picture: Picture, sign: Patch, pad: int, *, at_right: bool) -> Rectangle:
    """Paste a sign into a lower corner; the place that it takes."""
    height, width = picture.shape[:2]
    x = max(width - sign.width - pad, 0) if at_right else pad
    y = max(height - sign.height - pad, 0)
    sign.paste(picture, x, y)
    return x, y, x + sign.width, y + sign.height
