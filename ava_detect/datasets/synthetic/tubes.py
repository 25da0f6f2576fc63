"""Tubes of the synthetic world: the actions of each person, with a box on every frame, as MultiSports labels them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ava_detect.datasets.synthetic.stage import SeenPerson
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap


class TubeRecorder:
    """Collects the tubes of a movie while its frames are rendered, in order.

    A tube lasts as long as the person does the action and is seen: at least half, and on frames that follow each other.

    Attributes:
        num_frames: Number of frames so far.
    """

    def __init__(self) -> None:
        self.num_frames = 0
        # Of each person and action the frames and boxes of its tubes, the last of which may go on.
        self._parts: dict[tuple[int, int], list[tuple[list[int], list[SeenPerson]]]] = {}

    def add(self, people: Iterable[SeenPerson]) -> None:
        """Add the next frame.

        Args:
            people: The people that can be seen on it.
        """
        self.num_frames += 1
        for person in people:
            for action_id in person.action_ids:
                parts = self._parts.setdefault((person.person_id, action_id), [])
                if not parts or parts[-1][0][-1] != self.num_frames - 1:
                    parts.append(([], []))
                frames, seen = parts[-1]
                frames.append(self.num_frames)
                seen.append(person)

    def tubes(self, video_id: str, labels: Mapping[int, int]) -> tuple[FrameTube, ...]:
        """Return the tubes.

        Args:
            video_id: The movie.
            labels: Action id -> label, from 0.

        Returns:
            The tubes, person by person.
        """
        return tuple(
            FrameTube(video_id, labels[action_id], np.array(frames), np.stack([one.box_xyxy for one in seen]))
            for (_, action_id), parts in self._parts.items()
            for frames, seen in parts
        )


def annotations_of(
    movies: Iterable[tuple[tuple[FrameTube, ...], int]], names: Iterable[str], actions: LabelMap, size: tuple[int, int]
) -> TubeAnnotations:
    """Return the ground truth of a world as that of a data set of tubes.

    Args:
        movies: Tubes and number of frames of each movie.
        names: The id of each movie.
        actions: The actions of the world; label i is the i-th of them.
        size: Width and height of the frames in pixels.

    Returns:
        The ground truth; a world is not divided, so all movies are for training and for measuring.
    """
    found = dict(zip(names, movies, strict=True))
    return TubeAnnotations(
        LabelMap(tuple(Action(label, action.name) for label, action in enumerate(actions))),
        {name: tubes for name, (tubes, _) in found.items()},
        {name: number for name, (_, number) in found.items()},
        (tuple(found),),
        (tuple(found),),
        dict.fromkeys(found, (size[1], size[0])),
    )
