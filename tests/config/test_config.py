from __future__ import annotations

import inspect
import json
import random
import re

import pytest
import torch
import yaml

from ava_detect.config import (
    Config,
    HeadConfig,
    RoIConfig,
    SlowFastConfig,
    SplitConfig,
    ViTConfig,
    config_names,
    load_config,
)
from ava_detect.config.build import build_model, label_map_of, self_contained
from ava_detect.config.loading import from_values, with_overrides
from ava_detect.config.memory import weight_bytes
from ava_detect.datasets.synthetic.planning import ACTION_IDS as SYNTHETIC_IDS
from ava_detect.datasets.synthetic.scene import Repertoire
from ava_detect.environment import resource_dir
from ava_detect.errors import ConfigError
from ava_detect.evaluation.video_map import NOT_EVALUATED
from ava_detect.models.action_detector import ActionClassifier, ActionDetector, require_detector
from ava_detect.models.heads import ProjectionHead
from ava_detect.models.laterals import LateralSettings
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import NonLocalSettings, SlowFast
from ava_detect.models.vit import VisionTransformer
from ava_detect.structures.labels import Action, LabelMap

# Parameters and state entries as the peers count them (quoted: their code, run at commits 287ec007 and 4d6c934).
PUBLISHED_SIZES = {
    "slowfast_r50_32x2": (33_828_888, 662),
    "slowfast_r101_nl_32x2": (59_342_488, 1313),
    "slowfast_r101_nl_64x2": (59_342_488, 1313),
    "slow_r50_4x16": (31_798_416, 320),
    "slow_r50_4x16_c2": (31_798_416, 320),
    "slowfast_r50_32x2_c2": (33_828_888, 662),
    "mmaction2_slowfast_r50_4x16": (33_743_993, 642),
    "mmaction2_slowfast_acrn_r50_8x8": (92_232_057, 654),
    "mmaction2_slowfast_r50_4x16_multisports": (33_709_418, 642),
    "mmaction2_slowonly_r50_4x16": (31_800_465, 320),
    "mmaction2_slowonly_r50_4x16_multisports": (31_769_730, 320),
    "mmaction2_slowonly_r50_8x8_context": (31_966_353, 320),
    "mmaction2_slowonly_r50_16x4_context_temporal_max_mlp": (48_747_665, 322),
    "mmaction2_slowonly_r50_nl_4x16": (39_154_833, 380),
    "mmaction2_slowonly_r101_8x8": (59_705_489, 626),
    "kinetics_slowfast_r50_4x16": (34_480_216, 662),
    "kinetics_slowfast_r50_8x8": (34_566_488, 662),
    "kinetics_slowfast_r50_8x8_ptv": (34_566_488, 662),
}
# Millions of parameters, where no more digits are published (pytorchvideo's zoo, mmaction2 as run).
PUBLISHED_MILLIONS = {
    "kinetics_slow_r50_8x8": (32.45, 320),
    "kinetics_slowfast_r101_8x8_ptv": (62.83, 1274),
    "kinetics_slowfast_r101_16x8_ptv": (53.77, 1274),
    "charades_slowfast_r50_16x8": (34.01, 662),
    "mmaction2_slowfast_r50_4x16_context": (33.93, 642),
    "mmaction2_slowfast_r50_8x8": (33.83, 642),
    "mmaction2_slowfast_r50_8x8_temporal_max": (33.83, 642),
}


