"""Two processes learn what one does: torchrun, gloo, real videos."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ava_detect.training import train

SCRIPT = """
import json, sys
import torch
from ava_detect.config import Config
from ava_detect.training import train

torch.set_num_threads(1)
config = Config.model_validate(json.load(open(sys.argv[1])))
train(config, sys.argv[2])
"""


def torchrun(folder: Path, config, num_processes: int) -> Path:
    """Train ``config`` in so many processes; the folder of results."""
    script, settings, out = folder / "script.py", folder / "config.json", folder / f"out{num_processes}"
    script.write_text(SCRIPT)
    settings.write_text(json.dumps(config.model_dump(mode="json")))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    done = subprocess.run([*launcher, str(script), str(settings), str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return out


def test_two_processes_give_the_weights_of_one(small_config, val_split, tmp_path):
    # Scenes of one to three people: a mean of the processes' means would be another loss.
    config = small_config(
        data={"val": val_split, "flip": 0.5},
        train={
            "epochs": 3,
            "learning_rate": 0.03,
            "sync_batchnorm": True,
            "ema_decay": 0.5,
            "clip_norm": 1.0,
        },
    )
    one = train(config, tmp_path / "out1")
    two = torchrun(tmp_path, config, 2)
    weights, weights_of_two = (load_file(folder / "model.safetensors") for folder in (Path(one.out), two))
    assert one.steps == 6
    for name, value in weights.items():
        torch.testing.assert_close(weights_of_two[name], value, rtol=0, atol=1e-5, msg=name)
    rows, rows_of_two = ((folder / "validation.csv").read_text().splitlines() for folder in (Path(one.out), two))
    assert len(rows) == 4
    for row, row_of_two in zip(rows[1:], rows_of_two[1:], strict=True):
        pairs = zip(row.split(","), row_of_two.split(","), strict=True)
        assert all(float(b) == pytest.approx(float(a), abs=1e-4, nan_ok=True) for a, b in pairs)
