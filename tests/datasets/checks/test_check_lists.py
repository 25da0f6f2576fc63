"""``data check`` on toy lists of Kinetics and Charades: nothing to say of good ones, each fault of bad ones."""

from __future__ import annotations

import pytest
from videos import constant_rate, write_numbered_video

from ava_detect.config import Config
from ava_detect.datasets.checks.check_data import check_data
from ava_detect.errors import ConfigError

NUM_CLASSES = 3
CHARADES_HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    for name in ("run/a b.mp4", "run/b.mp4", "sit/c.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_numbered_video(folder / name, constant_rate(60, 30))
    return folder


def kinetics(tmp_path, **lists):
    for name, text in lists.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return config("kinetics", tmp_path, *lists)


def charades(tmp_path, *rows):
    lines = [f'{video},AB1,Kitchen,6,7,Yes,"A person, who runs.",,,{actions},2.0\n' for video, actions in rows]
    (tmp_path / "train.csv").write_text(CHARADES_HEADER + "".join(lines))
    return config("charades", tmp_path, "train")


def config(kind, tmp_path, *splits):
    files = {name: {"annotations": f"{tmp_path / name}.csv", "videos": str(tmp_path / "videos")} for name in splits}
    head = {"num_classes": NUM_CLASSES}
    return Config.model_validate({"model": {"task": "classification", "head": head}, "data": {"kind": kind, **files}})


def found(report):
    return {finding.kind: (finding.count, " | ".join(finding.places)) for finding in report.findings}


def test_nothing_is_said_of_good_lists(videos, tmp_path):
    report = check_data(kinetics(tmp_path, train="run/a b.mp4 0\nrun/b.mp4 2\n", val="path,label\nsit/c.mp4,1\n"))
    assert report.findings == ()
    assert [list(split.rows_of_class.values()) for split in report.splits] == [[1, 0, 1], [0, 1, 0]]
    assert report.frame_rates == {30: 3}
    assert "2 rows, 2 videos" in str(report)
    good = charades(tmp_path, ("a b", "c000 0.00 1.20;c002 0.50 3.00"), ("b", "c001 1.00 2.10"), ("c", ""))
    report = check_data(good)
    assert report.findings == ()
    assert list(report.splits[0].rows_of_class.values()) == [1, 1, 1]


def test_faults_of_kinetics_are_named_with_their_lines(videos, tmp_path):
    train = "path label\n\nrun/a b.mp4 0\nrun/gone.mp4 1\nrun/b.mp4 3\nrun/a b.mp4 0\n"
    (videos / "sit" / "c.mp4").write_bytes(b"no video")
    report = check_data(kinetics(tmp_path, train=train, val="sit/c.mp4 1\nrun/b.mp4 0\n"))
    faults = found(report)
    assert set(faults) == {"missing-video", "label-outside", "duplicate-row", "unreadable-video", "split-leak"}
    assert faults["label-outside"] == (1, f"{tmp_path}/train.csv, line 5: run/b.mp4: label 3 of 3 classes")
    assert faults["duplicate-row"] == (1, f"{tmp_path}/train.csv, line 6: run/a b.mp4: listed again")
    assert faults["split-leak"] == (1, "run/b.mp4 is in train and in val")
    assert "gone.mp4" in faults["missing-video"][1] and "sit/c.mp4" in faults["unreadable-video"][1]


def test_a_line_that_is_none_stops_the_reading_of_its_list_only(videos, tmp_path):
    report = check_data(kinetics(tmp_path, train="run/b.mp4 x\n", val="run/b.mp4 0\n"))
    faults = found(report)
    assert set(faults) == {"unreadable-file", "unannotated-video"}
    assert "train.csv, line 1: expected a path and a label" in faults["unreadable-file"][1]
    assert faults["unannotated-video"][0] == 2


def test_faults_of_charades_are_named(videos, tmp_path):
    rows = ("a b", "c000 0.00 1.20"), ("b", "c009 0.10 1.00;c001 2.50 3.00"), ("c", "c002 1.50 0.50"), ("d", "")
    faults = found(check_data(charades(tmp_path, *rows)))
    assert set(faults) == {"label-outside", "second-past-end", "action-backwards", "missing-video"}
    assert "b: label 9 of 3 classes" in faults["label-outside"][1]
    assert "b: class 1 from 2.5 to 3 s of 2.00" in faults["second-past-end"][1]
    assert "c: class 2 from 1.5 to 0.5 s" in faults["action-backwards"][1]


def test_kinetics_in_frames_is_refused_as_training_refuses_it(tmp_path):
    files = {"annotations": "train.csv", "frames": str(tmp_path)}
    settings = {"model": {"task": "classification"}, "data": {"kind": "kinetics", "train": files}}
    with pytest.raises(ConfigError, match="give their folder as videos, not frames"):
        check_data(Config.model_validate(settings))