@pytest.mark.parametrize("name", config_names())
def test_every_shipped_config_builds_and_has_its_row(name):
    config = load_config(name)
    with torch.device("meta"):  # without weights
        model = build_model(config)
    assert config.description
    readme = (resource_dir("configs") / "README.md").read_text()
    assert re.search(rf"^\| `{name}` \|", readme, re.MULTILINE), f"configs/README.md has no row for {name}"
    sizes = sum(p.numel() for p in model.parameters()), len(model.state_dict())
    assert sizes == PUBLISHED_SIZES.get(name, sizes)
    # The estimate leaves out the batch norms, and is never above the network's true size, of
    # which a stored table of positions is a part.
    stored = model.state_dict().get("backbone.positions")
    assert 0.89 < weight_bytes(config) / (4 * (sizes[0] + (0 if stored is None else stored.numel()))) <= 1
    rounded = round(sizes[0] / 1e6, 2), sizes[1]
    assert rounded == PUBLISHED_MILLIONS.get(name, rounded)
    assert model.clip_settings.num_frames == config.clip.num_frames
    assert isinstance(model, ActionClassifier) == (config.model.task == "classification")
    if name.endswith("multisports"):
        actions = label_map_of(config)
        assert (model.head.num_classes, actions.ids) == (66, tuple(range(1, 67)))
        assert {action.name for action in actions} > NOT_EVALUATED
        assert actions.by_id(61).name == "basketball pick-and-roll defensive"
    elif isinstance(model, ActionDetector):
        actions = SYNTHETIC_IDS[Repertoire.EVERYDAY] if name.startswith("demo") else LabelMap.ava().ids
        assert label_map_of(config) == LabelMap.ava().subset(actions)
        assert model.head.num_classes == len(actions)


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
        (
            "clip:\n  std: [0.2,\n    0, 1]\n",
            "line 3: clip.std.1: input should be greater than or equal to 0.0001, got 0",
        ),
        ("clip: {std: [.nan, 1, 1]}\n", "line 1: clip.std.0: input should be a finite number, got nan"),
        ("clip: {mean: [123.7, 116.3, 103.5]}\n", "line 1: clip.mean.0: input should be less than or equal to 1, got"),
        ("clip: {num_frames: 1024, sampling_rate: 1000}\n", "lasts 34,133 s, more than 3,600 s; lower num_frames"),
        (
            "clip: {frame_offsets: [-4, 0, 4]}\n",
            "line 1: clip: frame_offsets names 3 frames and num_frames is 32; make",
        ),
        (
            "clip: {num_frames: 4, frame_offsets: [0, 2, 1, 3]}\n",
            "frame_offsets must be ascending, each once, got 0, 2,",
        ),
        (
            "clip:\n  frame_offsets: [0, 1.5]\n",
            "line 2: clip.frame_offsets.1: input should be a valid integer, got 1.5",
        ),
        ("clip: {long_side: ceil}\n", "clip.long_side: input should be 'floor' or 'round', got 'ceil'"),
        ("train: {learning_rate: .inf}\n", "train.learning_rate: input should be a finite number, got inf"),
        ("train: {epochs: true}\n", "train.epochs: input should be a valid integer, got true; write it in digits"),
        ("train: {epochs: '5'}\n", "train.epochs: input should be a valid integer, got '5'; write it in digits"),
        ("train: {nesterov: 1}\n", "train.nesterov: input should be a valid boolean, got 1; write true or false"),
        (
            "data: {val: {annotations: 5, videos: v}}",
            "data.val.annotations: input should be a valid string, got 5; put",
        ),
        (
            "train: {epochs: 1000000000000}\n",
            "train.epochs: input should be less than or equal to 100000, got 10000000",
        ),
        ("train: {batch_size: 1000000000}\n", "train.batch_size: input should be less than or equal to 65536, got 10"),
        ("train: {seed: 9999999999}\n", "train.seed: input should be less than or equal to 4000000000, got 9999999999"),
        ("data: {num_workers: 1000000}\n", "data.num_workers: input should be less than or equal to 256, got 1000000"),
        (
            "model:\n  backbone: {depths: [1000000, 1, 1, 1]}",
            "line 2: model.backbone.depths.0: input should be less than",
        ),
        ("model:\n  backbone: {depths: [1, 1, 0, 1]}", "line 2: model.backbone.depths.2: input should be greater than"),
        (
            "model: {backbone: {strides: [1, 2, '2', 1]}}",
            "line 1: model.backbone.strides.2: input should be a valid int",
        ),
        (
            "model: {backbone: {strides: {slow: [1, 0, 2, 1], fast: [1, 2, 2, 1]}}}",
            "model.backbone.strides.slow.1: input",
        ),
        (
            "model: {backbone: {fusion_kernel: 6}}",
            "a kernel in time has an odd length, which keeps the number of frames",
        ),
        (
            "model: {backbone: {nonlocal_blocks: {slow: {4: [0]}}, nonlocal_groups: {slow: {4: 3}}}}",
            "the 8 frames of slow res4 do not divide into nonlocal_groups 3",
        ),
        (
            "clip: {num_frames: 1000000000}\n",
            "clip.num_frames: input should be less than or equal to 1024, got 10000000",
        ),
        ("labels: {ids: [4, 5, 4]}", "ids names action 4 more than once"),
        ("".join(f"key{n}: 1\n" for n in range(9)), "and 4 more problems"),
        ("model: {backbone: {pathways: [fast]}}", "pathways must be [slow, fast] or [slow], got ['fast']"),
        ("model: {backbone: {pathways: [slow]}}", "alpha must be 1, got 4"),
        ("model: {backbone: {width: 10}}", "width 10 does not divide by beta_inv 8"),
        (
            "model: {backbone: {strides: {slow: [1, 2, 2, 1]}}}",
            "strides by pathway needs every pathway, and fast is missing",
        ),
        (
            "model: {backbone: {nonlocal_blocks: {slow: {4: [6]}}}}",
            "nonlocal_blocks of slow res4 are [6], but its 6 blocks are numbered 0 to 5",
        ),
        (
            "model: {backbone: {nonlocal_blocks: {slow: {6: [0]}}}}",
            "nonlocal_blocks names slow res6, which does not exist",
        ),
        (
            "model: {backbone: {nonlocal_pool: {slow: {4: [2, 2, 2]}}}}",
            "nonlocal_pool names slow res4, which has no non-local block",
        ),
        ("model: {task: classification, roi: {aligned: false}}", "a classification model pools no RoIs"),
        (
            "model: {task: classification, head: {background_class: true}}",
            "background_class belongs to detection heads",
        ),
        (
            "model: {task: classification, head: {mlp: true}}",
            "mlp belongs to detection heads",
        ),
        ("model:\n  head: {pool_size: 7}", "activation and pool_size belong to classification heads"),
        ("labels: {ids: [1, 2]}", "labels.ids names 2 actions, but model.head.num_classes is 80"),
        (
            "model: {head: {score: softmax_with_background}}",
            "score softmax_with_background needs the layer's row 0 for people who do none of the actions: set",
        ),
        ("data:\n  train: {annotations: a.csv}", "line 2: data.train: give the folder of videos or the folder of"),
        ("data:\n  train:\n    anotations: a.csv", "line 3: unknown key 'data.train.anotations' (did you mean"),
        ("data: {short_side: [128, 100]}", "short_side must be [low, high] with crop 224 <= low <= high, got [128,"),
        ("data: {test_views: [10, 2]}", "test_views must be at least 1 clip over time and 1 or 3 crops, got [10, 2]"),
        (
            "data: {kind: kinetics, train: {annotations: a.csv, videos: v}}",
            "data.kind kinetics does not fit model.task detection",
        ),
        *(
            (
                f"model: {{task: classification, head: {{num_classes: 2}}}}\nlabels: {{ids: [3, 5]}}\n"
                f"data: {{kind: {kind}}}",
                f"labels.ids chooses actions by their ids, and the lists of {kind} have none: a label there is the",
            )
            for kind in ("kinetics", "charades")
        ),
        (
            "model: {backbone: {strides: {slow: [1, 2, 2, 1], fast: [1, 2, 1, 1]}}}",
            "line 1: model.backbone: strides must be the same in both pathways, whose maps are joined",
        ),
        (
            "model: {task: classification, head: {pool_size: 9}}\ndata: {kind: kinetics}\nclip: {short_side: 112}\n",
            "model.head.pool_size 9 is more than the 7 cells of res5 at clip.short_side 112; lower it",
        ),
        (
            "model: {backbone: {nonlocal_blocks: {slow: {4: [0]}}, nonlocal_pool: {slow: {4: [1, 99, 2]}}}}",
            "model.backbone.nonlocal_pool of slow res4 is 99 cells wide, and the map there has 16 at clip.short_side",
        ),
        ("train: {batch_size: 10, accumulate: 4}", "batch_size 10 does not divide by accumulate 4"),
        ("train: {step_epochs: [15, 10]}", "step_epochs must rise, got [15, 10]"),
        ("train: {momentum: 0}", "nesterov needs a momentum above 0"),
        ("train: {optimiser: adamw}", "adamw needs a learning_rate: the default 0.1 is SGD's; try 1.25e-4 for"),
        ("train: {optimiser: lion}", "train.optimiser: input should be 'sgd' or 'adamw', got 'lion'"),
        ("train: {layer_decay: 1.5}", "train.layer_decay: input should be less than or equal to 1, got 1.5"),
        ("train: {betas: [0.9, 1.0]}", "train.betas.1: input should be less than 1, got 1.0"),
        ("train: {cosine_end: 0.5}", "cosine_end 0.5 is above the learning_rate 0.1"),
        ("model: {backbone: {lateral_kind: conv3}}", "model.backbone.lateral_kind: input should be 'conv'"),
        ("hello\n", "train, got text"),
        ("5\n", "train, got a number or a truth value"),
        ("- a\n", "a config is a mapping of description, model, clip, detector, labels, data, train, got a list"),
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


