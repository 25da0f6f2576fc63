"""Results as a dataset: every video once, whatever happens on the way; poison set aside; other settings refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from annotate_inputs import BOX, options, write_boxes, write_inputs
from annotate_inputs import settings as default_settings
from poison import plugin
from processes import run_python
from videos import constant_rate, write_numbered_video
from warm_runs import WarmRuns

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.engines.base import Limits
from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.results.collect import collect_csv
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.progress_note import ProgressNote
from ava_detect.results.status import results_status
from ava_detect.storage.addresses import Address
from ava_detect.visualization.page.collect_page import collect_page

pytestmark = pytest.mark.usefixtures("warm_workers")
SUPPORT = Path(__file__).resolve().parents[1] / "support"
SECONDS = {"one": 3.2, "deep/two": 1.0, "three": 2.5}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three short videos, people on each of their seconds, and a network that runs in milliseconds."""
    return write_inputs(tmp_path_factory.mktemp("dataset"), SECONDS)


def run(place, out, *sources, **settings):
    settings = {**default_settings(place), "workers": 1, **settings}
    return annotate_videos(list(sources) or [place / "videos"], f"file://{out}", **settings)


def objects(out: Path) -> dict[str, bytes]:
    """Every file but the notes of how a run went."""
    files = [path for path in out.rglob("*") if path.is_file() and "progress" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def rows(out: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(out / "rows").drop(columns="shard").sort_values(["video_id", "timestamp_seconds", "action_id"])
    )


@pytest.fixture(scope="module")
def done(place):
    """A dataset that nothing happened to."""
    summary = run(place, place / "done", formats=("csv", "jsonl"), draw=True)
    assert summary.all_well
    assert (summary.totals.done, summary.totals.keyframes, summary.totals.rows) == (3, 8, 640)
    return place / "done"


def test_a_folder_becomes_a_dataset_that_pandas_reads_as_it_lies(done):
    found = sorted(path.relative_to(done).parts[0] + path.suffix for path in done.rglob("*") if path.is_file())
    per_video = ["rows.parquet", "csv.csv", "jsonl.jsonl", "drawn.mp4"]
    assert found == sorted(["run.json.json", "progress.json", *(3 * per_video)])
    table = rows(done)
    assert len(table) == 640
    assert sorted(table["video_id"].unique()) == sorted(SECONDS)
    assert pq.read_schema(next(done.glob("rows/*/*.parquet"))).metadata[b"ava_detect.note"]


DRIVER = """
import sys
import pytest
from ava_detect.cli.app import main
from warm_workers import use_warm_workers
use_warm_workers(pytest.MonkeyPatch())
place, out = sys.argv[1:]
options = ["--config", f"{place}/small.yaml", "--weights", "random", "--boxes", f"{place}/boxes.csv", "--quiet"]
for command in (
    ["annotate", f"{place}/videos/one.mp4", "--out", f"file://{out}", "--workers", "1", *options],
    ["annotate", f"{place}/videos/one.mp4", "--out", f"{out}/folder", "--workers", "2", *options],
    ["status", out],
    ["collect", out, "--out", f"{out}/all.csv"],
):
    sys.argv = ["ava-detect", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
    print(command[0], "torch" in sys.modules)
"""


def test_starting_a_run_or_looking_at_it_loads_no_pytorch(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)
    printed = run_python(DRIVER, place, tmp_path / "out").stdout
    told = [line for line in printed.splitlines() if line.endswith(("True", "False"))]
    assert told == ["annotate False", "annotate False", "status False", "collect False"]
    assert len(rows(tmp_path / "out")) == 320
    assert (tmp_path / "out" / "all.csv").is_file()


def test_the_rows_are_those_of_a_folder(place, done, tmp_path):
    plain = default_settings(place)
    annotate_videos([place / "videos" / "one.mp4"], tmp_path / "out", formats=("parquet",), **plain)
    expected = pd.read_parquet(tmp_path / "out" / "one.parquet")
    got = rows(done).query("video_id == 'one'").astype(expected.dtypes)
    order = ["timestamp_seconds", "action_id"]
    pd.testing.assert_frame_equal(got.reset_index(drop=True), expected.sort_values(order).reset_index(drop=True))


def test_a_second_run_does_nothing_and_a_changed_video_again(place, done, tmp_path):
    before = {path: path.stat().st_ino for path in done.glob("rows/*/*.parquet")}
    again = run(place, done, formats=("csv", "jsonl"), draw=True)
    assert again.all_well
    assert (again.totals.done, again.num_before) == (0, 3)
    assert {path: path.stat().st_ino for path in done.glob("rows/*/*.parquet")} == before
    later = (place / "done" / "run.json").stat().st_mtime + 1000
    os.utime(place / "videos" / "three.mp4", (later, later))
    third = run(place, done, formats=("csv", "jsonl"), draw=True)
    os.utime(place / "videos" / "three.mp4")
    assert (third.totals.done, third.num_before) == (1, 2)
    changed = {path.name for path, inode in before.items() if path.stat().st_ino != inode}
    assert [name.partition("-")[0] for name in changed] == ["three"]


def test_other_settings_are_refused_with_both_named_and_restart_forgets_them(place, done, tmp_path):
    kept = objects(done)
    with pytest.raises(ConfigError, match=r"made with other settings \(.*every_seconds was 1\.0, now 0\.5"):
        run(place, done, every_seconds=0.5)
    assert objects(done) == kept
    run(
        place,
        tmp_path / "out",
        place / "videos" / "deep" / "two.mp4",
        place / "videos" / "one.mp4",
        boxes=None,
        detector="builtin",
    )
    (tmp_path / "out" / "mine.txt").write_text("not to be touched")
    summary = run(place, tmp_path / "out", place / "videos" / "one.mp4", resume=False)
    assert summary.totals.done == 1
    assert sorted(rows(tmp_path / "out")["video_id"].unique()) == ["one"]
    assert (tmp_path / "out" / "mine.txt").exists()


def test_bad_videos_are_set_aside_with_their_reasons_and_tried_again(place, tmp_path, shared):
    out = tmp_path / "out"
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "list.csv").write_text(
        f"video_id,uri\n../../../evil,{place}/videos/one.mp4\n/etc/passwd,{place}/videos/gone.mp4\nno\tname,x.mp4\n"
        f"empty,empty.mp4\nbroken,{shared}/videos/odd_truncfs.mp4\n"
    )
    write_boxes(tmp_path / "boxes.csv", [(name, 0, BOX) for name in ("../../../evil", "broken")])
    summary = run(place, out, tmp_path / "list.csv", boxes=tmp_path / "boxes.csv", formats=("csv",))
    assert not summary.all_well
    assert (summary.totals.done, summary.totals.damaged, summary.totals.failed) == (1, 1, 3)
    messages = " | ".join(record.message for record in summary.videos)
    assert "gone.mp4: there is no such file" in messages
    assert r"line 4: the video_id 'no\tname' holds control characters" in messages
    assert "empty.mp4 cannot be opened as a video" in messages
    assert "ends at 4.77 s of the 10.00 s" in messages
    assert sorted(p.name for p in tmp_path.iterdir()) == ["boxes.csv", "empty.mp4", "list.csv", "out"]
    assert sorted(rows(out)["video_id"].unique()) == ["../../../evil", "broken"]
    found = results_status(out)
    assert (found.num_done, found.num_damaged, found.num_failed, found.num_videos) == (2, 1, 3, 5)
    assert [run.state for run in found.runs] == ["finished"]
    assert any("gone.mp4: there is no such file" in problem for problem in found.problems)
    # A damaged video is not tried again but still reported; one that failed is.
    again = run(place, out, tmp_path / "list.csv", boxes=tmp_path / "boxes.csv", formats=("csv",))
    assert (again.totals.done, again.totals.damaged, again.totals.failed, again.num_before) == (0, 1, 3, 1)
    write_numbered_video(tmp_path / "empty.mp4", constant_rate(15, 30))
    write_boxes(tmp_path / "boxes.csv", [(name, 0, BOX) for name in ("../../../evil", "broken", "empty")])
    with pytest.raises(ConfigError, match="detector_sha256 was"):
        run(place, out, tmp_path / "list.csv", boxes=tmp_path / "boxes.csv", formats=("csv",))


