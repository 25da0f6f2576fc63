"""Two processes learn what one does, wherever their files are: torchrun, Accelerate's launcher, a real S3 interface."""

import os
import tempfile
from pathlib import Path

import pytest
import torch
from moto_server import SECRET, connect, s3_server
from safetensors.torch import load_file
from test_train import log_of
from warm_launches import ACCELERATE, TORCHRUN, WarmLaunches

from ava_detect.training import train


@pytest.fixture(scope="module")
def launches():
    launches = WarmLaunches()
    yield launches
    launches.close()


@pytest.fixture(scope="module")
def config(small_config, val_split):
    """Scenes of one to three people: a mean of the processes' means would be another loss."""
    return small_config(
        data={"val": val_split, "flip": 0.5, "num_workers": 0},
        train={
            "epochs": 3,
            # With most seeds some maximum over bins lies so near another that rounding decides where its gradient goes.
            "seed": 3,
            "learning_rate": 0.03,
            "sync_batchnorm": True,
            "ema_decay": 0.5,
            "clip_norm": 1.0,
        },
    )


@pytest.fixture(scope="module")
def two(config, launches, tmp_path_factory) -> Path:
    """What two undisturbed processes leave in a folder."""
    folder = tmp_path_factory.mktemp("two")
    said = launches.train(ACCELERATE, folder / "run", config, folder / "out")
    assert "goes on" not in said
    return folder / "out"


def test_two_processes_give_the_weights_of_one(config, two, tmp_path):
    one = train(config, tmp_path / "out1")
    weights, weights_of_two = (load_file(folder / "model.safetensors") for folder in (Path(one.out), two))
    assert one.steps == 6
    # Six steps of float32 gradients that were summed in another order, and then the scores of these weights.
    for name, value in weights.items():
        torch.testing.assert_close(weights_of_two[name], value, rtol=0, atol=1e-5, msg=name)
    rows, rows_of_two = ((folder / "validation.csv").read_text().splitlines() for folder in (Path(one.out), two))
    assert len(rows) == 4
    for row, row_of_two in zip(rows[1:], rows_of_two[1:], strict=True):
        pairs = zip(row.split(","), row_of_two.split(","), strict=True)
        assert all(float(b) == pytest.approx(float(a), abs=1e-4, nan_ok=True) for a, b in pairs)


@pytest.mark.slow
def test_killed_and_resumed_from_a_bucket_is_as_if_nothing_had_happened(config, two, launches, tmp_path, monkeypatch):
    now = tmp_path / "now"
    # Sockets lie below TMPDIR, and their names must be short.
    with tempfile.TemporaryDirectory(dir="/tmp") as short, s3_server() as url:
        scratch = Path(short)
        files = connect(monkeypatch, url)
        files.mkdir("models")
        settings = {"KILL_AT": "4", "TMPDIR": short, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        said = launches.train(TORCHRUN, tmp_path / "run", config, "s3://models/run", **{**os.environ, **settings})
        files.get("models/run", str(now), recursive=True)
        assert not list(scratch.glob("*ava-detect*"))
    # Both processes, from what the bucket holds: what they had on this machine is gone.
    # Two write at once: one's words may stand inside the other's line.
    assert said.count("resumes from step") == 2
    assert SECRET not in said
    sets = ["best.pt", "last.pt", "log.csv", "model.safetensors", "tensorboard", "validation.csv"]
    assert sorted(path.name for path in now.iterdir()) == sets
    assert (now / "validation.csv").read_text() == (two / "validation.csv").read_text()
    weights, undisturbed = load_file(now / "model.safetensors"), load_file(two / "model.safetensors")
    assert weights.keys() == undisturbed.keys()
    assert all(torch.equal(weights[name], undisturbed[name]) for name in weights)
    assert torch.load(now / "last.pt")["step"] == 6


def test_two_processes_train_a_vit_as_one_does(vit_config, launches, tmp_path):
    # Processes drop other paths, so that here none is dropped.
    config = vit_config(drop_path=0.0, ema_decay=0.5, eval_every=0, data={"num_workers": 0})
    train(config, tmp_path / "one")
    launches.train(ACCELERATE, tmp_path / "run", config, tmp_path / "two")
    rows, rows_of_two = (log_of(tmp_path / name, ["loss", "grad_norm"]) for name in ("one", "two"))
    for (loss, grad_norm), (loss_of_two, grad_norm_of_two) in zip(rows, rows_of_two, strict=True):
        # Float32 gradients that were summed in another order. AdamW divides them by their size, so that the noise of
        # small ones grows with each step.
        assert float(loss_of_two) == pytest.approx(float(loss), rel=1e-4)
        assert float(grad_norm_of_two) == pytest.approx(float(grad_norm), rel=1e-3)
    weights, weights_of_two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in weights.items():
        torch.testing.assert_close(weights_of_two[name], value, rtol=0, atol=1e-3, msg=name)
