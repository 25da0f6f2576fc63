"""What a training leaves behind, used: annotated videos, classifiers, weights to start from."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator
from networks import save_pyslowfast
from tolerances import FLOAT32_SCORES
from videos import write_numbered_video

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.datasets.build import build_dataset
from ava_detect.errors import WeightsError
from ava_detect.evaluation.frame_map import evaluate_files
from ava_detect.formats.ava_csv import read_ava_csv, write_ava_table
from ava_detect.models.weights import load_weights, save_weights
from ava_detect.results.people_table import columns_of
from ava_detect.structures.labels import NO_ACTION, LabelMap
from ava_detect.training import train
from ava_detect.training.initialise import initialise
from ava_detect.training.validation import build_validation, chosen_clips, detail_names

TINY_BACKBONE = {"depths": [1, 1, 1, 1], "width": 16, "alpha": 4}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def write_boxes(truth, path) -> None:
    """The people of a ground truth, each once and without an action, as a detector would list them."""
    table = read_ava_csv(truth, last_column="person_id")
    moments = np.stack([table.video_index, table.timestamps_seconds, table.person_ids], axis=1)
    first = np.unique(moments, axis=0, return_index=True)[1]
    chosen = table[np.sort(first)]
    write_ava_table(
        path, replace(chosen, action_ids=np.full_like(chosen.action_ids, NO_ACTION), person_ids=np.full(len(first), -1))
    )


def test_annotating_with_the_weights_gives_the_map_of_the_validation(small_config, small_world, val_split, tmp_path):
    config = small_config(data={"val": val_split}, train={"epochs": 2, "ema_decay": 0.5, "learning_rate": 0.2})
    result = train(config, tmp_path / "out")
    truth, people = small_world / "ground_truth.csv", tmp_path / "people.csv"
    write_boxes(truth, people)
    annotate_videos(
        [str(small_world / "videos")], tmp_path / "annotated", weights=result.weights, boxes=people, formats=("csv",)
    )
    detections = sorted((tmp_path / "annotated").rglob("*.csv"))
    found = evaluate_files(truth, detections, label_map=small_world / "label_map.pbtxt")
    assert found.mAP == pytest.approx(result.score, abs=1e-6)
    best = next(row for row in rows_of(tmp_path / "out" / "validation.csv") if float(row["epoch"]) == result.best_epoch)
    assert float(best["frame_mAP"]) == result.score
    for entry in found.per_class.values():
        assert float(best[entry.name]) == pytest.approx(entry.ap, abs=1e-6, nan_ok=True)


def test_actions_numbered_from_zero_keep_their_ids(small_config, small_world, tmp_path):
    """In the label map, the annotations, training, the weights, the results and the score."""
    table = read_ava_csv(small_world / "ground_truth.csv", last_column="person_id")
    # The most frequent action comes first, and gets the id 0.
    known = LabelMap.from_pbtxt(small_world / "label_map.pbtxt")
    known = LabelMap(tuple(sorted(known, key=lambda action: -np.count_nonzero(table.action_ids == action.id))))
    label_map = LabelMap(tuple(replace(action, id=column) for column, action in enumerate(known)))
    (tmp_path / "map.pbtxt").write_text(label_map.to_pbtxt())
    truth, people = tmp_path / "truth.csv", tmp_path / "people.csv"
    write_ava_table(truth, replace(table, action_ids=columns_of(table.action_ids, known).astype(np.int32)))
    counts = np.bincount(columns_of(table.action_ids, known), minlength=len(known))
    # A person without an action, whose cell is empty, is not of class 0.
    negative = tmp_path / "with_negative.csv"
    negative.write_text(truth.read_text() + "movie_000,0002,0.4,0.4,0.5,0.5,,99\n")
    write_boxes(negative, people)
    split = {"annotations": str(negative), "videos": str(small_world / "videos")}
    config = small_config(
        labels={"map": str(tmp_path / "map.pbtxt")},
        data={"train": split, "val": split},
        train={"epochs": 1, "learning_rate": 0.2},
    )
    dataset = build_dataset(config, "train", training=False)
    marked = sum(dataset.table.label_matrix(index).sum(axis=0) for index in range(len(dataset)))
    np.testing.assert_array_equal(marked, counts)
    assert dataset.table.unknown_labels == {}

    result = train(config, tmp_path / "out")
    annotate_videos(
        [str(small_world / "videos")], tmp_path / "annotated", weights=result.weights, boxes=people, formats=("csv",)
    )
    detections = sorted((tmp_path / "annotated").rglob("*.csv"))
    assert set(read_ava_csv(detections[0]).action_ids.tolist()) == set(range(len(label_map)))
    found = evaluate_files(truth, detections, label_map=label_map)
    assert found.mAP == pytest.approx(result.score, abs=1e-6)
    assert found.per_class[0].num_gt == counts[0] > 0


def test_a_few_keyframes_are_drawn_once_and_scored_alone(small_config, val_split):
    config = small_config(data={"val": val_split}, train={"eval_keyframes": 3})
    chosen = chosen_clips(config, 8)
    assert len(set(chosen)) == 3
    assert chosen == sorted(chosen) == chosen_clips(config, 8)
    assert chosen_clips(config, 3) == [0, 1, 2]
    validation = build_validation(config)
    clips = build_dataset(config, "val", training=False)

    def perfect(index):
        labels = clips[index].labels.numpy()
        return validation.outcome(index, clips[index], labels)

    score = validation.score([perfect(index) for index in chosen])
    # What is true of the other keyframes is not missed.
    assert score.value == 1.0
    assert list(score.details) == detail_names(config)
    assert validation.score([perfect(index) for index in chosen[:2]]).value < 1.0


def test_the_validation_scores_people_by_the_rule_of_the_network(small_config, small_world, val_split, tmp_path):
    """With proposals as the benchmark has them: each score times the person's, for a network of that rule."""
    people = tmp_path / "people.csv"
    write_boxes(small_world / "ground_truth.csv", people)
    scores = 0.8 + 0.2 * np.random.default_rng(0).random(len(people.read_text().splitlines()))
    lines = zip(people.read_text().splitlines(), scores, strict=True)
    people.write_text("".join(f"{','.join((line.split(',') + [''] * 8)[:7])},{score:.4f}\n" for line, score in lines))
    found = {}
    for rule in ("action", "action_x_person"):
        model = {"backbone": TINY_BACKBONE, "head": {"num_classes": 20, "dropout": 0.0, "score": rule}}
        config = small_config(model=model, data={"val": val_split | {"proposals": str(people)}})
        validation = build_validation(config)
        outcomes = []
        validation.score = lambda detections, outcomes=outcomes: outcomes.extend(detections)
        validation(build_model(config), Accelerator(cpu=True))
        found[rule] = outcomes
    assert len(found["action"]) == len(build_dataset(config, "val", training=False)) > 3
    for action, product in zip(found["action"], found["action_x_person"], strict=True):
        np.testing.assert_array_equal(action.person_scores, product.person_scores)
        np.testing.assert_allclose(
            product.action_scores, action.action_scores * action.person_scores[:, None], atol=FLOAT32_SCORES
        )
    assert np.ptp(np.concatenate([one.person_scores for one in found["action"]])) > 0.1


