"""The table of positions in files of vision transformers: mmaction2's hold it, the other layouts compute it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ava_detect.models.vit import sine_positions
from ava_detect.models.weights.key_map import OUR_POSITIONS

_PATCHES = "backbone.patch_embed.weight"
# Of every published network: 8 time steps of 14 x 14 patches (224 pixels).
_PUBLISHED_GRID = (8, 14, 14)
# Two float64 implementations of the table, rounded to float32, differ by 3.7e-9.
_TOLERANCE = 1e-6


def is_sine_table(table: Tensor) -> bool:
    """Return whether a table of positions is the one of sines and cosines that the other layouts compute.

    Args:
        table: ``[1, N, D]``.

    Returns:
        True where every number agrees within 1e-6, or within the table's own rounding.
    """
    if table.dim() != 3 or table.shape[0] != 1 or not table.is_floating_point():
        return False
    tolerance = max(_TOLERANCE, torch.finfo(table.dtype).eps)
    # Places are counted in one row, so that only their number matters.
    computed = sine_positions((1, 1, table.shape[1]), table.shape[2])
    return bool(((table.float() - computed).abs() <= tolerance).all())


def computed_positions(state: Mapping[str, Tensor], config: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """Compute the table of positions for a layout that stores it.

    Args:
        state: Tensors of a network by our names.
        config: The network's config as plain data, which has the size of the table; None where it is unknown: then the
            table is that of the published networks.

    Returns:
        Our name of the table -> the table; empty for networks that have none, or have it in ``state``.
    """
    patches = state.get(_PATCHES)
    if patches is None or OUR_POSITIONS in state:
        return {}
    grid = ((config or {}).get("model", {}).get("backbone") or {}).get("grid", _PUBLISHED_GRID)
    return {OUR_POSITIONS: sine_positions(tuple(grid), patches.shape[0]).to(patches.dtype)}
