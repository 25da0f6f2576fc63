"""The actor-context relation of ACRN (Sun et al., arXiv 1807.10982): each person beside every place of the picture.

A person's feature vector is repeated at every place of the feature map and joined with what is there; convolutions
relate the two, and the strongest answer of all places is the person's new feature vector. The form is mmaction2's
``ACRNHead`` (commit 4d6c9347, ``shared_heads/acrn_head.py``), which keeps the map's resolution and pools by maximum.

Shapes: M people, B clips, P channels of a person's features, C of the maps, O of the output, H, W feature map.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ava_detect.models.blocks import ConvBN

# A person takes about 10 MB while it is related (2,304 channels, a map of 16 x 22 places).
_PEOPLE_AT_ONCE = 16


class ActorRelation(nn.Module):
    """Relates each person's features to those of every place of the clip's map."""

    def __init__(
        self, actor_channels: int, map_channels: int, out_channels: int, *, num_convs: int = 1, stride: int = 1
    ) -> None:
        """Create and initialise the convolutions, each with batch norm and ReLU.

        Args:
            actor_channels: P, length of a person's feature vector.
            map_channels: C, channels of the map.
            out_channels: O, length of the feature vector that comes out.
            num_convs: Number of 3 x 3 convolutions after the first, 1 x 1 one; at least 1.
            stride: Spatial stride of the first 3 x 3 convolution.
        """
        super().__init__()
        self.actor_channels = actor_channels
        self.out_channels = out_channels
        self.conv1 = ConvBN(actor_channels + map_channels, out_channels, (1, 1, 1))
        self.conv2 = ConvBN(out_channels, out_channels, (1, 3, 3), stride=(1, stride, stride))
        self.convs = nn.ModuleList(ConvBN(out_channels, out_channels, (1, 3, 3)) for _ in range(num_convs - 1))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, actors: Tensor, maps: Tensor, clips: Tensor) -> Tensor:
        """Relate people to the map of their clip.

        Args:
            actors: Features ``[M, P]`` of each person.
            maps: Features ``[B, C, H, W]`` of each clip.
            clips: Clip of each person ``[M]``, from 0.

        Returns:
            Features ``[M, O]``.
        """
        # conv1 of the joined channels is the sum of its two parts: a person's is the same at every place, a clip's
        # the same for all its people.
        weight = self.conv1.conv.weight[:, :, 0]  # [O, P + C, 1, 1]
        of_actors, of_maps = weight[:, : self.actor_channels], weight[:, self.actor_channels :]
        people = functional.linear(actors, of_actors[:, :, 0, 0])[:, :, None, None]  # [M, O, 1, 1]
        places = functional.conv2d(maps, of_maps)  # [B, O, H, W]
        if len(people) <= _PEOPLE_AT_ONCE or self.training:  # the batch norms' statistics are of all of them
            return self._max_over_places(people, places, clips)
        parts = zip(torch.split(people, _PEOPLE_AT_ONCE), torch.split(clips, _PEOPLE_AT_ONCE), strict=True)
        return torch.cat([self._max_over_places(part, places, of_part) for part, of_part in parts])

    def _max_over_places(self, people: Tensor, places: Tensor, clips: Tensor) -> Tensor:
        """Both parts of the first convolution ``[M, O, 1, 1]`` and ``[B, O, H, W]`` -> features ``[M, O]``."""
        # Batch norm and the 3 x 3 convolutions are three-dimensional, with one frame: [M, O, 1, H, W].
        joined = (people + places[clips])[:, :, None]
        related = self.conv1.bn(joined).relu()
        related = self.conv2(related).relu()
        for conv in self.convs:
            related = conv(related).relu()
        return cast(Tensor, related.amax(dim=(2, 3, 4)))
