from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest
from annotate_inputs import BOX, options, write_boxes, write_inputs
from annotate_inputs import settings as default_settings
from concurrency import wait_until
from networks import SMALL_CONFIG, lively_model, save_pyslowfast, small_config_file
from poison import plugin
from processes import ava_detect, interruptible, run_python
from tolerances import BOX_FRACTIONS, MILLISECOND_SECONDS
from videos import constant_rate, write_numbered_video, write_parts

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.engines.base import Limits
from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.formats.writers import DEFAULT_FORMATS
from ava_detect.models.network_options import resolve_device, resolve_precision
from ava_detect.models.weights.converting import save_weights
from ava_detect.models.zoo import UNTRAINED_NOTE
from ava_detect.results.progress_note import PROGRESS_NOTE
from ava_detect.storage.local_files import TEMPORARY_MARK
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import Progress
from ava_detect.video.reader import VideoReader

pytestmark = pytest.mark.usefixtures("warm_workers")
SECONDS = {"one": 3.2, "two": 1.0, "three": 2.5}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("inputs"), SECONDS)


@pytest.fixture
def work(inputs, tmp_path):
    """Three short videos, people for each of their seconds, and a network that runs in milliseconds."""
    return shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)


def run(work, *sources, out="out", **settings):
    return annotate_videos(list(sources) or [work / "videos"], work / out, **{**default_settings(work), **settings})


def results(out) -> dict[str, bytes]:
    """Every result file's bytes, without the files that hold times and paths."""
    return {
        p.name: p.read_bytes()
        for p in sorted(out.iterdir())
        if p.name not in ("summary.json", "manifest.jsonl", PROGRESS_NOTE)
    }


def test_a_folder_becomes_rows_and_a_summary(work):
    summary = run(work, draw=True)
    out = work / "out"
    assert summary.all_well
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [f"{n}.{suffix}" for n in SECONDS for suffix in ("csv", "jsonl", "parquet", "annotated.mp4")]
        + ["summary.json", "manifest.jsonl"]
    )
    table = read_ava_csv(out / "one.csv")
    assert sorted(set(table.timestamps_seconds.tolist())) == [0, 1, 2, 3]
    assert len(table) == 4 * 80
    np.testing.assert_allclose(table.boxes_fraction, np.tile([0.1, 0.2, 0.6, 0.9], (320, 1)), atol=BOX_FRACTIONS)
    lines = list(read_jsonl(out / "one.jsonl", LabelMap.ava()))
    assert [line.timestamp_seconds for line in lines] == [0, 1, 2, 3]
    # Frame 64 turns seven of the ten bars of frame 63 round: a hard cut, at which the track ends.
    assert [line.track_ids.tolist() for line in lines] == [[1], [1], [1], [2]]
    np.testing.assert_array_equal(
        table.scores.reshape(4, 80).astype(np.float32), np.concatenate([line.action_scores for line in lines])
    )
    drawn = VideoReader(out / "one.annotated.mp4")
    assert sum(1 for _ in drawn) == 96
    written = json.loads((out / "summary.json").read_text())
    assert written == json.loads(json.dumps(summary.to_json()))
    assert written["totals"] | {"seconds": 0} == {
        "videos": 3,
        "done": 3,
        "damaged": 0,
        "failed": 0,
        "keyframes": 8,
        # "one" has a hard cut, after which its person is counted as another.
        "people": 4,
        "boxes": 8,
        "rows": 640,
        "seconds": 0,
    }
    assert {"decode", "detect", "score", "draw"} == set(written["videos"][0]["seconds"])
    assert written["versions"]["torch"]
    one = next(json.loads(line) for line in (out / "manifest.jsonl").open() if '"video_id": "one"' in line)
    assert (one["source_fps"], one["source_seconds"]) == (30, pytest.approx(3.2))
    assert one["cuts_seconds"] == [pytest.approx(64 / 30, abs=MILLISECOND_SECONDS)]


