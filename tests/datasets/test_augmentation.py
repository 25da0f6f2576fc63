from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.datasets.augmentation import Augmentation, jitter_colors, jitter_hsv

NO_BOXES = np.zeros((0, 4), np.float32)


class Drawn:
    """A generator that gives what it was told: the next of ``integers``, and one number for all else."""

    def __init__(self, *integers: int, random: float = 1.0):
        self.numbers = list(integers)
        self.bounds = []
        self._random = random

    def integers(self, low, high=None):
        self.bounds.append((0, low) if high is None else (low, high))
        return self.numbers.pop(0)

    def random(self):
        return self._random

    def uniform(self, low, high):
        return low + self._random * (high - low)


def ramp(height: int = 20, width: int = 40, length: int = 2) -> np.ndarray:
    """A picture whose red is its column and green its row."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns, rows, np.full_like(rows, 7)], axis=-1).astype(np.uint8)
    return np.stack([image] * length)


def test_the_short_side_is_one_over_a_uniform_number():
    change = Augmentation(short_side=(256, 320))
    assert change.draw_short_side(Drawn(random=0.0)) == 320
    assert change.draw_short_side(Drawn(random=1.0)) == 256
    # 1 / ((1/256 + 1/320) / 2) = 284.4, where U(256, 320) would give 288
    assert change.draw_short_side(Drawn(random=0.5)) == 284


def test_a_crop_by_hand():
    boxes = np.array([[2, 4, 30, 12], [34, 0, 39, 20], [12, 6, 14, 8]], np.float32)
    rng = Drawn(10, 3)
    frames, cut, kept = Augmentation(crop=16, flip=0)(ramp(), boxes, rng)
    assert rng.bounds == [(0, 40 - 16 + 1), (0, 20 - 16 + 1)]
    assert frames.shape == (2, 16, 16, 3)
    assert frames[0, 0, 0].tolist() == [10, 3, 7]
    np.testing.assert_array_equal(cut, [[0, 1, 16, 9], [2, 3, 4, 5]])
    assert kept.tolist() == [True, False, True]


def test_a_flip_by_hand():
    boxes = np.array([[2, 4, 30, 12]], np.float32)
    frames, flipped, kept = Augmentation(crop=None, flip=0.5)(ramp(), boxes, Drawn(random=0.49))
    np.testing.assert_array_equal(flipped, [[10, 4, 38, 12]])
    assert frames[0, 0, 0].tolist() == [39, 0, 7] and kept.tolist() == [True]
    frames, same, _ = Augmentation(crop=None, flip=0.5)(ramp(), boxes, Drawn(random=0.5))
    np.testing.assert_array_equal(same, boxes)
    assert frames[0, 0, 0].tolist() == [0, 0, 7]


def test_a_person_of_whom_too_little_is_visible_is_dropped():
    """At left = 10 half of the first box is inside and a quarter of the second."""
    boxes = np.array([[5, 0, 15, 10], [7, 0, 11, 10]], np.float32)
    for min_visible, expected in ((0.0, [True, True]), (0.25, [True, True]), (0.5, [True, False])):
        change = Augmentation(crop=16, flip=0, min_visible=min_visible)
        assert change(ramp(), boxes, Drawn(10, 0))[2].tolist() == expected


def test_a_window_without_people_is_moved_over_a_person():
    boxes = np.array([[0, 0, 4, 4], [30, 2, 36, 18]], np.float32)
    rng = Drawn(10, 2, 1, 24, 4)
    frames, cut, kept = Augmentation(crop=16, flip=0)(ramp(), boxes, rng)
    # The centre of the second box is (33, 10): the window begins at 18..24 and 0..4.
    assert rng.bounds[2:] == [(0, 2), (18, 25), (0, 5)]
    assert kept.tolist() == [False, True]
    np.testing.assert_array_equal(cut, [[6, 0, 12, 14]])
    assert frames[0, 0, 0].tolist() == [24, 4, 7]


coordinates = st.tuples(*[st.floats(0, 1, width=32)] * 4)


@settings(max_examples=50)
@given(st.lists(coordinates, min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_at_least_one_person_is_left_and_lies_inside(corners, seed, min_visible):
    x1, y1, x2, y2 = np.array(corners, np.float32).T
    low, high = np.minimum([x1, y1], [x2, y2]).T, np.maximum([x1, y1], [x2, y2]).T
    boxes = (np.concatenate([low, high], axis=1) * np.float32([40, 20, 40, 20])).astype(np.float32)
    change = Augmentation(crop=16, min_visible=min_visible)
    frames, cut, kept = change(ramp(), boxes, np.random.default_rng(seed))
    assert frames.shape == (2, 16, 16, 3)
    assert len(cut) == kept.sum() >= 1
    assert cut.min() >= 0 and cut.max() <= 16


def test_without_people_a_clip_is_cropped_all_the_same():
    frames, boxes, kept = Augmentation(crop=16)(ramp(), NO_BOXES, np.random.default_rng(0))
    assert frames.shape == (2, 16, 16, 3) and boxes.shape == (0, 4) and kept.shape == (0,)


def test_colours_change_alike_in_all_frames_and_stay_bytes():
    frames = ramp()
    changed = jitter_colors(frames, 0.4, np.random.default_rng(3))
    assert changed.dtype == np.uint8 and changed.shape == frames.shape
    np.testing.assert_array_equal(changed[0], changed[1])
    assert (changed != frames).any()
    np.testing.assert_array_equal(jitter_colors(frames, 0.4, np.random.default_rng(3)), changed)


def test_brightness_by_hand():
    class InOrder(Drawn):
        def permutation(self, number):
            return range(number)

        def uniform(self, low, high):
            assert (low, high) == pytest.approx((0.6, 1.4))
            return self.numbers.pop(0)

    grey = np.full((1, 2, 2, 3), 100, np.uint8)
    # Brightness makes 120 of it; contrast and saturation leave a plain grey alone, up to a rounding.
    np.testing.assert_allclose(jitter_colors(grey, 0.4, InOrder(1.2, 0.7, 1.3)), 120, atol=1)


class Shifts(Drawn):
    """Draws these shifts, each from a range that is symmetric around 0."""

    def __init__(self, *shifts: float):
        super().__init__()
        self.shifts, self.ranges = list(shifts), []

    def uniform(self, low, high):
        assert low == -high
        self.ranges.append(high)
        return self.shifts.pop(0)


@pytest.mark.parametrize("shifts", [(0.0, 0.0, 0.0), (-17.0, 0.08, -0.06), (170.0, -0.5, 0.3), (5.0, 1.0, 1.0)])
def test_hue_saturation_and_value_shift_as_pythons_own_conversion_says(shifts):
    colours = np.random.default_rng(7).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    # Greys, black, white and pure colours, where hues or saturations are not defined or several channels are greatest.
    colours[0] = [[0, 0, 0], [255] * 3, [90] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 0], [7, 0, 7]]
    draw = Shifts(*shifts)
    shifted = jitter_hsv(np.stack([colours, colours[::-1]]), (180.0, 1.0, 1.0), draw)
    assert shifted.dtype == np.uint8 and draw.ranges == [180.0, 1.0, 1.0]
    for was, now in zip(colours.reshape(-1, 3), shifted[0].reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(was / 255))
        saturation, value = (
            min(max(x + shift, 0), 1) for x, shift in zip((saturation, value), shifts[1:], strict=True)
        )
        expected = 255 * np.array(colorsys.hsv_to_rgb((hue + shifts[0] / 360) % 1, saturation, value))
        np.testing.assert_allclose(now, expected, atol=0.5 + 1e-3)
    np.testing.assert_array_equal(shifted[1], shifted[0][::-1])


def test_hsv_jitter_is_part_of_the_augmentation_and_repeatable():
    change = Augmentation(crop=None, flip=0.0, hsv_jitter=(20.0, 0.1, 0.1))
    one, other = (change(ramp(), NO_BOXES, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (one != ramp()).any()
