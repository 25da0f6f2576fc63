"""Our adapter beside Ultralytics' own ``predict``, on random weights; skipped where the library is not installed."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.onnx import OnnxDetector
from ava_detect.detectors.specs import check_spec
from ava_detect.errors import DetectorError, MissingDependencyError
from ava_detect.structures.boxes import nms

# Boxes in pixels of a frame, from sums in another order in batches of another size.
BOX_PIXELS = 1e-2
LEAST = 0.4
NAMES = {0: "cat", 1: "Person", 2: "dog"}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library, with its settings and its weights folder in a folder of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
        patch.setenv("ULTRALYTICS_SAFE_LOAD", "true")
        yield pytest.importorskip(
            "ultralytics", reason='ultralytics is not installed: python -m pip install ".[test-detectors]"'
        )


@pytest.fixture(scope="module")
def weights(library, tmp_path_factory):
    """YOLO11n with three classes and random weights, as its own ``save`` writes it."""
    folder = tmp_path_factory.mktemp("weights")
    published = Path(library.__file__).parent / "cfg" / "models" / "11" / "yolo11.yaml"
    (folder / "yolo11n.yaml").write_text(published.read_text().replace("nc: 80", "nc: 3"))
    torch.manual_seed(0)
    yolo = library.YOLO(str(folder / "yolo11n.yaml"))
    yolo.model.names = dict(NAMES)
    with torch.no_grad():
        # Scores of all sizes, which depend on the picture; those of a fresh network do not.
        for layer in yolo.model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        yolo.model.train()(torch.rand(4, 3, 96, 96))
        for branch in yolo.model.model[-1].cv3:
            branch[-1].weight.normal_(std=0.05)
            branch[-1].bias.fill_(-3)
        yolo.model.eval()
    path = folder / "apes.pt"
    yolo.save(path)
    return path


@pytest.fixture(scope="module")
def frames():
    noise = np.random.default_rng(0)
    # Of other colours in each channel, so that an exchange of red and blue shows.
    wide = noise.integers((0, 60, 120), (60, 120, 255), (48, 80, 3)).astype(np.uint8)
    return [wide, wide[:, :48].copy(), wide[::-1].copy()]


@pytest.fixture(scope="module")
def expected(library, weights):
    """Their own prediction of one class: boxes and scores."""
    own = library.YOLO(str(weights))

    def predict(image, index, size=96):
        settings = {"conf": LEAST, "imgsz": size, "classes": [index], "device": "cpu", "verbose": False}
        [found] = own.predict(image[:, :, ::-1], **settings)
        return found.boxes.xyxy.numpy(), found.boxes.conf.numpy()

    return predict


def test_boxes_are_those_of_their_own_predict(weights, frames, expected):
    detector = build_detector(f"ultralytics:{weights}?size=96", min_score=LEAST)
    assert isinstance(detector, PersonDetector)
    assert detector.name == "ultralytics:apes.pt"
    for image, people in zip(frames, detector(frames), strict=True):
        boxes_xyxy, scores = expected(image, 1)
        assert len(scores) > 3
        np.testing.assert_allclose(people.scores, scores, rtol=1e-4)
        np.testing.assert_allclose(people.boxes_xyxy, boxes_xyxy, atol=BOX_PIXELS)


def test_other_actors_by_name_and_number(weights, frames, expected):
    boxes_xyxy, _ = expected(frames[0], 0)
    for classes in ("cat", "0"):
        cats = build_detector(f"ultralytics:{weights}?size=96&classes={classes}", min_score=LEAST)(frames[:1])[0]
        np.testing.assert_allclose(cats.boxes_xyxy, boxes_xyxy, atol=BOX_PIXELS)
    with pytest.raises(DetectorError, match=r"apes\.pt: there is no class 'persn' \(did you mean 'person'\?\); its"):
        build_detector(f"ultralytics:{weights}?classes=persn")


def test_nothing_outside_changes(library, weights, frames, capsys):
    threads, shape = torch.get_num_threads(), np.get_printoptions()
    torch.set_num_threads(1)
    try:
        build_detector(f"ultralytics:{weights}?size=96")(frames[:1])
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert np.get_printoptions() == shape
    assert capsys.readouterr().out == ""


def test_a_yaml_has_random_weights_and_says_so(library, frames):
    detector = build_detector("ultralytics:yolo11n.yaml?classes=0&size=64")
    assert detector.name == "ultralytics:yolo11n.yaml (random weights)"
    assert len(detector(frames)) == 3
    with pytest.raises(DetectorError, match=r"none of its 80 classes is called person"):
        build_detector("ultralytics:yolo11n.yaml")


def test_weights_of_a_name_are_downloaded_once_into_their_folder(library, weights, tmp_path, monkeypatch):
    asked = []

    def download(url, file, **settings):
        asked.append(url)
        file.write_bytes(weights.read_bytes())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(library.SETTINGS, "weights_dir", str(tmp_path / "w"))
    monkeypatch.setattr("ultralytics.utils.downloads.safe_download", lambda url, file, **_: download(url, file))
    for _ in range(2):
        assert build_detector("ultralytics:yolo11n").name == "ultralytics:yolo11n"
    assert len(asked) == 1 and asked[0].endswith("/yolo11n.pt")
    assert (tmp_path / "w" / "yolo11n.pt").is_file()


def test_without_a_network_the_file_and_its_place_are_named(library, tmp_path, monkeypatch):
    def refuse(**settings):
        raise ConnectionError("❌ no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(library.SETTINGS, "weights_dir", str(tmp_path / "w"))
    monkeypatch.setattr("ultralytics.utils.downloads.safe_download", refuse)
    with pytest.raises(DetectorError, match=r"could not download yolo12n\.pt \(no network\); get it .* put it into /"):
        build_detector("ultralytics:yolo12n.pt")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("yolo11nn", r"no such file, and Ultralytics has no model of that name \(did you mean 'yolo11n'\?\)"),
        ("folder/best.pt", "there is no such file"),
        ("model.onnx", r"give a \.pt file or a model's name; or onnx:model\.onnx"),
        ("yolo11n-cls.yaml", "the model's task is classify; give one for detect, segment, pose"),
    ],
)
def test_models_that_cannot_be_used(library, model, message):
    with pytest.raises(DetectorError, match=message):
        build_detector(f"ultralytics:{model}")


def test_files_that_are_no_models(library, tmp_path):
    (tmp_path / "a.pt").write_bytes(b"no model")
    with pytest.raises(DetectorError, match=r"cannot load .*a\.pt \(.*; give a detection model's \.pt file"):
        build_detector(f"ultralytics:{tmp_path / 'a.pt'}")

    torch.save({"model": _Foreign()}, tmp_path / "b.pt")
    with pytest.raises(DetectorError, match=r"you trust it, set ULTRALYTICS_SAFE_LOAD=0"):
        build_detector(f"ultralytics:{tmp_path / 'b.pt'}")


class _Foreign:
    """A class that is not Ultralytics' own: with weights_only it is not loaded."""


