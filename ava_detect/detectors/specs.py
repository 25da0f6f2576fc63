"""Detector specs: text that names a detector, ``KIND[:TARGET][?option=value&option=value]``.

The kinds are ``builtin``, ``onnx:FILE``, ``ultralytics:MODEL``, ``transformers:MODEL``, ``torchvision:NAME``,
``detectron2:CONFIG`` and ``boxes:FILE``, and those of plug-ins; a FILE may be an address. A kind's library is imported
when a detector of that kind is built, not before.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ava_detect.detectors.base import PersonDetector, read_options
from ava_detect.detectors.libraries import install_command, is_installed, require_library
from ava_detect.errors import AvaDetectError, DetectorError, MissingDependencyError, shown, suggestion
from ava_detect.interface.plug_ins import DETECTORS, PlugIn, WithPlugIns
from ava_detect.storage.addresses import Address, is_address, without_secrets
from ava_detect.storage.cache import cached_copy


@dataclass(frozen=True)
class _Kind:
    """One kind of detector.

    Attributes:
        module: Its module in ``ava_detect.detectors``; empty for a plug-in.
        class_name: Its class there.
        target: Placeholder of its target in messages; empty for a kind without target.
        takes: The common settings that its constructor has.
        has_file: Whether its target is one file, or can be.
        library: The optional library that it needs; empty for one that is always installed.
        also: Other names that people give it, for the hint to an unknown kind.
        plug_in: The plug-in that adds it, and its class; None for ours.
    """

    module: str
    class_name: str
    target: str = ""
    takes: tuple[str, ...] = ()
    has_file: bool = False
    library: str = ""
    also: tuple[str, ...] = ()
    plug_in: tuple[PlugIn, Any] | None = None

    def load(self) -> Any:
        """Import the class."""
        if self.plug_in is not None:
            return self.plug_in[1]
        return getattr(import_module(f"ava_detect.detectors.{self.module}"), self.class_name)


def _of_plug_in(plug_in: PlugIn, detector_class: Any) -> _Kind:
    """The kind that a plug-in adds, as its class describes it (docs/plugins.md)."""
    if not callable(detector_class):
        raise plug_in.error("is no class of detectors")
    if not _NAME.fullmatch(plug_in.name):
        raise plug_in.error("has a name that is no kind: lower-case letters, digits and hyphens, a letter first")
    target, takes = getattr(detector_class, "spec_target", ""), getattr(detector_class, "spec_takes", ())
    if not isinstance(getattr(detector_class, "spec_options", {}), Mapping):
        raise plug_in.error("has `spec_options` that are no mapping of option to converter")
    if unknown := set(takes) - _COMMON:
        raise plug_in.error(f"has `spec_takes` with {shown(sorted(unknown))}; there are only {sorted(_COMMON)}")
    return _Kind("", "", target, tuple(takes), has_file=target == "FILE", plug_in=(plug_in, detector_class))


# Settings that a caller gives for a detector of any kind.
_COMMON = {"num_threads", "device"}
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_OURS = {
    "builtin": _Kind("builtin", "BuiltinDetector", takes=("num_threads",)),
    "onnx": _Kind("onnx", "OnnxDetector", "FILE", ("num_threads",), has_file=True),
    "ultralytics": _Kind(
        "ultralytics",
        "UltralyticsDetector",
        "MODEL",
        ("device",),
        has_file=True,
        library="ultralytics",
        also=("yolo", "rtdetr", "rt-detr"),
    ),
    "transformers": _Kind(
        "transformers",
        "TransformersDetector",
        "MODEL",
        ("device",),
        library="transformers",
        also=("hf", "huggingface", "hub", "detr"),
    ),
    "torchvision": _Kind("torchvision", "TorchvisionDetector", "NAME", ("device",)),
    "detectron2": _Kind("detectron2", "Detectron2Detector", "CONFIG", ("device",), library="detectron2"),
    "boxes": _Kind("precomputed", "PrecomputedBoxes", "FILE", has_file=True),
}
#: Every kind of detector: ours, and those of plug-ins.
DETECTOR_KINDS = WithPlugIns[_Kind](_OURS, DETECTORS, _of_plug_in)


# What a spec without a kind looks like, the first that fits.
_LOOKS_LIKE = {
    r".+\.onnx": "onnx",
    r".+\.(csv|csv\.gz|json|pkl)": "boxes",
    r".+\.(pt|yaml)|yolo[\w.-]*|rtdetr-\w+": "ultralytics",
    r"(fasterrcnn|fcos|keypointrcnn|maskrcnn|retinanet|ssd|ssdlite320)_\w+": "torchvision",
    r"[\w.-]+/[\w.-]+": "transformers",
}
_SAVED_WEIGHTS = "model.safetensors"


def spec_beginnings() -> list[str]:
    """Return how specs begin: the kinds, with a colon where a target follows; those of plug-ins without one."""
    return [*(f"{name}:" if kind.target else name for name, kind in _OURS.items()), *DETECTOR_KINDS.added]


def build_detector(
    spec: str, *, min_score: float | None = None, num_threads: int | None = None, device: str = "cpu"
) -> PersonDetector:
    """Build the detector that a spec names.

    Args:
        spec: ``KIND[:TARGET][?option=value&option=value]``; docs/detectors.md lists every option.
        min_score: Lowest score of a person, 0..1. It takes precedence over the spec's option ``min_score``; without
            either, the detector's default is used.
        num_threads: Threads of the detectors on onnxruntime (``builtin``, ``onnx``); by default one per usable core.
        device: Device of the detectors on torch (``ultralytics``, ``transformers``, ``torchvision``, ``detectron2``).

    Returns:
        The detector, ready to be called with frames.

    Raises:
        DetectorError: The spec is invalid, or its file or weights cannot be used.
        MissingDependencyError: The detector's library is not installed.

    Example:
        >>> detector = build_detector("onnx:yolox_s.onnx?layout=yolox", min_score=0.5)
    """
    kind_name, target, texts = _parse(spec)
    kind = DETECTOR_KINDS[kind_name]
    detector_class = kind.load()
    converters = {"min_score": float, **getattr(detector_class, "spec_options", {})}
    options = read_options(texts, converters, f"detector {spec!r}")
    if min_score is not None:
        options["min_score"] = min_score
    if not 0 <= options.get("min_score", 0) <= 1:
        raise DetectorError(f"detector {spec!r}: min_score must be in 0..1, got {options['min_score']}")
    common: dict[str, Any] = {"num_threads": num_threads, "device": device}
    options |= {name: common[name] for name in kind.takes}
    if kind.has_file and is_address(target):
        target = str(cached_copy(Address(target)))
    arguments = [target] if kind.target else []
    if kind.plug_in is not None:
        return _built(kind.plug_in[0], detector_class, arguments, options)
    detector: PersonDetector = detector_class(*arguments, **options)
    return detector


def _built(plug_in: PlugIn, detector_class: Any, arguments: list[str], options: dict[str, Any]) -> PersonDetector:
    """Build the detector of a plug-in: whatever it raises is its own fault, and said to be."""
    try:
        detector = detector_class(*arguments, **options)
    except (AvaDetectError, MissingDependencyError, MemoryError):
        raise
    except Exception as error:
        raise plug_in.error(f"cannot be built ({type(error).__name__}: {shown(error)})") from error
    if not isinstance(detector, PersonDetector):
        raise plug_in.error("builds no detector: it needs `name`, `needs_images` and a call with frames")
    return detector


def runs_on_onnxruntime(spec: str) -> bool:
    """Tell whether a detector needs onnxruntime and no PyTorch; if so, import its module.

    Args:
        spec: The detector's spec.

    Returns:
        True if ``build_detector`` may be called in a thread while another thread imports PyTorch.

    Raises:
        DetectorError: The spec is invalid.
    """
    kind = DETECTOR_KINDS[_parse(spec)[0]]
    if "num_threads" not in kind.takes or kind.plug_in is not None:
        return False
    import_module(f"ava_detect.detectors.{kind.module}")
    return True


def check_spec(spec: str) -> None:
    """Refuse a spec that cannot be understood, or whose file or library is not there; nothing is loaded or read.

    Args:
        spec: The detector's spec.

    Raises:
        DetectorError: The spec is invalid, or there is no such file.
        MissingDependencyError: The detector's library is not installed.
    """
    kind_name, target, _ = _parse(spec)
    if library := DETECTOR_KINDS[kind_name].library:
        require_library(library)
    if DETECTOR_KINDS[kind_name].target != "FILE" or is_address(target):
        return
    option = "boxes" if kind_name == "boxes" else "detector"
    try:
        mode = Path(target).stat().st_mode
    except (OSError, ValueError) as error:
        raise DetectorError(f"`{option}`: there is no file {shown(target)}") from error
    if stat.S_ISDIR(mode):
        raise DetectorError(f"`{option}`: {shown(target)} is a folder; give a file")


def file_of(spec: str) -> Path | None:
    """Return the local file that a detector reads; a file at an address is copied into the cache.

    Args:
        spec: The detector's spec.

    Returns:
        The path; None for a kind without file, for a name, and where the file does not exist.
    """
    kind, _, target = _head_and_options(spec)[0].partition(":")
    if kind not in DETECTOR_KINDS:
        return None
    if DETECTOR_KINDS[kind].has_file and is_address(target):
        return cached_copy(Address(target))
    candidates = [Path(target, _SAVED_WEIGHTS)] if kind == "transformers" else [Path(target)]
    if kind == "ultralytics":
        candidates.append(Path(f"{target}.pt"))
    is_read = kind == "transformers" or DETECTOR_KINDS[kind].has_file
    return next((path for path in candidates if is_read and _is_file(str(path))), None)


def spec_without_secrets(spec: str) -> str:
    """Return a spec for messages and summaries: its address without user and password.

    Args:
        spec: The detector's spec.

    Returns:
        The spec without secrets.
    """
    head, options = _head_and_options(spec)
    return without_secrets(head) + (f"?{options}" if options else "")


def _head_and_options(spec: str) -> tuple[str, str]:
    """Split a spec before its options; a file's name may hold question marks itself."""
    for head, _, options in ((spec, "", ""), spec.rpartition("?")):
        if "?" in head and _is_file(head.partition(":")[2]):
            return head, options
    head, _, options = spec.partition("?")
    return head, options


