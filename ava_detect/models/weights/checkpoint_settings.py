"""The settings that travel with a checkpoint: tensors fit without them, scores do not.

Read from the file where it has them (PySlowFast's ``cfg`` text, our own metadata) and compared with the model.
``aligned`` alone is worth 8e-3 on a score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import yaml
from torch import nn

# A classifier's clips and RoIs are its own affair; these make the features what they are.
BACKBONE_KNOBS = ("alpha", "fusion_kernel", "colour_order", "mean", "std")


@dataclass(frozen=True)
class CheckpointSettings:
    """What is known of a checkpoint's settings; None where nothing is.

    ``aligned``: RoIAlign's half-pixel rule. ``alpha``: fast frames per slow frame. ``fusion_kernel``: frames of the
    lateral convolutions. ``num_frames``, ``sampling_rate``: of the clip, fast pathway. ``short_side``: pixels at test.
    ``colour_order``: RGB or BGR. ``mean``, ``std``: per channel, of values in 0..1. ``task``: detection or
    classification.
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
        """The settings that are not None, by name."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    def contradictions(self, model: CheckpointSettings, names: Sequence[str]) -> list[str]:
        """Every setting of ``names`` that both sides know and disagree on, as ``"aligned False (model: True)"``."""
        return [
            f"{name} {ours} (model: {theirs})"
            for name in names
            if (ours := getattr(self, name)) is not None
            and (theirs := getattr(model, name)) is not None
            and not _equal(ours, theirs)
        ]


CHECKED = tuple(f.name for f in fields(CheckpointSettings) if f.name != "task")


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def knobs_of_model(model: nn.Module) -> CheckpointSettings:
    """The settings of an ``ActionDetector`` or ``ActionClassifier``, of which each has what it has."""
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


def knobs_of_pyslowfast(text: str) -> CheckpointSettings | None:
    """The settings in the ``cfg`` text of a PySlowFast checkpoint; None when it is no YAML mapping.

    ``ALPHA`` and ``FUSION_KERNEL_SZ`` stand in every dump and mean something for two pathways only.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(content, dict):
        return None

    def get(section: str, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        part = content.get(section)
        value = part.get(key, default) if isinstance(part, dict) else default
        return value if isinstance(value, kind) else default

    detection = get("DETECTION", "ENABLE", bool)
    slow_only = get("MODEL", "ARCH", str) in ("slow", "c2d", "i3d", "slow_c2d", "slow_i3d", "c2d_nopool", "i3d_nopool")
    in_frames_bgr = get("AVA", "BGR", bool) if detection else (False if detection is not None else None)
    bgr = None if in_frames_bgr is None else in_frames_bgr != get("DATA", "REVERSE_INPUT_CHANNEL", bool, False)
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


def knobs_of_config(config: Mapping[str, Any]) -> CheckpointSettings:
    """The settings in one of our configs, as plain data (``Config.model_dump(mode="json")``), whole or in part."""

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


def config_of_knobs(knobs: CheckpointSettings) -> dict[str, Any]:
    """The part of one of our configs that ``knobs`` fill; the inverse of ``knobs_of_config``.

    Without the colour order, which our configs do not have: our networks see RGB.
    """
    known = knobs.known()
    clip = ("num_frames", "sampling_rate", "short_side", "mean", "std")
    return {
        "model": {
            "backbone": {name: known[name] for name in ("alpha", "fusion_kernel") if name in known},
            "roi": {"aligned": known["aligned"]} if "aligned" in known else {},
            **({"task": known["task"]} if "task" in known else {}),
        },
        "clip": {name: list(v) if isinstance(v := known[name], tuple) else v for name in clip if name in known},
    }


def pyslowfast_of_knobs(knobs: CheckpointSettings) -> str:
    """The ``cfg`` text of a PySlowFast checkpoint with these settings; the inverse of ``knobs_of_pyslowfast``."""
    detection = None if knobs.task is None else knobs.task == "detection"
    bgr = None if knobs.colour_order is None else knobs.colour_order == "BGR"
    sections: dict[str, dict[str, Any]] = {
        "DATA": {
            "NUM_FRAMES": knobs.num_frames,
            "SAMPLING_RATE": knobs.sampling_rate,
            "TEST_CROP_SIZE": knobs.short_side,
            "MEAN": knobs.mean and list(knobs.mean),
            "STD": knobs.std and list(knobs.std),
            "REVERSE_INPUT_CHANNEL": bgr if detection is False else None,
        },
        "SLOWFAST": {"ALPHA": knobs.alpha, "FUSION_KERNEL_SZ": knobs.fusion_kernel},
        "DETECTION": {"ENABLE": detection, "ALIGNED": knobs.aligned},
        "AVA": {"BGR": bgr if detection else None},
    }
    given = {name: {k: v for k, v in part.items() if v is not None} for name, part in sections.items()}
    return yaml.safe_dump({name: part for name, part in given.items() if part}, sort_keys=True)


def _floats(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, list | tuple) or not all(isinstance(v, int | float) for v in values):
        return None
    return tuple(float(v) for v in values)
