"""What decays and what does not, and at which rate each layer learns."""

import pytest
import torch
from networks import lively_model

from ava_detect.config import TrainConfig
from ava_detect.training.optimiser import build_optimiser, layer_scales, parameter_groups, set_learning_rate
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


def names_of(model, group) -> set[str]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


def test_adamw_leaves_biases_and_norms_without_decay():
    model = lively_model()
    settings = TrainConfig(optimiser="adamw", learning_rate=1e-3, weight_decay=0.05, betas=(0.8, 0.99))
    optimiser = build_optimiser(model, settings)
    assert isinstance(optimiser, torch.optim.AdamW)
    decayed, undecayed = optimiser.param_groups
    assert (decayed["weight_decay"], undecayed["weight_decay"], decayed["betas"]) == (0.05, 0.0, (0.8, 0.99))
    vectors = {name for name, parameter in model.named_parameters() if parameter.dim() == 1}
    assert names_of(model, undecayed) == vectors
    assert "head.projection.bias" in vectors
    assert names_of(model, decayed) == {name for name, _ in model.named_parameters()} - vectors


def test_a_step_of_adamw_without_gradient_decays_at_the_layers_rate():
    model = lively_model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    settings = TrainConfig(optimiser="adamw", learning_rate=1.0, weight_decay=0.5, layer_decay=0.5)
    optimiser = build_optimiser(model, settings)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimiser, 0.1)
    optimiser.step()
    for name, rate in (
        ("head.projection.weight", 0.1),
        ("backbone.res5.slow.block0.a.conv.weight", 0.1 / 2),
        ("backbone.lateral4.conv.weight", 0.1 / 2),
        ("backbone.res2.fast.block0.b.conv.weight", 0.1 / 16),
        ("backbone.stem.slow.conv.weight", 0.1 / 32),
    ):
        torch.testing.assert_close(model.get_parameter(name).detach(), (1 - rate * 0.5) * before[name])


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_layers_and_decay_divide_the_parameters_without_a_rest(optimiser):
    model = lively_model()
    groups = parameter_groups(model, TrainConfig(optimiser=optimiser, learning_rate=1e-3, layer_decay=0.5))
    every = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(every) == sorted(id(parameter) for parameter in model.parameters())
    scales = [group["lr_scale"] for group in groups]
    assert scales == sorted(scales)
    assert set(scales) == {0.5**distance for distance in range(6)}
    assert [group["lr"] for group in groups] == [1e-3 * scale for scale in scales]


def test_the_factors_outlive_a_checkpoint_and_one_without_them_has_one_rate():
    settings = TrainConfig(optimiser="adamw", learning_rate=1e-3, layer_decay=0.5)
    saved = build_optimiser(lively_model(), settings).state_dict()
    other = build_optimiser(lively_model(), settings)
    other.load_state_dict(saved)
    assert layer_scales(other) == [0.5**distance for distance in range(5, -1, -1)]
    for group in saved["param_groups"]:
        del group["lr_scale"]
    other.load_state_dict(saved)
    set_learning_rate(other, 0.25)
    assert (layer_scales(other), {group["lr"] for group in other.param_groups}) == ([1.0], {0.25})
