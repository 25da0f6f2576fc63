"""Saved results of every kind, read back with one call as tables, dictionaries and pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from people import detections
from processes import WITHOUT_TORCH, run_python
from videos import constant_rate, write_numbered_video

from ava_detect import read_results
from ava_detect.errors import AvaDetectError, ConfigError, FormatError
from ava_detect.formats.parquet import add_metadata, write_parquet
from ava_detect.formats.writers import results_writer
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset
from ava_detect.results.manifest import Manifest, VideoRecord, write_summary
from ava_detect.storage.addresses import address_of
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.reader import VideoReader
from ava_detect.video.sources import SourceVideo

BOXES = [(0.1, 0.2, 0.3, 0.8), (0.5, 0.2, 0.75, 0.8)]
NOTE = "untrained: <b>these</b> scores mean nothing"
FORMATS = ("csv", "jsonl", "parquet")


def keyframes_of(video_id: str) -> list[ActionDetections]:
    """Two people at 0 s, nobody at 1 s, one person at 2 s."""
    people = {0.0: [{12: 0.9, 79: 0.25}, {48: 0.3, 12: 0.5}], 1.0: [], 2.0: [{1: 0.75}]}
    return [
        detections(BOXES[: len(a)], a, video_id=video_id, seconds=t, person_scores=0.5, track_ids=[1, 2][: len(a)])
        for t, a in people.items()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The output folder of a run over two videos, of which the second has nobody; only scores from 0.2 are listed."""
    folder = tmp_path_factory.mktemp("run")
    out = folder / "results"
    manifest = Manifest(out, {"start_seconds": 900.0, "config": {}}, resume=False)
    records = []
    for video_id in ("a", "empty"):
        video = write_numbered_video(folder / f"{video_id}.mp4", constant_rate(70, 30), width=160, height=96)
        found = keyframes_of(video_id) if video_id == "a" else [ActionDetections.empty(video_id, 0.0)]
        with results_writer(out, video_id, FORMATS, LabelMap.ava(), start_seconds=900, note=NOTE) as w:
            for keyframe in found:
                w(keyframe, keyframe.action_scores >= 0.2)
        record = VideoRecord(video_id, str(video), "done", outputs=tuple(f"{video_id}.{name}" for name in FORMATS))
        manifest.add(record)
        records.append(asdict(record))
    write_summary(out, {"note": NOTE, "videos": records})
    return out


@pytest.fixture(scope="module")
def dataset(folder, tmp_path_factory) -> Path:
    """The same results as a dataset."""
    out = tmp_path_factory.mktemp("dataset")
    results = ResultsDataset.begin(address_of(out), {"config": {}}, {"note": NOTE}, resume=True)
    for video_id in ("a", "empty"):
        source = folder.parent / f"{video_id}.mp4"
        record = VideoRecord(video_id, str(source), "done")
        path = tmp_path_factory.mktemp("rows") / "rows.parquet"
        path.write_bytes((folder / f"{video_id}.parquet").read_bytes())
        add_metadata(path, {RECORD_KEY: json.dumps(asdict(record)), START_SECONDS_KEY: "900.0"})
        results.put_video(SourceVideo(source, video_id), {"parquet": path}, record)
    return out