def test_an_override_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {epochs: 3, learning_rate: 0.2}\n")
    overrides = ["train.epochs=5", "data.train.videos=v", "data.train.annotations=a.csv", "clip.mean=[0.1, 0.2, 0.3]"]
    config = load_config(path, overrides)
    assert (config.train.epochs, config.train.learning_rate) == (5, 0.2)
    assert config.data.train == SplitConfig(annotations="a.csv", videos="v")
    assert config.clip.mean == (0.1, 0.2, 0.3)


def test_a_rate_beside_frame_offsets_is_an_override_without_effect(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("clip: {num_frames: 4, frame_offsets: [-9, -1, 7, 15]}\n")
    with pytest.raises(
        ConfigError, match=r"the override 'clip\.sampling_rate=4' has no effect, because clip\.frame_of"
    ):
        load_config(path, ["clip.sampling_rate=4"])
    by_rate = ["clip.sampling_rate=4", "clip.frame_offsets=null"]
    assert load_config(path, by_rate).clip.settings().offsets == (-8, -4, 0, 4)
    with pytest.raises(ConfigError, match="has no effect"):
        with_overrides(load_config(path), ["clip.sampling_rate=4"])
    other = load_config(path, ["clip.frame_offsets=[-6, -2, 2, 6]"]).clip.settings()
    assert (other.offsets, other.keyframe_index) == ((-6, -2, 2, 6), 1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "an override is section.key=value, for example train.epochs=10; got 'train.epochs'"),
        ("train.epochs=many", "the override 'train.epochs=many': train.epochs: input should be a valid integer"),
        ("train.epochs=1.5", "the override 'train.epochs=1.5': train.epochs: input should be a valid integer, got 1.5"),
        (
            "train.learning_rate=.nan",
            "the override 'train.learning_rate=.nan': train.learning_rate: input should be a fin",
        ),
        (
            "train={epochs: 1, epochs: 2}",
            "the value of 'train={epochs: 1, epochs: 2}': the key 'epochs' is there twice",
        ),
        ("description.x=2", "the override 'description.x=2': description is \"A small SlowFast of the synthetic world"),
        ("clip.num_frames=15", "the override 'clip.num_frames=15': clip.num_frames 15 does not divide by"),
        ("train.epochs=" + "[" * 5000, "the value of 'train.epochs=[[["),
        (
            "clip.frame_offsets=[-8, 0]",
            "the override 'clip.frame_offsets=[-8, 0]': clip: frame_offsets names 2 frames and num_frames is 16; make",
        ),
        ("train.epoch=2", "the override 'train.epoch=2': unknown key 'train.epoch' (did you mean 'epochs'?)"),
        ("train.epochs=[", "the value of 'train.epochs=[' cannot be read as YAML"),
        ("data.train.videos=v", "the override 'data.train.videos=v': data.train.annotations: field required"),
    ],
)
def test_a_bad_override_is_named(override, message):
    with pytest.raises(ConfigError) as error:
        load_config("demo", [override])
    assert str(error.value).startswith(message)


