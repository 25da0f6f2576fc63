"""``ava-detect data convert``: pickles of MultiSports, UCF101-24 and JHMDB to AVA's csv and back."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tube_files import HEIGHT, LABELS, WIDTH, data_set, results_folder, tube

from ava_detect.formats.tube_pickles import read_tube_annotations, read_tube_detections, write_tube_annotations
from ava_detect.video.writer import VideoWriter

CONVERT = ("data", "convert", "--quiet")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    boxes = [np.sort(random.uniform(0, 240, 4).astype(np.float32).astype(np.float64))[[0, 2, 1, 3]] for _ in range(3)]
    write_tube_annotations(
        "truth.pkl",
        data_set(tube(box=boxes[0]), tube("throw/b", 1, 5, 24, boxes[1]), tube("throw/b", 0, 1, 40, boxes[2])),
    )
    rows = np.column_stack(
        [
            random.integers(0, 2, 200),
            random.integers(1, 41, 200),
            random.integers(0, 3, 200),
            random.uniform(size=200),
            random.uniform(0, 100, (200, 2)),
            random.uniform(100, 240, (200, 2)).round(3),
        ]
    )
    rows[:, 4:6] = rows[:, 4:6].astype(np.float32)
    Path("boxes.pkl").write_bytes(pickle.dumps(rows))
    return tmp_path


def content(path):
    return pickle.loads(Path(path).read_bytes())


def test_ground_truth_comes_back_to_the_bit(files, run_cli):
    """Tubes, labels, splits, sizes: at 25 frames a second, at another rate, and with times of a movie."""
    for words in (["--fps", "25"], ["--fps", "29.97", "--start-seconds", "902"]):
        assert run_cli(*CONVERT, "truth.pkl", "--out", "text", *words) == (0, "", "")
        assert run_cli(*CONVERT, "text", "--out", "again.pkl", "--overwrite", *words) == (0, "", "")
        before, after = content("truth.pkl"), content("again.pkl")
        np.testing.assert_equal(after, before)
        assert list(after["gttubes"]) == list(before["gttubes"])
    assert (files / "text" / "split2_test.txt").read_text() == "train/c\n"
    assert (files / "text" / "videos.csv").read_text().splitlines()[1] == f"jump/a,40,{WIDTH},{HEIGHT}"


def test_a_csv_comes_back_to_the_bit(files, run_cli):
    """An AVA csv of keyframes a second apart, with the label map of its ids; its person ids count anew."""
    rows = ["v,0902,0.077,0.151,0.283,0.811,80,0", "v,0902,0.077,0.151,0.283,0.811,12,1", "v,0903,0.1,0.2,0.3,0.4,12,1"]
    Path("ava.csv").write_text("\n".join([*rows, "v,0904"]) + "\n")
    Path("train.csv").write_text("t,0902,0.1,0.2,0.3,0.4,12,0\nt,0903\nt,0904\n")
    Path("map.pbtxt").write_text('item { name: "stand" id: 12 } item { name: "watch" id: 80 }\n')
    Path("sizes.csv").write_text("video_id,num_frames,width,height\nv,3,640,360\nt,3,641,361\nother,1,1,1\n")
    words = ("--fps", "1", "--start-seconds", "902", "--label-map", "map.pbtxt")
    call = (*CONVERT, "ava.csv", "--train", "train.csv", "--sizes", "sizes.csv", "--out", "ava.pkl", *words)
    assert run_cli(*call) == (0, "", "")
    truth = read_tube_annotations("ava.pkl")
    assert [action.name for action in truth.label_map] == ["stand", "watch"]
    assert (truth.train_splits, truth.test_splits) == ((("t",),), (("v",),))
    assert [(t.action_id, t.frames.tolist()) for t in truth.tubes["v"]] == [(1, [1]), (0, [1, 2])]
    assert truth.tubes["v"][0].boxes_xyxy[0] == pytest.approx([49.28, 54.36, 181.12, 291.96])
    assert run_cli(*CONVERT, "ava.pkl", "--out", "text", *words) == (0, "", "")
    written = (files / "text" / "ground_truth.csv").read_text().splitlines()
    assert sorted(line for line in written if line.startswith("v,")) == sorted([*rows, "v,0904"])
    assert "t,0902,0.1,0.2,0.3,0.4,12,0" in written


def test_videos_are_measured(files, run_cli):
    (files / "videos").mkdir()
    with VideoWriter(files / "videos" / "short.mp4", 25) as writer:
        for _ in range(8):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    Path("own.csv").write_text("short,0.0,0.25,0.25,0.5,0.5,12,0\nshort,0.04,0.25,0.25,0.5,0.5,12,0\n")
    assert run_cli(*CONVERT, "own.csv", "--videos", "videos", "--fps", "25", "--out", "own.pkl") == (0, "", "")
    truth = read_tube_annotations("own.pkl")
    assert (truth.num_frames, truth.resolutions) == ({"short": 8}, {"short": (48, 64)})
    assert truth.tubes["short"][0].boxes_xyxy.tolist() == [[16, 12, 32, 24]] * 2
    assert len(truth.label_map) == 80


def test_detected_boxes_come_back_to_the_bit(files, run_cli):
    words = ("--ground-truth", "truth.pkl", "--fps", "25")
    assert run_cli(*CONVERT, "boxes.pkl", "--out", "found.csv", *words) == (0, "", "")
    assert run_cli(*CONVERT, "found.csv", "--out", "again.pkl", *words) == (0, "", "")
    np.testing.assert_array_equal(content("again.pkl"), content("boxes.pkl"))


def test_boxes_and_results_become_tubes(files, run_cli):
    found = [tube(score=0.75), tube("throw/b", 1, 5, 24, score=0.5)]
    results_folder(files / "results", found)
    words = ("--ground-truth", "truth.pkl", "--fps", "25", "--to", "tubes", "--overwrite")
    label_map = read_tube_annotations("truth.pkl").label_map
    for linking in ("moc", "tracks"):
        assert run_cli(*CONVERT, "results", "--out", "tubes.pkl", *words, "--linking", linking) == (0, "", "")
        tubes = read_tube_detections("tubes.pkl", label_map, ["jump/a", "throw/b"])
        assert [(t.video_id, t.action_id, t.score, len(t)) for t in tubes] == [
            ("jump/a", 0, 0.75, 20),
            ("throw/b", 1, 0.5, 20),
        ]
        np.testing.assert_allclose(tubes[0].boxes_xyxy, found[0].boxes_xyxy, atol=1e-4)
    # Box by box, each with the score of its tube.
    assert run_cli(*CONVERT, "tubes.pkl", "--out", "found.csv", *words[:4]) == (0, "", "")
    scores = np.loadtxt("found.csv", delimiter=",", usecols=7)
    assert scores.tolist() == [0.75] * 20 + [0.5] * 20
    assert set(content("tubes.pkl")) == set(LABELS.ids)


def test_excluded_frames_are_left_out(files, run_cli):
    Path("out.csv").write_text("jump/a,0.0\njump/a,0.04\nthrow/b,0.04\n")
    words = ("--fps", "25", "--exclude", "out.csv")
    code, out, err = run_cli("data", "convert", "truth.pkl", "--out", "text", *words)
    assert code == 0
    assert "3 videos, 3 tubes, 77 boxes" in out  # of 20 + 20 + 40
    assert "3 rows on excluded frames left out" in err
    assert "jump/a,0000\n" not in (files / "text" / "ground_truth.csv").read_text()
    assert run_cli(*CONVERT, "text", "--out", "less.pkl", "--fps", "25") == (0, "", "")
    assert read_tube_annotations("less.pkl").tubes["jump/a"][0].frames[0] == 3
    on_frames = content("boxes.pkl")
    is_out = ((on_frames[:, 0] == 0) & (on_frames[:, 1] < 3)) | ((on_frames[:, 0] == 1) & (on_frames[:, 1] == 2))
    assert is_out.any()
    call = (*CONVERT, "boxes.pkl", "--ground-truth", "truth.pkl", "--out", "fewer.pkl", *words)
    assert run_cli(*call) == (0, "", "")
    np.testing.assert_array_equal(content("fewer.pkl"), on_frames[~is_out])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["truth.pkl", "--out", "text"], "--fps is needed: a csv counts seconds"),
        (["truth.pkl", "--out", "text", "--fps", "25", "--train", "ava.csv"], "--train is for a csv of ground truth"),
        (["ava.csv", "--out", "ava.pkl", "--fps", "1"], "the size and the number of frames of each video are needed"),
        (["ava.csv", "--out", "text", "--fps", "1"], "--out text: ground truth in a csv is converted to a pickle"),
        (
            ["ava.csv", "--out", "ava.pkl", "--fps", "1", "--sizes", "ava.csv"],
            "line 1: the heading is video_id",
        ),
        (
            ["ava.csv", "--out", "ava.pkl", "--fps", "1", "--sizes", "sizes.csv"],
            "ava.csv: video 'v': its size and number of frames are not in sizes.csv",
        ),
        (["ava.csv", "--out", "ava.pkl", "--fps", "1", "--sizes", "bad.csv"], "bad.csv, line 2: expected a video id"),
        (["truth.pkl", "--out", "truth.pkl", "--fps", "25"], "it is a file, and a folder is needed"),
        (["boxes.pkl", "--out", "boxes.pkl", "-g", "truth.pkl"], "--out boxes.pkl is also an input (SOURCE)"),
        (["boxes.pkl", "--out", "old.pkl", "-g", "truth.pkl"], "--out old.pkl exists and is not from an earlier run"),
        (["boxes.pkl", "--out", "found.csv", "-g", "truth.pkl"], "--fps is needed"),
        (["boxes.pkl", "--out", "f.csv", "-g", "truth.pkl", "--to", "tubes"], "--to tubes gives a pickle"),
        (["boxes.pkl", "--out", "f.pkl", "-g", "truth.pkl", "--linking", "moc"], "--linking is for --to tubes"),
        (["boxes.pkl", "--out", "f.txt", "-g", "truth.pkl"], "--out f.txt: detections are written as .pkl or .csv"),
        (["boxes.pkl", "--out", "f.pkl", "-g", "truth.pkl", "--split", "3"], "--split is a number from 1 to 2"),
        (["truth.pkl", "--out", "text", "--fps", "25", "--split", "1"], "--split is for detections; give their"),
        (
            ["truth.pkl", "--out", "t", "--fps", "25", "--label-map", "map.pbtxt"],
            "the label map lacks 'jump'",
        ),
        (["empty", "--out", "x.pkl", "--fps", "25"], "empty has no ground_truth.csv and videos.csv"),
    ],
)
def test_a_wrong_call_is_one_sentence(files, run_cli, words, sentence):
    (files / "empty").mkdir()
    Path("ava.csv").write_text("v,1,0.1,0.1,0.2,0.2,1,0\n")
    Path("old.pkl").write_text("of somebody else")
    Path("map.pbtxt").write_text('item { name: "sit" id: 1 }\n')
    Path("sizes.csv").write_text("video_id,num_frames,width,height\nw,3,640,360\n")
    Path("bad.csv").write_text("video_id,num_frames,width,height\nv,3,0,360\n")
    code, out, err = run_cli("data", "convert", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert Path("old.pkl").read_text() == "of somebody else"


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ("0.1,0.1,0.5,inf", "boxes are fractions of the frame, 0..1, got [0.1, 0.1, 0.5, inf] in v at 2 s"),
        ("10,10,50,70", "boxes are fractions of the frame, 0..1, got [10.0, 10.0, 50.0, 70.0] in v at 2 s"),
        ("0.5,0.1,0.2,0.9", "boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got [0.5, 0.1, 0.2, 0.9] in v at 2 s"),
    ],
)
@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("is_excluded", [False, True])
def test_a_box_that_is_none_is_refused_on_an_excluded_frame_too(files, run_cli, box, sentence, is_train, is_excluded):
    Path("good.csv").write_text("t,1,0.1,0.1,0.2,0.2,1,0\n")
    Path("bad.csv").write_text(f"v,1,0.1,0.1,0.2,0.2,1,0\nv,2,{box},1,0\n")
    Path("out.csv").write_text("v,2\n" if is_excluded else "other,2\n")
    Path("sizes.csv").write_text("video_id,num_frames,width,height\nv,3,640,360\nt,3,640,360\n")
    source = ["good.csv", "--train", "bad.csv"] if is_train else ["bad.csv"]
    options = ("--sizes", "sizes.csv", "--exclude", "out.csv", "--fps", "1", "--out", "x.pkl")
    code, _, err = run_cli(*CONVERT, *source, *options)
    assert (code, Path("x.pkl").exists()) == (2, False)
    assert f"bad.csv, line 2: {sentence}" in err
    call = ("--ground-truth", "bad.csv", "--detections", "good.csv", "--metric", "video", "--fps", "1")
    code, _, err = run_cli("evaluate", *call, "--exclude", "out.csv")
    assert code == 2
    assert f"bad.csv, line 2: {sentence}" in err


def test_a_wrong_rate_is_noticed(files, run_cli):
    assert run_cli(*CONVERT, "truth.pkl", "--out", "text", "--fps", "25")[0] == 0
    code, _, err = run_cli(*CONVERT, "text", "--out", "x.pkl", "--fps", "10")
    assert code == 2
    assert "video 'jump/a', second 0.04: at 10 frames a second this lies between two frames" in err
    code, _, err = run_cli(*CONVERT, "text", "--out", "x.pkl", "--fps", "50")
    assert "video 'throw/b' has 40 frames, and its tubes have frames 1 to 79; check --fps and --start-seconds" in err
    assert (code, Path("x.pkl").exists()) == (2, False)