@pytest.mark.slow
def test_poison_is_stopped_tried_elsewhere_and_set_aside(place, tmp_path, monkeypatch):
    """A reader that kills its process, and one that hangs, stand in for decoders that do."""
    videos = {"hangs": "one", "segfaults": "deep/two", "well": "three"}
    for name, original in videos.items():
        shutil.copy(place / "videos" / f"{original}.mp4", tmp_path / f"{name}.mp4")
    lines = [f"{original},{name}.mp4" for name, original in videos.items()]
    (tmp_path / "list.csv").write_text("\n".join(["video_id,uri", *lines]))
    monkeypatch.setenv("PYTHONPATH", str(plugin(tmp_path / "plugin")), prepend=os.pathsep)
    summary = run(place, tmp_path / "out", tmp_path / "list.csv", workers=2, limits=Limits(stall_seconds=4))
    assert (summary.totals.done, summary.totals.failed) == (1, 2)
    reasons = {record.video_id: record.message for record in summary.videos}
    assert reasons["one"].endswith("hangs.mp4: it hung: no heartbeat in 4 s (2 tries)")
    assert reasons["deep/two"].endswith("segfaults.mp4: the process that read it died (signal SIGSEGV) (2 tries)")
    assert sorted(rows(tmp_path / "out")["video_id"].unique()) == ["three"]
    monkeypatch.undo()
    healed = run(place, tmp_path / "out", tmp_path / "list.csv")
    assert (healed.totals.done, healed.totals.failed, healed.num_before) == (2, 0, 1)
    assert results_status(tmp_path / "out").num_failed == 0
    assert len(rows(tmp_path / "out")) == 640


