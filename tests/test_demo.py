from __future__ import annotations

import pytest

from ava_detect.demo import DEMO_SECONDS, run_demo
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.video.reader import VideoReader


@pytest.mark.slow
def test_the_demo_finds_its_people_and_names_what_they_do(tmp_path):
    result = run_demo(tmp_path / "demo")
    assert result.summary.all_well
    assert "trained on rendered figures" in result.summary.note
    (record,) = result.summary.videos
    assert record.num_keyframes == DEMO_SECONDS
    assert result.num_people >= DEMO_SECONDS
    assert result.num_found >= 0.9 * result.num_people
    assert result.num_false <= 0.1 * result.num_people
    assert result.score.num_classes >= 8
    assert result.score.mAP >= 0.85
    assert [path.split(".", 1)[1] for path in record.outputs] == ["csv", "jsonl", "parquet", "annotated.mp4"]
    assert len(read_ava_csv(result.results / record.outputs[0])) == 20 * record.num_people
    assert sum(1 for _ in VideoReader(result.results / record.outputs[-1]).decode()) == DEMO_SECONDS * 30
    truth = read_ava_csv(result.world / "ground_truth.csv", last_column="person_id")
    assert sorted(set(truth.timestamps_seconds.tolist())) == list(range(int(DEMO_SECONDS)))
