"""Files of trainers hold objects beside the weights: these are skipped without running, importing or creating them."""

from __future__ import annotations

import argparse
import enum
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import lively_model
from weights_files import renamed, same_state

from ava_detect.errors import WeightsError
from ava_detect.models.weights import load_weights
from ava_detect.models.weights.reading import read_weights_file

FORMATS = [pytest.param(True, id="zip"), pytest.param(False, id="old format")]


class Colour(enum.Enum):
    RED = 1


class RunsCode:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (exec, (f"open({self.path!r}, 'w').close()",))


def optimizer_state(model: torch.nn.Module) -> dict:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    return optimizer.state_dict()


def trainer_content(source) -> dict:
    """What a trainer of UMT or VideoMAE writes beside the weights (``utils.py``, ``save_model``)."""
    args = argparse.Namespace(lr=1e-3, output_dir=Path("out"), opt_betas=(0.9, 0.999), device=torch.device("cpu"))
    return {
        "optimizer": optimizer_state(lively_model()),
        "epoch": 29,
        "scaler": {"scale": 65536.0, "_growth_tracker": 5},
        "args": args,
        "model_ema": {name: tensor + 1 for name, tensor in renamed(source, "pyslowfast").items()},
        "best": np.float64(33.5),
        "curve": np.arange(3.0),
        "log": Path("log.txt"),
        "colour": Colour.RED,
        "names": {"a", "b"},
        "groups": {frozenset({1}): [complex(1, 2)], Colour.RED: slice(1, 2)},
        "random": np.random.default_rng(0),
        "counts": defaultdict(int, a=1),
    }


@pytest.mark.parametrize("is_zip", FORMATS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("key", ["model", "module", "state_dict", "model_state"])
def test_objects_beside_the_weights_are_skipped_and_named(source, tmp_path, key, protocol, is_zip):
    content = {**trainer_content(source), key: renamed(source, "pyslowfast")}
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
    model = lively_model()
    report = load_weights(model, path)
    assert same_state(model, source)
    assert "it also holds optimizer, epoch, scaler, args, model_ema, best" in str(report)
    assert "objects in it were skipped without running them (" in str(report)


@pytest.mark.parametrize("is_zip", FORMATS)
@pytest.mark.parametrize("where", ["args", "key", "first"])
def test_malicious_objects_beside_the_weights_never_run(source, tmp_path, where, is_zip):
    trap = RunsCode(tmp_path / "ran")
    weights = {"model": renamed(source, "pyslowfast")}
    content = {
        "args": {"args": argparse.Namespace(lr=trap), **weights},
        "key": {**weights, "args": {(trap,): 1}},
        "first": {"a": [trap, {"b": trap}], **weights},
    }[where]
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    report = load_weights(lively_model(), path)
    assert report.complete and "__builtin__.exec" in str(report)
    assert not (tmp_path / "ran").exists()
    # The trap itself works.
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("is_zip", FORMATS)
@pytest.mark.parametrize("where", ["a tensor", "beside the tensors", "all", "the file"])
def test_malicious_objects_in_place_of_weights_are_refused_and_never_run(source, tmp_path, where, is_zip):
    trap, state = RunsCode(tmp_path / "ran"), renamed(source, "pyslowfast")
    content = {
        "a tensor": {"model": {**state, next(iter(state)): trap}},
        "beside the tensors": {"model": {**state, "extra": trap}},
        "all": {"model": trap},
        "the file": trap,
    }[where]
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match=r"than tensors and plain values in place of weights: __builtin__\.exec"):
        load_weights(lively_model(), path)
    assert not (tmp_path / "ran").exists()