def test_random_weights_are_noted_in_every_output_that_can_hold_a_note(work):
    summary = run(work)
    import pyarrow.parquet as pq

    assert summary.note == UNTRAINED_NOTE
    assert "untrained" in json.loads((work / "out" / "summary.json").read_text())["note"]
    assert all(json.loads(line)["note"] == UNTRAINED_NOTE for line in (work / "out" / "one.jsonl").open())
    assert pq.read_schema(work / "out" / "one.parquet").metadata[b"ava_detect.note"].decode() == UNTRAINED_NOTE


def test_trained_weights_are_named_by_hash_and_leave_no_note(work):
    path = save_pyslowfast(lively_model(seed=2), work / "mine.pyth")
    summary = run(work, weights=str(path))
    assert summary.note == ""
    assert summary.weights["trained"]
    assert len(summary.weights["sha256"]) == 64
    assert summary.weights["tensors_loaded"] == len(lively_model().state_dict())
    assert "note" not in json.loads((work / "out" / "one.jsonl").open().readline())
    other = run(work, out="other")
    assert other.videos[0].num_rows == summary.videos[0].num_rows
    assert results(work / "other") != results(work / "out")


def test_the_same_call_gives_the_same_bytes(work):
    run(work)
    run(work, out="again")
    assert results(work / "out") == results(work / "again")


def test_finished_videos_are_skipped_and_changed_ones_done_again(work):
    run(work)
    before = {path: path.stat().st_mtime_ns for path in (work / "out").glob("*.csv")}
    seen: list[Progress] = []
    write_numbered_video(work / "videos" / "two.mp4", constant_rate(45, 30))
    (work / "out" / "three.jsonl").unlink()
    summary = run(work, on_progress=seen.append)
    assert summary.all_well
    after = {path: path.stat().st_mtime_ns for path in (work / "out").glob("*.csv")}
    assert {path.stem for path in after if after[path] != before[path]} == {"two", "three"}
    assert {record.video_id: record.num_keyframes for record in summary.videos} == {"one": 4, "two": 2, "three": 3}
    assert {progress.name for progress in seen if progress.name and progress.result is None} == {"two", "three"}
    assert seen[-1].done == seen[-1].total == 3


def test_restart_does_everything_again(work):
    run(work)
    before = {path: path.stat().st_ino for path in (work / "out").glob("*.csv")}
    run(work, resume=False)
    assert all(path.stat().st_ino != before[path] for path in (work / "out").glob("*.csv"))


def test_other_settings_over_old_results_are_refused(work):
    run(work)
    kept = results(work / "out")
    with pytest.raises(ConfigError, match=r"made with other settings \(every_seconds was 1\.0, now 0\.5\)"):
        run(work, every_seconds=0.5)
    assert results(work / "out") == kept


def test_an_interrupt_leaves_finished_videos_whole_and_the_next_run_goes_on(work):
    def interrupt(progress: Progress) -> None:
        if progress.done == 1 and progress.result is None:
            raise KeyboardInterrupt

    summary = run(work, on_progress=interrupt)
    assert summary.interrupted
    assert not summary.all_well
    assert [record.video_id for record in summary.videos] == ["one"]
    assert sorted(results(work / "out")) == ["one.csv", "one.jsonl", "one.parquet"]
    assert run(work).all_well
    run(work, out="undisturbed")
    assert results(work / "out") == results(work / "undisturbed")


