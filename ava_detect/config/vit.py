"""The config of a plain vision transformer as backbone, and what its size follows from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ava_detect.config.backbone import BackboneConfig
from ava_detect.config.section import AS_LIST, MAX_BLOCKS, MAX_WIDTH
from ava_detect.structures.clip import MAX_CLIP_FRAMES, MAX_SIDE_PIXELS

_Cells = Annotated[int, Field(ge=1, le=MAX_CLIP_FRAMES)]
Grid = Annotated[tuple[_Cells, _Cells, _Cells], AS_LIST]


class ViTConfig(BackboneConfig):
    """A plain vision transformer; ``ava_detect.models.vit.VisionTransformer`` explains the values in detail.

    Attributes:
        kind: Tells this backbone from the others.
        width: Channels of a token; a multiple of ``heads``.
        depth: Number of blocks.
        heads: Attention heads of each block.
        mlp_ratio: Hidden channels of a block's MLP per channel of a token.
        patch: Side of a patch in pixels.
        tubelet: Frames of a patch.
        grid: Tokens (t, y, x) of the clips on which the table of positions was made.
        positions: ``computed`` for the table of sines and cosines, ``stored`` where the weights bring their own.
        borders: What becomes of pixels beyond the last whole patch: ``pad`` completes it with zeros, ``crop`` leaves
            them out.
        drop_path: Probability that a residual branch of the last block is left out in training; it rises linearly
            from 0 in the first block.
    """

    kind: Literal["vit"] = "vit"
    width: int = Field(768, ge=1, le=MAX_WIDTH)
    depth: int = Field(12, ge=1, le=MAX_BLOCKS)
    heads: int = Field(12, ge=1, le=MAX_WIDTH)
    mlp_ratio: int = Field(4, ge=1, le=64)
    patch: int = Field(16, ge=1, le=MAX_SIDE_PIXELS)
    tubelet: int = Field(2, ge=1, le=MAX_CLIP_FRAMES)
    grid: Grid = (8, 14, 14)
    positions: Literal["computed", "stored"] = "computed"
    borders: Literal["pad", "crop"] = "pad"
    drop_path: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide by heads {self.heads}")
        return self

    def check_clip(self, num_frames: int, short_side: int) -> None:
        """Refuse clips that the backbone cannot read.

        Args:
            num_frames: Frames of a clip.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: The table of positions is for another number of frames, or a patch is larger than a clip.
        """
        wanted = self.grid[0] * self.tubelet
        if num_frames != wanted:
            raise ValueError(
                f"clip.num_frames {num_frames} does not fit model.backbone: {self.grid[0]} time steps (grid) of "
                f"{self.tubelet} frames (tubelet) are {wanted} frames"
            )
        if short_side < self.patch:
            raise ValueError(
                f"clip.short_side {short_side} is less than model.backbone.patch {self.patch}; raise it, or lower that"
            )

    def check_pool(self, pool_side: int, short_side: int) -> None:
        """Refuse any averaging window: plain ViTs have no classifier here, whose last norm would follow the pool.

        Args:
            pool_side: Side of the window in cells.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"model.head.pool_size {pool_side} belongs to a classifier, which a vit backbone cannot be")

    @property
    def channels(self) -> list[int]:
        """Channels of each feature map."""
        return [self.width]

    def num_weights(self) -> int:
        """Count the weights, without the biases of norms.

        Returns:
            The number.
        """
        per_block = (4 + 2 * self.mlp_ratio) * self.width**2
        stored = self.grid[0] * self.grid[1] * self.grid[2] * self.width if self.positions == "stored" else 0
        return self.depth * per_block + 3 * self.tubelet * self.patch**2 * self.width + stored

    def num_features(self, num_frames: int, short_side: int) -> int:
        """Count the numbers of the largest features of a square clip: the hidden channels of an MLP.

        Args:
            num_frames: Frames of the clip.
            short_side: Side of the clip in pixels.

        Returns:
            The number.
        """
        tokens = num_frames // self.tubelet * (short_side // self.patch) ** 2
        return tokens * self.width * self.mlp_ratio