def test_the_labels_of_a_config_name_the_columns(tmp_path):
    def labels(num_classes, **chosen):
        content = {"model": {"head": {"num_classes": num_classes}}, "labels": chosen}
        return label_map_of(Config.model_validate(content))

    assert labels(80) == LabelMap.ava()
    assert labels(2, ids=[12, 14]) == LabelMap.ava().subset([12, 14])
    assert [action.name for action in labels(2)] == ["action 1", "action 2"]
    (tmp_path / "mine.pbtxt").write_text(LabelMap((Action(3, "juggle"), Action(5, "plié"))).to_pbtxt())
    own = str(tmp_path / "mine.pbtxt")
    assert [action.name for action in labels(2, map=own)] == ["juggle", "plié"]
    assert labels(1, map=own, ids=[5]).ids == (5,)
    inside = self_contained(Config.model_validate({"model": {"head": {"num_classes": 2}}, "labels": {"map": own}}))
    assert inside.labels.map is None
    assert label_map_of(inside) == labels(2, map=own)
    with pytest.raises(ConfigError, match=r"mine\.pbtxt names 2 actions, but model\.head\.num_classes is 80"):
        labels(80, map=own)
    with pytest.raises(ConfigError, match=r"labels\.ids 4 are not in the label map .*mine\.pbtxt"):
        labels(1, map=own, ids=[4])


