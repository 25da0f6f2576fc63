"""A keyframe with the names of its actions and the video that it is of: a table, a dictionary, a picture."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ava_detect.errors import AvaDetectError, ConfigError, counted, shown
from ava_detect.storage.addresses import Address
from ava_detect.structures import ActionDetections, Frame
from ava_detect.structures import Float32Array as Float32Array  # for the annotations of the inherited fields
from ava_detect.structures.labels import LabelMap

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image
    from supervision import Detections

RGBImage = npt.NDArray[np.uint8]  # [H, W, 3]
#: Least score of a drawn action, and most actions on the chip of a person.
DRAWN_SCORE, DRAWN_ACTIONS = 0.3, 3
_LEAST_SCORE = float(np.nextafter(np.float32(0), np.float32(1)))
_SHOWN_ACTIONS = 3


@dataclass(frozen=True, eq=False, repr=False)
class KeyframeResult(ActionDetections):
    """The people on one keyframe and their actions, as a pipeline and ``read_results`` give them.

    It has the fields of ``ActionDetections``, and these. The picture is read from the video when it is asked for.

    Attributes:
        label_map: Names and kinds of the actions.
        source: The video's file or address; None where it is unknown or no longer there.
        note: A warning about the scores, such as that the weights are untrained; empty where there is none.
        is_complete: Whether it has a score for every action; False for saved results, which may list some actions only:
            there a score of 0 is that of an action that is not listed.
    """

    label_map: LabelMap = field(default_factory=LabelMap.ava)
    source: Path | Address | None = None
    note: str = ""
    is_complete: bool = True

    @classmethod
    def of(
        cls,
        detections: ActionDetections,
        label_map: LabelMap,
        source: Path | Address | None = None,
        *,
        note: str = "",
        is_complete: bool = True,
    ) -> Self:
        """Build from detections.

        Args:
            detections: The people of the keyframe.
            label_map: Names and kinds of the actions.
            source: The video's file or address; None where it is unknown.
            note: A warning about the scores; empty: none.
            is_complete: Whether there is a score for every action.

        Returns:
            The keyframe.
        """
        values = {name.name: getattr(detections, name.name) for name in fields(ActionDetections)}
        return cls(**values, label_map=label_map, source=source, note=note, is_complete=is_complete)

    def to_pandas(self, *, min_score: float = 0.0, wide: bool = False) -> pd.DataFrame:
        """Convert to a table with the columns of ``NAME.parquet``, one row per person and action.

        Args:
            min_score: Smallest action score to keep, in 0..1.
            wide: One row per person instead, with a column of scores for each action; NaN below ``min_score`` and where
                saved results do not list the action.

        Returns:
            The table; without people it has no row, and the same columns.

        Raises:
            ConfigError: ``min_score`` is no score.

        Example:
            >>> keyframe.to_pandas(min_score=0.5)[["track_id", "action_name", "action_score"]]
        """
        return keyframes_to_pandas([self], self.label_map, min_score=min_score, wide=wide)

    def to_dict(self, *, min_score: float = 0.0) -> dict[str, Any]:
        """Convert to plain values, those of a line of ``NAME.jsonl``.

        Args:
            min_score: Smallest action score to keep, in 0..1.

        Returns:
            ``{"video_id", "timestamp_seconds", "people": [{"track_id", "box", "score", "actions": [{"id", "name",
            "score"}]}]}``, and ``"note"`` where there is one.

        Raises:
            ConfigError: ``min_score`` is no score.
        """
        from ava_detect.formats.jsonl import keyframe_to_json

        names = {action.id: action.name for action in self.label_map}
        values = keyframe_to_json(self, names, self.action_scores >= self.listed_from(min_score))
        return values | ({"note": self.note} if self.note else {})

    def to_supervision(self, size: tuple[int, int] | None = None) -> Detections:
        """Convert to ``supervision.Detections``.

        Args:
            size: Width and height of the frame in pixels; by default those of the video.

        Returns:
            The people: ``xyxy`` in pixels, ``confidence`` the detector's score, ``class_id`` the id of the action with
            the highest score (-1 where none is listed), ``tracker_id`` the track id. ``data`` has ``class_name`` and
            ``action_score`` of that action, and ``action_ids``, ``action_names`` and ``action_scores`` of all actions.

        Raises:
            MissingDependencyError: supervision is not installed.
            VideoError: The size is not given and the video cannot be read.
            AvaDetectError: The size is not given and the video is not known.
        """
        from ava_detect.formats.supervision import keyframe_to_supervision
        from ava_detect.visualization.video_frames import frame_size

        width, height = frame_size(require_source(self.source, self.video_id)) if size is None else size
        if not (width > 0 and height > 0):
            raise ConfigError(f"`size` is the width and the height of the frame in pixels, got {size}")
        return keyframe_to_supervision(self, self.label_map, width=width, height=height, note=self.note)

    def draw(
        self,
        frame: Frame | RGBImage | Image | None = None,
        *,
        min_score: float = DRAWN_SCORE,
        max_actions: int = DRAWN_ACTIONS,
        max_width: int | None = None,
    ) -> RGBImage:
        """Draw the people with their best actions onto a copy of a frame.

        Args:
            frame: The frame: uint8 RGB ``[H, W, 3]``, a ``Frame``, or a Pillow image; by default the keyframe's own,
                read from the video.
            min_score: Least score of a drawn action, in 0..1.
            max_actions: Most actions of one person, best first.
            max_width: Width in pixels to which a wider frame of the video is reduced; None for no limit.

        Returns:
            The drawn frame, uint8 RGB ``[H, W, 3]``.

        Raises:
            VideoError: The frame cannot be read from the video.
            AvaDetectError: The video is not known, or ``frame`` is no such image.
        """
        from ava_detect.visualization.draw import draw_detections
        from ava_detect.visualization.video_frames import frames_at

        if frame is None:
            source = require_source(self.source, self.video_id)
            image = next(frames_at(source, [self.timestamp_seconds], max_width=max_width))
        else:
            image = image_of(frame)
        return draw_detections(
            image, self, self.label_map, min_score=min_score, max_actions=max_actions, banner=self.note
        )

    def show(self) -> None:
        """Show the drawn keyframe: in a notebook below its cell, elsewhere in the system's program for images.

        Raises:
            AvaDetectError: The video is not known or cannot be read, or there is no screen.
        """
        from ava_detect.visualization.notebook import show_image

        show_image(self.draw())

    def listed_from(self, min_score: float) -> float:
        """Return the score from which on actions are listed.

        Args:
            min_score: The caller's smallest score.

        Returns:
            ``min_score``, or a number just above 0 where a score of 0 is that of an action that is not listed.

        Raises:
            ConfigError: ``min_score`` is not in 0..1.
        """
        if not 0 <= min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {min_score}")
        return min_score if self.is_complete else max(min_score, _LEAST_SCORE)

    def _repr_html_(self) -> str:
        from ava_detect.visualization.notebook import PICTURE_WIDTH, paragraph, picture_html, table_html

        title = f"{shown(self.video_id)}, {self.timestamp_seconds:g} s: {counted(len(self), 'person', 'people')}"
        picture = picture_html(lambda: self.draw(max_width=PICTURE_WIDTH))
        table = table_html(("person", "score", "best actions"), self._rows()) if len(self) else ""
        return paragraph(title) + paragraph(self.note) + picture + table

    def _rows(self) -> list[tuple[str, str, str]]:
        """Per person the id, the detector's score and the best actions, as text."""
        rows = []
        for number, person in enumerate(self.to_dict()["people"], start=1):
            best = [f"{action['name']} {action['score']:.2f}" for action in person["actions"][:_SHOWN_ACTIONS]]
            track = number if person["track_id"] is None else person["track_id"]
            rows.append((str(track), f"{person['score']:.2f}", ", ".join(best)))
        return rows


