"""What has to be known about an ONNX model beside the file itself, and where it is said.

In this order: the caller's options, the file's own metadata (``metadata_props`` keys ``ava_detect.<option>``), what
the layout's project usually does. docs/detectors.md has the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from ava_detect.detectors.base import Converters, read_options
from ava_detect.detectors.onnx_layouts import LAYOUTS
from ava_detect.errors import DetectorError, suggestion

METADATA_PREFIX = "ava_detect."


class OnnxOptions(TypedDict, total=False):
    """What may be said about a model."""

    layout: str
    min_score: float  # people below it are left out
    size: tuple[int, int]  # width, height of the input in pixels, for models that take any
    resize: Literal["stretch", "letterbox", "letterbox_center"]
    color: Literal["rgb", "bgr"]
    scale: float  # the input is (value 0..255 * scale - mean) / std
    mean: tuple[float, ...]
    std: tuple[float, ...]
    coordinates: Literal["fractions", "pixels", "grid"]
    person_class: int
    nms_iou: float  # 1 = no suppression
    views: Literal["whole", "squares"]


_CHOICES = {
    "resize": ("stretch", "letterbox", "letterbox_center"),
    "color": ("rgb", "bgr"),
    "views": ("whole", "squares"),
}


def resolve(options: OnnxOptions, metadata: Mapping[str, str], model: str) -> dict[str, Any]:
    """Every option's value but ``size``, which only a model that takes any size needs.

    ``model``: the file, its inputs and outputs, for messages. Raises ``DetectorError`` for a value that is not
    allowed and where something that has no usual value was not said.
    """
    said_by_file = {
        key.removeprefix(METADATA_PREFIX): text for key, text in metadata.items() if key.startswith(METADATA_PREFIX)
    }
    said: dict[str, Any] = {**read_options(said_by_file, CONVERTERS, f"metadata of {model}"), **options}
    if "layout" not in said:
        kinds = "; ".join(f"{name}: {layout.shapes}" for name, layout in LAYOUTS.items())
        raise DetectorError(f"{model} does not say how it holds its boxes; say layout=..., one of {kinds}")
    _check("layout", said["layout"], tuple(LAYOUTS), model)
    layout = LAYOUTS[said["layout"]]
    unsaid = [name for name in layout.must_say if name not in said]
    if unsaid:
        raise DetectorError(
            f"{model} does not say {', '.join(unsaid)}, which layout {said['layout']} leaves open; "
            "say each as an option or in the file's metadata, see docs/detectors.md"
        )
    usual = {
        "min_score": 0.3,
        "person_class": 0,
        "views": "whole",
        "coordinates": layout.coordinates[0],
        **layout.defaults,
    }
    settings = {**usual, **said}
    for name, allowed in {**_CHOICES, "coordinates": layout.coordinates}.items():
        _check(name, settings[name], allowed, model)
    return settings


def _check(name: str, value: str, allowed: tuple[str, ...], model: str) -> None:
    if value not in allowed:
        raise DetectorError(
            f"{model}: {name} must be one of {', '.join(allowed)}, got {value!r}{suggestion(value, allowed)}"
        )


def _size(text: str) -> tuple[int, int]:
    """``"640"`` or ``"640x384"`` as width, height."""
    width, _, height = text.lower().partition("x")
    size = int(width), int(height or width)
    if min(size) < 1:
        raise ValueError("a side must be at least 1 pixel")
    return size


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("it must be in 0..1")
    return value


def _channels(text: str) -> tuple[float, ...]:
    """``"0.5"`` or ``"0.485,0.456,0.406"``."""
    values = tuple(float(part) for part in text.split(","))
    if len(values) not in (1, 3):
        raise ValueError(f"{len(values)} numbers where 1 or 3 are wanted")
    return values


def _scale(text: str) -> float:
    """``"0.5"`` or ``"1/255"``."""
    numerator, slash, denominator = text.partition("/")
    divisor = float(denominator) if slash else 1.0
    if divisor == 0:
        raise ValueError("a division by zero")
    return float(numerator) / divisor


CONVERTERS: Converters = {
    "layout": str,
    "min_score": _fraction,
    "size": _size,
    "resize": str,
    "color": str,
    "scale": _scale,
    "mean": _channels,
    "std": _channels,
    "coordinates": str,
    "person_class": int,
    "nms_iou": _fraction,
    "views": str,
}
