"""The non-local block: every position of a feature map looks at every other (Wang et al., arXiv 1711.07971).

SlowFast R101's AVA models carry three in the slow pathway's res4, after blocks 6, 13 and 20. The form
follows PySlowFast's ``nonlocal_helper.py``, so that its checkpoints give the same numbers.

Shapes: B clips, C channels, I inner channels (C / 2), N = T*H*W positions, P pooled positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Affinity = Literal["dot_product", "softmax"]


class NonLocalBlock(nn.Module):
    """Residual self-attention over space and time: ``x + bn(out(attend(theta(x), phi(pool(x)), g(pool(x)))))``.

    ``affinity``: ``"dot_product"`` divides the products by the number of pooled positions; ``"softmax"`` scales by
    ``I ** -0.5`` and normalises over the pooled positions. ``pool``: kernel (t, h, w) of the max pool before ``phi``
    and ``g``; it floors, so a map smaller than the kernel cannot be used. ``groups``: the clip is cut into so many
    pieces of equal length in time, and each looks at itself only (PySlowFast ``NONLOCAL.GROUP``).
    """

    def __init__(
        self,
        channels: int,
        *,
        affinity: Affinity = "dot_product",
        pool: Sequence[int] = (1, 2, 2),
        groups: int = 1,
    ) -> None:
        super().__init__()
        inner = channels // 2
        self.affinity = affinity
        self.groups = groups
        self.theta = nn.Conv3d(channels, inner, kernel_size=1)
        self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.out = nn.Conv3d(inner, channels, kernel_size=1)
        self.bn = nn.BatchNorm3d(channels)
        kernel = (pool[0], pool[1], pool[2])
        self.pool = nn.MaxPool3d(kernel, stride=kernel) if max(kernel) > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> the same shape."""
        length = self.frames_per_group(x.shape[2])
        if self.groups == 1:
            return self._attend(x)
        pieces = [self._attend(piece) for piece in torch.split(x, length, dim=2)]
        return torch.cat(pieces, dim=2)

    def frames_per_group(self, num_frames: int) -> int:
        """So many frames look at each other; ``ValueError`` when the groups cannot be of equal length."""
        if num_frames % self.groups:
            raise ValueError(f"{num_frames} frames do not divide into {self.groups} groups of the non-local block")
        return num_frames // self.groups

    def _attend(self, x: Tensor) -> Tensor:
        pooled = self.pool(x)
        theta = self.theta(x).flatten(2)  # [B, I, N]
        phi = self.phi(pooled).flatten(2)  # [B, I, P]
        g = self.g(pooled).flatten(2)  # [B, I, P]
        weights = torch.einsum("bin,bip->bnp", theta, phi)
        if self.affinity == "softmax":
            weights = (weights * theta.shape[1] ** -0.5).softmax(dim=2)
        else:
            weights = weights / weights.shape[2]
        attended = torch.einsum("bnp,bip->bin", weights, g).reshape(x.shape[0], -1, *x.shape[2:])
        result: Tensor = x + self.bn(self.out(attended))
        return result
