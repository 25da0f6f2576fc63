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
from ava_detect.models.zoo_table import ZOO, best_first

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


def line_of(shown, name):
    return next(line for line in shown.splitlines() if line.startswith(name + " "))


def test_the_list_holds_every_name_the_best_first_in_80_columns(run, cache):
    shown = run("weights", "list").stdout
    assert max(map(len, shown.splitlines())) <= 80
    names = [line.split()[0] for line in shown.splitlines() if line.split() and line.split()[0] in ZOO]
    entries = best_first()
    assert names == [
        *(entry.name for entry in entries if entry.is_detector and not entry.not_runnable),
        *(entry.name for entry in entries if not entry.is_detector),
        *(entry.name for entry in entries if entry.not_runnable),
    ]
    assert names[0] == "umt_vit_l_ava22"
    assert line_of(shown, NAME).split()[1:] == ["29.1", "2.2", str(ZOO[NAME].gflops), "59", "238", "?"]
    assert line_of(shown, "slowonly_r50_16x4_tricks_avak_mm").split()[1:3] == ["31.29", "2.2K"]
    assert line_of(shown, "lfb_nl_r50_4x16_ava21_mm").split(maxsplit=3)[1:] == [
        "24.11",
        "2.1",
        "needs a long-term feature bank",
    ]
    assert "quoted" in shown
    cache.mkdir()
    (cache / f"{NAME}.pkl").touch()
    assert line_of(run("weights", "list").stdout, NAME).endswith("  yes")


def test_the_list_as_json_has_every_entry_in_the_same_order(run):
    listed = json.loads(run("weights", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == [entry.name for entry in best_first()]
    entry = next(entry for entry in listed if entry["name"] == "videomae_vit_b_avak_mm")
    assert (entry["sha256"], entry["start_licence"], entry["commercial_use"]) == ("3dafab75", "CC-BY-NC-4.0", "no")
    assert {entry["not_runnable"] != "" for entry in listed if entry["config"] == ""} == {True}


def test_one_checkpoint_in_full(run, cache):
    shown = run("weights", "show", NAME).stdout
    assert "published   29.1 frame-mAP on AVA 2.2 (quoted: PySlowFast MODEL_ZOO.md, by PySlowFast's evaluator)" in shown
    assert "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/ava/SLOWFAST_32x2_R101_50_50.pkl" in shown
    assert "clip        32 frames, every 2 at 30 frames a second" in shown
    assert "licences    code Apache-2.0, weights none stated" in shown
    assert f"{cache / NAME}.pkl (not there yet)" in shown
    assert "default     for GPUs: " in shown
    assert json.loads(run("weights", "show", NAME, "--json").stdout)["cached"] is None


def test_what_is_special_about_a_checkpoint_is_shown(run, cache):
    shown = run("weights", "show", "umt_vit_b_ava22").stdout
    assert "note        the authors moved their files to huggingface.co/OpenGVLab/UMT" in shown
    assert "sha256      unpublished" in shown
    shown = run("weights", "show", "videomae_vit_b_avak_mm").stdout
    assert "sha256      begins with 3dafab75, says the file's name" in shown
    assert "trained on  AVA-Kinetics, after K400" in shown
    shown = run("weights", "show", "memvit_24_k700_ava22").stdout
    assert "config      none: not runnable here, a multiscale ViT with a memory" in shown
    assert "licences    code CC-BY-NC-4.0, weights CC-BY-NC-4.0; not for commercial use" in shown
    assert "\nfile" not in shown


def test_one_that_is_not_runnable_is_not_downloaded(run, cache):
    ended = run("weights", "get", "tuber_csn152_ava22")
    assert isinstance(ended.exception, AvaDetectError)
    assert "is not runnable here: a tubelet transformer on CSN" in str(ended.exception)
    assert not cache.exists()


def test_recommend_names_one_with_its_reason_and_command(run):
    ended = run("weights", "recommend", "--device", "cuda")
    first, second = ended.stdout.splitlines()
    assert first.startswith("umt_vit_l_ava22: 39.8 frame-mAP on AVA 2.2 (quoted; ")
    assert second == "ava-detect annotate VIDEO --weights umt_vit_l_ava22"
    free = run("weights", "recommend", "--device", "cuda", "--commercial").stdout
    assert free.startswith("slowonly_r50_16x4_tricks_avak_mm: 31.29 frame-mAP")
    found = json.loads(run("weights", "recommend", "--device", "cpu", "--commercial", "--json").stdout)
    assert (found["device"], found["commercial_use"]) == ("cpu", "yes")
    assert found["name"] in ZOO and found["reason"]


def test_recommend_without_a_device_takes_that_of_this_machine(run, monkeypatch):
    monkeypatch.setattr("ava_detect.models.network_options.resolve_device", lambda device: {"auto": "cuda"}[device])
    assert run("weights", "recommend").stdout.startswith("umt_vit_l_ava22: ")


def test_recommend_for_an_unknown_device_is_an_error_for_people(run):
    ended = run("weights", "recommend", "--device", "tpu")
    assert isinstance(ended.exception, AvaDetectError)
    assert str(ended.exception) == "`device` is auto, cpu or cuda, got 'tpu'"


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
