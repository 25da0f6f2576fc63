"""From file to file: the same bits under other names, there and back; and what a file is at a glance."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from networks import SMALL_CONFIG, lively_model, save_pyslowfast
from safetensors import safe_open
from weights_files import CFG, renamed, same_state, write_caffe2, write_family

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.errors import WeightsError
from ava_detect.models.weights import convert, inspect_file, load_weights, save_weights
from ava_detect.models.weights.reading import read_weights_file


@pytest.fixture(scope="module")
def source():
    model = lively_model(seed=3)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.fill_(1234)
    return model


def same_bits(first, second) -> bool:
    """The same names, each with the same dtype, shape and bytes."""
    a, b = read_weights_file(first).tensors, read_weights_file(second).tensors
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype
        and a[name].shape == b[name].shape
        and a[name].contiguous().numpy().tobytes() == b[name].contiguous().numpy().tobytes()
        for name in a
    )


@pytest.mark.parametrize("family", ["pyslowfast", "pytorchvideo", "caffe2", "mmaction2"])
def test_a_round_trip_through_ours_keeps_every_bit(source, tmp_path, family):
    first = write_family(source, family, tmp_path / "first")
    there = convert(first, tmp_path / "ours", to="ava_detect")
    back = convert(tmp_path / "ours", tmp_path / "back", to=family)
    assert same_bits(first, tmp_path / "back")
    assert there.converted == back.converted == len(read_weights_file(first).tensors)


@pytest.mark.parametrize(
    "changes",
    [
        {"head": {"mlp": True, "background_class": True}, "roi": {"with_global": True}},
        {"roi": {"relation": {"channels": 12, "num_convs": 2}}},
        {
            "backbone": {
                "pathways": ["slow"], "alpha": 1, "nonlocal_blocks": {"slow": {3: [0]}}, "nonlocal_affinity": "softmax",
                "nonlocal_pool_place": "after", "nonlocal_out_bias": False,
            }
        },
    ],
    ids=["hidden layer", "relation", "non-local"],
)  # fmt: skip
def test_mmaction2s_other_networks_keep_every_bit_and_load(tmp_path, changes):
    backbone = SMALL_CONFIG["model"]["backbone"] | changes.get("backbone", {})
    source, other = (lively_model(seed, model=changes | {"backbone": backbone}) for seed in (3, 4))
    first = write_family(source, "mmaction2", tmp_path / "first")
    convert(first, tmp_path / "ours", to="ava_detect")
    convert(tmp_path / "ours", tmp_path / "back", to="mmaction2")
    assert same_bits(first, tmp_path / "back")
    assert not same_state(other, source)
    assert load_weights(other, first).complete
    assert same_state(other, source)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_odd_dtypes_and_bits_survive(source, tmp_path, dtype):
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in renamed(source, "pyslowfast").items()}
    state["head.projection.bias"][:3] = torch.tensor([torch.nan, -0.0, torch.inf], dtype=dtype)
    torch.save({"model_state": state}, tmp_path / "first")
    convert(tmp_path / "first", tmp_path / "ours", to="ava_detect")
    convert(tmp_path / "ours", tmp_path / "ptv", to="pytorchvideo")
    convert(tmp_path / "ptv", tmp_path / "back", to="pyslowfast")
    back = read_weights_file(tmp_path / "back").tensors
    assert all(
        back[n].dtype == t.dtype and torch.equal(back[n].view(torch.uint8), t.view(torch.uint8))
        for n, t in state.items()
        if t.dim()
    )


@pytest.mark.parametrize("case", ["psf_tiny_ava_nln", "psf_tiny_charades", "ptv_slowfast_r50"])
def test_reference_cases_keep_every_bit(parity_case, tmp_path, case):
    read = parity_case(case)
    state = {name: torch.from_numpy(np.array(array)) for name, array in read.weights().items()}
    family = "pytorchvideo" if case.startswith("ptv") else "pyslowfast"
    torch.save({"model_state": state}, tmp_path / "first")
    convert(tmp_path / "first", tmp_path / "ours", to="ava_detect")
    convert(tmp_path / "ours", tmp_path / "back", to=family)
    back = torch.load(tmp_path / "back", weights_only=True)["model_state"]
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())


def test_a_pyslowfast_checkpoint_keeps_its_cfg_and_what_is_lost_is_named(source, tmp_path):
    first = write_family(source, "pyslowfast", tmp_path / "first")
    convert(first, tmp_path / "ours", to="ava_detect")
    convert(tmp_path / "ours", tmp_path / "back", to="pyslowfast")
    assert torch.load(tmp_path / "back", weights_only=True)["cfg"] == CFG
    report = convert(first, tmp_path / "c2", to="caffe2")
    counters = [name for name in source.state_dict() if name.endswith("num_batches_tracked")]
    assert list(report.dropped) == counters
    assert f"dropped  {len(counters)}: {counters[0]}" in str(report)
    with (tmp_path / "c2").open("rb") as file:
        blobs = pickle.load(file, encoding="latin1")["blobs"]
    assert np.array_equal(blobs["t_res_conv1_bn_riv"], source.backbone.stem["fast"].bn.running_var.numpy())


def test_caffe2_gains_the_counters_that_torch_wants(source, tmp_path):
    report = convert(write_family(source, "caffe2", tmp_path / "c2"), tmp_path / "psf", to="pyslowfast")
    assert all(name.endswith("num_batches_tracked") for name in report.added)
    assert {"lr", "model_iter", "conv1_w_momentum"} == set(report.dropped)
    assert "detection was assumed from the 80 rows of its head" in str(report)
    loaded = load_weights(lively_model(), tmp_path / "psf")
    assert loaded.complete
    assert len(loaded.loaded) == len(source.state_dict())


def test_settings_travel_from_family_to_family(source, tmp_path):
    first = write_family(source, "pyslowfast", tmp_path / "first")
    convert(first, tmp_path / "ours", to="ava_detect")
    with safe_open(tmp_path / "ours", framework="pt") as file:
        assert {key: file.metadata()[key] for key in ("format", "version")} == {"format": "ava_detect", "version": "1"}
    assert inspect_file(tmp_path / "ours").settings == inspect_file(first).settings
    saved = save_weights(source, tmp_path / "saved")
    convert(saved, tmp_path / "psf", to="pyslowfast")
    assert inspect_file(tmp_path / "psf").settings == inspect_file(saved).settings == inspect_file(first).settings


def test_saved_weights_rebuild_their_model_from_the_config_inside(source, tmp_path):
    config = Config.model_validate(SMALL_CONFIG)
    path = save_weights(source, tmp_path / "w.safetensors", config=config.model_dump(mode="json"))
    model = build_model(Config.model_validate(inspect_file(path).config), seed=5)
    load_weights(model, path)
    assert same_state(model, source)


def test_saving_replaces_a_file_atomically(source, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_text("older")
    with pytest.raises(TypeError):
        save_weights(source, path, config={"a": object()})
    assert path.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_file_is_converted_atomically(source, tmp_path):
    state = renamed(source, "pyslowfast")
    torch.save({**state, "extra.weight": torch.zeros(1)}, tmp_path / "more")
    with pytest.raises(WeightsError, match=r"holds 1 tensors that PySlowFast's layout does not know \(extra.weight\)"):
        convert(tmp_path / "more", tmp_path / "out", to="ava_detect")
    nonlocal_after = {
        "model": {"backbone": {**SMALL_CONFIG["model"]["backbone"], "nonlocal_blocks": {"slow": {4: [0]}}}}
    }
    save_pyslowfast(lively_model(**nonlocal_after), tmp_path / "nl")
    with pytest.raises(WeightsError, match=r"pytorchvideo's layout has no tensor backbone.res4.slow.nonlocal0"):
        convert(tmp_path / "nl", tmp_path / "out", to="pytorchvideo")
    bare = {n: t for n, t in renamed(source, "mmaction2").items() if "_lateral.bn" not in n}
    torch.save({"state_dict": bare}, tmp_path / "mm")
    with pytest.raises(WeightsError, match=r"backbone.lateral1 has no batch norm, as in mmaction2's network"):
        convert(tmp_path / "mm", tmp_path / "out", to="caffe2")
    with pytest.raises(WeightsError, match=r"no weights family is called 'cafe2'.*did you mean 'caffe2'"):
        convert(tmp_path / "mm", tmp_path / "out", to="cafe2")
    assert not (tmp_path / "out").exists()


def test_a_file_at_a_glance(source, tmp_path):
    summary = inspect_file(write_family(source, "pyslowfast", tmp_path / "a.pyth"))
    assert (summary.family, summary.container, summary.head_rows) == ("pyslowfast", "torch", 80)
    assert summary.num_parameters == sum(p.numel() for p in source.parameters())
    assert summary.num_tensors == len(source.state_dict())
    counters = sum(n.endswith("num_batches_tracked") for n in source.state_dict())
    assert summary.dtypes == {"float32": summary.num_tensors - counters, "int64": counters}
    text = str(summary)
    for part in (
        "family     PySlowFast",
        f"parameters {summary.num_parameters:,}",
        "head       80 rows",
        "aligned True, alpha 4, fusion_kernel 7, num_frames 8, sampling_rate 4, short_side 32, colour_order RGB",
        "mean 0.45/0.45/0.45",
        "note       it also holds epoch, optimizer_state, cfg",
    ):
        assert part in text


def test_a_glance_at_strangers_and_blobs(source, tmp_path):
    torch.save({"encoder.weight": torch.zeros(2, 3)}, tmp_path / "other")
    other = inspect_file(tmp_path / "other")
    assert (other.family, other.unknown, other.num_parameters) == (None, ("encoder.weight",), 6)
    assert "family     none that is known here" in str(other)
    blobs = inspect_file(write_caffe2(tmp_path / "c2", {"pred_w": np.zeros((80, 4), np.float32), "lr": np.float32(1)}))
    assert (blobs.family, blobs.container, blobs.head_rows, blobs.ignored) == ("caffe2", "caffe2", 80, ("lr",))
    assert "settings   none inside; the config decides" in str(blobs)


def test_half_takes_half_the_space_and_loads_as_float32(tmp_path):
    model = build_model(Config.model_validate(SMALL_CONFIG))
    whole = save_weights(model, tmp_path / "whole.safetensors")
    report = convert(whole, tmp_path / "half.safetensors", to="ava_detect", half=True)
    assert "bit for bit" not in str(report)
    assert "numbers rounded to float16" in report.notes
    assert (tmp_path / "half.safetensors").stat().st_size < 0.55 * whole.stat().st_size
    other = build_model(Config.model_validate(SMALL_CONFIG), seed=1)
    load_weights(other, tmp_path / "half.safetensors")
    for name, tensor in other.state_dict().items():
        # float16 has 11 bits: 5e-4 of a value, and steps of 6e-8 near 0.
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-3, atol=1e-6)


def test_half_refuses_what_float16_cannot_hold(tmp_path):
    model = build_model(Config.model_validate(SMALL_CONFIG))
    with torch.no_grad():
        model.head.projection.bias[0] = 1e6
    whole = save_weights(model, tmp_path / "whole.safetensors")
    with pytest.raises(WeightsError, match=r"head\.projection\.bias has numbers beyond float16's range"):
        convert(whole, tmp_path / "half.safetensors", to="ava_detect", half=True)
    assert not (tmp_path / "half.safetensors").exists()


def test_weights_files_have_the_permissions_of_new_files(tmp_path):
    (tmp_path / "new").touch()
    path = save_weights(build_model(Config.model_validate(SMALL_CONFIG)), tmp_path / "a.safetensors")
    assert path.stat().st_mode == (tmp_path / "new").stat().st_mode
