"""Datasets whose labels belong to whole clips, not to people: Kinetics and Charades.

For training, a sample is one clip of each video at a random time. For testing, it is one view of a grid over each
video: clips spread over its duration times square crops spread over the frame, as the SlowFast paper tests (10 by 3).

Shapes: V videos, L labels of all videos, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.base import ClipDataset, SampleKeys, make_sample
from ava_detect.datasets.clip_sources import ClipSource
from ava_detect.datasets.packed import PackedLists, PackedStrings
from ava_detect.datasets.samples import Sample
from ava_detect.structures import ClipSettings, Float32Array
from ava_detect.structures.labels import LabelMap
from ava_detect.video.clip_sampler import clip_grid_points
from ava_detect.video.transforms import Frames, crop

# Most bytes of a list of videos and labels, which is read as a whole; those of the published data sets are smaller.
MAX_LIST_BYTES = 512 << 20

_NO_BOXES = np.zeros((0, 4), np.float32)
_MIDDLE_CROP = 1


@dataclass(frozen=True, eq=False)
class TimedLabels:
    """The actions of each video, with their times.

    Attributes:
        columns: One list per video: the label columns of its actions.
        starts: float64 ``[L]``, the start of each action in seconds from the start of the file.
        ends: float64 ``[L]``, the end of each action.
        num_classes: The number K of label columns.
    """

    columns: PackedLists
    starts: Tensor
    ends: Tensor
    num_classes: int

    def __len__(self) -> int:
        return len(self.columns)

    def of_video(self, video: int) -> Float32Array:
        """Return the labels of a whole video.

        Args:
            video: The video, from 0.

        Returns:
            float32 ``[K]``, 1 for each action of the video, else 0.
        """
        return self.between(video, -np.inf, np.inf)

    def between(self, video: int, start_seconds: float, end_seconds: float) -> Float32Array:
        """Return the labels of a part of a video.

        Args:
            video: The video, from 0.
            start_seconds: Start of the part, in seconds from the start of the file.
            end_seconds: End of the part.

        Returns:
            float32 ``[K]``, 1 for each action that overlaps the part, else 0.
        """
        first, last = self.columns.bounds(video)
        overlaps = (self.starts[first:last] <= end_seconds) & (self.ends[first:last] >= start_seconds)
        labels = np.zeros(self.num_classes, np.float32)
        labels[self.columns[video][overlaps].numpy()] = 1
        return labels


@dataclass(frozen=True)
class ViewGrid:
    """The views of each video in a test: clips over time by square crops over the frame.

    Attributes:
        num_clips: Number of clips, from 1, spread evenly over the video.
        num_crops: Number of square crops along the frame's long side: 1 (the middle one) or 3.
        last_clip_at_end: Whether clip i of n starts at i / (n - 1) of the free time, so that the last clip ends with
            the video, as PySlowFast tests Charades. Otherwise it starts at i / n, as PySlowFast tests Kinetics. A
            single clip is always the middle one.

    Raises:
        ValueError: If there is no clip, or another number of crops.
    """

    num_clips: int = 10
    num_crops: int = 3
    last_clip_at_end: bool = False

    def __post_init__(self) -> None:
        if self.num_clips < 1 or self.num_crops not in (1, 3):
            raise ValueError(f"views are at least 1 clip by 1 or 3 crops, got {self.num_clips} by {self.num_crops}")

    def __len__(self) -> int:
        return self.num_clips * self.num_crops

    def start_fraction(self, clip: int) -> float:
        """Return how much of the free time, the duration of the video less that of a clip, lies before a clip.

        Args:
            clip: The clip, from 0.

        Returns:
            A fraction of the free time, 0 to 1.
        """
        if self.num_clips == 1:
            return 0.5
        return clip / (self.num_clips - 1) if self.last_clip_at_end else clip / self.num_clips


class ClipView(NamedTuple):
    """One view of a test: the index of its video, of the clip in the video, and of the square crop of the frame."""

    video: int
    clip: int
    crop: int


class ClassificationDataset(ClipDataset):
    """Videos whose labels are of a whole clip.

    For testing, sample i is ``view(i)``: the ``views_per_video`` views of a video are consecutive. A video shorter
    than a clip gives the clip around its middle, with the first and the last frame repeated.
    """

    def __init__(
        self,
        video_ids: PackedStrings,
        clips: ClipSource,
        labels: TimedLabels,
        label_map: LabelMap,
        settings: ClipSettings,
        *,
        views: ViewGrid | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        """Join videos and labels.

        Args:
            video_ids: The ids of the V videos.
            clips: The videos or extracted frames from which clips are read, in the same order.
            labels: The actions of the videos, in the same order.
            label_map: The actions of the label columns.
            settings: Length, frame rate and size of the clips.
            views: The views of each video in a test; by default 10 clips by 3 crops. Unused in training.
            augmentation: Random changes for training; None for testing.
            seed: Seed of the random changes, from 0.
        """
        super().__init__(label_map, settings, augmentation=augmentation, seed=seed)
        self._views = ViewGrid() if views is None else views
        self.views_per_video = 1 if augmentation else len(self._views)
        self._clips = clips
        self._labels = labels
        video = torch.arange(len(video_ids)).repeat_interleave(self.views_per_video)
        self.keys = SampleKeys(video_ids, video, torch.zeros(len(video), dtype=torch.float64))

    def __len__(self) -> int:
        return len(self.keys)

    def view(self, index: int) -> ClipView:
        """Return which view a test sample is.

        Args:
            index: The sample, from 0.

        Returns:
            The indices of its video, clip and crop.
        """
        video, rest = divmod(index, self.views_per_video)
        return ClipView(video, *divmod(rest, self._views.num_crops))

    def _test_sample(self, number: int) -> Sample:
        view = self.view(number)
        middle = self._middle_seconds(view.video, self._views.start_fraction(view.clip), self.settings)
        clip = self._clips.clip(view.video, middle, self.settings)
        frames = _square_crop(clip.frames, view.crop if self._views.num_crops > 1 else _MIDDLE_CROP)
        return make_sample(frames, self._labels.of_video(view.video), None, self.keys[number][0], middle)

    def _training_sample(self, number: int, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
        settings = replace(self.settings, short_side=augmentation.draw_short_side(rng))
        middle = self._middle_seconds(number, float(rng.random()), settings)
        clip = self._clips.clip(number, middle, settings)
        frames, _, _ = augmentation(clip.frames, _NO_BOXES, rng)
        # Labels of the actions between the clip's first and last frame.
        points = clip_grid_points(middle, settings)
        labels = self._labels.between(number, points[0] / settings.sampling_fps, points[-1] / settings.sampling_fps)
        return make_sample(frames, labels, None, self.keys[number][0], middle)

    def _middle_seconds(self, video: int, start_fraction: float, settings: ClipSettings) -> float:
        """Return the time, in seconds, around which the clip has ``start_fraction`` of the free time before it."""
        duration = self._clips.duration_seconds(video, settings)
        free = duration - settings.span_seconds
        return start_fraction * free + settings.seconds_before_keyframe if free > 0 else duration / 2


def _square_crop(frames: Frames, index: int) -> Frames:
    """Cut the first, middle or last square (0, 1, 2) along the frame's long side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    # PySlowFast's uniform_crop rounds the offset of the middle one up.
    left, top = [(0, (free + 1) // 2, free)[index] for free in (width - side, height - side)]
    square, _ = crop(frames, _NO_BOXES, left, top, side, side)
    return square