def test_a_killed_run_leaves_nothing_half_and_the_next_goes_on(work):
    config = small_config_file(work)
    code = (
        "import os, signal\n"
        "from ava_detect.annotation.annotate import annotate_videos\n"
        "def die(progress):\n"
        "    if progress.done == 1 and progress.position_seconds > 0.3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"annotate_videos({str(work / 'videos')!r}, {str(work / 'out')!r}, config={str(config)!r}, weights='random',\n"
        f"    boxes={str(work / 'boxes.csv')!r}, draw=True, every_seconds=0.1, on_progress=die)\n"
    )
    assert run_python(code, check=False).returncode == -signal.SIGKILL
    left = [path.name for path in (work / "out").iterdir()]
    assert "one.csv" in left
    assert any(name.startswith(TEMPORARY_MARK) for name in left)
    summary = run(work, draw=True, every_seconds=0.1)
    assert summary.all_well
    assert not any(path.name.startswith(TEMPORARY_MARK) for path in (work / "out").iterdir())
    run(work, out="undisturbed", draw=True, every_seconds=0.1)
    assert results(work / "out") == results(work / "undisturbed")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_every_process_quietly(work, workers):
    more = ("--every", 0.001, "--workers", workers)
    command = ava_detect("annotate", work / "videos", "--out", work / "out", *options(work), *more)
    process = subprocess.Popen(interruptible(command), stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: list(work.glob(f"out/{TEMPORARY_MARK}*.csv")) or process.poll() is not None, seconds=300)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert errors == "ava-detect: interrupted; finished videos are whole, and the same command goes on from here\n"
    assert sorted(path.name for path in (work / "out").iterdir()) == ["manifest.jsonl", PROGRESS_NOTE, "summary.json"]
    assert json.loads((work / "out" / "summary.json").read_text())["interrupted"]


def test_bad_videos_are_reported_and_the_others_go_on(work, shared):
    videos = work / "videos"
    (videos / "text.mp4").write_text("no video\n")
    (videos / "broken.mp4").write_bytes((shared / "videos" / "odd_truncfs.mp4").read_bytes())
    write_boxes(work / "boxes.csv", [(name, 0, BOX) for name in ("one", "two", "broken")])
    summary = run(work, videos, work / "gone.mp4")
    assert not summary.all_well
    records = {record.video_id: record for record in summary.videos}
    assert {name: record.status for name, record in records.items()} == {
        "broken": "damaged",
        "gone": "failed",
        "one": "done",
        "text": "failed",
        "three": "failed",
        "two": "done",
    }
    assert "ends at 4.77 s of the 10.00 s" in records["broken"].message
    assert records["broken"].num_keyframes == 5
    assert "text.mp4 cannot be opened as a video" in records["text"].message
    assert "gone.mp4: there is no such file" in records["gone"].message
    assert "no row is of the video 'three'" in records["three"].message
    assert sorted(results(work / "out")) == sorted(
        f"{name}.{suffix}" for name in ("broken", "one", "two") for suffix in DEFAULT_FORMATS
    )
    # What failed is tried again, what is damaged is as done as it will be.
    write_numbered_video(videos / "text.mp4", constant_rate(5, 30))
    again = {record.video_id: record.status for record in run(work, videos, work / "gone.mp4").videos}
    assert (again["broken"], again["gone"]) == ("damaged", "failed")


def test_a_video_put_together_of_parts_is_done_and_the_joint_is_said(work, run_cli):
    write_parts(work / "parts.ts", 0, 36000)
    write_boxes(work / "boxes.csv", [("parts", second, BOX) for second in range(2)])
    code, _, error = run_cli("annotate", work / "parts.ts", "--out", work / "out", *options(work))
    assert code == 0
    assert f"ava-detect: {work / 'parts.ts'}: its time stamps jump by +35,99" in error
    (record,) = json.loads((work / "out" / "summary.json").read_text())["videos"]
    assert (record["status"], record["num_keyframes"], record["num_boxes"]) == ("done", 2, 2)
    assert record["source_seconds"] == pytest.approx(2, abs=0.1)


def test_what_a_folder_passes_over_is_said_on_the_command_line(work, run_cli):
    videos = work / "videos"
    (videos / "._one.mp4").write_bytes(b"macOS")
    call = ("annotate", videos, "--out", videos / "out", *options(work))
    code, _, error = run_cli(*call)
    assert (code, error) == (0, f"ava-detect: {videos}: passed over 1 file of macOS's own data (._one.mp4)\n")
    shutil.copy(videos / "two.mp4", videos / "out" / "copy.mp4")
    code, _, error = run_cli(*call)
    drawn = videos / "out" / "copy.mp4"
    assert code == 0
    assert f"(._one.mp4) and 1 file inside --out, where results are written ({drawn})\n" in error
    assert "Warning" not in error


def test_processes_give_the_bytes_of_one(work, cold_workers):
    (work / "videos" / "text.mp4").write_text("no video\n")
    alone = run(work)
    seen: list[Progress] = []
    shared_work = run(work, out="shared", workers=2, on_progress=seen.append)
    assert results(work / "out") == results(work / "shared")
    inside = {progress.name: round(progress.duration_seconds, 3) for progress in seen if progress.position_seconds}
    # Heartbeats come no more often than five times a second.
    assert inside.items() <= {"one": 3.2, "two": 1.0, "three": 2.5}.items()
    assert inside
    assert [progress.done for progress in seen if progress.result] == [1, 2, 3, 4]
    assert [(r.video_id, r.status, r.message) for r in shared_work.videos] == [
        (r.video_id, r.status, r.message) for r in alone.videos
    ]


def test_workers_that_share_a_network_give_the_bytes_of_those_that_do_not(work):
    run(work)
    assert run(work, out="shared", workers=2, cluster=ClusterSettings(models=1)).all_well
    assert results(work / "out") == results(work / "shared")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_ends_its_process_takes_no_other_with_it(work, monkeypatch, workers):
    """One kills its process, one hangs; with limits one worker is a process of its own too."""
    (work / "videos" / "one.mp4").rename(work / "videos" / "segfaults.mp4")
    shutil.copy(work / "videos" / "segfaults.mp4", work / "videos" / "hangs.mp4")
    monkeypatch.setenv("PYTHONPATH", str(plugin(work / "plugin")), prepend=os.pathsep)
    summary = run(work, workers=workers, limits=Limits(stall_seconds=10, tries=1))
    assert {record.video_id: (record.status, record.message.partition(".mp4: ")[2]) for record in summary.videos} == {
        "hangs": ("failed", "it hung: no heartbeat in 10 s"),
        "segfaults": ("failed", "the process that read it died (signal SIGSEGV)"),
        "three": ("done", ""),
        "two": ("done", ""),
    }
    assert sorted(results(work / "out")) == [f"{n}.{suffix}" for n in ("three", "two") for suffix in DEFAULT_FORMATS]


def test_times_in_a_movie(work):
    """With start_seconds the csv and the boxes count from the movie's start; jsonl stays the file's."""
    write_boxes(work / "movie.csv", [("one", 902, BOX)])
    run(work, work / "videos" / "one.mp4", boxes=work / "movie.csv", start_seconds=900.0)
    assert set(read_ava_csv(work / "out" / "one.csv").timestamps_seconds.tolist()) == {902.0}
    people = [len(line) for line in read_jsonl(work / "out" / "one.jsonl", LabelMap.ava())]
    assert people == [0, 0, 1, 0]
    assert (work / "out" / "one.csv").read_text().startswith("one,0902,")


def test_min_score_leaves_people_without_actions(work):
    run(work, min_score=1.0)
    assert (work / "out" / "one.csv").read_text() == ""
    assert json.loads((work / "out" / "one.jsonl").open().readline())["people"][0]["actions"] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": None}, r"there are no weights: give `weights=FILE` .*, or `weights=random`"),
        ({"weights": "slowfast_r50", "config": None}, "no weights file and no weights of the zoo are called"),
        ({"weights": "slowfast_r50"}, "no weights file and no weights of the zoo are called"),
        ({"config": "kinetics_slowfast_r50_8x8"}, "is a classifier: it says what a whole clip shows"),
        ({"config": "nonsense"}, "'nonsense' is neither a config file nor one of the configs charades"),
        ({"every_seconds": 0}, "keyframes must be a positive number of seconds apart, got 0"),
        ({"detector": "builtin"}, "give one of the two"),
        ({"boxes": None, "detector": "bultin"}, r"there is no kind 'bultin' \(did you mean 'builtin'\?\)"),
        ({"boxes": "gone.csv"}, r"gone\.csv"),
        ({"device": "tpu"}, "`device` is auto, cpu or cuda, got 'tpu'"),
        ({"precision": "fp8"}, "`precision` is auto, fp32, bf16, fast, got 'fp8'"),
        ({"min_score": 2}, "`min_score` is a score from 0 to 1, got 2"),
        ({"new_person_score": 60}, "`new_person_score` is a score from 0 to 1, got 60"),
        ({"workers": 0}, "`workers` is at least 1 and at most 10,000, got 0"),
        ({"workers": 10**30}, "`workers` is at least 1 and at most 10,000, got 1000000"),
        ({"workers": "3"}, "`workers` is a number of processes or auto, got '3'"),
        ({"every_seconds": 1e-7}, "keyframes are 0.001 to 1e.09 seconds apart, got 1e-07; try 1"),
        ({"every_seconds": 1e300}, r"keyframes are .* apart, got 1e\+300"),
        ({"every_seconds": float("nan")}, "keyframes must be a positive number of seconds apart, got nan"),
        ({"start_seconds": float("nan")}, "`start_seconds` is a number of seconds, got nan"),
        ({"start_seconds": float("inf")}, "`start_seconds` is a number of seconds, got inf"),
        ({"min_score": float("nan")}, "`min_score` is a score from 0 to 1, got nan"),
        ({"min_person_score": float("nan")}, "`min_person_score` is a score from 0 to 1, got nan"),
        ({"min_person_score": 7}, "`min_person_score` is a score from 0 to 1, got 7"),
        ({"formats": ("csv", "xlsx")}, "unknown result format xlsx; give one or more of csv,jsonl,parquet"),
        ({"formats": "cvs"}, "unknown result format cvs"),
        ({"execution": "fusd"}, "`execution` is auto, eager, fused, got 'fusd'"),
        ({"boxes": "."}, r"`boxes`: .* is a folder; give a file"),
        ({"cluster": ClusterSettings(address="auto")}, "`address` and `gpus` are for `engine=ray`"),
        ({"boxes": "gone.csv", "workers": 2}, r"gone\.csv"),  # seen by another process
    ],
)
def test_a_wrong_call_is_refused_before_any_work(work, settings, message):
    with pytest.raises(AvaDetectError, match=message):
        run(work, **settings)
    assert not (work / "out").exists()


