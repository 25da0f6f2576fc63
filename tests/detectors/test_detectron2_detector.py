"""Our adapter with the real detectron2 where it is installed; with a fake one only our own handling of its answers."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.detectron2 import Detectron2Detector
from ava_detect.errors import DetectorError, MissingDependencyError

ZOO_NAME = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
FRAMES = [np.full((48, 64, 3), (10, 20, 30), np.uint8), np.full((32, 32, 3), 90, np.uint8)]


@pytest.fixture
def real():
    return pytest.importorskip("detectron2", reason="detectron2 is not installed; it has no wheel on the package index")


@pytest.fixture
def small_config(real, tmp_path):
    """The zoo's Faster R-CNN on pictures of 64 pixels, so that it runs in a second; no weights named."""
    from detectron2 import model_zoo
    from detectron2.config import get_cfg

    settings = get_cfg()
    settings.merge_from_file(model_zoo.get_config_file(ZOO_NAME))
    settings.MODEL.WEIGHTS = ""
    settings.INPUT.MIN_SIZE_TEST = 64
    path = tmp_path / "small.yaml"
    path.write_text(settings.dump())
    return path


def test_the_real_one_agrees_with_its_own_predictor(small_config):
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultPredictor

    detector = Detectron2Detector(small_config, weights="none", min_score=0.0)
    assert isinstance(detector, PersonDetector)
    assert detector.name == f"detectron2:{small_config} (random weights)"
    settings = get_cfg()
    settings.merge_from_file(str(small_config))
    settings.MODEL.DEVICE = "cpu"
    settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    predictor = DefaultPredictor(settings)
    predictor.model.load_state_dict(detector._predictor.model.state_dict())
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    expected = predictor(noise[:, :, ::-1])["instances"]
    assert len(expected) > 0
    for person_class in sorted(set(expected.pred_classes.tolist())):
        detector._classes = (person_class,)
        chosen = expected[expected.pred_classes == person_class]
        people = detector([FRAMES[1], noise])[1]
        np.testing.assert_allclose(people.scores, chosen.scores.numpy(), rtol=1e-5)
        np.testing.assert_allclose(people.boxes_xyxy, chosen.pred_boxes.tensor.numpy(), rtol=1e-4, atol=1e-3)


def test_a_config_without_weights_says_so(small_config):
    with pytest.raises(DetectorError, match=r"names no weights \(MODEL\.WEIGHTS\); say weights=FILE"):
        Detectron2Detector(small_config)


def test_a_config_that_is_not_in_the_zoo(real):
    with pytest.raises(
        DetectorError, match=r"cannot use the config 'COCO-Detection/nope\.yaml' .* name of its model zoo"
    ):
        Detectron2Detector("COCO-Detection/nope.yaml")


def test_weights_that_are_not_there(small_config, tmp_path):
    with pytest.raises(DetectorError, match=r"cannot load the weights .*nothing\.pth .*say weights=FILE"):
        Detectron2Detector(small_config, weights=tmp_path / "nothing.pth")


def test_its_absence_is_one_sentence_with_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    with pytest.raises(MissingDependencyError, match=r"install it with: .*pip install git\+https://github\.com/"):
        Detectron2Detector(ZOO_NAME)


class FakePredictor:
    """Stands in for DefaultPredictor: remembers the pictures, answers with three things."""

    input_format = "BGR"
    metadata = SimpleNamespace(thing_classes=["person", "bicycle", "car", "motorcycle", "airplane", "bus"])
    aug = SimpleNamespace(get_transform=lambda image: SimpleNamespace(apply_image=lambda picture: picture))

    def __init__(self, settings) -> None:
        self.settings = settings
        self.batches: list[list[dict]] = []

    def model(self, batch):
        self.batches.append(batch)
        found = SimpleNamespace(
            pred_boxes=SimpleNamespace(tensor=torch.tensor([[0.0, 0, 9, 9], [1, 1, 99, 20], [2, 2, 9, 9]])),
            scores=torch.tensor([0.85, 0.9, 0.99]),
            pred_classes=torch.tensor([0, 0, 5]),
        )
        return [{"instances": found} for _ in batch]


@pytest.fixture
def fake(monkeypatch):
    """A fake detectron2: it proves nothing about the real one, only what we ask of it and do with its answers."""
    settings = SimpleNamespace(
        MODEL=SimpleNamespace(WEIGHTS="", DEVICE="", ROI_HEADS=SimpleNamespace(), RETINANET=SimpleNamespace()),
        merge_from_file=lambda path: None,
    )
    package, config, engine = ModuleType("detectron2"), ModuleType("detectron2.config"), ModuleType("detectron2.engine")
    package.model_zoo = SimpleNamespace(get_config_file=str, get_checkpoint_url=lambda name: f"zoo:{name}")
    config.get_cfg = lambda: settings
    engine.DefaultPredictor = FakePredictor
    for module in (package, config, engine):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return settings


def test_fake_people_only_bgr_and_batches_of_one_size(fake):
    detector = Detectron2Detector(ZOO_NAME)
    people, other = detector(FRAMES)
    assert people.boxes_xyxy.tolist() == [[1, 1, 64, 20], [0, 0, 9, 9]]
    np.testing.assert_allclose(people.scores, [0.9, 0.85])
    assert other.boxes_xyxy.tolist()[0] == [1, 1, 32, 20]
    batches = detector._predictor.batches
    assert [[tuple(entry["image"].shape) for entry in batch] for batch in batches] == [[(3, 48, 64)], [(3, 32, 32)]]
    assert batches[0][0]["image"][:, 0, 0].tolist() == [30, 20, 10]
    assert (batches[0][0]["height"], batches[0][0]["width"]) == (48, 64)


def test_fake_weights_from_the_zoo_by_default_and_settings_handed_on(fake):
    Detectron2Detector(ZOO_NAME, min_score=0.6, device="cuda:1")
    assert fake.MODEL.WEIGHTS == "zoo:" + ZOO_NAME
    assert fake.MODEL.DEVICE == "cuda:1"
    assert fake.MODEL.ROI_HEADS.SCORE_THRESH_TEST == fake.MODEL.RETINANET.SCORE_THRESH_TEST == 0.6
    detector = Detectron2Detector(ZOO_NAME, weights="mine.pkl", classes=(5,))
    assert fake.MODEL.WEIGHTS == "mine.pkl"
    assert detector.name == f"detectron2:{ZOO_NAME} (mine.pkl)"
    np.testing.assert_allclose(detector(FRAMES[:1])[0].scores, [0.99])


def test_fake_other_actors_by_the_names_of_the_data_set(fake):
    detector = Detectron2Detector(ZOO_NAME, classes=("bus",))
    np.testing.assert_allclose(detector(FRAMES[:1])[0].scores, [0.99])
    with pytest.raises(DetectorError, match=r"there is no class 'bu' \(did you mean 'bus'\?\); its classes are 0"):
        Detectron2Detector(ZOO_NAME, classes=("bu",))
