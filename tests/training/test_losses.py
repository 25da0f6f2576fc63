"""Losses against numbers worked by hand."""

import math

import pytest
import torch
from tolerances import FLOAT32

from ava_detect.training.losses import bce_loss, build_loss, cross_entropy_loss, focal_loss

LOGITS = torch.tensor([[0.0, math.log(3.0)], [-math.log(3.0), 0.0]])  # probabilities 1/2, 3/4; 1/4, 1/2
LABELS = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
# -log of what the truth was given: 1/2, 3/4; 1/4, 1/2
BCE = [[math.log(2), math.log(4 / 3)], [math.log(4), math.log(2)]]


def test_bce_is_a_mean_over_classes_and_a_sum_over_rows():
    expected = sum(sum(row) / 2 for row in BCE)
    assert bce_loss(LOGITS, LABELS).item() == pytest.approx(expected, rel=FLOAT32)


def test_focal_weighs_by_what_was_missed():
    missed = [[1 / 2, 1 / 4], [3 / 4, 1 / 2]]
    for alpha, gamma in ((3.0, 1.0), (1.5, 2.0)):
        terms = [[alpha * m**gamma * b for m, b in zip(*rows, strict=True)] for rows in zip(missed, BCE, strict=True)]
        expected = sum(sum(row) / 2 for row in terms)
        assert focal_loss(LOGITS, LABELS, alpha=alpha, gamma=gamma).item() == pytest.approx(expected, rel=FLOAT32)


def test_focal_without_focus_is_bce():
    focal = build_loss("focal", focal_alpha=1.0, focal_gamma=0.0)
    assert focal(LOGITS, LABELS).item() == pytest.approx(build_loss("bce")(LOGITS, LABELS).item())


def test_cross_entropy_of_one_class():
    # softmax of (0, log 3) gives 1/4, 3/4
    loss = cross_entropy_loss(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(math.log(4), rel=FLOAT32)


def test_cross_entropy_with_a_background():
    # exp: 1 of the background, 3 and 1. One action; none; both, which share the weight.
    logits = torch.tensor([[math.log(3.0), 0.0]]).repeat(3, 1)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    loss = build_loss("cross_entropy", background=True)
    of_rows = [loss(logits[row : row + 1], labels[row : row + 1]).item() for row in range(3)]
    assert of_rows == pytest.approx([math.log(5 / 3), math.log(5), (math.log(5 / 3) + math.log(5)) / 2], rel=FLOAT32)
    assert loss(logits, labels).item() == pytest.approx(sum(of_rows), rel=FLOAT32)
    assert loss(logits[:0], labels[:0]).item() == 0


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_a_batch_without_people_has_no_loss_and_no_gradient(name):
    logits = torch.zeros(0, 80, requires_grad=True)
    loss = build_loss(name)(logits, torch.zeros(0, 80))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.shape == (0, 80)


@pytest.mark.parametrize("name", ["bce", "focal", "cross_entropy"])
def test_half_precision_logits_are_computed_in_float32(name):
    logits = (30 * torch.randn(4, 3)).to(torch.bfloat16)
    labels = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0]), 3).float()
    loss = build_loss(name)
    assert loss(logits, labels).dtype == torch.float32
    torch.testing.assert_close(loss(logits, labels), loss(logits.float(), labels))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_focal_stays_finite_where_logits_are_extreme(size):
    logits = torch.full((1, 2), size, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[1.0, 0.0]]), alpha=3.0, gamma=1.0)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