@pytest.mark.parametrize(
    "settings",
    [{"boxes": "gone.csv"}, {"boxes": None, "detector": "onnx:gone.onnx"}, {"formats": ("xlsx",)}, {"device": "tpu"}],
)
def test_a_wrong_call_is_refused_before_weights_are_downloaded_or_a_network_is_built(work, settings, monkeypatch):
    monkeypatch.setattr("ava_detect.annotation.settings.weights_file", lambda *_: pytest.fail("weights were resolved"))
    with pytest.raises(AvaDetectError):
        run(work, **{"weights": "slowfast_r50_8x8", **settings})


@pytest.mark.parametrize("boxes", ["video,0,0.1,0.1,0.2,nonsense\n", '{"images": 3}'])
def test_boxes_that_cannot_be_read_are_refused_before_a_network_is_built(work, boxes, monkeypatch):
    monkeypatch.setattr("ava_detect.inference.build.build_with_weights", lambda *_: pytest.fail("it was built"))
    (work / "bad.json" if boxes.startswith("{") else work / "bad.csv").write_text(boxes)
    with pytest.raises(AvaDetectError, match=r"bad\."):
        run(work, boxes=work / ("bad.json" if boxes.startswith("{") else "bad.csv"))


@pytest.mark.parametrize("more", [{}, {"workers": 2}], ids=["one process", "workers"])
def test_boxes_that_meet_no_keyframe_are_a_warning_of_the_video_and_the_run(work, more):
    write_boxes(work / "late.csv", [(name, 900 + second, BOX) for name in ("one", "two") for second in range(2)])
    sources = [work / "videos" / "one.mp4", work / "videos" / "two.mp4"]
    summary = run(work, *sources, boxes=work / "late.csv", **more)
    assert [record.status for record in summary.videos] == ["done", "done"]
    assert all("it lists 900 to 901 s" in record.warning for record in summary.videos)
    assert not summary.all_well
    again = run(work, *sources, boxes=work / "late.csv")
    assert [record.warning for record in again.warned] == [record.warning for record in summary.warned]
    met = run(work, *sources, out="met", boxes=work / "late.csv", start_seconds=900)
    assert met.all_well and met.totals.boxes == 3


