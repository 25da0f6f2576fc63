"""The options of an ONNX model: its input format, its output layout, its thresholds.

An option comes, in this order, from the caller, from the file's metadata (``metadata_props`` keys
``ava_detect.<option>``), from what else the file tells (``OnnxFile``) or from the defaults of its layout.
docs/detectors.md has the tables.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from ava_detect.detectors.base import Converters, finite_number, read_options, read_size
from ava_detect.detectors.classes import Wanted, chosen_classes, read_classes
from ava_detect.detectors.onnx_exports import OnnxFile
from ava_detect.detectors.onnx_layouts import LAYOUTS
from ava_detect.errors import DetectorError, suggestion

METADATA_PREFIX = "ava_detect."


class OnnxOptions(TypedDict, total=False):
    """The options of a model; each may be left out.

    Attributes:
        layout: Output layout, a key of ``LAYOUTS``.
        min_score: Lowest score of a person, 0..1.
        size: Width and height of the input in pixels, for models that take any size.
        resize: How a view is fitted into the input; see ``InputFormat``.
        color: Order of the input's channels.
        scale: The input is (value in 0..255 * scale - mean) / std.
        mean: Mean of each channel, or one for all.
        std: Standard deviation of each channel, or one for all.
        coordinates: Unit of the boxes; see ``OutputFormat``.
        classes: The classes that are the actors, by number or name; by default the person class.
        nms_iou: IoU above which the weaker of two boxes is dropped; 1 for no suppression.
        views: The whole frame only, or also its two end squares; see ``tiles``.
    """

    layout: str
    min_score: float
    size: tuple[int, int]
    resize: Literal["stretch", "letterbox", "letterbox_center"]
    color: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    coordinates: Literal["fractions", "pixels", "grid"]
    classes: Wanted
    nms_iou: float
    views: Literal["whole", "squares"]


_CHOICES = {
    "resize": ("stretch", "letterbox", "letterbox_center"),
    "color": ("rgb", "bgr"),
    "views": ("whole", "squares"),
}


def resolve(options: OnnxOptions, file: OnnxFile) -> dict[str, Any]:
    """Determine the value of every option.

    Args:
        options: The caller's options.
        file: What is known of the file.

    Returns:
        Option -> value, for every option except ``size``, which is there only where it is given. ``classes`` are
        indices.

    Raises:
        DetectorError: A value is not allowed, an option without default is not given, or the model has no such class.
    """
    model = file.description
    from_file = {
        key.removeprefix(METADATA_PREFIX): text
        for key, text in file.metadata.items()
        if key.startswith(METADATA_PREFIX)
    }
    given: dict[str, Any] = {**read_options(from_file, CONVERTERS, f"metadata of {model}"), **options}
    given = {**file.told_options(given), **given}
    if "layout" not in given:
        kinds = "; ".join(f"{name}: {layout.shapes}" for name, layout in LAYOUTS.items())
        raise DetectorError(f"{model} does not give its output layout; say layout=..., one of {kinds}")
    _check("layout", given["layout"], tuple(LAYOUTS), model)
    layout = LAYOUTS[given["layout"]]
    missing = [name for name in layout.required if name not in given]
    if missing:
        raise DetectorError(
            f"{model} does not give {', '.join(missing)}, for which layout {given['layout']} has no default; "
            "say each as an option or in the file's metadata, see docs/detectors.md"
        )
    defaults = {
        "min_score": 0.3,
        "views": "whole",
        "coordinates": layout.coordinates[0],
        **layout.defaults,
    }
    settings = {**defaults, **given}
    settings["classes"] = chosen_classes(
        given.get("classes"), file.class_names(), model, unnamed=layout.unnamed_person_class
    )
    for name, allowed in {**_CHOICES, "coordinates": layout.coordinates}.items():
        _check(name, settings[name], allowed, model)
    return settings


def _check(name: str, value: str, allowed: tuple[str, ...], model: str) -> None:
    if value not in allowed:
        raise DetectorError(
            f"{model}: {name} must be one of {', '.join(allowed)}, got {value!r}{suggestion(value, allowed)}"
        )


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("it must be in 0..1")
    return value


def _channels(text: str) -> tuple[float, ...]:
    """Convert ``"0.5"`` or ``"0.485,0.456,0.406"`` to one number or one per channel."""
    values = tuple(finite_number(part) for part in text.split(","))
    if len(values) not in (1, 3):
        raise ValueError(f"{len(values)} numbers instead of 1 or 3")
    return values


def _deviations(text: str) -> tuple[float, ...]:
    """Convert standard deviations like ``_channels``."""
    values = _channels(text)
    if min(values) <= 0:
        raise ValueError("a standard deviation must be above 0")
    return values


def _scale(text: str) -> float:
    """Convert ``"0.5"`` or ``"1/255"`` to a number."""
    numerator, slash, denominator = text.partition("/")
    divisor = finite_number(denominator) if slash else 1.0
    if divisor == 0:
        raise ValueError("a division by zero")
    return finite_number(numerator) / divisor


CONVERTERS: Converters = {
    "layout": str,
    "min_score": _fraction,
    "size": read_size,
    "resize": str,
    "color": str,
    "scale": _scale,
    "mean": _channels,
    "std": _deviations,
    "coordinates": str,
    "classes": read_classes,
    "nms_iou": _fraction,
    "views": str,
}
