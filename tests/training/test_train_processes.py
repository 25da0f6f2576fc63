"""Two processes learn what one does, wherever their files are: torchrun, Accelerate's launcher, a real S3 interface."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from moto_server import SECRET, connect, s3_server
from safetensors.torch import load_file

from ava_detect.training import train

# At the first start the first process is killed while its checkpoint of step KILL_AT is put in place: the best network
# of then is there already, and the checkpoint to go on from is the one before.
SCRIPT = """
import json, os, signal, sys
import torch
from ava_detect.config import Config
from ava_detect.storage.object_store import Store
from ava_detect.training import loop

def put_file(self, path, name, put_file=Store.put_file):
    first_start = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if name == "last.pt" and first_start and torch.load(path)["step"] == int(os.environ.get("KILL_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    put_file(self, path, name)

def restore(self, state, restore=loop._Training._restore):
    print("resumes from step", state["step"], file=sys.stderr, flush=True)
    restore(self, state)

Store.put_file, loop._Training._restore = put_file, restore
torch.set_num_threads(1)
config = Config.model_validate(json.load(open(sys.argv[1])))
loop.train(config, sys.argv[2], resume=True)
"""


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--num_processes=2"]
ACCELERATE += ["--main_process_port=0", "--mixed_precision=no", "--dynamo_backend=no"]


def launch(launcher: list[str], folder: Path, config, out: object, **environment: str) -> str:
    """Train ``config`` in two processes; what they said."""
    folder.mkdir()
    script, settings = folder / "script.py", folder / "config.json"
    script.write_text(SCRIPT)
    settings.write_text(json.dumps(config.model_dump(mode="json")))
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(script), str(settings), str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


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
def two(config, tmp_path_factory) -> Path:
    """What two undisturbed processes leave in a folder."""
    folder = tmp_path_factory.mktemp("two")
    said = launch(ACCELERATE, folder / "run", config, folder / "out")
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
def test_killed_and_resumed_from_a_bucket_is_as_if_nothing_had_happened(config, two, tmp_path, monkeypatch):
    now = tmp_path / "now"
    # Sockets lie below TMPDIR, and their names must be short.
    with tempfile.TemporaryDirectory(dir="/tmp") as short, s3_server() as url:
        scratch = Path(short)
        files = connect(monkeypatch, url)
        files.mkdir("models")
        settings = {"KILL_AT": "4", "TMPDIR": short, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        said = launch(TORCHRUN, tmp_path / "run", config, "s3://models/run", **settings)
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
