"""The base class of all datasets: clips by index, reproducible for any number of workers.

Shapes: N people of one clip, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.packed import PackedStrings
from ava_detect.datasets.samples import Sample
from ava_detect.structures import ClipSettings, Float32Array
from ava_detect.structures.labels import LabelMap
from ava_detect.video.transforms import Frames

Key = tuple[str, float]


@dataclass(frozen=True, eq=False)
class SampleKeys(Sequence[Key]):
    """The key (video id, seconds) of each sample, built on access from shared tensors.

    Attributes:
        video_ids: The ids of the videos.
        video: int ``[N]``, each sample's index into ``video_ids``; N samples.
        seconds: float64 ``[N]``, each sample's timestamp.
    """

    video_ids: PackedStrings
    video: Tensor
    seconds: Tensor

    def __len__(self) -> int:
        return len(self.video)

    @overload
    def __getitem__(self, index: int) -> Key: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Key]: ...
    def __getitem__(self, index: int | slice) -> Key | Sequence[Key]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.video_ids[int(self.video[index])], float(self.seconds[index])


class ClipDataset(Dataset[Sample], ABC):
    """Clips for training (with an ``augmentation``) or for testing (without).

    ``dataset[index]`` is a sample; ``dataset[(epoch, index)]`` is that sample in a given epoch. The random changes
    depend only on the seed, the epoch and the index: not on the worker, the number of workers, or earlier accesses.

    Attributes:
        label_map: The actions of the label columns.
        settings: Length, frame rate and size of the clips.
        augmentation: Random changes for training; None for testing.
        seed: Seed of the random changes.
        keys: Each sample's video id and its timestamp as the annotations count it; 0 where a sample is a whole video.
    """

    keys: SampleKeys

    def __init__(
        self, label_map: LabelMap, settings: ClipSettings, *, augmentation: Augmentation | None = None, seed: int = 0
    ) -> None:
        """Keep the settings that all datasets share.

        Args:
            label_map: The actions of the label columns.
            settings: Length, frame rate and size of the clips.
            augmentation: Random changes for training; None for testing.
            seed: Seed of the random changes, from 0.
        """
        self.label_map = label_map
        self.settings = settings
        self.augmentation = augmentation
        self.seed = seed

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        epoch, number = index if isinstance(index, tuple) else (0, index)
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} is not one of the {len(self)}, numbered from 0")
        if self.augmentation is None:
            return self._test_sample(number)
        return self._training_sample(number, self.augmentation, np.random.default_rng((self.seed, epoch, number)))

    @abstractmethod
    def _test_sample(self, number: int) -> Sample: ...

    @abstractmethod
    def _training_sample(self, number: int, augmentation: Augmentation, rng: np.random.Generator) -> Sample: ...


def make_sample(
    frames: Frames, labels: Float32Array, boxes_xyxy: Float32Array | None, video_id: str, timestamp_seconds: float
) -> Sample:
    """Build a sample of tensors from arrays of any memory layout.

    Args:
        frames: uint8 RGB ``[T, H, W, 3]``.
        labels: float32 ``[N, K]`` for detection, ``[K]`` for classification.
        boxes_xyxy: float32 ``[N, 4]`` in pixels of ``frames``; None for classification.
        video_id: The video that the clip was cut from.
        timestamp_seconds: The middle of the clip, in seconds from the start of the file.

    Returns:
        The sample. Contiguous arrays share their memory with it.
    """
    boxes = None if boxes_xyxy is None else torch.from_numpy(np.ascontiguousarray(boxes_xyxy))
    return Sample(
        torch.from_numpy(np.ascontiguousarray(frames)), torch.from_numpy(labels), boxes, video_id, timestamp_seconds
    )
