"""The settings that belong to a checkpoint: with wrong settings the tensors fit, but the scores are wrong.

They are read from the file where it has them (PySlowFast's ``cfg`` text, our own metadata) and compared with the
model's. A wrong ``aligned`` alone changes a score by up to 8e-3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import yaml
from torch import nn

from ava_detect.errors import shown
from ava_detect.structures import ClipSettings

# The settings that decide the backbone's features. A detector that starts from a classifier needs only these equal:
# the classifier's clips may differ, and it has no RoIs.
BACKBONE_SETTINGS = ("alpha", "fusion_kernel", "colour_order", "mean", "std")


@dataclass(frozen=True)
class CheckpointSettings:
    """The known settings of a checkpoint; None where a setting is unknown.

    ``sampling_fps`` and those after it are None, too, where they are what PySlowFast does, as most files cannot say.

    Attributes:
        aligned: RoIAlign's half-pixel rule.
        alpha: Fast frames per slow frame.
        fusion_kernel: Length of the lateral convolutions in frames.
        num_frames: Frames of a clip, those of the fast pathway.
        sampling_rate: Step between the clip's frames; unknown where ``frame_offsets`` names them.
        short_side: Short side of the frames at test time in pixels.
        colour_order: ``"RGB"`` or ``"BGR"``.
        mean: Mean per channel, of values in 0..1.
        std: Standard deviation per channel, of values in 0..1.
        task: ``"detection"`` or ``"classification"``.
        sampling_fps: Steps per second, in which ``sampling_rate`` and ``frame_offsets`` count.
        frame_offsets: Steps from the keyframe to each frame of a clip.
        long_side: How the long side of the resized frames is rounded, ``"floor"`` or ``"round"``.
        box_rule: How boxes become RoIs; see ``RoIPool``.
        extension: By how much a box is extended in x and in y; see ``RoIPool``.
        score: The score of a detection; see ``detection_scores``.
    """

    aligned: bool | None = None
    alpha: int | None = None
    fusion_kernel: int | None = None
    num_frames: int | None = None
    sampling_rate: int | None = None
    short_side: int | None = None
    colour_order: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    task: str | None = None
    sampling_fps: float | None = None
    frame_offsets: tuple[int, ...] | None = None
    long_side: str | None = None
    box_rule: str | None = None
    extension: tuple[float, ...] | None = None
    score: str | None = None

    def known(self) -> dict[str, Any]:
        """List the known settings.

        Returns:
            Name -> value of each setting that is not None.
        """
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def contradictions(self, model: CheckpointSettings, names: Sequence[str]) -> list[str]:
        """Return the settings that are known on both sides and differ.

        Args:
            model: Settings of the model.
            names: Names of the settings to compare.

        Returns:
            One text per setting, such as ``"aligned False (model: True)"``.
        """
        return [
            f"{name} {shown(getattr(self, name))} (model: {model._shown(name)})"
            for name in self.differing(model, names)
        ]

    def differing(self, model: CheckpointSettings, names: Sequence[str]) -> list[str]:
        """Return the names of the settings that are known on both sides and differ.

        Args:
            model: Settings of the model.
            names: Names of the settings to compare.

        Returns:
            Those of ``names``.
        """
        return [
            name
            for name in names
            if (of_file := getattr(self, name)) is not None
            and (of_model := model._or_default(name)) is not None
            and not _equal(of_file, of_model)
        ]

    def _or_default(self, name: str) -> Any:
        """A setting's value, or what PySlowFast does."""
        value = getattr(self, name)
        return _PYSLOWFAST_RULES.get(name) if value is None else value

    def _shown(self, name: str) -> str:
        value = self._or_default(name)
        return "by sampling_rate" if value == () else str(value)


