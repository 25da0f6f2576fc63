"""mypy, strict on the package; as a test it runs beside the others, for it takes one core for a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.skipif(Version(np.__version__) < Version("2.2"), reason="annotations are those of NumPy 2.2 and later")
def test_mypy_finds_nothing() -> None:
    pytest.importorskip("mypy", reason="mypy is not installed (the extra [dev])")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
