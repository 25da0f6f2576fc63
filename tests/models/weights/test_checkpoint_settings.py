"""Settings that travel with a checkpoint, and the named modes: initialising from a classifier, inflating 2D weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml
from networks import SMALL_CONFIG, lively_model
from weights_files import CFG, renamed, same_state, write_family

from ava_detect.errors import WeightsError
from ava_detect.models.weights import CheckpointSettings, initialise_from_classifier, load_weights, save_weights
from ava_detect.models.weights.checkpoint_settings import (
    config_of_settings,
    pyslowfast_of_settings,
    settings_of_config,
    settings_of_model,
    settings_of_overrides,
    settings_of_pyslowfast,
)

FULL = CheckpointSettings(False, 8, 5, 64, 2, 224, "BGR", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "detection")


def checkpoint(model, path, cfg: str | dict):
    text = cfg if isinstance(cfg, str) else yaml.safe_dump(cfg)
    torch.save({"model_state": renamed(model, "pyslowfast"), "cfg": text}, path)
    return path


def changed(section: str, key: str, value) -> dict:
    cfg = yaml.safe_load(CFG)
    cfg[section][key] = value
    return cfg


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("DETECTION", "ALIGNED", False, "aligned False (model: True)"),
        ("SLOWFAST", "ALPHA", 8, "alpha 8 (model: 4)"),
        ("SLOWFAST", "FUSION_KERNEL_SZ", 5, "fusion_kernel 5 (model: 7)"),
        ("DATA", "NUM_FRAMES", 64, "num_frames 64 (model: 8)"),
        ("DATA", "SAMPLING_RATE", 2, "sampling_rate 2 (model: 4)"),
        ("DATA", "TEST_CROP_SIZE", 224, "short_side 224 (model: 32)"),
        ("DATA", "MEAN", [0.5, 0.45, 0.45], "mean (0.5, 0.45, 0.45) (model: (0.45, 0.45, 0.45))"),
        ("DATA", "STD", [1, 1, 1], "std (1.0, 1.0, 1.0) (model: (0.225, 0.225, 0.225))"),
        ("DATA", "REVERSE_INPUT_CHANNEL", True, "colour_order BGR (model: RGB)"),
        ("AVA", "BGR", True, "colour_order BGR (model: RGB)"),
    ],
)
def test_a_setting_that_contradicts_the_model_is_named_with_both_values(source, tmp_path, section, key, value, message):
    path = checkpoint(source, tmp_path / "w.pyth", changed(section, key, value))
    model = lively_model()
    with pytest.raises(WeightsError) as error:
        load_weights(model, path)
    assert f"was made with other settings than this model has: {message}; choose" in str(error.value)
    assert same_state(model, lively_model())
    report = load_weights(model, path, override_settings=True)
    assert f"the file's own setting was overridden: {message}" in report.notes
    assert same_state(model, source)


def test_our_own_files_carry_their_settings(source, tmp_path):
    path = save_weights(source, tmp_path / "ours")
    other = lively_model(model={**SMALL_CONFIG["model"], "roi": {"aligned": False}})
    with pytest.raises(WeightsError, match=r"aligned True \(model: False\)"):
        load_weights(other, path)
    assert load_weights(lively_model(), path).complete


def test_settings_of_a_model():
    assert settings_of_model(lively_model()) == CheckpointSettings(
        True, 4, 7, 8, 4, 32, "RGB", (0.45, 0.45, 0.45), (0.225, 0.225, 0.225), "detection"
    )


def test_settings_go_through_both_layouts_unchanged():
    assert settings_of_config(config_of_settings(FULL)) == replace(FULL, colour_order=None)
    assert settings_of_pyslowfast(pyslowfast_of_settings(FULL)) == FULL
    assert settings_of_pyslowfast(pyslowfast_of_settings(CheckpointSettings())) == CheckpointSettings()


RULES = {
    "model": SMALL_CONFIG["model"]
    | {"roi": {"box_rule": "alphaction", "extension": [0.1, 0.05]}, "head": {"score": "action_x_person"}},
    "clip": {
        "num_frames": 8,
        "short_side": 32,
        "sampling_fps": 25,
        "frame_offsets": [-132, -94, -57, -19, 18, 56, 93, 131],
        "long_side": "round",
    },
}


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("clip", "sampling_fps", "sampling_fps 25.0 (model: 30.0)"),
        ("clip", "long_side", "long_side round (model: floor)"),
        ("head", "score", "score action_x_person (model: action)"),
        ("roi", "extension", "extension (0.1, 0.05) (model: (0.0, 0.0))"),
    ],
)
def test_the_rules_of_a_family_travel_with_our_files(tmp_path, section, key, message):
    source = lively_model(**RULES)
    path = save_weights(source, tmp_path / "ours")
    assert load_weights(lively_model(**RULES), path).complete
    changes = {name: dict(RULES[name]) for name in ("model", "clip")}
    part = changes["clip"] if section == "clip" else dict(changes["model"][section])
    del part[key]
    if section != "clip":
        changes["model"][section] = part
    other = lively_model(**changes)
    with pytest.raises(WeightsError) as error:
        load_weights(other, path)
    assert f"other settings than this model has: {message}; choose" in str(error.value)
    settings = settings_of_model(source)
    assert settings_of_config(config_of_settings(settings)) == replace(settings, colour_order=None)


def test_offsets_are_compared_with_those_of_the_rate(tmp_path):
    by_rate = lively_model(clip=RULES["clip"] | {"frame_offsets": None, "sampling_rate": 4})
    by_offsets = lively_model(clip=RULES["clip"])
    save_weights(by_offsets, tmp_path / "offsets")
    wanted = r"frame_offsets \(-132, -94, .*131\) \(model: by sampling_rate\)"
    with pytest.raises(WeightsError, match=wanted):
        load_weights(by_rate, tmp_path / "offsets")
    # Where the offsets name the frames, the rate has no meaning.
    other_rate = lively_model(clip=RULES["clip"] | {"sampling_rate": 9})
    assert load_weights(other_rate, tmp_path / "offsets").complete
    # A file of before these settings says nothing about them.
    old = {"clip": {"num_frames": 8, "sampling_rate": 4}, "model": {"task": "detection", "roi": {"aligned": True}}}
    assert settings_of_config(old) == CheckpointSettings(True, num_frames=8, sampling_rate=4, task="detection")
    overridden = settings_of_overrides(["clip.frame_offsets=[0]", "model.head.score=action", "model.roi={}"])
    assert overridden == {"frame_offsets", "score", "aligned", "box_rule", "extension"}


@pytest.mark.parametrize("offsets", ["abc", 5, {"a": 1}, [0.5]])
def test_offsets_that_are_none_are_unknown(offsets):
    assert settings_of_config({"clip": {"frame_offsets": offsets}}) == CheckpointSettings()


def test_what_a_slow_only_or_classification_cfg_does_not_say():
    slow = "{MODEL: {ARCH: slow}, SLOWFAST: {ALPHA: 8, FUSION_KERNEL_SZ: 5}, DETECTION: {ENABLE: false, ALIGNED: true}}"
    assert settings_of_pyslowfast(slow) == CheckpointSettings(colour_order="RGB", task="classification")
    assert settings_of_pyslowfast("{DATA: [1], SLOWFAST: {ALPHA: four}}") == CheckpointSettings()


@pytest.mark.parametrize("cfg", ["a: [", "just text", "a: 2020-13-45", "[" * 5000 + "]" * 5000])
def test_an_unreadable_cfg_is_mentioned(source, tmp_path, cfg):
    report = load_weights(lively_model(), checkpoint(source, tmp_path / "w.pyth", cfg))
    assert "its 'cfg' is not readable YAML" in str(report)


def classifier_file(path, *, rows=400, **options):
    """A file of a classifier of the same backbone; its head has other rows, and its clips are longer."""
    source = lively_model(seed=4)
    state = renamed(source, "pyslowfast")
    state["head.projection.weight"] = torch.ones(rows, state["head.projection.weight"].shape[1])
    state["head.projection.bias"] = torch.ones(rows)
    cfg = {**changed("DATA", "NUM_FRAMES", 32), "DETECTION": {"ENABLE": False, "ALIGNED": False}, **options}
    torch.save({"model_state": state, "cfg": yaml.safe_dump(cfg)}, path)
    return source


@pytest.mark.parametrize("rows", [400, 80])
def test_initialising_from_a_classifier_says_what_stays_fresh(tmp_path, rows):
    source = classifier_file(tmp_path / "k400.pyth", rows=rows)
    model = lively_model(seed=1)
    before = model.head.projection.weight.clone()
    report = initialise_from_classifier(model, tmp_path / "k400.pyth")
    assert report.fresh == ("head.projection.weight", "head.projection.bias")
    assert set(report.ignored) == {"head.projection.weight", "head.projection.bias"}
    assert "left fresh  head.projection.weight" in str(report)
    assert len(report.loaded) == report.num_expected == len(model.state_dict()) - 2
    assert torch.equal(model.head.projection.weight, before)
    assert same_state(model, source, but="head.")
    with pytest.raises(WeightsError):
        load_weights(model, tmp_path / "k400.pyth")


def test_a_classifier_of_another_backbone_is_no_start(tmp_path):
    classifier_file(tmp_path / "k400.pyth", SLOWFAST={"ALPHA": 8})
    with pytest.raises(WeightsError, match=r"alpha 8 \(model: 4\)"):
        initialise_from_classifier(lively_model(), tmp_path / "k400.pyth")
    deeper = lively_model(model={"backbone": {"depths": [1, 1, 2, 1], "width": 16}})
    classifier_file(tmp_path / "k400.pyth")
    with pytest.raises(WeightsError, match=r"missing from the file: s4.pathway0_res1.branch2.a.weight"):
        initialise_from_classifier(deeper, tmp_path / "k400.pyth")


def test_a_relation_starts_fresh_from_a_classifier_and_is_kept_from_a_detector(tmp_path):
    def model_of(seed, **head):
        backbone = {"depths": [1, 1, 1, 1], "width": 16}
        roi = {"relation": {"channels": 12}}
        return lively_model(seed, model={"backbone": backbone, "roi": roi, "head": head})

    classifier = classifier_file(tmp_path / "k400.pyth")
    model = model_of(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = initialise_from_classifier(model, tmp_path / "k400.pyth")
    relation = {name for name in before if name.startswith("roi_pool.relation.")}
    assert set(report.fresh) == relation | {"head.projection.weight", "head.projection.bias"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items() if name in relation)
    assert same_state(model.backbone, classifier.backbone)
    detector = model_of(2, num_classes=5)
    write_family(detector, "mmaction2", tmp_path / "acrn.pth")
    assert initialise_from_classifier(model, tmp_path / "acrn.pth").fresh == (
        "head.projection.weight",
        "head.projection.bias",
    )
    assert same_state(model.roi_pool, detector.roi_pool)


@pytest.mark.parametrize("dims", [4, 5])
def test_inflation_repeats_2d_kernels_over_time_and_keeps_their_sum(source, tmp_path, dims):
    """A kernel of 3 frames gets a third of the 2D one in each: a still clip is answered as a still image was."""
    flat = {}
    for name, tensor in renamed(source, "pyslowfast").items():
        middle = tensor[:, :, :1].clone() if tensor.dim() == 5 else tensor
        flat[name] = middle.squeeze(2) if tensor.dim() == 5 and dims == 4 else middle
    torch.save({"model_state": flat}, tmp_path / "2d.pyth")
    model = lively_model()
    with pytest.raises(WeightsError, match="of another shape"):
        load_weights(model, tmp_path / "2d.pyth")
    assert load_weights(model, tmp_path / "2d.pyth", inflate=True).complete
    fast, original = model.backbone.stem["fast"].conv.weight, source.backbone.stem["fast"].conv.weight
    assert torch.equal(fast, (original[:, :, :1] / 5).expand(-1, -1, 5, -1, -1))
    assert torch.allclose(fast.sum(dim=2), original[:, :, 0])
    assert torch.equal(model.backbone.stem["slow"].conv.weight, source.backbone.stem["slow"].conv.weight)


def test_inflation_does_not_excuse_another_network(source, tmp_path):
    write_family(source, "pyslowfast", tmp_path / "w.pyth")
    wider = lively_model(model={"backbone": {"depths": [1, 1, 1, 1], "width": 32}})
    with pytest.raises(WeightsError, match="of another shape"):
        load_weights(wider, tmp_path / "w.pyth", inflate=True)
