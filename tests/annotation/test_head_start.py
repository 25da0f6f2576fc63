"""What a run begins before its network is built changes no result, and ends with the run."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from annotate_inputs import settings, write_inputs
from networks import lively_model
from processes import run_python

from ava_detect.annotation import video_annotator
from ava_detect.annotation.annotate import annotate_videos
from ava_detect.errors import ConfigError, WeightsError
from ava_detect.models.weights.converting import save_weights
from ava_detect.results.manifest import Manifest


@pytest.fixture
def work(tmp_path):
    return write_inputs(tmp_path, {"one": 2.0, "two": 1.0})


def prefetching() -> int:
    return sum("prefetch" in thread.name for thread in threading.enumerate())


def run(work, out, **changes):
    return annotate_videos(work / "videos", work / out, **{**settings(work), **changes})


def rows(out):
    found = [*out.glob("*.csv"), *out.glob("*.parquet"), *out.glob("[!m]*.jsonl")]  # the manifest holds times
    return {path.name: path.read_bytes() for path in found}


def test_the_rows_are_those_of_a_run_without_one(work, monkeypatch):
    assert run(work, "begun").all_well
    monkeypatch.setattr(video_annotator.VideoAnnotator, "_begin", lambda self, source: None)
    assert run(work, "not_begun").all_well
    assert rows(work / "begun") == rows(work / "not_begun") != {}


def test_a_first_video_that_cannot_be_read_fails_alone(work):
    (work / "videos" / "a_first.mp4").write_bytes(b"no video")
    summary = run(work, "out")
    assert [record.status for record in summary.videos] == ["failed", "done", "done"]
    assert "a_first.mp4" in summary.videos[0].message


def test_a_first_video_that_changes_before_its_turn_is_done_again(work, monkeypatch):
    """Its state is that from before it was read, so the next run sees the change."""
    begin = video_annotator.VideoAnnotator._begin

    def begin_then_change(self, source):
        begin(self, source)
        os.utime(source.path, (1, 1))

    monkeypatch.setattr(video_annotator.VideoAnnotator, "_begin", begin_then_change)
    first = run(work, "out")
    monkeypatch.undo()
    assert first.videos[0].source_modified != 1
    assert run(work, "out").videos[0].source_modified == 1


def test_a_network_that_cannot_be_built_leaves_no_thread_and_no_folder(work):
    other = save_weights(lively_model(), work / "weights.safetensors")
    with pytest.raises(WeightsError):
        run(work, "out", weights=str(other), config="slow_r50_4x16")
    assert prefetching() == 0 and not (work / "out").exists()


def test_a_run_that_is_refused_after_the_start_leaves_no_thread(work, monkeypatch):
    def refuse(*arguments, **options):
        raise ConfigError("another run's folder")

    monkeypatch.setattr(Manifest, "__init__", refuse)
    with pytest.raises(ConfigError, match="another run"):
        run(work, "out")
    assert prefetching() == 0


def test_the_weights_are_hashed_once(work, monkeypatch):
    weights = save_weights(lively_model(), work / "weights.safetensors")
    os.utime(weights, ns=(0, time.time_ns() - 60 * 10**9))
    read, digest = [], hashlib.file_digest

    def counted(file, name):
        read.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert run(work, "out", weights=str(weights), detector="builtin", boxes=None).all_well
    assert read.count("weights.safetensors") == 1
    assert len(read) == len(set(read))


def test_the_first_keyframe_is_written_without_libraries_that_it_does_not_need(work):
    """Each of them takes a fifth of a second or more to import."""
    run_python(
        "import sys\n"
        "from ava_detect.annotation.annotate import annotate_videos\n"
        "not_needed = {'pandas', 'scipy.optimize', 'scipy.special', 'matplotlib', 'torchvision', 'cv2', "
        "'torch._dynamo', 'ava_detect.visualization.draw'}\n"
        "found = []\n"
        "def on_progress(progress):\n"
        "    if progress.duration_seconds is not None and not found:\n"
        "        found.append(sorted(not_needed & set(sys.modules)))\n"
        "annotate_videos(sys.argv[1], sys.argv[2], weights='demo', min_person_score=0.01, on_progress=on_progress)\n"
        "assert found == [[]], found\n",
        work / "videos" / "two.mp4",
        work / "out",
    )
