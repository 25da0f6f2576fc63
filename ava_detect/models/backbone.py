"""The interface of every backbone: what the parts around it may ask of it."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """A network from a clip to one or more feature maps.

    Attributes:
        out_channels: Channels of each map.
        feature_stride: Input pixels per feature cell, along each side.
        map_names: Name of each map, such as ``("slow", "fast")``.
    """

    out_channels: list[int]
    feature_stride: int
    map_names: tuple[str, ...]

    def forward(self, clip: Tensor) -> list[Tensor]:
        """Compute the feature maps of a clip.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]``.

        Returns:
            ``[B, C, t, h, w]`` of each map.
        """
        raise NotImplementedError

    def frames_of_maps(self, num_frames: int) -> list[tuple[int, ...]]:
        """Return the frames of the clip at which the time steps of each map begin.

        Args:
            num_frames: T, frames of the clip.

        Returns:
            Per map one rising frame index for each of its t time steps.
        """
        raise NotImplementedError