def _meant(head: str) -> str:
    """A hint for a spec of an unknown kind: a kind by another name, or a model or file without its kind."""
    kind_name, colon, target = head.partition(":")
    others = {other: name for name, kind in _OURS.items() for other in kind.also}
    kinds = {**{name: name for name in DETECTOR_KINDS}, **others}
    kind = kinds.get(kind_name.casefold()) if colon else _kind_of(head)
    if kind:
        library = DETECTOR_KINDS[kind].library
        needs = "" if not library or is_installed(library) else f" It needs {library}: {install_command(library)}"
        return f" (did you mean {kind + ':' + (target if colon else head)!r}?{needs})"
    return suggestion(kind_name, DETECTOR_KINDS)


def _kind_of(model: str) -> str:
    """The kind that a model or file without a kind is of, by its name; empty for any other text."""
    for pattern, kind in _LOOKS_LIKE.items():
        if re.fullmatch(pattern, model, re.IGNORECASE):
            return kind
    return ""


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # such as a name that is too long
        return False


def _parse(spec: str) -> tuple[str, str, dict[str, str]]:
    """Split a spec into kind, target and option texts; ``DetectorError`` where one of them is invalid."""
    head, tail = _head_and_options(spec)
    kind_name, _, target = head.partition(":")
    if kind_name not in DETECTOR_KINDS:
        kinds = DETECTOR_KINDS.usable().items()
        forms = ", ".join(f"{name}:{kind.target}" if kind.target else name for name, kind in kinds)
        raise DetectorError(f"detector {spec!r}: there is no kind {kind_name!r}{_meant(head)}; give one of {forms}")
    wanted = DETECTOR_KINDS[kind_name].target
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