# The settings that are given only where they differ from PySlowFast's rules. No offsets: ``sampling_rate`` gives them.
_PYSLOWFAST_RULES: dict[str, Any] = {
    "sampling_fps": 30.0,
    "frame_offsets": (),
    "long_side": "floor",
    "box_rule": "pyslowfast",
    "extension": (0.0, 0.0),
    "score": "action",
}
# Sections of a config and their settings of a checkpoint.
_SECTIONS = {
    "model.backbone": ("alpha", "fusion_kernel"),
    "model.roi": ("aligned", "box_rule", "extension"),
    "model.head": ("score",),
    "clip": ("num_frames", "sampling_rate", "short_side", "mean", "std", "sampling_fps", "frame_offsets", "long_side"),
}
CHECKED_SETTINGS = tuple(f.name for f in fields(CheckpointSettings) if f.name != "task")


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def settings_of_model(model: nn.Module) -> CheckpointSettings:
    """Return the settings of a network.

    Args:
        model: An ``ActionDetector`` or ``ActionClassifier``.

    Returns:
        Its settings; None where it has no such part, such as ``aligned`` for a classifier.
    """
    backbone, roi_pool = getattr(model, "backbone", None), getattr(model, "roi_pool", None)
    clip: ClipSettings | None = getattr(model, "clip_settings", None)
    two_pathways = "fast" in getattr(backbone, "pathways", ())
    lateral = getattr(getattr(backbone, "lateral1", None), "conv", None)
    return CheckpointSettings(
        aligned=getattr(roi_pool, "aligned", None),
        alpha=getattr(backbone, "alpha", None) if two_pathways else None,
        fusion_kernel=lateral.kernel_size[0] if isinstance(lateral, nn.Conv3d) else None,
        colour_order="RGB",
        task="classification" if roi_pool is None else "detection",
        **({} if clip is None else _clip_settings(asdict(clip))),
        **_unusual(
            box_rule=getattr(roi_pool, "box_rule", None),
            extension=_floats(getattr(roi_pool, "extension", None)),
            score=None if roi_pool is None else getattr(getattr(model, "head", None), "score", None),
        ),
    )


