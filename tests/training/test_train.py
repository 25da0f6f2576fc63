"""The whole loop on small videos: it learns, it can be killed, what it leaves behind works."""

import csv
import json
import math
import os
import re
import signal
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from processes import run_python
from safetensors.torch import load_file

from ava_detect.errors import ConfigError, DivergedError, FormatError, MissingDependencyError, TrainingError
from ava_detect.training import loop, train
from ava_detect.training.checkpoint import load_checkpoint
from ava_detect.training.validation import FrameMapValidation, Score

SAME_AFTER_RESUME = ("step", "epoch", "loss", "lr", "grad_norm")


class Remembered:
    """A data set whose samples are read once: the same in each epoch."""

    def __init__(self, clips) -> None:
        self._clips = clips
        self._read = cache(lambda number: clips[number])

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key):
        return self._read(key[1] if isinstance(key, tuple) else key)


@pytest.fixture
def read_once(monkeypatch):
    build = loop.build_dataset
    monkeypatch.setattr(loop, "build_dataset", lambda *args, **kwargs: Remembered(build(*args, **kwargs)))


def log_of(folder, columns=SAME_AFTER_RESUME) -> list[list[str]]:
    with (folder / "log.csv").open() as file:
        return [[row[column] for column in columns] for row in csv.DictReader(file)]


def test_eight_clips_are_learnt_by_heart(small_config, tmp_path, read_once):
    config = small_config(
        train={"epochs": 40, "batch_size": 8, "learning_rate": 0.2, "schedule": "cosine", "weight_decay": 0.0}
    )
    result = train(config, tmp_path)
    losses = [float(loss) for (loss,) in log_of(tmp_path, ["loss"])]
    assert result.steps == len(losses) == 40
    assert losses[0] > 0.5
    assert max(losses[-5:]) < 0.02
    assert result.loss == losses[-1]


def test_gradients_are_clipped_and_rates_follow_the_schedule(small_config, tmp_path, read_once):
    train(small_config(train={"warmup_epochs": 2, "warmup_start": 0.01, "epochs": 3}), tmp_path)
    # 2 steps an epoch: the rate of a step is that at its beginning.
    rates = [float(rate) for (rate,) in log_of(tmp_path, ["lr"])]
    assert rates == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.05])


# Killed while it writes the checkpoint of step 5: what is there is that of step 4, and log rows of step 5.
KILLED = """
import json, os, signal, sys
import torch
from ava_detect.config import Config
from ava_detect.training import loop

# Seconds of every start that few trainings need.
assert not {"pandas", "torchvision"} & set(sys.modules)

def save(path, state, save=loop.save_checkpoint):
    if state["step"] == 5:
        path.with_name(f".unfinished-{os.getpid()}-last.pt").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    save(path, state)

loop.save_checkpoint = save
torch.set_num_threads(1)
loop.train(Config.model_validate(json.load(open(sys.argv[1]))), sys.argv[2])
"""


def test_killed_and_resumed_is_as_if_nothing_had_happened(undisturbed, tmp_path):
    config, expected = undisturbed
    folders = (tmp_path / "killed", Path(expected.out))
    settings = tmp_path / "config.json"
    # Workers in one half and none in the other: they change no number.
    settings.write_text(json.dumps(config.model_copy(update={"data": with_workers(config, 1)}).model_dump(mode="json")))
    killed = run_python(KILLED, settings, tmp_path / "killed", check=False)
    assert killed.returncode == -signal.SIGKILL
    assert log_of(tmp_path / "killed", ["step"])[-1] == ["5"]
    assert load_checkpoint(tmp_path / "killed" / "last.pt")["step"] == 4
    resumed = train(config, tmp_path / "killed", resume=True)
    assert_equal(*map(log_of, folders))
    assert_equal(*((folder / "validation.csv").read_text() for folder in folders))
    assert_equal(*(load_file(folder / "model.safetensors") for folder in folders))
    assert (resumed.loss, resumed.score, resumed.best_epoch) == (expected.loss, expected.score, expected.best_epoch)
    assert_equal(*(load_checkpoint(folder / "last.pt") for folder in folders))
    assert not [path for path in (tmp_path / "killed").iterdir() if path.name.startswith(".")]


def with_workers(config, num_workers):
    return config.data.model_copy(update={"num_workers": num_workers})


