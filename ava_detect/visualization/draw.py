"""Drawing detections: one keyframe onto its picture, or a whole video with people followed between keyframes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ava_detect.boxes import FloatArray, areas, clip, fractions_to_pixels
from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.labels import LabelMap
from ava_detect.linking import Linker
from ava_detect.structures import ActionDetections, Float32Array, Frame
from ava_detect.video.writer import VideoWriter
from ava_detect.visualization.chips import (
    SHADE,
    Chip,
    ChipRow,
    Colour,
    Picture,
    Style,
    banner_strip,
    format_time,
    render_chip,
    short_name,
    time_stamp,
    track_colour,
)
from ava_detect.visualization.layout import Rectangle, place_chips
from ava_detect.visualization.motion import Timeline, at_constant_rate


class _Label(NamedTuple):
    """A chip to be placed: whose, beside which box (whole pixels), and its versions, longest first."""

    track_id: int
    box_xyxy: FloatArray
    versions: list[Chip]


def draw_detections(
    image: Picture,
    detections: ActionDetections,
    label_map: LabelMap,
    *,
    min_score: float = 0.3,
    max_actions: int = 3,
    banner: str = "",
) -> Picture:
    """A copy of a keyframe's picture with its people: boxes, their likeliest actions, and the time.

    ``image``: uint8 RGB ``[H, W, 3]``. A chip shows at most ``max_actions`` actions with a score of at least
    ``min_score``, best first, fewer where there is no room; chips never overlap, so that somebody in a dense
    crowd may have a box alone, as has somebody without such an action. Colours and numbers are those of the
    tracks; without track ids the colours only tell the people apart. ``banner``: a line across the top.
    Raises ``AvaDetectError`` when a drawn action is not in ``label_map``.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise AvaDetectError(f"image must be uint8 RGB [H, W, 3], got {image.dtype} {list(image.shape)}")
    picture = image.copy()
    painter = _Painter(label_map, min_score, max_actions, banner)
    painter.paint(picture, detections.timestamp_seconds, detections)
    return picture


def draw_video(
    frames: Iterable[Frame],
    detections: Iterable[ActionDetections],
    path: str | Path,
    fps: float | Fraction,
    label_map: LabelMap,
    *,
    min_score: float = 0.3,
    max_actions: int = 3,
    banner: str = "",
    keyframe_seconds: float = 1.0,
) -> int:
    """Write an mp4 in which the people of the keyframes are followed through every frame; returns its frame count.

    ``frames``: a video's, in time order; they are repeated or dropped by their times, so that the constant
    ``fps`` plays at the right speed. ``detections``: the keyframes of that video, in time order, linked or not
    (then they are linked here); both may be streams, and memory does not grow with their length. Boxes
    move in a straight line from keyframe to keyframe, and the actions are the nearest keyframe's.
    ``keyframe_seconds``: the usual spacing of keyframes; people who are not on the next keyframe are held for
    half of it. The other settings are those of ``draw_detections``. Raises ``VideoError`` when there is no frame
    and ``AvaDetectError`` when either stream is out of order.
    """
    if not keyframe_seconds > 0:
        raise AvaDetectError(f"keyframe_seconds must be above 0, got {keyframe_seconds}")
    painter = _Painter(label_map, min_score, max_actions, banner)
    timeline = Timeline(_linked(detections, 2.5 * keyframe_seconds), keyframe_seconds)
    num_frames = 0
    with VideoWriter(path, fps) as writer:
        for frame in at_constant_rate(frames, fps):
            picture = frame.image.copy()
            painter.paint(picture, frame.timestamp_seconds, timeline.at(frame.timestamp_seconds))
            writer.write(picture)
            num_frames += 1
        if not num_frames:
            raise VideoError(f"{path}: there is no frame to draw on; check that the video holds a picture")
    return num_frames


def _linked(detections: Iterable[ActionDetections], max_gap_seconds: float) -> Iterator[ActionDetections]:
    linker = Linker(max_gap_seconds)
    for keyframe in detections:
        yield keyframe if keyframe.track_ids is not None else linker.update(keyframe)


