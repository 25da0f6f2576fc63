from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ava_detect.errors import ConfigError, FormatError
from ava_detect.results.manifest import Manifest, Totals, VideoRecord, file_state
from ava_detect.storage.file_names import MANIFEST
from ava_detect.video.sources import LocalVideo

_NEW = {"source_fps", "source_seconds", "cuts_seconds"}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"video")
    return LocalVideo(path, "a")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.csv").touch()
    return folder


def record_of(source, status="done"):
    size, modified = file_state(source.path)
    return VideoRecord(
        "a", str(source.path.resolve()), status, outputs=("a.csv",), source_bytes=size, source_modified=modified
    )


def test_a_finished_video_is_known_to_the_next_run(source, out):
    Manifest(out, {"every": 1.0}, resume=True).add(record_of(source))
    assert Manifest(out, {"every": 1.0}, resume=True).finished(source) == record_of(source)


def test_what_is_known_of_the_source_is_kept_and_may_be_missing(source, out):
    """Manifests of earlier versions have no rate, length or cuts."""
    record = replace(record_of(source), source_fps=29.97, source_seconds=12.5, cuts_seconds=(1.5, 7.25))
    Manifest(out, {}, resume=True).add(record)
    assert Manifest(out, {}, resume=True).finished(source) == record
    head, line = (out / MANIFEST).read_text().splitlines()
    old = {name: value for name, value in json.loads(line).items() if name not in _NEW}
    (out / MANIFEST).write_text(f"{head}\n{json.dumps(old)}\n")
    assert Manifest(out, {}, resume=True).finished(source) == record_of(source)


def test_records_of_earlier_versions_have_boxes_under_the_name_of_people(source, out):
    """Their ``num_people`` is a number of boxes, and the number of people is unknown, also in the sums."""
    Manifest(out, {}, resume=True).add(replace(record_of(source), num_people=2, num_boxes=5))
    head, line = (out / MANIFEST).read_text().splitlines()
    old = json.loads(line) | {"num_people": 5}
    del old["num_boxes"]
    (out / MANIFEST).write_text(f"{head}\n{json.dumps(old)}\n")
    # Twice, because the run writes what it has read in the new form.
    for _ in range(2):
        record = Manifest(out, {}, resume=True).finished(source)
        assert record is not None
        assert (record.num_people, record.num_boxes) == (None, 5)
    totals = Totals()
    for one in (replace(record, num_people=3), record, replace(record, num_people=3)):
        totals.add(one)
    assert (totals.people, totals.boxes) == (None, 15)


@pytest.mark.parametrize("change", ["source changed", "output gone", "restart", "failed", "another file"])
def test_what_must_be_done_again(source, out, tmp_path, change):
    Manifest(out, {}, resume=True).add(record_of(source, "failed" if change == "failed" else "done"))
    if change == "source changed":
        source.path.write_bytes(b"another video")
    elif change == "output gone":
        (out / "a.csv").unlink()
    elif change == "another file":
        (tmp_path / "a.mp4").write_bytes(b"video")
        source = LocalVideo(tmp_path / "a.mp4", "a")
    assert Manifest(out, {}, resume=change != "restart").finished(source) is None


def test_a_line_that_was_cut_is_forgotten_and_the_rest_kept(source, out):
    run = Manifest(out, {}, resume=True)
    run.add(record_of(source))
    with (out / MANIFEST).open("a") as file:
        file.write('{"video_id": "b", "sou')
    again = Manifest(out, {}, resume=True)
    assert list(again.records) == ["a"]
    assert [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()][1]["video_id"] == "a"


def test_other_settings_are_refused_with_both_named(source, out):
    Manifest(out, {"every": 1.0, "draw": False}, resume=True)
    with pytest.raises(ConfigError, match=r"every was 1\.0, now 2\.0\); choose another `out`, or `resume=False`"):
        Manifest(out, {"every": 2.0, "draw": False}, resume=True)
    Manifest(out, {"every": 2.0, "draw": False}, resume=False)


def test_a_manifest_that_cannot_be_read_is_a_sentence(out):
    (out / MANIFEST).write_text("hello\n")
    with pytest.raises(
        FormatError, match=r"manifest\.jsonl, line 1, cannot be read .* `resume=False` does every video"
    ):
        Manifest(out, {}, resume=True)