def upload(folder: Path, name: str) -> str:
    """A folder's files in a bucket of this process."""
    files = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            files.pipe_file(f"/{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"memory://{name}"


@pytest.fixture
def address(request, folder, dataset):
    name = request.node.name.replace("[", "-").strip("]")
    yield {"folder": upload(folder, f"{name}/run"), "dataset": upload(dataset, f"{name}/set")}
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


def assert_is_the_table(found: pd.DataFrame, folder: Path) -> None:
    expected = pd.read_parquet(folder / "a.parquet").astype(
        dict.fromkeys(("video_id", "action_name", "action_kind"), "str")
    )
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("kind", ["folder", "dataset", "a.jsonl", "a.parquet"])
def test_the_table_is_that_of_the_parquet_file(folder, dataset, kind):
    path = {"folder": folder, "dataset": dataset}.get(kind, folder / kind)
    results = read_results(path)
    assert_is_the_table(results.to_pandas(), folder)
    assert results.note in (NOTE, "")
    assert results["a"].note == NOTE
    assert [video.video_id for video in results] == list(results.video_ids)
    assert len(results) == len(results.video_ids)
    assert results[0].video_id == results[-len(results)].video_id


@pytest.mark.parametrize("kind", ["folder", "dataset", "a.jsonl", "a.parquet"])
def test_an_address_gives_the_same(folder, address, kind):
    where = address.get(kind, f"{address['folder']}/{kind}")
    assert_is_the_table(read_results(where).to_pandas(), folder)
    assert read_results(where)["a"].note == NOTE


def test_a_csv_counts_from_the_start_of_the_movie(folder, address):
    for path in (folder / "a.csv", f"{address['folder']}/a.csv"):
        video = read_results(path, start_seconds=900)["a"]
        assert [keyframe.timestamp_seconds for keyframe in video] == [0.0, 2.0]
        assert sorted(video.to_pandas()["action_score"]) == [0.25, np.float32(0.3), 0.5, 0.75, np.float32(0.9)]
    assert read_results(folder / "a.csv")["a"].at(0).timestamp_seconds == 900


def test_the_types_of_columns_do_not_depend_on_the_content(folder, tmp_path):
    (tmp_path / "none.csv").write_text("")
    nothing = read_results(tmp_path / "none.csv")
    full = read_results(folder)
    for wide in (False, True):
        table = full["a"].to_pandas(wide=wide)
        assert full["empty"].to_pandas().dtypes.equals(full["a"].to_pandas().dtypes)
        assert len(nothing.to_pandas(wide=wide)) == 0
        assert nothing.to_pandas(wide=wide).dtypes.equals(table.dtypes[: len(nothing.to_pandas(wide=wide).columns)])
    assert len(nothing) == 0
    assert full.to_pandas(min_score=1.0).dtypes.equals(full.to_pandas().dtypes)


def test_min_score_and_the_wide_form(folder):
    video = read_results(folder)["a"]
    assert video.to_pandas(min_score=0.5)["action_id"].tolist() == [12, 12, 1]
    wide = video.to_pandas(wide=True)
    assert len(wide) == video.num_boxes == 3
    assert video.num_people == 2
    assert wide["stand"].tolist()[:2] == [np.float32(0.9), np.float32(0.5)]
    assert np.isnan(wide["stand"][2])
    assert np.isnan(video.to_pandas(wide=True, min_score=0.6)["stand"][1])
    with pytest.raises(ConfigError, match="`min_score` is a score from 0 to 1, got 30"):
        video.to_pandas(min_score=30)


def test_dictionaries_are_the_lines_of_jsonl(folder):
    video = read_results(folder)["a"]
    lines = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    assert video.to_dict()["keyframes"] == lines
    assert [len(line["people"]) for line in lines] == [2, 0, 1]
    everything = read_results(folder).to_dict(min_score=0.8)
    assert json.loads(json.dumps(everything)) == everything
    assert [len(v["keyframes"]) for v in everything["videos"]] == [3, 1]
    assert [len(p["actions"]) for p in everything["videos"][0]["keyframes"][0]["people"]] == [1, 0]


def test_a_video_by_name_by_position_and_as_a_choice(folder, dataset):
    for path in (folder, dataset):
        results = read_results(path)
        assert (results["empty"].num_people, results["empty"].num_boxes) == (0, 0)
        with pytest.raises(KeyError, match=r"holds no video 'emty' \(did you mean 'empty'\?\)"):
            results["emty"]
        with pytest.raises(IndexError, match="holds 2 videos, there is no 2"):
            results[2]
        with pytest.raises(IndexError, match="there is no -3"):
            results[-3]
        chosen = results.only("empty")
        assert (len(chosen), chosen.video_ids, len(results)) == (1, ("empty",), 2)
        with pytest.raises(KeyError):
            chosen["a"]


def test_pictures_come_from_the_video(folder, dataset):
    for path in (folder, dataset):
        video = read_results(path)["a"]
        drawn = video[0].draw()
        assert drawn.shape == (96, 160, 3)
        plain = next(iter(VideoReader(folder.parent / "a.mp4"))).image
        assert (drawn != plain).any()
        frame = list(VideoReader(folder.parent / "a.mp4"))[45]
        assert (video.draw(frame) != frame.image).any()
        assert video.draw().shape[1] > 3 * 160
        np.testing.assert_array_equal(read_results(path).draw(frame), video.draw(frame))
        assert "data:image/jpeg;base64," in video._repr_html_()
        assert "data:image/jpeg;base64," in read_results(path)._repr_html_()


def test_html_shows_texts_as_texts(folder):
    html = read_results(folder)["a"]._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;these&lt;/b&gt;" in html


def test_without_the_video_there_is_a_table_and_the_reason(tmp_path, folder):
    copy = tmp_path / "a.jsonl"
    copy.write_bytes((folder / "a.jsonl").read_bytes())
    video = read_results(copy)["a"]
    assert "its video is not known" in video._repr_html_()
    assert "stand" in video[0]._repr_html_()
    with pytest.raises(AvaDetectError, match="`videos` of `read_results`"):
        video[0].draw()
    moved = read_results(copy, videos=folder.parent)["a"]
    np.testing.assert_array_equal(moved[0].draw(), read_results(folder)["a"][0].draw())


def test_representations_tell_names_and_sizes(folder):
    results = read_results(folder)
    assert repr(results) == f"ResultSet('{folder}', videos=2)"
    assert repr(results["a"]) == "VideoResult('a', keyframes=3, people=2, boxes=3, actions=4, seconds=0 to 2)"
    assert repr(results["a"][0]) == ("KeyframeResult('a', t=0s, people=2, boxes_fraction=[2, 4], action_scores=[2, 4])")
    assert repr(results["a"][1:]) == "VideoResult('a', keyframes=2, people=1, boxes=1, actions=4, seconds=1 to 2)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "there is no such file or folder"),
        ("memory://nowhere/at-all", "memory://nowhere/at-all: there are no results; check the address"),
        ("hello.csv", "line 1"),
    ],
)
def test_what_holds_no_results_is_named(tmp_path, name, message):
    (tmp_path / "hello.csv").write_text("hello\n")
    path = name if "://" in name else tmp_path / name
    with pytest.raises(FormatError, match=message):
        list(read_results(path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="holds no results"):
        read_results(tmp_path / "folder")


def test_an_error_in_a_file_at_an_address_names_the_address(folder):
    fsspec.filesystem("memory").pipe_file("/broken/a.jsonl", b'{"video_id": 1}\n')
    for where in ("memory://broken", "memory://broken/a.jsonl"):
        with pytest.raises(FormatError, match=r"^memory://broken/a\.jsonl, line 1"):
            list(read_results(where))
    fsspec.filesystem("memory").rm("/broken", recursive=True)


def test_rows_with_a_track_keep_large_numbers(tmp_path):
    keyframe = detections(BOXES, [{12: 0.9}, {1: 0.4}], track_ids=[2**62 + 1, 3])
    write_parquet(tmp_path / "a.parquet", [keyframe], LabelMap.ava())
    assert read_results(tmp_path / "a.parquet").to_pandas(min_score=0.1)["track_id"].tolist() == [3, 2**62 + 1]


def test_reading_needs_no_torch(folder):
    run_python(
        WITHOUT_TORCH
        + f"from ava_detect import read_results\nresults = read_results({str(folder)!r})\n"
        + "assert len(results.to_pandas()) == 5\nassert 'base64' in results._repr_html_()\n"
    )
