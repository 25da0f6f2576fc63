from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.jsonl import read_jsonl, write_jsonl
from ava_detect.formats.parquet import parquet_writer, write_parquet
from ava_detect.formats.writers import parse_formats, results_writer
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

LABELS = LabelMap.ava()
THREE = LABELS.subset([12, 69, 17])


def keyframe(second: float = 1.0, **changes) -> ActionDetections:
    values = {
        "video_id": 'a "b", c',
        "timestamp_seconds": second,
        "boxes_fraction": np.array([[0, 0.1, 0.5, 1], [0.25, 0, 1, 0.7]], np.float32),
        "person_scores": np.array([0.9, 0.3], np.float32),
        "action_scores": np.array([[0.1, 0.7, 0.2], [0.5, 1e-6, 0.5]], np.float32),
        "action_ids": np.array(THREE.ids),
        "track_ids": np.array([4, 2]),
    }
    return ActionDetections(**{**values, **changes})


def no_people(second: float) -> ActionDetections:
    empty = ActionDetections.empty("v", second, 3)
    return ActionDetections("v", second, empty.boxes_fraction, empty.person_scores, empty.action_scores, THREE.ids)


def test_jsonl_by_hand(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [keyframe(), no_people(2.0)], THREE)
    first, second = (json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines())
    assert first == {
        "video_id": 'a "b", c',
        "timestamp_seconds": 1.0,
        "people": [
            {
                "track_id": 4,
                "box": [0.0, 0.1, 0.5, 1.0],
                "score": 0.9,
                "actions": [
                    {"id": 69, "name": "hand wave", "score": 0.7},
                    {"id": 17, "name": "carry/hold (an object)", "score": 0.2},
                    {"id": 12, "name": "stand", "score": 0.1},
                ],
            },
            {
                "track_id": 2,
                "box": [0.25, 0.0, 1.0, 0.7],
                "score": 0.3,
                "actions": [
                    {"id": 12, "name": "stand", "score": 0.5},
                    {"id": 17, "name": "carry/hold (an object)", "score": 0.5},
                    {"id": 69, "name": "hand wave", "score": 1e-6},
                ],
            },
        ],
    }
    assert second == {"video_id": "v", "timestamp_seconds": 2.0, "people": []}


@settings(deadline=None)
@given(st.lists(arrays(np.float32, (2, 3), elements=st.floats(0, 1, width=32)), max_size=4))
def test_jsonl_survives_writing_and_reading_to_the_bit(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    written = [keyframe(float(second), action_scores=matrix) for second, matrix in enumerate(scores)]
    write_jsonl(path, written, THREE)
    read = list(read_jsonl(path, THREE))
    assert len(read) == len(written)
    for a, b in zip(written, read, strict=True):
        assert (a.video_id, a.timestamp_seconds) == (b.video_id, b.timestamp_seconds)
        for name in ("boxes_fraction", "person_scores", "action_scores", "action_ids", "track_ids"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(
    "line", ['{"video_id": "a"}', "video,1,2", '{"video_id": "a", "timestamp_seconds": 1, "people": 5}']
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [keyframe()], THREE)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FormatError, match=r"a\.jsonl, line 2: not a keyframe as `ava-detect annotate` writes it"):
        list(read_jsonl(path, THREE))


def test_parquet_is_typed_and_named(tmp_path):
    write_parquet(tmp_path / "a.parquet", [keyframe(), no_people(2.0)], THREE)
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table.columns.tolist() == [
        "video_id",
        "timestamp_seconds",
        "track_id",
        "x1",
        "y1",
        "x2",
        "y2",
        "person_score",
        "action_id",
        "action_name",
        "action_kind",
        "action_score",
    ]
    assert len(table) == 6
    row = table[(table.track_id == 4) & (table.action_id == 69)].iloc[0]
    assert (row.action_name, row.action_kind, row.timestamp_seconds) == ("hand wave", "person", 1.0)
    assert (row.action_score, row.x2, row.person_score) == (np.float32(0.7), 0.5, np.float32(0.9))


def test_parquet_is_written_in_groups_and_says_its_note(tmp_path):
    path = tmp_path / "a.parquet"
    with parquet_writer(path, THREE, note="untrained") as write:
        for second in range(3000):
            write(keyframe(float(second)))
    file = pq.ParquetFile(path)
    assert file.metadata.num_rows == 18000
    assert file.num_row_groups > 1
    assert file.schema_arrow.metadata[b"ava_detect.note"] == b"untrained"
    assert file.read().column("timestamp_seconds").to_pylist()[::6] == list(range(3000))


def test_one_pass_fills_every_format_alike(tmp_path):
    with results_writer(
        tmp_path, "a.b", ("csv", "jsonl", "parquet"), THREE, start_seconds=900, note="untrained"
    ) as write:
        write(keyframe(), keyframe().action_scores >= 0.2)
        write(no_people(2.0))
        assert all(path.name.startswith(".unfinished-") for path in tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.csv", "a.b.jsonl", "a.b.parquet"]
    rows = read_ava_csv(tmp_path / "a.b.csv")
    # Scores of at least 0.2: two of the first person's, two of the second's; times of the movie.
    assert rows.action_ids.tolist() == [69, 17, 12, 17]
    assert set(rows.timestamps_seconds.tolist()) == {901.0}
    np.testing.assert_array_equal(rows.scores.astype(np.float32), np.array([0.7, 0.2, 0.5, 0.5], np.float32))
    lines = [json.loads(line) for line in (tmp_path / "a.b.jsonl").read_text().splitlines()]
    assert [line["timestamp_seconds"] for line in lines] == [1.0, 2.0]
    assert {line["note"] for line in lines} == {"untrained"}
    assert [len(person["actions"]) for person in lines[0]["people"]] == [2, 2]
    assert len(pd.read_parquet(tmp_path / "a.b.parquet")) == 4


def test_a_failure_leaves_no_file_of_any_format(tmp_path):
    with pytest.raises(RuntimeError), results_writer(tmp_path, "a", ("csv", "jsonl", "parquet"), THREE) as write:
        write(keyframe())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_formats_by_name():
    assert parse_formats(" jsonl,csv,jsonl") == ("jsonl", "csv")
    for wrong in ("xml", "csv,xml", ""):
        with pytest.raises(FormatError, match=r"unknown result format .*; give one or more of csv,jsonl,parquet"):
            parse_formats(wrong)