def keyframes_to_pandas(
    keyframes: list[KeyframeResult], label_map: LabelMap, *, min_score: float, wide: bool
) -> pd.DataFrame:
    """Convert keyframes of one video to one table; see ``KeyframeResult.to_pandas``.

    Args:
        keyframes: Keyframes with the same score columns.
        label_map: Their actions.
        min_score: Smallest action score to keep, in 0..1.
        wide: One row per person instead of one per person and action.

    Returns:
        The table.

    Raises:
        ConfigError: ``min_score`` is no score.
    """
    from ava_detect.formats.data_frame import action_frame, person_frame
    from ava_detect.formats.parquet import keyframe_to_table

    least = [keyframe.listed_from(min_score) for keyframe in keyframes]
    if wide:
        return person_frame(keyframes, label_map, min_score=least[0] if least else 0.0)
    return action_frame(
        keyframe_to_table(keyframe, keyframe.label_map, keyframe.action_scores >= score)
        for keyframe, score in zip(keyframes, least, strict=True)
    )


def require_source(source: Path | Address | None, video_id: str) -> Path | Address:
    """Return the video of a result.

    Args:
        source: The video's file or address, or None.
        video_id: Its id, for the message.

    Returns:
        ``source``.

    Raises:
        AvaDetectError: It is None.
    """
    if source is None:
        raise AvaDetectError(
            f"{shown(video_id)}: its video is not known, or no longer where it was annotated; give the frame to draw "
            "on, or the folder where the video is now (`videos` of `read_results`)"
        )
    return source


def image_of(frame: Frame | RGBImage | Image) -> RGBImage:
    """Return the pixels of a frame.

    Args:
        frame: uint8 RGB ``[H, W, 3]``, a ``Frame``, or a Pillow image.

    Returns:
        uint8 RGB ``[H, W, 3]``.

    Raises:
        AvaDetectError: It is something else.
    """
    if isinstance(frame, Frame):
        return frame.image
    if isinstance(frame, np.ndarray):
        return frame
    if hasattr(frame, "convert"):
        return np.asarray(frame.convert("RGB"))
    raise AvaDetectError(f"`frame` is an RGB image [H, W, 3], a Frame or a Pillow image, got {type(frame).__name__}")
