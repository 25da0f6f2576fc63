from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.onnx import OnnxDetector
from ava_detect.errors import DetectorError

ANSWERS = {
    "boxes": np.array([[[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0.45, 1]]]),
    "scores": np.array([[0.6, 0.9, 0.5]]),
}
SAID = {"layout": "xyxy_scores", "coordinates": "fractions", "color": "rgb", "scale": 1 / 255}
FRAME = np.zeros((50, 100, 3), np.uint8)


def test_boxes_come_back_in_pixels_of_each_frame_best_first(make_onnx):
    detector = OnnxDetector(make_onnx(ANSWERS), **SAID)
    small, large = detector([FRAME, np.zeros((100, 400, 3), np.uint8)])
    assert small.boxes_xyxy.tolist() == [[50, 0, 100, 50], [0, 0, 50, 50]]  # the third is a double of the first
    np.testing.assert_allclose(small.scores, [0.9, 0.6])
    assert large.boxes_xyxy.tolist() == [[200, 0, 400, 100], [0, 0, 200, 100]]
    assert isinstance(detector, PersonDetector)
    assert detector.name == "onnx:model.onnx"


def test_everything_may_be_said_by_the_file_and_the_caller_has_the_last_word(make_onnx):
    metadata = {"ava_detect.layout": "xyxy_scores", "ava_detect.coordinates": "fractions"}
    metadata |= {"ava_detect.color": "bgr", "ava_detect.scale": "1/255", "ava_detect.min_score": "0.95", "author": "me"}
    path = make_onnx(ANSWERS, metadata=metadata)
    assert len(OnnxDetector(path)([FRAME])[0]) == 0
    assert len(OnnxDetector(path, min_score=0.55)([FRAME])[0]) == 2


def test_nms_may_be_left_out(make_onnx):
    assert len(OnnxDetector(make_onnx(ANSWERS), **SAID, nms_iou=1.0)([FRAME])[0]) == 3


def test_a_model_that_takes_one_picture_at_a_time(make_onnx):
    detector = OnnxDetector(make_onnx(ANSWERS, shape=(1, 3, 8, 16)), **SAID, views="squares")
    assert detector([FRAME])[0].boxes_xyxy.tolist()[0] == [50, 0, 100, 50]


@pytest.mark.parametrize("element", [TensorProto.FLOAT16, TensorProto.UINT8])
def test_other_kinds_of_input(make_onnx, element):
    detector = OnnxDetector(make_onnx(ANSWERS, element=element), **SAID | {"scale": 1.0})
    assert len(detector([FRAME])[0]) == 2


def test_channels_last_is_seen_from_the_shape(make_onnx):
    detector = OnnxDetector(make_onnx(ANSWERS, shape=("n", 8, 16, 3)), **SAID)
    assert len(detector([FRAME])[0]) == 2


def test_a_model_of_any_size_must_be_told_one(make_onnx):
    path = make_onnx(ANSWERS, shape=("n", 3, "height", "width"))
    with pytest.raises(DetectorError, match=r"takes images of any size; say size=WIDTHxHEIGHT"):
        OnnxDetector(path, **SAID)
    assert len(OnnxDetector(path, **SAID, size=(64, 32))([FRAME])[0]) == 2


def test_a_size_that_the_model_does_not_take(make_onnx):
    with pytest.raises(DetectorError, match="size is 64x32, but the model only takes 16x8"):
        OnnxDetector(make_onnx(ANSWERS), **SAID, size=(64, 32))


def test_a_silent_model_is_described(make_onnx):
    with pytest.raises(DetectorError) as error:
        OnnxDetector(make_onnx(ANSWERS))
    text = str(error.value)
    assert "takes images ['n', 3, 8, 16]" in text
    assert "gives boxes" in text
    assert "say layout=..., one of xyxy_scores" in text
    assert "rtdetr" in text


