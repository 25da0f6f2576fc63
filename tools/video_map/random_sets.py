"""Random ground truth and detections of tubes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ava_detect.evaluation.video_map import VideoMAP
from ava_detect.evaluation.video_map_result import TubeDialect
from ava_detect.formats.ava_table import AvaTable
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

Rows = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class RandomSet:
    """A data set of tubes with detections, in the layouts of the published evaluators.

    Attributes:
        labels: Names of the labels.
        num_frames: Number of frames of each video.
        truth: Tubes ``[n, 5]`` of each label in each video.
        tubes: Detected tubes of each label: video, score, rows ``[n, 6]``.
        rows: Detected boxes ``[n, 8]``.
    """

    labels: list[str]
    num_frames: dict[str, int]
    truth: dict[str, dict[int, list[Rows]]]
    tubes: dict[int, list[tuple[str, float, Rows]]]
    rows: Rows

    @property
    def videos(self) -> list[str]:
        """Ids of the videos."""
        return list(self.num_frames)

    def as_pickle(self) -> dict[str, Any]:
        """The ground truth in the layout of the data sets."""
        return {
            "labels": self.labels,
            "gttubes": self.truth,
            "nframes": self.num_frames,
            "train_videos": [[]],
            "test_videos": [self.videos],
            "resolution": dict.fromkeys(self.num_frames, (240, 320)),
        }

    def metric(self, dialect: TubeDialect) -> VideoMAP:
        """Our metric, with everything added."""
        metric = VideoMAP(LabelMap(tuple(Action(i, name) for i, name in enumerate(self.labels))), dialect, self.videos)
        metric.update(
            ground_truth=[
                FrameTube(video, label, rows[:, 0].astype(np.int64), rows[:, 1:5])
                for video, by_label in self.truth.items()
                for label, tubes in by_label.items()
                for rows in tubes
            ],
            tubes=[
                FrameTube(video, label, rows[:, 0].astype(np.int64), rows[:, 1:5], score)
                for label, tubes in self.tubes.items()
                for video, score, rows in tubes
            ],
            boxes=AvaTable(
                tuple(self.videos),
                self.rows[:, 0].astype(np.int32),
                self.rows[:, 1],
                self.rows[:, 4:8],
                self.rows[:, 2].astype(np.int32),
                self.rows[:, 3],
                np.full(len(self.rows), -1, np.int64),
            ),
        )
        return metric

    def with_truth_only(self) -> RandomSet:
        """Leave out the labels without ground truth, at which MOC's evaluator divides by 0."""
        kept = [i for i in range(len(self.labels)) if any(i in by_label for by_label in self.truth.values())]
        number = {label: new for new, label in enumerate(kept)}
        rows = self.rows[np.isin(self.rows[:, 2], kept)].copy()
        rows[:, 2] = [number[int(label)] for label in rows[:, 2]]
        truth = {v: {number[k]: tubes for k, tubes in by_label.items()} for v, by_label in self.truth.items()}
        tubes = {number[label]: self.tubes[label] for label in kept}
        return RandomSet([self.labels[label] for label in kept], self.num_frames, truth, tubes, rows)


def random_set(
    seed: int,
    *,
    num_videos: int = 4,
    num_labels: int = 5,
    num_frames: tuple[int, int] = (8, 40),
    tubes_per_video: int = 6,
    detections_per_tube: int = 3,
    decimals: int | None = None,
) -> RandomSet:
    """Make a set.

    Args:
        seed: Seed of the random numbers.
        num_videos: Number of videos.
        num_labels: Number of labels; some have no ground truth.
        num_frames: Least and greatest number of frames of a video.
        tubes_per_video: Greatest number of true tubes in a video.
        detections_per_tube: Greatest number of detections of a true tube.
        decimals: Decimals of the scores: few make many equal scores. None: as they come.

    Returns:
        The set.
    """
    random = np.random.default_rng(seed)
    frames = {f"group/video_{i:04}": int(random.integers(*num_frames, endpoint=True)) for i in range(num_videos)}
    truth: dict[str, dict[int, list[Rows]]] = {video: {} for video in frames}
    tubes: dict[int, list[tuple[str, float, Rows]]] = {label: [] for label in range(num_labels)}
    boxes: list[Rows] = []

    def score() -> float:
        value = float(random.uniform())
        return value if decimals is None else round(value, decimals)

    def detect(video: int, label: int, first: int, last: int, box: Rows) -> None:
        length = last - first + 1
        numbers = np.arange(first, last + 1)
        found = box + random.normal(0, 1, (length, 4))
        value = score()
        rows = np.column_stack([numbers, found, np.full(length, value)])
        tubes[label].append((names[video], value, rows))
        own = np.full(length, value) if decimals is not None else random.uniform(size=length)
        boxes.append(np.column_stack([np.full(length, video), numbers, np.full(length, label), own, found]))

    names = list(frames)
    for number, (video, length) in enumerate(frames.items()):
        for _ in range(int(random.integers(0, tubes_per_video, endpoint=True))):
            label = int(random.integers(num_labels))
            first = int(random.integers(1, length, endpoint=True))
            last = int(random.integers(first, length, endpoint=True))
            corner, size = random.uniform(0, 60, 2), random.uniform(20, 60, 2)
            box = np.concatenate([corner, corner + size])
            rows = np.column_stack([np.arange(first, last + 1), np.tile(box, (last - first + 1, 1))])
            truth[video].setdefault(label, []).append(rows)
            for _ in range(int(random.integers(0, detections_per_tube, endpoint=True))):
                begin = int(np.clip(first + random.integers(-3, 4), 1, length))
                end = int(np.clip(last + random.integers(-3, 4), begin, length))
                # Sometimes the very box, or another label.
                moved = box if random.uniform() < 0.2 else box + random.normal(0, 4, 4)
                detect(number, label if random.uniform() < 0.8 else int(random.integers(num_labels)), begin, end, moved)
        if random.uniform() < 0.5:
            detect(number, int(random.integers(num_labels)), 1, length, np.array([1.0, 1, 30, 30]))
    return RandomSet(
        [f"label {i}" for i in range(num_labels)], frames, truth, tubes, np.concatenate([np.empty((0, 8)), *boxes])
    )