def test_two_runs_at_once_end_with_the_objects_of_one(place, done, tmp_path, capfd):
    more = ("--workers", "1", "--format", "csv,jsonl", "--draw", "--quiet")
    call = ["annotate", str(place / "videos"), "--out", f"file://{tmp_path}/out", *options(place), *more]
    runs = WarmRuns()
    assert runs.start(call, call).wait() == 0
    runs.close()
    assert capfd.readouterr().err == ""
    assert objects(tmp_path / "out") == objects(done)


def test_collect_gives_the_csv_that_a_folder_has_and_the_page(place, done, tmp_path):
    counts = collect_csv(done, tmp_path / "all.csv.gz")
    assert (counts.videos, counts.rows) == (3, 640)
    collected, expected = read_ava_csv(tmp_path / "all.csv.gz"), read_ava_csv(next(done.glob("csv/*/one-*.csv")))
    ours = collected.only_videos(["one"])
    np.testing.assert_array_equal(ours.timestamps_seconds, expected.timestamps_seconds)
    np.testing.assert_array_equal(ours.boxes_fraction, expected.boxes_fraction)
    np.testing.assert_array_equal(ours.scores, expected.scores)
    assert collect_csv(done, tmp_path / "some.csv", only=["deep/two"], min_score=0.5).videos == 1
    assert collect_csv(f"file://{done}", tmp_path / "same.csv.gz") == counts
    assert (tmp_path / "same.csv.gz").read_bytes() == (tmp_path / "all.csv.gz").read_bytes()
    page = collect_page(done, tmp_path / "page", only=["one", "three"])
    assert page.all_well
    assert sorted(video.video_id for video in page.videos) == ["one", "three"]
    with pytest.raises(ConfigError, match="holds no video called four"):
        collect_csv(done, tmp_path / "none.csv", only=["four"])
    assert not (tmp_path / "none.csv").exists()
    with pytest.raises(FormatError, match="there is no such file or folder"):
        collect_csv(tmp_path / "nowhere", tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="is no dataset of results"):
        collect_csv(f"file://{tmp_path}", tmp_path / "none.csv")


