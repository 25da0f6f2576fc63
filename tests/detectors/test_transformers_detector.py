"""Our adapter beside the library's own post-processing, on random weights; skipped where it is not installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.specs import check_spec, file_of
from ava_detect.errors import DetectorError, MissingDependencyError

NAMES = {0: "dog", 1: "person", 2: "sports ball"}
LEAST = 0.15
# Boxes in pixels of a frame, from sums in another order in batches of another size.
BOX_PIXELS = 1e-2


@pytest.fixture(scope="module")
def library():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip(
            "transformers",
            reason='transformers is not installed: python -m pip install ".[test-detectors]"',
        )


@pytest.fixture(scope="module")
def folders(library, tmp_path_factory):
    """A small RT-DETR and a small YOLOS with random weights, each saved with its image processor."""
    torch.manual_seed(0)
    names = {"id2label": NAMES, "label2id": {name: index for index, name in NAMES.items()}}
    backbone = library.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    rtdetr = library.RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[16, 16, 32],
        decoder_in_channels=[32, 32, 32],
        encoder_hidden_dim=32,
        d_model=32,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=30,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_denoising=0,
        **names,
    )
    yolos = library.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        image_size=[64, 96],
        patch_size=16,
        num_detection_tokens=20,
        **names,
    )
    parts = {
        "rtdetr": (library.RTDetrForObjectDetection(rtdetr), library.RTDetrImageProcessor),
        "yolos": (library.YolosForObjectDetection(yolos), library.YolosImageProcessor),
    }
    folder = tmp_path_factory.mktemp("models")
    for name, (model, processor_class) in parts.items():
        model.save_pretrained(folder / name)
        processor_class(size={"height": 64, "width": 96}).save_pretrained(folder / name)
    return {name: folder / name for name in parts}


@pytest.fixture(scope="module")
def frames():
    noise = np.random.default_rng(0)
    # Of other colours in each channel, so that an exchange of red and blue shows.
    wide = noise.integers((0, 60, 120), (60, 120, 255), (48, 80, 3)).astype(np.uint8)
    return [wide, wide[:, :48].copy(), wide[::-1].copy(), wide[:3].copy()]


@torch.inference_mode()
def expected(library, folder, image):
    """What the model's own card says: process, run, post-process; best score first."""
    processor = library.AutoImageProcessor.from_pretrained(folder)
    model = library.AutoModelForObjectDetection.from_pretrained(folder).eval()
    inputs = processor(images=[image], return_tensors="pt", input_data_format="channels_last")
    [found] = processor.post_process_object_detection(
        model(**inputs), threshold=LEAST, target_sizes=[(image.shape[0], image.shape[1])]
    )
    order = found["scores"].argsort(descending=True, stable=True)
    return {key: values[order].numpy() for key, values in found.items()}


@pytest.mark.parametrize("name", ["rtdetr", "yolos"])
def test_boxes_are_those_of_its_own_post_processing(library, folders, frames, name):
    detectors = {
        index: build_detector(f"transformers:{folders[name]}?classes={index}", min_score=LEAST) for index in NAMES
    }
    assert isinstance(detectors[1], PersonDetector)
    assert detectors[1].name == f"transformers:{folders[name]}"
    num_found = 0
    for number, image in enumerate(frames):
        found = expected(library, folders[name], image)
        height, width = image.shape[:2]
        for index, detector in detectors.items():
            people = detector(frames)[number]
            chosen = found["labels"] == index
            num_found += chosen.sum()
            np.testing.assert_allclose(people.scores, found["scores"][chosen], rtol=1e-4)
            inside = np.clip(found["boxes"][chosen], 0, [width, height, width, height])
            np.testing.assert_allclose(people.boxes_xyxy, inside, atol=BOX_PIXELS)
    assert num_found > 10


def test_a_folder_is_read_without_a_word(folders, capfd):
    build_detector(f"transformers:{folders['yolos']}")
    assert capfd.readouterr() == ("", "")


def test_person_is_the_default_and_names_are_the_models_own(library, folders, frames):
    spec = f"transformers:{folders['rtdetr']}"
    [by_default, by_name] = [
        build_detector(s, min_score=LEAST)(frames[:1])[0] for s in (spec, f"{spec}?classes=person")
    ]
    np.testing.assert_array_equal(by_default.boxes_xyxy, by_name.boxes_xyxy)
    balls = build_detector(f"{spec}?classes=sports ball", min_score=LEAST)(frames[:1])[0]
    assert balls.scores.tolist() != by_default.scores.tolist()
    with pytest.raises(DetectorError, match=r"there is no class 'ball'.*its classes are 0 dog, 1 person, 2 sports"):
        build_detector(f"{spec}?classes=ball")


def test_the_weights_of_a_folder_are_the_file_of_the_spec(folders):
    assert file_of(f"transformers:{folders['yolos']}?classes=dog") == folders["yolos"] / "model.safetensors"
    assert file_of("transformers:PekingU/rtdetr_r50vd") is None


def test_weights_that_are_not_there_are_no_random_ones(library, folders, tmp_path):
    from safetensors.torch import load_file, save_file

    for path in folders["yolos"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "class_labels_classifier" not in name}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(DetectorError, match=r"weights of YolosForObjectDetection are not in it, such as class_labels"):
        build_detector(f"transformers:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(DetectorError, match=r"cannot be loaded \(.*; give a folder that save_pretrained"):
        build_detector(f"transformers:{tmp_path}")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("rtdetr", r"rtdetr: there is no such folder, and a model on the hub is called OWNER/NAME, such as PekingU/"),
        ("s3://a/b", "there is no such folder"),
        ("nobody/nothing", r"cannot be loaded \(.*; check the name on huggingface.co; without a network load it once"),
    ],
)
def test_models_that_cannot_be_had(library, tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DetectorError, match=message):
        build_detector(f"transformers:{model}")


def test_a_folder_without_a_model(library, tmp_path):
    with pytest.raises(
        DetectorError, match=r"cannot be loaded \(.*; give a folder that save_pretrained of a detection"
    ):
        build_detector(f"transformers:{tmp_path}")


def test_its_absence_is_one_sentence_with_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for use in (check_spec, build_detector):
        with pytest.raises(MissingDependencyError, match=r"install it with: .*pip install transformers"):
            use("transformers:PekingU/rtdetr_r50vd")
