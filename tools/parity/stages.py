"""Record what every stage of a backbone gives, under the names of a reference case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.vit import VisionTransformer

# Name of a backbone's map in the cases, where it differs.
NAME_OF_MAP = {"tokens": "map"}


@contextmanager
def recorded(model: ActionDetector | ActionClassifier) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of the backbone's stages while the network runs.

    Args:
        model: The network.

    Yields:
        A dictionary, filled by the next forward pass: our name of a stage -> its output, and ``map.NAME`` -> the
        feature map of that name.
    """
    stages: dict[str, Tensor] = {}
    backbone = model.backbone

    def keep(name: str, output: Tensor) -> None:
        stages[name] = output.detach().clone()

    def keep_maps(_module: nn.Module, _inputs: object, outputs: list[Tensor]) -> None:
        for name, output in zip(backbone.map_names, outputs, strict=True):
            keep(f"map.{name}", output)

    with ExitStack() as hooks:
        hooks.callback(backbone.register_forward_hook(keep_maps).remove)
        for name, module in backbone.named_modules():
            if re.fullmatch(r"(stem|res\d)\.(slow|fast)|lateral\d|patch_embed|blocks(\.\d+)?|norm", name):
                handle = module.register_forward_hook(lambda _m, _i, out, name=name: keep(name, out))
                hooks.callback(handle.remove)
            if name == "blocks":
                handle = module.register_forward_pre_hook(lambda _m, inputs: keep("tokens", inputs[0]))
                hooks.callback(handle.remove)
        yield stages


def probes(model: ActionDetector | ActionClassifier, stages: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Rename the stages' outputs as a family's reference does.

    Args:
        model: The network.
        stages: As ``recorded`` fills it.
        family: The family of the case, such as ``"PySlowFast"``.

    Returns:
        ``probe/NAME`` -> output.
    """
    named = _of_vit(stages) if isinstance(model.backbone, VisionTransformer) else _of_slowfast(stages, family)
    return {f"probe/{name}": output for name, output in named.items()}


def _of_vit(stages: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs of all stages as tokens ``[B, N, D]``; the map ``[B, D, h, w]`` is the mean over time."""
    named = {
        "patch_embed": stages["patch_embed"].flatten(2).transpose(1, 2),
        "map": stages["map.tokens"].mean(dim=2),
        **{name: stages[name] for name in ("tokens", "norm")},
    }
    blocks = (name for name in stages if name.startswith("blocks."))
    return named | {name.replace("blocks.", "block"): stages[name] for name in blocks}


def _of_slowfast(stages: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Outputs of all stages, under the family's names.

    The slow pathway is recorded after the lateral fusion by pytorchvideo, before and after it by PySlowFast, before it
    and the lateral part alone by mmaction2.
    """
    named: dict[str, Tensor] = {}
    for name, features in stages.items():
        part, _, pathway = name.partition(".")
        if part == "map":
            continue
        number = 1 if part == "stem" else int(part[-1])
        lateral = part.startswith("lateral")
        p = int(pathway == "fast")
        before = stages["stem.slow" if number == 1 else f"res{number}.slow"] if lateral else features
        if family == "PySlowFast":
            named[f"s{number}_fuse.p0" if lateral else f"s{number}.p{p}"] = features
            if lateral:
                named[f"s{number}_fuse.p1"] = stages["stem.fast" if number == 1 else f"res{number}.fast"]
        elif family == "mmaction2":
            layer = f"layer{number - 1}"
            if lateral:
                where = "conv1" if number == 1 else layer
                named[f"slow.{where}_lateral"] = features[:, before.shape[1] :]
            else:
                named[f"{pathway}.{'maxpool' if number == 1 else layer}"] = features
        elif lateral or p or f"lateral{number}" not in stages:
            named[f"blocks.{number - 1}.p{p}"] = features
    return named
