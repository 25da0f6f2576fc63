"""Checkpoints: whole or not at all, of this training or refused."""

import random

import numpy as np
import pytest
import torch

from ava_detect.config import Config
from ava_detect.errors import TrainingError
from ava_detect.training.checkpoint import (
    check_same_training,
    damage_named,
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
)


def test_random_numbers_go_on_through_a_file(tmp_path):
    random.random(), np.random.rand(3), torch.rand(3)
    np.random.randn()  # leaves a second normal number behind, which is part of the state
    save_checkpoint(tmp_path / "last.pt", {"random": [random_states()]})

    def draw():
        return random.random(), np.random.randn(), np.random.rand(), torch.rand(2).tolist()

    expected = draw()
    assert draw() != expected
    restore_random_states(load_checkpoint(tmp_path / "last.pt")["random"][0])
    assert draw() == expected


def config(**train) -> Config:
    return Config.model_validate({"train": train, "data": {"num_workers": train.pop("num_workers", 2)}})


def state_of(settings: Config, num_clips: int = 100) -> dict:
    return {"config": settings.model_dump(mode="json"), "num_clips": num_clips}


def test_the_same_training_passes_whatever_changes_no_number(tmp_path):
    before = state_of(config(epochs=3))
    check_same_training(tmp_path, before, config(epochs=3, num_workers=7, log_every=99, save_every=5), 100)


def test_another_training_is_refused_naming_both_values(tmp_path):
    before = state_of(config(learning_rate=0.1, step_epochs=[10]))
    with pytest.raises(TrainingError) as error:
        check_same_training(tmp_path / "last.pt", before, config(learning_rate=0.2, step_epochs=[10, 15]), 99)
    message = str(error.value)
    assert "train.learning_rate was 0.1 and is now 0.2" in message
    assert "train.step_epochs was [10] and is now [10, 15]" in message
    assert "the training set had 100 clips and has now 99" in message
    assert message.startswith(str(tmp_path / "last.pt"))


# A pickle of a text that is not UTF-8.
NO_TEXT = b"\x80\x02X\x03\x00\x00\x00\xff\xfe\xfd."


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off", NO_TEXT])
def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last.pt cannot be read as a checkpoint \("):
        load_checkpoint(path)


def test_other_torch_files_are_refused(tmp_path):
    torch.save({"model_state": {}}, tmp_path / "other.pt")
    with pytest.raises(TrainingError, match="is not a checkpoint of a training"):
        load_checkpoint(tmp_path / "other.pt")


def test_a_write_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        save_checkpoint(path, {"step": lambda: 2})
    assert load_checkpoint(path)["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def broken_states(damage: str) -> dict:
    states = random_states()
    version, numbers, gauss = states["python"]
    if damage == "negative":
        states["python"] = (version, (-5, *numbers[1:]), gauss)
    elif damage == "type":
        states["numpy"] = [1, 2]
    elif damage == "size":
        states["torch"] = states["torch"][:10]
    else:
        del states["python"]
    return states


@pytest.mark.parametrize("damage", ["negative", "type", "size", "missing"])
def test_a_checkpoint_with_a_damaged_value_is_named(damage):
    before = random_states()
    try:
        with (
            pytest.raises(TrainingError, match=r"run/last.pt is a damaged checkpoint \(.*start a new training"),
            damage_named("run/last.pt"),
        ):
            restore_random_states(broken_states(damage))
    finally:
        restore_random_states(before)


def test_what_is_no_damage_passes():
    with pytest.raises(TrainingError, match="of another training"), damage_named("last.pt"):
        raise TrainingError("last.pt is of another training")
    with pytest.raises(torch.OutOfMemoryError), damage_named("last.pt"):
        raise torch.OutOfMemoryError("the GPU is full")


def test_settings_that_an_earlier_version_did_not_have_were_at_their_defaults(tmp_path):
    before = state_of(config(epochs=3))
    for name in ("optimiser", "layer_decay", "betas", "cosine_end", "cosine_after_warmup"):
        del before["config"]["train"][name]
    check_same_training(tmp_path, before, config(epochs=3), 100)
    with pytest.raises(TrainingError, match=r"train.layer_decay was 1.0 and is now 0.5"):
        check_same_training(tmp_path, before, config(epochs=3, layer_decay=0.5), 100)
