from __future__ import annotations

import re

import pytest
import yaml

from ava_detect.build import build_model, label_map_of
from ava_detect.config import Config, config_names, load_config
from ava_detect.errors import ConfigError
from ava_detect.labels import LabelMap
from ava_detect.resources import resource_dir

# Parameters and state entries as PySlowFast counts them (quoted: peers' code, run at commit 287ec007).
PUBLISHED_SIZES = {
    "slowfast_r50_32x2": (33_828_888, 662),
    "slowfast_r101_nl_32x2": (59_342_488, 1313),
    "slowfast_r101_nl_64x2": (59_342_488, 1313),
    "slow_r50_4x16": (31_798_416, 320),
}


@pytest.mark.parametrize("name", config_names())
def test_every_shipped_config_builds_and_has_its_row(name):
    config = load_config(name)
    model = build_model(config)
    assert config.description
    readme = (resource_dir("configs") / "README.md").read_text()
    assert re.search(rf"^\| `{name}` \|", readme, re.MULTILINE), f"configs/README.md has no row for {name}"
    sizes = sum(p.numel() for p in model.parameters()), len(model.state_dict())
    assert sizes == PUBLISHED_SIZES.get(name, sizes)
    assert label_map_of(config) == LabelMap.ava()


@pytest.mark.parametrize("name", config_names())
def test_a_config_says_only_what_differs_from_the_defaults(name):
    content = yaml.safe_load((resource_dir("configs") / f"{name}.yaml").read_text())
    defaults = Config().model_dump(mode="json")

    def repeated(section, default, path=""):
        for key, value in section.items():
            if isinstance(value, dict) and isinstance(default.get(key), dict) and default[key]:
                yield from repeated(value, default[key], f"{path}{key}.")
            elif value == default.get(key):
                yield f"{path}{key}"

    assert list(repeated(content, defaults)) == []


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_random_state_alone():
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = build_model("demo"), build_model("demo"), build_model("demo", seed=1)
    assert torch.equal(torch.rand(3), expected)
    key = "backbone.stem.slow.conv.weight"
    assert torch.equal(first.state_dict()[key], second.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model:\n  backbone:\n    alhpa: 3\n", "line 3: unknown key 'model.backbone.alhpa' (did you mean 'alpha'?)"),
        ("modle: 3\n", "line 1: unknown key 'modle' (did you mean 'model'?)"),
        ("clip:\n  num_frames: 31\n", "clip.num_frames 31 does not divide by model.backbone.alpha 4"),
        ("clip:\n  num_frames: 32\n  short_side: abc\n", "line 3: clip.short_side: input should be a valid integer"),
        ("clip: {std: [0, 1, 1]}\n", "line 1: clip: std must be above 0 in every channel"),
        ("model: {backbone: {pathways: [fast]}}", "pathways must be [slow, fast] or [slow], got ['fast']"),
        ("model: {backbone: {pathways: [slow]}}", "alpha must be 1, got 4"),
        ("model: {backbone: {width: 10}}", "width 10 does not divide by beta_inv 8"),
        ("- a\n", "a config is a mapping of description, model, clip, detector, got a list"),
        ("a: [", "cannot be read as YAML"),
        ("description: x\nclip: 5\n", "line 2: clip: input should be a valid dictionary"),
    ],
)
def test_a_bad_config_is_refused_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as error:
        load_config(path)
    assert message in str(error.value)


def test_an_empty_config_is_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_config(path) == Config()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"neither a config file nor .* \(did you mean 'slowfast_r50_32x2'\?\)"):
        load_config("slowfast_r50_32")


def test_a_model_of_other_classes_gets_numbered_actions():
    config = Config.model_validate({"model": {"head": {"num_classes": 3}}})
    assert [action.name for action in label_map_of(config)] == ["action 1", "action 2", "action 3"]
