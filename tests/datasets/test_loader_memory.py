"""The workers of a loader share the annotations: what each has of its own does not grow with the data set."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="psutil comes with the extra [train]")
TOOLS = Path(__file__).resolve().parents[2] / "tools"

FEW, MANY = 3_000, 900_000
# A copy of the rows would be 15 bytes each in the form that the data set holds, and hundreds as Python's objects.
ALLOWED_MB = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """For the data sets of both start methods: they are the same."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process shares")
# The data set is pickled for a fork of the server as for "spawn", but PyTorch is loaded once for both workers.
@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_a_worker_has_no_copy_of_the_rows(start_method, folder, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import benchmark_training

    multiprocessing.set_forkserver_preload(["torch", "benchmark_training"])
    monkeypatch.setattr(benchmark_training, "LOADED_BY_WORKER", 16)
    worker_memory, write = benchmark_training.worker_memory, benchmark_training.write_many_rows

    def write_once(place: Path, num_rows: int) -> Path:
        return place / "train.csv" if place.exists() else write(place, num_rows)

    monkeypatch.setattr(benchmark_training, "write_many_rows", write_once)

    small, _ = worker_memory(folder / "few", FEW, start_method, workers=1)
    large, _ = worker_memory(folder / "many", MANY, start_method, workers=1)
    assert large - small < ALLOWED_MB
