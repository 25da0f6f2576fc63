"""The non-local block: every position of a feature map attends to every other (Wang et al., arXiv 1711.07971).

SlowFast R101's AVA models have three of them in the slow pathway's res4, after blocks 6, 13 and 20. The form
follows PySlowFast's ``nonlocal_helper.py``, so that its checkpoints give the same numbers. mmaction2's SlowOnly "nl"
models (mmcv 2.2.0, ``mmcv/cnn/bricks/non_local.py``) pool keys and values after their convolutions instead of the
features before them, and their last convolution has no bias; with the same weights the numbers differ.

Shapes: B clips, C channels, I inner channels (C / 2), T frames, H height, W width, N = T*H*W positions, P pooled
positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Affinity = Literal["dot_product", "softmax"]
PoolPlace = Literal["before", "after"]


@dataclass(frozen=True)
class StageNonLocal:
    """The non-local blocks of one stage of one pathway.

    Attributes:
        after: Numbers of the residual blocks (from 0) that a non-local block follows; empty for none.
        affinity: See ``NonLocalBlock``.
        pool: See ``NonLocalBlock``.
        groups: See ``NonLocalBlock``.
        pool_place: See ``NonLocalBlock``.
        out_bias: See ``NonLocalBlock``.
    """

    after: Sequence[int] = ()
    affinity: Affinity = "dot_product"
    pool: Sequence[int] = (1, 2, 2)
    groups: int = 1
    pool_place: PoolPlace = "before"
    out_bias: bool = True


class NonLocalBlock(nn.Module):
    """Residual self-attention over space and time: ``x + bn(out(attend(theta(x), phi(pool(x)), g(pool(x)))))``.

    With ``pool_place="after"`` keys and values are ``pool(phi(x))`` and ``pool(g(x))``.
    """

    def __init__(
        self,
        channels: int,
        *,
        affinity: Affinity = "dot_product",
        pool: Sequence[int] = (1, 2, 2),
        groups: int = 1,
        pool_place: PoolPlace = "before",
        out_bias: bool = True,
    ) -> None:
        """Create the four 1x1x1 convolutions, the batch norm and the pool.

        Args:
            channels: Channels of the input and of the output.
            affinity: ``"dot_product"`` divides the products by the number of pooled positions; ``"softmax"`` scales
                them by ``I ** -0.5`` and normalises over the pooled positions.
            pool: Kernel and stride (t, h, w) of the max pool of keys and values. It rounds down, so the map must be at
                least as large as the kernel.
            groups: Number of pieces of equal length in time that the clip is cut into; each attends to itself only
                (PySlowFast ``NONLOCAL.GROUP``).
            pool_place: Whether the pool is ``"before"`` the convolutions ``phi`` and ``g`` (PySlowFast) or ``"after"``
                them (mmcv ``NonLocal3d`` with ``sub_sample``).
            out_bias: Whether ``out`` has a bias (PySlowFast) or leaves it to the batch norm (mmcv).
        """
        super().__init__()
        inner = channels // 2
        self.affinity = affinity
        self.groups = groups
        self.pool_place = pool_place
        self.theta = nn.Conv3d(channels, inner, kernel_size=1)
        self.phi = nn.Conv3d(channels, inner, kernel_size=1)
        self.g = nn.Conv3d(channels, inner, kernel_size=1)
        self.out = nn.Conv3d(inner, channels, kernel_size=1, bias=out_bias)
        self.bn = nn.BatchNorm3d(channels)
        kernel = (pool[0], pool[1], pool[2])
        self.pool = nn.MaxPool3d(kernel, stride=kernel) if max(kernel) > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Add what each position gathers from the others of its group.

        Args:
            x: Features ``[B, C, T, H, W]``.

        Returns:
            Features of the same shape.

        Raises:
            ValueError: T does not divide by the number of groups.
        """
        length = self.frames_per_group(x.shape[2])
        if self.groups == 1:
            return self._attend(x)
        pieces = [self._attend(piece) for piece in torch.split(x, length, dim=2)]
        return torch.cat(pieces, dim=2)

    def frames_per_group(self, num_frames: int) -> int:
        """Return the number of frames that attend to each other.

        Args:
            num_frames: Frames of the feature map.

        Returns:
            ``num_frames / groups``.

        Raises:
            ValueError: ``num_frames`` does not divide by the number of groups.
        """
        if num_frames % self.groups:
            raise ValueError(f"{num_frames} frames do not divide into {self.groups} groups of the non-local block")
        return num_frames // self.groups

    def _attend(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> the same shape."""
        # Queries from every position; fewer keys and values: of the pooled map, or pooled themselves.
        theta = self.theta(x).flatten(2)  # [B, I, N]
        if self.pool_place == "before":
            pooled = self.pool(x)  # [B, C, T', H', W']
            phi, g = self.phi(pooled), self.g(pooled)  # [B, I, T', H', W'] each
        else:
            phi, g = self.pool(self.phi(x)), self.pool(self.g(x))  # [B, I, T', H', W'] each
        phi, g = phi.flatten(2), g.flatten(2)  # [B, I, P] each
        # The affinity of each position with each pooled one.
        weights = torch.einsum("bin,bip->bnp", theta, phi)  # [B, N, P]
        if self.affinity == "softmax":
            weights = (weights * theta.shape[1] ** -0.5).softmax(dim=2)
        else:
            weights = weights / weights.shape[2]
        # The weighted sum of the values, back on the feature map's grid.
        attended = torch.einsum("bnp,bip->bin", weights, g)  # [B, I, N]
        attended = attended.reshape(x.shape[0], -1, *x.shape[2:])  # [B, I, T, H, W]
        # Project to C channels and add to the input.
        result: Tensor = x + self.bn(self.out(attended))
        return result
