"""``doctor --speed``: the advice by hand, and the command with a small network."""

from __future__ import annotations

import json
import re

import pytest
from networks import small_config_file

from ava_detect.cli.doctor_speed import advice
from ava_detect.models.speed import FormSpeed

EAGER = FormSpeed("eager", "fp32", 3.0, 2, 0.0)
FUSED = FormSpeed("fused", "fp32", 1.5, 4, 1e-6)


@pytest.mark.parametrize(
    ("bf16", "words"),
    [
        (None, "The default is the fastest here; `--precision fast` is the same. .* annotates about 40 minutes"),
        (FormSpeed("fused", "bf16", 0.5, 9, 0.004), r"`--precision fast` \(bf16\) is 3.0 times .* about 120 minutes"),
        (FormSpeed("fused", "bf16", 1.45, 9, 0.004), "The default is the fastest here"),
        (FormSpeed("fused", "bf16", 0.5, 9, 0.3), "The default is the fastest here"),
    ],
)
def test_bf16_is_advised_where_it_is_faster_and_near(bf16, words):
    rows = [EAGER, FUSED, *([bf16] if bf16 else [])]
    assert re.search(words, advice(rows))


def test_the_command_measures_the_forms(run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr("ava_detect.cli.doctor_speed._SECONDS", 0.0)
    code, out, _ = run_cli("doctor", "--speed", "--config", small_config_file(tmp_path), "--json")
    rows = json.loads(out)
    assert code == 0
    assert (rows[0]["execution"], rows[0]["precision"], rows[0]["largest_difference"]) == ("eager", "fp32", 0.0)
    assert all(row["seconds_per_clip"] > 0 and row["num_clips"] == 1 for row in rows)
    assert all(row["largest_difference"] < 1e-4 for row in rows if row["precision"] == "fp32")


def test_a_config_is_for_the_measurement(run_cli):
    code, _, complaint = run_cli("doctor", "--config", "demo")
    assert code == 2 and "--config is for --speed" in complaint
