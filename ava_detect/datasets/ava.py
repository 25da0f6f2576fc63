"""Detection datasets in AVA's format: people on keyframes, each with a box and any number of actions.

Shapes: N people of one keyframe, K classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.base import ClipDataset, SampleKeys, make_sample
from ava_detect.datasets.clip_sources import ClipSource
from ava_detect.datasets.keyframe_table import KeyframeTable
from ava_detect.datasets.samples import Sample
from ava_detect.structures import Clip, ClipSettings, Float32Array
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.boxes import BoxRule
from ava_detect.structures.labels import LabelMap
from ava_detect.video.transforms import roi_boxes


class AvaDataset(ClipDataset):
    """One sample per keyframe: the clip around it and the people on it.

    For testing, frames and boxes are those that ``Pipeline`` passes to the network, people are in the order of
    ``boxes_fraction``, and a keyframe may have no person. For training, frames are resized, cropped, flipped and
    recoloured anew in each epoch. People outside the crop are dropped, but at least one person is kept.
    """

    def __init__(
        self,
        table: KeyframeTable,
        clips: ClipSource,
        label_map: LabelMap,
        settings: ClipSettings,
        *,
        box_rule: BoxRule = "pyslowfast",
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        """Join keyframes and videos.

        Args:
            table: The keyframes with their boxes and labels. Its videos are those of ``clips``, in the same order.
            clips: The videos or extracted frames from which clips are read.
            label_map: The actions of the table's label columns.
            settings: Length, frame rate and size of the clips.
            box_rule: How boxes become the network's RoIs; see ``video.transforms.roi_boxes``.
            augmentation: Random changes for training; None for testing.
            seed: Seed of the random changes, from 0.
        """
        super().__init__(label_map, settings, augmentation=augmentation, seed=seed)
        self.table = table
        self.keys = SampleKeys(table.video_ids, table.video, table.seconds)
        self._clips = clips
        self._box_rule = box_rule

    def __len__(self) -> int:
        return len(self.table)

    def boxes_fraction(self, index: int) -> Float32Array:
        """Return the boxes of a keyframe as they are in the files.

        Args:
            index: The sample, from 0.

        Returns:
            float32 ``[N, 4]`` xyxy, fractions of the frame.
        """
        return self.table.boxes_fraction(index)

    def person_scores(self, index: int) -> Float32Array:
        """Return the scores of the people on a keyframe.

        Args:
            index: The sample, from 0.

        Returns:
            float32 ``[N]`` in 0..1; see ``KeyframeTable.person_scores``.
        """
        return self.table.person_scores(index)

    def _test_sample(self, number: int) -> Sample:
        clip, boxes = self._clip_and_boxes(number, self.settings)
        return make_sample(
            clip.frames, self.table.label_matrix(number), boxes, self.keys[number][0], clip.timestamp_seconds
        )

    def _training_sample(self, number: int, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
        settings = replace(self.settings, short_side=augmentation.draw_short_side(rng))
        clip, boxes = self._clip_and_boxes(number, settings)
        frames, boxes, kept = augmentation(clip.frames, boxes, rng)
        labels = self.table.label_matrix(number)[kept]  # [N, K], the people inside the crop
        return make_sample(frames, labels, boxes, self.keys[number][0], clip.timestamp_seconds)

    def _clip_and_boxes(self, number: int, settings: ClipSettings) -> tuple[Clip, Float32Array]:
        """Return the clip around a keyframe and its boxes ``[N, 4]`` in pixels of the clip, as RoIs of the network."""
        video, seconds = int(self.table.video[number]), float(self.table.seconds[number])
        clip = self._clips.clip(video, self._clips.to_file_seconds(video, seconds), settings)
        pixels = box_ops.fractions_to_pixels(self.table.boxes_fraction(number), clip.width, clip.height)
        return clip, roi_boxes(pixels.astype(np.float32), clip, self._box_rule)
