"""The network in this process: what goes in, and what it leaves behind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from networks import lively_model

from ava_detect.inference.scorer import Scorer
from ava_detect.structures import Clip, PersonBoxes


@pytest.fixture
def all_warnings():
    """PyTorch gives most of its warnings once a process."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def test_frames_that_cannot_be_written_to_are_scored_like_others(all_warnings):
    """As Ray hands them over."""
    scorer = Scorer(lively_model())
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), np.uint8)
    people = PersonBoxes(np.array([[2, 2, 20, 30]], np.float32), np.ones(1, np.float32))
    (expected,) = scorer.score([Clip(frames, 1.0, 4)], [people])
    frames.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (got,) = scorer.score([Clip(frames, 1.0, 4)], [people])
    assert np.array_equal(got, expected)
