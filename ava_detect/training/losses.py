"""What is minimised: a sum over rows, so that a step can divide by the rows of its whole batch.

A row is a person (detection) or a clip (classification). Processes and accumulated parts see different numbers of
people; the loss of a step is the mean over all of them, not a mean of means, and 0 where there is nobody.

Shapes: M rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional

LossName = Literal["bce", "focal", "cross_entropy"]
# (logits [M, K], labels [M, K]) -> the sum over rows, float32.
Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(name: LossName, *, focal_alpha: float = 3.0, focal_gamma: float = 1.0) -> Loss:
    """``bce``: mean over classes of the binary cross entropy with logits. ``focal``: that, see ``focal_loss``.
    ``cross_entropy``: labels are one class, or probabilities of several.
    """
    if name == "focal":
        return lambda logits, labels: focal_loss(logits, labels, alpha=focal_alpha, gamma=focal_gamma)
    return {"bce": bce_loss, "cross_entropy": cross_entropy_loss}[name]


def bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy: mean over classes, sum over rows."""
    return functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none").mean(1).sum()


def focal_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """``alpha * (1 - p)^gamma * bce``, p being the probability given to the truth: mean over classes, sum over rows.

    The form of mmaction2's AVA heads (``bbox_head.py``, 1.2.0, where alpha 3 and gamma 1 are the defaults): alpha
    weighs the loss as a whole, unlike the paper's (Lin et al., arXiv 1708.02002), which weighs the two classes.
    """
    bce = functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
    # p = exp(-bce), so this is 1 - p without its rounding near p = 1.
    missed = -(-bce).expm1()
    return (alpha * missed**gamma * bce).mean(1).sum()


def cross_entropy_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the softmax, sum over rows."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")
