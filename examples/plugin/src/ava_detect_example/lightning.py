"""Checkpoints of a PyTorch Lightning module that holds one of ava_detect's networks as ``self.network``."""

from ava_detect.models.weights import KeyMap

_BLOCK = "backbone.res{stage}.{pathway}.block{block}."

#: Pairs of templates, theirs and ours, that are used in both directions.
LIGHTNING = KeyMap(
    family="Lightning",
    rules=tuple(
        (f"network.{ours}", ours)
        for ours in (
            "backbone.stem.{pathway}.{layer}.{leaf}",
            "backbone.lateral{after}.{layer}.{leaf}",
            _BLOCK + "{conv}.{layer}.{leaf}",
            _BLOCK + "shortcut.{layer}.{leaf}",
            "head.projection.{leaf}",
        )
    ),
    vocabulary={"pathway": {"slow": "slow", "fast": "fast"}},
)
