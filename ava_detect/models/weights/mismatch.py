"""Say what a file is that does not fit a network: what its tensors tell of the network that they belong to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from ava_detect.errors import counted
from ava_detect.models.weights.starts import CLASS_TOKEN, CLASSIFIER_NORM, PRETRAINING

Shape = tuple[int, ...]
_PATCHES = "backbone.patch_embed.weight"
_HEAD_WEIGHT = "head.projection.weight"
_BLOCK = re.compile(r"backbone\.blocks\.(\d+)\..+")
# Rows of the heads of Kinetics and Something-Something V2 classifiers.
_CLASSIFIERS = {174: "Something-Something V2", **{n: f"Kinetics-{n}" for n in (400, 600, 700, 710)}}
# Tubelet and width -> the config of that family.
_CONFIGS = {
    (1, 768): "umt_vit_b",
    (1, 1024): "umt_vit_l",
    (2, 384): "videomae_ad_vit_s",
    (2, 768): "videomae_ad_vit_b",
}
_TUBELETS = {1: "UMT", 2: "VideoMAE"}
_SIZES = {(384, 12): "ViT-S", (768, 12): "ViT-B", (1024, 24): "ViT-L", (1280, 32): "ViT-H"}
_START = "it can only start a training: `initialise_from_classifier`, or `train --initialise`"


@dataclass(frozen=True)
class TransformerShape:
    """The size of a plain vision transformer.

    Attributes:
        width: Channels of a token.
        depth: Number of blocks.
        tubelet: Frames of a patch.
    """

    width: int
    depth: int
    tubelet: int

    @classmethod
    def of(cls, shapes: Mapping[str, Shape]) -> Self | None:
        """Derive the size from the shapes of a network's tensors.

        Args:
            shapes: Our name -> shape.

        Returns:
            The size; None where the network is none of this kind.
        """
        patches = shapes.get(_PATCHES)
        if patches is None or len(patches) != 5:
            return None
        blocks = {match[1] for match in map(_BLOCK.fullmatch, shapes) if match}
        return cls(patches[0], len(blocks), patches[2])

    def __str__(self) -> str:
        known = _SIZES.get((self.width, self.depth))
        size = f"width {self.width}, {counted(self.depth, 'block')}"
        return f"{known} ({size}, tubelet {self.tubelet})" if known else f"ViT of {size}, tubelet {self.tubelet}"


def describe_misfit(
    shapes: Mapping[str, Shape], unknown: Collection[str], wanted: Mapping[str, Shape], *, is_start: bool = False
) -> str:
    """Name the kind of a file that does not fit a network, where its tensors tell.

    Args:
        shapes: Our name -> shape of the file's tensors.
        unknown: Names in the file that its family does not know.
        wanted: Our name -> shape of the network's tensors.
        is_start: Whether a training is to start from the file, for which it need not be a detector's.

    Returns:
        Clauses joined by semicolons; empty where nothing is known that the list of tensors does not say.
    """
    file, model = TransformerShape.of(shapes), TransformerShape.of(wanted)
    rows, want_rows = ((one.get(_HEAD_WEIGHT) or (0,))[0] for one in (shapes, wanted))
    found = []
    if file and not model:
        found.append(f"this is a plain vision transformer, {file}, and the model a convolutional network (SlowFast)")
    elif model and not file and any(name.startswith(("backbone.stem.", "backbone.res")) for name in shapes):
        found.append(f"this is a convolutional network (SlowFast), and the model a plain vision transformer, {model}")
    elif file and model:
        found += _different_sizes(file, model)
    if file and not is_start:
        found += describe_start(unknown, rows if rows != want_rows else 0)
    return "; ".join(found)


def describe_start(unknown: Collection[str], rows: int) -> list[str]:
    """Describe a vision transformer's file that is no detector's, but one that a training can start from.

    Args:
        unknown: Names in the file that its family does not know.
        rows: Rows of its head; 0 without a head, or where these are a detector's.

    Returns:
        One clause each; empty for other files.
    """
    found = [f"it has a class token ({name}), which AVA detectors do not have" for name in unknown if _is_token(name)]
    if any(map(PRETRAINING.fullmatch, unknown)):
        found.append(f"it is a pretraining file, with decoder and without head: {_START}")
    elif any(map(CLASSIFIER_NORM.fullmatch, unknown)) or rows in _CLASSIFIERS:
        of = f" of {_CLASSIFIERS[rows]}" if rows in _CLASSIFIERS else ""
        head = f", its head has {counted(rows, 'row')}" if rows else ""
        found.append(f"it is a classifier{of}{head}: {_START}")
    return found


def _is_token(name: str) -> bool:
    return CLASS_TOKEN.fullmatch(name) is not None


def _different_sizes(file: TransformerShape, model: TransformerShape) -> list[str]:
    """What differs between two vision transformers, and the config to try."""
    found = []
    if file.tubelet != model.tubelet:
        config = _CONFIGS.get((file.tubelet, file.width))
        try_this = f"try config {config}" if config else f"try a config with `model.backbone.tubelet={file.tubelet}`"
        found.append(
            f"this is a {_family(file)} file (tubelet {file.tubelet}), and the model reads tubelet {model.tubelet} "
            f"({_family(model)}); {try_this}"
        )
    if (file.width, file.depth) != (model.width, model.depth):
        found.append(f"the file is a {file}, the model a {model}")
    return found


def _family(size: TransformerShape) -> str:
    return _TUBELETS.get(size.tubelet, "vision transformer")