def test_times_in_a_movie_come_from_the_list(place, tmp_path):
    (tmp_path / "list.csv").write_text(f"video_id,uri,start_seconds\none,{place}/videos/one.mp4,900\n")
    write_boxes(tmp_path / "movie.csv", [("one", 902, BOX)])
    run(place, tmp_path / "out", tmp_path / "list.csv", boxes=tmp_path / "movie.csv", formats=("csv",))
    assert set(rows(tmp_path / "out")["timestamp_seconds"]) == {2.0}
    assert set(read_ava_csv(next(tmp_path.glob("out/csv/*/*.csv"))).timestamps_seconds.tolist()) == {902.0}
    collect_csv(tmp_path / "out", tmp_path / "all.csv")
    assert set(read_ava_csv(tmp_path / "all.csv").timestamps_seconds.tolist()) == {902.0}


def test_lists_and_addresses_go_into_a_folder_too(place, tmp_path):
    plain = default_settings(place)
    summary = annotate_videos([f"file://{place}/videos/one.mp4"], tmp_path / "out", **plain)
    assert summary.all_well
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.jsonl",
        "one.csv",
        "one.jsonl",
        "one.parquet",
        "summary.json",
    ]
    assert annotate_videos([f"file://{place}/videos/one.mp4"], tmp_path / "out", **plain).videos == summary.videos
    for text, message in (
        (f"../x,{place}/videos/one.mp4", "is no name for a file"),
        (f"a,{place}/videos/one.mp4\nA,{place}/videos/three.mp4", "two videos are called 'A'"),
        ("a,", "there is no uri"),
    ):
        (tmp_path / "list.csv").write_text(f"video_id,uri\n{text}\n")
        with pytest.raises(ConfigError, match=message):
            annotate_videos([tmp_path / "list.csv"], tmp_path / "other", **plain)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "spark"}, "`engine` is local or ray, got 'spark'"),
        ({"weights": None}, "there are no weights"),
        ({"weights": "nonsense", "config": None}, "no weights file and no weights of the zoo are called"),
        ({"detector": "builtin"}, "give one of the two"),
    ],
)
def test_a_wrong_call_writes_nothing(place, tmp_path, settings, message):
    with pytest.raises(ConfigError.__base__, match=message):
        run(place, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_keys_tell_videos_and_settings_apart_and_not_signatures():
    from ava_detect.video.sources import SourceVideo

    ours, theirs = ResultsDataset(Address("memory://x"), "a"), ResultsDataset(Address("memory://x"), "b")
    video = SourceVideo(Address("https://host/a.mp4?id=1&X-Amz-Signature=abc"), "a")
    assert ours.key(video) == ours.key(SourceVideo(Address("https://me:pw@host/a.mp4?id=1&X-Amz-Signature=def"), "a"))
    others = [
        theirs.key(video),
        ours.key(SourceVideo(Address("https://host/a.mp4?id=2"), "a")),
        ours.key(SourceVideo(video.path, "b")),
        ours.key(SourceVideo(video.path, "a", 900.0)),
    ]
    assert len({ours.key(video), *others}) == 5


def test_a_run_that_died_is_silent(done, tmp_path):
    results = ResultsDataset(Address(f"file://{tmp_path}/out"))
    ResultsDataset.begin(results.out, {"a": 1}, {}, resume=True)
    results.put_progress("r1", ProgressNote("running", started=0, updated=1.0, videos=7, before=0, done=1, failed=0))
    found = results_status(tmp_path / "out")
    assert [run.state for run in found.runs] == ["silent"]
    assert (found.num_done, found.num_videos) == (0, 7)
