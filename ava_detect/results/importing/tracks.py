"""Tracks: boxes that a person set on some frames, and that the tool moves in between, as CVAT and Label Studio do it.

Which frames are labelled is one rule for both: a frame on which the box of one person was set is a keyframe of all. It
was on the screen with the boxes of the others, also where the tool had moved them there, so each person who is visible
on it is a row. If each track had the frames of its own box alone, the others would be missing there, as if absent.

A frame on which a track ends is labelled where a person must have put the end there. CVAT puts ends at the end of
jobs, and ``hand-over`` half of the time after the last sighting; neither was looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ava_detect.results.importing.labels import Box


@dataclass(frozen=True)
class Step:
    """A frame on which the box of a track was set.

    Attributes:
        frame: Number of the frame, as the tool counts.
        box: x1, y1, x2, y2 as fractions of the frame.
        stays: Whether the person is visible from this frame to the next step; False where the track ends.
        is_visible: Whether the person is visible on the frame itself.
        actions: What the person does from this frame to the next step.
    """

    frame: float
    box: Box
    stays: bool
    is_visible: bool
    actions: tuple[str, ...] = ()


def labelled_frames(tracks: Iterable[Sequence[Step]], *, with_ends: bool) -> set[float]:
    """List the frames that were labelled.

    Args:
        tracks: The steps of each track of a video.
        with_ends: Whether a frame on which a track ends counts, because only a person puts ends.

    Returns:
        Numbers of the frames, each of which is a keyframe of all people.
    """
    return {step.frame for steps in tracks for step in steps if step.stays or with_ends}


def boxes_on(steps: Sequence[Step], frames: Sequence[float]) -> Iterator[tuple[float, Box, Step]]:
    """Find the boxes of a track on frames: those that were set, and between them straight from one to the next.

    Args:
        steps: The steps of the track, ascending, at least one.
        frames: Numbers of frames, ascending.

    Yields:
        The number of each frame on which the person is visible, the box, and the last step until then. After the last
        step the box stays where it is.
    """
    after = 0  # number of steps up to the frame
    for frame in frames[bisect_left(frames, steps[0].frame) :]:
        while after < len(steps) and steps[after].frame <= frame:
            after += 1
        step = steps[after - 1]
        if step.frame == frame:
            if step.is_visible:
                yield frame, step.box, step
        elif step.stays:
            yield frame, step.box if after == len(steps) else _between(step, steps[after], frame), step


def _between(step: Step, following: Step, frame: float) -> Box:
    share = (frame - step.frame) / (following.frame - step.frame)
    x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(step.box, following.box, strict=True))
    return x1, y1, x2, y2