def test_what_a_layout_leaves_open_must_be_said(make_onnx):
    with pytest.raises(DetectorError, match=r"does not give color, scale, for which layout xyxy_scores has no default"):
        OnnxDetector(make_onnx(ANSWERS), layout="xyxy_scores", coordinates="pixels")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "yolo8"}, r"layout must be one of .* got 'yolo8' \(did you mean 'yolov8'\?\)"),
        ({"resize": "strech"}, r"resize must be one of .* got 'strech' \(did you mean 'stretch'\?\)"),
        ({"coordinates": "grid"}, "coordinates must be one of fractions, pixels, got 'grid'"),
    ],
)
def test_values_that_are_not_there(make_onnx, options, message):
    with pytest.raises(DetectorError, match=message):
        OnnxDetector(make_onnx(ANSWERS), **SAID | options)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"ava_detect.colour": "rgb"}, r"there is no option 'colour' \(did you mean 'color'\?\)"),
        ({"ava_detect.mean": "1,2"}, r"mean='1,2' cannot be read \(2 numbers instead of 1 or 3\)"),
        ({"ava_detect.scale": "1/0"}, r"scale='1/0' cannot be read \(a division by zero\)"),
        ({"ava_detect.size": "big"}, r"size='big' cannot be read"),
        ({"ava_detect.size": "0x3"}, r"size='0x3' cannot be read \(a side has 1 to 8192 pixels\)"),
        ({"ava_detect.nms_iou": "60"}, r"nms_iou='60' cannot be read \(it must be in 0\.\.1\)"),
    ],
)
def test_metadata_that_cannot_be_read(make_onnx, metadata, message):
    with pytest.raises(DetectorError, match=message):
        OnnxDetector(make_onnx(ANSWERS, metadata=metadata), **SAID)


def test_no_file_and_no_model(tmp_path):
    with pytest.raises(DetectorError, match=r"nothing\.onnx: there is no such ONNX file"):
        OnnxDetector(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(DetectorError, match=r"text\.onnx: onnxruntime cannot open it as an ONNX model"):
        OnnxDetector(tmp_path / "text.onnx")


def test_a_model_without_an_image_input_is_refused(make_onnx):
    with pytest.raises(DetectorError, match="the model must take one image"):
        OnnxDetector(make_onnx(ANSWERS, element=TensorProto.DOUBLE), **SAID)


def test_an_answer_that_is_no_number_is_an_error(make_onnx):
    broken = {**ANSWERS, "scores": np.array([[0.6, np.nan, 0.5]])}
    with pytest.raises(DetectorError, match="hold NaN or infinity"):
        OnnxDetector(make_onnx(broken), **SAID)([FRAME])


def test_a_model_that_cannot_take_its_pictures_says_which(make_onnx):
    detector = OnnxDetector(make_onnx(ANSWERS, shape=(2, 3, 8, 16)), **SAID)
    with pytest.raises(DetectorError, match=r"cannot run it on inputs \[1, 3, 8, 16\] .*check that size fits"):
        detector([FRAME])


def test_outputs_that_do_not_fit_the_layout_name_the_file(make_onnx):
    with pytest.raises(DetectorError, match=r"model\.onnx: expected one output with 4 axes"):
        OnnxDetector(make_onnx(ANSWERS), layout="fastestdet")([FRAME])


def test_frames_must_be_images(make_onnx):
    with pytest.raises(DetectorError, match=r"must be uint8 RGB \[H, W, 3\].*got float64 \[4, 4, 3\]"):
        OnnxDetector(make_onnx(ANSWERS), **SAID)([np.zeros((4, 4, 3))])


def test_fastestdet_finds_people_on_real_frames(shared, labeled_frames, hits):
    path = shared / "models" / "test_only" / "FastestDet.onnx"
    detector = OnnxDetector(path, layout="fastestdet", num_threads=2)
    people, false = hits(detector([frame.image for frame in labeled_frames]), labeled_frames)
    # 11 and 2 at the threshold of its own project; with the wrong channel order, grid or scaling far fewer.
    assert people >= 10
    assert false <= 3


def test_letterboxed_boxes_come_back_to_the_frame(make_onnx):
    # A 100x50 frame in a 16x16 letterbox is 16x8; centered it begins at row 4.
    answer = {"output0": np.array([[8, 8, 8, 4, 0.9]], np.float32).T[None]}
    path = make_onnx(answer, shape=("n", 3, 16, 16))
    [found] = OnnxDetector(path, layout="yolov8")([FRAME])
    np.testing.assert_allclose(found.boxes_xyxy, [[25, 12.5, 75, 37.5]])


def test_output_names_of_a_file_are_shown_escaped(make_onnx):
    with pytest.raises(DetectorError) as error:
        OnnxDetector(make_onnx({"odd\n\x1bname": np.zeros((1, 2, 3))}), layout="fastestdet")([FRAME])
    assert r"got odd\n\x1bname [1, 2, 3]" in str(error.value)
    with pytest.raises(DetectorError) as error:
        OnnxDetector(make_onnx({"odd\n\x1bname": np.zeros((1, 2, 3))}))
    assert r"gives odd\n\x1bname" in str(error.value) and "\n" not in str(error.value)


# What Ultralytics' exporter writes.
ULTRALYTICS = {"task": "detect", "stride": "32", "names": "{0: 'car', 1: 'person'}", "imgsz": "[32, 64]"}
AFTER_NMS = np.zeros((1, 300, 6), np.float32)
AFTER_NMS[0, :3] = [[8, 4, 24, 28, 0.7, 1], [0, 0, 9, 9, 0.9, 0], [40, 4, 56, 28, 0.6, 1]]


@pytest.mark.parametrize(
    "metadata",
    [ULTRALYTICS, {**ULTRALYTICS, "args": "{'nms': True}"}, {**ULTRALYTICS, "end2end": "True"}],
)
def test_an_ultralytics_export_with_nms_needs_no_option(make_onnx, metadata):
    """Its axes or its metadata say the layout; the class and the size of the input are in the metadata."""
    path = make_onnx({"output0": AFTER_NMS}, shape=("n", 3, "h", "w"), metadata=metadata)
    found = OnnxDetector(path)([np.zeros((32, 64, 3), np.uint8)])[0]
    assert found.boxes_xyxy.tolist() == [[8, 4, 24, 28], [40, 4, 56, 28]]
    np.testing.assert_allclose(found.scores, [0.7, 0.6])


def test_options_come_before_an_exporters_metadata(make_onnx):
    path = make_onnx({"output0": AFTER_NMS}, shape=("n", 3, 32, 64), metadata=ULTRALYTICS)
    found = OnnxDetector(path, layout="yolov8", classes=(0,))([np.zeros((32, 64, 3), np.uint8)])[0]
    assert found.boxes_xyxy.tolist() == [[0, 0, 9, 9]]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"names": "{0: 'car', 1: 'dog'}"},
            r"none of its 2 classes is called person; .*\(classes=NAME,NAME\): 0 car, 1 dog$",
        ),
        ({"task": "classify"}, "the model's task is classify; give one for detect, segment, pose"),
    ],
)
def test_an_export_that_finds_no_persons_is_refused(make_onnx, metadata, message):
    with pytest.raises(DetectorError, match=message):
        OnnxDetector(make_onnx({"output0": AFTER_NMS}, shape=("n", 3, 32, 64), metadata={**ULTRALYTICS, **metadata}))


