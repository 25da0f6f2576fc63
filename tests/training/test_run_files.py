"""A training whose files lie at an address: the same files, whole or not at all, whatever the store does."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import fsspec
import pytest
import yaml
from safetensors.torch import load_file
from test_train import assert_equal, log_of

from ava_detect.errors import ConfigError, StoreError, TrainingError
from ava_detect.storage.addresses import Address
from ava_detect.storage.object_store import Store
from ava_detect.training import loop, train
from ava_detect.training.checkpoint import load_checkpoint
from ava_detect.training.run_files import LAST, RunFiles

SETS = ("last.pt", "best.pt", "model.safetensors")


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def address(tmp_path) -> str:
    """A place in a store that lives in this process."""
    return f"memory://{tmp_path.name}/run"


def copied(address: str, folder: Path) -> Path:
    """What lies at an address, on this machine."""
    fsspec.filesystem("memory").get(address, str(folder), recursive=True)
    return folder


def names_at(address: str) -> list[str]:
    files = fsspec.filesystem("memory")
    root = files._strip_protocol(address)
    return sorted(path.removeprefix(f"{root}/") for path in files.find(root))


def test_interrupted_and_resumed_at_an_address_is_as_in_a_folder(undisturbed, tmp_path, scratch, address, run_cli):
    config, here = undisturbed
    folder = Path(here.out)

    def interrupt(at):
        if at.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, address, on_progress=interrupt)
    assert not list(scratch.iterdir())
    there = train(config, address, resume=True)
    assert not list(scratch.iterdir())
    assert there.weights == f"{address}/model.safetensors"
    assert (there.loss, there.score, there.best_epoch) == (here.loss, here.score, here.best_epoch)
    *sets, first, second = [name for name in names_at(address) if name not in ("log.csv", "validation.csv")]
    assert sorted(sets) == sorted(SETS)
    assert first.startswith("tensorboard/events")
    assert second.startswith("tensorboard/events")
    copy = copied(address, tmp_path / "there")
    assert log_of(copy) == log_of(folder)
    assert (copy / "validation.csv").read_text() == (folder / "validation.csv").read_text()
    assert_equal(load_file(copy / "model.safetensors"), load_file(folder / "model.safetensors"))
    for name in ("last.pt", "best.pt"):
        assert_equal(load_checkpoint(copy / name), load_checkpoint(folder / name))
    settings = tmp_path / "config.yaml"
    settings.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    code, out, err = run_cli("train", "--config", settings, "--out", address, "--resume")
    assert (code, err) == (0, "")
    assert f"Weights:  {address}/model.safetensors\nHistory:  {address}/log.csv, {address}/validation.csv" in out
    code, out, err = run_cli("train", "--config", settings, "--out", address)
    assert code == 2
    assert f"{address} holds a training already; continue it (--resume), or choose another folder" in err
    with pytest.raises(TrainingError, match=rf"^{address}/last.pt is of another training: train.epochs was 4"):
        train(config.model_copy(update={"train": config.train.model_copy(update={"epochs": 5})}), address, resume=True)


@pytest.fixture
def failing(monkeypatch):
    """``failing(is_so)``: putting a file fails where ``is_so(name)``, as a store that does not answer fails."""

    def set_up(is_so):
        put = Store.put_file

        def put_or_fail(self, path, name):
            if is_so(name):
                raise StoreError(f"{self.address / name}: the store did not answer in 6 tries (503)")
            put(self, path, name)

        monkeypatch.setattr(Store, "put_file", put_or_fail)

    return set_up


def put_set(files: RunFiles, step: int, *names: str) -> None:
    """A checkpoint whose files say of which step they are."""
    for name in (*names, LAST):
        (files.folder / name).write_text(str(step))
    files.upload(*names, LAST)


def at(address: str) -> dict[str, str]:
    return {name: Store(Address(address)).read(name).decode() for name in names_at(address)}


def test_a_store_that_fails_for_a_while_keeps_the_last_whole_checkpoint(scratch, address, failing):
    failures = set()
    failing(failures.__contains__)
    with RunFiles(address) as files:
        put_set(files, 1, "model.safetensors", "best.pt")
        assert not [path for path in files.folder.iterdir() if path.is_file()]
        failures.add("best.pt")
        with pytest.warns(UserWarning, match=rf"^{address}: best.pt, last.pt could not be put there .*goes on"):
            put_set(files, 2, "model.safetensors", "best.pt")
        # What says how far the training is never runs ahead of what belongs to it.
        assert at(address) == {"model.safetensors": "2", "best.pt": "1", "last.pt": "1"}
        failures.clear()
        put_set(files, 3)
        assert at(address) == {"model.safetensors": "2", "best.pt": "2", "last.pt": "3"}
    assert not list(scratch.iterdir())


def test_a_store_that_fails_at_the_end_leaves_what_is_missing_here(small_config, tmp_path, scratch, address, failing):
    failing(lambda name: name == LAST)
    with pytest.warns(UserWarning), pytest.raises(StoreError) as error:
        train(small_config(train={"epochs": 1}), address)
    message = str(error.value)
    assert message.startswith(f"{address}: last.pt could not be put there ({address}/last.pt: the store did not answer")
    kept = Path(message.rpartition(" ")[2])
    assert load_checkpoint(kept / "last.pt")["step"] == 2
    with RunFiles(address):  # looks for what killed trainings left
        assert (kept / "last.pt").exists()


def test_an_interrupted_training_leaves_what_is_missing_here(scratch, address, failing):
    failing(lambda name: name == LAST)
    with pytest.warns(UserWarning, match="could not be put there") as told:  # noqa: SIM117
        with pytest.raises(KeyboardInterrupt), RunFiles(address) as files:
            put_set(files, 1)
            raise KeyboardInterrupt
    kept = Path(str(told[-1].message).rpartition(" ")[2])
    assert (kept / "last.pt").read_text() == "1"


def test_a_place_that_cannot_be_written_to_is_said_before_anything_is_learnt(
    small_config, scratch, address, monkeypatch
):
    def refuse(self, path, name):
        raise PermissionError("access denied for key abcd at https://u:pass@host/x?sig=topsecret")

    monkeypatch.setattr(Store, "put_file", refuse)
    monkeypatch.setattr(loop._Training, "_one_step", lambda *_: pytest.fail("it learns"))
    with pytest.raises(ConfigError) as error:
        train(small_config(train={"epochs": 1}), address)
    assert str(error.value).startswith(f"`out` {address} cannot be written to (access denied")
    assert "topsecret" not in str(error.value)
    assert "pass@" not in str(error.value)
    assert not list(scratch.iterdir())


def test_processes_that_find_different_checkpoints_are_refused(small_config, tmp_path, monkeypatch):
    config = small_config(train={"epochs": 1})
    train(config, tmp_path)
    monkeypatch.setattr(loop, "gather", lambda found: [*found, None])
    with pytest.raises(
        TrainingError, match=r"different checkpoints at .*last.pt \(step 2, none\); `out` must be the same"
    ):
        train(config, tmp_path, resume=True)


def test_a_place_that_cannot_be_read_from_is_said_in_a_sentence(small_config, address, monkeypatch):
    def refuse(self, name):
        raise PermissionError("access denied")

    monkeypatch.setattr(Store, "exists", refuse)
    with pytest.raises(ConfigError, match=rf"^`out` {address} cannot be read from \(access denied\); check its name"):
        train(small_config(), address)


def test_a_checkpoint_that_was_cut_short_on_its_way_is_fetched_again(tmp_path, address, monkeypatch):
    store = Store(Address(address))
    store.write("last.pt", b"0123456789")
    files, _ = store.connection
    get, tries = files.get_file, []

    def get_half(path, target):
        tries.append(path)
        get(path, target)
        if len(tries) == 1:
            os.truncate(target, 5)

    monkeypatch.setattr(files, "get_file", get_half)
    with RunFiles(address) as run:
        path = run.fetch("last.pt")
        assert path.read_bytes() == b"0123456789"
        assert len(tries) == 2
        run.remove_copy("last.pt")
        assert not path.exists()
        assert run.fetch("best.pt") is None
