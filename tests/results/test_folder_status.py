"""``status`` and ``collect`` of ordinary folders: while a run works there, after a crash, and when all is done."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from people import detections

from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.writers import results_writer
from ava_detect.results.collect import collect_csv
from ava_detect.results.manifest import Manifest, VideoRecord, file_state, write_summary
from ava_detect.results.progress_note import PROGRESS_NOTE, ProgressNote, put_progress_note, read_progress_note
from ava_detect.results.status import results_status
from ava_detect.structures.labels import LabelMap

FORMATS = ("csv", "jsonl", "parquet")
PROBLEM = "c.mp4: it cannot be opened"


def note(state: str = "running", **changes: Any) -> ProgressNote:
    made = ProgressNote(state, time.time(), time.time(), videos=4, before=0, done=2, failed=1, problems=(PROBLEM,))  # type: ignore[arg-type]
    return replace(made, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two finished videos of a run that knows where in its movie each starts."""
    out = tmp_path / "out"
    out.mkdir()
    manifest = Manifest(out, {"start_seconds": 900.0, "min_score": 0.2}, resume=True)
    for name, score in (("b", 0.9), ("a", 0.1234567)):
        keyframes = [detections([(0.1, 0.2, 0.3, 0.8)], [{12: score, 80: 0.25}], video_id=name)]
        with results_writer(out, name, FORMATS, LabelMap.ava(), start_seconds=900.0) as write:
            for keyframe in keyframes:
                write(keyframe, keyframe.action_scores >= 0.2)
        outputs = tuple(f"{name}.{suffix}" for suffix in FORMATS)
        manifest.add(VideoRecord(name, f"/{name}.mp4", "damaged" if name == "a" else "done", outputs=outputs))
    return out


def test_while_a_run_works_there(folder: Path) -> None:
    put_progress_note(folder, note())
    found = results_status(folder)
    assert (found.num_done, found.num_damaged, found.num_failed, found.num_videos) == (2, 1, 1, 4)
    assert (found.problems, found.broken) == ((PROBLEM,), ())
    assert [run.state for run in found.runs] == ["running"]
    assert found.videos_per_minute > 0
    assert found.seconds_left is not None


@pytest.mark.parametrize("change", [{"updated": time.time() - 600}, {"process": 2**22 + 1}])
def test_after_a_crash_the_run_is_silent(folder: Path, change: dict[str, Any]) -> None:
    put_progress_note(folder, note(**change))
    (folder / "a.parquet").write_bytes(b"PAR1")
    (folder / "b.parquet").unlink()
    found = results_status(folder)
    assert [run.state for run in found.runs] == ["silent"]
    assert (found.num_done, found.num_broken) == (0, 2)
    assert found.broken[0].startswith(f"{folder / 'b.parquet'} is missing or cut; the same `annotate` command")


def test_when_all_is_done(folder: Path, run_cli) -> None:
    put_progress_note(folder, note())
    put_progress_note(folder, note("finished"))
    assert not (folder / PROGRESS_NOTE).exists()
    records = [{"video_id": name, "source": "", "status": "done"} for name in "ab"]
    records.append({"video_id": "c", "source": "c.mp4", "status": "failed", "message": PROBLEM})
    write_summary(folder, {"note": "", "videos": [complete(record) for record in records]})
    found = results_status(folder)
    assert (found.num_done, found.num_failed, found.num_videos) == (2, 1, 3)
    assert [run.state for run in found.runs] == ["finished"]
    code, out, err = run_cli("status", folder)
    assert (code, err) == (1, f"ava-detect: {PROBLEM}\n")
    assert out.startswith("2 of 3 videos done, 1 of them damaged, 1 failed\n")
    assert out.endswith(f"Look at the finished videos: ava-detect collect {folder} --out page\n")
    assert json.loads(run_cli("status", folder, "--json")[1])["num_videos"] == 3


def complete(record: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(VideoRecord(record["video_id"], record["source"], "done")))) | record


def test_an_interrupted_run_says_how_it_goes_on(folder: Path, run_cli) -> None:
    put_progress_note(folder, note("interrupted", failed=0, problems=()))
    code, out, _ = run_cli("status", folder)
    assert code == 0
    assert out.endswith("The same `annotate` command goes on from here.\n")


def test_files_without_a_record_are_counted(folder: Path) -> None:
    (folder / "manifest.jsonl").unlink()
    assert results_status(folder).num_done == 2
    with pytest.raises(FormatError, match="holds no results"):
        results_status(folder.parent)
    with pytest.raises(FormatError, match="there is no such file or folder"):
        results_status(folder / "nowhere")


def test_a_note_that_no_run_has_written_is_named(folder: Path) -> None:
    (folder / PROGRESS_NOTE).write_text("[]")
    with pytest.raises(FormatError, match=r"progress\.json is no progress of a run \(.*\); delete it"):
        results_status(folder)
    put_progress_note(folder, note())
    assert read_progress_note(folder) is not None


@pytest.mark.parametrize("formats", [FORMATS, ("csv",), ("jsonl",), ("parquet",)])
def test_one_csv_of_a_folder_has_the_rows_of_every_video(
    folder: Path, tmp_path: Path, formats: tuple[str, ...]
) -> None:
    expected = "".join((folder / f"{name}.csv").read_text() for name in ("b", "a"))
    for suffix in set(FORMATS) - set(formats):
        for name in "ab":
            (folder / f"{name}.{suffix}").unlink()
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    for entry in kept[1:]:
        entry["outputs"] = [name for name in entry["outputs"] if name.rpartition(".")[2] in formats]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in kept))
    count = collect_csv(folder, tmp_path / "all.csv")
    assert (count.videos, count.rows) == (2, 3)
    assert (tmp_path / "all.csv").read_text() == expected
    assert collect_csv(folder, tmp_path / "one.csv", only=["a"]).rows == 1
    with pytest.raises(ConfigError, match="holds no video called z"):
        collect_csv(folder, tmp_path / "none.csv", only=["a", "z"])
    assert not (tmp_path / "none.csv").exists()
    assert file_state(tmp_path / "all.csv")[0]
