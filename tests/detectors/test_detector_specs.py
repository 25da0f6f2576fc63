from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

from ava_detect.detectors import build_detector, specs
from ava_detect.detectors.builtin import BuiltinDetector
from ava_detect.detectors.detectron2 import Detectron2Detector
from ava_detect.detectors.onnx import OnnxDetector
from ava_detect.detectors.onnx_layouts import LAYOUTS
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.detectors.specs import check_spec, file_of
from ava_detect.detectors.torchvision import TorchvisionDetector
from ava_detect.detectors.transformers import TransformersDetector
from ava_detect.detectors.ultralytics import UltralyticsDetector
from ava_detect.errors import AvaDetectError, DeprecatedWarning, DetectorError
from ava_detect.storage.cache import CACHE_VARIABLE
from ava_detect.structures import Frame

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "detectors.md").read_text(encoding="utf-8")
ANSWERS = {"boxes": np.array([[[0, 0, 1, 1], [0, 0, 0.5, 1]]]), "scores": np.array([[0.6, 0.9]])}


def test_each_kind_by_its_text(make_onnx, tmp_path):
    assert isinstance(build_detector("builtin", num_threads=1), BuiltinDetector)
    path = make_onnx(ANSWERS)
    spec = f"onnx:{path}?layout=xyxy_scores&coordinates=fractions&color=rgb&scale=1/255"
    assert isinstance(build_detector(spec), OnnxDetector)
    (tmp_path / "boxes.csv").write_text("a,0902,0.1,0.2,0.3,0.4,,0.9\n")
    detector = build_detector(f"boxes:{tmp_path / 'boxes.csv'}?start_seconds=900")
    assert isinstance(detector, PrecomputedBoxes)
    assert len(detector([Frame(np.zeros((10, 10, 3), np.uint8), 2.0, "a")])[0]) == 1