@pytest.mark.parametrize("score", [1.5, 164.0, -0.4])
def test_scores_that_are_none_are_refused(make_onnx, score):
    """Coordinates, classes or logits, which another layout takes for scores."""
    path = make_onnx({"boxes": ANSWERS["boxes"], "scores": np.full_like(ANSWERS["scores"], score)})
    with pytest.raises(DetectorError, match=rf"scores lie in 0\.\.1, and with layout=xyxy_scores they reach {score:g}"):
        OnnxDetector(path, **SAID)([FRAME])


NMS_PARTS = {
    "num_dets": np.array([[2]]),
    "det_boxes": np.array([[[8, 4, 24, 28], [0, 0, 9, 9], [40, 4, 56, 28]]]),
    "det_scores": np.array([[0.7, 0.9, 0.6]]),
    "det_classes": np.array([[0, 1, 0]]),
}
ROWS = np.concatenate([NMS_PARTS["det_boxes"], NMS_PARTS["det_scores"].T[None], [[[0], [1], [0]]]], axis=-1)


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ({"output0": ROWS}, 2),
        ({"output0": np.pad(ROWS, ((0, 0), (0, 0), (0, 32))), "output1": np.zeros((1, 32, 8, 8))}, None),
        (NMS_PARTS, 1),  # the third row comes after the last detection
        ({name: part for name, part in NMS_PARTS.items() if name != "num_dets"}, 2),
        ({"dets": ROWS[..., :5], "labels": ROWS[..., 5]}, 2),
    ],
)
def test_outputs_after_nms_need_no_layout_where_no_other_has_them(make_onnx, outputs, found):
    path = make_onnx(outputs, shape=("n", 3, 32, 64), fixed=True)
    frame = np.zeros((32, 64, 3), np.uint8)
    if found is None:  # six values and masks: more than one layout could have them
        with pytest.raises(DetectorError, match=r"say layout=\.\.\., one of"):
            OnnxDetector(path)
        found, detector = 2, OnnxDetector(path, layout="yolo_nms")
    else:
        detector = OnnxDetector(path)
    assert detector([frame])[0].boxes_xyxy.tolist() == [[8, 4, 24, 28], [40, 4, 56, 28]][:found]
    assert OnnxDetector(path, layout="yolo_nms", classes=(1,))([frame])[0].boxes_xyxy.tolist() == [[0, 0, 9, 9]]