def test_boxes_that_meet_no_keyframe_are_said_by_the_command(work, run_cli):
    write_boxes(work / "late.csv", [(name, 900 + second, BOX) for name in SECONDS for second in range(2)])
    arguments = [*options(work)[:-1], str(work / "late.csv")]
    code, _, err = run_cli("annotate", str(work / "videos"), "--out", str(work / "out"), *arguments)
    assert code == 1
    assert err.count("--start-seconds says where in its movie the file starts") == 3
    assert "no person was found in any of the 3 videos, because the boxes meet none of their keyframes" in err
    dataset = (work / "dataset").as_uri()
    code, _, err = run_cli("annotate", str(work / "videos"), "--out", dataset, *arguments, "--workers", "1")
    assert code == 1
    assert err.count("it lists 900 to 901 s") == 3


def test_weights_bring_the_config_they_were_trained_with(work):
    """A file that this package wrote needs no --config, and names its own actions."""
    content = {
        **SMALL_CONFIG,
        "model": {**SMALL_CONFIG["model"], "head": {"num_classes": 2}},
        "labels": {"ids": [12, 4]},
    }
    model = build_model(Config.model_validate(content))
    weights = save_weights(model, work / "mine.safetensors", config=content)
    summary = run(work, config=None, weights=str(weights))
    assert summary.all_well
    assert set(read_ava_csv(work / "out" / "one.csv").action_ids.tolist()) == {4, 12}
    assert summary.settings["config"]["clip"]["num_frames"] == SMALL_CONFIG["clip"]["num_frames"]