def test_the_defaults_of_the_config_are_those_of_the_constructors():
    """Two places say them, because the network's rooms know no configs."""
    pairs = (
        (SlowFastConfig(), SlowFast),
        (ViTConfig(), VisionTransformer),
        (RoIConfig(), RoIPool),
        (HeadConfig(), ProjectionHead),
    )
    for section, constructor in pairs:
        parameters = inspect.signature(constructor).parameters
        for name, value in section.model_dump().items():
            default = parameters[name].default if name in parameters else inspect.Parameter.empty
            if default is not inspect.Parameter.empty and value is not None:
                assert (default or type(value)()) == value, name
    backbone, lateral, non_local = SlowFastConfig(), LateralSettings(), NonLocalSettings()
    assert (backbone.fusion_ratio, backbone.fusion_kernel) == (lateral.fusion_ratio, lateral.fusion_kernel)
    fusion = (lateral.kind, lateral.merge, lateral.norm)
    assert (backbone.lateral_kind, backbone.lateral_merge, backbone.lateral_norm) == fusion
    assert (backbone.nonlocal_blocks, backbone.nonlocal_affinity) == (non_local.blocks, non_local.affinity)
    assert (backbone.nonlocal_pool, backbone.nonlocal_groups) == (non_local.pool, non_local.groups)
    form = (backbone.nonlocal_pool_place, backbone.nonlocal_out_bias)
    assert form == (non_local.pool_place, non_local.out_bias)


