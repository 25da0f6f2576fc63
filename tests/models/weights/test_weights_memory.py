"""A large checkpoint is read within 1.2 times its size of extra memory, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run_python
from weights_files import write_caffe2

from ava_detect.config.build import build_model
from ava_detect.models.weights import convert

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"),
]
MEASURE = """
import sys
def status(key):
    return next(int(row.split()[1]) * 1024 for row in open("/proc/self/status") if row.startswith(key))
def start():
    open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
    return status("VmRSS")
"""
LOAD = """
import torch
from ava_detect.config.build import build_model
from ava_detect.models.weights import load_weights
torch.set_num_threads(2)
model = build_model("slowfast_r50_32x2")
for parameter in model.parameters():
    parameter.data += 1  # pages that are really there
before = start()
report = load_weights(model, sys.argv[1])
print(status("VmHWM") - before)
"""
LOOK = """
from ava_detect.models.weights import inspect_file
before = start()
assert inspect_file(sys.argv[1]).num_parameters == 60_000_000
print(status("VmHWM") - before)
"""


def extra_bytes(script: str, path: Path) -> int:
    """What the script needed at its peak beyond what it had before it opened the file."""
    extra = int(run_python(MEASURE + script, path).stdout)
    print(f"{extra / path.stat().st_size:.2f} of {path.stat().st_size:,} bytes")
    return extra


@pytest.mark.parametrize("kind", ["torch", "old torch", "pytorchvideo", "caffe2", "ours"])
def test_extra_memory_is_at_most_1_2_of_the_file(tmp_path, kind):
    path = tmp_path / "weights"
    state = build_model("slowfast_r50_32x2").state_dict()
    torch.save(state, tmp_path / "first")
    del state
    if kind == "ours":
        convert(tmp_path / "first", path, to="ava_detect")
    elif kind in ("caffe2", "pytorchvideo"):
        convert(tmp_path / "first", path, to=kind)
    else:
        convert(tmp_path / "first", path, to="pyslowfast")
    if kind == "old torch":
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    size = path.stat().st_size
    assert size > 130_000_000
    assert extra_bytes(LOAD, path) <= 1.2 * size


def test_a_file_of_240_mb_is_looked_into_without_reading_it(tmp_path):
    path = write_caffe2(
        tmp_path / "c2.pkl", {f"res2_{i}_branch2a_w": np.ones((1000, 1000), np.float32) for i in range(60)}
    )
    assert path.stat().st_size > 239_000_000
    assert extra_bytes(LOOK, path) <= 1.2 * path.stat().st_size
