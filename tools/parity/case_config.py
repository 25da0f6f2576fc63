"""Translate the settings of a reference case into a config.

``meta.json`` holds the settings of the reference model. Settings that a family's cases leave out (pytorchvideo's
structure, the temporal kernel sizes of the others) are inferred from the names and shapes in ``keys.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ava_detect.config import Config
from ava_detect.models.slowfast import STAGES

PATHWAYS = ("slow", "fast")
TEMPORAL_POOLS = {"avg": "mean", "max": "max"}
# Bottleneck blocks per stage by the number that cases call "depth"; other depths are counted in keys.json.
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class CaseError(Exception):
    """A case is invalid, or the model built from it differs from the reference."""


def config_of(case: Any) -> Config:
    """Build the config of a case.

    Args:
        case: The case, with ``meta`` and ``keys``.

    Returns:
        The config of the reference model.

    Raises:
        CaseError: The family is unknown, or the model cannot be built here.
    """
    meta, settings = case.meta, case.meta["model"]
    detection = meta["kind"] == "det"
    if meta["family"] not in FAMILIES:
        raise CaseError(f"unknown family {meta['family']!r}")
    family = _vit if settings.get("arch") == "vit" else FAMILIES[meta["family"]]
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
        **_nonlocal_settings(settings, pathways),
    }
    roi = {
        "resolution": settings["roi_resolution"],
        "feature_stride": settings["roi_scale"],
        "aligned": settings["aligned"],
    }
    return {"backbone": backbone, "roi": roi, "head": {"num_classes": settings["num_classes"]}}


def _pytorchvideo(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    shapes = _shapes(case, prefix="model.")
    has_two_pathways = any("multipathway" in key for key in shapes)
    pathways = PATHWAYS if has_two_pathways else PATHWAYS[:1]
    infix = "multipathway_blocks.{p}." if has_two_pathways else ""
    stem, block = f"blocks.0.{infix}", f"blocks.{{block}}.{infix}"
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
        "alpha": settings["alpha"] if has_two_pathways else 1,
        "temporal_kernels": _temporal_kernels(case, pathways, stem + "conv", block + "res_blocks.0.branch2.conv_a"),
        "num_temporal": _num_temporal(case, pathways, block + "res_blocks.{i}.branch2.conv_a"),
        "strides": settings.get("strides", (1, 2, 2, 1) if detection else (1, 2, 2, 2)),
        "dilations": settings.get("dilations", (1, 1, 1, 2) if detection else (1, 1, 1, 1)),
    }
    if has_two_pathways:
        fusion_shape = shapes["blocks.0.multipathway_fusion.conv_fast_to_slow.weight"]  # [out, in, t, 1, 1]
        fast_width = shapes[stem.format(p=1) + "conv.weight"][0]
        backbone |= {
            "beta_inv": width // fast_width,
            "fusion_ratio": fusion_shape[0] // fast_width,
            "fusion_kernel": fusion_shape[2],
        }
    classes = next(shape[0] for key, shape in shapes.items() if key.endswith("proj.weight"))
    roi = {"resolution": settings.get("roi_resolution", 7), "aligned": bool(settings.get("aligned"))}
    return {"backbone": backbone, "roi": roi, "head": {"num_classes": classes}}


def _mmaction2(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    single = settings.get("single_pathway", False)
    pathways, path = (PATHWAYS[:1], "backbone.") if single else (PATHWAYS, "backbone.{name}_path.")
    backbone = {
        "pathways": pathways,
        "depths": _depths(settings, case, re.escape(path.format(name="slow")) + r"layer{layer}\.(\d+)\."),
        "width": settings["width"],
        "temporal_kernels": _temporal_kernels(case, pathways, path + "conv1.conv", path + "layer{layer}.0.conv1.conv"),
        "num_temporal": _num_temporal(case, pathways, path + "layer{layer}.{i}.conv1.conv"),
        "strides": _values(settings["strides"], pathways),
        "dilations": _values(settings["dilations"], pathways),
        **({"alpha": 1, **_embedded_gaussian(case, path)} if single else _two_pathways_of_mmaction2(settings)),
    }
    roi = {
        "resolution": settings["roi_output_size"],
        "feature_stride": settings["roi_scale"],
        "aligned": settings["aligned"],
        "temporal_pool": TEMPORAL_POOLS[settings["temporal_pool"]],
        "with_global": settings["with_global"],
    }
    return {"backbone": backbone, "roi": roi, "head": _background_head(settings)}


def _vit(settings: Mapping[str, Any], case: Any) -> dict[str, Any]:
    rule = settings["box_rule"]
    backbone = {
        "kind": "vit",
        "width": settings["embed_dim"],
        "depth": settings["depth"],
        "heads": settings["heads"],
        "mlp_ratio": settings["mlp_ratio"],
        "patch": settings["patch"],
        "tubelet": settings["tubelet"],
        "grid": settings["train_grid"],
        "positions": "stored" if settings["pos_embed"]["stored"] else "computed",
        "borders": "crop" if settings["pad_to_multiple"] == 1 else "pad",
    }
    roi = {
        "resolution": settings["roi_output_size"],
        "feature_stride": settings["roi_scale"],
        "aligned": settings["aligned"],
        "box_rule": "mmaction2" if rule is None else "alphaction",
        "extension": [0, 0] if rule is None else rule["extension"],
        "temporal_pool": TEMPORAL_POOLS[settings["temporal_pool"]],
        "with_global": settings.get("with_global", False),
    }
    return {"backbone": backbone, "roi": roi, "head": _background_head(settings)}


def _background_head(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The head of a case whose row 0 may be mmaction2's background."""
    background = settings.get("background_class") == 0
    return {
        "num_classes": settings["num_classes"] - background,
        "background_class": background,
        "mlp": settings.get("mlp_head", False),
    }


