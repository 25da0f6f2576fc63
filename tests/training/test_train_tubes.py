"""A training on tubes, from the pickle of a rendered world to weights that know the names of its actions."""

from __future__ import annotations

import json

import pytest

from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.config import Config
from ava_detect.config.build import label_map_of
from ava_detect.config.choice import choose_network
from ava_detect.config.fine_tuning import fine_tuning_config
from ava_detect.structures.labels import LabelMap
from ava_detect.training import train


@pytest.mark.parametrize("score", ["softmax", "softmax_with_background", "action"])
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


def test_weights_of_tubes_are_scored_and_trained_further_on_other_data(small_world, small_config, val_split, tmp_path):
    split = {"annotations": str(small_world / "tubes.pkl"), "videos": str(small_world / "videos")}
    config = small_config(data={"kind": "tubes", "train": split}, train={"epochs": 1, "batch_size": 60})
    weights = train(config.model_copy(update={"labels": Config().labels}), tmp_path).weights
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
