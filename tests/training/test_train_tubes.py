"""A training on tubes, from the pickle of a rendered world to weights that know the names of its actions."""

from __future__ import annotations

import pytest

from ava_detect.config import Config
from ava_detect.config.build import label_map_of
from ava_detect.config.choice import choose_network
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
