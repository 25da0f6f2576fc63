"""A training on tubes, from the pickle of a rendered world to weights that know the names of its actions."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.config import Config
from ava_detect.config.build import label_map_of
from ava_detect.config.choice import choose_network
from ava_detect.config.fine_tuning import fine_tuning_config
from ava_detect.evaluation.tube_runs import TubeOptions, TubeRun, evaluate_tubes
from ava_detect.formats.ava_csv import write_ava_table
from ava_detect.formats.tube_tables import rows_of_annotations
from ava_detect.results.tube_detections import TubeReading, read_detections
from ava_detect.results.tube_truth import truth_of_pickle
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.labels import LabelMap
from ava_detect.training import train


@pytest.mark.parametrize("score", ["softmax", "softmax_with_background"])
def test_a_training_on_every_frame(small_world, small_config, tmp_path, score):
    split = {"annotations": str(small_world / "tubes.pkl"), "videos": str(small_world / "videos")}
    background = score == "softmax_with_background"
    head = {"num_classes": 20, "dropout": 0.0, "score": score, "background_class": background}
    config = small_config(
        model={"backbone": {"depths": [1, 1, 1, 1], "width": 16, "alpha": 4}, "head": head},
        data={"kind": "tubes", "train": split, "val": split},
        train={"epochs": 1, "batch_size": 30, "eval_keyframes": 4, "log_every": 1},
    )
    config = config.model_copy(update={"labels": Config().labels})
    result = train(config, tmp_path)
    assert result.steps == 4  # 2 movies of 60 frames
    assert (result.metric, 0 <= result.score <= 1) == ("frame_mAP", True)
    kept = choose_network(result.weights).config
    assert (kept.model.head.score, kept.model.head.background_class) == (score, background)
    world_map = LabelMap.from_pbtxt(small_world / "label_map.pbtxt")
    assert [action.name for action in label_map_of(kept)] == [action.name for action in world_map]


@pytest.fixture(scope="module")
def weights_of_tubes(small_world, small_config, tmp_path_factory) -> str:
    split = {"annotations": str(small_world / "tubes.pkl"), "videos": str(small_world / "videos")}
    config = small_config(data={"kind": "tubes", "train": split}, train={"epochs": 1, "batch_size": 60})
    return train(config.model_copy(update={"labels": Config().labels}), tmp_path_factory.mktemp("run")).weights


def test_every_frame_annotated_is_the_benchmark_and_is_linked_in_each_way(small_world, weights_of_tubes, tmp_path):
    pickle, videos = small_world / "tubes.pkl", small_world / "videos"
    options = PeopleOptions("ground-truth")
    scored = run_benchmark(
        None, weights_of_tubes, tmp_path / "scored", split=SplitOptions(videos, pickle), people=options, dialect="act"
    )
    assert scored.counts["keyframes"] == 120
    boxes = tmp_path / "boxes.csv"
    truth = truth_of_pickle(pickle)
    same = {label: label for label in truth.annotations.label_map.ids}
    write_ava_table(boxes, rows_of_annotations(truth.annotations, FrameNumbers(15), same))
    annotate_videos(
        videos,
        tmp_path / "results",
        weights=weights_of_tubes,
        every_seconds=1 / 15,
        detector=f"boxes:{boxes}?last_column=person_id",
    )

    def video_map(path: Path, linking: str) -> TubeRun:
        settings = TubeOptions("video", "act", (0.2, 0.5), linking=linking, fps=15)
        read = partial(read_detections, truth=truth, reading=TubeReading())
        return evaluate_tubes(truth.annotations, [path], settings, read=read)[0]

    for linking in ("moc", "tracks"):
        by_frames, by_results = (
            video_map(path, linking) for path in (scored.out / "detections.pkl", tmp_path / "results")
        )
        assert by_frames.num_linked and by_results.num_linked
        assert 0 < by_results.results[0].mAP <= 1
        if linking == "moc":  # the tracks of a run go on where those of a pickle of boxes begin anew
            assert by_results.num_linked == by_frames.num_linked
            assert by_results.results[1].mAP == pytest.approx(by_frames.results[1].mAP, abs=1e-4)


def test_weights_of_tubes_are_scored_and_trained_further_on_other_data(
    small_world, weights_of_tubes, val_split, tmp_path
):
    weights = weights_of_tubes
    further = fine_tuning_config([f"train.initialise={weights}", f"data.train={json.dumps(val_split)}"])
    assert (further.data.kind, further.train.batch_size) == ("ava", 8)
    # Whatever the ground truth is, it is read as such.
    for truth, kind in (("tubes.pkl", "tubes"), ("ground_truth.csv", "ava")):
        files = SplitOptions(small_world / "videos", small_world / truth)
        options = PeopleOptions("ground-truth")
        result = run_benchmark(
            None, weights, tmp_path / kind, split=files, people=options, overrides=["data.test_frames=labelled"]
        )
        assert (result.kind, result.counts["videos"], result.problems) == (kind, 2, ())
