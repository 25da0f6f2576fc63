from __future__ import annotations

import functools
import json
import subprocess
from dataclasses import asdict

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import SMALL_CONFIG, lively_model, save_pyslowfast, small_config_file
from processes import ava_detect
from tolerances import FP32_SCORES

from ava_detect.cli.export import export_config
from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.models import export

CLIP_GENERATOR_SEED = 7
VARIANTS = {
    "slowfast": {},
    "not aligned": {"roi": {"aligned": False}},
    "non-local": {
        "backbone": {"nonlocal_blocks": {"slow": {4: [0]}}, "nonlocal_pool": {"slow": {4: [2, 2, 2]}}},
    },
    "non-local softmax": {
        "backbone": {"nonlocal_blocks": {"slow": {4: [0]}}, "nonlocal_affinity": "softmax"},
    },
    "non-local pooled after": {
        "backbone": {
            "nonlocal_blocks": {"slow": {4: [0]}},
            "nonlocal_affinity": "softmax",
            "nonlocal_pool_place": "after",
            "nonlocal_out_bias": False,
        },
    },
    "hidden layer": {"head": {"mlp": True}},
    "slow only": {"backbone": {"pathways": ["slow"], "alpha": 1}},
    "temporal max": {"roi": {"temporal_pool": "max"}},
    "context": {"roi": {"with_global": True, "resolution": 8, "temporal_pool": "max"}},
    "relation": {"roi": {"relation": {"channels": 24, "num_convs": 2}}},
    "softmax": {"head": {"score": "softmax"}},
    "softmax with background": {"head": {"score": "softmax_with_background", "background_class": True}},
}
VIT = {"kind": "vit", "width": 24, "depth": 2, "heads": 3, "tubelet": 2, "grid": [4, 5, 3]}
ALPHACTION = {"aligned": False, "box_rule": "alphaction", "extension": [0.1, 0.05]}
VITS = {
    "vit as UMT's": {"backbone": {**VIT, "tubelet": 1, "grid": [8, 3, 3]}, "roi": ALPHACTION},
    "vit as mmaction2's": {"backbone": {**VIT, "borders": "crop", "positions": "stored"}, "roi": {"resolution": 8}},
}


def variant(name: str):
    if name in VITS:
        return lively_model(model=VITS[name])
    changes = VARIANTS[name]
    backbone = {**SMALL_CONFIG["model"]["backbone"], **changes.get("backbone", {})}
    model = lively_model(model={**changes, "backbone": backbone})
    for name, parameter in model.named_parameters():
        if name.endswith("nonlocal0.bn.weight"):
            # Untrained dot products are in the thousands, where float32 itself is off by 1e-4.
            parameter.data.mul_(0.003)
    return model


def inputs(model, clips, height, width, boxes):
    generator = torch.Generator().manual_seed(CLIP_GENERATOR_SEED)
    clip = torch.randn(clips, 3, model.clip_settings.num_frames, height, width, generator=generator)
    rois = [[i % clips, *box] for i, box in enumerate(boxes)]
    return clip, torch.tensor(rois, dtype=torch.float32).reshape(-1, 5)


# Inside, whole frame, over the edges, tiny, without area, and wholly outside.
BOXES = [
    (5, 6, 50, 60),
    (0, 0, 100, 90),
    (-20, -9, 130, 140),
    (30, 30, 30.5, 30.25),
    (40, 40, 40, 70),
    (200, 9, 240, 30),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """``exported(NAME)``: the report on a variant's ONNX file, which is written once."""
    folder = tmp_path_factory.mktemp("exported")
    return functools.cache(lambda name: export.export_onnx(variant(name), folder / f"{name}.onnx"))


def scores_of(name, logits):
    if name == "softmax with background":
        # 1 is the exponential of the background's logit, to which the others are relative.
        return logits.exp() / (1 + logits.exp().sum(dim=1, keepdim=True))
    return logits.softmax(dim=1) if name == "softmax" else logits.sigmoid()


@pytest.mark.parametrize("name", [*VARIANTS, *VITS])
def test_onnx_gives_the_same_scores_at_any_size(exported, name):
    model, report = variant(name), exported(name)
    assert report.largest_difference < FP32_SCORES
    session = onnxruntime.InferenceSession(str(report.path))
    for clips, height, width, boxes in [
        (1, 64, 64, BOXES[:1]),
        (4, 91, 103, BOXES),
        (1, 128, 160, BOXES),
        (2, 64, 48, []),
    ]:
        clip, rois = inputs(model, clips, height, width, boxes)
        with torch.inference_mode():
            logits = model(clip, rois)
            expected = scores_of(name, logits).numpy()
        (scores,) = session.run(["scores"], {"clip": clip.numpy(), "rois": rois.numpy()})
        assert scores.shape == (len(boxes), 80)
        np.testing.assert_allclose(scores, expected, atol=FP32_SCORES)


def test_scores_depend_on_boxes_and_clip(exported):
    session = onnxruntime.InferenceSession(str(exported("slowfast").path))
    clip, rois = inputs(variant("slowfast"), 2, 96, 96, BOXES[:4])
    (scores,) = session.run(None, {"clip": clip.numpy(), "rois": rois.numpy()})
    assert np.abs(scores[0] - scores[1]).max() > 0.01
    assert 0 <= scores.min() < 0.4 < 0.6 < scores.max() <= 1


@pytest.mark.parametrize(("aligned", "mode"), [(True, "half_pixel"), (False, "output_half_pixel")])
def test_roi_align_is_the_standard_operator(exported, aligned, mode):
    graph = onnx.load(exported("slowfast" if aligned else "not aligned").path)
    onnx.checker.check_model(graph)
    nodes = [node for node in graph.graph.node if node.op_type == "RoiAlign"]
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in nodes]
    assert [a["coordinate_transformation_mode"].decode() for a in attributes] == [mode, mode]
    assert {(a["output_height"], a["output_width"], a["spatial_scale"], a["sampling_ratio"]) for a in attributes} == {
        (7, 7, 1 / 16, 0)
    }
    assert {node.domain for node in graph.graph.node} == {""}
    assert graph.opset_import[0].version >= 16