def test_its_absence_is_one_sentence_with_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    for use in (check_spec, build_detector):
        with pytest.raises(MissingDependencyError, match=r"install it with: .*pip install ultralytics"):
            use("ultralytics:yolo11n")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"nms": True}])
def test_its_exports_to_onnx_need_no_option(library, weights, frames, expected, settings, tmp_path, monkeypatch):
    """A frame of the input's size is not resized, so the boxes are those of the model."""
    monkeypatch.chdir(tmp_path)
    image = np.ascontiguousarray(np.pad(frames[0], ((8, 8), (0, 0), (0, 0)))[:, :64])
    with contextlib.redirect_stdout(None):
        path = library.YOLO(str(weights)).export(format="onnx", imgsz=64, simplify=False, verbose=False, **settings)
    [cats] = OnnxDetector(path, min_score=LEAST, classes=("cat",))([image])
    boxes_xyxy, scores = expected(image, 0, size=64)
    # Random boxes reach far out of the frame; once clipped they overlap more, and ours are suppressed then.
    kept = nms(boxes_xyxy, scores, 0.7)
    assert len(kept) > 3
    np.testing.assert_allclose(cats.scores, scores[kept], rtol=1e-3)
    np.testing.assert_allclose(cats.boxes_xyxy, boxes_xyxy[kept], atol=0.1)
