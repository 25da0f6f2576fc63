"""Everything that a training is, in one file that appears whole or not at all."""

from __future__ import annotations

import pickle
import random
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ava_detect.config import Config
from ava_detect.errors import TrainingError
from ava_detect.storage.local_files import atomic_path

FORMAT = 1
# What may differ when a training goes on: it changes no number that is learnt.
FREE_SETTINGS = frozenset({"description", "data.num_workers", "train.log_every", "train.save_every"})


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state``, tensors and plain values, in one atomic step."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save({"format": FORMAT, **state}, stream)


def load_checkpoint(path: Path, *, name: object = None) -> dict[str, Any]:
    """What ``save_checkpoint`` wrote, on the CPU; ``TrainingError`` when it cannot be read.

    ``name``: what people are told of the file, where ``path`` is but a copy.
    """
    name = path if name is None else name
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrainingError(
            f"{name} cannot be read as a checkpoint ({reason}); start anew in another folder"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(f"{name} is not a checkpoint of a training that this version can go on with")
    return state


def check_same_training(name: object, state: Mapping[str, Any], config: Config, num_clips: int) -> None:
    """``TrainingError`` naming both values where the config, or the size of the training set, is another than then.

    ``name``: the checkpoint, for people.
    """
    before, now = dict(_leaves(state["config"])), dict(_leaves(config.model_dump(mode="json")))
    changed = [
        f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if name not in FREE_SETTINGS and before.get(name) != now.get(name)
    ]
    if state["num_clips"] != num_clips:
        changed.append(f"the training set had {state['num_clips']} clips and has now {num_clips}")
    if changed:
        raise TrainingError(
            f"{name} is of another training: {'; '.join(changed)}. Give the old values back to resume it, or start "
            "anew in another folder (train.initialise takes the weights of this one)"
        )


def _leaves(section: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(section, dict) and section:
        for key, value in section.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, section


def seed_everything(seed: int) -> None:
    """Start every random number generator of this process from ``seed``."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def random_states() -> dict[str, Any]:
    """The state of every random number generator of this process, as plain values and tensors."""
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    words = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {"key": torch.from_numpy(words["key"].copy()), "pos": words["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put back what ``random_states`` gave."""
    random.setstate(states["python"])
    words = states["numpy"]["state"]
    np.random.set_state({**states["numpy"], "state": {"key": words["key"].numpy(), "pos": words["pos"]}})
    torch.set_rng_state(states["torch"])
    for state in states["cuda"][: torch.cuda.device_count()]:
        torch.cuda.set_rng_state(state)
