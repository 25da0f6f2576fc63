"""Files of plain vision transformers: both layouts both ways, told apart, and as the start of a training."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch
from networks import lively_model
from weights_files import renamed, same_state, write_family

from ava_detect.config import load_config
from ava_detect.errors import WeightsError
from ava_detect.models.vit import sine_positions
from ava_detect.models.weights import (
    FAMILIES,
    convert,
    initialise_from_classifier,
    inspect_file,
    load_weights,
    save_weights,
)
from ava_detect.models.weights.checkpoint_settings import settings_of_config, settings_of_model
from ava_detect.models.weights.mismatch import _CONFIGS
from ava_detect.training.initialise import initialise

GRID = (2, 2, 2)


def transformer(
    *, seed: int = 0, tubelet: int = 2, stored: bool = False, rows: int = 80, width: int = 24, depth: int = 2
) -> Any:
    """A small detector; every parameter is random, and so are stored positions."""
    backbone = {"kind": "vit", "width": width, "depth": depth, "heads": 3, "patch": 16, "tubelet": tubelet}
    model = lively_model(
        seed=seed,
        model={
            "backbone": {**backbone, "grid": GRID, "positions": "stored" if stored else "computed"},
            "head": {"num_classes": rows - stored, "background_class": stored},
        },
        clip={"num_frames": 2 * tubelet, "short_side": 32},
    )
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
        if stored:
            model.backbone.positions.uniform_(-1, 1, generator=generator)
    return model


LAYOUTS = {
    "UMT": ({"tubelet": 1}, "videomae"),
    "VideoMAE-AD": ({"tubelet": 2}, "videomae"),
    "mmaction2": ({"tubelet": 2, "stored": True, "rows": 81}, "mmaction2"),
}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


@pytest.mark.parametrize(
    ("family", "theirs", "ours"),
    [
        ("videomae", "patch_embed.proj.bias", "backbone.patch_embed.bias"),
        ("videomae", "blocks.11.attn.q_bias", "backbone.blocks.11.attn.q_bias"),
        ("videomae", "blocks.0.mlp.fc2.weight", "backbone.blocks.0.mlp.fc2.weight"),
        ("videomae", "encoder.blocks.3.norm1.bias", "backbone.blocks.3.norm1.bias"),
        ("videomae", "backbone.norm.weight", "backbone.norm.weight"),
        ("videomae", "head.weight", "head.projection.weight"),
        ("videomae", "fc_norm.weight", None),
        ("videomae", "blocks.0.attn.qkv.bias.x", None),
        ("videomae", "decoder.blocks.0.norm1.weight", None),
        ("mmaction2", "backbone.pos_embed", "backbone.positions"),
        ("mmaction2", "backbone.blocks.0.mlp.layers.0.0.weight", "backbone.blocks.0.mlp.fc1.weight"),
        ("mmaction2", "backbone.blocks.0.mlp.layers.1.bias", "backbone.blocks.0.mlp.fc2.bias"),
        ("mmaction2", "backbone.patch_embed.projection.weight", "backbone.patch_embed.weight"),
    ],
)
def test_names_by_hand(family, theirs, ours):
    assert FAMILIES[family].to_ours(theirs) == ours


def test_a_file_in_its_own_layout_fills_the_model(tmp_path, layout):
    settings, family = layout
    source, model = transformer(seed=3, **settings), transformer(**settings)
    report = load_weights(model, write_family(source, family, tmp_path / "weights.pth"))
    assert report.complete and report.family == FAMILIES[family].family
    assert same_state(model, source)


def test_round_trips_keep_every_bit_name_and_top_level(tmp_path, layout):
    settings, family = layout
    source = transformer(seed=3, **settings)
    theirs = write_family(source, family, tmp_path / "theirs.pth")
    first = convert(theirs, tmp_path / "ours", to="ava_detect")
    back = convert(tmp_path / "ours", tmp_path / "back.pth", to=family)
    assert (first.dropped, first.added, back.dropped, back.added) == ((), (), (), ())
    key = {"videomae": "model", "mmaction2": "state_dict"}[family]
    original, again = (torch.load(tmp_path / name, weights_only=False)[key] for name in ("theirs.pth", "back.pth"))
    assert again.keys() == original.keys()
    assert all(torch.equal(again[name], original[name]) for name in original)
    model = transformer(**settings)
    load_weights(model, tmp_path / "ours")
    assert same_state(model, source)


def test_computed_positions_are_added_for_mmaction2_and_left_out_for_videomae(tmp_path):
    source = transformer(seed=3)
    saved = save_weights(source, tmp_path / "ours", config=config_of(source))
    report = convert(saved, tmp_path / "mm.pth", to="mmaction2")
    assert report.added == ("backbone.pos_embed",)
    table = torch.load(tmp_path / "mm.pth", weights_only=True)["state_dict"]["backbone.pos_embed"]
    assert torch.equal(table, sine_positions(GRID, 24))
    report = convert(tmp_path / "mm.pth", tmp_path / "videomae.pth", to="videomae")
    assert report.dropped == ("backbone.positions",)
    model = transformer()
    load_weights(model, tmp_path / "videomae.pth")
    assert same_state(model, source)
    # Without a config inside, the table is that of the published networks.
    convert(tmp_path / "videomae.pth", tmp_path / "published.pth", to="mmaction2")
    table = torch.load(tmp_path / "published.pth", weights_only=True)["state_dict"]["backbone.pos_embed"]
    assert table.shape == (1, 8 * 14 * 14, 24)


def test_other_positions_have_no_place_in_videomaes_layout(tmp_path):
    theirs = write_family(transformer(stored=True, rows=81), "mmaction2", tmp_path / "mm.pth")
    with pytest.raises(WeightsError, match=r"table of positions .* is not that of sines .*nothing was written"):
        convert(theirs, tmp_path / "videomae.pth", to="videomae")
    assert not (tmp_path / "videomae.pth").exists()


def test_positions_of_half_precision_are_known_as_the_computed_ones(tmp_path):
    source = transformer(stored=True, rows=81)
    source.backbone.positions.copy_(sine_positions(GRID, 24))
    convert(write_family(source, "mmaction2", tmp_path / "mm.pth"), tmp_path / "half.pth", to="mmaction2", half=True)
    assert convert(tmp_path / "half.pth", tmp_path / "v.pth", to="videomae").dropped == ("backbone.positions",)


@pytest.mark.parametrize("to", ["pyslowfast", "caffe2", "pytorchvideo"])
def test_families_without_transformers_say_so(tmp_path, to):
    theirs = write_family(transformer(), "videomae", tmp_path / "videomae.pth")
    with pytest.raises(WeightsError, match=r"layout has no tensor backbone\.patch_embed\.weight; nothing was written"):
        convert(theirs, tmp_path / "out", to=to)


def config_of(model: Any) -> dict[str, Any]:
    backbone = {"kind": "vit", "width": 24, "depth": len(model.backbone.blocks), "heads": 3, "grid": list(GRID)}
    return {"model": {"backbone": backbone}}


def test_settings_without_a_meaning_for_transformers_are_unknown():
    settings = settings_of_model(transformer(tubelet=1))
    assert (settings.alpha, settings.fusion_kernel) == (None, None)
    assert (settings.aligned, settings.num_frames, settings.task) == (True, 2, "detection")
    config = {"model": {"task": "detection", "backbone": {"kind": "vit", "depth": 12}}, "clip": {"num_frames": 8}}
    assert settings_of_config(config).known() == {"num_frames": 8, "task": "detection"}


def classifier_of(source: Any, rows: int = 710, prefix: str = "") -> dict[str, torch.Tensor]:
    """A Kinetics classifier as VideoMAE and UMT save it: ``fc_norm`` after the mean over tokens, no ``norm``."""
    state = renamed(source, "videomae")
    state = {name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: t for name, t in state.items()}
    state |= {"head.weight": torch.ones(rows, 24), "head.bias": torch.ones(rows)}
    return {prefix + name: tensor for name, tensor in state.items()}


def pretraining_of(source: Any) -> dict[str, torch.Tensor]:
    """VideoMAE's pretraining: an encoder, and a decoder of another width."""
    state = {f"encoder.{n}": t for n, t in renamed(source, "videomae").items() if not n.startswith("head.")}
    decoder = {f"decoder.{n}": t[:12] for n, t in renamed(source, "videomae").items() if n.startswith("blocks.")}
    return {**state, **decoder, "mask_token": torch.zeros(1, 1, 12), "encoder_to_decoder.weight": torch.zeros(12, 24)}


