"""What a detector takes from the file of a classifier or of a pretraining: all that belongs to its backbone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from ava_detect.models.weights.key_map import OUR_POSITIONS
from ava_detect.models.weights.positions import is_sine_table

_PATCHES = "backbone.patch_embed.weight"
_LAST_NORM, _RELATION = "backbone.norm.", "roi_pool.relation."
CLASSIFIER_NORM = re.compile(r"(?:backbone\.|encoder\.)?fc_norm\..+")
CLASS_TOKEN = re.compile(r"(?:backbone\.|encoder\.)?cls_token")
# Of VideoMAE's and UMT's pretraining (``modeling_pretrain.py``, ``modeling_pretrain_umt.py``).
PRETRAINING = re.compile(r"(?:clip_)?decoder\..+|encoder_to_decoder\..+|mask_token")
_OTHER_HEAD = re.compile(r"(?:encoder|backbone)\.head\.\w+")
_DROPPED = (CLASSIFIER_NORM, CLASS_TOKEN, PRETRAINING, _OTHER_HEAD)


def is_dropped(name: str, ours: str | None, wanted: Mapping[str, Tensor]) -> bool:
    """Return whether a tensor of a file is left out when a training starts from it, as the peers leave it out.

    Args:
        name: Its name in the file.
        ours: Our name; None where the family does not know it.
        wanted: The model's tensors by our names.

    Returns:
        True for decoders, tokens, other heads, the last norm of a classifier (which follows its mean over all tokens),
        and a table of positions where the model computes its own; always False for other networks than vision
        transformers.
    """
    if _PATCHES not in wanted:
        return False
    if ours == OUR_POSITIONS:
        return OUR_POSITIONS not in wanted
    return ours is None and any(pattern.fullmatch(name) for pattern in _DROPPED)


def left_fresh(names: Collection[str], known: Collection[str], wanted: Mapping[str, Tensor]) -> list[str]:
    """List the tensors before the head that such a file does not have, and that keep their values.

    The last norm: a classifier has its own in another place, so that UMT and VideoMAE-AD train it from its first values
    (``run_class_finetuning.py``, which loads without it). The table of positions: it is computed. The relation after
    RoI pooling (ACRN): a classifier has none.

    Args:
        names: The names in the file.
        known: Our names of the tensors in the file.
        wanted: The model's tensors by our names.

    Returns:
        Our names.
    """
    is_classifier = any(map(CLASSIFIER_NORM.fullmatch, names))
    return [
        ours
        for ours in wanted
        if ours not in known
        and (
            ours.startswith(_RELATION)
            or (_PATCHES in wanted and (ours == OUR_POSITIONS or (is_classifier and ours.startswith(_LAST_NORM))))
        )
    ]


def start_notes(dropped: Mapping[str, Tensor]) -> list[str]:
    """Describe what was left out.

    Args:
        dropped: The tensors that were left out, by their names in the file.

    Returns:
        One sentence each.
    """
    notes = []
    norms = [name for name in dropped if CLASSIFIER_NORM.fullmatch(name)]
    if norms:
        notes.append(
            f"{norms[0].rpartition('.')[0]} follows the classifier's mean over all tokens and was dropped; the model's "
            "last norm starts fresh, as in UMT's and VideoMAE-AD's training"
        )
    for name, tensor in dropped.items():
        if name.endswith("pos_embed"):
            kind = "the same" if is_sine_table(tensor) else "another"
            notes.append(f"{name} was dropped: the model computes its table of positions, and this one is {kind}")
    return notes
