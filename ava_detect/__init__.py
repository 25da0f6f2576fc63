"""Spatiotemporal action detection on AVA: every person in a video, and what each one is doing.

The names below are the package's public face. They are loaded on first use, so that importing
``ava_detect`` costs nothing and scoring a csv never loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME_OF_NAME = {
    "ActionDetections": "structures",
    "Clip": "structures",
    "PersonBoxes": "structures",
    "LabelMap": "labels",
}
__all__ = sorted(_HOME_OF_NAME)

if TYPE_CHECKING:
    from ava_detect.labels import LabelMap as LabelMap
    from ava_detect.structures import ActionDetections as ActionDetections
    from ava_detect.structures import Clip as Clip
    from ava_detect.structures import PersonBoxes as PersonBoxes


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF_NAME:
        raise AttributeError(f"module 'ava_detect' has no attribute {name!r}")
    value = getattr(import_module(f"ava_detect.{_HOME_OF_NAME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
