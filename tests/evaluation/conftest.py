"""The full-size validation set, where it and what its generator needs are there."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def full_folder(shared: Path) -> Path:
    return shared / "tools" / "full_val"


@pytest.fixture(scope="session")
def full_detections(full_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,943,227 rows, 353 MB; about 20 s to write."""
    if find_spec("polars") is None:
        pytest.skip("the generator of the full-size set needs polars (pip install polars)")
    path = tmp_path_factory.mktemp("full") / "detections.csv"
    subprocess.run([sys.executable, str(full_folder / "generate_detections.py"), str(path)], check=True)
    return path
