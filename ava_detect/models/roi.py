"""3D RoI pooling: average over time, RoIAlign in space, maximum over the bins (SlowFast paper, section 5).

Pixel model: RoIs are ``xyxy`` in pixels of the clip, continuous coordinates, the full frame being ``[0, 0, W, H]``.
``aligned`` says where a pixel's centre lies: True subtracts half a feature cell after scaling, as detectron2 does
by default; False is the older rule, under which the caffe2 zoo models were trained. It is a property of a
checkpoint and worth 8e-3 on a score when wrong; ``tests/models/test_roi.py`` works both out by hand.

Shapes: B clips, M RoIs, C channels, T frames, H, W feature map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align


class RoIPool(nn.Module):
    """Pools every pathway inside each box and puts the results side by side, slow first."""

    def __init__(self, *, resolution: int = 7, feature_stride: int = 16, aligned: bool = True) -> None:
        """``resolution``: bins per side. ``feature_stride``: input pixels per feature cell."""
        super().__init__()
        self.resolution = resolution
        self.feature_stride = feature_stride
        self.aligned = aligned

    def forward(self, features: Sequence[Tensor], rois: Tensor) -> Tensor:
        """``features``: ``[B, C, T, H, W]`` per pathway; ``rois``: ``[M, 5]`` (clip index, x1, y1, x2, y2).

        Returns ``[M, sum of C]``, float32. The number of sampling points adapts to the box (``sampling_ratio=0``).
        """
        return torch.cat([self.align(pathway, rois).amax(dim=(2, 3)) for pathway in features], dim=1)

    def align(self, features: Tensor, rois: Tensor) -> Tensor:
        """One pathway's bins: ``[M, C, resolution, resolution]``."""
        over_time = features.mean(dim=2).float()
        aligned: Tensor = roi_align(
            over_time,
            rois.to(over_time),
            self.resolution,
            spatial_scale=1 / self.feature_stride,
            sampling_ratio=0,
            aligned=self.aligned,
        )
        return aligned

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        return f"resolution={self.resolution}, feature_stride={self.feature_stride}, aligned={self.aligned}"