def test_weights_of_another_architecture_are_refused_before_any_work(work):
    path = save_pyslowfast(lively_model(), work / "mine.pyth")
    with pytest.raises(AvaDetectError, match="does not fit this model"):
        run(work, config="demo", weights=str(path))
    assert not (work / "out").exists()


def test_an_output_that_cannot_be_written_is_refused(work):
    (work / "file").touch()
    with pytest.raises(ConfigError, match=r"`out` .*file.* cannot be written to .*; choose another folder"):
        run(work, out="file")


def test_devices_and_precisions():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    assert resolve_precision("auto", "cpu") == "fp32"


PEAK_MEMORY = """
import resource, sys
from ava_detect.annotation.annotate import annotate_videos
for video in sys.argv[4:]:
    annotate_videos(video, sys.argv[1], config=sys.argv[2], weights="random", boxes=sys.argv[3],
                    formats=("csv", "jsonl", "parquet"), resume=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(tmp_path):
    """20 seconds, then 80 in the same process: within 5 percent. What is longer are 600 frames, 104 MB."""
    config = small_config_file(tmp_path)
    rows, videos = [], []
    for seconds in (20, 80):
        times = constant_rate(10 * seconds, 10)
        videos.append(write_numbered_video(tmp_path / f"{seconds}.mp4", times, rate=10, width=320, height=180))
        rows += [(str(seconds), second, BOX) for second in range(seconds)]
    write_boxes(tmp_path / "boxes.csv", rows)
    done = run_python(PEAK_MEMORY, tmp_path / "out", config, tmp_path / "boxes.csv", *videos)
    short, long = map(int, done.stdout.split())
    assert long <= 1.05 * short, f"peak memory in KiB: {short}, {long}"
