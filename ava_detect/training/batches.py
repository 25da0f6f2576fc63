"""Which clips each step takes, and their way from the data set to the loop.

The order of an epoch is a permutation drawn from (seed, epoch) alone. A step takes the next ``batch_size`` clips of
it, cut into equal parts for the accumulated passes and the processes: so any number of processes takes the same steps,
and a training that was resumed goes on where it was. What is left at the end of an epoch, less than a batch, is
left out (as in PySlowFast); other clips are, the next time.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ava_detect.datasets.samples import Batch, Sample, collate
from ava_detect.errors import AvaDetectError, ConfigError

T = TypeVar("T")
Key = tuple[int, int]  # epoch, number of the clip
# Loader processes hand over their memory through sockets, TMPDIR/pymp-xxxxxxxx/listener-xxxxxxxx, whose names the
# system bounds at 107 bytes (103 on macOS). PyTorch would say so on the error stream and then wait for ever.
_LONGEST_TEMPORARY_FOLDER = (103 if sys.platform == "darwin" else 107) - len("/pymp-xxxxxxxx/listener-xxxxxxxx")


class Clips(Protocol):
    """What is needed of a training set."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key, /) -> Sample: ...


class StepSampler(Sampler[list[Key]]):
    """The parts of each step that one process takes, in order: ``accumulate`` lists of keys a step."""

    def __init__(
        self,
        num_clips: int,
        *,
        batch_size: int,
        accumulate: int = 1,
        process: int = 0,
        num_processes: int = 1,
        seed: int,
    ) -> None:
        """``batch_size``: clips a step, over all processes and accumulated passes. ``ConfigError`` when it does not
        divide, or is more than there are clips.
        """
        parts = accumulate * num_processes
        if batch_size % parts:
            raise ConfigError(
                f"train.batch_size {batch_size} does not divide by {num_processes} processes x train.accumulate "
                f"{accumulate}; choose a multiple of {parts}"
            )
        if batch_size > num_clips:
            raise ConfigError(
                f"train.batch_size is {batch_size}, but the training set has {num_clips} clips; a batch can be at most "
                "that many"
            )
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.steps_per_epoch = num_clips // batch_size
        self._accumulate = accumulate
        self._process = process
        self._num_processes = num_processes
        self._seed = seed
        self._steps = range(0)

    def over(self, steps: range) -> StepSampler:
        """The same, for these steps of the training; steps count from 0 and through all epochs."""
        self._steps = steps
        return self

    def __len__(self) -> int:
        return len(self._steps) * self._accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        shuffled_epoch, order = -1, np.empty(0, np.int64)
        size = self.batch_size // (self._accumulate * self._num_processes)
        for step in self._steps:
            epoch, place = divmod(step, self.steps_per_epoch)
            if epoch != shuffled_epoch:
                shuffled_epoch, order = epoch, np.random.default_rng([self._seed, epoch]).permutation(self.num_clips)
            for part in range(self._accumulate):
                start = place * self.batch_size + (part * self._num_processes + self._process) * size
                yield [(epoch, int(clip)) for clip in order[start : start + size]]


def training_batches(clips: Clips, sampler: StepSampler, *, num_workers: int, pin_memory: bool) -> Iterator[Batch]:
    """The batches of ``sampler``, read ahead by ``num_workers`` processes (0: by this one, when asked for).

    Raises what the data set raised, as it said it; ``ConfigError`` where such processes cannot hand over anything.
    """
    _require_short_temporary_folder(num_workers)
    loader = DataLoader(
        _Told(clips),
        batch_sampler=sampler,
        collate_fn=_collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        # A generator of its own: the loop's random numbers must not depend on when the loader was started.
        generator=torch.Generator(),
    )
    for batch in loader:
        yield raised(batch)


def _require_short_temporary_folder(num_workers: int) -> None:
    folder = tempfile.gettempdir()
    if num_workers and sys.platform != "win32" and len(folder.encode()) > _LONGEST_TEMPORARY_FOLDER:
        raise ConfigError(
            f"the temporary folder {folder} has a name of {len(folder.encode())} bytes; the processes that load clips "
            f"need one of at most {_LONGEST_TEMPORARY_FOLDER}: set TMPDIR to a shorter one, or data.num_workers to 0"
        )


class _Told(Dataset[Any]):
    """A data set whose errors come as values: torch would wrap their sentences in the traceback of a worker."""

    def __init__(self, clips: Any) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, key: Any) -> Sample | AvaDetectError:
        try:
            sample: Sample = self._clips[key]
        except AvaDetectError as error:
            return error
        return sample


def _collate(items: Sequence[Sample | AvaDetectError]) -> Batch | AvaDetectError:
    samples = _samples(items)
    return samples if isinstance(samples, AvaDetectError) else collate(samples)


def _samples(items: Sequence[Sample | AvaDetectError]) -> list[Sample] | AvaDetectError:
    """The samples, or the first error among them."""
    samples = []
    for item in items:
        if isinstance(item, AvaDetectError):
            return item
        samples.append(item)
    return samples


def raised(value: T | AvaDetectError) -> T:
    """``value``, unless it is an error."""
    if isinstance(value, AvaDetectError):
        raise value
    return value


def samples_in_order(clips: Any, indices: Sequence[int], *, num_workers: int, size: int) -> Iterator[list[Sample]]:
    """The clips of these numbers as lists of up to ``size`` samples, for an evaluation. Errors as above."""
    _require_short_temporary_folder(num_workers)
    loader = DataLoader(
        torch.utils.data.Subset(_Told(clips), indices),
        batch_size=size,
        collate_fn=_samples,
        num_workers=num_workers,
        generator=torch.Generator(),
    )
    for samples in loader:
        yield raised(samples)