def test_a_file_may_lie_at_an_address(make_onnx, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    path = make_onnx(ANSWERS)
    options = "layout=xyxy_scores&coordinates=fractions&color=rgb&scale=1/255"
    assert isinstance(build_detector(f"onnx:file://{path}?{options}"), OnnxDetector)
    copy = specs.file_of(f"onnx:file://{path}?{options}")
    assert copy.read_bytes() == path.read_bytes()
    assert copy.is_relative_to(tmp_path / "cache")
    with pytest.raises(AvaDetectError, match=r"^file:///there/is/none.csv: there is no such file$"):
        build_detector("boxes:file:///there/is/none.csv")


def test_what_a_spec_reads_and_how_it_is_shown(tmp_path):
    (tmp_path / "boxes.csv").touch()
    assert specs.file_of(f"boxes:{tmp_path / 'boxes.csv'}?start_seconds=900") == tmp_path / "boxes.csv"
    assert specs.file_of(f"boxes:{tmp_path / 'none.csv'}") is None
    assert specs.file_of("builtin?min_score=0.4") is None
    assert specs.file_of("torchvision:boxes.csv") is None
    spec = "boxes:https://me:secret@host/boxes.csv?start_seconds=900&min_score=0.4"
    assert specs.spec_without_secrets(spec) == "boxes:https://host/boxes.csv?start_seconds=900&min_score=0.4"
    assert specs.spec_without_secrets("onnx:a.onnx?color=rgb") == "onnx:a.onnx?color=rgb"


def test_min_score_from_the_call_goes_before_the_spec(tmp_path):
    (tmp_path / "boxes.csv").write_text("a,0,0.1,0.2,0.3,0.4,,0.9\na,0,0.5,0.2,0.8,0.4,,0.5\n")
    frame = Frame(np.zeros((10, 10, 3), np.uint8), 0.0, "a")

    def count(**settings) -> int:
        return len(build_detector(f"boxes:{tmp_path / 'boxes.csv'}?min_score=0.8", **settings)([frame])[0])

    assert count() == 1
    assert count(min_score=0.2) == 2
    assert count(min_score=0.95) == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "buildin",
            r"no kind 'buildin' \(did you mean 'builtin'\?\); give one of builtin, onnx:FILE, ultralytics:MODEL",
        ),
        ("", "there is no kind ''"),
        ("builtin:fast", "builtin takes no 'fast'; write builtin"),
        ("onnx", "names no file; write onnx:FILE"),
        ("boxes:", "names no file; write boxes:FILE"),
        ("builtin?minscore=1", r"no option 'minscore' \(did you mean 'min_score'\?\); the options are: min_score"),
        ("builtin?min_score", "options are written .name=value&name=value, each once, got 'min_score'"),
        ("builtin?min_score=0.1&min_score=0.2", "each once, got 'min_score=0.2'"),
        ("builtin?min_score=high", r"min_score='high' cannot be read"),
        ("builtin?min_score=80", r"min_score must be in 0\.\.1, got 80"),
        ("boxes:a.csv?last_colum=score", r"no option 'last_colum' \(did you mean 'last_column'\?\)"),
    ],
)
def test_a_spec_that_cannot_be_understood(spec, message):
    with pytest.raises(DetectorError, match=message):
        build_detector(spec)


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("yolo11n", "ultralytics:yolo11n"),
        ("best.pt", "ultralytics:best.pt"),
        ("yolo:yolov8n.pt?classes=dog", "ultralytics:yolov8n.pt"),
        ("PekingU/rtdetr_r50vd", "transformers:PekingU/rtdetr_r50vd"),
        ("hf:facebook/detr-resnet-50", "transformers:facebook/detr-resnet-50"),
        ("models/yolov8n.onnx", "onnx:models/yolov8n.onnx"),
        ("fasterrcnn_resnet50_fpn_v2", "torchvision:fasterrcnn_resnet50_fpn_v2"),
        ("boxes.csv", "boxes:boxes.csv"),
    ],
)
def test_a_model_without_its_kind_gets_the_kind(spec, meant, monkeypatch):
    monkeypatch.setattr(specs, "is_installed", lambda library: False)
    with pytest.raises(DetectorError, match=rf"\(did you mean '{meant}'\?") as error:
        check_spec(spec)
    library = meant.partition(":")[0]
    needed = re.search(rf"It needs {library}: .*pip install {library}\b", str(error.value)) is not None
    assert needed == (library in ("ultralytics", "transformers"))


def test_a_class_filter_of_the_builtin_detector():
    assert isinstance(build_detector("builtin?classes=person", num_threads=1), BuiltinDetector)
    with pytest.raises(DetectorError, match=r"^builtin: there is no class 'dog'; its classes are 0 person$"):
        build_detector("builtin?classes=dog")
    with pytest.raises(DetectorError, match=r"classes='' cannot be read|each once"):
        build_detector("builtin?classes=")


def test_the_former_name_of_an_option_means_the_same(make_onnx):
    options = "layout=xyxy_scores&coordinates=fractions&color=rgb&scale=1/255"
    answers = {**ANSWERS, "scores": np.array([[[0.6, 0.0], [0.9, 0.7]]])}
    spec = f"onnx:{make_onnx(answers)}?{options}"
    with pytest.warns(DeprecatedWarning, match=r"person_class is deprecated .*; write classes instead") as told:
        [found] = build_detector(f"{spec}&person_class=1")([np.zeros((8, 16, 3), np.uint8)])
    assert told[0].filename == __file__
    np.testing.assert_allclose(found.scores, [0.7])
    with pytest.raises(DetectorError, match="classes is given twice, once by its former name; give it once"):
        build_detector(f"{spec}&classes=1&person_class=1")