def test_the_feature_stride_of_the_rois_is_the_backbones_unless_it_is_named():
    def stride(**roi):
        model = {"backbone": {"depths": [1, 1, 1, 1], "width": 8, "strides": [1, 2, 1, 1]}, "roi": roi}
        return build_model(Config.model_validate({"model": model})).roi_pool.feature_stride

    assert (stride(), stride(feature_stride=16)) == (8, 16)


def test_a_classifiers_head_pools_the_training_crop_of_each_pathway():
    model = build_model("kinetics_slowfast_r50_4x16")
    assert model.head.pool_sizes == [(4, 7, 7), (32, 7, 7)]
    assert (model.activation, model.head.num_classes) == ("softmax", 400)
    small = {"depths": [1, 1, 1, 1], "width": 8}
    for activation, total in (("softmax", 1.0), ("none", None)):
        head = {"num_classes": 5, "activation": activation}
        config = Config.model_validate({"model": {"task": "classification", "backbone": small, "head": head}})
        classifier = build_model(config)
        clip = torch.rand(2, 3, 8, 48, 40)
        with torch.inference_mode():
            scores, logits = classifier.scores(clip), classifier(clip)
        assert scores.shape == (2, 5)
        if total is None:
            torch.testing.assert_close(scores, logits.mean(dim=(1, 2, 3)))
        else:
            torch.testing.assert_close(scores.sum(dim=1), torch.full((2,), total))


def test_an_empty_config_is_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_config(path) == Config()


def test_numbers_of_stages_are_keys_in_a_file_in_json_and_in_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {backbone: {nonlocal_blocks: {slow: {4: [0], 5: [1]}}}}\n")
    config = load_config(path, ["model.backbone.nonlocal_blocks.slow.4=[2]"])
    assert config.model.backbone.nonlocal_blocks == {"slow": {4: (2,), 5: (1,)}}
    assert Config.model_validate(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize("name", ["folder", "x" * 5000, "x\0y", "/dev/zero"])
def test_a_name_that_is_no_file_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"a folder|no name of a config file|neither a config file nor") as error:
        load_config(name)
    assert str(error.value).isprintable()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"neither a config file nor .* \(did you mean 'slowfast_r50_32x2'\?\)"):
        load_config("slowfast_r50_32")


def test_a_model_of_other_classes_gets_numbered_actions():
    config = Config.model_validate({"model": {"head": {"num_classes": 3}}})
    assert [action.name for action in label_map_of(config)] == ["action 1", "action 2", "action 3"]


def test_a_classifier_is_refused_as_config_and_as_model():
    small = {"depths": [1, 1, 1, 1], "width": 8}
    classifier = Config.model_validate(
        {"model": {"task": "classification", "backbone": small}, "data": {"kind": "kinetics"}}
    )
    with pytest.raises(ConfigError, match=r"this config is a classifier: .* whose model\.task is detection"):
        classifier.require_detection()
    with pytest.raises(ConfigError, match=r"this model is a classifier: .* whose model\.task is detection"):
        require_detector(build_model(classifier))
    detector = Config.model_validate({"model": {"backbone": small}})
    detector.require_detection()
    model = build_model(detector)
    assert require_detector(model) is model


def test_values_that_are_no_file_are_refused_with_their_origin_and_key():
    """A config inside a weights file, and a section that another room puts together."""
    with pytest.raises(ConfigError, match=r"^w\.pth: clip\.std\.0: input should be a finite number, got nan$"):
        from_values(Config, {"clip": {"std": [float("nan"), 1, 1]}}, "w.pth")
    with pytest.raises(ConfigError, match=r"^w\.pth: input should be a valid dictionary or instance of Config, got 5"):
        from_values(Config, 5, "w.pth")
    with pytest.raises(ConfigError, match=r"^mine: unknown key 'video' \(did you mean 'videos'\?\)"):
        from_values(SplitConfig, {"annotations": "a.csv", "video": "v"}, "mine")
    with pytest.raises(ConfigError, match=r"^mine: exclude: string should have at least 1 character, got ''"):
        from_values(SplitConfig, {"annotations": "a.csv", "videos": "v", "exclude": ""}, "mine")


