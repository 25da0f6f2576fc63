"""The learning rate of the recipe, row by row (PySlowFast SLOWFAST_32x2_R50_SHORT and ``lr_policy.py``)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.config import TrainConfig
from ava_detect.training.schedule import learning_rate

RECIPE = TrainConfig()
COSINE = TrainConfig(schedule="cosine", learning_rate=0.1, epochs=196, warmup_epochs=34, warmup_start=0.01)
# mmaction2's ViT-B (configs/detection/videomae, commit 4d6c934): LinearLR from a tenth over 5 epochs, then cosine.
VIT = TrainConfig(
    schedule="cosine",
    cosine_after_warmup=True,
    cosine_end=1e-6,
    learning_rate=1.25e-4,
    epochs=20,
    warmup_epochs=5,
    warmup_start=1.25e-5,
)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 0.000125),
        (1, 0.000125 + 0.099875 / 5),
        (2.5, 0.0500625),
        (4.999, 0.000125 + 0.099875 * 0.9998),
        (5, 0.1),
        (9.999, 0.1),
        (10, 0.01),
        (14.999, 0.01),
        (15, 0.001),
        (19.999, 0.001),
        (20, 0.0001),
    ],
)
def test_the_recipe_of_ava(epoch, expected):
    assert learning_rate(RECIPE, epoch) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 0.01),
        # PySlowFast: the line goes to what the cosine is at the end of the warm-up, not to the base rate.
        (34, 0.1 * (math.cos(math.pi * 34 / 196) + 1) / 2),
        (17, (0.01 + 0.1 * (math.cos(math.pi * 34 / 196) + 1) / 2) / 2),
        (98, 0.05),
        (196, 0.0),
    ],
)
def test_half_a_period_of_cosine(epoch, expected):
    assert learning_rate(COSINE, epoch) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 1.25e-5),
        (2, 1.25e-5 + 0.4 * 1.125e-4),
        (5, 1.25e-4),
        (10, 1e-6 + 1.24e-4 * 0.75),  # a third of the half period: (cos 60 degrees + 1) / 2
        (12.5, 1e-6 + 0.62e-4),
        (20, 1e-6),
    ],
)
def test_a_cosine_that_begins_after_the_warm_up_and_ends_above_0(epoch, expected):
    assert learning_rate(VIT, epoch) == pytest.approx(expected, rel=1e-9)


@given(st.sampled_from([RECIPE, COSINE, VIT]), st.floats(0, 196), st.floats(0, 196))
def test_it_rises_until_the_warm_up_ends_and_never_after(settings, a, b):
    early, late = sorted((a, b))
    if late <= settings.warmup_epochs:
        assert learning_rate(settings, early) <= learning_rate(settings, late)
    elif early >= settings.warmup_epochs:
        assert learning_rate(settings, early) >= learning_rate(settings, late)


def test_without_a_warm_up_it_starts_in_full():
    assert learning_rate(TrainConfig(warmup_epochs=0), 0) == 0.1


def test_a_training_may_end_before_its_warm_up():
    short = VIT.model_copy(update={"epochs": 2})
    assert [learning_rate(short, epoch) for epoch in (0, 2)] == [learning_rate(VIT, epoch) for epoch in (0, 2)]
    assert learning_rate(VIT.model_copy(update={"epochs": 5}), 5) == VIT.learning_rate


def test_steps_multiply_by_the_factor():
    settings = TrainConfig(warmup_epochs=0, step_epochs=(1, 3), step_factor=0.5, learning_rate=0.8)
    assert [learning_rate(settings, epoch) for epoch in range(5)] == pytest.approx([0.8, 0.4, 0.4, 0.2, 0.2])
