"""The plain vision transformer as backbone: the AVA detectors of UMT, VideoMAE and mmaction2 in one graph.

Tokens are patches of ``tubelet`` frames and 16 x 16 pixels; all of them attend to all others in every block. Sources:
VideoMAE (Tong et al., arXiv 2203.12602) and UMT (Li et al., arXiv 2303.16058), as their detection code runs them
(MCG-NJU/VideoMAE-Action-Detection 15615db, OpenGVLab/unmasked_teacher 4fb4049 ``single_modality/action_detection``,
mmaction2 4d6c934 ``vit_mae.py``). What the families share, and where they differ (see ``configs/``):

- No class token; the final norm is applied to all tokens. No layer scale. LayerNorm eps 1e-6, GELU by erf.
- The keys have no bias: a constant added to all keys of a query cancels in the softmax.
- ``tubelet`` 1 and 8 frames for UMT, 2 and 16 frames for the others; the table of positions has 8 time steps for all.
- ``borders="pad"``: the loaders of UMT and VideoMAE-AD complete the last patch of a row with zeros, after normalising
  (``BatchCollator(size_divisible=16)``); ``"crop"``: mmaction2 leaves out what does not fill a patch.
- ``positions="stored"``: mmaction2's files bring the table; the others' compute it (``sine_positions``).

Shapes: B clips, T frames, H, W pixels, t, h, w tokens in time, height, width, N = t*h*w tokens, D channels of a token,
K heads.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ava_detect.models.backbone import Backbone

Positions = Literal["computed", "stored"]
Borders = Literal["pad", "crop"]
_NORM_EPS = 1e-6


class VisionTransformer(Backbone):
    """The backbone; its modules are ``patch_embed``, ``blocks`` and ``norm``.

    ``out_channels``, ``feature_stride``, ``map_names`` and ``num_layers`` are those of a ``Backbone`` with one map.
    """

    map_names = ("tokens",)

    def __init__(
        self,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: int = 4,
        patch: int = 16,
        tubelet: int = 2,
        grid: tuple[int, int, int] = (8, 14, 14),
        positions: Positions = "computed",
        borders: Borders = "pad",
        drop_path: float = 0.0,
    ) -> None:
        """Create and initialise the network.

        Args:
            width: D, channels of a token; a multiple of ``heads``.
            depth: Number of blocks.
            heads: K, attention heads of a block.
            mlp_ratio: Hidden channels of an MLP per channel of a token.
            patch: Side of a patch in pixels.
            tubelet: Frames of a patch.
            grid: Tokens (t, h, w) of the clips on which the table of positions was made. Other heights and widths are
                interpolated, other numbers of time steps refused.
            positions: ``"computed"``: the table is no part of the weights; ``"stored"``: it is, and is used as it is.
            borders: ``"pad"`` completes the last patches with zeros, ``"crop"`` leaves their pixels out.
            drop_path: Probability that a branch of the last block is left out in training (Huang et al.,
                arXiv 1603.09382); it rises linearly from 0 in the first block.
        """
        super().__init__()
        self.patch = patch
        self.tubelet = tubelet
        self.grid = grid
        self.borders: Borders = borders
        self.out_channels = [width]
        self.feature_stride = patch
        self.num_layers = 1 + depth
        kernel = (tubelet, patch, patch)
        self.patch_embed = nn.Conv3d(3, width, kernel_size=kernel, stride=kernel)
        self.register_buffer("positions", sine_positions(grid, width), persistent=positions == "stored")
        rates = [drop_path * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(Block(width, heads, mlp_ratio * width, drop_path=rate) for rate in rates))
        self.norm = nn.LayerNorm(width, eps=_NORM_EPS)
        self._initialise()

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Compute the features of a clip.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]``.

        Returns:
            One map ``[B, D, T / tubelet, h, w]``; h and w are H and W in patches, rounded up (``"pad"``) or down.

        Raises:
            ValueError: T is not that of the table of positions, or no patch fits into the clip.
        """
        patches = self.patch_embed(self.padded(clip))  # [B, D, t, h, w]
        size = patches.shape[2:]
        tokens = patches.flatten(2).transpose(1, 2) + self.positions_of(size[1], size[2])  # [B, N, D]
        tokens = self.norm(self.blocks(tokens))  # [B, N, D]
        return [tokens.transpose(1, 2).view(clip.shape[0], -1, *size)]  # [B, D, t, h, w], channels last in memory

    def frames_of_maps(self, num_frames: int) -> list[tuple[int, ...]]:
        """Return the first frame of each time step; see ``Backbone``.

        Args:
            num_frames: Frames of the clip.

        Returns:
            One tuple of ``num_frames / tubelet`` frame indices.
        """
        return [tuple(range(0, num_frames, self.tubelet))]

    def layer_of(self, name: str) -> int:
        """Return the layer of a parameter: 0 is the patch embedding, then the blocks (BEiT ``get_num_layer_for_vit``).

        Args:
            name: Name of the parameter in this module.

        Returns:
            The layer, from 0 to ``num_layers - 1``; ``num_layers`` for the last norm.
        """
        part, *inner = name.split(".")
        return 0 if part == "patch_embed" else 1 + int(inner[0]) if part == "blocks" else self.num_layers

    def padded(self, clip: Tensor) -> Tensor:
        """Complete the last patches, and refuse clips that the network cannot read.

        Args:
            clip: ``[B, 3, T, H, W]``.

        Returns:
            ``[B, 3, T, H', W']``: with zeros on the right and below, up to multiples of the patch; with
            ``borders="crop"`` the clip itself, of which the patch embedding leaves out what fills no patch.

        Raises:
            ValueError: T is not that of the table of positions, or no patch fits into the clip.
        """
        num_frames, height, width = clip.shape[2:]
        if num_frames != self.grid[0] * self.tubelet:
            raise ValueError(
                f"the table of positions is for {self.grid[0] * self.tubelet} frames ({self.grid[0]} time steps of "
                f"{self.tubelet}), and the clip has {num_frames}"
            )
        if self.borders == "pad":
            return functional.pad(clip, (0, -width % self.patch, 0, -height % self.patch))
        if min(height, width) < self.patch:
            raise ValueError(f"a clip of {width}x{height} pixels has no whole patch of {self.patch}x{self.patch}")
        return clip

    def positions_of(self, height: int, width: int) -> Tensor:
        """Interpolate the table of positions to a map: bicubic in space, each time step by itself.

        Args:
            height: h, tokens from top to bottom.
            width: w, tokens from left to right.

        Returns:
            ``[1, N, D]``; the table itself where the size is that of ``grid``.
        """
        table = cast(Tensor, self.positions)  # [1, t * grid h * grid w, D]
        maps = table.view(*self.grid, -1).permute(0, 3, 1, 2)  # [t, D, grid h, grid w]
        # To a size and not by a factor, which would move the sampling points.
        resized = functional.interpolate(maps, (height, width), mode="bicubic", align_corners=False)  # [t, D, h, w]
        return resized.permute(0, 2, 3, 1).flatten(0, 2)[None]

    def _initialise(self) -> None:
        """Normal weights of deviation 0.02, biases 0 (VideoMAE ``_init_weights``; its limit of 2 is never reached)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class Block(nn.Module):
    """A pre-norm transformer block: attention, then an MLP, each added to its input."""

    def __init__(self, width: int, heads: int, hidden: int, *, drop_path: float = 0.0) -> None:
        """Create the layers.

        Args:
            width: D, channels of a token.
            heads: K, attention heads.
            hidden: Hidden channels of the MLP.
            drop_path: Probability that a branch is left out in training, for each clip.
        """
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_NORM_EPS)
        self.mlp = MLP(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform the tokens.

        Args:
            tokens: ``[B, N, D]``.

        Returns:
            ``[B, N, D]``.
        """
        tokens = tokens + self._kept(self.attn(self.norm1(tokens)))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _kept(self, branch: Tensor) -> Tensor:
        """The branch, in training without those of some clips; the others grow so that the mean stays."""
        if not (self.training and self.drop_path):
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path  # [B, 1, 1]
        return branch * kept / (1 - self.drop_path)


