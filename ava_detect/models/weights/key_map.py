"""The two-way key map of every family of checkpoints, and the recognition of a file's family by its names.

Our names: ``backbone.stem.{slow,fast}``, ``backbone.lateral{1..4}``, ``backbone.res{2..5}.{slow,fast}.block{i}`` with
``{a,b,c,shortcut}.{conv,bn}`` inside, ``.nonlocal{i}.{theta,phi,g,out,bn}``, ``head.{hidden,projection}``. Of a
vision transformer: ``backbone.{patch_embed,norm}``, ``backbone.blocks.{i}.{norm1,attn,norm2,mlp}``, where the table of
positions is stored ``backbone.positions``. Of ACRN: ``roi_pool.relation.{conv1,conv2,convs.{i}}.{conv,bn}``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ava_detect.errors import shown
from ava_detect.interface.plug_ins import WEIGHTS, PlugIn, WithPlugIns
from ava_detect.models.weights.renaming import KeyMap, last_blocks

_OUR_BLOCK = "backbone.res{stage}.{pathway}.block{block}"
_OUR_NONLOCAL = "backbone.res{stage}.{pathway}.nonlocal{block}"
_OUR_TRANSFORMER = "backbone.blocks.{block}"
OUR_POSITIONS = "backbone.positions"

# Names as in PySlowFast 287ec007, slowfast/models/{video_model_builder,stem_helper,resnet_helper,head_helper}.py.
_BLOCK = "s{stage}.pathway{pathway}_res{block}"
_NONLOCAL = "s{stage}.pathway{pathway}_nonlocal{block}"
PYSLOWFAST = KeyMap(
    family="PySlowFast",
    rules=(
        ("s1.pathway{pathway}_stem.{layer}.{leaf}", "backbone.stem.{pathway}.{layer}.{leaf}"),
        ("s{after}_fuse.conv_f2s.{leaf}", "backbone.lateral{after}.conv.{leaf}"),
        ("s{after}_fuse.bn.{leaf}", "backbone.lateral{after}.bn.{leaf}"),
        (_BLOCK + ".branch1.{leaf}", _OUR_BLOCK + ".shortcut.conv.{leaf}"),
        (_BLOCK + ".branch1_bn.{leaf}", _OUR_BLOCK + ".shortcut.bn.{leaf}"),
        (_BLOCK + ".branch2.{conv}.{leaf}", _OUR_BLOCK + ".{conv}.conv.{leaf}"),
        (_BLOCK + ".branch2.{conv}_bn.{leaf}", _OUR_BLOCK + ".{conv}.bn.{leaf}"),
        (_NONLOCAL + ".conv_{affine}.{leaf}", _OUR_NONLOCAL + ".{affine}.{leaf}"),
        (_NONLOCAL + ".bn.{leaf}", _OUR_NONLOCAL + ".bn.{leaf}"),
        ("head.projection.{leaf}", "head.projection.{leaf}"),
    ),
    vocabulary={"pathway": {"0": "slow", "1": "fast"}},
)

# Names as PySlowFast's slowfast/utils/c2_model_loading.py reads them. ``riv`` is the running variance, despite its
# name. A lateral connection is named after the last block before it. That a fast non-local block would have the fast
# pathway's prefix ``t_`` as well is an assumption: no published file has one.
_C2 = "{pathway}res{stage}_{block}_branch"
_C2_NONLOCAL = "{pathway}nonlocal_conv{stage}_{block}_"
_C2_LATERAL = "t_res{after}_{last}_branch2c_bn_subsample_"
CAFFE2 = KeyMap(
    family="caffe2",
    rules=(
        ("{pathway}conv1_{weight}", "backbone.stem.{pathway}.conv.{weight}"),
        ("{pathway}res_conv1_bn_{norm}", "backbone.stem.{pathway}.bn.{norm}"),
        ("t_pool1_subsample_{weight}", "backbone.lateral1.conv.{weight}"),
        ("t_pool1_subsample_bn_{norm}", "backbone.lateral1.bn.{norm}"),
        (_C2_LATERAL + "{weight}", "backbone.lateral{after}.conv.{weight}"),
        (_C2_LATERAL + "bn_{norm}", "backbone.lateral{after}.bn.{norm}"),
        (_C2 + "1_{weight}", _OUR_BLOCK + ".shortcut.conv.{weight}"),
        (_C2 + "1_bn_{norm}", _OUR_BLOCK + ".shortcut.bn.{norm}"),
        (_C2 + "2{conv}_{weight}", _OUR_BLOCK + ".{conv}.conv.{weight}"),
        (_C2 + "2{conv}_bn_{norm}", _OUR_BLOCK + ".{conv}.bn.{norm}"),
        (_C2_NONLOCAL + "{affine}_{weight}", _OUR_NONLOCAL + ".{affine}.{weight}"),
        (_C2_NONLOCAL + "bn_{norm}", _OUR_NONLOCAL + ".bn.{norm}"),
        ("pred_{weight}", "head.projection.{weight}"),
    ),
    vocabulary={
        "pathway": {"": "slow", "t_": "fast"},
        "weight": {"w": "weight", "b": "bias"},
        "norm": {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"},
    },
)


def _pytorchvideo(*, detection: bool, slow_only: bool) -> KeyMap:
    """The key map with names as in pytorchvideo f3142bb; one per spelling, each of which reads all four.

    The detection model wraps the backbone in ``model.`` and has its own head; the Slow-only network (``create_resnet``)
    has no multipathway level, and its head is block 5, because it has no ``PoolConcatPathway``.
    """

    def rules(wrapper: str, head: str, multi: str) -> tuple[tuple[str, str], ...]:
        stem = f"{wrapper}blocks.0.{multi}"
        block = f"{wrapper}blocks.{{stage}}.{multi}res_blocks.{{block}}."
        ours = _OUR_BLOCK if multi else _OUR_BLOCK.replace("{pathway}", "slow")
        our_stem = "backbone.stem." + ("{pathway}" if multi else "slow") + "."
        lateral = f"{wrapper}blocks.{{after}}.multipathway_fusion."
        return (
            (stem + "conv.{leaf}", our_stem + "conv.{leaf}"),
            (stem + "norm.{leaf}", our_stem + "bn.{leaf}"),
            (lateral + "conv_fast_to_slow.{leaf}", "backbone.lateral{after}.conv.{leaf}"),
            (lateral + "norm.{leaf}", "backbone.lateral{after}.bn.{leaf}"),
            (block + "branch1_conv.{leaf}", ours + ".shortcut.conv.{leaf}"),
            (block + "branch1_norm.{leaf}", ours + ".shortcut.bn.{leaf}"),
            (block + "branch2.conv_{conv}.{leaf}", ours + ".{conv}.conv.{leaf}"),
            (block + "branch2.norm_{conv}.{leaf}", ours + ".{conv}.bn.{leaf}"),
            (head + ".{leaf}", "head.projection.{leaf}"),
        )

    paths = ("", "multipathway_blocks.{pathway}.")
    spellings = {
        (wrapped, multi == ""): rules(
            "model." if wrapped else "",
            "detection_head.proj" if wrapped else f"blocks.{6 if multi else 5}.proj",
            multi,
        )
        for wrapped in (True, False)
        for multi in paths
    }
    # Trainers that wrap the classifier call it ``model`` too.
    wrapped_heads = tuple((f"model.blocks.{i}.proj.{{leaf}}", "head.projection.{leaf}") for i in (5, 6))
    return KeyMap(
        family="pytorchvideo",
        rules=spellings[detection, slow_only],
        aliases=tuple(rule for one in spellings.values() for rule in one) + wrapped_heads,
        vocabulary={
            "pathway": {"0": "slow", "1": "fast"},
            "stage": {str(s - 1): str(s) for s in (2, 3, 4, 5)},
            "after": {str(s - 1): str(s) for s in (1, 2, 3, 4)},
        },
    )


PYTORCHVIDEO = _pytorchvideo(detection=True, slow_only=False)


def _mmaction2(*, detection: bool, slow_only: bool, mlp: bool) -> KeyMap:
    """The key map with names as in mmaction2 4d6c934; one per spelling, each of which reads all.

    Row 0 of the head's 81 is "no action" and is kept. ``mlp``: the head has a hidden layer (``mlp_head``). Keys and
    values of a non-local block are a sequence of convolution and pool; without a pool they are the convolution alone.
    """

    def rules(slow_only: bool) -> tuple[tuple[str, str], ...]:
        path = "backbone." if slow_only else "backbone.{pathway}_path."
        pathway = "slow" if slow_only else "{pathway}"
        ours, our_stem = _OUR_BLOCK.replace("{pathway}", pathway), f"backbone.stem.{pathway}"
        attention = path + "layer{stage}.{block}.non_local_block."
        our_attention = _OUR_NONLOCAL.replace("{pathway}", pathway) + "."
        return (
            (path + "conv1.{layer}.{leaf}", our_stem + ".{layer}.{leaf}"),
            ("backbone.slow_path.conv1_lateral.{layer}.{leaf}", "backbone.lateral1.{layer}.{leaf}"),
            ("backbone.slow_path.layer{after}_lateral.{layer}.{leaf}", "backbone.lateral{after}.{layer}.{leaf}"),
            (path + "layer{stage}.{block}.conv{conv}.{layer}.{leaf}", ours + ".{conv}.{layer}.{leaf}"),
            (path + "layer{stage}.{block}.downsample.{layer}.{leaf}", ours + ".shortcut.{layer}.{leaf}"),
            (attention + "conv_out.conv.{leaf}", our_attention + "out.{leaf}"),
            (attention + "conv_out.bn.{leaf}", our_attention + "bn.{leaf}"),
            (attention + "theta.conv.{leaf}", our_attention + "theta.{leaf}"),
            (attention + "{pooled}.0.conv.{leaf}", our_attention + "{pooled}.{leaf}"),
            (attention + "{pooled}.conv.{leaf}", our_attention + "{pooled}.{leaf}"),
        )

    # ``mmaction/models/backbones/vit_mae.py``
    transformer = (
        ("backbone.patch_embed.projection.{leaf}", "backbone.patch_embed.{leaf}"),
        ("backbone.pos_embed", OUR_POSITIONS),
        ("backbone.blocks.{block}.mlp.layers.0.0.{leaf}", _OUR_TRANSFORMER + ".mlp.fc1.{leaf}"),
        ("backbone.blocks.{block}.mlp.layers.1.{leaf}", _OUR_TRANSFORMER + ".mlp.fc2.{leaf}"),
        ("backbone.blocks.{block}.{sublayer}.{leaf}", _OUR_TRANSFORMER + ".{sublayer}.{leaf}"),
        ("backbone.blocks.{block}.attn.{bias}", _OUR_TRANSFORMER + ".attn.{bias}"),
        ("backbone.norm.{leaf}", "backbone.norm.{leaf}"),
    )
    heads = {
        (of_detector, hidden): (
            ("roi_head.bbox_head" if of_detector else "cls_head") + f".fc_cls.{'2.' if hidden else ''}{{leaf}}",
            "head.projection.{leaf}",
        )
        for of_detector in (True, False)
        for hidden in (True, False)
    }
    others = (
        ("roi_head.bbox_head.fc_cls.0.{leaf}", "head.hidden.{leaf}"),
        ("roi_head.shared_head.{relation}.{layer}.{leaf}", "roi_pool.relation.{relation}.{layer}.{leaf}"),
    )
    return KeyMap(
        family="mmaction2",
        rules=(*rules(slow_only), *transformer, heads[detection, mlp], *others),
        aliases=(*rules(not slow_only), *heads.values()),
        vocabulary={
            "pathway": {"slow": "slow", "fast": "fast"},
            "stage": {str(s - 1): str(s) for s in (2, 3, 4, 5)},
            "after": {str(s - 1): str(s) for s in (2, 3, 4)},
            "conv": {"1": "a", "2": "b", "3": "c"},
        },
    )


MMACTION2 = _mmaction2(detection=True, slow_only=False, mlp=False)


def _videomae() -> KeyMap:
    """The key map with names as in VideoMAE-Action-Detection 15615db and unmasked_teacher 4fb4049 (UMT).

    Networks to start a training from have ``encoder.`` (of pretraining) or ``backbone.`` before the names, which both
    repositories strip (``run_class_finetuning.py``); a learned table of positions is ``pos_embed``.
    """

    def rules(prefix: str) -> tuple[tuple[str, str], ...]:
        return (
            (prefix + "patch_embed.proj.{leaf}", "backbone.patch_embed.{leaf}"),
            (prefix + "blocks.{block}.{sublayer}.{leaf}", _OUR_TRANSFORMER + ".{sublayer}.{leaf}"),
            (prefix + "blocks.{block}.attn.{bias}", _OUR_TRANSFORMER + ".attn.{bias}"),
            (prefix + "norm.{leaf}", "backbone.norm.{leaf}"),
        )

    return KeyMap(
        family="VideoMAE/UMT",
        rules=(*rules(""), ("head.{leaf}", "head.projection.{leaf}")),
        aliases=tuple(
            rule
            for prefix in ("", "encoder.", "backbone.")
            for rule in (*rules(prefix), (prefix + "pos_embed", OUR_POSITIONS))
        ),
        vocabulary={},
    )


VIDEOMAE = _videomae()


_OUR_NAMES = re.compile(
    r"(backbone\.(stem|lateral\d|res\d)|head|roi_pool)\..+|backbone\.positions"
    r"|backbone\.(patch_embed|norm|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12]))\.(weight|bias)"
    r"|backbone\.blocks\.\d+\.attn\.[qv]_bias"
)


@dataclass(frozen=True)
class OwnNames:
    """Our own layout, whose names are not translated.

    Attributes:
        family: Name of the family.
    """

    family: str = "ava_detect"

    def to_ours(self, key: str) -> str | None:
        """Check one of our names.

        Args:
            key: Name of a tensor.

        Returns:
            The name itself where it has the form of our names, otherwise None.
        """
        return key if _OUR_NAMES.fullmatch(key) else None

    def to_theirs(self, key: str, last_blocks: Mapping[str, str] | None = None) -> str | None:
        """Return the name itself.

        Args:
            key: Our name of a tensor.
            last_blocks: Not used; see ``KeyMap.to_theirs``.

        Returns:
            ``key``.
        """
        return key


def _of_plug_in(plug_in: PlugIn, key_map: Any) -> KeyMap:
    if not isinstance(key_map, KeyMap):
        raise plug_in.error(f"is no `ava_detect.models.weights.KeyMap` but {shown(type(key_map).__name__)}")
    return key_map


# One entry per family, those of plug-ins after ours; "auto" chooses the one that knows most of a file's names, the
# first of equals.
FAMILIES = WithPlugIns[KeyMap | OwnNames](
    {
        "ava_detect": OwnNames(),
        "pyslowfast": PYSLOWFAST,
        "caffe2": CAFFE2,
        "pytorchvideo": PYTORCHVIDEO,
        "mmaction2": MMACTION2,
        "videomae": VIDEOMAE,
    },
    WEIGHTS,
    _of_plug_in,
)


def recognise(names: Collection[str]) -> str | None:
    """Recognise the family of a file by its tensor names.

    Args:
        names: The names.

    Returns:
        The key in ``FAMILIES`` of the family that knows most of them; None where no family knows any.
    """
    best, most = _best(FAMILIES.ours, names)
    if most < len(names):
        # Plug-ins are imported only for a file that none of ours explains.
        best, most = _best(FAMILIES.usable(), names)
    return best if most else None


def _best(families: Mapping[str, KeyMap | OwnNames], names: Collection[str]) -> tuple[str, int]:
    """The family that knows most of the names, and how many."""
    known = {key: sum(family.to_ours(name) is not None for name in names) for key, family in families.items()}
    best = max(known, key=lambda key: known[key])
    return best, known[best]


def map_for_writing(family: str, our_names: Collection[str], *, detection: bool) -> KeyMap | OwnNames:
    """Return the key map that writes a network in the spelling of a family.

    Args:
        family: A key of ``FAMILIES``.
        our_names: Our names of the network's tensors; they decide between the spellings with and without a fast
            pathway, and with and without a hidden layer in the head.
        detection: Whether the network is a detector.

    Returns:
        The key map.
    """
    slow_only = not any(".fast." in name or ".lateral" in name for name in our_names)
    if family == "pytorchvideo":
        return _pytorchvideo(detection=detection, slow_only=slow_only)
    if family == "mmaction2":
        mlp = any(name.startswith("head.hidden.") for name in our_names)
        return _mmaction2(detection=detection, slow_only=slow_only, mlp=mlp)
    return FAMILIES[family]


def translate(key_map: KeyMap | OwnNames, names: Collection[str]) -> dict[str, str | None]:
    """Translate the names of a file.

    Args:
        key_map: Key map of the file's family.
        names: The names.

    Returns:
        The name in the file -> our name, or None where no rule matches.

    Raises:
        ValueError: Two names mean the same tensor.
    """
    ours = {name: key_map.to_ours(name) for name in names}
    if key_map is CAFFE2:
        # A lateral connection must be named after its stage's last block; other numbers are unknown names.
        last = last_blocks(one for one in ours.values() if one)
        ours = {name: one if one and CAFFE2.to_theirs(one, last) == name else None for name, one in ours.items()}
    first: dict[str, str] = {}
    for name, one in ours.items():
        if one is not None and first.setdefault(one, name) != name:
            raise ValueError(f"{first[one]} and {name} are names of the same tensor")
    return ours
