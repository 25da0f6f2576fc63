"""One video and its results as annotation tools see them: tracks of boxes in pixels, on numbered frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import clip, fractions_to_pixels
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import ActionTube, usual_spacing

# Half a step of the grid on which keyframes are cut: a keyframe at 1 s shows the frame of 1.001 s in a 29.97 fps file.
_HALF_GRID_STEP_SECONDS = 1 / 60


class Sighting(NamedTuple):
    """A person on a keyframe: the frame's number from 0, its box in whole-frame pixels, who, and what they do."""

    track_id: int
    frame: int
    timestamp_seconds: float
    box_xyxy: tuple[float, float, float, float]
    person_score: float
    actions: tuple[tuple[Action, float], ...]


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """``path``: the file, of ``width`` x ``height`` upright pixels; ``frame_times``: seconds, a value for every frame.

    ``keyframes``: linked, in time order. ``tubes``: when who does what. ``min_score``: actions below it are left out of
    the sightings.
    """

    video_id: str
    path: Path
    width: int
    height: int
    frame_times: npt.NDArray[np.float64]
    label_map: LabelMap
    keyframes: Sequence[ActionDetections]
    tubes: Sequence[ActionTube]
    min_score: float
    spacing_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing_seconds", usual_spacing(self.keyframes))

    @property
    def num_frames(self) -> int:
        """How many frames the video has."""
        return len(self.frame_times)

    @property
    def fps(self) -> float:
        """Frames per second, on average."""
        if self.num_frames < 2:
            return 1.0
        return float((self.num_frames - 1) / (self.frame_times[-1] - self.frame_times[0]))

    @property
    def duration_seconds(self) -> float:
        """From the first frame to the end of the last."""
        return self.num_frames / self.fps

    def frame_at(self, timestamp_seconds: float) -> int:
        """The number, from 0, of the frame that a keyframe at this time shows."""
        place = int(np.searchsorted(self.frame_times, timestamp_seconds + _HALF_GRID_STEP_SECONDS, "right")) - 1
        return max(place, 0)

    def sightings(self) -> Iterator[Sighting]:
        """Everybody on every keyframe, in time order; several keyframes on one frame count once."""
        last = -1
        for keyframe in self.keyframes:
            frame = self.frame_at(keyframe.timestamp_seconds)
            if frame > last:
                yield from self._on_keyframe(keyframe, frame)
            last = frame

    def tracks(self) -> dict[int, list[Sighting]]:
        """The sightings of each person, by track id."""
        tracks: dict[int, list[Sighting]] = {}
        for sighting in self.sightings():
            tracks.setdefault(sighting.track_id, []).append(sighting)
        return tracks

    def leaves_after(self, sighting: Sighting, following: Sighting | None) -> int | None:
        """The frame from which a person is not shown any more; None where they stay to ``following``, or to the end.

        Somebody who is missing on the next keyframe is held for half the way to it, as drawings do.
        """
        end = sighting.timestamp_seconds + self.spacing_seconds / 2
        if following is not None and following.timestamp_seconds < end + self.spacing_seconds:
            return None
        frame = max(int(np.searchsorted(self.frame_times, end)), sighting.frame + 1)
        limit = self.num_frames if following is None else following.frame
        return frame if frame < limit else None

    def _on_keyframe(self, keyframe: ActionDetections, frame: int) -> Iterator[Sighting]:
        assert keyframe.track_ids is not None, "results are linked when they are read"
        boxes = clip(
            fractions_to_pixels(keyframe.boxes_fraction.astype(np.float64), self.width, self.height),
            self.width,
            self.height,
        )
        for row, track_id in enumerate(keyframe.track_ids.tolist()):
            scores = keyframe.action_scores[row]
            columns = [c for c in np.argsort(-scores, kind="stable").tolist() if scores[c] >= self.min_score]
            x1, y1, x2, y2 = (round(corner, 3) for corner in boxes[row].tolist())
            yield Sighting(
                track_id,
                frame,
                keyframe.timestamp_seconds,
                (x1, y1, x2, y2),
                float(keyframe.person_scores[row]),
                tuple((self.label_map.by_id(int(keyframe.action_ids[c])), float(scores[c])) for c in columns),
            )


def actions_of(videos: Sequence[AnnotatedVideo]) -> list[Action]:
    """The actions that occur in the sightings or tubes of any of the videos, by id."""
    found: dict[int, Action] = {}
    for video in videos:
        for sighting in video.sightings():
            found.update((action.id, action) for action, _ in sighting.actions)
        found.update((tube.action_id, video.label_map.by_id(tube.action_id)) for tube in video.tubes)
    return [found[action_id] for action_id in sorted(found)]