def test_of_many_unknown_ids_a_few_are_named():
    ids = list(range(1001, 1081))
    with pytest.raises(ConfigError, match=r"labels\.ids 1001, 1002, 1003, 1004, 1005 and 75 more are not in the label"):
        label_map_of(Config.model_validate({"labels": {"ids": ids}}))


def any_config(draw):
    """A small config with settings of every kind, whether they fit each other or not."""

    def four(values):
        return [draw.choice(values) for _ in range(4)]

    def by_pathway(value):
        return value() if draw.random() < 0.5 else {"slow": value(), "fast": value()}

    task = draw.choice(["detection", "classification"])
    backbone = {
        "depths": four([1, 1, 2]), "width": draw.choice([2, 4, 8]), "beta_inv": draw.choice([1, 2]),
        "alpha": draw.choice([1, 2, 4]), "num_temporal": by_pathway(lambda: four([0, 1, 5])),
        "temporal_kernels": by_pathway(lambda: [draw.choice([1, 3, 9]) for _ in range(5)]),
        "strides": four([1, 2, 3]), "dilations": by_pathway(lambda: four([1, 2, 64])),
        "fusion_kernel": draw.choice([1, 5, 99]), "lateral_kind": draw.choice(["conv", "time_to_channel", "sample"]),
        "lateral_merge": draw.choice(["concat", "sum"]), "lateral_norm": draw.random() < 0.5,
    }  # fmt: skip
    if draw.random() < 0.2:
        backbone |= {"pathways": ["slow"], "alpha": 1}
    if draw.random() < 0.5:
        pathway, stage = draw.choice(["slow", "fast"]), draw.choice([2, 3, 4, 5])
        pool, groups = [draw.choice([1, 2, 3]) for _ in range(3)], draw.choice([1, 2])
        for name, value in (("blocks", [0]), ("pool", pool), ("groups", groups)):
            backbone[f"nonlocal_{name}"] = {pathway: {stage: value}}
        backbone |= {"nonlocal_pool_place": draw.choice(["before", "after"]), "nonlocal_out_bias": draw.random() < 0.5}
    model = {"task": task, "backbone": backbone, "head": {"num_classes": draw.choice([1, 3])}}
    if task == "detection":
        model["roi"] = {"resolution": draw.choice([1, 7, 64]), "with_global": draw.random() < 0.5}
        score = draw.choice(["action", "softmax", "softmax_with_background"])
        model["head"] |= {"mlp": draw.random() < 0.5, "score": score, "background_class": draw.random() < 0.7}
        if draw.random() < 0.3:
            model["roi"]["relation"] = {"channels": draw.choice([None, 3]), "num_convs": draw.choice([1, 2])}
    else:
        model["head"]["pool_size"] = draw.choice([None, 1, 2])
    clip = {"num_frames": draw.choice([4, 8, 12]), "short_side": draw.choice([32, 64])}
    return {"model": model, "clip": clip, "data": {"kind": "ava" if task == "detection" else "kinetics"}}


@pytest.mark.parametrize("seed", range(24))
def test_a_config_that_is_accepted_is_a_network_that_runs(seed):
    try:
        config = from_values(Config, any_config(random.Random(seed)), "any")
    except ConfigError:
        return
    side = config.clip.short_side
    clip = torch.rand(1, 3, config.clip.num_frames, side, side + 16, generator=torch.Generator().manual_seed(seed))
    model = build_model(config)
    with torch.inference_mode():
        rois = () if config.model.task == "classification" else (torch.tensor([[0.0, 0.0, 0.0, 10.0, 10.0]]),)
        assert model(clip, *rois).isfinite().all()
