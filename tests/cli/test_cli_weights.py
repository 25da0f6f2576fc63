"""``ava-detect weights`` and ``export``, through the same sub-app that the command mounts."""

from __future__ import annotations

import json

import pytest
import torch
import typer
from networks import lively_model, save_pyslowfast, small_config_file
from typer.testing import CliRunner

from ava_detect.cli import export, weights
from ava_detect.errors import AvaDetectError
from ava_detect.models.zoo_table import ZOO

NAME = "slowfast_r101_nl_32x2_ava22"


@pytest.fixture
def run(cache):
    app = typer.Typer()
    app.add_typer(weights.app)
    app.command()(export.export)

    def call(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments)))

    return call


@pytest.fixture
def checkpoint(tmp_path):
    return save_pyslowfast(lively_model(), tmp_path / "w.pyth")


def test_the_list_holds_every_name_and_figure(run, cache):
    shown = run("weights", "list").stdout
    for entry in ZOO.values():
        assert entry.name in shown
    line = next(line for line in shown.splitlines() if line.startswith(NAME + " "))
    assert line.split() == [NAME, "slowfast_r101_nl_32x2", "AVA", "2.2", "29.1", "frame-mAP"]
    assert "quoted" in shown
    cache.mkdir()
    (cache / f"{NAME}.pkl").touch()
    line = next(line for line in run("weights", "list").stdout.splitlines() if line.startswith(NAME + " "))
    assert line.rstrip().endswith("yes")
    assert [entry["name"] for entry in json.loads(run("weights", "list", "--json").stdout)] == list(ZOO)


def test_one_checkpoint_in_full(run, cache):
    shown = run("weights", "show", NAME).stdout
    assert "published   29.1 frame-mAP on AVA 2.2 (quoted: PySlowFast MODEL_ZOO.md)" in shown
    assert "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/ava/SLOWFAST_32x2_R101_50_50.pkl" in shown
    assert f"{cache / NAME}.pkl (not there yet)" in shown
    assert "Apache-2.0" in shown
    assert json.loads(run("weights", "show", NAME, "--json").stdout)["cached"] is None


def test_get_prints_the_path_and_only_that(run, cache, checkpoint):
    cache.mkdir()
    path = checkpoint.rename(cache / f"{NAME}.pkl")
    ended = run("weights", "get", NAME)
    assert ended.exit_code == 0, ended.exception
    assert ended.stdout == f"{path}\n"
    # A name can be given wherever a file can.
    assert str(path) in run("weights", "inspect", NAME).stdout


def test_an_unknown_name_is_an_error_for_people(run):
    ended = run("weights", "get", "slowfast")
    assert isinstance(ended.exception, AvaDetectError)
    assert "ava-detect weights list shows the names" in str(ended.exception)


def test_inspect_says_whose_it_is(run, checkpoint):
    shown = run("weights", "inspect", checkpoint).stdout
    assert "family     PySlowFast" in shown
    assert "80 rows" in shown


def test_there_and_back_is_bit_exact(run, checkpoint, tmp_path):
    ours, back = tmp_path / "a.safetensors", tmp_path / "b.pyth"
    assert run("weights", "convert", checkpoint, ours).exit_code == 0
    ended = run("weights", "convert", ours, back, "--to", "pyslowfast")
    assert ended.exit_code == 0, ended.exception
    assert "b.pyth (PySlowFast)" in ended.stdout
    before, after = (torch.load(path, weights_only=True)["model_state"] for path in (checkpoint, back))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_unknown_family_is_named(run, checkpoint, tmp_path):
    ended = run("weights", "convert", checkpoint, tmp_path / "x", "--to", "caffe")
    assert isinstance(ended.exception, AvaDetectError)
    assert "caffe2" in str(ended.exception)


def test_export_by_command(run, checkpoint, tmp_path):
    config = small_config_file(tmp_path)
    ended = run("export", tmp_path / "a.onnx", "--config", config, "--weights", checkpoint)
    assert ended.exit_code == 0, ended.exception
    assert "ONNX opset 17" in ended.stdout
    assert (tmp_path / "a.onnx").is_file()
