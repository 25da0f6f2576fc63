"""Clips with labels of their own, not of people: Kinetics and Charades.

To learn from: one clip of each video, anywhere in it. To test on: a grid of views of each video, clips spread over its
length times squares spread over the frame, as the SlowFast paper tests (10 by 3).

Shapes: V videos, L labels, K classes.
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

_NO_BOXES = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class TimedLabels:
    """Which actions each video shows, and when. ``columns``: lists of int; ``starts``, ``ends``: float64 ``[L]``,
    seconds from the start of the file.
    """

    columns: PackedLists
    starts: Tensor
    ends: Tensor
    num_classes: int

    def __len__(self) -> int:
        return len(self.columns)

    def of_video(self, video: int) -> Float32Array:
        """``[K]``: 1 for each action that the video shows."""
        return self.between(video, -np.inf, np.inf)

    def between(self, video: int, start_seconds: float, end_seconds: float) -> Float32Array:
        """``[K]``: 1 for each action that goes on at some moment of a clip."""
        first, last = self.columns.bounds(video)
        shown = (self.starts[first:last] <= end_seconds) & (self.ends[first:last] >= start_seconds)
        labels = np.zeros(self.num_classes, np.float32)
        labels[self.columns[video][shown].numpy()] = 1
        return labels


class ClipView(NamedTuple):
    """One clip of a test: the number of its video, of the clip in it, and of the square in the frame."""

    video: int
    clip: int
    square: int


class ClassificationDataset(ClipDataset):
    """Videos whose labels are of a whole clip.

    To test on, sample i is ``view(i)``: all views of a video stand side by side, ``views_per_video`` of them. A video
    shorter than a clip gives the clip around its middle, the end frames repeated.
    """

    def __init__(
        self,
        video_ids: PackedStrings,
        clips: ClipSource,
        labels: TimedLabels,
        label_map: LabelMap,
        settings: ClipSettings,
        *,
        test_views: tuple[int, int] = (10, 3),
        last_view_at_end: bool = False,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        """``test_views``: clips over time and squares over the frame, 1 or 3.

        ``last_view_at_end``: of n clips, clip i starts at i / (n - 1) of the room that there is, as PySlowFast tests
        Charades; else at i / n, as it tests Kinetics. One clip alone is the middle one.
        """
        super().__init__(label_map, settings, augmentation=augmentation, seed=seed)
        self.views_per_video = 1 if augmentation else test_views[0] * test_views[1]
        self._test_views = test_views
        self._last_view_at_end = last_view_at_end
        self._clips = clips
        self._labels = labels
        video = torch.arange(len(video_ids)).repeat_interleave(self.views_per_video)
        self.keys = SampleKeys(video_ids, video, torch.zeros(len(video), dtype=torch.float64))

    def __len__(self) -> int:
        return len(self.keys)

    def view(self, index: int) -> ClipView:
        """What a test sample shows."""
        video, rest = divmod(index, self.views_per_video)
        return ClipView(video, *divmod(rest, self._test_views[1]))

    def _test_sample(self, number: int) -> Sample:
        view = self.view(number)
        share = self._share_of_clip(view.clip)
        middle = self._middle(view.video, share, self.settings)
        clip = self._clips.clip(view.video, middle, self.settings)
        frames = _square(clip.frames, view.square if self._test_views[1] > 1 else 1)
        return make_sample(frames, self._labels.of_video(view.video), None, self.keys[number][0], middle)

    def _training_sample(self, number: int, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
        settings = replace(self.settings, short_side=augmentation.draw_short_side(rng))
        middle = self._middle(number, float(rng.random()), settings)
        clip = self._clips.clip(number, middle, settings)
        frames, _, _ = augmentation(clip.frames, _NO_BOXES, rng)
        points = clip_grid_points(middle, settings)
        labels = self._labels.between(number, points[0] / settings.sampling_fps, points[-1] / settings.sampling_fps)
        return make_sample(frames, labels, None, self.keys[number][0], middle)

    def _share_of_clip(self, clip: int) -> float:
        num_clips = self._test_views[0]
        if num_clips == 1:
            return 0.5
        return clip / (num_clips - 1) if self._last_view_at_end else clip / num_clips

    def _middle(self, video: int, share: float, settings: ClipSettings) -> float:
        """The middle, in seconds, of the clip that has ``share`` of the free room before it."""
        length = self._clips.duration_seconds(video, settings)
        room = length - settings.span_seconds
        return share * room + settings.span_seconds / 2 if room > 0 else length / 2


def _square(frames: Frames, place: int) -> Frames:
    """The first, middle or last square (0, 1, 2) along the frame's long side."""
    height, width = frames.shape[1:3]
    side = min(height, width)
    # PySlowFast's uniform_crop rounds the middle up.
    left, top = [(0, (room + 1) // 2, room)[place] for room in (width - side, height - side)]
    square, _ = crop(frames, _NO_BOXES, left, top, side, side)
    return square
