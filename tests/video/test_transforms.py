from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tolerances import NORMALISED_PIXELS

from ava_detect.video.transforms import (
    crop,
    flip,
    normalize,
    resize,
    short_side_size,
    size_within,
)


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Two black frames with one white rectangle, and its box."""
    x1, y1, x2, y2 = box
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, y1:y2, x1:x2] = 255
    return frames, np.array([box], np.float32)


def white_box(frames: np.ndarray) -> list[float]:
    """Where the white rectangle is: its edges lie where the level passes one half."""
    rows, columns = np.nonzero(frames[0, :, :, 0] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


boxes_in_40x30 = st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(4, 10), st.integers(4, 10)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((340, 256), 224, (297, 224)),  # 297.5 floored, as PySlowFast
        ((1280, 720), 256, (455, 256)),
        ((720, 1280), 256, (256, 455)),
        ((256, 340), 256, (256, 340)),
        ((50, 50), 128, (128, 128)),
    ],
)
def test_short_side_size_by_hand(size, short_side, expected):
    assert short_side_size(*size, short_side) == expected


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((340, 256), 224, (298, 224)),  # 297.5 goes up
        ((1280, 720), 256, (455, 256)),  # 455.1
        ((640, 480), 256, (341, 256)),  # 341.3
        ((1920, 800), 256, (614, 256)),  # 614.4
        ((854, 480), 256, (455, 256)),  # 455.47
        ((640, 350), 256, (468, 256)),  # 468.1
        ((720, 405), 256, (455, 256)),  # 455.1
        ((720, 404), 256, (456, 256)),  # 456.2
        ((570, 320), 256, (456, 256)),  # 456
        ((1024, 576), 257, (457, 257)),  # 456.9; floored 456
        ((720, 1279), 256, (256, 455)),  # 454.8; floored 454
        ((256, 340), 256, (256, 340)),
        ((50, 50), 128, (128, 128)),
    ],
)
def test_the_long_side_rounded_by_hand(size, short_side, expected):
    assert short_side_size(*size, short_side, long_side="round") == expected


@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from([112, 128, 224, 240, 256, 320]))
def test_the_long_side_rounded_is_the_formula_of_mmcv(width, height, short_side):
    # mmcv.rescale_size with (inf, short_side), then _scale_size of both sides.
    factor = min(float("inf"), short_side / min(width, height))
    expected = (int(width * float(factor) + 0.5), int(height * float(factor) + 0.5))
    assert short_side_size(width, height, short_side, long_side="round") == expected
    floored = short_side_size(width, height, short_side)
    assert max(expected) - max(floored) in (0, 1)
    assert min(expected) == min(floored) == short_side


def test_short_side_must_be_positive():
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        short_side_size(10, 10, 0)


def test_size_within_only_shrinks():
    assert size_within(1920, 1080, 800, 1333) == (1333, 750)
    assert size_within(1080, 1920, 800, 1333) == (750, 1333)
    assert size_within(340, 256, 800, 1333) == (340, 256)


@given(boxes_in_40x30)
def test_flipping_moves_the_box_with_the_pixels_and_back(box):
    frames, boxes = scene(40, 30, box)
    flipped, moved = flip(frames, boxes)
    assert moved[0].tolist() == white_box(flipped)
    again, back = flip(flipped, moved)
    np.testing.assert_array_equal(again, frames)
    np.testing.assert_array_equal(back, boxes)


@given(boxes_in_40x30, st.sampled_from([(80, 60), (20, 15), (80, 30), (120, 90)]))
def test_resizing_moves_the_box_with_the_pixels(box, size):
    frames, boxes = scene(40, 30, box)
    resized, moved = resize(frames, boxes, *size)
    assert resized.shape == (2, size[1], size[0], 3)
    # Odd edges fall between pixels when halving.
    np.testing.assert_allclose(moved[0], white_box(resized), atol=0.51)


def test_resizing_by_hand():
    # Doubling [0, 100] samples at -0.25, 0.25, 0.75, 1.25: 0, 25, 75, 100. Halving [0, 10, 20, 40] takes means.
    pair = np.array([0, 100], np.uint8)[None, None, :, None].repeat(3, axis=3)
    assert resize(pair, np.zeros((0, 4), np.float32), 4, 1)[0][0, 0, :, 0].tolist() == [0, 25, 75, 100]
    four = np.array([0, 10, 20, 40], np.uint8)[None, None, :, None].repeat(3, axis=3)
    assert resize(four, np.zeros((0, 4), np.float32), 2, 1)[0][0, 0, :, 0].tolist() == [5, 30]


def test_resizing_does_not_antialias():
    # At a third of the size the middle pixel of each three is taken, as OpenCV does; a mean would give 85.
    row = np.array([0, 255, 0, 0, 255, 0], np.uint8)[None, None, :, None].repeat(3, axis=3)
    assert resize(row, np.zeros((0, 4), np.float32), 2, 1)[0][0, 0, :, 0].tolist() == [255, 255]


def test_resize_keeps_a_frame_that_fits():
    frames, boxes = scene(40, 30, (1, 2, 10, 20))
    same, moved = resize(frames, boxes, 40, 30)
    assert same is frames
    assert moved is boxes
    assert resize(frames, boxes, 80, 60)[1].tolist() == [[2, 4, 20, 40]]


def test_crop_cuts_boxes_to_the_window():
    frames, boxes = scene(40, 30, (5, 5, 25, 20))
    window, moved = crop(frames, boxes, 10, 8, 20, 10)
    assert window.shape == (2, 10, 20, 3)
    assert moved.tolist() == [[0, 0, 15, 10]]
    assert moved[0].tolist() == white_box(window)
    outside = crop(frames, np.array([[0, 0, 4, 4]], np.float32), 10, 8, 20, 10)[1]
    assert outside.tolist() == [[0, 0, 0, 0]]


def test_a_crop_must_lie_inside():
    frames, boxes = scene(40, 30, (5, 5, 25, 20))
    with pytest.raises(ValueError, match=r"the crop 20x10 at \(30, 0\) does not lie inside the frame 40x30"):
        crop(frames, boxes, 30, 0, 20, 10)


@pytest.mark.parametrize("shape", [(3, 5, 7, 3), (2, 3, 5, 7, 3)])
def test_normalize_is_the_formula_within_two_roundings(shape):
    frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)[..., ::-1, :]
    mean, std = (0.45, 0.4, 0.5), (0.225, 0.2, 0.25)
    expected = np.moveaxis((frames / 255.0 - np.array(mean)) / np.array(std), -1, -4)
    result = normalize(frames, mean, std)
    assert result.dtype == torch.float32 and tuple(result.shape) == expected.shape
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=NORMALISED_PIXELS)
