"""The backbones that a config can describe, told apart by ``model.backbone.kind``.

Each kind has a file with its section. The sections share the methods ``check_clip``, ``frames_per_map``, ``channels``,
``num_weights`` and ``num_features``, so that nothing outside asks which kind it has; only ``build.py`` does, to call
the constructor.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag

from ava_detect.config.slowfast import SlowFastConfig
from ava_detect.config.vit import ViTConfig

BackboneConfig = SlowFastConfig | ViTConfig
# Marks of the kinds in the places of pydantic's errors -> the section.
SECTION_OF_MARK: dict[str, type[SlowFastConfig] | type[ViTConfig]] = {"(slowfast)": SlowFastConfig, "(vit)": ViTConfig}


def _mark_of(value: Any) -> str:
    kind = value.get("kind", "slowfast") if isinstance(value, dict) else getattr(value, "kind", "slowfast")
    return f"({kind})"


def _known_kind(value: Any) -> Any:
    """Refuse an unknown kind before the settings of any are looked at."""
    if isinstance(value, dict) and _mark_of(value) not in SECTION_OF_MARK:
        kinds = " or ".join(mark.strip("()") for mark in SECTION_OF_MARK)
        raise ValueError(f"kind is {kinds}, got {value['kind']!r}")
    return value


BackboneField = Annotated[
    Annotated[SlowFastConfig, Tag("(slowfast)")] | Annotated[ViTConfig, Tag("(vit)")],
    Discriminator(_mark_of),
    BeforeValidator(_known_kind),
]
