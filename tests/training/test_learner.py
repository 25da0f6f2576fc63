"""One step: what it divides by, what it averages, what it refuses."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from networks import SMALL_CONFIG, lively_model
from torch import nn

from ava_detect.config import Config
from ava_detect.datasets.samples import Batch
from ava_detect.errors import ConfigError, DivergedError
from ava_detect.training.learner import Learner
from ava_detect.training.processes import open_processes

RATE = 0.1


@pytest.fixture
def accelerator():
    with open_processes("fp32") as accelerator:
        yield accelerator


def learner_of(accelerator, network=None, **train) -> Learner:
    config = Config.model_validate({**SMALL_CONFIG, "train": train})
    return Learner(frozen_norms(lively_model()) if network is None else network, config, accelerator)


def frozen_norms(network: nn.Module) -> nn.Module:
    """The network with batch norms (and dropout) that stay in evaluation mode: clips do not see each other."""
    network.eval()
    for module in network.modules():
        if not list(module.children()):
            module.train = lambda mode=True, module=module: module
    return network


def batch_of(people: list[int], seed: int = 0) -> Batch:
    """Clips with these numbers of people."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(people)
    clips = torch.repeat_interleave(torch.arange(len(people)), torch.tensor(people))
    corners = torch.tensor([2.0, 2, 20, 30]) + 10 * torch.rand(total, 1, generator=generator)
    return Batch(
        torch.randint(0, 256, (len(people), 8, 32, 32, 3), generator=generator, dtype=torch.uint8),
        (torch.rand(total, 80, generator=generator) < 0.1).float(),
        torch.cat([clips[:, None].float(), corners], dim=1),
        tuple(("movie", float(i)) for i in range(len(people))),
    )


def parts_of(batch: Batch, cuts: list[int]) -> list[Batch]:
    """A batch cut into parts of these numbers of clips."""
    parts, start = [], 0
    for length in cuts:
        mine = (batch.rois[:, 0] >= start) & (batch.rois[:, 0] < start + length)
        rois = batch.rois[mine] - torch.tensor([start, 0, 0, 0, 0.0])
        parts.append(Batch(batch.frames[start : start + length], batch.labels[mine], rois, batch.keys))
        start += length
    return parts


def weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.network.parameters()]


def test_accumulated_parts_are_one_batch_although_their_people_differ(accelerator):
    batch = batch_of([1, 3, 0, 2])
    whole, cut = learner_of(accelerator), learner_of(accelerator)
    # Float32 in another order; the gradient's norm adds up squares over all parameters.
    for _ in range(2):
        one, other = whole.step([batch], RATE), cut.step(parts_of(batch, [1, 2, 1]), RATE)
        assert other.loss == pytest.approx(one.loss, rel=1e-6)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)
    torch.testing.assert_close(weights(cut), weights(whole), rtol=0, atol=1e-6)


def test_the_loss_is_the_mean_over_people_and_classes(accelerator):
    batch, network = batch_of([1, 3]), frozen_norms(lively_model())
    clip = (batch.frames / 255 - 0.45).div(0.225).movedim(-1, 1)
    expected = nn.functional.binary_cross_entropy_with_logits(network(clip, batch.rois), batch.labels)
    assert learner_of(accelerator, network).step([batch], RATE).loss == pytest.approx(expected.item(), rel=1e-5)


def test_a_batch_without_people_moves_nothing(accelerator):
    learner = learner_of(accelerator, weight_decay=0.0)
    before = weights(learner)
    step = learner.step([batch_of([0, 0])], RATE)
    assert (step.loss, step.grad_norm) == (0, 0)
    torch.testing.assert_close(weights(learner), before, rtol=0, atol=0)


def test_the_average_follows_weights_and_running_statistics(accelerator):
    learner = learner_of(accelerator, lively_model(), ema_decay=0.75)
    history = []
    for seed in range(3):
        learner.step([batch_of([2, 1], seed)], RATE)
        history.append({name: value.clone() for name, value in learner.network.state_dict().items()})
    average = learner.evaluated.state_dict()
    for name in ("head.projection.weight", "backbone.stem.slow.bn.running_mean", "backbone.stem.fast.bn.running_var"):
        first, second, third = (state[name] for state in history)
        torch.testing.assert_close(average[name], 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third)
        assert not torch.equal(first, third)
    assert learner.evaluated is not learner.network


def test_without_an_average_the_network_itself_is_evaluated(accelerator):
    learner = learner_of(accelerator)
    assert learner.evaluated is learner.network


def test_the_norm_is_reported_as_it_was_and_the_step_is_clipped(accelerator):
    def step(**settings) -> tuple[float, float]:
        """The norm that is reported, and how far the weights move per learning rate."""
        learner = learner_of(accelerator, momentum=0.0, nesterov=False, weight_decay=0.0, **settings)
        before = weights(learner)
        norm = learner.step([batch_of([2, 1])], RATE).grad_norm
        moves = [(new - old).norm().item() for old, new in zip(before, weights(learner), strict=True)]
        return norm, math.hypot(*moves) / RATE

    norm, moved = step()
    # How far the weights move is a difference of float32 numbers that are much larger than it.
    assert moved == pytest.approx(norm, rel=1e-3)
    assert step(clip_norm=norm / 4) == pytest.approx((norm, norm / 4), rel=1e-3)


