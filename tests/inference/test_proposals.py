"""Boxes for training: those that `annotate` finds, on annotated keyframes, readable by all who use them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from fixed_detector import FixedDetector
from networks import lively_model, small_config_file
from tube_sets import tube, tube_truth, write_set
from videos import constant_rate, frame_number, write_numbered_video, write_parts

from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.keyframe_table import read_keyframe_table
from ava_detect.detectors import build_detector
from ava_detect.errors import AvaDetectError, ConfigError, DetectorError, FormatError
from ava_detect.evaluation.person_ap import person_ap
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.inference import proposals as propose
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.proposals import DetectorOptions, propose_people
from ava_detect.structures import Frame

PEOPLE = np.array([[0.125, 0.25, 0.5, 0.875], [0.5, 0.125, 1.25, 0.75], [1.125, 0.1, 1.2, 0.8]], np.float32)
TRUTH = "0.125,0.25,0.5,0.875,12,1"


@pytest.fixture
def detector(monkeypatch):
    """Two people inside the frame, one of them reaching out of it, and one outside; none on the black frame 0."""
    fixed = FixedDetector(*PEOPLE, scores=[0.9, 0.25, 0.8], is_empty=lambda image: frame_number(image) == 0)
    monkeypatch.setattr(propose, "build_detector", lambda *_, **__: fixed)
    return fixed


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("propose")
    write_numbered_video(folder / "a.mp4", constant_rate(100, 30))
    write_numbered_video(folder / "b.mp4", constant_rate(60, 20))
    return folder


def truth_of(folder, *keyframes):
    path = folder / "truth.csv"
    path.write_text("".join(f"{video},{second},{TRUTH}\n" for video, second in keyframes))
    return path


def test_a_row_for_each_person_on_each_annotated_keyframe(videos, tmp_path, detector):
    truth = truth_of(tmp_path, ("b", 1), ("a", 3), ("a", 1.5), ("a", 3), ("a", 2))
    exclude = tmp_path / "exclude.csv"
    exclude.write_text("a,2\n")
    seen = []
    found = propose_people(
        videos,
        truth,
        tmp_path / "deep" / "out.csv",
        exclude=exclude,
        on_progress=lambda at: seen.append((at.done, at.total)),
    )
    assert [(f.video_id, frame_number(f.image)) for f in detector.seen] == [("b", 20), ("a", 45), ("a", 90)]
    one, other = "0.125,0.25,0.5,0.875,,0.9", "0.5,0.125,1,0.75,,0.25"
    assert (tmp_path / "deep" / "out.csv").read_text().splitlines() == [
        f"{keyframe},{person}" for keyframe in ("b,0001", "a,0001.5", "a,0003") for person in (one, other)
    ]
    assert (found.videos, found.keyframes, found.people, found.problems) == (2, 3, 6, ())
    assert seen[-1] == (3, 3) and [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("name", ["mm_demo.mp4", "mm_skeleton.mp4"])
def test_the_people_are_those_that_annotate_finds_there(name, shared, tmp_path):
    """28 frames a second; and frames at uneven times, larger than what a detector is shown."""
    video = shared / "videos" / name
    detector = build_detector("builtin", num_threads=1)
    expected = [keyframe for keyframe in Pipeline(detector, lively_model())(video, at_seconds=[0, 1, 2.5]) if keyframe]
    truth = truth_of(tmp_path, *((video.stem, second + 900) for second in (0, 1, 2.5)))
    propose_people(shared / "videos", truth, tmp_path / "out.csv", DetectorOptions(device="cpu"), start_seconds=900)
    rows = read_ava_csv(tmp_path / "out.csv")
    seconds = [keyframe.timestamp_seconds + 900 for keyframe in expected for _ in range(len(keyframe))]
    assert len(expected) >= 2
    assert rows.timestamps_seconds.tolist() == seconds
    boxes = np.concatenate([keyframe.boxes_fraction for keyframe in expected])
    np.testing.assert_allclose(rows.boxes_fraction, boxes, atol=3e-7)
    scores = np.concatenate([keyframe.person_scores for keyframe in expected])
    np.testing.assert_array_equal(rows.scores.astype(np.float32), scores)


def test_every_reader_of_boxes_reads_the_proposals(videos, tmp_path, detector):
    """There is no person on the first second of b."""
    truth, out = truth_of(tmp_path, ("a", 1), ("a", 2), ("b", 0)), tmp_path / "out.csv"
    propose_people(videos, truth, out)
    assert "b,0000\n" in out.read_text()
    trained_on = read_keyframe_table(truth, action_ids=[12], proposals=out, min_proposal_score=0.8)
    # The detector's boxes are the true ones, so that they are the same people.
    assert [len(trained_on.boxes_fraction(i)) for i in range(3)] == [1, 1, 1]
    assert [trained_on.label_matrix(i).tolist() for i in range(3)] == [[[1]], [[1]], [[1]]]
    given = build_detector(f"boxes:{out}")
    black = np.zeros((10, 10, 3), np.uint8)
    assert [len(p) for p in given([Frame(black, 1.0, "a"), Frame(black, 0.0, "b")])] == [2, 0]
    result = person_ap(read_ava_csv(truth, last_column="person_id"), read_ava_csv(out))
    assert (result.num_people, result.num_boxes, result.recall) == (3, 4, pytest.approx(2 / 3))
    config = small_config_file(tmp_path)
    scored = run_benchmark(
        config, "random", tmp_path / "b", split=SplitOptions(videos, truth), people=PeopleOptions(out)
    )
    assert (scored.problems, scored.counts["boxes"], scored.counts["clips"]) == ((), 4, 3)


def test_pieces_that_tools_cut_out_of_a_movie_start_where_their_name_says(videos, tmp_path, detector):
    (tmp_path / "cut").mkdir()
    shutil.copy(videos / "a.mp4", tmp_path / "cut" / "a_000012_000022.mp4")
    propose_people(tmp_path / "cut", truth_of(tmp_path, ("a", 13)), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "a,0013,0.125,0.25,0.5,0.875,,0.9"
    assert [frame_number(frame.image) for frame in detector.seen] == [30]


def test_a_video_put_together_of_parts_is_read_and_the_joint_is_said(tmp_path, detector, run_cli):
    write_parts(tmp_path / "parts.ts", 0, 36000)
    truth = truth_of(tmp_path, ("parts", 0), ("parts", 1.5))
    code, _, err = run_cli(
        "data", "propose", "--videos", tmp_path, "--ground-truth", truth, "--out", tmp_path / "found.csv"
    )
    assert code == 0
    assert err.startswith(f"ava-detect: {tmp_path / 'parts.ts'}: its time stamps jump by +35,99")


def test_what_cannot_be_looked_at_is_named_and_the_others_go_on(videos, tmp_path, detector, run_cli):
    folder = shutil.copytree(videos, tmp_path / "videos")
    (folder / "broken.mp4").write_text("no video")
    truth = truth_of(tmp_path, ("broken", 1), ("a", 1), ("a", 50), ("lost", 1), ("lost", 2), ("b", 1))
    call = ("data", "propose", "--videos", folder, "--ground-truth", truth, "--out", tmp_path / "out.csv")
    code, out, err = run_cli(*call, "--json")
    assert code == 1
    said = json.loads(out)
    assert (said["videos"], said["keyframes"], said["people"]) == (2, 2, 4)
    lost, broken, outside = said["problems"]
    assert (
        lost
        == f"{truth}: 1 of the 4 videos of the ground truth are not in {folder}: lost; their 2 keyframes have no boxes"
    )
    assert "broken.mp4 cannot be opened as a video" in broken and broken.endswith("; broken has no boxes")
    assert "a.mp4: 1 of 2 keyframes lie outside the file (the first is the movie's second 50, " in outside
    assert err.splitlines() == [f"ava-detect: {problem}" for problem in said["problems"]]
    assert {row.split(",")[0] for row in (tmp_path / "out.csv").read_text().splitlines()} == {"a", "b"}
    assert run_cli(*call)[1] == f"2 videos, 2 keyframes, 4 people: {tmp_path / 'out.csv'}\n"
    assert run_cli(*call, "--quiet")[1] == ""


def test_the_file_is_whole_or_what_it_was(videos, tmp_path, detector, monkeypatch):
    truth, out = truth_of(tmp_path, ("a", 1), ("b", 1)), tmp_path / "out.csv"
    out.write_text("as it was")

    def interrupted(frames):
        raise KeyboardInterrupt

    monkeypatch.setattr(FixedDetector, "__call__", lambda self, frames: interrupted(frames))
    with pytest.raises(KeyboardInterrupt):
        propose_people(videos, truth, out)
    assert out.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "truth.csv"]


def test_without_any_video_there_is_no_file(tmp_path, detector):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(AvaDetectError, match=r"out\.csv is not written, because no video could be read: .*a\.mp4 can"):
        propose_people(tmp_path, truth_of(tmp_path, ("a", 1)), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    for name in "bcdef":
        (tmp_path / f"{name}.mp4").write_text("no video")
    with pytest.raises(AvaDetectError, match=r"c has no boxes; and 3 more$"):
        propose_people(tmp_path, truth_of(tmp_path, *((name, 1) for name in "abcdef")), tmp_path / "out.csv")


def test_a_place_that_cannot_be_written_is_found_before_the_work(videos, tmp_path, detector):
    truth = truth_of(tmp_path, ("a", 1))
    with pytest.raises(ConfigError, match="is a folder; give the name of a csv in it"):
        propose_people(videos, truth, tmp_path)
    with pytest.raises(ConfigError, match="cannot be written to"):
        propose_people(videos, truth, truth / "out.csv")
    assert detector.seen == []


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), KeyError("odd"), DetectorError("bad")])
def test_a_video_on_which_the_detector_fails_in_any_way_loses_no_other(videos, tmp_path, detector, monkeypatch, error):
    def fail_on_a(frames):
        if frames[0].video_id == "a":
            raise error
        return detector(frames)

    fail_on_a.name = "fails"
    monkeypatch.setattr(propose, "build_detector", lambda *_, **__: fail_on_a)
    found = propose_people(videos, truth_of(tmp_path, ("a", 1), ("b", 1)), tmp_path / "out.csv")
    assert (found.videos, len(found.problems)) == (1, 1)
    assert "a has no boxes" in found.problems[0]
    assert set(read_ava_csv(tmp_path / "out.csv").video_ids) == {"b"}


def test_a_wrong_call_is_refused_before_the_detector_is_built(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(propose, "build_detector", lambda *_, **__: pytest.fail("it was built"))
    truth = truth_of(tmp_path, ("a", 1))
    with pytest.raises(DetectorError, match=r"`detector`: there is no file gone\.onnx"):
        propose_people(videos, truth, tmp_path / "out.csv", DetectorOptions("onnx:gone.onnx"))
    with pytest.raises(ConfigError, match="`start_seconds` is a number of seconds, got nan"):
        propose_people(videos, truth, tmp_path / "out.csv", start_seconds=float("nan"))
    with pytest.raises(FormatError):
        propose_people(videos, tmp_path / "gone.csv", tmp_path / "out.csv")


def test_people_on_the_frames_of_tubes_by_their_numbers(tmp_path, detector):
    frames = {"jump/one": (3, 4), "throw/two": (45,), "throw/three": (1,)}
    tubes = {video: tuple(tube(video, 0, n, n) for n in numbers) for video, numbers in frames.items()}
    world = write_set(tmp_path / "set", tube_truth(tubes=tubes))
    found = propose_people(world / "videos", world / "GT.pkl", tmp_path / "out.csv")
    assert (found.videos, found.keyframes, found.problems) == (3, 4, ())
    # A frame carries its number from 0; the first of a video is black and shows nobody.
    assert [(f.video_id, frame_number(f.image)) for f in detector.seen] == [
        ("jump/one", 2), ("jump/one", 3), ("throw/two", 44), ("throw/three", 0),
    ]  # fmt: skip
    rows = read_ava_csv(tmp_path / "out.csv")
    places = {(rows.video_ids[v], t) for v, t in zip(rows.video_index, rows.timestamps_seconds, strict=True)}
    assert places == {(video, n) for video, numbers in frames.items() for n in numbers}
    split = {"annotations": str(world / "GT.pkl"), "videos": str(world / "videos"), "proposals": str(found.out)}
    data = {"kind": "tubes", "train": split, "min_proposal_score": 0.5}
    config = Config.model_validate({"model": {"head": {"num_classes": 3}}, "data": data})
    dataset = build_dataset(config, "train", training=True)
    assert [len(dataset.boxes_fraction(index)) for index in range(2)] == [2, 2]  # the true one and the detector's
    with pytest.raises(ConfigError, match="`exclude` and `start_seconds` are not for tubes"):
        propose_people(world / "videos", world / "GT.pkl", tmp_path / "out.csv", start_seconds=900)
