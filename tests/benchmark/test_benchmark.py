"""The benchmark of a detector: what is looked at, what is written, and that nothing is lost or flattered."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest
import yaml
from benchmark_calls import as_arguments
from networks import lively_model, save_pyslowfast, small_config_file
from processes import run_python
from tolerances import AVERAGED_SCORES, BOX_FRACTIONS, WRITTEN_BOXES
from videos import constant_rate, write_numbered_video, write_parts

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.evaluation.frame_map import evaluate_files
from ava_detect.formats.ava_csv import read_ava_csv

SECONDS = {"one": 3.2, "two": 2.0, "three": 2.5}
BOXES = ("0.1,0.1,0.5,0.9", "0.4,0.2,0.95,0.8")


def write_truth(path, keyframes):
    """Two people on each keyframe: the first stands (12), the second walks (14) and carries (17)."""
    actions = ((12,), (14, 17))
    rows = [
        f"{video},{second:04d},{box},{action},{person}"
        for video, second in keyframes
        for person, (box, done) in enumerate(zip(BOXES, actions, strict=True))
        for action in done
    ]
    path.write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three short videos, their ground truth, detected boxes that lie a little beside it, and a lively network."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "videos").mkdir()
    for name, seconds in SECONDS.items():
        write_numbered_video(folder / "videos" / f"{name}.mp4", constant_rate(int(30 * seconds), 30))
    write_truth(folder / "truth.csv", [("one", 0), ("one", 2), ("three", 1), ("two", 1)])
    found = ("0.12,0.1,0.5,0.88,,0.9", "0.4,0.22,0.93,0.8,,0.7", "0.0,0.0,0.2,0.3,,0.2")
    (folder / "boxes.csv").write_text(
        "".join(f"{name},{second},{box}\n" for name in SECONDS for second in range(4) for box in found)
    )
    small_config_file(folder)
    save_pyslowfast(lively_model(), folder / "weights.pyth")
    return folder


def bench(world, out, **settings):
    defaults = {"videos": world / "videos", "ground_truth": world / "truth.csv", "boxes": world / "boxes.csv"}
    arguments = as_arguments({**defaults, **settings})
    return run_benchmark(str(world / "small.yaml"), str(world / "weights.pyth"), out, **arguments)


def keyframes_of(out):
    table = read_ava_csv(out / "detections.csv")
    return sorted({(table.video_ids[v], s) for v, s in zip(table.video_index, table.timestamps_seconds, strict=True)})


@pytest.mark.parametrize("dialect", ["official", "pyslowfast"])
def test_the_score_is_that_of_the_written_detections(world, tmp_path, dialect):
    result = bench(world, tmp_path, dialect=dialect)
    again = evaluate_files(world / "truth.csv", tmp_path / "detections.csv", dialect=dialect)
    written = json.loads((tmp_path / "result.json").read_text())
    assert result.score == again
    assert 0 < again.mAP < 1
    assert written["mAP"] == again.mAP
    assert written["per_class"] == json.loads(json.dumps(again.to_json()["per_class"]))
    assert written["dialect"] == dialect
    assert set(written["seconds"]) == {"data", "detection", "action", "evaluation"}
    assert len(written["weights"]["sha256"]) == 64
    assert written["versions"]["torch"]


def test_only_the_keyframes_of_the_ground_truth_are_looked_at(world, tmp_path):
    result = bench(world, tmp_path)
    assert result.all_well
    assert keyframes_of(tmp_path) == [("one", 0.0), ("one", 2.0), ("three", 1.0), ("two", 1.0)]
    assert (result.counts["clips"], result.counts["boxes"], result.counts["rows"]) == (4, 12, 12 * 80)
    # The ground truth begins with "one" and names "three" before "two"; so do the detections.
    assert read_ava_csv(tmp_path / "detections.csv").video_ids == ("one", "three", "two")


def test_rows_that_only_list_a_keyframe_are_looked_at_and_excluded_ones_are_not(world, tmp_path):
    truth = (world / "truth.csv").read_text() + "two,0\none,1\n"
    (tmp_path / "truth.csv").write_text(truth)
    (tmp_path / "excluded.csv").write_text("one,0002\none,0001\n")
    result = bench(world, tmp_path, ground_truth=tmp_path / "truth.csv", exclude=tmp_path / "excluded.csv")
    assert keyframes_of(tmp_path) == [("one", 0.0), ("three", 1.0), ("two", 0.0), ("two", 1.0)]
    assert result.score.num_keyframes == result.counts["keyframes"] == 4
    assert result.score.ignored["ground_truth_on_excluded_keyframes"] == 3


def test_pyslowfast_also_scores_the_keyframes_of_the_box_file(world, tmp_path):
    official = bench(world, tmp_path / "official")
    theirs = bench(world, tmp_path / "theirs", dialect="pyslowfast")
    assert (official.counts["clips"], theirs.counts["clips"]) == (4, 4 + 2 + 3)
    # What is found there is false, so it can only cost.
    assert (
        theirs.score.mAP
        < evaluate_files(world / "truth.csv", tmp_path / "official" / "detections.csv", dialect="pyslowfast").mAP
    )
    assert any("keyframes lie outside the file" in problem for problem in theirs.problems)


def test_scores_are_those_of_annotate(world, tmp_path):
    bench(world, tmp_path / "bench")
    weights, boxes = str(world / "weights.pyth"), world / "boxes.csv"
    annotate_videos(
        world / "videos", tmp_path / "all", config=str(world / "small.yaml"), weights=weights, boxes=boxes,
        formats=("csv",),
    )  # fmt: skip
    wanted = read_ava_csv(tmp_path / "all" / "one.csv")
    wanted = wanted[np.isin(wanted.timestamps_seconds, [0, 2])]
    found = read_ava_csv(tmp_path / "bench" / "detections.csv").only_videos({"one"})
    np.testing.assert_array_equal(found.action_ids, wanted.action_ids)
    np.testing.assert_allclose(found.boxes_fraction, wanted.boxes_fraction, atol=BOX_FRACTIONS)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=AVERAGED_SCORES)


def test_true_boxes(world, tmp_path):
    # This dialect keeps all detections of a keyframe, so every true box is found.
    result = bench(world, tmp_path, boxes="ground-truth", dialect="pyslowfast")
    assert result.counts["boxes"] == 8
    boxes = np.unique(read_ava_csv(tmp_path / "detections.csv").boxes_fraction.round(5), axis=0)
    np.testing.assert_allclose(boxes, [[float(x) for x in box.split(",")] for box in BOXES], atol=WRITTEN_BOXES)
    assert all(result.score.per_class[action].num_tp == 4 for action in (12, 14, 17))


def test_people_below_the_least_score_are_left_out(world, tmp_path):
    assert bench(world, tmp_path, min_person_score=0.5).counts["boxes"] == 8


def test_a_detector_finds_the_people_where_no_boxes_are_given(world, tmp_path):
    result = bench(world, tmp_path, boxes=None, detector="builtin")
    assert (result.counts["clips"], result.settings["people"]) == (4, "builtin")


def test_times_of_the_movie(world, tmp_path):
    write_truth(tmp_path / "truth.csv", [("one", 900), ("one", 902), ("two", 901)])
    lines = (world / "boxes.csv").read_text().splitlines()
    moved = [",".join([name, str(int(second) + 900), *rest]) for name, second, *rest in (li.split(",") for li in lines)]
    (tmp_path / "boxes.csv").write_text("\n".join(moved) + "\n")
    bench(world, tmp_path, ground_truth=tmp_path / "truth.csv", boxes=tmp_path / "boxes.csv", start_seconds=900)
    bench(world, tmp_path / "plain")
    assert keyframes_of(tmp_path) == [("one", 900.0), ("one", 902.0), ("two", 901.0)]
    scores = [
        read_ava_csv(f / "detections.csv").only_videos({"one", "two"}).scores for f in (tmp_path, tmp_path / "plain")
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("boxes", ["ground-truth", "boxes.csv"])
def test_pieces_that_tools_cut_out_of_a_movie_start_where_their_names_say(world, tmp_path, boxes):
    """As AVA-Kinetics has them: each file has a start of its own."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for name, start in (("one", 12), ("two", 300)):
        shutil.copy(world / "videos" / f"{name}.mp4", videos / f"{name}_{start:06d}_{start + 10:06d}.mp4")
    write_truth(tmp_path / "truth.csv", [("one", 14), ("two", 301)])
    found = [f"{video},{second},{box},,0.9\n" for video, second in (("one", 14), ("two", 301)) for box in BOXES]
    (tmp_path / "boxes.csv").write_text("".join(found))
    result = bench(
        world, tmp_path, videos=videos, ground_truth=tmp_path / "truth.csv", dialect="pyslowfast",
        boxes=boxes if boxes == "ground-truth" else tmp_path / boxes,
    )  # fmt: skip
    assert (result.problems, result.counts["boxes"]) == ((), 4)
    assert keyframes_of(tmp_path) == [("one", 14.0), ("two", 301.0)]
    assert all(result.score.per_class[action].num_tp == 2 for action in (12, 14, 17))


