"""``tools/gpu_check.py`` on the CPU, with tiny sizes: its steps run, and its report says what they found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import gpu_check

    yield gpu_check
    for name in ("gpu_check", "benchmark_forward", "measuring"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_every_step_runs(gpu_check, tmp_path, monkeypatch):
    # Compiling takes a minute of a C++ compiler's time.
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    assert gpu_check.main(["--device", "cpu", "--small", "--out", str(tmp_path / "report.md")]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "0 faults" in report and "Not reached" not in report
    for form in ("defined", "channels last", "compiled"):
        for batch in (1, 2):
            assert f"| demo | {form} | fp32 | {batch} |" in report
    (annotated,) = [line for line in report.splitlines() if line.startswith("| 1 |")]
    assert int(annotated.split("|")[3]) >= 2


def test_a_wrong_score_and_a_step_that_fails_are_faults(gpu_check, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "annotate", lambda *_: (_ for _ in ()).throw(RuntimeError("no such file")))
    monkeypatch.setattr(gpu_check, "ALLOWED", {"fp32": -1.0})
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    assert gpu_check.main(["--device", "cpu", "--small", "--out", str(tmp_path / "report.md")]) == 1
    report = (tmp_path / "report.md").read_text()
    assert "a score is off by" in report
    assert "From file to rows: RuntimeError: no such file" in report


def test_no_time_is_said(gpu_check, tmp_path):
    assert gpu_check.main(["--device", "cpu", "--small", "--minutes", "0", "--out", str(tmp_path / "report.md")]) == 0
    assert (tmp_path / "report.md").read_text().count("Not reached: 0 s were left.") == 4
