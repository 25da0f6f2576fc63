"""Choose the clips of each training step, and load them.

The order of an epoch is a permutation drawn from (seed, epoch) alone. A step takes the next ``batch_size`` clips of
it, split evenly over the accumulated passes and the processes. So the steps are the same for any number of processes,
and a resumed training continues with the clips that an uninterrupted one would take. The incomplete batch at the end of
an epoch is dropped (as in PySlowFast); each epoch drops other clips.
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
Key = tuple[int, int]  # (epoch, index of the clip)
# Loader processes pass shared memory through the sockets TMPDIR/pymp-xxxxxxxx/listener-xxxxxxxx, whose paths the
# system limits to 107 bytes (103 on macOS). With a longer path PyTorch prints an error and then hangs.
_LONGEST_TEMPORARY_FOLDER = (103 if sys.platform == "darwin" else 107) - len("/pymp-xxxxxxxx/listener-xxxxxxxx")


class Clips(Protocol):
    """A training set: a sample by (epoch, index)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key, /) -> Sample: ...


class StepSampler(Sampler[list[Key]]):
    """Yield the clips that one process takes: ``accumulate`` lists of keys per step.

    Args:
        num_clips: Number of clips of the training set.
        batch_size: Number of clips per step, over all processes and accumulated passes.
        accumulate: Number of forward passes per step.
        process: Rank of this process.
        num_processes: Number of processes.
        seed: Seed of the order.

    Raises:
        ConfigError: ``batch_size`` is not a multiple of ``accumulate * num_processes``, or larger than ``num_clips``.
    """

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
        """Set the steps to iterate over.

        Args:
            steps: Step numbers, counted from 0 through all epochs.

        Returns:
            This sampler.
        """
        self._steps = steps
        return self

    def __len__(self) -> int:
        return len(self._steps) * self._accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        shuffled_epoch, order = -1, np.empty(0, np.int64)
        size = self.batch_size // (self._accumulate * self._num_processes)
        for step in self._steps:
            epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
            if epoch != shuffled_epoch:
                shuffled_epoch = epoch
                order = np.random.default_rng([self._seed, epoch]).permutation(self.num_clips)  # [num_clips]
            for part in range(self._accumulate):
                # A batch is laid out as [accumulate, num_processes, size].
                start = step_of_epoch * self.batch_size + (part * self._num_processes + self._process) * size
                yield [(epoch, int(clip)) for clip in order[start : start + size]]


def training_batches(clips: Clips, sampler: StepSampler, *, num_workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Load the batches of a sampler.

    Args:
        clips: The training set.
        sampler: The clips of each batch.
        num_workers: Number of processes that load ahead; 0 loads in this process, when a batch is asked for.
        pin_memory: Put the batches into page-locked memory, for the copy to a GPU.

    Yields:
        The batches, in the order of the sampler.

    Raises:
        AvaDetectError: The data set's own error, without the traceback of a worker.
        ConfigError: The path of the temporary folder is too long for worker processes.
    """
    _require_short_temporary_folder(num_workers)
    loader = DataLoader(
        _ErrorsAsValues(clips),
        batch_sampler=sampler,
        collate_fn=_collate_or_error,
        num_workers=num_workers,
        pin_memory=pin_memory,
        # A separate generator, since the loader draws a seed whenever it is started.
        generator=torch.Generator(),
    )
    for batch in loader:
        yield value_or_raise(batch)


def _require_short_temporary_folder(num_workers: int) -> None:
    folder = tempfile.gettempdir()
    if num_workers and sys.platform != "win32" and len(folder.encode()) > _LONGEST_TEMPORARY_FOLDER:
        raise ConfigError(
            f"the temporary folder {folder} has a name of {len(folder.encode())} bytes; the processes that load clips "
            f"need one of at most {_LONGEST_TEMPORARY_FOLDER}: set TMPDIR to a shorter one, or data.num_workers to 0"
        )


class _ErrorsAsValues(Dataset[Any]):
    """A data set that returns its errors, since torch would wrap their messages in the traceback of a worker."""

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


def _collate_or_error(items: Sequence[Sample | AvaDetectError]) -> Batch | AvaDetectError:
    samples = _samples_or_error(items)
    return samples if isinstance(samples, AvaDetectError) else collate(samples)


def _samples_or_error(items: Sequence[Sample | AvaDetectError]) -> list[Sample] | AvaDetectError:
    """The samples, or the first error among them."""
    samples = []
    for item in items:
        if isinstance(item, AvaDetectError):
            return item
        samples.append(item)
    return samples


def value_or_raise(value: T | AvaDetectError) -> T:
    """Raise a value that is an error.

    Args:
        value: A value, or the error that came in its place.

    Returns:
        The value.

    Raises:
        AvaDetectError: ``value`` itself, if it is an error.
    """
    if isinstance(value, AvaDetectError):
        raise value
    return value


def samples_in_order(clips: Any, indices: Sequence[int], *, num_workers: int, size: int) -> Iterator[list[Sample]]:
    """Load chosen clips in order, for an evaluation.

    Args:
        clips: The data set.
        indices: Indices of the clips.
        num_workers: Number of processes that load ahead; 0 loads in this process.
        size: Largest number of samples per list.

    Yields:
        Lists of up to ``size`` samples.

    Raises:
        AvaDetectError: The data set's own error, without the traceback of a worker.
        ConfigError: The path of the temporary folder is too long for worker processes.
    """
    _require_short_temporary_folder(num_workers)
    loader = DataLoader(
        torch.utils.data.Subset(_ErrorsAsValues(clips), indices),
        batch_size=size,
        collate_fn=_samples_or_error,
        num_workers=num_workers,
        generator=torch.Generator(),
    )
    for samples in loader:
        yield value_or_raise(samples)