def _clip_settings(clip: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a section ``clip``, all or part of it, as plain data."""
    offsets = clip.get("frame_offsets")
    if not isinstance(offsets, list | tuple) or not all(isinstance(offset, int) for offset in offsets):
        offsets = None
    return {
        "num_frames": clip.get("num_frames"),
        "sampling_rate": None if offsets else clip.get("sampling_rate"),
        "short_side": clip.get("short_side"),
        **{name: _floats(clip.get(name)) for name in ("mean", "std")},
        **_unusual(
            sampling_fps=clip.get("sampling_fps"),
            frame_offsets=None if offsets is None else tuple(offsets),
            long_side=clip.get("long_side"),
        ),
    }


def _unusual(**rules: Any) -> dict[str, Any]:
    """The rules that are not PySlowFast's."""
    return {name: value for name, value in rules.items() if value != _PYSLOWFAST_RULES[name]}


def settings_of_pyslowfast(text: str) -> CheckpointSettings | None:
    """Return the settings in the ``cfg`` text of a PySlowFast checkpoint.

    ``ALPHA`` and ``FUSION_KERNEL_SZ`` are in every dump, but have a meaning for networks of two pathways only.

    Args:
        text: The text.

    Returns:
        The settings; None when the text is not a YAML mapping.
    """
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # of an impossible date, of lists nested too deeply
        return None
    if not isinstance(content, dict):
        return None

    def get(section: str, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        part = content.get(section)
        value = part.get(key, default) if isinstance(part, dict) else default
        return value if isinstance(value, kind) else default

    detection = get("DETECTION", "ENABLE", bool)
    slow_only = get("MODEL", "ARCH", str) in ("slow", "c2d", "i3d", "slow_c2d", "slow_i3d", "c2d_nopool", "i3d_nopool")
    # The colour order of the frames as they are read (BGR only for AVA, by its own key), then perhaps reversed.
    frames_are_bgr = get("AVA", "BGR", bool) if detection else (False if detection is not None else None)
    bgr = None if frames_are_bgr is None else frames_are_bgr != get("DATA", "REVERSE_INPUT_CHANNEL", bool, False)
    return CheckpointSettings(
        aligned=get("DETECTION", "ALIGNED", bool) if detection else None,
        alpha=None if slow_only else get("SLOWFAST", "ALPHA", int),
        fusion_kernel=None if slow_only else get("SLOWFAST", "FUSION_KERNEL_SZ", int),
        num_frames=get("DATA", "NUM_FRAMES", int),
        sampling_rate=get("DATA", "SAMPLING_RATE", int),
        short_side=get("DATA", "TEST_CROP_SIZE", int),
        colour_order=None if bgr is None else "BGR" if bgr else "RGB",
        mean=_floats(get("DATA", "MEAN", list)),
        std=_floats(get("DATA", "STD", list)),
        task=None if detection is None else "detection" if detection else "classification",
    )


def settings_of_config(config: Mapping[str, Any]) -> CheckpointSettings:
    """Return the settings in one of our configs.

    Args:
        config: All or part of a config as plain data (``Config.model_dump(mode="json")``).

    Returns:
        The settings that it contains, without the colour order.
    """

    def get(*path: str) -> Any:
        value: Any = config
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    slow_only = "fast" not in (get("model", "backbone", "pathways") or ("fast",))
    is_detector = get("model", "task") != "classification"
    clip = config.get("clip")
    return CheckpointSettings(
        alpha=None if slow_only else get("model", "backbone", "alpha"),
        fusion_kernel=None if slow_only else get("model", "backbone", "fusion_kernel"),
        task=get("model", "task"),
        aligned=get("model", "roi", "aligned") if is_detector else None,
        **(_clip_settings(clip) if isinstance(clip, Mapping) else {}),
        **_unusual(
            box_rule=get("model", "roi", "box_rule"),
            extension=_floats(get("model", "roi", "extension")),
            score=get("model", "head", "score"),
        ),
    )


def settings_of_overrides(overrides: Sequence[str]) -> frozenset[str]:
    """Return the settings that overrides of one of our configs replace.

    Args:
        overrides: ``section.key=value`` each.

    Returns:
        Names of settings.
    """
    keys = {name: f"{section}.{name}" for section, names in _SECTIONS.items() for name in names}
    given = [text.partition("=")[0].strip() for text in overrides]
    # An override may also replace the section around a setting.
    return frozenset(name for name, key in keys.items() if any(f"{key}.".startswith(f"{one}.") for one in given))


def config_of_settings(settings: CheckpointSettings) -> dict[str, Any]:
    """Return the part of one of our configs that the settings determine; the inverse of ``settings_of_config``.

    Args:
        settings: The settings. The colour order is left out: our networks always read RGB.

    Returns:
        Part of a config as plain data.
    """
    known = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.known().items()}
    backbone, roi, head, clip = ({name: known[name] for name in names if name in known} for names in _SECTIONS.values())
    task = {"task": settings.task} if settings.task is not None else {}
    return {"model": {"backbone": backbone, "roi": roi, "head": head, **task}, "clip": clip}


def pyslowfast_of_settings(settings: CheckpointSettings) -> str:
    """Return the ``cfg`` text of a PySlowFast checkpoint; the inverse of ``settings_of_pyslowfast``.

    Args:
        settings: The settings; unknown ones are left out.

    Returns:
        YAML text.
    """
    detection = None if settings.task is None else settings.task == "detection"
    bgr = None if settings.colour_order is None else settings.colour_order == "BGR"
    sections: dict[str, dict[str, Any]] = {
        "DATA": {
            "NUM_FRAMES": settings.num_frames,
            "SAMPLING_RATE": settings.sampling_rate,
            "TEST_CROP_SIZE": settings.short_side,
            "MEAN": settings.mean and list(settings.mean),
            "STD": settings.std and list(settings.std),
            "REVERSE_INPUT_CHANNEL": bgr if detection is False else None,
        },
        "SLOWFAST": {"ALPHA": settings.alpha, "FUSION_KERNEL_SZ": settings.fusion_kernel},
        "DETECTION": {"ENABLE": detection, "ALIGNED": settings.aligned},
        "AVA": {"BGR": bgr if detection else None},
    }
    given = {name: {k: v for k, v in part.items() if v is not None} for name, part in sections.items()}
    return yaml.safe_dump({name: part for name, part in given.items() if part}, sort_keys=True)


def _floats(values: Any) -> tuple[float, ...] | None:
    """A list of numbers as a tuple of floats; None for anything else."""
    if not isinstance(values, list | tuple) or not all(isinstance(v, int | float) for v in values):
        return None
    return tuple(float(v) for v in values)
