"""The metadata of weights files in this package's own format, read without PyTorch and without the tensors."""

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
    """Read the config in a weights file of our own format.

    Args:
        path: A weights file of any kind.

    Returns:
        The config as plain data; None for a file of another format.

    Raises:
        WeightsError: The config is not a JSON mapping.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        return None
    return config_in(metadata, path) if metadata.get("format") == OUR_FORMAT else None


def config_in(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Parse the config in the metadata of a file of our own format.

    Args:
        metadata: The file's safetensors metadata.
        path: The file, for messages.

    Returns:
        The config as plain data; empty where the metadata has none.

    Raises:
        WeightsError: The config is not a JSON mapping.
    """
    try:
        config = json.loads(metadata.get("config") or "{}")
    except (ValueError, RecursionError) as error:  # a RecursionError for lists and mappings nested too deeply
        raise WeightsError(f"{path}: the config inside is not valid JSON ({error})") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: the config inside is not a mapping")
    return config
