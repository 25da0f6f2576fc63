"""Frames and seconds: frame 1 is at second 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import ConfigError
from ava_detect.structures.frame_numbers import FrameNumbers


def test_by_hand():
    at_25 = FrameNumbers(25)
    assert at_25.at([0, 0.04, 1, 1.019]).tolist() == [1, 2, 26, 26]
    assert at_25.seconds([1, 2, 26]).tolist() == [0, 0.04, 1]
    assert FrameNumbers(1, start_seconds=902).at([902, 903]).tolist() == [1, 2]
    assert FrameNumbers(30000 / 1001).seconds([31]).tolist() == [1.001]


@given(st.integers(1, 10**6), st.floats(0.01, 1000), st.floats(0, 1e5))
def test_every_frame_comes_back(frame, fps, start):
    numbers = FrameNumbers(fps, start)
    assert numbers.at(numbers.seconds([frame])).tolist() == [frame]


def test_times_between_frames_are_found():
    assert FrameNumbers(25).first_between([0, 0.04, 0.08]) is None
    assert FrameNumbers(25).first_between([0, 0.06]) == 1
    assert FrameNumbers(30).first_between(np.round(np.arange(100) / 30, 2)) is None  # two decimals


@pytest.mark.parametrize("fps", [0, -1, 1001, float("nan")])
def test_other_rates_are_refused(fps):
    with pytest.raises(ConfigError, match="`fps` is above 0 and at most 1000, got"):
        FrameNumbers(fps)
