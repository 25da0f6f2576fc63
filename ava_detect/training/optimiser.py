"""The optimisers: SGD as in the SlowFast recipe, AdamW as in that of plain ViTs; a learning rate per layer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ava_detect.config import TrainConfig
from ava_detect.models.action_detector import ActionClassifier, ActionDetector

_BACKBONE = "backbone."
# The factor of a parameter group's learning rate; ``set_learning_rate`` multiplies the schedule's rate by it.
_SCALE = "lr_scale"


def build_optimiser(network: ActionDetector | ActionClassifier, settings: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimiser of a training.

    - ``sgd``: weight decay leaves out the weights and biases of batch norms. The biases of the last layer and of
      non-local blocks decay like weights, as in PySlowFast (``slowfast/models/optimizer.py``, commit 287ec007, where
      ``ZERO_WD_1D_PARAM`` is off by default); convolutions have no biases.
    - ``adamw``: weight decay leaves out biases and all other parameters of one dimension, norms among them (BEiT's
      ``get_parameter_groups``, which UMT and VideoMAE-AD use in ``optim_factory.py``; mmaction2's
      ``layer_decay_optim_wrapper_constructor.py``, commit 4d6c934).

    Args:
        network: The network.
        settings: The ``train`` section of the config.

    Returns:
        An optimiser whose parameter groups are those of ``parameter_groups``.
    """
    groups = parameter_groups(network, settings)
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas)
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.nesterov)


def parameter_groups(network: ActionDetector | ActionClassifier, settings: TrainConfig) -> list[dict[str, Any]]:
    """Divide the parameters by layer and by whether they decay.

    The learning rate of layer i of a backbone of L layers is the schedule's times ``layer_decay ** (L - i)``; the head,
    and a norm after the last layer, have i = L (BEiT's ``get_num_layer_for_vit``).

    Args:
        network: The network; its backbone knows its layers (``num_layers``, ``layer_of``).
        settings: The ``train`` section of the config.

    Returns:
        The groups, from the first layer to the last; in each layer the decayed parameters first. Each has ``params``,
        ``weight_decay``, ``lr`` and ``lr_scale``. With ``layer_decay`` 1 all layers are one.
    """
    undecayed = _undecayed(network, settings)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        # How many layers before the last this one is.
        distance = _layers_before_the_last(network, name) if settings.layer_decay < 1 else 0
        decays = name not in undecayed
        if (-distance, not decays) not in groups:
            scale = settings.layer_decay**distance
            groups[-distance, not decays] = {
                "params": [],
                "weight_decay": settings.weight_decay if decays else 0.0,
                "lr": scale * settings.learning_rate,
                _SCALE: scale,
            }
        groups[-distance, not decays]["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def set_learning_rate(optimiser: Any, rate: float) -> None:
    """Set the learning rate of every parameter group.

    Args:
        optimiser: The optimiser of ``build_optimiser``, as it is or wrapped by Accelerate.
        rate: The schedule's rate, which the last layer and the head get; the other layers get their part of it.
    """
    for group in optimiser.param_groups:
        # Groups out of a checkpoint of earlier versions have no factor: all layers had one rate.
        group["lr"] = rate * group.get(_SCALE, 1.0)


def layer_scales(optimiser: Any) -> list[float]:
    """Return the factors of the learning rate of each layer.

    Args:
        optimiser: The optimiser of ``build_optimiser``, as it is or wrapped by Accelerate.

    Returns:
        The different factors, from the first layer with parameters to the last; ``[1.0]`` without layer decay.
    """
    return list(dict.fromkeys(group.get(_SCALE, 1.0) for group in optimiser.param_groups))


def _undecayed(network: nn.Module, settings: TrainConfig) -> Collection[str]:
    """The names of the parameters without weight decay."""
    if settings.optimiser == "adamw":
        # Biases have one dimension too.
        return {name for name, parameter in network.named_parameters() if parameter.dim() <= 1}
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    return {f"{name}.{own}" for name, norm in norms.items() for own, _ in norm.named_parameters(recurse=False)}


def _layers_before_the_last(network: ActionDetector | ActionClassifier, name: str) -> int:
    backbone = network.backbone
    return backbone.num_layers - backbone.layer_of(name.removeprefix(_BACKBONE)) if name.startswith(_BACKBONE) else 0
