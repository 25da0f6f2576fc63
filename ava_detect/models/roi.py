"""3D RoI pooling: pool over time, RoIAlign in space, maximum over the bins (SlowFast paper, section 5).

Pixel model: RoIs are ``xyxy`` in pixels of the clip, continuous coordinates, the full frame being ``[0, 0, W, H]``.
``aligned`` says where a pixel's centre lies: True subtracts half a feature cell after scaling, as detectron2 does
by default; False is the older rule, under which the caffe2 zoo models and pytorchvideo's were trained. It is a property
of a checkpoint and worth 8e-3 on a score when wrong; ``tests/models/test_roi.py`` works both out by hand. Boxes are not
clipped to the frame, and a box without area pools to 0 when aligned (the older rule widens it to one cell).

RoIAlign (Mask R-CNN, section 3; the number of sampling points adapts to the box, ``sampling_ratio=0``) averages points
that are read between four cells each. Where and how much a point reads down and across are two questions, so a box's
bins are its map between two small matrices, one a side (``bin_weights``), and the rest is a matrix product. It gives
``torchvision.ops.roi_align``'s numbers to rounding (``tests/models/test_roi.py``), on every device, and reads maps as
they lie; that function would also load TorchDynamo, a second and 160 MB of every process.

mmaction2 (``SingleRoIExtractor3D``, commit 4d6c9347) stretches the slow features to the fast pathway's length and pools
both side by side; repeating every frame equally often changes neither a mean nor a maximum, so each pathway is pooled
by itself here, for every family. Its bins are 8 a side, and it has two options of its own: ``temporal_pool="max"`` and
``with_global``, the whole map averaged into as many bins beside each box (its "context" models).

Shapes: B clips, M RoIs, C channels, T frames, H, W feature map, R bins a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

TemporalPool = Literal["mean", "max"]


class RoIPool(nn.Module):
    """Pools every pathway inside each box and puts the results side by side, slow first."""

    def __init__(
        self,
        *,
        resolution: int = 7,
        feature_stride: int = 16,
        aligned: bool = True,
        temporal_pool: TemporalPool = "mean",
        with_global: bool = False,
    ) -> None:
        """``resolution``: bins per side. ``feature_stride``: input pixels per feature cell."""
        super().__init__()
        self.resolution = resolution
        self.feature_stride = feature_stride
        self.aligned = aligned
        self.temporal_pool = temporal_pool
        self.with_global = with_global

    def forward(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """``features``: ``[B, C, T, H, W]`` per pathway; ``rois``: ``[M, 5]`` (clip index, x1, y1, x2, y2).

        Returns ``[M, sum of C]``, float32, and with ``with_global`` the sum of C again for the whole map.
        """
        pooled = [self.align(pathway, rois).amax(dim=(2, 3)) for pathway in features]
        if self.with_global:
            clips = rois[:, 0].long()
            pooled += [self._whole_map(pathway)[clips] for pathway in features]
        return torch.cat(pooled, dim=1)

    def num_features(self, channels: Sequence[int]) -> int:
        """The length of a pooled row, for pathways of so many ``channels``."""
        return sum(channels) * (2 if self.with_global else 1)

    def align(self, features: Tensor, rois: Tensor) -> Tensor:
        """One pathway's bins: ``[M, C, R, R]``, float32."""
        maps = self.over_time(features).permute(0, 2, 3, 1)  # [B, H, W, C]
        height, width = maps.shape[1:3]
        down, across = (
            bin_weights(
                rois[:, first].float() / self.feature_stride,
                rois[:, first + 2].float() / self.feature_stride,
                cells=cells,
                bins=self.resolution,
                aligned=self.aligned,
            )
            for first, cells in ((2, height), (1, width))
        )
        # One clip, as on a CPU, is not copied for each of its people.
        chosen = maps if len(maps) == 1 else maps[rois[:, 0].long()]
        with torch.autocast(maps.device.type, enabled=False):
            rows = (down @ chosen.flatten(2)).view(len(rois), self.resolution, width, maps.shape[3])  # [M, R, W, C]
            bins: Tensor = across[:, None] @ rows  # [M, R, R, C]
        return bins.permute(0, 3, 1, 2)

    def over_time(self, features: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> ``[B, C, H, W]``, float32."""
        # Channels last, as the fused form has them in memory: reduced as they stand it would take 50 times as long.
        frames = features.permute(0, 2, 3, 4, 1)
        pooled = frames.mean(dim=1, dtype=torch.float32) if self.temporal_pool == "mean" else frames.amax(dim=1).float()
        return pooled.permute(0, 3, 1, 2)

    def _whole_map(self, features: Tensor) -> Tensor:
        """The greatest of R x R averages of the whole map, as a box's bins are pooled: ``[B, C]``."""
        return functional.adaptive_avg_pool2d(self.over_time(features), self.resolution).amax(dim=(2, 3))

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        shown = ("resolution", "feature_stride", "aligned", "temporal_pool", "with_global")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)


def bin_weights(start: Tensor, end: Tensor, *, cells: int, bins: int, aligned: bool) -> Tensor:
    """How much each bin of each box takes of each cell, along one side: ``[M, bins, cells]``, float32.

    ``start``, ``end``: ``[M]``, the box's edges in cells. A bin is the mean of ``ceil(length / bins)`` points spread
    evenly over it; each reads the two cells beside it, by its nearness to their centres. A point up to one cell outside
    the map reads the edge, one farther away reads nothing and counts all the same.
    """
    if aligned:
        start, end = start - 0.5, end - 0.5
        length = end - start
    else:
        length = (end - start).clamp(min=1)
    start, step = start[:, None, None], (length / bins)[:, None, None]
    number = step.ceil().clamp(min=0)  # of points [M, 1, 1]; a box that is empty or inside out has none
    most = max(1, int(number.max())) if len(number) else 1
    point, bin_, cell = (torch.arange(n, device=start.device) for n in (most, bins, cells))
    place = start + step * bin_[:, None] + (point + 0.5) * (step / number.clamp(min=1))  # [M, bins, points]
    counts = (point < number) & (place >= -1) & (place <= cells)
    nearness = (1 - (place.clamp(0, cells - 1)[..., None] - cell).abs()).clamp(min=0)  # [M, bins, points, cells]
    weights: Tensor = (nearness * counts[..., None]).sum(dim=2) / number.clamp(min=1)
    return weights
