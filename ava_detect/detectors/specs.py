"""Detectors named by text, as the command line and config files do: ``KIND[:TARGET][?option=value&option=value]``.

``builtin``, ``onnx:FILE``, ``torchvision:NAME``, ``detectron2:CONFIG``, ``boxes:FILE``; a file may lie at an address.
A kind's library is imported when that kind is asked for and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ava_detect.detectors.base import PersonDetector, read_options
from ava_detect.errors import DetectorError, suggestion
from ava_detect.storage.addresses import Address, is_address, without_secrets
from ava_detect.storage.cache import copy_of


@dataclass(frozen=True)
class _Kind:
    """Where a kind of detector lives, what its target is called, and which of the common settings it takes."""

    module: str
    class_name: str
    target: str = ""
    takes: tuple[str, ...] = ()


_KINDS = {
    "builtin": _Kind("builtin", "BuiltinDetector", takes=("num_threads",)),
    "onnx": _Kind("onnx", "OnnxDetector", "FILE", ("num_threads",)),
    "torchvision": _Kind("torchvision", "TorchvisionDetector", "NAME", ("device",)),
    "detectron2": _Kind("detectron2", "Detectron2Detector", "CONFIG", ("device",)),
    "boxes": _Kind("precomputed", "PrecomputedBoxes", "FILE"),
}


def build_detector(
    spec: str, *, min_score: float | None = None, num_threads: int | None = None, device: str = "cpu"
) -> PersonDetector:
    """The detector that ``spec`` names, ready to be called with frames.

    ``min_score``: people below it are left out, 0..1; it goes before the spec's own ``min_score`` option, and
    without either the detector's default holds. ``num_threads``: for the detectors on onnxruntime. ``device``: for
    those on torch (``torchvision``, ``detectron2``). Every option: docs/detectors.md.
    Raises ``DetectorError`` for a spec that cannot be understood, ``MissingDependencyError`` for a library that is
    not installed.
    """
    kind_name, target, texts = _parse(spec)
    kind = _KINDS[kind_name]
    detector_class = getattr(import_module(f"ava_detect.detectors.{kind.module}"), kind.class_name)
    options = read_options(texts, {"min_score": float, **detector_class.spec_options}, f"detector {spec!r}")
    if min_score is not None:
        options["min_score"] = min_score
    if not 0 <= options.get("min_score", 0) <= 1:
        raise DetectorError(f"detector {spec!r}: min_score must be in 0..1, got {options['min_score']}")
    common: dict[str, Any] = {"num_threads": num_threads, "device": device}
    options |= {name: common[name] for name in kind.takes}
    if kind.target == "FILE" and is_address(target):
        target = str(copy_of(Address(target)))
    detector: PersonDetector = detector_class(*([target] if kind.target else []), **options)
    return detector


def file_of(spec: str) -> Path | None:
    """The file that a detector reads, on this machine; None for one that reads none, or whose file is not there."""
    kind, _, target = spec.partition("?")[0].partition(":")
    if kind not in _KINDS or _KINDS[kind].target != "FILE":
        return None
    if is_address(target):
        return copy_of(Address(target))
    return Path(target) if Path(target).is_file() else None


def shown(spec: str) -> str:
    """A spec as people may see it: its address without users and passwords."""
    head, mark, options = spec.partition("?")
    return without_secrets(head) + mark + options


def _parse(spec: str) -> tuple[str, str, dict[str, str]]:
    """Kind, target and options' texts; ``DetectorError`` for an unknown kind or a missing or needless target."""
    head, _, tail = spec.partition("?")
    kind_name, _, target = head.partition(":")
    if kind_name not in _KINDS:
        forms = ", ".join(f"{name}:{kind.target}" if kind.target else name for name, kind in _KINDS.items())
        raise DetectorError(
            f"detector {spec!r}: there is no kind {kind_name!r}{suggestion(kind_name, _KINDS)}; give one of {forms}"
        )
    wanted = _KINDS[kind_name].target
    if wanted and not target:
        raise DetectorError(f"detector {spec!r} names no {wanted.lower()}; write {kind_name}:{wanted}")
    if target and not wanted:
        raise DetectorError(f"detector {spec!r}: {kind_name} takes no {target!r}; write {kind_name}")
    texts: dict[str, str] = {}
    for part in tail.split("&") if tail else []:
        name, equals, text = part.partition("=")
        if not (name and equals) or name in texts:
            raise DetectorError(
                f"detector {spec!r}: options are written ?name=value&name=value, each once, got {part!r}"
            )
        texts[name] = text
    return kind_name, target, texts
