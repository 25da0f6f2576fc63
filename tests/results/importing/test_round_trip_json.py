"""Hand over to Label Studio, COCO and FiftyOne, change nothing, and import: the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from round_trip import REAL_VIDEOS, largest_difference, rows_of, write_real_results

from ava_detect.results.export.hand_over import hand_over
from ava_detect.results.importing.import_labels import import_labels
from ava_detect.results.saved import ReadOptions
from ava_detect.structures.labels import LabelMap
from ava_detect.video.reader import VideoReader

# Half of the last decimal of a corner in pixels: COCO's right side is the sum of two numbers that are rounded.
ROUNDING_PIXELS = {"label-studio": 0.0005, "coco": 0.001, "fiftyone": 0.0005}
# Half of the last decimals of percents, of fractions and of the csv, and of float32 in the results.
ROUNDING = 2e-6
EDITED = {"label-studio": "tasks.json", "coco": "instances.json", "fiftyone": "."}


@pytest.mark.parametrize("tool", ROUNDING_PIXELS)
@pytest.mark.parametrize("video", REAL_VIDEOS)
def test_what_was_not_changed_comes_back(shared: Path, tmp_path: Path, video: str, tool: str) -> None:
    _, every = REAL_VIDEOS[video]
    rows = write_real_results(tmp_path / "results", video)
    hand_over(tmp_path / "results", tool, tmp_path / "out", ReadOptions(shared / "videos"))
    summary = import_labels(
        tmp_path / "out" / EDITED[tool], tmp_path / "gt.csv", videos=shared / "videos", every_seconds=every
    )
    assert summary.sources == (tool,) and summary.new_actions == ()
    assert all("events" in what for what in summary.dropped)
    info = VideoReader(shared / "videos" / video).info
    side = min(info.unstretched_size if tool == "coco" else (info.width, info.height))
    assert largest_difference(rows_of(tmp_path / "gt.csv"), rows) <= ROUNDING_PIXELS[tool] / side + ROUNDING


def test_every_action_keeps_its_id(tmp_path: Path, shared: Path) -> None:
    """Names lose dots for FiftyOne and white space for Label Studio, and come back as AVA's all the same."""
    ava = LabelMap.ava()
    write_real_results(tmp_path / "results", "dc_video_90.mov")
    line = json.loads((tmp_path / "results" / "dc_video_90.jsonl").read_text().splitlines()[0])
    line["people"][0]["actions"] = [{"id": action.id, "name": action.name, "score": 0.9} for action in ava]
    (tmp_path / "results" / "dc_video_90.jsonl").write_text(json.dumps(line) + "\n")
    for tool, name in EDITED.items():
        hand_over(tmp_path / "results", tool, tmp_path / tool, ReadOptions(shared / "videos"))
        out = tmp_path / f"{tool}.csv"
        summary = import_labels(tmp_path / tool / name, out, videos=shared / "videos", overwrite=True)
        assert summary.new_actions == ()
        assert [row.action_id for row in rows_of(out) if row.person == 4] == list(ava.ids)
