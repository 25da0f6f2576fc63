"""What every data set is: clips by number, the same ones whoever asks.

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
    """(video id, seconds) of each sample, made when asked for. ``video``: int ``[N]`` into ``video_ids``; ``seconds``:
    float64 ``[N]``.
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
    """Clips to learn from (with an ``augmentation``) or to test on (without).

    ``dataset[index]``, or ``dataset[(epoch, index)]`` for the sample of that epoch: what is random about it depends on
    the seed, the epoch and the index alone, not on the worker, on how many there are, or on what was asked for before.
    ``label_map``: the actions of the label columns. ``keys``: each sample's video, and its second as the annotations
    count it, 0 where they are of whole videos.
    """

    keys: SampleKeys

    def __init__(
        self, label_map: LabelMap, settings: ClipSettings, *, augmentation: Augmentation | None = None, seed: int = 0
    ) -> None:
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
    """Arrays, however they lie in memory, as a sample."""
    boxes = None if boxes_xyxy is None else torch.from_numpy(np.ascontiguousarray(boxes_xyxy))
    return Sample(
        torch.from_numpy(np.ascontiguousarray(frames)), torch.from_numpy(labels), boxes, video_id, timestamp_seconds
    )