def test_a_video_put_together_of_parts_is_scored_and_the_joint_is_said(world, tmp_path):
    write_parts(tmp_path / "parts.ts", 0, 36000)
    write_truth(tmp_path / "truth.csv", [("parts", 0), ("parts", 1)])
    result = bench(world, tmp_path / "out", videos=tmp_path, ground_truth=tmp_path / "truth.csv", boxes="ground-truth")
    assert result.problems == ()
    assert any(note.startswith(f"{tmp_path / 'parts.ts'}: its time stamps jump by +35,99") for note in result.notes)


def test_a_killed_run_goes_on_and_ends_as_if_undisturbed(world, tmp_path):
    paths = {name: str(world / name) for name in ("small.yaml", "weights.pyth", "videos", "truth.csv", "boxes.csv")}
    code = f"""
import os, signal
from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
def die(progress):
    if progress.name == "three" and progress.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
run_benchmark({paths["small.yaml"]!r}, {paths["weights.pyth"]!r}, {str(tmp_path / "cut")!r}, on_progress=die,
    split=SplitOptions({paths["videos"]!r}, {paths["truth.csv"]!r}), people=PeopleOptions({paths["boxes.csv"]!r}))
"""
    assert run_python(code, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "cut" / "videos" / "one.csv").is_file()
    assert not (tmp_path / "cut" / "detections.csv").exists()
    before = (tmp_path / "cut" / "videos" / "one.csv").stat().st_ino
    seen = []
    result = bench(world, tmp_path / "cut", on_progress=seen.append)
    bench(world, tmp_path / "whole")
    counted = [progress for progress in seen if not progress.stage]
    assert {progress.name for progress in counted} == {"three", "two"}
    assert (counted[0].done, counted[-1].done, counted[-1].total) == (2, 4, 4)
    assert (tmp_path / "cut" / "videos" / "one.csv").stat().st_ino == before
    assert (tmp_path / "cut" / "detections.csv").read_bytes() == (tmp_path / "whole" / "detections.csv").read_bytes()
    assert sorted(path.name for path in (tmp_path / "cut" / "videos").iterdir()) == ["one.csv", "three.csv", "two.csv"]
    assert result.counts["clips"] == 4
    assert result.seconds["action"] > 0


