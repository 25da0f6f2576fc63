"""The learning rate of every step, as in PySlowFast (``slowfast/utils/lr_policy.py``, commit 287ec007)."""

from __future__ import annotations

import math
from bisect import bisect_right

from ava_detect.config import TrainConfig


def learning_rate(settings: TrainConfig, epoch: float) -> float:
    """Return the learning rate of a step.

    The schedule ``step`` multiplies the rate by ``step_factor`` at each of ``step_epochs``. ``cosine`` follows half a
    cosine period, down to ``cosine_end``, from epoch 0, warm-up included, to the last; with ``cosine_after_warmup``
    from the end of the warm-up (also UMT's and VideoMAE-AD's ``utils.cosine_scheduler`` and mmaction2's ViT configs).
    Before ``warmup_epochs`` the rate grows linearly from ``warmup_start`` to the schedule's rate at ``warmup_epochs``.

    Args:
        settings: The ``train`` section of the config.
        epoch: Position in the training, in epochs with their fraction: step / steps per epoch.

    Returns:
        The learning rate.
    """
    if epoch >= settings.warmup_epochs:
        return _rate_without_warmup(settings, epoch)
    goal = _rate_without_warmup(settings, settings.warmup_epochs)
    return settings.warmup_start + (goal - settings.warmup_start) * epoch / settings.warmup_epochs


def _rate_without_warmup(settings: TrainConfig, epoch: float) -> float:
    if settings.schedule == "cosine":
        start = settings.warmup_epochs if settings.cosine_after_warmup else 0.0
        # Share of the half period that is over; a training may end before its warm-up does.
        part = min(1.0, (epoch - start) / (settings.epochs - start)) if epoch > start else 0.0
        height = (math.cos(math.pi * part) + 1) / 2  # 1 at its start, 0 at its end
        return settings.cosine_end + (settings.learning_rate - settings.cosine_end) * height
    return settings.learning_rate * settings.step_factor ** bisect_right(settings.step_epochs, epoch)
