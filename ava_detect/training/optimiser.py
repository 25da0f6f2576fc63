"""The optimiser of the SlowFast recipe: SGD with momentum, without weight decay on batch norms."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ava_detect.config import TrainConfig


def build_optimiser(model: nn.Module, settings: TrainConfig) -> torch.optim.SGD:
    """Build SGD whose weight decay leaves out the weights and biases of batch norms.

    Convolutions have no biases. The biases of the last layer and of non-local blocks decay like weights, as in
    PySlowFast (``slowfast/models/optimizer.py``, where ``ZERO_WD_1D_PARAM`` is off by default).

    Args:
        model: The network.
        settings: The ``train`` section of the config: learning rate, momentum, Nesterov, weight decay.

    Returns:
        An optimiser with two parameter groups: decayed, and not decayed.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    undecayed = [parameter for norm in norms for parameter in norm.parameters(recurse=False)]
    undecayed_ids = set(map(id, undecayed))
    decayed = [parameter for parameter in model.parameters() if id(parameter) not in undecayed_ids]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": undecayed, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
    )
