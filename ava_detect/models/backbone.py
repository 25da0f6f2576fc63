"""The interface of every backbone: what the parts around it may ask of it."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """A network from a clip to one or more feature maps.

    Attributes:
        out_channels: Channels of each map.
        feature_stride: Input pixels per feature cell, along each side.
        map_names: Name of each map, such as ``("slow", "fast")``.
        num_layers: Number of layers that may differ in their learning rate.
    """

    out_channels: list[int]
    feature_stride: int
    map_names: tuple[str, ...]
    num_layers: int

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

    def layer_of(self, name: str) -> int:
        """Return the layer of a parameter.

        Args:
            name: Name of the parameter in this module.

        Returns:
            The layer, from 0 for the first to ``num_layers - 1``; ``num_layers`` for what follows the last.
        """
        raise NotImplementedError