def test_a_grid_of_boxes_along_the_last_axis_is_yolov8(make_onnx):
    values = np.zeros((1, 6, 42), np.float32)  # 32 + 8 + 2 cells
    values[0, :, 5] = [16, 16, 16, 24, 0.1, 0.8]
    path = make_onnx({"output0": values}, shape=("n", 3, 32, 64), fixed=True)
    [found] = OnnxDetector(path, classes=(1,))([np.zeros((32, 64, 3), np.uint8)])
    assert found.boxes_xyxy.tolist() == [[8, 4, 24, 28]]


@pytest.mark.parametrize(
    "outputs",
    [
        {"output0": np.zeros((1, 42, 6))},  # YOLOX with one class has as many values
        {"output0": np.zeros((1, 3000, 6))},
        {
            "detection_boxes": np.zeros((1, 9, 4)),
            "detection_scores": np.zeros((1, 9)),
            "detection_classes": np.zeros((1, 9)),
        },
    ],
)
def test_outputs_that_several_layouts_have_are_not_guessed(make_onnx, outputs):
    with pytest.raises(DetectorError, match=r"say layout=\.\.\., one of"):
        OnnxDetector(make_onnx(outputs, shape=("n", 3, 32, 64), fixed=True))


@pytest.mark.parametrize("told", [{"head": "RTDETRDecoder"}, {"description": "Ultralytics rtdetr-l model"}])
def test_rtdetr_of_ultralytics_gives_centers_in_fractions(make_onnx, told):
    rows = np.array([[[0.25, 0.5, 0.25, 0.75, 0.8, 1], [0.5, 0.5, 0.5, 0.5, 0.9, 0]]])
    classes = np.array([[[0.25, 0.5, 0.25, 0.75, 0.1, 0.8], [0.5, 0.5, 0.5, 0.5, 0.9, 0.2]]])  # the older form
    for name, answer in (("new", rows), ("old", classes)):
        path = make_onnx({"output0": answer}, shape=("n", 3, 32, 64), metadata=ULTRALYTICS | told, name=f"{name}.onnx")
        [people] = OnnxDetector(path)([np.zeros((16, 64, 3), np.uint8)])
        assert people.boxes_xyxy.tolist() == [[8, 2, 24, 14]]
        np.testing.assert_allclose(people.scores, [0.8])


def test_actors_by_the_names_in_the_metadata(make_onnx):
    names = {"names": "['person', 'ape', 'dog']"}
    scores = np.array([[[0.9, 0.1, 0.2], [0.1, 0.4, 0.8], [0.1, 0.5, 0.2]]])
    path = make_onnx({"boxes": ANSWERS["boxes"], "scores": scores}, metadata=names)
    assert OnnxDetector(path, **SAID)([FRAME])[0].scores.tolist() == pytest.approx([0.9])
    assert OnnxDetector(path, **SAID, classes=("ape", 2))([FRAME])[0].scores.tolist() == pytest.approx([0.8, 0.5])
    with pytest.raises(
        DetectorError, match=r"no class 'apes' \(did you mean 'ape'\?\); its classes are 0 person, 1 ape"
    ):
        OnnxDetector(path, **SAID, classes=("apes",))
    path = make_onnx(ANSWERS)
    with pytest.raises(DetectorError, match=r"it names no classes, so 'ape' cannot be found; give their numbers"):
        OnnxDetector(path, **SAID, classes=("ape",))
