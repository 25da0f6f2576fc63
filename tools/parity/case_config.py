"""From a reference case's settings to a config of ours, whatever the case is called.

``meta.json`` says what the peer's model was. What a family's cases leave out of it (pytorchvideo's structure, and the
kernels in time of the others) is read off the names and shapes in ``keys.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ava_detect.config import Config
from ava_detect.models.slowfast import STAGES

PATHWAYS = ("slow", "fast")
# Bottleneck blocks by the number that cases call "depth"; other depths are counted in the names of keys.json.
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class CaseError(Exception):
    """What is wrong with a case, or with what was built from it."""


def config_of(case: Any) -> Config:
    """The config of a case, from its ``meta.json``; what pytorchvideo's leave out is read off its ``keys.json``."""
    meta, settings = case.meta, case.meta["model"]
    detection = meta["kind"] == "det"
    family = {"PySlowFast": _pyslowfast, "pytorchvideo": _pytorchvideo, "mmaction2": _mmaction2}.get(meta["family"])
    if family is None:
        raise CaseError(f"unknown family {meta['family']!r}")
    model = family(settings, case)
    model["task"] = "detection" if detection else "classification"
    if not detection:
        model.pop("roi", None)
        crop = settings.get("train_crop") or _train_crop(meta)
        model["head"] |= {"activation": settings["head_act"].split(" ")[0], "pool_size": crop // 32}
    scale = 255 if settings.get("mean_std_on_0_255") else 1
    clip = {
        "num_frames": settings["frames"],
        "sampling_rate": settings.get("sampling_rate", 2),
        "mean": [value / scale for value in settings["mean"]],
        "std": [value / scale for value in settings["std"]],
    }
    return Config.model_validate({"model": model, "clip": clip})


def _pyslowfast(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    single = settings.get("single_pathway", False)
    pathways = PATHWAYS[:1] if single else PATHWAYS
    backbone = {
        "pathways": pathways,
        "depths": _depths(settings, case, r"s{stage}\.pathway0_res(\d+)\."),
        "alpha": 1 if single else settings["alpha"],
        **{name: settings[name] for name in ("width", "beta_inv", "fusion_ratio", "fusion_kernel") if name in settings},
        "temporal_kernels": _temporal_kernels(
            case, pathways, "s1.pathway{p}_stem.conv", "s{stage}.pathway{p}_res0.branch2.a"
        ),
        "num_temporal": _by_pathway(settings["num_block_temp_kernel"], pathways),
        "strides": _by_pathway(settings["strides"], pathways),
        "dilations": _by_pathway(settings["dilations"], pathways),
        "nonlocal_affinity": settings.get("nonlocal_kind", "dot_product"),
        **_nonlocal_places(settings, pathways),
    }
    roi = {
        "resolution": settings["roi_resolution"],
        "feature_stride": settings["roi_scale"],
        "aligned": settings["aligned"],
    }
    return {"backbone": backbone, "roi": roi, "head": {"num_classes": settings["num_classes"]}}


def _pytorchvideo(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    shapes = _shapes(case, prefix="model.")
    two = any("multipathway" in key for key in shapes)
    pathways = PATHWAYS if two else PATHWAYS[:1]
    inside = "multipathway_blocks.{p}." if two else ""
    stem, block = f"blocks.0.{inside}", f"blocks.{{block}}.{inside}"
    width = shapes[stem.format(p=0) + "conv.weight"][0]
    detection = case.meta["kind"] == "det"
    backbone: dict[str, Any] = {
        "pathways": pathways,
        "depths": _depths(
            settings,
            case,
            re.escape(block.format(block="BLOCK", p=0)).replace("BLOCK", "{block}") + r"res_blocks\.(\d+)\.",
        ),
        "width": width,
        "alpha": settings["alpha"] if two else 1,
        "temporal_kernels": _temporal_kernels(case, pathways, stem + "conv", block + "res_blocks.0.branch2.conv_a"),
        "num_temporal": _num_temporal(case, pathways, block + "res_blocks.{i}.branch2.conv_a"),
        "strides": settings.get("strides", (1, 2, 2, 1) if detection else (1, 2, 2, 2)),
        "dilations": settings.get("dilations", (1, 1, 1, 2) if detection else (1, 1, 1, 1)),
    }
    if two:
        fusion = shapes["blocks.0.multipathway_fusion.conv_fast_to_slow.weight"]
        fast = shapes[stem.format(p=1) + "conv.weight"][0]
        backbone |= {"beta_inv": width // fast, "fusion_ratio": fusion[0] // fast, "fusion_kernel": fusion[2]}
    classes = next(shape[0] for key, shape in shapes.items() if key.endswith("proj.weight"))
    roi = {"resolution": settings.get("roi_resolution", 7), "aligned": bool(settings.get("aligned"))}
    return {"backbone": backbone, "roi": roi, "head": {"num_classes": classes}}


def _mmaction2(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    if settings.get("lateral_relu", settings["lateral_norm"]) != settings["lateral_norm"]:
        raise CaseError("a lateral connection with a ReLU has a batch norm too, in every graph that can be built here")
    backbone = {
        "depths": _depths(settings, case, r"backbone\.slow_path\.layer{layer}\.(\d+)\."),
        "alpha": settings["resample_rate"],
        "slow_frames": "stride",
        **{name: settings[name] for name in ("width", "beta_inv", "fusion_ratio", "fusion_kernel", "lateral_norm")},
        "temporal_kernels": _temporal_kernels(
            case, PATHWAYS, "backbone.{name}_path.conv1.conv", "backbone.{name}_path.layer{layer}.0.conv1.conv"
        ),
        "num_temporal": _num_temporal(case, PATHWAYS, "backbone.{name}_path.layer{layer}.{i}.conv1.conv"),
        "strides": _values(settings["strides"], PATHWAYS),
        "dilations": _values(settings["dilations"], PATHWAYS),
    }
    background = settings.get("background_class") == 0
    roi = {
        "resolution": settings["roi_output_size"],
        "feature_stride": settings["roi_scale"],
        "aligned": settings["aligned"],
        "temporal_pool": {"avg": "mean", "max": "max"}[settings["temporal_pool"]],
        "with_global": settings["with_global"],
    }
    head = {"num_classes": settings["num_classes"] - background, "background_class": background}
    return {"backbone": backbone, "roi": roi, "head": head}


def _shapes(case: Any, prefix: str = "") -> dict[str, list[int]]:
    return {entry["key"].removeprefix(prefix): entry["shape"] for entry in case.keys}


def _depths(settings: Mapping[str, Any], case: Any, pattern: str) -> list[int]:
    """By the case's ``depth`` where that is known, else by counting the blocks that ``pattern`` finds in the names."""
    if settings.get("depth") in DEPTHS:
        return list(DEPTHS[settings["depth"]])
    names = list(_shapes(case, "model."))
    depths = []
    for stage in STAGES:
        this = re.compile(
            pattern.replace("{stage}", str(stage)).replace("{block}", str(stage - 1)).replace("{layer}", str(stage - 1))
        )
        depths.append(1 + max(int(match[1]) for name in names if (match := this.match(name))))
    return depths


def _kernel(case: Any, template: str, pathway: str, stage: int = 0, i: int = 0) -> int | None:
    name = template.format(p=PATHWAYS.index(pathway), name=pathway, stage=stage, block=stage - 1, layer=stage - 1, i=i)
    shape = _shapes(case, "model.").get(name + ".weight")
    return None if shape is None else shape[2]


def _temporal_kernels(case: Any, pathways: tuple[str, ...], stem: str, conv_a: str) -> dict[str, list[int]]:
    """Kernels in time of the stem and of each stage's first conv a, by the shapes of the weights."""
    return {
        p: [_kernel(case, stem, p) or 1, *(_kernel(case, conv_a, p, stage) or 1 for stage in STAGES)] for p in pathways
    }


def _num_temporal(case: Any, pathways: tuple[str, ...], conv_a: str) -> dict[str, list[int]]:
    """How many first blocks of each stage share the first one's kernel in time."""

    def count(pathway: str, stage: int) -> int:
        first, i = _kernel(case, conv_a, pathway, stage), 1
        while _kernel(case, conv_a, pathway, stage, i) == first:
            i += 1
        return i

    return {p: [count(p, stage) for stage in STAGES] for p in pathways}


def _by_pathway(stages: list[list[Any]], pathways: tuple[str, ...]) -> dict[str, list[Any]]:
    """``[[slow, fast] per stage]`` -> pathway -> per stage."""
    return {pathway: [stage[p] for stage in stages] for p, pathway in enumerate(pathways)}


def _values(stages: list[Any], pathways: tuple[str, ...]) -> Any:
    return _by_pathway(stages, pathways) if isinstance(stages[0], list) else stages


def _nonlocal_places(settings: Mapping[str, Any], pathways: tuple[str, ...]) -> dict[str, Any]:
    places: dict[str, dict[str, dict[int, Any]]] = {}
    for ours, theirs in (("blocks", "location"), ("pool", "pool"), ("groups", "group")):
        places[f"nonlocal_{ours}"] = {
            pathway: {
                stage: settings[f"nonlocal_{theirs}"][s][p]
                for s, stage in enumerate(STAGES)
                if settings["nonlocal_location"][s][p]
            }
            for p, pathway in enumerate(pathways)
            if f"nonlocal_{theirs}" in settings
        }
    return places


def _train_crop(meta: Mapping[str, Any]) -> int:
    """Pytorchvideo's head pools windows of 7 x 7 (``create_slowfast``), the map of a 224 crop."""
    crops = [variant["height"] for variant in meta["variants"] if variant["name"] == "train_crop"]
    return int(crops[0]) if crops else 224
