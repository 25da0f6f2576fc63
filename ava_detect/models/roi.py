"""3D RoI pooling: pool over time, RoIAlign in space, maximum over the bins (SlowFast paper, section 5).

Pixel model: RoIs are ``xyxy`` in pixels of the clip, continuous coordinates, the full frame being ``[0, 0, W, H]``.
``aligned`` says where a pixel's centre lies: True subtracts half a feature cell after scaling, as detectron2 does
by default; False is the older rule, under which the caffe2 zoo models and pytorchvideo's were trained. It is a property
of a checkpoint and worth 8e-3 on a score when wrong; ``tests/models/test_roi.py`` works both out by hand. Boxes are not
clipped to the frame, and a box without area pools to 0 when aligned (the older rule widens it to one cell).

RoIAlign (Mask R-CNN, section 3; the number of sampling points adapts to the box, ``sampling_ratio=0``) averages
sampling points, each interpolated bilinearly between four cells. Bilinear interpolation is separable, so a box's bins
are the product of three matrices: weights down, the feature map, weights across (``bin_weights`` computes both). The
result equals ``torchvision.ops.roi_align``'s to rounding (``tests/models/test_roi.py``) on every device, and the maps
are read in their own memory layout. That function would also load TorchDynamo: a second and 160 MB of every process.

mmaction2 (``SingleRoIExtractor3D``, commit 4d6c9347) repeats the slow features to the fast pathway's length and pools
the concatenated pathways. Repeating every frame equally often changes neither a mean nor a maximum, so each pathway is
pooled by itself here, for every family. mmaction2's bins are 8 a side, and it has two options of its own:
``temporal_pool="max"`` and ``with_global``, the whole map pooled like a box and appended (its "context" models). In its
ACRN models an ``ActorRelation`` follows.

Shapes: B clips, M RoIs, C channels, T frames, H, W feature map, R bins a side, P sampling points of a bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from ava_detect.models.relation import ActorRelation
from ava_detect.structures.boxes import BoxRule

TemporalPool = Literal["mean", "max"]
# A box takes up to 3 MB while it is pooled (2,048 channels, a map 40 cells wide).
_BOXES_AT_ONCE = 64


class RoIPool(nn.Module):
    """Pools every feature map inside each box and concatenates the results."""

    def __init__(
        self,
        *,
        resolution: int = 7,
        feature_stride: int = 16,
        aligned: bool = True,
        temporal_pool: TemporalPool = "mean",
        with_global: bool = False,
        box_rule: BoxRule = "pyslowfast",
        extension: Sequence[float] = (0.0, 0.0),
        relation: ActorRelation | None = None,
    ) -> None:
        """Store the settings; only the relation has weights.

        Args:
            resolution: R, bins per side.
            feature_stride: Input pixels per feature cell.
            aligned: Whether a pixel's centre lies half a pixel from its edge; see the module's docstring.
            temporal_pool: How the frames become one map, ``"mean"`` or ``"max"``.
            with_global: Whether each box's features are followed by those of the whole map.
            box_rule: How boxes become RoIs. All but ``"alphaction"`` pool the boxes that they are given: how these
                are clipped and scaled before is the rule's other half (``video.transforms.roi_boxes``).
                ``"alphaction"`` (AlphAction, and with it UMT and VideoMAE-AD) extends them and clips them again.
            extension: By how much ``"alphaction"`` extends a box in x and in y, both sides together, as a fraction of
                its size; ``(0.1, 0.05)`` in UMT and VideoMAE-AD (``TEST.EXTEND_SCALE``).
            relation: Relates each box's features to the whole map; None leaves them as they are.
        """
        super().__init__()
        self.resolution = resolution
        self.feature_stride = feature_stride
        self.aligned = aligned
        self.temporal_pool = temporal_pool
        self.with_global = with_global
        self.box_rule: BoxRule = box_rule
        self.extension = (extension[0], extension[1])
        self.relation = relation

    def forward(self, features: Sequence[Tensor], rois: Tensor, clip_size: Sequence[int] | None = None) -> Tensor:
        """Compute one feature vector per box.

        Args:
            features: ``[B, C, T, H, W]`` of each map of the backbone.
            rois: Boxes ``[M, 5]``: clip index, then xyxy in pixels of the clip.
            clip_size: Height and width of the clips in pixels, before any padding; None for those of the maps.

        Returns:
            Features ``[M, num_features]``, float32: the channels of each pathway and, with ``with_global``, those of
            the whole map; with a relation, its output.
        """
        if clip_size is None:
            clip_size = [cells * self.feature_stride for cells in features[0].shape[3:]]
        rois = self.extended(rois, clip_size)
        clips = rois[:, 0].long()  # [M]
        pooled = [self._strongest(pathway, rois) for pathway in features]  # [M, C] each
        if self.with_global:
            pooled += [self._whole_map(pathway)[clips] for pathway in features]  # [M, C] each
        actors = torch.cat(pooled, dim=1)  # [M, P]
        if self.relation is None:
            return actors
        maps = torch.cat([self.over_time(pathway) for pathway in features], dim=1)  # [B, sum of C, H, W]
        return cast(Tensor, self.relation(actors, maps, clips))

    def extended(self, rois: Tensor, clip_size: Sequence[int]) -> Tensor:
        """Apply the box rule's part inside the network.

        AlphAction (``extend`` and ``clip_to_image`` of its ``bounding_box.py``) counts the pixels of a box from edge to
        edge, so that its size is x2 - x1 + 1, and the last pixel as the frame's end. It clips boxes in the video's own
        frame; after scaling they may end at (W - 1) w / W, which lies between w - 1 and w. Such boxes are extended as
        they come, and only those that reach w, which were not clipped before, are clipped to w - 1 first.

        Args:
            rois: Boxes ``[M, 5]``: clip index, then xyxy in pixels of the clip.
            clip_size: Height and width of the clips in pixels, before any padding.

        Returns:
            Boxes ``[M, 5]``: extended, for ``"alphaction"``; otherwise ``rois``.
        """
        if self.box_rule != "alphaction":
            return rois
        height, width = clip_size
        index, *box = rois.unbind(dim=1)  # [M] each
        x1, y1, x2, y2 = (
            side.clamp(min=0).where(side < end, end - 1) for side, end in zip(box, (width, height) * 2, strict=True)
        )
        # Each side moves by half of the extension.
        across, down = (x2 - x1 + 1) * (self.extension[0] / 2), (y2 - y1 + 1) * (self.extension[1] / 2)  # [M] each
        moved = (x1 - across, y1 - down, x2 + across, y2 + down)
        x1, y1, x2, y2 = (
            side.clamp(min=0).where(side <= end - 1, end - 1)
            for side, end in zip(moved, (width, height) * 2, strict=True)
        )
        return torch.stack([index, x1, y1, x2, y2], dim=1)

    def _strongest(self, features: Tensor, rois: Tensor) -> Tensor:
        """One pathway's maximum over the bins of each box, ``[M, C]``; many boxes in parts, which bounds the memory."""
        if len(rois) <= _BOXES_AT_ONCE:
            return self.align(features, rois).amax(dim=(2, 3))
        # One result that is filled: many small ones between the parts' large maps would scatter the memory.
        strongest = torch.empty(len(rois), features.shape[1], device=features.device)
        for start in range(0, len(rois), _BOXES_AT_ONCE):
            part = slice(start, start + _BOXES_AT_ONCE)
            strongest[part] = self.align(features, rois[part]).amax(dim=(2, 3))
        return strongest

    def num_features(self, channels: Sequence[int]) -> int:
        """Return the length of a box's feature vector.

        Args:
            channels: Channels of each pathway.

        Returns:
            The relation's output channels; without a relation the sum of ``channels``, twice with ``with_global``.
        """
        if self.relation is not None:
            return self.relation.out_channels
        return sum(channels) * (2 if self.with_global else 1)

    def align(self, features: Tensor, rois: Tensor) -> Tensor:
        """Compute one pathway's RoIAlign bins.

        Args:
            features: ``[B, C, T, H, W]``.
            rois: Boxes ``[M, 5]``: clip index, then xyxy in pixels of the clip.

        Returns:
            Bins ``[M, C, R, R]``, float32.
        """
        maps = self.over_time(features).permute(0, 2, 3, 1)  # [B, H, W, C]
        height, width = maps.shape[1:3]
        # The weight of each row in each bin (from y1 and y2), and of each column (from x1 and x2).
        down, across = (  # [M, R, H] and [M, R, W]
            bin_weights(
                rois[:, first].float() / self.feature_stride,
                rois[:, first + 2].float() / self.feature_stride,
                cells=cells,
                bins=self.resolution,
                aligned=self.aligned,
            )
            for first, cells in ((2, height), (1, width))
        )
        # The map of each box's clip. A single clip, as on a CPU, is broadcast instead of copied for each box.
        chosen = maps if len(maps) == 1 else maps[rois[:, 0].long()]  # [M or 1, H, W, C]
        with torch.autocast(maps.device.type, enabled=False):
            # Reduce the rows, then the columns.
            rows = (down @ chosen.flatten(2)).view(len(rois), self.resolution, width, maps.shape[3])  # [M, R, W, C]
            bins: Tensor = across[:, None] @ rows  # [M, R, R, C]
        return bins.permute(0, 3, 1, 2)

    def over_time(self, features: Tensor) -> Tensor:
        """Reduce the frames to one map.

        Args:
            features: ``[B, C, T, H, W]``.

        Returns:
            Maps ``[B, C, H, W]``, float32.
        """
        # The fused backbone's features are channels-last in memory; reducing them in the order of their dimensions
        # would take 50 times as long.
        frames = features.permute(0, 2, 3, 4, 1)  # [B, T, H, W, C]
        pooled = frames.mean(dim=1, dtype=torch.float32) if self.temporal_pool == "mean" else frames.amax(dim=1).float()
        return pooled.permute(0, 3, 1, 2)

    def _whole_map(self, features: Tensor) -> Tensor:
        """Pool the whole map as a box is pooled, R x R averages and their maximum: ``[B, C]``."""
        maps = self.over_time(features)  # [B, C, H, W]
        down, across = (share_of_cells(maps.shape[axis], self.resolution, maps.device) for axis in (2, 3))
        # [R, H] x [B, C, H, W] x [W, R] = [B, C, R, R]: an adaptive average pool, which ONNX has not for free sizes.
        with torch.autocast(maps.device.type, enabled=False):
            bins = down @ maps @ across.t()
        return bins.amax(dim=(2, 3))

    def extra_repr(self) -> str:
        """Return the settings as ``print(model)`` shows them."""
        names = ("resolution", "feature_stride", "aligned", "temporal_pool", "with_global", "box_rule", "extension")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)


