"""Every piece of code in docs/evaluation.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.structures import ActionDetections

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyframe = ActionDetections("v", 2, [[0, 0, 0.5, 1]], [1], np.full((1, 80), 0.5))  # type: ignore[arg-type]
    detections = AvaTable.from_detections([keyframe], start_seconds=900)
    truth = AvaTable.from_columns(["v", "w"], [902, 903], [[0, 0, 0.5, 1]] * 2, [12, 80], person_ids=[1, 2])
    monkeypatch.chdir(tmp_path)
    for name in ("ava_val_v2.2.csv", "gt.csv"):
        write_ava_table(name, truth)
    for name in ("detections.csv", "before.csv", "after.csv"):
        write_ava_table(name, detections)
    Path("ava_val_excluded_timestamps_v2.2.csv").write_text("v,1000\n")
    names = {"table": truth, "ground_truth": truth, "keyframes": [keyframe], "proposals": detections}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, dict(names))
