"""Checkpoints: the whole state of a training in one file, written atomically; and its random number generators."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ava_detect.config import Config
from ava_detect.errors import TrainingError, shown
from ava_detect.storage.local_files import atomic_path

FORMAT = 1
# Settings that may change when a training is resumed, because no weight depends on them.
FREE_SETTINGS = frozenset({"description", "data.num_workers", "train.log_every", "train.save_every"})


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: The file to write.
        state: Tensors and plain values by name.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save({"format": FORMAT, **state}, stream)


def load_checkpoint(path: Path, *, name: object = None) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        path: A file that ``save_checkpoint`` wrote.
        name: The name of the file in error messages, where ``path`` is a local copy; None for ``path``.

    Returns:
        The state, its tensors on the CPU.

    Raises:
        TrainingError: The file cannot be read, or is not a checkpoint of this format.
    """
    name = path if name is None else name
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise many types in PyTorch's zip and pickle readers
        reason = shown(next(iter(str(error).splitlines()), type(error).__name__))
        raise TrainingError(
            f"{name} cannot be read as a checkpoint ({reason}); start a new training in another folder"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(f"{name} is not a checkpoint of a training that this version can resume")
    return state


@contextmanager
def damage_named(name: object) -> Iterator[None]:
    """Name the checkpoint where the values in it are not those of a training.

    Args:
        name: The name of the checkpoint in the error message.

    Raises:
        TrainingError: The block failed on a value that is missing, or of another type, size or range.
    """
    try:
        yield
    except (TrainingError, torch.OutOfMemoryError):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = shown(next(iter(str(error).splitlines()), type(error).__name__))
        raise TrainingError(
            f"{name} is a damaged checkpoint ({reason}); start a new training in another folder"
        ) from error


def check_same_training(name: object, state: Mapping[str, Any], config: Config, num_clips: int) -> None:
    """Check that a checkpoint belongs to the training that is to be resumed.

    Args:
        name: The name of the checkpoint in the error message.
        state: The checkpoint.
        config: The config of the training.
        num_clips: Number of clips of the training set.

    Raises:
        TrainingError: A setting or the size of the training set differs; both values are named.
    """
    # A setting that the version which wrote the checkpoint did not have was at what is now its default.
    saved = Config.model_validate(state["config"]).model_dump(mode="json")
    before, now = dict(_flattened(saved)), dict(_flattened(config.model_dump(mode="json")))
    changed = [
        f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if name not in FREE_SETTINGS and before.get(name) != now.get(name)
    ]
    if state["num_clips"] != num_clips:
        changed.append(f"the training set had {state['num_clips']} clips and has now {num_clips}")
    if changed:
        raise TrainingError(
            f"{name} is of another training: {'; '.join(changed)}. Give the old values back to resume it, or start a "
            "new one in another folder (train.initialise takes the weights of this one)"
        )


def _flattened(section: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of every setting of nested dicts."""
    if isinstance(section, dict) and section:
        for key, value in section.items():
            yield from _flattened(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, section


def seed_everything(seed: int) -> None:
    """Seed the random number generators of Python, NumPy and PyTorch in this process.

    Args:
        seed: The seed.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """Return the states of the random number generators of this process, as plain values and tensors."""
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    twister = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {"key": torch.from_numpy(twister["key"].copy()), "pos": twister["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Restore the random number generators of this process.

    Args:
        states: The value of ``random_states``.
    """
    random.setstate(states["python"])
    twister = states["numpy"]["state"]
    np.random.set_state({**states["numpy"], "state": {"key": twister["key"].numpy(), "pos": twister["pos"]}})
    torch.set_rng_state(states["torch"])
    for state in states["cuda"][: torch.cuda.device_count()]:
        torch.cuda.set_rng_state(state)