def test_a_class_filter_of_boxes_needs_categories(tmp_path):
    images = [{"id": 1, "width": 100, "height": 50, "video_id": "a", "timestamp": 0}]
    found = [{"image_id": 1, "category_id": index, "bbox": [index, 0, 10, 10], "score": 0.5} for index in (3, 4)]
    named = [{"id": 3, "name": "ape"}, {"id": 4, "name": "tree"}]
    path = tmp_path / "boxes.json"
    frame = Frame(np.zeros((50, 100, 3), np.uint8), 0.0, "a")
    path.write_text(json.dumps({"images": images, "annotations": found, "categories": named}))
    for classes in ("ape", "3"):
        [people] = build_detector(f"boxes:{path}?classes={classes}")([frame])
        np.testing.assert_allclose(people.boxes_xyxy, [[3, 0, 13, 10]], atol=1e-4)
    with pytest.raises(DetectorError, match=r"none of its 2 classes is called person; .* 3 ape, 4 tree"):
        build_detector(f"boxes:{path}")
    (tmp_path / "boxes.csv").write_text("a,0,0.1,0.2,0.3,0.4,,0.9\n")
    with pytest.raises(DetectorError, match=r"boxes\.csv: its boxes have no classes; only those of a COCO json have"):
        build_detector(f"boxes:{tmp_path / 'boxes.csv'}?classes=0")


def test_naming_detectors_loads_no_library():
    code = (
        "import sys, ava_detect.detectors;"
        "libraries = {'torch', 'onnxruntime', 'pandas', 'detectron2', 'transformers', 'ultralytics'};"
        "loaded = libraries & set(sys.modules); assert not loaded, loaded"
    )
    run_python(code)


@pytest.mark.parametrize(
    "detector",
    [
        BuiltinDetector,
        OnnxDetector,
        UltralyticsDetector,
        TransformersDetector,
        TorchvisionDetector,
        Detectron2Detector,
        PrecomputedBoxes,
    ],
)
def test_the_page_on_detectors_names_every_option(detector):
    missing = [name for name in detector.spec_options if f"`{name}`" not in PAGE]
    assert not missing
    assert "classes" in detector.spec_options


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_the_page_on_detectors_states_each_layout_as_it_is(name):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    layout = LAYOUTS[name]
    assert all(f"`{coordinates}`" in row for coordinates in layout.coordinates)
    assert row.endswith(f"| {layout.defaults['nms_iou']:g} |")
    assert layout.defaults["resize"] in row
    assert layout.defaults.get("color", "`color`").upper() in row.upper()


def test_a_file_whose_name_holds_a_question_mark_is_found(tmp_path):
    path = tmp_path / "why?.csv"
    path.write_text("a,900,0.1,0.1,0.5,0.5,,0.5\n")
    check_spec(f"boxes:{path}")
    assert file_of(f"boxes:{path}") == path
    frame = Frame(np.zeros((10, 10, 3), np.uint8), 0.0, "a")
    assert len(build_detector(f"boxes:{path}?start_seconds=900")([frame])[0]) == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("boxes:gone.csv", r"`boxes`: there is no file gone\.csv"),
        ("onnx:gone.onnx?layout=yolox", r"`detector`: there is no file gone\.onnx"),
        ("onnx:.", "is a folder; give a file"),
        ("boxes:" + "x" * 5000, "there is no file xxx"),
        ("boxes:a\0b.csv", r"there is no file a\\x00b\.csv"),
        ("bultin", "did you mean 'builtin'"),
    ],
)
def test_specs_are_checked_without_loading_anything(spec, message):
    with pytest.raises(DetectorError, match=message):
        check_spec(spec)


@pytest.mark.parametrize("option", ["start_seconds=nan", "start_seconds=inf", "min_score=nan"])
def test_numbers_that_are_none_are_refused(tmp_path, option):
    path = tmp_path / "boxes.csv"
    path.write_text("a,900,0.1,0.1,0.5,0.5,,0.5\n")
    with pytest.raises(DetectorError, match=option.split("=")[0]):
        build_detector(f"boxes:{path}?{option}")
