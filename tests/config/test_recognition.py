"""The config of a checkpoint of another package: by its tensors, its settings, and last by its name."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
import yaml
from weights_files import hollow_file, pyslowfast_cfg, renamed

from ava_detect.config import config_names, load_config, recognition
from ava_detect.config.build import build_model, build_with_weights, tensor_shapes
from ava_detect.config.choice import choose_network
from ava_detect.errors import ConfigError, WeightsError
from ava_detect.models.weights import convert, load_weights, save_weights
from ava_detect.models.zoo import SHIPPED
from ava_detect.models.zoo_table import ZOO

R50, R50_C2 = "slowfast_r50_32x2", "slowfast_r50_32x2_c2"
_laid_out: dict[str, dict[str, tuple[int, ...]]] = {}


@pytest.fixture(autouse=True)
def networks_laid_out_once(monkeypatch):
    """Laying out a network of 100 layers takes a second."""

    def shapes(config):
        key = config.model.model_dump_json()
        if key not in _laid_out:
            _laid_out[key] = tensor_shapes(config)
        return _laid_out[key]

    monkeypatch.setattr(recognition, "tensor_shapes", shapes)


@pytest.fixture
def hollow(tmp_path, monkeypatch):
    """Makes the path of a checkpoint with a config's names and shapes, which is read as one without its numbers.

    ``cfg``: PySlowFast's settings are in it too, with these changes.
    """
    made = {}
    monkeypatch.setattr(recognition, "read_weights_file", lambda path: made[path])

    def make(config, family="pyslowfast", name="file.pyth", *, cfg=None, **more) -> Path:
        loaded = load_config(config)
        path = tmp_path / name
        path.write_bytes(b"PK\x03\x04")
        text = "" if cfg is None else pyslowfast_cfg(loaded, **cfg)
        made[path] = hollow_file(loaded, family, path, cfg=text, **more)
        return path

    return make


@pytest.mark.parametrize(
    "name", [R50, R50_C2, "slowfast_r50_4x16", "slow_r50_4x16", "slow_r50_4x16_c2", "slowfast_r101_nl_64x2", "demo"]
)
def test_pyslowfast_settings_tell_configs_of_one_network_apart(hollow, name):
    found = choose_network(hollow(name, cfg={}))
    assert found.config == load_config(name)
    assert found.note.startswith(f"config {name}: ")
    assert "and the settings inside are its own (" in found.note


def family_of_config(name: str) -> str:
    if name.startswith("mmaction2"):
        return "mmaction2"
    if load_config(name).model.backbone.kind == "vit":
        return "videomae"
    return "pyslowfast" if "_nl_" in name else "pytorchvideo"


def test_every_config_is_found_or_among_the_candidates(hollow):
    for name in config_names():
        path = hollow(name, family_of_config(name))
        try:
            assert choose_network(path).config == load_config(name)
        except WeightsError as error:
            assert f"`config={name}` (" in str(error)


@pytest.mark.parametrize("family", ["pyslowfast", "pytorchvideo", "caffe2"])
def test_where_nothing_decides_the_candidates_are_listed(hollow, family):
    with pytest.raises(WeightsError) as caught:
        choose_network(hollow(R50, family))
    assert "file.pyth has the network of 2 configs, and nothing in the file says which one" in str(caught.value)
    assert f"`config={R50}` (SlowFast R50 8x8 on AVA 2.2, the recipe that PySlowFast trains" in str(caught.value)
    assert f"`config={R50_C2}` (SlowFast R50 8x8 on AVA 2.2, RoIs not aligned" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "family", "config"),
    [
        ("SLOWFAST_8x8_R50_DETECTION.pyth", "pytorchvideo", R50_C2),
        ("slowfast_r50_32x2_ava22_ptv.pyth", "pytorchvideo", R50_C2),
        (
            "slowfast_kinetics400-pretrained-r50-temporal-max_8xb6-8x8x1-cosine-10e_ava22-rgb_20220906-13a9078e.pth",
            "mmaction2",
            "mmaction2_slowfast_r50_8x8_temporal_max",
        ),
        ("SLOWFAST_8x8_R50.pkl", "pytorchvideo", "kinetics_slowfast_r50_8x8"),
    ],
)
def test_the_name_of_a_published_file_decides_and_is_said(hollow, name, family, config):
    found = choose_network(hollow(config, family, name))
    assert found.config == load_config(config)
    assert "; only its name, which is that of a published file of this config, tells it from " in found.note


def test_a_name_decides_nothing_against_the_tensors_or_the_settings(hollow):
    assert choose_network(hollow(R50, name="SLOWFAST_8x8_R50_DETECTION.pyth", cfg={})).config == load_config(R50)
    with pytest.raises(WeightsError, match="nothing in the file says"):
        choose_network(hollow(R50, name="SLOW_4x16_R50_DETECTION.pyth"))


def test_other_settings_inside_a_file_are_its_configs(hollow):
    found = choose_network(hollow(R50, cfg={"short_side": 320, "mean": (0.4, 0.45, 0.5)}))
    assert (found.config.clip.short_side, found.config.clip.mean) == (320, (0.4, 0.45, 0.5))
    assert found.config.model == load_config(R50).model
    assert "with settings from the file: short_side 320, mean (0.4, 0.45, 0.5)" in found.note


def test_overrides_come_before_the_files_settings(hollow):
    found = choose_network(hollow(R50, cfg={}), overrides=["clip.short_side=160", "detector.min_score=0.5"])
    assert (found.config.clip.short_side, found.config.detector.min_score) == (160, 0.5)
    with pytest.raises(ConfigError, match=r"the override 'clip.side=1': unknown key 'clip.side'"):
        choose_network(hollow(R50, cfg={}), overrides=["clip.side=1"])


def test_other_classes_name_the_override_that_helps(hollow):
    path = hollow(R50, cfg={}, num_classes=3)
    with pytest.raises(WeightsError) as caught:
        choose_network(path)
    assert "a slow pathway of 3-4-6-3 blocks, 64 channels in the stem" in str(caught.value)
    assert "8 channels in the stem; 3 classes" in str(caught.value)
    assert f"give `config={R50}` with `overrides=model.head.num_classes=3`" in str(caught.value)
    assert choose_network(path, overrides=["model.head.num_classes=3"]).config.model.head.num_classes == 3


def test_a_network_of_no_config_is_described(tmp_path):
    config = load_config("demo", ["model.backbone.depths=[1, 1, 2, 1]"])
    torch.save({"model_state": renamed(build_model(config), "pyslowfast")}, tmp_path / "own.pyth")
    with pytest.raises(WeightsError) as caught:
        choose_network(tmp_path / "own.pyth")
    assert "has the network of no config that ships (PySlowFast layout; a slow pathway of 1-1-2-1 blocks, 16" in str(
        caught.value
    )
    assert str(caught.value).endswith("; give `config=FILE`, a config of that network")
    state = {**renamed(build_demo(), "pyslowfast"), "s5.memory.weight": torch.zeros(2)}
    torch.save({"model_state": state}, tmp_path / "more.pyth")
    with pytest.raises(WeightsError, match=r"1 tensor that the layout does not know \(s5\.memory\.weight"):
        choose_network(tmp_path / "more.pyth")


TRANSFORMERS = [name for name in config_names() if load_config(name).model.backbone.kind == "vit"]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_are_told_apart_by_their_tensors(hollow, name):
    found = choose_network(hollow(name, family_of_config(name)))
    assert found.config == load_config(name)
    assert found.note.startswith(f"config {name}: ") and found.note.endswith(", as of no other config")


def test_a_transformers_classifier_is_named_and_not_taken_for_a_detector(hollow):
    with pytest.raises(WeightsError) as caught:
        choose_network(hollow("umt_vit_b", "videomae", num_classes=710))
    assert "a plain vision transformer, ViT-B (width 768, 12 blocks, tubelet 1); 710 classes" in str(caught.value)
    assert "it is a classifier of Kinetics-710, its head has 710 rows: it can only start" in str(caught.value)


def test_an_override_that_the_files_own_config_cannot_take_is_named(hollow):
    with pytest.raises(ConfigError, match=r"override 'clip.num_frames=16': clip.num_frames 16 .*: 8 time steps"):
        choose_network(hollow("umt_vit_b", "videomae"), overrides=["clip.num_frames=16", "clip.frame_offsets=null"])


def test_a_transformer_of_other_classes_or_size_is_described(hollow, tmp_path):
    with pytest.raises(WeightsError, match=r"is that of umt_vit_b: give `config=umt_vit_b` with `overrides=model"):
        choose_network(hollow("umt_vit_b", "videomae", num_classes=5))
    config = load_config("umt_vit_b", ["model.backbone.depth=3"])
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    with pytest.raises(WeightsError, match=r"ViT of width 768, 3 blocks, tubelet 1; 80 classes\); give `config=FILE`"):
        choose_network(hollow(tmp_path / "three.yaml", "videomae"))


def test_a_saved_transformer_brings_its_config(tmp_path):
    config = load_config(
        "demo",
        [
            "model.backbone={kind: vit, width: 24, depth: 2, heads: 3, tubelet: 1, grid: [2, 2, 2]}",
            "clip.num_frames=2",
        ],
    )
    path = save_weights(build_model(config), tmp_path / "ours", config=config.model_dump(mode="json"))
    assert choose_network(path).config == config


@functools.cache
def build_demo():
    return build_with_weights("demo", SHIPPED["demo"])[0]


@pytest.mark.parametrize("to", ["pyslowfast", "caffe2", "pytorchvideo"])
def test_converted_weights_come_with_their_config_and_back(tmp_path, to):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours.safetensors"
    convert(SHIPPED["demo"], theirs, to=to)
    # The file has no labels, and that its network is the demo's only by its tensors.
    assert choose_network(theirs).config.model == load_config("demo").model
    convert(theirs, ours, to="ava_detect")
    found = choose_network(ours)
    assert found.config == load_config("demo")
    assert len(build_with_weights(found.config, found.weights_file(), found.overrides)[1].loaded) > 100


def test_names_are_known_wherever_weights_are_loaded(cache):
    model = build_demo()
    assert load_weights(model, "demo").path == str(SHIPPED["demo"])
    with pytest.raises(WeightsError, match=r"called 'dmeo' \(did you mean 'demo'\?\)"):
        load_weights(model, "dmeo")
    with pytest.raises(WeightsError, match="'random' stands for the network"):
        load_weights(model, "random")


def test_a_missing_path_names_the_file_near_it(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "slowfast.pyth").touch()
    (tmp_path / "weights" / "notes.txt").touch()
    near = str(tmp_path / "weights" / "slowfast.pyth")
    for wrong in ("weights/slowfast.pth", "weights/SlowFast.pyth", "wieghts/slowfast.pyth"):
        with pytest.raises(WeightsError) as caught:
            choose_network(tmp_path / wrong)
        assert str(caught.value) == f"{tmp_path / wrong}: there is no such weights file (did you mean {near!r}?)"
    with pytest.raises(WeightsError, match="is a folder; give the weights file in it"):
        choose_network(tmp_path / "weights")


@pytest.mark.parametrize("name", ["SLOWFAST_R50_32x2_ava22_ptv", "slowfast_r50_32x2_ava22_pt"])
def test_a_name_of_the_zoo_with_a_slip(name):
    with pytest.raises(WeightsError, match=r"did you mean 'slowfast_r50_32x2_ava22_ptv'\?\); ava-detect weights list"):
        choose_network(name)
    assert choose_network("slowfast_r50_32x2_ava22_ptv").config == load_config(
        ZOO["slowfast_r50_32x2_ava22_ptv"].config
    )