def _two_pathways_of_mmaction2(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the backbone that only ``ResNet3dSlowFast`` has."""
    if settings.get("lateral_relu", settings["lateral_norm"]) != settings["lateral_norm"]:
        raise CaseError("a lateral connection with a ReLU has a batch norm too, in every network of this package")
    return {
        "alpha": settings["resample_rate"],
        "slow_frames": "stride",
        **{name: settings[name] for name in ("beta_inv", "fusion_ratio", "fusion_kernel", "lateral_norm")},
    }


def _embedded_gaussian(case: Any, path: str) -> dict[str, Any]:
    """mmaction2's non-local blocks, from the names: ``phi.0`` where a pool follows the convolution ``phi``."""
    name = re.compile(re.escape(path) + r"layer(\d)\.(\d+)\.non_local_block\.phi(\.0)?\.conv\.weight")
    found = [(int(m[1]) + 1, int(m[2]), bool(m[3])) for key in _shapes(case) if (m := name.fullmatch(key))]
    if not found:
        return {}
    stages = {stage for stage, _, _ in found}
    return {
        "nonlocal_blocks": {"slow": {s: sorted(block for stage, block, _ in found if stage == s) for s in stages}},
        "nonlocal_pool": {"slow": {stage: [1, 2, 2] if is_pooled else [1, 1, 1] for stage, _, is_pooled in found}},
        "nonlocal_affinity": "softmax",
        "nonlocal_pool_place": "after",
        "nonlocal_out_bias": False,
    }


FAMILIES = {
    "PySlowFast": _pyslowfast,
    "pytorchvideo": _pytorchvideo,
    "mmaction2": _mmaction2,
    "UMT": _vit,
    "VideoMAE-AD": _vit,
}


def _shapes(case: Any, prefix: str = "") -> dict[str, list[int]]:
    """The shapes of the state dict by name, without ``prefix``."""
    return {entry["key"].removeprefix(prefix): entry["shape"] for entry in case.keys}


def _depths(settings: Mapping[str, Any], case: Any, pattern: str) -> list[int]:
    """Blocks per stage: by the case's ``depth`` if it is known, else by counting the names that match ``pattern``."""
    if settings.get("depth") in DEPTHS:
        return list(DEPTHS[settings["depth"]])
    names = list(_shapes(case, "model."))
    depths = []
    for stage in STAGES:
        block_name = re.compile(
            pattern.replace("{stage}", str(stage)).replace("{block}", str(stage - 1)).replace("{layer}", str(stage - 1))
        )
        depths.append(1 + max(int(match[1]) for name in names if (match := block_name.match(name))))
    return depths


def _kernel(case: Any, template: str, pathway: str, stage: int = 0, i: int = 0) -> int | None:
    """The temporal kernel size of a convolution, whose weights are ``[out, in, t, h, w]``; None if there is none."""
    name = template.format(p=PATHWAYS.index(pathway), name=pathway, stage=stage, block=stage - 1, layer=stage - 1, i=i)
    shape = _shapes(case, "model.").get(name + ".weight")
    return None if shape is None else shape[2]


def _temporal_kernels(case: Any, pathways: tuple[str, ...], stem: str, conv_a: str) -> dict[str, list[int]]:
    """Temporal kernel sizes of the stem and of each stage's first conv a, from the shapes of the weights."""
    return {
        p: [_kernel(case, stem, p) or 1, *(_kernel(case, conv_a, p, stage) or 1 for stage in STAGES)] for p in pathways
    }


def _num_temporal(case: Any, pathways: tuple[str, ...], conv_a: str) -> dict[str, list[int]]:
    """Number of blocks at the start of each stage that have the first block's temporal kernel size."""

    def count(pathway: str, stage: int) -> int:
        first, i = _kernel(case, conv_a, pathway, stage), 1
        while _kernel(case, conv_a, pathway, stage, i) == first:
            i += 1
        return i

    return {p: [count(p, stage) for stage in STAGES] for p in pathways}


def _by_pathway(stages: list[list[Any]], pathways: tuple[str, ...]) -> dict[str, list[Any]]:
    """Rearrange ``[[slow, fast] per stage]`` into ``{pathway: [value per stage]}``."""
    return {pathway: [stage[p] for stage in stages] for p, pathway in enumerate(pathways)}


def _values(stages: list[Any], pathways: tuple[str, ...]) -> Any:
    return _by_pathway(stages, pathways) if isinstance(stages[0], list) else stages


def _nonlocal_settings(settings: Mapping[str, Any], pathways: tuple[str, ...]) -> dict[str, Any]:
    """Positions, pooling and groups of the non-local blocks, by pathway and stage."""
    found: dict[str, dict[str, dict[int, Any]]] = {}
    for ours, theirs in (("blocks", "location"), ("pool", "pool"), ("groups", "group")):
        found[f"nonlocal_{ours}"] = {
            pathway: {
                stage: settings[f"nonlocal_{theirs}"][s][p]
                for s, stage in enumerate(STAGES)
                if settings["nonlocal_location"][s][p]
            }
            for p, pathway in enumerate(pathways)
            if f"nonlocal_{theirs}" in settings
        }
    return found


def _train_crop(meta: Mapping[str, Any]) -> int:
    """The crop side in pixels; 224 by default, as pytorchvideo's head pools windows of 7 x 7 (``create_slowfast``)."""
    crops = [variant["height"] for variant in meta["variants"] if variant["name"] == "train_crop"]
    return int(crops[0]) if crops else 224