def test_a_loss_that_is_no_number_stops_before_the_weights_move(accelerator):
    learner = learner_of(accelerator)
    before = weights(learner)
    batch = batch_of([1])
    batch.labels[0, 0] = math.nan
    with pytest.raises(DivergedError, match="the loss is nan"):
        learner.step([batch], RATE)
    torch.testing.assert_close(weights(learner), before, rtol=0, atol=0)


def test_a_gradient_that_is_no_number_stops_too(accelerator):
    learner = learner_of(accelerator)
    learner.network.head.projection.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights(learner)
    with pytest.raises(DivergedError, match=r"the gradient of the loss [\d.]+ has the norm (nan|inf)"):
        learner.step([batch_of([1])], RATE)
    torch.testing.assert_close(weights(learner), before, rtol=0, atol=0)


def test_a_learner_goes_on_from_its_state(accelerator):
    one, other = learner_of(accelerator, ema_decay=0.9), learner_of(accelerator, ema_decay=0.9)
    one.step([batch_of([2], 1)], RATE)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert one.step([batch_of([1], 2)], RATE) == other.step([batch_of([1], 2)], RATE)
    for name, value in one.evaluated.state_dict().items():
        assert torch.equal(value, other.evaluated.state_dict()[name])


@pytest.mark.bf16
def test_bf16_learns_much_the_same():
    with open_processes("fp32") as accelerator:
        exact = learner_of(accelerator).step([batch_of([2, 1])], RATE)
    with open_processes("bf16") as accelerator:
        rounded = learner_of(accelerator, precision="bf16").step([batch_of([2, 1])], RATE)
    assert rounded != exact
    # bf16 rounds by 0.4 percent; the loss averages that, the gradient's norm adds it up over the layers.
    assert rounded.loss == pytest.approx(exact.loss, rel=0.02)
    assert rounded.grad_norm == pytest.approx(exact.grad_norm, rel=0.1)


@pytest.mark.bf16
@pytest.mark.parametrize("frames", [4, 8, 16])  # of which the slow pathway has 1, 2 and 4: its kernels reach over 3
def test_bf16_has_the_gradient_of_fp32_however_short_the_clip(frames):
    gradients = []
    for precision in ("fp32", "bf16"):
        with open_processes(precision) as accelerator:
            learner, batch = learner_of(accelerator, precision=precision), batch_of([1, 2])
            kept = {}
            for name, parameter in learner.network.named_parameters():
                parameter.register_hook(lambda gradient, name=name, kept=kept: kept.update({name: gradient.clone()}))
            learner.step([replace(batch, frames=batch.frames.repeat(1, 2, 1, 1, 1)[:, :frames])], RATE)
        gradients.append(kept)
    exact, rounded = gradients
    for name, gradient in exact.items():
        # By rounding alone at most a third, or 0.01 of a small one; a wrong gradient is off by half or by anything.
        error, size = (torch.linalg.vector_norm(values).item() for values in (rounded[name] - gradient, gradient))
        assert error < 0.4 * size + 0.01, name


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
def test_fp16_needs_a_gpu():
    with pytest.raises(ConfigError, match="fp16 needs a GPU"), open_processes("fp16"):
        pass


def test_a_softmax_is_trained_with_the_cross_entropy_unless_a_loss_is_named(accelerator):
    logits, labels = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[1.0, 0.0]])
    model = {"model": SMALL_CONFIG["model"] | {"head": {"score": "softmax"}}}

    def loss(changes, **train):
        config = Config.model_validate({**SMALL_CONFIG, **changes, "train": train})
        return Learner(lively_model(), config, accelerator)._loss(logits, labels).item()

    # The softmax of the first class is 1/4, with a background 1/5; the sigmoids are 1/2 and 3/4, and bce is their mean.
    assert loss(model) == pytest.approx(math.log(4))
    head = {"score": "softmax_with_background", "background_class": True}
    assert loss({"model": SMALL_CONFIG["model"] | {"head": head}}) == pytest.approx(math.log(5))
    assert loss(model, loss="bce") == loss({}) == pytest.approx((math.log(2) + math.log(4)) / 2)


@pytest.mark.parametrize(("score", "counts"), [("softmax", False), ("softmax_with_background", True)])
def test_people_without_an_action_count_where_there_is_a_background(accelerator, score, counts):
    head = {"score": score, "background_class": counts}
    changes = {"model": SMALL_CONFIG["model"] | {"head": head | {"dropout": 0.0}}}
    config = Config.model_validate({**SMALL_CONFIG, **changes})

    def step(labels: torch.Tensor):
        batch = batch_of([3], 0)
        labels = torch.nn.functional.pad(labels, (0, 80 - labels.shape[1]))
        people = Batch(batch.frames, labels, batch.rois[: len(labels)], batch.keys)
        return Learner(frozen_norms(lively_model(**changes)), config, accelerator).step([people], RATE)

    idle = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert (step(idle) == step(idle[:2])) != counts
    assert step(idle).loss > 0
    # Nobody to learn from is no step, and no error.
    assert (step(idle[2:]).loss > 0) == counts
