"""Samples, which datasets return, and batches, which training steps take.

Shapes: B clips, T frames, H height, W width, N people of one clip, M people of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ava_detect.video.transforms import normalize


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip and its labels.

    Attributes:
        frames: uint8 RGB ``[T, H, W, 3]``.
        labels: float32, 0 or 1: ``[N, K]`` for detection, ``[K]`` for classification.
        boxes_xyxy: float32 ``[N, 4]`` in pixels of the frames; None for classification.
        video_id: The video that the clip was cut from.
        timestamp_seconds: The middle of the clip, in seconds from the start of the file.
    """

    frames: Tensor
    labels: Tensor
    boxes_xyxy: Tensor | None
    video_id: str
    timestamp_seconds: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Several samples in joint tensors.

    Attributes:
        frames: uint8 RGB ``[B, T, H, W, 3]``; smaller clips are padded at the right and the bottom.
        labels: float32 ``[M, K]`` for detection, ``[B, K]`` for classification.
        rois: float32 ``[M, 5]``: clip index, then xyxy in pixels of the frames; None for classification.
        keys: (video id, seconds) of each clip.
        sizes: (height, width) of each clip without the padding; empty where none has any.
    """

    frames: Tensor
    labels: Tensor
    rois: Tensor | None
    keys: tuple[tuple[str, float], ...]
    sizes: tuple[tuple[int, int], ...] = ()

    def to(self, device: torch.device | str) -> Batch:
        """Copy the tensors to a device; asynchronously from pinned memory.

        Args:
            device: The device, such as "cuda".

        Returns:
            The batch on the device.
        """
        rois = None if self.rois is None else self.rois.to(device, non_blocking=True)
        return replace(
            self,
            frames=self.frames.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            rois=rois,
        )

    def only_labelled(self) -> Batch:
        """Leave out the people without a label; a clip of a classifier has one.

        Returns:
            The batch with the other people, on the same clips.
        """
        if self.rois is None:
            return self
        labelled = self.labels.any(dim=1)  # [M]
        return replace(self, labels=self.labels[labelled], rois=self.rois[labelled])

    def pin_memory(self) -> Batch:
        """Copy the tensors to page-locked memory, for the copy to a GPU; called by torch's DataLoader.

        Returns:
            The batch in page-locked memory.
        """
        rois = None if self.rois is None else self.rois.pin_memory()
        return replace(self, frames=self.frames.pin_memory(), labels=self.labels.pin_memory(), rois=rois)


def collate(samples: Sequence[Sample]) -> Batch:
    """Join samples into a batch.

    Args:
        samples: At least one sample; all for detection, or all for classification. Frame sizes may differ.

    Returns:
        The batch.
    """
    # Pad all clips to the largest height and width, at the right and the bottom, so that boxes keep their pixels.
    height = max(sample.frames.shape[1] for sample in samples)
    width = max(sample.frames.shape[2] for sample in samples)
    first = samples[0].frames
    frames = first.new_zeros(len(samples), first.shape[0], height, width, 3)  # [B, T, H, W, 3]
    for padded, sample in zip(frames, samples, strict=True):
        padded[:, : sample.frames.shape[1], : sample.frames.shape[2]] = sample.frames
    keys = tuple((sample.video_id, sample.timestamp_seconds) for sample in samples)
    sizes = tuple((sample.frames.shape[1], sample.frames.shape[2]) for sample in samples)
    if samples[0].boxes_xyxy is None:
        return Batch(frames, torch.stack([sample.labels for sample in samples]), None, keys, sizes)
    # Put the index of its clip in front of each box: [N, 4] -> [N, 5], then join to [M, 5].
    rois = []
    for index, sample in enumerate(samples):
        assert sample.boxes_xyxy is not None
        rois.append(torch.cat([sample.boxes_xyxy.new_full((len(sample.boxes_xyxy), 1), index), sample.boxes_xyxy], 1))
    return Batch(frames, torch.cat([sample.labels for sample in samples]), torch.cat(rois), keys, sizes)


def network_input(
    frames: Tensor, mean: Sequence[float], std: Sequence[float], sizes: Sequence[tuple[int, int]] = ()
) -> Tensor:
    """Normalise a batch of clips with ``video.transforms.normalize``, on the device of the frames.

    The padding of smaller clips becomes 0 after normalising, the mean colour, as it is at the borders that convolutions
    and plain ViTs complete; black would be a colour that networks see nowhere else.

    Args:
        frames: uint8 RGB ``[B, T, H, W, 3]``.
        mean: Mean of each channel, of values 0 to 1.
        std: Standard deviation of each channel, of values 0 to 1.
        sizes: (height, width) of each clip without its padding, as in ``Batch``; empty where none has any.

    Returns:
        float32 ``[B, 3, T, H, W]`` in ``channels_last_3d`` memory order, which training and validation convolve.
    """
    clips = normalize(frames, mean, std).contiguous(memory_format=torch.channels_last_3d)
    for clip, (height, width) in zip(clips, sizes, strict=False):  # clip [3, T, H, W]
        clip[:, :, height:] = 0
        clip[:, :, :, width:] = 0
    return clips
