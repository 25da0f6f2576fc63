"""Fixtures that every room's tests share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from reference_cases import case_folders
from xdist.scheduler import LoadFileScheduling

# Processes that run beside each other (``pytest -n``) share the cores; more threads would wait for one another.
if (beside := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // beside)))

from ava_detect.cli import app as cli
from ava_detect.storage.cache import CACHE_VARIABLE

# A busy machine is no fault of the code; on CI the examples are the same every time.
settings.register_profile(
    "ava_detect",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("ava_detect")

ROOT = Path(__file__).resolve().parents[1]


# One cluster at a time (see ``ray_nodes``): as one work unit, these files make no process wait for another's cluster.
CLUSTER = "files on a Ray cluster"


def _work_unit(path: Path) -> str:
    return CLUSTER if "from ray_nodes import" in path.read_text(encoding="utf-8") else str(path)


class _WorkUnits(LoadFileScheduling):
    """``--dist loadfile`` in which the files on a Ray cluster are one work unit."""

    def _split_scope(self, nodeid: str) -> str:
        return _work_unit(ROOT / super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _WorkUnits:
    return _WorkUnits(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those on a Ray cluster first, then the files with slow tests, so that at the end no process works alone.

    Slow files are taken from both ends of the list by turns: the first ones, of annotation, wait most of their time,
    and the last ones compute.
    """
    slow = list(dict.fromkeys(item.path for item in items if item.get_closest_marker("slow")))
    turns = {path: min(number, len(slow) - number - 0.5) for number, path in enumerate(slow)}
    ranks = {
        path: (_work_unit(path) != CLUSTER, path not in turns, turns.get(path, 0))
        for path in {item.path for item in items}
    }
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real videos, reference cases and test-only detectors; they lie beside the project, not in it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the shared test material is not there ({folder})")
    return folder


@pytest.fixture(scope="session")
def parity_case(shared: Path):
    """Loads a reference case by name; its weights, clips and comparisons come from the shared tools."""
    tools = str(shared / "tools" / "parity")
    if tools not in sys.path:
        sys.path.insert(0, tools)
    import check

    return lambda name: check.Case(str(case_folders()[name]))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder for this test, not made yet."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text, or another value as JSON, into a file of this test, by default ``input``."""

    def write(content: object, name: str = "input") -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``gpu`` where there is no CUDA device, and ``bf16`` where the CPU would run fp32 instead."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
    if item.get_closest_marker("bf16"):
        from ava_detect.models.network_options import bf16_unit

        if not bf16_unit("cpu"):
            pytest.skip("this CPU has no bf16 arithmetic")


@pytest.fixture
def run_cli(monkeypatch, capsys):
    """Runs ``ava-detect ARGUMENTS`` in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ava-detect", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return call