def umt_pretraining_of(source: Any) -> dict[str, torch.Tensor]:
    state = {f"encoder.{n}": t for n, t in renamed(source, "videomae").items() if not n.startswith("head.")}
    heads = {f"clip_decoder.{i}.{part}": torch.zeros(8) for i in range(2) for part in ("head.bias", "norm.weight")}
    return {**state, **heads}


def saved(path: Any, state: dict[str, torch.Tensor]) -> Any:
    torch.save({"model": state, "args": argparse.Namespace(lr=1.0)}, path)
    return path


OTHERS = {
    "UMT": (lambda: transformer(tubelet=1), "this is a UMT file (tubelet 1), and the model reads tubelet 2 (VideoMAE)"),
    "wider": (
        lambda: transformer(width=48),
        "the file is a ViT of width 48, 2 blocks, tubelet 2, the model a ViT",
    ),
    "deeper": (
        lambda: transformer(depth=3),
        "the file is a ViT of width 24, 3 blocks, tubelet 2, the model a ViT",
    ),
    "SlowFast": (lively_model, "this is a convolutional network (SlowFast), and the model a plain vision transformer"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_network_is_named(tmp_path, other):
    make, message = OTHERS[other]
    source, model = make(), transformer()
    path = write_family(source, "pyslowfast" if other == "SlowFast" else "videomae", tmp_path / "other.pth")
    with pytest.raises(WeightsError) as error:
        load_weights(model, path)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert same_state(model, transformer())


def test_a_transformer_in_place_of_slowfast_is_named(tmp_path):
    path = write_family(transformer(), "videomae", tmp_path / "vit.pth")
    with pytest.raises(WeightsError, match=r"this is a plain vision transformer, ViT of width 24.* the model a conv"):
        load_weights(lively_model(), path)


def test_tubelets_name_the_config_to_try(tmp_path):
    umt = transformer(tubelet=1, width=768, depth=1)
    path = write_family(umt, "videomae", tmp_path / "umt.pth")
    with pytest.raises(WeightsError, match=r"UMT file \(tubelet 1\), and .* 2 \(VideoMAE\); try config umt_vit_b"):
        load_weights(transformer(width=768, depth=1), path)
    with pytest.raises(WeightsError, match=r"try a config with `model\.backbone\.tubelet=1`"):
        load_weights(transformer(), write_family(transformer(tubelet=1), "videomae", path))


def test_the_configs_to_try_exist_and_have_that_size():
    for (tubelet, width), name in _CONFIGS.items():
        backbone = load_config(name).model.backbone
        assert (backbone.tubelet, backbone.width) == (tubelet, width)


STARTS = {
    "classifier": (
        classifier_of,
        "it is a classifier of Kinetics-710, its head has 710 rows: it can only start",
    ),
    "pretraining": (
        pretraining_of,
        "it is a pretraining file, with decoder and without head: it can only start",
    ),
    "UMT's": (umt_pretraining_of, "it is a pretraining file, with decoder and without head: it can only start"),
    "class token": (
        lambda source: {**renamed(source, "videomae"), "cls_token": torch.zeros(1, 1, 24)},
        "it has a class token (cls_token), which AVA detectors do not have",
    ),
    "400 rows": (
        lambda s: {**renamed(s, "videomae"), "head.weight": torch.ones(400, 24), "head.bias": torch.ones(400)},
        "it is a classifier of Kinetics-400, its head has 400 rows",
    ),
    "no q_bias": (
        lambda source: {n: t for n, t in renamed(source, "videomae").items() if n != "blocks.0.attn.q_bias"},
        "1 missing from the file: blocks.0.attn.q_bias",
    ),
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_file_that_is_no_detector_is_named(tmp_path, kind):
    make, message = STARTS[kind]
    with pytest.raises(WeightsError) as error:
        load_weights(transformer(), saved(tmp_path / "w.pth", make(transformer(seed=3))))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_inspect_says_what_a_file_is(tmp_path):
    text = str(inspect_file(saved(tmp_path / "k.pth", classifier_of(transformer()))))
    assert "note       a plain vision transformer, ViT of width 24, 2 blocks, tubelet 2" in text
    assert "it is a classifier of Kinetics-710, its head has 710 rows: it can only start a training" in text
    text = str(inspect_file(write_family(transformer(), "videomae", tmp_path / "ava.pth")))
    assert "tubelet 2" in text and "start a training" not in text


HEAD = ("head.projection.weight", "head.projection.bias")
NORM = ("backbone.norm.weight", "backbone.norm.bias")


@pytest.mark.parametrize("prefix", ["", "backbone.", "encoder.", "module.", "module.backbone."])
def test_a_training_starts_from_a_classifier(tmp_path, prefix):
    source, model, before = transformer(seed=3), transformer(), transformer()
    report = initialise_from_classifier(model, saved(tmp_path / "k.pth", classifier_of(source, prefix=prefix)))
    assert sorted(report.fresh) == sorted((*HEAD, *NORM))
    inner = prefix.removeprefix("module.")
    names = ("fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias")
    assert sorted(report.ignored) == sorted(inner + name for name in names)
    assert len(report.loaded) == len(model.state_dict()) - 4
    assert same_state_of(model, source, but=(*HEAD, *NORM)) and same_state_of(model, before, only=(*HEAD, *NORM))
    assert "fc_norm follows the classifier's mean over all tokens and was dropped" in str(report)


@pytest.mark.parametrize("make", [pretraining_of, umt_pretraining_of])
def test_a_training_starts_from_a_pretraining_with_its_last_norm(tmp_path, make):
    source, model = transformer(seed=3), transformer()
    state = make(source)
    report = initialise_from_classifier(model, saved(tmp_path / "ssl.pth", state))
    assert report.fresh == HEAD
    assert set(report.ignored) == {name for name in state if not name.startswith("encoder.")}
    assert same_state_of(model, source, but=HEAD)


def test_positions_of_a_start_are_dropped_where_the_model_computes_them(tmp_path):
    source = transformer(seed=3)
    for table, kind in ((sine_positions(GRID, 24), "the same"), (torch.zeros(1, 8, 24), "another")):
        state = {**classifier_of(source), "pos_embed": table}
        report = initialise_from_classifier(transformer(), saved(tmp_path / "k.pth", state))
        assert "pos_embed" in report.ignored
        assert f"pos_embed was dropped: the model computes its table of positions, and this one is {kind}" in str(
            report
        )


def test_positions_of_a_start_fill_a_model_that_stores_them(tmp_path):
    source, model = transformer(seed=3), transformer(stored=True, rows=81)
    table = torch.rand(1, 8, 24)
    initialise_from_classifier(model, saved(tmp_path / "k.pth", {**classifier_of(source), "pos_embed": table}))
    assert torch.equal(model.backbone.positions, table)
    before = model.backbone.positions.clone()
    report = initialise_from_classifier(model, saved(tmp_path / "k.pth", classifier_of(source)))
    assert "backbone.positions" in report.fresh and torch.equal(model.backbone.positions, before)


def test_an_mmaction2_classifier_starts_a_training(tmp_path):
    source, model = transformer(seed=3, stored=True, rows=81), transformer(stored=True, rows=81)
    state = {name.replace("backbone.norm", "backbone.fc_norm"): t for name, t in renamed(source, "mmaction2").items()}
    head = {"cls_head.fc_cls.weight": torch.ones(400, 24), "cls_head.fc_cls.bias": torch.ones(400)}
    state = {name: tensor for name, tensor in state.items() if not name.startswith("roi_head.")} | head
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "k400.pth")
    report = initialise_from_classifier(model, tmp_path / "k400.pth")
    assert sorted(report.fresh) == sorted((*HEAD, *NORM))
    assert sorted(report.ignored) == sorted(("backbone.fc_norm.weight", "backbone.fc_norm.bias", *head))
    assert same_state_of(model, source, but=(*HEAD, *NORM))


def test_a_start_of_another_size_or_with_other_parts_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="the file is a ViT of width 48, 2 blocks"):
        initialise_from_classifier(transformer(), write_family(transformer(width=48), "videomae", tmp_path / "w.pth"))
    state = {**classifier_of(transformer()), "blocks.0.gamma_1": torch.ones(24)}
    with pytest.raises(WeightsError, match=r"1 unknown to the model: blocks\.0\.gamma_1") as error:
        initialise_from_classifier(transformer(), saved(tmp_path / "w.pth", state))
    assert "start a training" not in str(error.value)


def test_train_says_what_starts_fresh_and_what_is_not_used(tmp_path):
    source = transformer(seed=3)
    text = initialise(transformer(), str(saved(tmp_path / "k.pth", classifier_of(source))))
    assert "; not used: " in text and "fc_norm.weight" in text
    assert text.endswith("; the last layer starts fresh, as do backbone.norm.weight, backbone.norm.bias")
    # A classifier of as many actions is still a classifier.
    assert "starts fresh" in initialise(transformer(), str(saved(tmp_path / "k.pth", classifier_of(source, rows=80))))
    model = transformer()
    assert "fresh" not in initialise(model, str(write_family(source, "videomae", tmp_path / "ava.pth")))
    assert same_state(model, source)


def same_state_of(a: Any, b: Any, *, but: tuple[str, ...] = (), only: tuple[str, ...] | None = None) -> bool:
    other = b.state_dict()
    names = [name for name in a.state_dict() if name not in but and (only is None or name in only)]
    return all(torch.equal(a.state_dict()[name], other[name]) for name in names)
