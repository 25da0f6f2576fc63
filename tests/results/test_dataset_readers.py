"""A dataset of results as others read it: pandas, pyarrow, DuckDB and Spark, each as it lies."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from ava_detect.formats.parquet import add_metadata, write_parquet
from ava_detect.results import collect
from ava_detect.results.collect import collect_csv
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.addresses import address_of
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import SourceVideo

# With these settings their keys begin with 15, 31, 69, 43, 09 and 28: read as numbers, the partition 09 would be 9.
SETTINGS = 2679
VIDEO_IDS = ("2026-01-01", "007", "nan", "1e5", 'été, "quoted"', "nobody")
COLUMNS = "video_id timestamp_seconds track_id x1 y1 x2 y2 person_score action_id action_name action_kind action_score"


def keyframe(video_id: str, second: float, num_people: int) -> ActionDetections:
    boxes = np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (num_people, 1))
    scores = np.full((num_people, 2), [0.5, 0.25], np.float32)
    return ActionDetections(video_id, second, boxes, np.ones(num_people, np.float32), scores, np.array([1, 80]))


def put_video(results: ResultsDataset, video_id: str, keyframes: list[ActionDetections], scratch: Path) -> None:
    """A video's rows, as a worker puts them there."""
    path = scratch / "rows.parquet"
    write_parquet(path, keyframes, LabelMap.ava())
    record = VideoRecord(video_id, f"/{video_id}.mp4", "done")
    add_metadata(path, {RECORD_KEY: json.dumps(asdict(record)), START_SECONDS_KEY: "0.0"})
    results.put_video(SourceVideo(Path(f"/{video_id}.mp4"), video_id), {"parquet": path}, record)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Six videos, one of them without rows, in partitions whose names are all digits but for their first letter."""
    out, scratch = tmp_path_factory.mktemp("dataset"), tmp_path_factory.mktemp("scratch")
    results = ResultsDataset.begin(address_of(out), {"settings": SETTINGS}, {}, resume=True)
    for number, video_id in enumerate(VIDEO_IDS):
        people = [] if video_id == "nobody" else [keyframe(video_id, second, number + 1) for second in (0.0, 1.5)]
        put_video(results, video_id, people, scratch)
    shards = sorted(path.name for path in (out / "rows").iterdir())
    assert all(shard.removeprefix("shard=k").isdigit() for shard in shards)
    assert "shard=k0" in shards[0]
    return out


EXPECTED = {video_id: 4 * (number + 1) for number, video_id in enumerate(VIDEO_IDS) if video_id != "nobody"}


def test_every_file_has_the_same_schema(dataset):
    schemas = [pq.read_schema(path) for path in dataset.rglob("*.parquet")]
    assert len(schemas) == len(VIDEO_IDS)
    assert all(schema.equals(schemas[0], check_metadata=False) for schema in schemas)
    assert " ".join(schemas[0].names) == COLUMNS


def test_pandas_and_pyarrow_read_it_as_it_lies(dataset):
    table = pd.read_parquet(dataset / "rows")
    assert table.groupby("video_id", observed=True).size().to_dict() == EXPECTED
    assert set(map(str, table["shard"].unique())) < {path.name.partition("=")[2] for path in dataset.glob("rows/*")}
    found = pyarrow.dataset.dataset(dataset / "rows", partitioning="hive")
    assert found.count_rows() == sum(EXPECTED.values())
    assert str(found.schema.field("shard").type) == "string"


def test_duckdb_reads_it_as_it_lies(dataset):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (the extra [test])")
    rows = f"read_parquet('{dataset}/rows/**/*.parquet')"
    counts = duckdb.sql(f"SELECT video_id, count(*) FROM {rows} GROUP BY video_id").fetchall()
    assert dict(counts) == EXPECTED
    described = duckdb.sql(f"DESCRIBE SELECT * FROM {rows}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    assert " ".join(types) == f"{COLUMNS} shard"
    assert types["shard"] == types["video_id"] == types["action_name"] == "VARCHAR"
    assert (types["timestamp_seconds"], types["action_score"], types["action_id"]) == ("DOUBLE", "FLOAT", "INTEGER")
    shards = duckdb.sql(f"SELECT DISTINCT shard FROM {rows}").fetchall()
    assert {shard for (shard,) in shards} < {path.name.partition("=")[2] for path in dataset.glob("rows/*")}


@pytest.mark.slow
def test_spark_reads_it_as_it_lies(dataset, tmp_path):
    spark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    builder = spark_sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.warehouse.dir", str(tmp_path)).getOrCreate()
    try:
        table = spark.read.parquet(str(dataset / "rows"))
        types = dict(table.dtypes)
        assert " ".join(types) == f"{COLUMNS} shard"
        assert types["shard"] == types["video_id"] == types["action_name"] == "string"
        counts = table.groupBy("video_id").count().collect()
        assert {row["video_id"]: row["count"] for row in counts} == EXPECTED
    finally:
        spark.stop()


def test_collecting_reads_a_few_files_ahead_and_keeps_their_order(dataset, tmp_path, monkeypatch):
    begun: list[str] = []
    used: list[str] = []
    ahead: list[int] = []
    read_rows, iter_parquet = ResultsDataset.read_rows, collect.iter_parquet

    def read(self, one):
        begun.append(one.path)
        return read_rows(self, one)

    def use(content, **settings):
        used.append(content.schema_arrow.metadata[RECORD_KEY.encode()].decode())
        ahead.append(len(begun) - len(used))
        return iter_parquet(content, **settings)

    monkeypatch.setattr(ResultsDataset, "read_rows", read)
    monkeypatch.setattr(collect, "iter_parquet", use)
    monkeypatch.setattr(collect, "_READ_AHEAD", 3)
    collected = collect_csv(dataset, tmp_path / "all.csv")
    assert (collected.videos, collected.rows) == (len(VIDEO_IDS), sum(EXPECTED.values()))
    assert 0 < max(ahead) <= 3
    shards = {json.loads(record)["video_id"]: number for number, record in enumerate(used)}
    ordered = [shards[video_id] for video_id in (video_id_of(path) for path in sorted_paths(dataset))]
    assert ordered == sorted(ordered)
    first = (tmp_path / "all.csv").read_bytes()
    collect_csv(dataset, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == first


def sorted_paths(dataset: Path) -> list[Path]:
    return sorted(dataset.glob("rows/*/*.parquet"))


def video_id_of(path: Path) -> str:
    return json.loads(pq.read_schema(path).metadata[RECORD_KEY.encode()])["video_id"]
