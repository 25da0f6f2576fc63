"""The losses, each a sum over rows; a training step divides by the number of rows of its whole batch.

A row is a person (detection) or a clip (classification). Processes and accumulated passes have different numbers of
people, so that a mean of their means would weigh people differently. A batch without people has the loss 0.

Shapes: M rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional

from ava_detect.models.heads import with_background

LossName = Literal["bce", "focal", "cross_entropy"]
# (logits [M, K], labels [M, K]) -> sum over the rows, a float32 scalar.
Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(name: LossName, *, focal_alpha: float = 3.0, focal_gamma: float = 1.0, background: bool = False) -> Loss:
    """Return a loss by its name.

    Args:
        name: ``"bce"``, ``"focal"`` or ``"cross_entropy"``.
        focal_alpha: Factor of the focal loss.
        focal_gamma: Exponent of the focal loss.
        background: Whether the cross entropy counts "none of the actions" as a class, for logits of a head with
            ``softmax_with_background``.

    Returns:
        A function of logits ``[M, K]`` and labels ``[M, K]`` that returns the sum of the loss over the rows.
    """
    if name == "focal":
        return lambda logits, labels: focal_loss(logits, labels, alpha=focal_alpha, gamma=focal_gamma)
    if name == "cross_entropy" and background:
        return background_cross_entropy_loss
    return {"bce": bce_loss, "cross_entropy": cross_entropy_loss}[name]


def bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross entropy: mean over the classes, sum over the rows.

    Args:
        logits: Logits ``[M, K]``.
        labels: Labels in 0..1, float32 ``[M, K]``.

    Returns:
        A float32 scalar.
    """
    bce = functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")  # [M, K]
    return bce.mean(1).sum()


def focal_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the focal loss ``alpha * (1 - p)^gamma * bce``: mean over the classes, sum over the rows.

    ``p`` is the probability that the network gives to the label. This is the form of mmaction2's AVA heads
    (``bbox_head.py``, 1.2.0, where alpha 3 and gamma 1 are the defaults): alpha scales the whole loss, while in the
    paper (Lin et al., arXiv 1708.02002) it weighs positives against negatives.

    Args:
        logits: Logits ``[M, K]``.
        labels: Labels 0 or 1, float32 ``[M, K]``.
        alpha: Factor of the loss.
        gamma: Exponent; 0 weighs every label alike.

    Returns:
        A float32 scalar.
    """
    bce = functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")  # [M, K]
    # p = exp(-bce), so 1 - p = -expm1(-bce), which keeps its digits where p is near 1.
    one_minus_p = -(-bce).expm1()
    return (alpha * one_minus_p**gamma * bce).mean(1).sum()


def cross_entropy_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of the softmax, summed over the rows.

    A row without a class teaches nothing, and one with several counts for each of them, as in mmaction2's
    ``BBoxHeadAVA`` with ``multilabel=False``.

    Args:
        logits: Logits ``[M, K]``.
        labels: Probabilities of the classes, float32 ``[M, K]``; one-hot for a single class.

    Returns:
        A float32 scalar.
    """
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def background_cross_entropy_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of the softmax over the actions and the background, summed over the rows.

    The class of a row without an action is the background; several actions of a row share its weight.

    Args:
        logits: Logits ``[M, K]``, relative to that of the background.
        labels: Labels 0 or 1, float32 ``[M, K]``.

    Returns:
        A float32 scalar.
    """
    counts = labels.sum(dim=1, keepdim=True)  # [M, 1]
    # Background first, as in the layer: 1 where there is no action.
    targets = functional.pad(labels / counts.clamp(min=1), (1, 0))  # [M, 1 + K]
    targets[:, 0] = (counts[:, 0] == 0).float()
    return functional.cross_entropy(with_background(logits.float()), targets, reduction="sum")
