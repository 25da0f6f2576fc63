"""The detections of a run are found in its folder, with what is known of their scores."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from ava_detect.errors import FormatError
from ava_detect.results.detection_files import DetectionFiles, detection_files
from ava_detect.results.manifest import VideoRecord


def write_run(folder, settings, **outputs):
    folder.mkdir(exist_ok=True)
    records = [asdict(VideoRecord(name, f"{name}.mp4", "done", outputs=files)) for name, files in outputs.items()]
    lines = [{"settings": settings}, *records]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_file_is_itself(tmp_path):
    assert detection_files(tmp_path / "found.csv") == DetectionFiles((tmp_path / "found.csv",))


def test_of_a_folder_the_csv_comes_first(tmp_path):
    settings = {"weights": "f" * 64, "start_seconds": 900.0, "min_score": 0.0}
    write_run(tmp_path / "run", settings, a=("a.jsonl", "a.parquet", "a.csv"), b=("b.csv",))
    found = detection_files(tmp_path / "run")
    assert found.files == (tmp_path / "run" / "a.csv", tmp_path / "run" / "b.csv")
    # The times of a csv are the movie's already.
    assert (found.start_seconds, found.weights_sha256, found.filtered_by) == (0.0, "f" * 64, ())
    write_run(tmp_path / "run", settings, a=("a.jsonl", "a.parquet"))
    assert detection_files(tmp_path / "run").start_seconds == 900.0
    # A file of the run has the run's record.
    assert detection_files(tmp_path / "run" / "a.csv").weights_sha256 == "f" * 64


def test_what_left_scores_out_is_known(tmp_path):
    write_run(tmp_path, {"min_score": 0.3, "top": 2, "weights": "random"}, a=("a.csv",))
    found = detection_files(tmp_path)
    assert (found.filtered_by, found.is_calibrated, found.weights_sha256) == (("min_score", "top"), False, None)
    write_run(tmp_path, {"thresholds": 0.5, "calibration": "0" * 64}, a=("a.csv",))
    assert (detection_files(tmp_path).filtered_by, detection_files(tmp_path).is_calibrated) == (("thresholds",), True)


def test_a_benchmark_names_its_ground_truth(tmp_path):
    write_run(tmp_path, {"weights": "f" * 64}, a=("videos/a.csv",))
    (tmp_path / "detections.csv").touch()
    (tmp_path / "result.json").write_text(json.dumps({"inputs": {"ground_truth": "/t.csv", "exclude": "/e.csv"}}))
    found = detection_files(tmp_path)
    assert found.files == (tmp_path / "detections.csv",)
    assert (str(found.ground_truth), str(found.exclude)) == ("/t.csv", "/e.csv")
    (tmp_path / "result.json").write_text("{}")  # of an earlier version
    assert detection_files(tmp_path).ground_truth is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "result.json cannot be read"), ("[]", "the result holds"), ('{"inputs": {"x": 1}}', "x holds 1")],
)
def test_a_broken_benchmark_is_named(tmp_path, text, message):
    write_run(tmp_path, {})
    (tmp_path / "detections.csv").touch()
    with pytest.raises(FormatError, match=r"result.json cannot be read \(No such file.*run it again"):
        detection_files(tmp_path)
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        detection_files(tmp_path)


def test_folders_without_detections_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"holds no manifest.jsonl of a run; .*`ava-detect collect`"):
        detection_files(tmp_path)
    write_run(tmp_path, {})
    with pytest.raises(FormatError, match="its run has finished no video"):
        detection_files(tmp_path)
    write_run(tmp_path, {}, a=("a.jsonl",))
    with pytest.raises(FormatError, match=r"neither a csv nor a Parquet file of a; annotate again with `formats=csv`"):
        detection_files(tmp_path)
