"""Files among the rows of a dataset that are cut, or no rows at all: not done, named, and no traceback."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from people import detections

from ava_detect.cli.app import main
from ava_detect.errors import FormatError
from ava_detect.formats.parquet import add_metadata, write_parquet
from ava_detect.results.collect import collect_csv
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset
from ava_detect.results.manifest import Manifest, VideoRecord, file_state
from ava_detect.results.status import results_status
from ava_detect.storage.addresses import address_of
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import LocalVideo, SourceVideo

SOURCES = [SourceVideo(Path(f"/{name}.mp4"), name) for name in ("a", "b")]


@pytest.fixture
def dataset(tmp_path: Path) -> ResultsDataset:
    """Two finished videos."""
    results = ResultsDataset.begin(address_of(tmp_path / "out"), {"every": 1.0}, {}, resume=True)
    for source in SOURCES:
        path = tmp_path / "rows.parquet"
        keyframe = detections([(0.1, 0.2, 0.3, 0.8)], [{12: 0.9}], video_id=source.video_id)
        write_parquet(path, [keyframe], LabelMap.ava())
        record = VideoRecord(source.video_id, source.location, "done")
        add_metadata(path, {RECORD_KEY: json.dumps(asdict(record)), START_SECONDS_KEY: "0.0"})
        results.put_video(source, {"parquet": path}, record)
    return results


def rows_of(tmp_path: Path, name: str) -> Path:
    (path,) = (tmp_path / "out" / "rows").glob(f"*/{name}-*.parquet")
    return path


@pytest.mark.parametrize("content", ["empty", "cut", "head", "foreign", "no footer"])
def test_rows_that_are_cut_or_foreign_are_not_done(dataset: ResultsDataset, tmp_path: Path, content: str) -> None:
    path = rows_of(tmp_path, "a")
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-9],
            "head": whole[: len(whole) // 2],
            "foreign": b"video_id,timestamp\n" * 50,
            "no footer": b"PAR1" + b"x" * 50 + (10**6).to_bytes(4, "little") + b"PAR1",
        }[content]
    )
    status = results_status(tmp_path / "out")
    assert (status.num_done, status.num_broken) == (1, 1)
    assert status.broken[0].startswith(f"{path} is not the rows of a video (it is cut")
    done, todo = (dataset.finished().stored_at(dataset.key(source)) is not None for source in reversed(SOURCES))
    assert (done, todo) == (True, False), "the next run does it again"
    assert [dataset.has_video(source) for source in SOURCES] == [False, True]
    with pytest.raises(FormatError, match=r"a-[0-9a-f]+\.parquet is not the rows .*; delete it and annotate again"):
        collect_csv(tmp_path / "out", tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()


@pytest.mark.parametrize("name", ["notes.parquet", "a-xyz.parquet", f"a-{'g' * 20}.parquet", f"a-{'0' * 20}.parquet"])
def test_a_file_that_is_named_otherwise_is_no_video(dataset: ResultsDataset, tmp_path: Path, name: str) -> None:
    path = rows_of(tmp_path, "a")
    path.with_name(name).write_bytes(path.read_bytes())
    status = results_status(tmp_path / "out")
    assert (status.num_done, status.num_broken, len(dataset.finished())) == (2, 1, 2)
    assert name in status.broken[0] and "its name is not that of a video's rows" in status.broken[0]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({RECORD_KEY: "[1]"}, "no record of its video: the record of a video holds"),
        ({RECORD_KEY: "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, "no record of its video"),
        ({START_SECONDS_KEY: "nan"}, "no record of its video: the start in the movie is a number"),
        ({START_SECONDS_KEY: "soon"}, "no record of its video"),
    ],
)
def test_rows_whose_record_was_edited_are_named(
    dataset: ResultsDataset, tmp_path: Path, metadata: dict[str, str], message: str
) -> None:
    add_metadata(rows_of(tmp_path, "b"), metadata)
    with pytest.raises(FormatError, match=rf"b-[0-9a-f]+\.parquet is not the rows of a video \({message}"):
        collect_csv(tmp_path / "out", tmp_path / "all.csv")


def test_the_command_names_them_and_ends_with_one(
    dataset: ResultsDataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows_of(tmp_path, "a").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        main(["status", str(tmp_path / "out")])
    out, err = capfd.readouterr()
    assert ended.value.code == 1 and out.startswith("1 video done")
    assert "is not the rows of a video (it is cut); delete it and annotate again" in err


def test_a_cut_output_is_done_again(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    write_parquet(tmp_path / "a.parquet", [detections([(0.1, 0.2, 0.3, 0.8)], [{12: 0.9}])], LabelMap.ava())
    size, modified = file_state(video)
    outputs = ("a.parquet",)
    record = VideoRecord(
        "a", str(video.resolve()), "done", outputs=outputs, source_bytes=size, source_modified=modified
    )
    Manifest(tmp_path, {}, resume=True).add(record)
    assert Manifest(tmp_path, {}, resume=True).finished(LocalVideo(video, "a")) == record
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-1])
    assert Manifest(tmp_path, {}, resume=True).finished(LocalVideo(video, "a")) is None
