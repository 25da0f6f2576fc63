"""Heads: pooled features -> logits.

Activations belong to post-processing, so that the loss can be computed from logits, safely in mixed precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["softmax", "sigmoid", "none"]


class ProjectionHead(nn.Module):
    """Dropout and one linear layer (PySlowFast ``ResNetRoIHead`` without its sigmoid).

    ``background_class``: row 0 of the linear layer stands for no action and is never read, as in mmaction2, whose AVA
    models have 81 rows (``BBoxHeadAVA``). The row stays in the weights, and its column is dropped here and only here.
    """

    def __init__(
        self, in_features: int, num_classes: int, *, dropout: float = 0.5, background_class: bool = False
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_unused = int(background_class)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(in_features, self.num_unused + num_classes)
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """``[..., in_features]`` -> logits ``[..., num_classes]``."""
        columns = cast(Tensor, self.projection(self.dropout(pooled)))
        return columns[..., self.num_unused :] if self.num_unused else columns


class ClassificationHead(ProjectionHead):
    """The clip classifier's head (Kinetics, Charades; PySlowFast ``ResNetBasicHead``), fully convolutional.

    Each pathway is averaged in windows of its own ``pool_sizes`` (t, h, w), stride 1: the whole map at the training
    crop's size, several positions at a larger test size. None averages the whole map at any size.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        pool_sizes: Sequence[Sequence[int] | None],
        dropout: float = 0.5,
    ) -> None:
        super().__init__(sum(in_channels), num_classes, dropout=dropout)
        if len(pool_sizes) != len(in_channels):
            raise ValueError(f"{len(in_channels)} pathways need as many pool_sizes, got {len(pool_sizes)}")
        self.pool_sizes = [None if size is None else tuple(size) for size in pool_sizes]

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # type: ignore[override]  # one tensor per pathway
        """``[B, C, T, H, W]`` per pathway -> logits at each position, ``[B, t, h, w, num_classes]``."""
        pooled = [self._pool(x, size) for x, size in zip(features, self.pool_sizes, strict=True)]
        return super().forward(torch.cat(pooled, dim=1).movedim(1, -1))

    @staticmethod
    def _pool(features: Tensor, size: tuple[int, ...] | None) -> Tensor:
        if size is None:
            return features.mean(dim=(2, 3, 4), keepdim=True)
        if any(have < want for have, want in zip(features.shape[2:], size, strict=True)):
            raise ValueError(f"a feature map of (t, h, w) {tuple(features.shape[2:])} is smaller than the pool {size}")
        return functional.avg_pool3d(features, size, stride=1)


def clip_scores(logits: Tensor, activation: Activation) -> Tensor:
    """Test-time scores of a classifier: activate at each position, then average the positions.

    ``[B, t, h, w, K]`` -> ``[B, K]``. ``"softmax"`` for one label a clip (Kinetics) and ``"sigmoid"`` for several
    (Charades) give 0..1; ``"none"`` averages the logits, as pytorchvideo's Kinetics models do.
    """
    if activation == "softmax":
        logits = logits.softmax(dim=-1)
    elif activation == "sigmoid":
        logits = logits.sigmoid()
    return logits.mean(dim=(1, 2, 3))