def test_what_is_scored_can_be_evaluated_by_other_rules_but_not_mixed_with_other_settings(world, tmp_path):
    bench(world, tmp_path)
    part = tmp_path / "videos" / "one.csv"
    before = part.stat().st_ino
    (tmp_path / "map.pbtxt").write_text('item { name: "walk" id: 14 }\n')
    result = bench(world, tmp_path, label_map=tmp_path / "map.pbtxt")
    assert list(result.score.per_class) == [14]
    assert part.stat().st_ino == before
    with pytest.raises(ConfigError, match=r"made with other settings \(flip was False, now True\)"):
        bench(world, tmp_path, flip=True)
    assert bench(world, tmp_path, flip=True, resume=False).settings["flip"] is True
    assert part.stat().st_ino != before


def test_a_missing_video_is_named_and_its_people_count_as_not_found(world, tmp_path):
    truth = tmp_path / "truth.csv"
    write_truth(truth, [("one", 0), ("lost", 1), ("lost", 2), ("two", 1)])
    result = bench(world, tmp_path, ground_truth=truth, boxes="ground-truth", dialect="pyslowfast")
    assert not result.all_well
    assert result.problems == (
        f"{truth}: 1 of the 3 videos of the ground truth are not in {world / 'videos'}: lost; the people on their 2 "
        "keyframes count as not found",
    )
    assert (result.counts["videos_missing"], result.counts["keyframes"], result.counts["clips"]) == (1, 4, 2)
    standing = result.score.per_class[12]
    assert (standing.num_gt, standing.num_tp) == (4, 2)
    assert standing.ap <= 0.5
    assert result.score == evaluate_files(truth, tmp_path / "detections.csv", dialect="pyslowfast")


