"""What decays and what does not."""

import torch
from networks import lively_model

from ava_detect.config import TrainConfig
from ava_detect.training.optimiser import build_optimiser
from ava_detect.training.sync_batchnorm import synchronise_batchnorm


def test_every_parameter_once_and_batch_norm_without_decay():
    model = lively_model()
    decayed, undecayed = build_optimiser(model, TrainConfig(weight_decay=1e-4)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (1e-4, 0.0)
    assert {names[id(p)] for p in undecayed["params"]} == {name for name in names.values() if ".bn." in name}
    # The last layer's bias decays like its weight, as in PySlowFast.
    assert "head.projection.bias" in {names[id(p)] for p in decayed["params"]}
    assert sorted(names) == sorted(id(p) for group in (decayed, undecayed) for p in group["params"])


def test_synchronised_batch_norm_is_batch_norm():
    model = synchronise_batchnorm(lively_model(), torch.device("cpu"))
    _, undecayed = build_optimiser(model, TrainConfig()).param_groups
    assert len(undecayed["params"]) == sum(".bn." in name for name, _ in model.named_parameters())


def test_a_step_without_gradient_decays_weights_alone():
    model = lively_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = build_optimiser(model, TrainConfig(weight_decay=0.5, learning_rate=0.1, momentum=0.9))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in model.named_parameters():
        # Nesterov: the first step is lr * (1 + momentum) * decay * weight
        factor = 1.0 if ".bn." in name else 1 - 0.1 * 1.9 * 0.5
        torch.testing.assert_close(parameter.detach(), factor * before[name])
