"""The circle closed in small: results, corrected by a person, teach the network, and are measured on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from corrections import People, accepted, write_corrections

from ava_detect.config.fine_tuning import fine_tuning_config
from ava_detect.errors import ConfigError
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.structures.labels import LabelMap
from ava_detect.training import train


def people_of(world: Path) -> dict[str, dict[float, People]]:
    """The true people of a world by video, keyframe and person."""
    table = read_ground_truth(world / "ground_truth.csv")
    people: dict[str, dict[float, dict[int, tuple]]] = {}
    for row, person in enumerate(table.person_ids.tolist()):
        video = people.setdefault(table.video_ids[table.video_index[row]], {})
        keyframe = video.setdefault(float(table.timestamps_seconds[row]), {})
        _, actions = keyframe.get(person, ((), ()))
        keyframe[person] = (tuple(table.boxes_fraction[row].tolist()), (*actions, int(table.action_ids[row])))
    return people


@pytest.fixture(scope="module")
def corrections(small_world, tmp_path_factory) -> Path:
    """All 8 keyframes of the small world, accepted as they are true."""
    found = people_of(small_world)
    label_map = LabelMap.from_pbtxt(small_world / "label_map.pbtxt")
    return write_corrections(tmp_path_factory.mktemp("review") / "corrections", label_map, found, accepted(found))


@pytest.fixture(scope="module")
def start(small_config, tmp_path_factory) -> Path:
    """Weights after one step."""
    out = tmp_path_factory.mktemp("start")
    config = small_config(train={"epochs": 1, "batch_size": 8, "eval_every": 0})
    return Path(train(config, out).weights)


def test_corrections_train_weights_further_and_are_measured_on(corrections, start, small_world, tmp_path, run_cli):
    out = tmp_path / "out"
    videos = json.dumps(str(small_world / "videos"))
    words = ["train", "--corrections", str(corrections), "--out", str(out), "--json"]
    settings = [f"train.initialise={start}", f"data.corrections.videos={videos}", "train.learning_rate=0.1"]
    settings += ["train.batch_size=4", "train.epochs=12", "train.eval_every=12", "data.crop=null"]
    code, output, _ = run_cli(*words, *(word for setting in settings for word in ("--set", setting)))
    assert code == 0
    result = json.loads(output)
    # By the hashes of their ids, one of the two movies is held out.
    assert f"4 reviewed keyframes of {corrections} trained on, 4 held out (movie_00" in result["notes"][0]
    assert "weights start from" in result["notes"][1]
    assert result["steps"] == 12
    with (out / "log.csv").open() as file:
        first = float(next(csv.DictReader(file))["loss"])
    assert result["loss"] < 0.7 * first
    # It was validated on what is held out, which evaluate can read.
    assert result["metric"] == "frame_mAP"
    held_out = read_ground_truth(out / "held_out.csv", actions_required=True)
    (video_id,) = held_out.video_ids
    truth = read_ground_truth(small_world / "ground_truth.csv").only_videos({video_id})
    assert sorted(zip(held_out.timestamps_seconds, held_out.action_ids, strict=True)) == sorted(
        zip(truth.timestamps_seconds, truth.action_ids, strict=True)
    )
    assert LabelMap.from_pbtxt(out / "held_out.pbtxt").ids == LabelMap.from_pbtxt(small_world / "label_map.pbtxt").ids


def test_the_recipe_is_that_of_the_weights_with_less_of_everything(start):
    config = fine_tuning_config([f"train.initialise={start}", "train.epochs=3"])
    # 0.05 for 8 clips a batch when the weights were trained.
    assert config.train.learning_rate == pytest.approx(0.005)
    assert (config.train.epochs, config.train.batch_size, config.train.schedule) == (3, 8, "cosine")
    assert config.data.train is None, "the data of the weights are not those of the corrections"
    assert config.clip.num_frames == 8


def test_without_a_config_the_weights_to_start_from_are_asked_for():
    with pytest.raises(ConfigError, match=r"there is no config and no train\.initialise; give the weights"):
        fine_tuning_config(["train.epochs=3"])


def test_the_corrections_are_never_replaced(corrections, start):
    config = fine_tuning_config([f"train.initialise={start}", f"data.corrections.folder={corrections}"])
    (corrections / "log.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"log\.csv"):
        train(config, corrections)
    assert (corrections / "log.csv").read_text() == "mine"
    (corrections / "log.csv").unlink()
