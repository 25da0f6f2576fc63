"""The same random numbers in every run, and a model whose weights files are made from."""

from __future__ import annotations

import pytest
import torch
from networks import lively_model

from ava_detect.models.action_detector import ActionDetector


@pytest.fixture(autouse=True)
def same_random_numbers_every_time() -> None:
    """Networks and clips made up in these tests are the same in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def source() -> ActionDetector:
    """The model that a weights file holds."""
    return lively_model(seed=3)