class _Painter:
    """Draws onto one frame after another and remembers where each person's chip was."""

    def __init__(self, label_map: LabelMap, min_score: float, max_actions: int, banner: str) -> None:
        if max_actions < 0:
            raise AvaDetectError(f"max_actions must be 0 or more, got {max_actions}")
        self._rows = {action.id: (short_name(action.name), action.kind) for action in label_map}
        self._min_score = min_score
        self._max_actions = max_actions
        self._banner = banner
        self._places: dict[int, int] = {}

    def paint(self, picture: Picture, timestamp_seconds: float, people: ActionDetections | None) -> None:
        """Draw onto ``picture``, in place; ``None``: nobody."""
        height, width = picture.shape[:2]
        style = Style(width, height)
        labels = [] if people is None else self._paint_boxes(picture, people, style)
        top = 0
        if self._banner:
            strip = banner_strip(self._banner, style)
            strip.paste(picture, 0, 0)
            top = min(strip.height, height)
        stamp = time_stamp(format_time(timestamp_seconds), style)
        x, y = max(width - stamp.width - style.pad, 0), max(height - stamp.height - style.pad, 0)
        stamp.paste(picture, x, y)
        self._paint_chips(picture, labels, (0, top, width, height), (x, y, x + stamp.width, y + stamp.height))

    def _paint_boxes(self, picture: Picture, people: ActionDetections, style: Style) -> list[_Label]:
        """Draw everybody's box; the labels that are to go with them."""
        width, height = style.frame_width, style.frame_height
        boxes = np.rint(fractions_to_pixels(people.boxes_fraction.astype(np.float64), width, height))
        boxes = clip(boxes, width, height)
        track_ids = np.arange(1, len(people) + 1) if people.track_ids is None else people.track_ids
        labels = []
        for i in np.flatnonzero(areas(boxes) > 0).tolist():
            track_id = int(track_ids[i])
            colour = track_colour(track_id)
            _paint_box(picture, boxes[i], colour, style.line)
            rows = self._top_rows(people, people.action_scores[i])
            if rows:
                number = "" if people.track_ids is None else str(track_id)
                labels.append(_Label(track_id, boxes[i], Chip(rows, colour, number, style).shortened()))
        return labels

    def _paint_chips(self, picture: Picture, labels: list[_Label], area_xyxy: Rectangle, stamp_xyxy: Rectangle) -> None:
        placements = place_chips(
            np.array([label.box_xyxy for label in labels]).reshape(-1, 4),
            [[chip.size for chip in label.versions] for label in labels],
            area_xyxy,
            np.array([stamp_xyxy], np.float64),
            [self._places.get(label.track_id) for label in labels],
        )
        self._places = {}
        for label, placement in zip(labels, placements, strict=True):
            if placement is not None:
                render_chip(label.versions[placement.size_index]).paste(picture, placement.x, placement.y)
                self._places[label.track_id] = placement.place

    def _top_rows(self, people: ActionDetections, scores: Float32Array) -> tuple[ChipRow, ...]:
        best: Sequence[int] = np.argsort(-scores, kind="stable")[: self._max_actions].tolist()
        return tuple(
            self._row(int(people.action_ids[c]), float(scores[c])) for c in best if scores[c] >= self._min_score
        )

    def _row(self, action_id: int, score: float) -> ChipRow:
        if action_id not in self._rows:
            raise AvaDetectError(
                f"the detections hold action {action_id}, and the label map has {len(self._rows)} others; "
                "draw with the label map that the detections were made with"
            )
        return ChipRow(*self._rows[action_id], score)


def _paint_box(picture: Picture, box_xyxy: FloatArray, colour: Colour, line_px: int) -> None:
    """Draw the outline of a box onto ``picture``, in place and inside the box, with a dark line within.

    ``box_xyxy``: whole pixels inside the frame; the outline covers its outermost ``line_px`` pixels.
    """
    x1, y1, x2, y2 = (int(corner) for corner in box_xyxy)
    dark = max(1, line_px // 3)
    for inset, thickness, shade in ((line_px, dark, SHADE), (0, line_px, colour)):
        inner = picture[y1 + inset : max(y2 - inset, y1 + inset), x1 + inset : max(x2 - inset, x1 + inset)]
        inner[:thickness] = inner[-thickness:] = shade
        inner[:, :thickness] = inner[:, -thickness:] = shade
