from __future__ import annotations

import urllib.error

import numpy as np
import pytest
import torch

from ava_detect.detectors import torchvision as adapter
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.torchvision import TorchvisionDetector
from ava_detect.errors import DetectorError

SMALLEST = "ssdlite320_mobilenet_v3_large"
FRAMES = [np.full((40, 60, 3), value, np.uint8) for value in (0, 200)]


class FakeModel(torch.nn.Module):
    """Answers every picture with the same four things and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[torch.Tensor]] = []

    def forward(self, pictures):
        self.batches.append(pictures)
        boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 70, 30], [1, 1, 2, 2], [3, 3, 9, 9]])
        scores = torch.tensor([0.81, 0.99, 0.79, 0.95])
        return [{"boxes": boxes, "scores": scores, "labels": torch.tensor([1, 1, 1, 18])} for _ in pictures]


@pytest.fixture
def fake(monkeypatch) -> FakeModel:
    model = FakeModel()
    monkeypatch.setattr(adapter, "_load", lambda name, weights: model)
    return model


def test_only_sure_people_are_kept_best_first_inside_the_frame(fake):
    [people] = TorchvisionDetector(SMALLEST)(FRAMES[:1])
    assert people.boxes_xyxy.tolist() == [[5, 5, 60, 30], [0, 0, 10, 10]]
    np.testing.assert_allclose(people.scores, [0.99, 0.81])


def test_other_actors_by_name_and_by_cocos_id(fake):
    for classes in (("dog",), (18,)):
        [dogs] = TorchvisionDetector(SMALLEST, classes=classes)(FRAMES[:1])
        assert dogs.boxes_xyxy.tolist() == [[3, 3, 9, 9]]
    with pytest.raises(
        DetectorError, match=r"there is no class 12; its classes are 1 person, .*, 11 fire hydrant, 13 "
    ):
        TorchvisionDetector(SMALLEST, classes=(12,))


def test_pictures_are_rgb_fractions_in_batches_of_one_size(fake):
    mixed = [FRAMES[0], np.full((20, 20, 3), (255, 0, 51), np.uint8), *FRAMES * 5]
    assert len(TorchvisionDetector(SMALLEST)(mixed)) == 12
    assert [[tuple(picture.shape) for picture in batch] for batch in fake.batches] == [
        [(3, 40, 60)] * 8,
        [(3, 40, 60)] * 3,
        [(3, 20, 20)],
    ]
    torch.testing.assert_close(fake.batches[2][0][:, 0, 0], torch.tensor([1.0, 0.0, 0.2]))


def test_answers_keep_the_order_of_the_frames(fake):
    mixed = [np.zeros((40, width, 3), np.uint8) for width in (60, 8, 60, 9)]
    found = TorchvisionDetector(SMALLEST)(mixed)
    assert [people.boxes_xyxy[:, 2].max() for people in found] == [60, 8, 60, 9]


def test_random_weights_say_so_and_run():
    torch.manual_seed(0)
    detector = TorchvisionDetector(SMALLEST, weights="none", min_score=0.0)
    assert isinstance(detector, PersonDetector)
    assert detector.name == f"torchvision:{SMALLEST} (random weights)"
    found = detector(FRAMES)
    assert len(found) == 2
    for people in found:
        assert (people.boxes_xyxy >= 0).all()
        assert (people.boxes_xyxy <= [60, 40, 60, 40]).all()


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    first = TorchvisionDetector(SMALLEST, weights="none", min_score=0.0)
    path = tmp_path / "mine.pth"
    torch.save(first._model.state_dict(), path)
    second = TorchvisionDetector(SMALLEST, weights=path, min_score=0.0)
    assert second.name == f"torchvision:{SMALLEST} (mine.pth)"
    for a, b in zip(first(FRAMES), second(FRAMES), strict=True):
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
    torch.save({"model": first._model.state_dict(), "epoch": 3}, path)  # torchvision's training script
    TorchvisionDetector(SMALLEST, weights=path)


@pytest.mark.parametrize("content", [{"weight": torch.zeros(1)}, [1, 2], None])
def test_weights_that_do_not_fit(tmp_path, content):
    path = tmp_path / "mine.pth"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(DetectorError, match=r"mine\.pth: these weights cannot be loaded into torchvision's ssdlite320"):
        TorchvisionDetector(SMALLEST, weights=path)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(
        DetectorError, match=r"no detection model 'fasterrcnn_resnet50' \(did you mean '.*'\?\); it has"
    ):
        TorchvisionDetector("fasterrcnn_resnet50")


def test_without_a_network_the_file_and_its_place_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*arguments, **settings):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(DetectorError) as error:
        TorchvisionDetector(SMALLEST)
    text = str(error.value)
    assert "no network" in text
    assert "ssdlite320_mobilenet_v3_large_coco-" in text
    assert str(tmp_path / "hub" / "checkpoints") in text
    assert "weights=FILE" in text