def test_broken_videos_and_seconds_outside_are_named_and_the_rest_is_scored(world, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("one", "two"):
        (videos / f"{name}.mp4").write_bytes((world / "videos" / f"{name}.mp4").read_bytes())
    (videos / "three.mp4").write_text("no video")
    write_truth(tmp_path / "truth.csv", [("one", 0), ("three", 1), ("two", 1), ("two", 2), ("two", 7)])
    result = bench(world, tmp_path, videos=videos, ground_truth=tmp_path / "truth.csv", boxes="ground-truth")
    failed, outside = result.problems
    assert "three.mp4 cannot be opened as a video" in failed
    assert failed.endswith("; the people of three count as not found")
    assert "two.mp4: 2 of 3 keyframes lie outside the file (the first is the movie's second 2, the file's 2)" in outside
    assert (result.counts["videos_failed"], result.counts["videos_damaged"]) == (1, 1)
    assert result.score.per_class[12].num_gt == 5
    assert keyframes_of(tmp_path) == [("one", 0.0), ("two", 1.0)]
    # A mended video is scored by the next run, the others are kept.
    (videos / "three.mp4").write_bytes((world / "videos" / "three.mp4").read_bytes())
    assert (
        len(bench(world, tmp_path, videos=videos, ground_truth=tmp_path / "truth.csv", boxes="ground-truth").problems)
        == 1
    )


def test_a_video_that_the_box_file_does_not_know_is_a_problem(world, tmp_path):
    (tmp_path / "boxes.csv").write_text("one,0,0.1,0.1,0.9,0.9,,0.9\nthree,1,0.1,0.1,0.9,0.9,,0.9\n")
    result = bench(world, tmp_path, boxes=tmp_path / "boxes.csv")
    assert len(result.problems) == 1
    assert "no row is of the video 'two'" in result.problems[0]


def test_a_score_of_nothing_comes_with_a_reason(world, tmp_path):
    (tmp_path / "boxes.csv").write_text("one,3,0,0,1,1,,1\ntwo,3,0,0,1,1,,1\nthree,3,0,0,1,1,,1\n")
    result = bench(world, tmp_path, boxes=tmp_path / "boxes.csv")
    assert result.score.mAP == 0
    assert any("no detection" in note or "detections" in note for note in result.notes)


def test_the_result_of_an_untrained_network_has_a_note(world, tmp_path):
    result = run_benchmark(
        str(world / "small.yaml"), "random", tmp_path, split=SplitOptions(world / "videos", world / "truth.csv"),
        people=PeopleOptions("ground-truth"),
    )  # fmt: skip
    assert "untrained network" in json.loads((tmp_path / "result.json").read_text())["notes"][0]
    assert result.weights["trained"] is False


def test_the_split_of_the_config_is_the_default(world, tmp_path):
    config = tmp_path / "with_data.yaml"
    val = {"annotations": "truth.csv", "videos": "videos", "proposals": "boxes.csv"}
    data = {"val": {key: str(world / name) for key, name in val.items()}}
    config.write_text((world / "small.yaml").read_text() + yaml.safe_dump({"data": data}))
    run_benchmark(config, str(world / "weights.pyth"), tmp_path / "out")
    bench(world, tmp_path / "named")
    assert (tmp_path / "out" / "detections.csv").read_bytes() == (tmp_path / "named" / "detections.csv").read_bytes()


def test_a_model_of_chosen_actions_is_scored_on_all_of_them(world, tmp_path):
    config = tmp_path / "some.yaml"
    small = (world / "small.yaml").read_text().replace("model:\n", "model:\n  head: {num_classes: 3}\n")
    config.write_text(small + "labels: {ids: [14, 12, 69]}\n")
    result = run_benchmark(
        config, "random", tmp_path, split=SplitOptions(world / "videos", world / "truth.csv"),
        people=PeopleOptions("ground-truth"),
    )  # fmt: skip
    assert sorted(result.score.per_class) == [12, 14, 69]
    assert sorted(set(read_ava_csv(tmp_path / "detections.csv").action_ids.tolist())) == [12, 14, 69]


def wrong_calls():
    return {
        "no ground truth": (
            {"ground_truth": None},
            "there is no `ground_truth`, and the config's data.val does not name it",
        ),
        "dialect": (
            {"dialect": "oficial"},
            r"`dialect` is official or pyslowfast, got 'oficial' \(did you mean 'official'",
        ),
        "both": ({"detector": "builtin"}, "`boxes` gives the people, so there is nothing for a `detector` to find"),
        "scales": ({"scales": [224, 224]}, "`scales` are short sides in pixels, each once and from 32 to 4096"),
        "precision": ({"precision": "fp8"}, "`precision` is auto, fp32, bf16, fast"),
        "boxes": ({"boxes": "gone.csv"}, "gone.csv"),
        "videos": ({"videos": "gone"}, "there is no such file: gone"),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_a_wrong_call_is_refused_before_any_work(world, tmp_path, name):
    settings, message = wrong_calls()[name]
    with pytest.raises(AvaDetectError, match=message):
        bench(world, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_refused(world, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match=r"`out` .*taken cannot be written to"):
        bench(world, tmp_path / "taken")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]
