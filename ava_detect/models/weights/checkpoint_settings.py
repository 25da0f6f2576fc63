"""The settings that belong to a checkpoint: with wrong settings the tensors fit, but the scores are wrong.

They are read from the file where it has them (PySlowFast's ``cfg`` text, our own metadata) and compared with the
model's. A wrong ``aligned`` alone changes a score by up to 8e-3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import yaml
from torch import nn

from ava_detect.errors import shown

# The settings that decide the backbone's features. A detector that starts from a classifier needs only these equal:
# the classifier's clips may differ, and it has no RoIs.
BACKBONE_SETTINGS = ("alpha", "fusion_kernel", "colour_order", "mean", "std")


@dataclass(frozen=True)
class CheckpointSettings:
    """The known settings of a checkpoint; None where a setting is unknown.

    Attributes:
        aligned: RoIAlign's half-pixel rule.
        alpha: Fast frames per slow frame.
        fusion_kernel: Length of the lateral convolutions in frames.
        num_frames: Frames of a clip, those of the fast pathway.
        sampling_rate: Step between the clip's frames.
        short_side: Short side of the frames at test time in pixels.
        colour_order: ``"RGB"`` or ``"BGR"``.
        mean: Mean per channel, of values in 0..1.
        std: Standard deviation per channel, of values in 0..1.
        task: ``"detection"`` or ``"classification"``.
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
            f"{name} {shown(getattr(self, name))} (model: {getattr(model, name)})"
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
            and (of_model := getattr(model, name)) is not None
            and not _equal(of_file, of_model)
        ]


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
    clip = getattr(model, "clip_settings", None)
    two_pathways = "fast" in getattr(backbone, "pathways", ())
    lateral = getattr(getattr(backbone, "lateral1", None), "conv", None)
    return CheckpointSettings(
        aligned=getattr(roi_pool, "aligned", None),
        alpha=getattr(backbone, "alpha", None) if two_pathways else None,
        fusion_kernel=lateral.kernel_size[0] if isinstance(lateral, nn.Conv3d) else None,
        num_frames=getattr(clip, "num_frames", None),
        sampling_rate=getattr(clip, "sampling_rate", None),
        short_side=getattr(clip, "short_side", None),
        colour_order="RGB",
        mean=_floats(getattr(clip, "mean", None)),
        std=_floats(getattr(clip, "std", None)),
        task="classification" if roi_pool is None else "detection",
    )


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
    return CheckpointSettings(
        aligned=get("model", "roi", "aligned") if get("model", "task") != "classification" else None,
        alpha=None if slow_only else get("model", "backbone", "alpha"),
        fusion_kernel=None if slow_only else get("model", "backbone", "fusion_kernel"),
        num_frames=get("clip", "num_frames"),
        sampling_rate=get("clip", "sampling_rate"),
        short_side=get("clip", "short_side"),
        mean=_floats(get("clip", "mean")),
        std=_floats(get("clip", "std")),
        task=get("model", "task"),
    )


def settings_of_overrides(overrides: Sequence[str]) -> frozenset[str]:
    """Return the settings that overrides of one of our configs replace.

    Args:
        overrides: ``section.key=value`` each.

    Returns:
        Names of settings.
    """
    keys = {
        "aligned": "model.roi.aligned",
        "alpha": "model.backbone.alpha",
        "fusion_kernel": "model.backbone.fusion_kernel",
        **{name: f"clip.{name}" for name in ("num_frames", "sampling_rate", "short_side", "mean", "std")},
    }
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
    known = settings.known()
    clip = ("num_frames", "sampling_rate", "short_side", "mean", "std")
    return {
        "model": {
            "backbone": {name: known[name] for name in ("alpha", "fusion_kernel") if name in known},
            "roi": {"aligned": known["aligned"]} if "aligned" in known else {},
            **({"task": known["task"]} if "task" in known else {}),
        },
        "clip": {name: list(v) if isinstance(v := known[name], tuple) else v for name in clip if name in known},
    }


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
