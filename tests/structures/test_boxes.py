from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tolerances import FLOAT32
from torchvision.ops import box_iou
from torchvision.ops import nms as torchvision_nms

from ava_detect.structures import boxes

coordinates = st.floats(-50, 50, width=32)
any_boxes = st.integers(0, 6).flatmap(lambda n: arrays(np.float32, (n, 4), elements=coordinates))
# Upright boxes on a grid of quarters: exact in float32, so two implementations must agree to the bit.
upright_boxes = st.integers(1, 12).flatmap(
    lambda n: arrays(np.int16, (n, 4), elements=st.integers(0, 40)).map(
        lambda a: np.concatenate([a[:, :2], a[:, :2] + 1 + a[:, 2:]], axis=1).astype(np.float32) / 4
    )
)


def test_iou_by_hand():
    a = np.array([[0, 0, 4, 4]], np.float32)
    b = np.array([[2, 2, 6, 6], [0, 0, 4, 4], [4, 0, 8, 4], [1, 1, 1, 3]], np.float32)
    # 2x2 shared of 16 + 16 - 4; itself; touching; a box without area
    np.testing.assert_allclose(boxes.iou(a, b)[0], [4 / 28, 1, 0, 0], rtol=FLOAT32)


def test_areas_of_reversed_boxes_are_zero():
    np.testing.assert_array_equal(
        boxes.areas(np.array([[0, 0, 2, 3], [2, 0, 0, 3], [1, 1, 1, 9]], np.float32)), [6, 0, 0]
    )


def test_the_full_frame_is_one_in_fractions():
    full = np.array([[0, 0, 340, 256]], np.float32)
    fractions = boxes.pixels_to_fractions(full, 340, 256)
    np.testing.assert_allclose(fractions, [[0, 0, 1, 1]], rtol=FLOAT32)
    np.testing.assert_allclose(boxes.fractions_to_pixels(fractions, 170, 512), [[0, 0, 170, 512]], rtol=FLOAT32)


def test_clip_by_hand():
    outside = np.array([[-5, -1, 20, 8], [3, 4, 5, 6]], np.float32)
    np.testing.assert_array_equal(boxes.clip(outside, 10, 7), [[0, 0, 10, 7], [3, 4, 5, 6]])


@given(upright_boxes, upright_boxes)
def test_iou_equals_torchvision(a, b):
    expected = box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(boxes.iou(a, b), expected, rtol=FLOAT32)


@given(any_boxes, any_boxes)
def test_iou_is_symmetric_and_in_range(a, b):
    overlaps = boxes.iou(a, b)
    assert overlaps.shape == (len(a), len(b))
    assert ((overlaps >= 0) & (overlaps <= 1 + 1e-6)).all()
    np.testing.assert_allclose(overlaps, boxes.iou(b, a).T, rtol=FLOAT32)


@given(
    upright_boxes,
    st.integers(0, 2**32 - 1),
    # An overlap of 0.3 is above or below 0.3 by rounding alone; 0.5 is itself.
    st.sampled_from([0.30001, 0.5, 0.60001, 0.90001]),
)
def test_nms_equals_torchvision(candidates, seed, threshold):
    scores = np.random.default_rng(seed).permutation(len(candidates)).astype(np.float32)
    expected = torchvision_nms(torch.from_numpy(candidates), torch.from_numpy(scores), threshold).tolist()
    assert boxes.nms(candidates, scores, threshold).tolist() == expected


def test_nms_by_hand():
    # The second overlaps the first with IoU 9/11 and is worse; the third stands apart.
    candidates = np.array([[0, 0, 10, 1], [1, 0, 11, 1], [20, 0, 30, 1]], np.float32)
    scores = np.array([0.9, 0.8, 0.95], np.float32)
    assert boxes.nms(candidates, scores, 0.5).tolist() == [2, 0]
    assert boxes.nms(candidates, scores, 0.9).tolist() == [2, 0, 1]
    assert boxes.nms(candidates[:0], scores[:0], 0.5).tolist() == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    one = np.array([[1, 2, 3, 4]], dtype)
    for result in (boxes.areas(one), boxes.iou(one, one), boxes.clip(one, 2, 2), boxes.scale(one, 0.5, 0.25)):
        assert result.dtype == dtype
