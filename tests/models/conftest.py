from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def same_random_numbers_every_time():
    """Networks and clips made up in these tests are the same in every run."""
    torch.manual_seed(0)
