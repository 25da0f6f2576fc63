"""What a data set gives and what a training step takes, whatever the data set.

Shapes: B clips, T frames, H height, W width, N people of one clip, M people of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip and its labels.

    ``frames``: uint8 RGB ``[T, H, W, 3]``. ``labels``: float32, ``[N, K]`` of a detection sample, ``[K]`` of a
    classification sample. ``boxes_xyxy``: float32 ``[N, 4]`` in pixels of the frames; None for classification.
    ``timestamp_seconds``: the keyframe's time from the start of the file.
    """

    frames: Tensor
    labels: Tensor
    boxes_xyxy: Tensor | None
    video_id: str
    timestamp_seconds: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Several samples as one.

    ``frames``: uint8 ``[B, T, H, W, 3]``, the smaller ones filled up with black at the right and bottom. ``labels``:
    ``[M, K]``, or ``[B, K]`` for classification. ``rois``: float32 ``[M, 5]`` (clip index, then xyxy in pixels), or
    None for classification. ``keys``: (video id, seconds) of each clip.
    """

    frames: Tensor
    labels: Tensor
    rois: Tensor | None
    keys: tuple[tuple[str, float], ...]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device; asynchronous from pinned memory."""
        rois = None if self.rois is None else self.rois.to(device, non_blocking=True)
        return replace(
            self,
            frames=self.frames.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            rois=rois,
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, for the copy to a GPU; called by torch's DataLoader."""
        rois = None if self.rois is None else self.rois.pin_memory()
        return replace(self, frames=self.frames.pin_memory(), labels=self.labels.pin_memory(), rois=rois)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one kind, of any frame sizes, as a batch."""
    height = max(sample.frames.shape[1] for sample in samples)
    width = max(sample.frames.shape[2] for sample in samples)
    first = samples[0].frames
    frames = first.new_zeros(len(samples), first.shape[0], height, width, 3)
    for place, sample in zip(frames, samples, strict=True):
        place[:, : sample.frames.shape[1], : sample.frames.shape[2]] = sample.frames
    keys = tuple((sample.video_id, sample.timestamp_seconds) for sample in samples)
    if samples[0].boxes_xyxy is None:
        return Batch(frames, torch.stack([sample.labels for sample in samples]), None, keys)
    rois = []
    for index, sample in enumerate(samples):
        assert sample.boxes_xyxy is not None
        rois.append(torch.cat([sample.boxes_xyxy.new_full((len(sample.boxes_xyxy), 1), index), sample.boxes_xyxy], 1))
    return Batch(frames, torch.cat([sample.labels for sample in samples]), torch.cat(rois), keys)


def network_input(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 ``[B, T, H, W, 3]`` -> normalised float32 ``[B, 3, T, H, W]``, on the device that the frames are on.

    Equal to ``video.transforms.normalize`` of each clip.
    """
    scale = torch.tensor([1 / (255 * s) for s in std], device=frames.device)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=frames.device)
    return (frames * scale - shift).movedim(-1, 1)
