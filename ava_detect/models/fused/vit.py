"""The plain vision transformer for inference: the same numbers as ``models/vit.py`` with less work around the products.

The patch embedding is one matrix product, the positions of a map size are interpolated once, and the residual stream
is added to in place. In bfloat16 the matrix products and the attention between them run from weights that were rounded
once, where autocast would round them at every call; norms and the residual stream stay in float32.

``tests/models/test_execution.py`` compares the two on every config of the package.

Shapes: B clips, T frames, H, W pixels, t, h, w tokens in time, height, width, N = t*h*w tokens, D channels of a token,
K heads, P numbers of a patch.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ava_detect.models.vit import Block, VisionTransformer

# Map sizes whose positions are kept; the videos of a folder have a few.
_SIZES_KEPT = 8


class FusedViT:
    """A ``VisionTransformer`` backbone in its fused form: clip -> one feature map."""

    def __init__(self, backbone: VisionTransformer, dtype: torch.dtype = torch.float32) -> None:
        """Take the weights of ``backbone``: in float32 they are shared with it, in bfloat16 rounded copies.

        Args:
            backbone: The plain network, in evaluation mode.
            dtype: Type of the matrix products, float32 or bfloat16.
        """
        self._backbone = backbone
        self._dtype = dtype
        embedding = backbone.patch_embed
        assert embedding.bias is not None, "the patch embedding has a bias"
        self._patch_weight = embedding.weight.detach().flatten(1).to(dtype)  # [D, P]
        self._patch_bias = embedding.bias.detach().to(dtype)  # [D]
        self._blocks = [_FusedBlock(cast(Block, block), dtype) for block in backbone.blocks]
        self._norm = _Norm(backbone.norm)
        self._positions: dict[tuple[int, int], Tensor] = {}

    def __call__(self, clip: Tensor) -> list[Tensor]:
        """Compute the features of a clip.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]``.

        Returns:
            One map ``[B, D, t, h, w]``, float32, as ``VisionTransformer.forward`` returns it.
        """
        return self.consume([clip])

    def consume(self, clip: list[Tensor]) -> list[Tensor]:
        """Compute the features of a clip that is not needed afterwards: its memory is free before the blocks.

        Args:
            clip: A list with the clip alone, ``[B, 3, T, H, W]``; it is taken out.

        Returns:
            One map, as ``__call__`` returns it.
        """
        tokens, size = self._embedded(clip)  # [B, N, D]
        for block in self._blocks:
            block.add_to(tokens)
        return [self._norm(tokens).transpose(1, 2).view(len(tokens), -1, *size)]  # [B, D, t, h, w]

    def _embedded(self, clip: list[Tensor]) -> tuple[Tensor, tuple[int, int, int]]:
        """The tokens ``[B, N, D]`` of a clip with their positions, and their number along t, h, w."""
        padded = self._backbone.padded(clip.pop()).to(self._dtype)
        tubelet, side = self._backbone.tubelet, self._backbone.patch
        clips, num_frames, height, width = (len(padded), *padded.shape[2:])
        size = (num_frames // tubelet, height // side, width // side)  # t, h, w
        # Every patch as a row of numbers: a convolution whose kernel is its stride is a product with these.
        whole = padded[..., : size[1] * side, : size[2] * side]
        cut = whole.reshape(clips, 3, size[0], tubelet, size[1], side, size[2], side)
        patches = cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(clips, size[0] * size[1] * size[2], -1)  # [B, N, P]
        tokens = functional.linear(patches, self._patch_weight, self._patch_bias).float()  # [B, N, D]
        tokens += self._positions_of(size[1], size[2])
        return tokens, size

    def _positions_of(self, height: int, width: int) -> Tensor:
        """The interpolated positions ``[1, N, D]`` of a map of h x w tokens."""
        if (height, width) not in self._positions:
            # Replaced as a whole, because several threads may run the network.
            kept = dict(list(self._positions.items())[-_SIZES_KEPT + 1 :])
            self._positions = kept | {(height, width): self._backbone.positions_of(height, width)}
        return self._positions[height, width]


class _FusedBlock:
    """A transformer block that adds to its tokens."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        attention, mlp = block.attn, block.mlp
        self._heads = attention.heads
        self._dtype = dtype
        self._norm1, self._norm2 = _Norm(block.norm1), _Norm(block.norm2)
        # The keys' bias is 0; see ``models/vit.py``.
        bias = torch.cat([attention.q_bias, torch.zeros_like(attention.q_bias), attention.v_bias])  # [3 * D]
        self._qkv = (attention.qkv.weight.detach().to(dtype), bias.detach().to(dtype))
        self._proj, self._fc1, self._fc2 = (_weights(layer, dtype) for layer in (attention.proj, mlp.fc1, mlp.fc2))

    def add_to(self, tokens: Tensor) -> None:
        """Add both branches to the tokens, float32 ``[B, N, D]``, in place."""
        projected = functional.linear(self._norm1(tokens).to(self._dtype), *self._qkv)  # [B, N, 3 * D]
        separate = projected.view(*projected.shape[:2], 3, self._heads, -1)  # [B, N, 3, K, D / K]
        queries, keys, values = separate.permute(2, 0, 3, 1, 4)  # [B, K, N, D / K] each
        attended = functional.scaled_dot_product_attention(queries, keys, values)  # [B, K, N, D / K]
        tokens += functional.linear(attended.transpose(1, 2).flatten(2), *self._proj)
        hidden = functional.linear(self._norm2(tokens).to(self._dtype), *self._fc1)  # [B, N, hidden]
        tokens += functional.linear(functional.gelu(hidden), *self._fc2)


class _Norm:
    """A layer norm in float32."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self._shape, self._eps = norm.normalized_shape, norm.eps
        self._weight, self._bias = norm.weight.detach(), norm.bias.detach()

    def __call__(self, tokens: Tensor) -> Tensor:
        """``[B, N, D]`` -> ``[B, N, D]``."""
        return functional.layer_norm(tokens, self._shape, self._weight, self._bias, self._eps)


def _weights(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A layer's weight and bias."""
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
