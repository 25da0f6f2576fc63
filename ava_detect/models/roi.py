"""3D RoI pooling: pool over time, RoIAlign in space, maximum over the bins (SlowFast paper, section 5).

Pixel model: RoIs are ``xyxy`` in pixels of the clip, continuous coordinates, the full frame being ``[0, 0, W, H]``.
``aligned`` says where a pixel's centre lies: True subtracts half a feature cell after scaling, as detectron2 does
by default; False is the older rule, under which the caffe2 zoo models and pytorchvideo's were trained. It is a property
of a checkpoint and worth 8e-3 on a score when wrong; ``tests/models/test_roi.py`` works both out by hand. Boxes are not
clipped to the frame, and a box without area pools to 0 when aligned (the older rule widens it to one cell).

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
from torchvision.ops import roi_align

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

        Returns ``[M, sum of C]``, float32, and with ``with_global`` the sum of C again for the whole map. The number of
        sampling points adapts to the box (``sampling_ratio=0``).
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
        """One pathway's bins: ``[M, C, R, R]``."""
        over_time = self._over_time(features)
        aligned: Tensor = roi_align(
            over_time,
            rois.to(over_time),
            self.resolution,
            spatial_scale=1 / self.feature_stride,
            sampling_ratio=0,
            aligned=self.aligned,
        )
        return aligned

    def _over_time(self, features: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> ``[B, C, H, W]``, float32."""
        # Channels last, as the fused form has them in memory: reduced as they stand it would take 50 times as long.
        frames = features.permute(0, 2, 3, 4, 1)
        pooled = frames.mean(dim=1, dtype=torch.float32) if self.temporal_pool == "mean" else frames.amax(dim=1).float()
        return pooled.permute(0, 3, 1, 2)

    def _whole_map(self, features: Tensor) -> Tensor:
        """The greatest of R x R averages of the whole map, as a box's bins are pooled: ``[B, C]``."""
        return functional.adaptive_avg_pool2d(self._over_time(features), self.resolution).amax(dim=(2, 3))

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        shown = ("resolution", "feature_stride", "aligned", "temporal_pool", "with_global")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)