def assert_equal(one, other):
    """Bit for bit, through dicts and lists."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            if key != "num_workers":
                assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    else:
        assert one == other


def test_a_training_that_is_done_stays_as_it_is(small_config, tmp_path, read_once):
    config = small_config(train={"epochs": 1})
    first = train(config, tmp_path)
    again = train(config, tmp_path, resume=True)
    assert (again.steps, again.loss) == (first.steps, first.loss)
    assert len(log_of(tmp_path)) == 2


def test_resuming_what_never_began_begins(small_config, tmp_path, read_once):
    assert train(small_config(train={"epochs": 1}), tmp_path / "new", resume=True).steps == 2


def test_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_stays(small_config, tmp_path, read_once):
    config = small_config(train={"learning_rate": 1e30, "epochs": 5, "save_every": 1})
    with pytest.raises(DivergedError) as error:
        train(config, tmp_path)
    message = str(error.value)
    step = load_checkpoint(tmp_path / "last.pt")["step"]
    assert message.startswith(f"step {step + 1} (epoch {step / 2:.2f}, learning rate 1e+30): the ")
    assert "try a lower train.learning_rate" in message
    assert f"{tmp_path / 'last.pt'} holds the training as it was before" in message


def test_a_folder_with_a_training_is_not_written_over(small_config, tmp_path, read_once):
    config = small_config(train={"epochs": 1})
    train(config, tmp_path)
    with pytest.raises(TrainingError, match=r"holds a training already; continue it \(`resume=True`\)"):
        train(config, tmp_path)


def test_another_config_is_refused_on_resume(small_config, tmp_path, read_once):
    train(small_config(train={"epochs": 1}), tmp_path)
    with pytest.raises(TrainingError, match=r"train.epochs was 1 and is now 2; train.learning_rate was 0.05"):
        train(small_config(train={"epochs": 2, "learning_rate": 0.1}), tmp_path, resume=True)


def test_nothing_to_learn_from(small_config, tmp_path):
    with pytest.raises(ConfigError, match=r"the config has no data\.train"):
        train(small_config(data={"train": None}), tmp_path)


def test_data_at_an_address_is_refused(small_config, tmp_path):
    split = {"annotations": str(tmp_path / "truth.csv"), "videos": "s3://somebody:secret-word@movies/ava"}
    with pytest.raises(ConfigError, match=r"^data.val.videos is s3://movies/ava, but .* from a disk; copy or mount"):
        train(small_config(data={"val": split}), tmp_path)


def test_without_accelerate_it_says_how_to_get_it(small_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingDependencyError, match=r"try: .*pip install .*\[train\]"):
        train(small_config(), tmp_path)


def test_progress_is_reported_at_every_step(small_config, val_split, tmp_path, read_once):
    told = []
    config = small_config(data={"val": val_split}, train={"epochs": 2, "eval_every": 1})
    result = train(config, tmp_path, on_progress=told.append)
    assert [at.stage for at in told if at.stage] == ["reading the data, building the network", *2 * ["validating"]]
    told = [at for at in told if not at.stage]
    assert [(at.done, at.total, at.figures["epoch"]) for at in told] == [
        (1, 4, 0.5),
        (2, 4, 1.0),
        (3, 4, 1.5),
        (4, 4, 2.0),
    ]
    assert "score" not in told[0].figures
    assert told[-1].figures["loss"] == result.loss
    assert max(told[1].figures["score"], told[3].figures["score"]) == result.score


def test_the_best_epoch_is_kept_beside_the_last(small_config, val_split, tmp_path, read_once, monkeypatch):
    scores = iter([0.3, 0.7, math.nan, 0.5])

    class Fixed:
        def __call__(self, network, accelerator):
            value = next(scores)
            return Score(value, {"frame_mAP": value})

    monkeypatch.setattr(loop, "build_validation", lambda config: Fixed())
    monkeypatch.setattr(loop, "detail_names", lambda config: ["frame_mAP"])
    result = train(small_config(data={"val": val_split}, train={"epochs": 4}), tmp_path)
    assert (result.score, result.best_epoch) == (0.7, 2)
    best, last = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert (best["step"], last["step"]) == (4, 8)
    for name, value in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(value, best["model"][name])
    assert any(not torch.equal(best["model"][name], last["model"][name]) for name in best["model"])


def test_a_validation_that_fails_loses_no_epoch(small_config, val_split, tmp_path, read_once, monkeypatch):
    config = small_config(data={"val": val_split}, train={"epochs": 2})
    expected = train(config, tmp_path / "undisturbed")
    calls = []

    def fail_at_the_second(self, outcomes, score=FrameMapValidation.score):
        calls.append(len(outcomes))
        if len(calls) == 2:
            raise FormatError("truth.csv, line 3: no")
        return score(self, outcomes)

    monkeypatch.setattr(FrameMapValidation, "score", fail_at_the_second)
    last = tmp_path / "out" / "last.pt"
    message = f"the validation after step 4: truth.csv, line 3: no (nothing is lost: {last} holds the training; correct"
    with pytest.raises(TrainingError, match=re.escape(message)):
        train(config, tmp_path / "out")
    assert load_checkpoint(last)["step"] == 4
    resumed = train(config, tmp_path / "out", resume=True)
    assert len(calls) == 3  # what was missing is made up for, and no step is repeated
    assert (resumed.steps, resumed.score, resumed.best_epoch) == (4, expected.score, expected.best_epoch)
    folders = tmp_path / "undisturbed", tmp_path / "out"
    assert_equal(*((folder / "validation.csv").read_text() for folder in folders))
    assert_equal(*(load_checkpoint(folder / "last.pt") for folder in folders))
    assert_equal(*(load_file(folder / "model.safetensors") for folder in folders))


def test_a_score_whose_checkpoint_was_not_written_is_written_once(
    small_config, val_split, tmp_path, read_once, monkeypatch
):
    config = small_config(data={"val": val_split}, train={"epochs": 1})
    save = loop.save_checkpoint

    def killed_after_the_validation(path, state):
        if state["score"] is not None:
            raise KeyboardInterrupt
        save(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", killed_after_the_validation)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    assert (tmp_path / "validation.csv").read_text().count("\n") == 2
    monkeypatch.setattr(loop, "save_checkpoint", save)
    assert train(config, tmp_path, resume=True).best_epoch == 1
    assert (tmp_path / "validation.csv").read_text().count("\n") == 2


def test_the_process_is_left_as_it_was(small_config, tmp_path, read_once):
    train(small_config(train={"epochs": 1, "precision": "bf16"}), tmp_path / "bf16")
    train(small_config(train={"epochs": 1}), tmp_path / "fp32")  # another precision in the same process
    assert not torch.distributed.is_initialized()
    assert "RANK" not in os.environ