def test_classes_of_unknown_and_of_harmful_modules_are_not_imported(source, tmp_path, monkeypatch):
    """Importing a module runs its code, so that looking a class up would be enough."""
    module = types.ModuleType("harmful_module")
    module.Thing = type("Thing", (), {"__module__": "harmful_module"})
    monkeypatch.setitem(sys.modules, "harmful_module", module)
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": renamed(source, "pyslowfast"), "thing": module.Thing()}, path)
    monkeypatch.delitem(sys.modules, "harmful_module")
    (tmp_path / "harmful_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "harmful_module.Thing" in str(load_weights(lively_model(), path))
    assert "harmful_module" not in sys.modules


def test_a_whole_model_is_refused_by_its_class(tmp_path):
    torch.save(lively_model(), tmp_path / "model.pth")
    with pytest.raises(WeightsError, match=r"place of weights: ava_detect\.models\.action_detector\.ActionDetector\)"):
        load_weights(lively_model(), tmp_path / "model.pth")


def test_a_deepspeed_file_of_half_precision_loads(source, tmp_path):
    """The layout of ``mp_rank_00_model_states.pt`` (DeepSpeed, ``runtime/engine.py``, ``_save_checkpoint``)."""
    half = OrderedDict((n, t.half() if t.is_floating_point() else t) for n, t in renamed(source, "pyslowfast").items())
    content = {
        "module": half,
        "buffer_names": ["s1.pathway0_stem.bn.running_mean"],
        "optimizer": {"optimizer_state_dict": {"state": {0: {"exp_avg": torch.ones(3)}}}, "loss_scaler": Colour.RED},
        "param_shapes": [OrderedDict((name, tensor.shape) for name, tensor in half.items())],
        "lr_scheduler": None,
        "sparse_tensor_module_names": set(),
        "skipped_steps": 0,
        "global_steps": 700,
        "dp_world_size": 8,
        "mp_world_size": 1,
        "ds_config": {"fp16": {"enabled": True}},
        "ds_version": "0.8.0",
        "epoch": 29,
        "model_ema": {"a": torch.ones(1)},
    }
    torch.save(content, tmp_path / "mp_rank_00_model_states.pt")
    model = lively_model()
    report = load_weights(model, tmp_path / "mp_rank_00_model_states.pt")
    assert "float16 numbers were converted to float32" in str(report)
    assert all(torch.equal(p.half(), q.half()) for p, q in zip(model.parameters(), source.parameters(), strict=True))


@pytest.mark.parametrize("is_zip", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_beside_objects_load(source, tmp_path, dtype, is_zip):
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in renamed(source, "pyslowfast").items()}
    content = {"model": state, "args": argparse.Namespace(a=1)}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=is_zip)
    model = lively_model()
    load_weights(model, tmp_path / "w.pth")
    assert all(
        torch.equal(p.to(dtype), q.to(dtype)) for p, q in zip(model.parameters(), source.parameters(), strict=True)
    )


@pytest.mark.parametrize("is_zip", FORMATS)
def test_parameters_views_and_transposed_tensors_keep_their_numbers(tmp_path, is_zip):
    base = torch.arange(24.0).reshape(4, 6)
    parameter = torch.nn.Parameter(base.clone())
    parameter.note = Colour.RED  # which torch writes beside the tensor
    state = {
        "head.projection.weight": parameter,
        "view": base[1:3, 2:],
        "transposed": base.t(),
        "expanded": base[:1].expand(1, 6),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False, True]),
        "small": torch.tensor([1.5, -2.0]).to(torch.float8_e4m3fn),
        "unsigned": torch.tensor([40000], dtype=torch.uint16),
    }
    torch.save({"model": state}, tmp_path / "w.pth", _use_new_zipfile_serialization=is_zip)
    tensors = read_weights_file(tmp_path / "w.pth").tensors
    assert list(tensors) == list(state)
    for name, tensor in state.items():
        assert tensors[name].dtype == tensor.dtype and tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name].double(), tensor.detach().double())


def test_a_file_of_a_big_endian_machine_loads(source, tmp_path):
    """Its parts also start at positions that are no multiples of the numbers' sizes, as ``torch.save`` never does."""
    state = renamed(source, "pyslowfast")
    swapped = {name: torch.from_numpy(tensor.numpy().byteswap()) for name, tensor in state.items()}
    torch.save({"model": swapped}, tmp_path / "little.pth")
    with zipfile.ZipFile(tmp_path / "little.pth") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert parts["little/byteorder"] == b"little"
    with zipfile.ZipFile(tmp_path / "big.pth", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, b"big" if name.endswith("byteorder") else data)
    model = lively_model()
    load_weights(model, tmp_path / "big.pth")
    assert same_state(model, source)


def test_objects_that_contain_themselves_are_skipped(source, tmp_path):
    loop: list = []
    loop.append((loop,))
    torch.save({"model": renamed(source, "pyslowfast"), "loop": loop}, tmp_path / "w.pth")
    assert load_weights(lively_model(), tmp_path / "w.pth").complete
