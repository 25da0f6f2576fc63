"""``data check`` of a data set of tubes: nothing to say of a whole one, every planted fault named with its frame."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tube_sets import tube, tube_truth, write_images, write_set
from videos import constant_rate, write_numbered_video

from ava_detect.config import Config, SplitConfig
from ava_detect.datasets.checks.check_data import CheckSettings, actions_of_files, check_data, check_splits
from ava_detect.datasets.checks.report import DataReport
from ava_detect.formats.tube_pickles import write_tube_annotations

SETTINGS = CheckSettings("tubes", min_proposal_score=0.5)


@pytest.fixture(scope="module")
def clean_set(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp("tubes") / "set")


@pytest.fixture
def folder(clean_set, tmp_path) -> Path:
    return Path(shutil.copytree(clean_set, tmp_path / "set"))


def check(folder: Path, *, decode: bool = True, **files: str) -> DataReport:
    split = SplitConfig(**({"annotations": str(folder / "GT.pkl"), "videos": str(folder / "videos")} | files))
    kind, actions = actions_of_files(split, None)
    assert kind == "tubes"
    return check_splits({"data": split}, actions, SETTINGS, decode=decode)


def found(report: DataReport) -> dict[str, tuple[int, str]]:
    return {finding.kind: (finding.count, " | ".join(finding.places)) for finding in report.findings}


@pytest.mark.parametrize("decode", [True, False])
def test_nothing_is_said_of_a_whole_set(folder, decode):
    report = check(folder, decode=decode)
    assert found(report) == {}
    (summary,) = report.splits
    assert (summary.num_rows, summary.num_keyframes, summary.num_videos) == (161, 60 + 41 + 40, 3)
    assert summary.rows_of_class == {1: 60, 2: 61, 3: 40}


def test_both_sides_of_a_division_and_the_videos_of_each(folder):
    files = {"annotations": str(folder / "GT.pkl"), "videos": str(folder / "videos")}
    data = {"kind": "tubes", "train": files, "val": files, "split": 2}
    config = Config.model_validate({"model": {"head": {"num_classes": 3}}, "data": data})
    report = check_data(config)
    assert [(split.name, split.num_videos) for split in report.splits] == [("train", 2), ("val", 1)]
    assert found(report) == {}
    third = config.model_copy(update={"data": config.data.model_copy(update={"split": 3})})
    kinds = found(check_data(third))
    assert "`split` is a number from 1 to 2 for this data set, got 3" in kinds["unreadable-file"][1]


def test_extracted_frames(folder):
    images = write_images(folder / "frames")
    split = {"annotations": str(folder / "GT.pkl"), "frames": str(images)}
    files = SplitConfig(**split)
    settings = replace(SETTINGS, sampling_fps=25.0)
    assert found(check_splits({"data": files}, actions_of_files(files, None)[1], settings)) == {}
    (images / "throw/three/00040.png").unlink()
    shutil.rmtree(images / "jump/one")
    kinds = found(check_splits({"data": files}, actions_of_files(files, None)[1], settings))
    assert kinds["missing-video"] == (1, f"{images}: jump/one")
    assert kinds["frame-past-end"] == (1, f"{folder / 'GT.pkl'}: throw/three, frame 40: the video has 39 frames")
    assert kinds["frame-count"] == (1, f"{images / 'throw/three'}: 39 frames, 40 in the pickle")


def test_a_video_that_is_shorter_or_of_another_shape(folder):
    path = folder / "videos/throw/three.mp4"
    write_numbered_video(path, constant_rate(30, 25), rate=25, width=48, height=48)
    assert found(check(folder)) == {
        "frame-past-end": (1, f"{folder / 'GT.pkl'}: throw/three, frame 31: the video has 30 frames"),
        "frame-count": (1, f"{path}: 30 frames, 40 in the pickle"),
        "frame-size": (1, f"{path}: 48x48, 80x48 in the pickle"),
    }
    assert "frame-past-end" in found(check(folder, decode=False))


def test_tubes_that_are_out_of_place(folder):
    before = tube_truth()
    wrong = (
        tube("throw/two", 1, 0, 3),
        tube("throw/two", 1, 44, 46),
        tube("throw/two", 0, 8, 8, (30, 5, 30, 40)),
        tube("throw/two", 0, 9, 9, (-4, 5, 30, 40)),
        tube("throw/two", 0, 10, 10, (-1, 5, 30, 49)),
    )
    write_tube_annotations(folder / "GT.pkl", replace(before, tubes=dict(before.tubes) | {"throw/two": wrong}))
    kinds = found(check(folder))
    where = f"{folder / 'GT.pkl'}: throw/two, frame"
    assert kinds["frame-outside"] == (2, f"{where} 0: the pickle counts 45 | {where} 46: the pickle counts 45")
    assert kinds["box-degenerate"] == (1, f"{where} 8: box 0.375,0.104167,0.375,0.833333")
    # By a pixel is how the published boxes are.
    assert kinds["tube-outside"] == (1, f"{where} 9: box -0.05,0.104167,0.375,0.833333")
    assert kinds["frame-past-end"] == (1, f"{where} 46: the video has 45 frames")
    assert set(kinds) == {"frame-outside", "box-degenerate", "tube-outside", "frame-past-end"}


def test_a_video_without_tubes_needs_no_size(folder):
    truth = tube_truth()
    tubes = {video: () if video == "throw/three" else some for video, some in truth.tubes.items()}
    sizes = {video: size for video, size in truth.resolutions.items() if video != "throw/three"}
    write_tube_annotations(folder / "GT.pkl", replace(truth, tubes=tubes, resolutions=sizes))
    assert found(check(folder)) == {}


def test_proposals_by_number_of_the_frame(folder):
    boxes = np.array([[0.1, 0.1, 0.5, 0.9, 0.9]])
    keys = [("jump/one.mp4", number) for number in range(1, 61)] + [("two", number) for number in range(5, 45)]
    content = {f"{video},{number:04d}": boxes for video, number in [*keys, ("elsewhere", 1)]}
    (folder / "boxes.pkl").write_bytes(pickle.dumps(content))
    kinds = found(check(folder, proposals=str(folder / "boxes.pkl")))
    assert kinds["video-without-proposals"] == (1, f"{folder / 'boxes.pkl'}: throw/three")
    assert kinds["proposals-of-other-video"] == (1, f"{folder / 'boxes.pkl'}: elsewhere")
    assert kinds["keyframe-without-proposals"][0] == 1 + 40


def test_a_file_that_is_no_pickle_of_tubes(folder):
    files = {"annotations": str(folder / "GT.pkl"), "videos": str(folder / "videos")}
    (folder / "GT.pkl").write_bytes(pickle.dumps({"labels": []}))
    model = {"head": {"num_classes": 3}}
    config = {"model": model, "labels": {"text": "1: a\n2: b\n3: c"}, "data": {"kind": "tubes", "train": files}}
    kinds = found(check_data(Config.model_validate(config)))
    assert "it lacks gttubes, nframes" in kinds["unreadable-file"][1]
