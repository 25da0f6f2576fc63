from __future__ import annotations

import numpy as np
import pytest

from ava_detect.annotation.demo import DEMO_SECONDS, count_found, run_demo
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
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
    assert len(read_ava_csv(result.results / record.outputs[0])) == 20 * record.num_boxes
    assert sum(1 for _ in VideoReader(result.results / record.outputs[-1]).decode()) == DEMO_SECONDS * 30
    truth = read_ava_csv(result.world / "ground_truth.csv", last_column="person_id")
    assert sorted(set(truth.timestamps_seconds.tolist())) == list(range(int(DEMO_SECONDS)))


def test_a_second_box_on_a_person_is_no_second_person(tmp_path):
    """One person on the keyframe, two boxes on them and one beside: one is found, and two are left over."""
    person, beside = [0.1, 0.1, 0.3, 0.9], [0.6, 0.1, 0.8, 0.9]
    boxes = np.array([person, [0.1, 0.1, 0.3, 0.8], beside], np.float32)
    keyframe = ActionDetections("movie", 1.0, boxes, np.ones(3, np.float32), np.zeros((3, 80), np.float32))
    write_jsonl(tmp_path / "movie.jsonl", [keyframe], LabelMap.ava())
    # The person stands and waves: two rows.
    rows = "".join(f"movie,0001,0.1,0.1,0.3,0.9,{action_id},0\n" for action_id in (12, 69))
    (tmp_path / "truth.csv").write_text(rows)
    truth = read_ava_csv(tmp_path / "truth.csv", last_column="person_id")
    assert count_found(truth, tmp_path) == (1, 1, 2)