def share_of_cells(cells: int, bins: int, device: torch.device) -> Tensor:
    """Compute the weight of each cell in each bin of the whole map, along one axis, as an adaptive average pool has it.

    Bin i is the mean of the cells from floor(i * cells / bins) to ceil((i + 1) * cells / bins), the last one excluded.

    Args:
        cells: Number of cells along the axis.
        bins: R, number of bins along the axis.
        device: Device of the result.

    Returns:
        Weights ``[R, cells]``, float32.
    """
    bin_, cell = torch.arange(bins, device=device)[:, None], torch.arange(cells, device=device)
    first, end = bin_ * cells // bins, ((bin_ + 1) * cells + bins - 1) // bins  # [R, 1] each
    is_inside = (first <= cell) & (cell < end)  # [R, cells]
    return is_inside.float() / (end - first)


def bin_weights(start: Tensor, end: Tensor, *, cells: int, bins: int, aligned: bool) -> Tensor:
    """Compute the weight of each cell in each bin of each box, along one axis.

    A bin is the mean of ``ceil(bin length)`` sampling points spread evenly over it. Each point is interpolated linearly
    between the two nearest cell centres. A point up to one cell outside the map reads the edge cell; one farther away
    reads 0 and still counts in the mean.

    Args:
        start: ``[M]``, the boxes' lower edges in cells.
        end: ``[M]``, the boxes' upper edges in cells.
        cells: Number of cells along the axis.
        bins: R, number of bins along the axis.
        aligned: Whether cell centres lie at half cells; see the module's docstring.

    Returns:
        Weights ``[M, R, cells]``, float32.
    """
    # The pixel rule: shift by half a cell, or (older rule) widen the box to at least one cell.
    if aligned:
        start, end = start - 0.5, end - 0.5
        length = end - start  # [M]
    else:
        length = (end - start).clamp(min=1)  # [M]
    start, bin_length = start[:, None, None], (length / bins)[:, None, None]  # [M, 1, 1]
    # Sampling points per bin; a box that is empty or inside out has none.
    num_points = bin_length.ceil().clamp(min=0)  # [M, 1, 1]
    most_points = max(1, int(num_points.max())) if len(num_points) else 1  # P, of the largest box
    point, bin_, cell = (torch.arange(n, device=start.device) for n in (most_points, bins, cells))  # [P], [R], [cells]
    # Positions of the points, in cells from the first cell's centre: the bin's start, then equal steps inside it.
    position = start + bin_length * bin_[:, None] + (point + 0.5) * (bin_length / num_points.clamp(min=1))  # [M, R, P]
    # Smaller boxes use only their first points, and points far outside the map read 0.
    is_read = (point < num_points) & (position >= -1) & (position <= cells)  # [M, R, P]
    # Linear interpolation: a cell's weight falls from 1 at its centre to 0 one cell away.
    weight = (1 - (position.clamp(0, cells - 1)[..., None] - cell).abs()).clamp(min=0)  # [M, R, P, cells]
    # The mean over the bin's points.
    weights: Tensor = (weight * is_read[..., None]).sum(dim=2) / num_points.clamp(min=1)  # [M, R, cells]
    return weights
