"""What a weights file of this package's own says of itself, read without PyTorch and without its tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ava_detect.errors import WeightsError

OUR_FORMAT = "ava_detect"
OUR_VERSION = 1


def config_inside(path: str | Path) -> Mapping[str, Any] | None:
    """The config in a file of our own format, as plain data, without reading its tensors; None in any other file."""
    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        return None
    return config_in(metadata, path) if metadata.get("format") == OUR_FORMAT else None


def config_in(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """The config in the metadata of such a file, which is ``path``. ``WeightsError`` where it is none."""
    try:
        config = json.loads(metadata.get("config") or "{}")
    except ValueError as error:
        raise WeightsError(f"{path}: the config inside is no JSON ({error})") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: the config inside is no mapping")
    return config
