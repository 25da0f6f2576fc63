"""The learning rate of every step, as in PySlowFast (``slowfast/utils/lr_policy.py``, commit 287ec007)."""

from __future__ import annotations

import math
from bisect import bisect_right

from ava_detect.config import TrainConfig


def learning_rate(settings: TrainConfig, epoch: float) -> float:
    """Return the learning rate of a step.

    The schedule ``step`` multiplies the rate by ``step_factor`` at each of ``step_epochs``; ``cosine`` follows half a
    cosine period from epoch 0, warm-up included, to the last. Before ``warmup_epochs`` the rate grows linearly from
    ``warmup_start`` to the schedule's rate at ``warmup_epochs``.

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
        return settings.learning_rate * (math.cos(math.pi * min(1.0, epoch / settings.epochs)) + 1) / 2
    return settings.learning_rate * settings.step_factor ** bisect_right(settings.step_epochs, epoch)