def test_of_all_of_ava_sixty_actions_are_evaluated():
    assert len(detail_names(Config())) == 1 + 60
    assert detail_names(Config())[0] == "frame_mAP"


@pytest.fixture
def moving_pictures(tmp_path):
    """Four videos of 2 s with numbered frames; those of odd number start their numbers late, so they look different."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(4):
        seconds = [i / 10 for i in range(20)]
        write_numbered_video(folder / f"v{number}.mp4", seconds, rate=10, width=64, height=48 + 16 * (number % 2))
    return folder


def classifier_config(kind: str, annotations, videos, num_classes: int, **train_settings) -> Config:
    split = {"annotations": str(annotations), "videos": str(videos)}
    return Config.model_validate(
        {
            "model": {
                "task": "classification",
                "backbone": TINY_BACKBONE,
                "head": {
                    "num_classes": num_classes,
                    "dropout": 0.0,
                    "activation": "softmax" if kind == "kinetics" else "sigmoid",
                },
            },
            "clip": {"num_frames": 8, "sampling_rate": 2, "short_side": 32, "resize": "swscale"},
            "data": {
                "kind": kind,
                "train": split,
                "val": split,
                "short_side": [32, 36],
                "crop": 32,
                "num_workers": 0,
            },
            "train": {
                "epochs": 3,
                "batch_size": 4,
                "learning_rate": 0.05,
                "warmup_epochs": 0,
                "log_every": 1,
                **train_settings,
            },
        }
    )


def test_a_kinetics_style_set_trains_and_loads(moving_pictures, tmp_path):
    (tmp_path / "list.csv").write_text("".join(f"v{n}.mp4 {n % 2}\n" for n in range(4)))
    config = classifier_config("kinetics", tmp_path / "list.csv", moving_pictures, 6)
    result = train(config, tmp_path / "out")
    assert result.metric == "top1"
    assert 0 <= result.score <= 1
    rows = rows_of(tmp_path / "out" / "validation.csv")
    assert list(rows[0]) == ["step", "epoch", "top1", "top5"]
    assert all(float(row["top1"]) <= float(row["top5"]) for row in rows)
    # Cross entropy of six classes that nothing is known of
    assert float(rows_of(tmp_path / "out" / "log.csv")[0]["loss"]) == pytest.approx(math.log(6), rel=0.1)
    assert load_weights(build_model(config), result.weights).complete


def test_a_charades_style_set_trains_and_loads(moving_pictures, tmp_path):
    lines = ["id,subject,actions", *(f'v{n},X,"c00{n} 0.00 2.00;c00{n + 1} 0.50 1.50"' for n in range(4))]
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    config = classifier_config("charades", tmp_path / "list.csv", moving_pictures, 8)
    result = train(config, tmp_path / "out")
    assert result.metric == "mAP"
    row = rows_of(tmp_path / "out" / "validation.csv")[0]
    assert list(row)[2] == "mAP"
    per_class = np.array([float(value) for value in list(row.values())[3:]])
    assert np.isnan(per_class).sum() == 3  # c005 to c007 never happen
    assert float(row["mAP"]) == pytest.approx(np.nanmean(per_class))
    # Binary cross entropy of what nothing is known of
    assert float(rows_of(tmp_path / "out" / "log.csv")[0]["loss"]) == pytest.approx(math.log(2), rel=0.1)
    assert load_weights(build_model(config), result.weights).complete


def model_of(num_classes: int, seed: int, task: str = "detection"):
    head = {"num_classes": num_classes}
    content = {"model": {"task": task, "backbone": TINY_BACKBONE, "head": head}, "clip": {"num_frames": 8}}
    return build_model(Config.model_validate(content), seed=seed)


def test_weights_of_the_same_actions_are_taken_whole(tmp_path):
    save_weights(model_of(20, seed=1), tmp_path / "old.safetensors")
    network = model_of(20, seed=2)
    note = initialise(network, str(tmp_path / "old.safetensors"))
    assert torch.equal(network.head.projection.weight, model_of(20, seed=1).head.projection.weight)
    assert "old.safetensors" in note
    assert "fresh" not in note


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_weights_of_other_actions_keep_the_head_fresh(tmp_path, task):
    old = model_of(40, seed=1, task=task)
    save_pyslowfast(old, tmp_path / "kinetics.pyth")
    network = model_of(20, seed=2)
    assert initialise(network, str(tmp_path / "kinetics.pyth")).endswith("the last layer starts fresh")
    assert torch.equal(network.head.projection.weight, model_of(20, seed=2).head.projection.weight)
    name = "res4.fast.block0.b.conv.weight"
    assert torch.equal(network.backbone.get_parameter(name), old.backbone.get_parameter(name))


def test_weights_that_do_not_fit_are_refused(small_config, tmp_path):
    wider = Config.model_validate({"model": {"backbone": TINY_BACKBONE | {"width": 32}}, "clip": {"num_frames": 8}})
    save_weights(build_model(wider), tmp_path / "wide.safetensors")
    with pytest.raises(WeightsError, match=r"wide.safetensors does not fit this model"):
        train(small_config(train={"initialise": str(tmp_path / "wide.safetensors")}), tmp_path / "out")


def test_the_command(small_config, tmp_path, run_cli):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small_config(train={"epochs": 5}).model_dump(mode="json")))
    call = ("train", "--config", config, "--out", tmp_path / "out", "--set", "train.epochs=1")
    code, out, err = run_cli(*call)
    assert (code, err) == (0, "")
    assert "2 steps in 1 epoch" in out
    assert str(tmp_path / "out" / "model.safetensors") in out
    assert "Note: there is no data.val" in out
    code, _, err = run_cli(*call)
    assert code == 2
    assert "holds a training already" in err
    code, out, _ = run_cli(*call, "--resume", "--json")
    assert code == 0
    assert '"steps": 2' in out
    code, _, err = run_cli(*call, "--set", "train.epoch=1")
    assert code == 2
    assert "epochs" in err


def test_a_training_that_fails_ends_with_code_1(small_config, tmp_path, run_cli):
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump(small_config(train={"epochs": 5, "learning_rate": 1e30}).model_dump(mode="json")))
    code, _, err = run_cli("train", "--config", config, "--out", tmp_path / "out", "--quiet")
    assert code == 1
    assert "so the training stopped; try a lower train.learning_rate" in err