def test_the_free_sides_are_named_and_the_clip_is_described(exported):
    session = onnxruntime.InferenceSession(str(exported("slowfast").path))
    assert {i.name: i.shape for i in session.get_inputs()} == {
        "clip": ["clips", 3, 8, "height", "width"],
        "rois": ["boxes", 5],
    }
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("scores", ["boxes", 80])]
    described = json.loads(session.get_modelmeta().custom_metadata_map["ava_detect"])
    assert described == {
        "clip": json.loads(json.dumps(asdict(variant("slowfast").clip_settings))),
        "alpha": 4,
        "aligned": True,
        "box_rule": "pyslowfast",
        "score": "action",
    }


def test_rules_that_the_caller_applies_are_described(tmp_path):
    model = lively_model(
        model=SMALL_CONFIG["model"] | {"roi": {"box_rule": "mmaction2"}, "head": {"score": "action_x_person"}},
        clip=SMALL_CONFIG["clip"] | {"frame_offsets": [-9, -6, -3, -1, 1, 3, 6, 9], "long_side": "round"},
    )
    export.export_onnx(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"))
    described = json.loads(session.get_modelmeta().custom_metadata_map["ava_detect"])
    assert (described["box_rule"], described["score"]) == ("mmaction2", "action_x_person")
    clip = described["clip"]
    assert (clip["frame_offsets"], clip["long_side"]) == ([-9, -6, -3, -1, 1, 3, 6, 9], "round")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["non-local", *VITS])
def test_the_backbone_by_torch_export(tmp_path, name):
    model = variant(name)
    report = export.export_backbone(model, tmp_path / "a.pt2")
    assert report.largest_difference <= 1e-6
    restored = torch.export.load(tmp_path / "a.pt2").module()
    for clips, height, width in [(1, 64, 64), (3, 83, 130)]:
        clip, _ = inputs(model, clips, height, width, [])
        with torch.inference_mode():
            for ours, theirs in zip(model.backbone(clip), restored(clip), strict=True):
                torch.testing.assert_close(theirs, ours)


def test_a_difference_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(AvaDetectError, match=r"a\.onnx was not written: run back, the exported network differs by"):
        export.export_onnx(variant("slowfast"), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_check_sees_a_wrong_network(tmp_path, monkeypatch):
    model = variant("slowfast")
    right = export._write_onnx

    def wrong(scorer, path):
        right(scorer, path)
        with torch.no_grad():
            scorer.model.head.projection.bias += 0.01

    monkeypatch.setattr(export, "_write_onnx", wrong)
    with pytest.raises(AvaDetectError, match=r"differs by 2\.\de-03"):
        export.export_onnx(model, tmp_path / "a.onnx")


def test_a_checkpoint_becomes_onnx(tmp_path):
    config = small_config_file(tmp_path)
    model = lively_model(seed=3)
    weights = save_pyslowfast(model, tmp_path / "w.pyth")
    report = export_config(config, str(weights), tmp_path / "out" / "a.onnx")
    assert str(report).startswith(f"{tmp_path / 'out' / 'a.onnx'}: ONNX opset 17, ")
    assert "run back at 3 other sizes, largest difference" in str(report)
    clip, rois = inputs(model, 1, 64, 64, BOXES[:2])
    (scores,) = onnxruntime.InferenceSession(str(report.path)).run(None, {"clip": clip.numpy(), "rois": rois.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(scores, model(clip, rois).sigmoid().numpy(), atol=FP32_SCORES)


@pytest.mark.parametrize(
    ("config", "weights", "name", "sentence"),
    [
        ("demo", "random", "a.pb", r"ends in \.onnx \(whole detector\) or \.pt2 \(backbone\), got 'a\.pb'"),
        ("demo", None, "a.onnx", r"give `weights`, a file or a name, to export, or `weights=random`"),
        ("kinetics_slow_r50_4x16", "random", "a.onnx", "this config is a classifier"),
    ],
)
def test_what_cannot_be_exported(tmp_path, config, weights, name, sentence):
    with pytest.raises(ConfigError, match=sentence):
        export_config(config, weights, tmp_path / name)


def test_the_command_exports_in_a_process_of_its_own(tmp_path):
    """What other tests have imported must not be what makes it work: torchvision registers operators when imported."""
    out = tmp_path / "small.onnx"
    arguments = ava_detect("export", out, "--config", small_config_file(tmp_path), "--weights", "random")
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.stat().st_size > 1000
