"""All keyframes of one video: a table, a dictionary, a contact sheet, and the people on any of its frames."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ava_detect.errors import AvaDetectError, counted, shown
from ava_detect.storage.addresses import Address
from ava_detect.structures import Frame
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.tubes import median_spacing
from ava_detect.visualization.keyframe_result import (
    DRAWN_ACTIONS,
    DRAWN_SCORE,
    KeyframeResult,
    RGBImage,
    keyframes_to_pandas,
    require_source,
)

if TYPE_CHECKING:
    import pandas as pd

# The picture of a video in a notebook: so many keyframes, in rows of so many.
_SHEET_FRAMES, _SHEET_COLUMNS = 6, 3
# Keyframes before and after a frame between which its boxes are interpolated.
_NEIGHBOURS = 2


@dataclass(frozen=True, eq=False, repr=False)
class VideoResult:
    """The results of one video, as ``VideoRun.collect`` and ``read_results`` give them; a sequence of its keyframes.

    Attributes:
        video_id: The video's name.
        keyframes: The keyframes in time order, those without people included.
        label_map: The actions of the score columns.
        source: The video's file or address; None where it is unknown or no longer there.
        note: A warning about the scores, such as that the weights are untrained; empty where there is none.
        message: What is missing or doubtful in the results; empty where nothing is.

    Example:
        >>> video = read_results("results")["movie"]
        >>> video.to_pandas(min_score=0.5)
        >>> video.at(12.0).show()
    """

    video_id: str
    keyframes: tuple[KeyframeResult, ...]
    label_map: LabelMap
    source: Path | Address | None = None
    note: str = ""
    message: str = ""

    def __len__(self) -> int:
        return len(self.keyframes)

    def __iter__(self) -> Iterator[KeyframeResult]:
        return iter(self.keyframes)

    @overload
    def __getitem__(self, index: int) -> KeyframeResult: ...

    @overload
    def __getitem__(self, index: slice) -> VideoResult: ...

    def __getitem__(self, index: int | slice) -> KeyframeResult | VideoResult:
        """Return one keyframe, or with a slice the results of a part of the video."""
        if isinstance(index, slice):
            return replace(self, keyframes=self.keyframes[index])
        return self.keyframes[index]

    @property
    def num_people(self) -> int:
        """Number of different people on the keyframes: of distinct tracks."""
        tracks = [keyframe.track_ids for keyframe in self.keyframes if keyframe.track_ids is not None]
        return len(np.unique(np.concatenate(tracks))) if tracks else 0

    @property
    def num_boxes(self) -> int:
        """Number of boxes on the keyframes; a person has one on each."""
        return sum(map(len, self.keyframes))

    def at(self, timestamp_seconds: float) -> KeyframeResult:
        """Return the keyframe nearest to a time.

        Args:
            timestamp_seconds: Time from the start of the file.

        Returns:
            The keyframe.

        Raises:
            AvaDetectError: There is no keyframe.
        """
        if not self.keyframes:
            raise AvaDetectError(f"{shown(self.video_id)}: the results have no keyframe")
        return min(self.keyframes, key=lambda keyframe: abs(keyframe.timestamp_seconds - timestamp_seconds))

    def to_pandas(self, *, min_score: float = 0.0, wide: bool = False) -> pd.DataFrame:
        """Convert to a table with the columns of ``NAME.parquet``, one row per person and action.

        Args:
            min_score: Smallest action score to keep, in 0..1.
            wide: One row per person and keyframe instead, with a column of scores for each action; NaN below
                ``min_score`` and where saved results do not list the action.

        Returns:
            The table, in the order of time; without people it has no row, and the same columns.

        Raises:
            ConfigError: ``min_score`` is no score.
        """
        return keyframes_to_pandas(list(self.keyframes), self.label_map, min_score=min_score, wide=wide)

    def to_dict(self, *, min_score: float = 0.0) -> dict[str, Any]:
        """Convert to plain values.

        Args:
            min_score: Smallest action score to keep, in 0..1.

        Returns:
            ``{"video_id", "source", "note", "message", "keyframes"}``, each keyframe as ``KeyframeResult.to_dict``
            gives it.

        Raises:
            ConfigError: ``min_score`` is no score.
        """
        return {
            "video_id": self.video_id,
            "source": None if self.source is None else str(self.source),
            "note": self.note,
            "message": self.message,
            "keyframes": [keyframe.to_dict(min_score=min_score) for keyframe in self.keyframes],
        }

    def draw(
        self, frame: Frame | None = None, *, min_score: float = DRAWN_SCORE, max_actions: int = DRAWN_ACTIONS
    ) -> RGBImage:
        """Draw the people on any frame of the video, or a sheet of drawn keyframes.

        Args:
            frame: A frame with its time, as ``VideoReader`` gives them; boxes move from keyframe to keyframe. Use
                ``result.at(seconds).draw(image)`` for an image without time. By default up to six keyframes, read from
                the video, are drawn on one sheet.
            min_score: Least score of a drawn action, in 0..1.
            max_actions: Most actions of one person, best first.

        Returns:
            The drawn image, uint8 RGB ``[H, W, 3]``.

        Raises:
            VideoError: A frame cannot be read from the video.
            AvaDetectError: ``frame`` has no time, or it is not given and the video is not known or has no keyframe.
        """
        if frame is None:
            return self._sheet(min_score, max_actions)
        if not isinstance(frame, Frame):
            raise AvaDetectError(
                f"`frame` is a Frame with its time, as VideoReader gives them, got {type(frame).__name__}; an image "
                "without time is drawn on with `result.at(seconds).draw(image)`"
            )
        from ava_detect.visualization.draw import draw_detections
        from ava_detect.visualization.motion import TrackInterpolator

        now = frame.timestamp_seconds
        nearest = bisect_left(self.keyframes, now, key=lambda keyframe: keyframe.timestamp_seconds)
        neighbours = self.keyframes[max(0, nearest - _NEIGHBOURS) : nearest + _NEIGHBOURS]
        people = TrackInterpolator(neighbours, median_spacing(self.keyframes)).at(now)
        if people is None:
            people = KeyframeResult.empty(self.video_id, now)
        return draw_detections(
            frame.image, people, self.label_map, min_score=min_score, max_actions=max_actions, banner=self.note
        )

    def _sheet(self, min_score: float, max_actions: int) -> RGBImage:
        """Drawn keyframes from all over the video."""
        from ava_detect.visualization.contact_sheet import contact_sheet
        from ava_detect.visualization.draw import DrawOptions

        options = DrawOptions(min_score=min_score, max_actions=max_actions, banner=self.note)
        source = require_source(self.source, self.video_id)
        sheet, _ = contact_sheet(
            source, self.keyframes, self.label_map, options, num_frames=_SHEET_FRAMES, columns=_SHEET_COLUMNS
        )
        return sheet

    def show(self) -> None:
        """Show a sheet of drawn keyframes: in a notebook below its cell, elsewhere in the program for images.

        Raises:
            AvaDetectError: The video is not known or cannot be read, or there is no screen.
        """
        from ava_detect.visualization.notebook import show_image

        show_image(self.draw())

    def __repr__(self) -> str:
        seconds = f", seconds={self.keyframes[0].timestamp_seconds:g} to {self[-1].timestamp_seconds:g}" if self else ""
        return (
            f"VideoResult({self.video_id!r}, keyframes={len(self)}, people={self.num_people}, boxes={self.num_boxes}, "
            f"actions={len(self.label_map)}{seconds})"
        )

    def _repr_html_(self) -> str:
        from ava_detect.visualization.notebook import paragraph, picture_html, table_html

        title = (
            f"{shown(self.video_id)}: {counted(len(self), 'keyframe', 'keyframes')}, "
            f"{counted(self.num_people, 'person', 'people')}, {counted(self.num_boxes, 'box', 'boxes')}"
        )
        # Much smaller frames than on a sheet to print.
        picture = picture_html(lambda: _reduced(self.draw())) if self else ""
        table = table_html(("action", "boxes", "best score"), self._best_actions()) if self.num_boxes else ""
        return paragraph(title) + paragraph(self.note) + paragraph(self.message) + picture + table

    def _best_actions(self) -> list[tuple[str, str, str]]:
        """The actions that are the best of a person on a keyframe: name, number of such people, best score."""
        counts: dict[int, tuple[int, float]] = {}
        for keyframe in self.keyframes:
            if keyframe.action_scores.shape[1]:
                for column, score in zip(
                    keyframe.action_scores.argmax(axis=1).tolist(), keyframe.action_scores.max(axis=1), strict=True
                ):
                    number, best = counts.get(column, (0, 0.0))
                    counts[column] = number + 1, max(best, float(score))
        actions = self.label_map.actions
        return [
            (actions[column].name, f"{number:,}", f"{best:.2f}")
            for column, (number, best) in sorted(counts.items(), key=lambda item: -item[1][0])
        ]


def _reduced(image: RGBImage) -> RGBImage:
    """A sheet at the width of a notebook."""
    from PIL import Image

    from ava_detect.visualization.notebook import SHEET_WIDTH

    height, width = image.shape[:2]
    if width <= SHEET_WIDTH:
        return image
    size = (SHEET_WIDTH, max(1, round(height * SHEET_WIDTH / width)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
