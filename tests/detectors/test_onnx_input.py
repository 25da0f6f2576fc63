from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.detectors.onnx_input import InputFormat
from ava_detect.detectors.tiles import View


def input_format(**changes) -> InputFormat:
    usual = {"width": 8, "height": 8, "resize": "stretch", "color": "rgb", "scale": 1.0, "mean": (0.0,)}
    usual |= {"std": (1.0,), "channels_last": False, "dtype": np.float32}
    return InputFormat(**(usual | changes))


def picture(width: int, height: int, color: tuple[int, int, int] = (10, 20, 30)) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.full((height, width, 3), color, np.uint8))


def whole(image: PIL.Image.Image) -> View:
    return View(0, 0, image.width, image.height)


@pytest.mark.parametrize(("color", "order"), [("rgb", [10, 20, 30]), ("bgr", [30, 20, 10])])
def test_channel_order(color, order):
    tensor, _ = input_format(color=color).prepare(picture(4, 4), View(0, 0, 4, 4))
    assert tensor.shape == (3, 8, 8)
    assert tensor[:, 3, 3].tolist() == order


def test_scale_mean_and_std_in_the_order_of_the_channels():
    form = input_format(color="bgr", scale=0.1, mean=(1.0, 2.0, 3.0), std=(2.0, 1.0, 0.5))
    tensor, _ = form.prepare(picture(4, 4), View(0, 0, 4, 4))
    np.testing.assert_allclose(tensor[:, 0, 0], [(3 - 1) / 2, (2 - 2) / 1, (1 - 3) / 0.5], atol=1e-6)


def test_channels_last_and_uint8():
    tensor, _ = input_format(channels_last=True, dtype=np.uint8, width=6).prepare(picture(4, 4), View(0, 0, 4, 4))
    assert tensor.shape == (8, 6, 3)
    assert tensor.dtype == np.uint8


@pytest.mark.parametrize(("resize", "rows"), [("letterbox", slice(0, 4)), ("letterbox_center", slice(2, 6))])
def test_a_letterbox_keeps_proportions_and_pads_with_gray(resize, rows):
    image = picture(32, 16)
    tensor, _ = input_format(resize=resize).prepare(image, whole(image))
    expected = np.full((8, 8), 114.0)
    expected[rows] = 10
    np.testing.assert_array_equal(tensor[0], expected)


def test_a_view_is_cut_out_of_the_picture():
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 10:] = 200
    tensor, _ = input_format().prepare(PIL.Image.fromarray(pixels), View(10, 0, 20, 10))
    assert (tensor[:, :, 1:] == 200).all()  # antialiasing lets the neighbours into the first column
    assert (tensor[:, :, 0] > 150).all()


@given(
    resize=st.sampled_from(["stretch", "letterbox", "letterbox_center"]),
    width=st.integers(16, 200),
    height=st.integers(16, 200),
    data=st.data(),
)
def test_a_marked_rectangle_comes_back_where_it_was(resize, width, height, data):
    """The picture is the witness: where the bright rectangle lies in the tensor is what the placement must undo."""
    x1 = data.draw(st.integers(0, width - 8))
    y1 = data.draw(st.integers(0, height - 8))
    view = View(x1, y1, width, height)
    pixels = np.zeros((height, width, 3), np.uint8)
    box = np.array([x1 + view.width // 4, y1 + view.height // 4, x1 + view.width // 2, y1 + view.height // 2])
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    form = input_format(resize=resize, width=160, height=96)
    tensor, placement = form.prepare(PIL.Image.fromarray(pixels), view)
    rows, columns = np.nonzero((tensor[0] > 127) & (tensor[0] != 114))
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    returned = placement.to_frame(seen)[0]
    pixel = np.array([1 / placement.scale_x, 1 / placement.scale_y] * 2)  # one input pixel, in pixels of the frame
    assert (np.abs(returned - box) <= pixel + 0.51).all()


def test_boxes_are_cut_to_the_view():
    image = picture(32, 16)
    _, placement = input_format(resize="letterbox_center").prepare(image, whole(image))
    returned = placement.to_frame(np.array([[-4, 0, 20, 8]], np.float32))
    assert returned.tolist() == [[0, 0, 32, 16]]
