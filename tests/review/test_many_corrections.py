"""Corrections made at random, as ``tools/benchmark_review.py`` makes a thousand: none is lost, page and log agree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

from benchmark_review import measure_corrections

COUNT = 12


def test_each_correction_is_one_event_and_the_log_says_what_the_page_shows(browser, tmp_path, capsys):
    assert measure_corrections(browser, tmp_path, COUNT, seed=1) == []
    assert f"events in the log: {COUNT}\n" in capsys.readouterr().out