class Attention(nn.Module):
    """Softmax attention of every token to every token."""

    def __init__(self, width: int, heads: int) -> None:
        """Create the projections.

        Args:
            width: D, channels of a token; a multiple of ``heads``.
            heads: K, attention heads.
        """
        super().__init__()
        self.heads = heads
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend.

        Args:
            tokens: ``[B, N, D]``.

        Returns:
            ``[B, N, D]``.
        """
        # The keys' bias is 0; see the module's docstring.
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])  # [3 * D]
        projected = functional.linear(tokens, self.qkv.weight, bias)  # [B, N, 3 * D]
        # Queries, keys and values stand one after the other, the heads inside each.
        separate = projected.view(*projected.shape[:2], 3, self.heads, -1)  # [B, N, 3, K, D / K]
        queries, keys, values = separate.permute(2, 0, 3, 1, 4)  # [B, K, N, D / K] each
        attended = functional.scaled_dot_product_attention(queries, keys, values)  # [B, K, N, D / K]
        result: Tensor = self.proj(attended.transpose(1, 2).flatten(2))  # [B, N, D]
        return result


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        """Create the layers.

        Args:
            width: D, channels of a token.
            hidden: Channels between the layers.
        """
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Transform each token by itself.

        Args:
            tokens: ``[B, N, D]``.

        Returns:
            ``[B, N, D]``.
        """
        result: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return result


def sine_positions(grid: tuple[int, int, int], width: int) -> Tensor:
    """Compute the table of positions (Vaswani et al., arXiv 1706.03762), which counts all places in one row.

    Place n = (t * h + y) * w + x has in column j the sine (even j) or cosine (odd j) of
    ``n / 10000 ** (2 (j // 2) / D)`` (VideoMAE ``get_sinusoid_encoding_table``).

    Args:
        grid: Number of places (t, h, w).
        width: D, number of columns.

    Returns:
        float32 ``[1, t*h*w, D]``, computed in float64.
    """
    place = torch.arange(grid[0] * grid[1] * grid[2], dtype=torch.float64, device="cpu")  # [N]
    column = torch.arange(width, dtype=torch.float64, device="cpu")  # [D]
    angles = place[:, None] / 10000 ** (2 * (column // 2) / width)  # [N, D]
    table = torch.where(column % 2 == 0, angles.sin(), angles.cos())  # [N, D]
    return table.float()[None]
