"""The learning rate of every iteration, as PySlowFast has it (``slowfast/utils/lr_policy.py``, commit 287ec007)."""

from __future__ import annotations

import math
from bisect import bisect_right

from ava_detect.config import TrainConfig


def learning_rate(settings: TrainConfig, epoch: float) -> float:
    """The learning rate at ``epoch``, which counts parts of epochs: step / steps per epoch.

    ``step``: multiplied by ``step_factor`` at each of ``step_epochs``. ``cosine``: half a period from the first epoch
    to the end, warm-up included. Before ``warmup_epochs``: a line from ``warmup_start`` to the schedule's rate there.
    """
    if epoch >= settings.warmup_epochs:
        return _scheduled(settings, epoch)
    goal = _scheduled(settings, settings.warmup_epochs)
    return settings.warmup_start + (goal - settings.warmup_start) * epoch / settings.warmup_epochs


def _scheduled(settings: TrainConfig, epoch: float) -> float:
    if settings.schedule == "cosine":
        return settings.learning_rate * (math.cos(math.pi * min(1.0, epoch / settings.epochs)) + 1) / 2
    return settings.learning_rate * settings.step_factor ** bisect_right(settings.step_epochs, epoch)
