"""One video and its results in the form of annotation tools: tracks of boxes in pixels, on numbered frames.

Pixels and times are those of ``MeasuredVideo``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ava_detect.results.measured_video import MeasuredVideo
from ava_detect.structures import ActionDetections
from ava_detect.structures.boxes import clip, fractions_to_pixels
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import ActionTube, median_spacing
from ava_detect.video.reader import VideoReader


class Sighting(NamedTuple):
    """A person on a keyframe.

    Attributes:
        track_id: Id of the person.
        frame: Number of the frame that the keyframe shows, from 0.
        timestamp_seconds: Time of the keyframe from the start of the file.
        box_xyxy: x1, y1, x2, y2 in square pixels of the whole frame.
        person_score: Score of the person detection, 0..1.
        actions: The person's actions with their scores, 0..1, the highest first.
    """

    track_id: int
    frame: int
    timestamp_seconds: float
    box_xyxy: tuple[float, float, float, float]
    person_score: float
    actions: tuple[tuple[Action, float], ...]


@dataclass(frozen=True, eq=False)
class AnnotatedVideo(MeasuredVideo):
    """A video file with its results.

    Attributes:
        label_map: The actions that may be chosen, those of the results included.
        keyframes: Keyframes with track ids, in time order.
        tubes: Action tubes: person, action, and the time from start to end.
        min_score: Actions with a lower score, 0..1, are left out of the sightings.
        spacing_seconds: Usual time from keyframe to keyframe; computed.
    """

    label_map: LabelMap
    keyframes: Sequence[ActionDetections]
    tubes: Sequence[ActionTube]
    min_score: float
    spacing_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing_seconds", median_spacing(self.keyframes))

    def unstretched_box(self, sighting: Sighting) -> tuple[float, float, float, float]:
        """Return a person's box in the file's own pixels.

        Args:
            sighting: The person.

        Returns:
            x1, y1, x2, y2 in pixels of a frame of ``decoded_size``.
        """
        width, height = self.decoded_size
        x1, y1, x2, y2 = sighting.box_xyxy
        across, down = width / self.width, height / self.height
        return round(x1 * across, 3), round(y1 * down, 3), round(x2 * across, 3), round(y2 * down, 3)

    def images(self, frames: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode frames.

        Args:
            frames: Numbers of the frames, ascending.

        Yields:
            The upright image of each frame in the file's own pixels, uint8 RGB ``[height, width, 3]``. Where a frame is
            damaged, that of the frame before it.
        """
        width, height = self.decoded_size
        displayed, wanted = None, list(frames)[::-1]
        for decoded in VideoReader(self.path).decode():
            # Half a millisecond: containers round time stamps.
            while wanted and displayed and decoded.timestamp_seconds > self.frame_times[wanted[-1]] + 0.0005:
                yield displayed.image(width, height)
                wanted.pop()
            displayed = decoded
            if not wanted:
                return
        if displayed is not None:
            for _ in wanted:
                yield displayed.image(width, height)

    def keyframe_frames(self) -> dict[int, float]:
        """List the frames that keyframes show; of several keyframes that show one frame, the first counts.

        Returns:
            Number of the frame, from 0 and ascending -> time of the keyframe in seconds.
        """
        frames: dict[int, float] = {}
        for keyframe in self.keyframes:
            frames.setdefault(self.frame_at(keyframe.timestamp_seconds), keyframe.timestamp_seconds)
        return frames

    def sightings(self) -> Iterator[Sighting]:
        """List the people on all keyframes.

        Yields:
            Each person on each keyframe, in time order. Of several keyframes on one frame, the first counts.
        """
        last = -1
        for keyframe in self.keyframes:
            frame = self.frame_at(keyframe.timestamp_seconds)
            if frame > last:
                yield from self._on_keyframe(keyframe, frame)
            last = frame

    def tracks(self) -> dict[int, list[Sighting]]:
        """Group the sightings by person.

        Returns:
            The sightings of each person in time order, by track id.
        """
        tracks: dict[int, list[Sighting]] = {}
        for sighting in self.sightings():
            tracks.setdefault(sighting.track_id, []).append(sighting)
        return tracks

    def leaves_after(self, sighting: Sighting, following: Sighting | None) -> int | None:
        """Return the frame from which a person is not shown any more.

        A person who is missing on the next keyframe is shown for half the time to it, as in drawn videos.

        Args:
            sighting: A sighting of the person.
            following: The person's next sighting; None where this is the last.

        Returns:
            Number of the frame, from 0; None where the person is shown up to ``following``, or to the end.
        """
        end = sighting.timestamp_seconds + self.spacing_seconds / 2
        if following is not None and following.timestamp_seconds < end + self.spacing_seconds:
            return None
        frame = max(int(np.searchsorted(self.frame_times, end)), sighting.frame + 1)
        limit = self.num_frames if following is None else following.frame
        return frame if frame < limit else None

    def _on_keyframe(self, keyframe: ActionDetections, frame: int) -> Iterator[Sighting]:
        """Yield the people of one keyframe."""
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
    """List the actions that may be chosen in any of the videos, whether they occur or not.

    Args:
        videos: The videos.

    Returns:
        Each action once, in the order of their ids.
    """
    found: dict[int, Action] = {}
    for video in videos:
        found.update((action.id, action) for action in video.label_map)
    return [found[action_id] for action_id in sorted(found)]
