"""Every layout's decoder against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from tolerances import FLOAT32

from ava_detect.detectors.onnx_layouts import LAYOUTS, OutputFormat
from ava_detect.errors import DetectorError


def decode(layout, outputs, *, width=64, height=32, classes=(0,), coordinates=None):
    said = OutputFormat(width, height, classes, coordinates or LAYOUTS[layout].coordinates[0])
    arrays = {name: np.asarray(values, np.float32) for name, values in outputs.items()}
    found, scores = LAYOUTS[layout].decode(arrays, said)
    assert found.shape == (*scores.shape, 4)
    return found, scores


def test_xyxy_scores_as_fractions_and_as_pixels():
    outputs = {"boxes": [[[0.25, 0.5, 0.5, 1.0]]], "scores": [[0.7]]}
    found, scores = decode("xyxy_scores", outputs)
    assert found.tolist() == [[[16, 16, 32, 32]]]
    np.testing.assert_allclose(scores, [[0.7]])
    found, _ = decode("xyxy_scores", outputs, coordinates="pixels")
    assert found.tolist() == [[[0.25, 0.5, 0.5, 1.0]]]


def test_xyxy_scores_with_classes_takes_the_person_column():
    outputs = {"b": [[[0, 0, 1, 1]]], "s": [[[0.1, 0.6, 0.2]]]}
    _, scores = decode("xyxy_scores", outputs, classes=(1,))
    np.testing.assert_allclose(scores, [[0.6]])


def test_the_boxes_are_found_by_name_even_with_four_classes():
    outputs = {"scores": [[[0.1, 0.2, 0.3, 0.4]]], "pred_boxes": [[[0, 0, 1, 1]]]}
    _, scores = decode("xyxy_scores", outputs, classes=(3,))
    np.testing.assert_allclose(scores, [[0.4]])


def test_yolox_decodes_its_grid():
    # 64x32: strides 8, 16, 32 give 8x4 + 4x2 + 2x1 = 42 cells. Cell 9 is column 1, row 1 of stride 8; cell 32 + 5 is
    # column 1, row 1 of stride 16; cell 41 is column 1, row 0 of stride 32.
    values = np.zeros((1, 42, 7), np.float32)
    values[0, 9] = [0.5, 0.25, np.log(2), np.log(3), 0.8, 0.5, 0.9]
    values[0, 37] = [0, 0, 0, 0, 0.5, 1, 0]
    values[0, 41] = [0.5, 0.5, 0, 0, 1, 1, 0]
    found, scores = decode("yolox", {"output": values})
    np.testing.assert_allclose(found[0, 9], [12 - 8, 10 - 12, 12 + 8, 10 + 12], rtol=FLOAT32)
    np.testing.assert_allclose(found[0, 37], [16 - 8, 16 - 8, 16 + 8, 16 + 8])
    np.testing.assert_allclose(found[0, 41], [48 - 16, 16 - 16, 48 + 16, 16 + 16])
    np.testing.assert_allclose(scores[0, [9, 37, 41]], [0.4, 0.5, 1])


def test_yolox_that_decoded_its_own_grid():
    values = [[[10, 20, 4, 6, 0.5, 0.5, 1]]]
    found, scores = decode("yolox", {"output": values}, coordinates="pixels", classes=(1,))
    assert found.tolist() == [[[8, 17, 12, 23]]]
    assert scores.tolist() == [[0.5]]


def test_yolox_with_another_grid_says_what_to_say():
    with pytest.raises(DetectorError, match=r"gives 5 boxes.*64x32 has 42; say coordinates=pixels"):
        decode("yolox", {"output": np.zeros((1, 5, 7))})


def test_yolov8_is_turned_and_has_no_objectness():
    values = np.zeros((1, 6, 21), np.float32)
    values[0, :, :2] = np.array([[10, 20, 4, 6, 0.1, 0.9], [30, 8, 2, 2, 0.7, 0.2]]).T
    found, scores = decode("yolov8", {"output0": values})
    assert found[:, :2].tolist() == [[[8, 17, 12, 23], [29, 7, 31, 9]]]
    np.testing.assert_allclose(scores[:, :2], [[0.1, 0.7]])


@pytest.mark.parametrize("layout", ["yolov8", "yolo_nms"])
def test_boxes_after_nms_are_known_by_their_six_values(layout):
    values = np.zeros((1, 300, 6), np.float32)
    values[0, :3] = [[8, 17, 12, 23, 0.7, 0], [1, 2, 3, 4, 0.9, 2], [29, 7, 31, 9, 0.6, 0]]
    found, scores = decode(layout, {"output0": values})
    assert found[0, [0, 2]].tolist() == [[8, 17, 12, 23], [29, 7, 31, 9]]
    np.testing.assert_allclose(scores[0, :4], [0.7, 0, 0.6, 0])


def test_values_after_the_class_are_left_out():
    """Masks or key points of the models that find these, too."""
    values = np.array([[[8, 17, 12, 23, 0.7, 0, 99, 98, 97]]], np.float32)
    found, scores = decode("yolo_nms", {"output0": values, "masks": np.zeros((1, 32, 8, 8))})
    assert (found.tolist(), scores.tolist()) == ([[[8, 17, 12, 23]]], [[np.float32(0.7)]])


def test_detr_takes_shares_among_classes_and_nothing():
    logits = np.log([[[1.0, 6.0, 3.0]]])
    found, scores = decode("detr", {"logits": logits, "pred_boxes": [[[0.5, 0.5, 0.5, 1.0]]]}, classes=(1,))
    assert found.tolist() == [[[16, 0, 48, 32]]]
    np.testing.assert_allclose(scores, [[0.6]], rtol=FLOAT32)


def test_rtdetr_takes_each_class_for_itself():
    outputs = {"logits": logit([[[0.3, 0.8]]]), "pred_boxes": [[[0.5, 0.5, 0.5, 1.0]]]}
    found, scores = decode("rtdetr", outputs)
    assert found.tolist() == [[[16, 0, 48, 32]]]
    np.testing.assert_allclose(scores, [[0.3]], rtol=FLOAT32)


def test_fastestdet_by_hand():
    values = np.full((1, 7, 2, 4), 0.01, np.float32)  # 2 rows, 4 columns, 2 classes
    values[0, :, 1, 2] = [0.5, np.arctanh(0.5), np.arctanh(-0.5), logit(0.5), logit(0.25), 0.6, 0.4]
    values[0, :, 0, 3] = [0.9, 0, 0, 0, 0, 0.4, 0.6]  # its best class is not a person
    found, scores = decode("fastestdet", {"758": values})
    cell = 1 * 4 + 2
    center_x, center_y = (2 + 0.5) / 4 * 64, (1 - 0.5) / 2 * 32
    np.testing.assert_allclose(found[0, cell], [center_x - 16, center_y - 4, center_x + 16, center_y + 4], rtol=1e-5)
    np.testing.assert_allclose(scores[0, cell], 0.5**0.6 * 0.6**0.4, rtol=FLOAT32)
    assert scores[0, 3] == 0


@pytest.mark.parametrize(
    ("layout", "outputs", "message"),
    [
        (
            "yolov8",
            {"a": np.zeros((1, 6, 3)), "b": np.zeros((1, 6, 3))},
            r"one output with 3 axes, got a \[1, 6, 3\], b",
        ),
        ("yolov8", {"a": np.zeros((1, 300, 84))}, r"more boxes k than values of each, got a \[1, 300, 84\]"),
        ("yolo_nms", {"a": np.zeros((1, 84, 5))}, r"expected rows of x1 y1 x2 y2, score and class"),
        ("xyxy_scores", {"a": np.zeros((1, 5, 4))}, r"expected boxes \[n,k,4\] and scores.*got a \[1, 5, 4\]"),
        ("xyxy_scores", {"boxes": np.zeros((1, 5, 4)), "s": np.zeros((1, 6))}, "of the same n and k"),
        ("rtdetr", {"boxes": np.zeros((1, 5, 4)), "s": np.zeros((1, 5, 2))}, "classes are 0 to 1 .* got 7"),
    ],
)
def test_outputs_of_another_layout_are_refused(layout, outputs, message):
    with pytest.raises(DetectorError, match=message):
        decode(layout, outputs, classes=(7,))
