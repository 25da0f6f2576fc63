"""The processes of one training, as Accelerate sees them: one, or those that torchrun started."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ava_detect.errors import ConfigError, MissingDependencyError


@contextmanager
def open_processes(precision: str) -> Iterator[Any]:
    """Accelerate's ``Accelerator`` for one training: the device, the other processes, and ``precision``.

    ``MissingDependencyError`` without Accelerate; ``ConfigError`` for fp16 on a CPU.
    """
    try:
        from accelerate import Accelerator  # type: ignore[import-untyped]
        from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(
            'training needs accelerate, which is not installed: pip install "ava_detect[train]"'
        ) from error
    if precision == "fp16" and not torch.accelerator.is_available():
        raise ConfigError("train.precision fp16 needs a GPU; on a CPU choose bf16 or fp32")
    group_is_ours = not torch.distributed.is_initialized()
    # Without a GPU Accelerate sees other processes only when it is told to use the CPU.
    accelerator = Accelerator(
        mixed_precision="no" if precision == "fp32" else precision, cpu=not torch.accelerator.is_available()
    )
    try:
        yield accelerator
    finally:
        if group_is_ours:
            accelerator.end_training()
        # Accelerate keeps one set of settings for the whole process; the next training may have others.
        AcceleratorState._reset_state(reset_partial_state=group_is_ours)


def gather(values: Sequence[Any]) -> list[Any]:
    """The values of all processes, those of the first one first. Every process must call this, and gets the same."""
    from accelerate.utils import gather_object  # type: ignore[import-untyped]

    # As bytes, because torch reads what it gathers by the rules for weights files, which know none of our types.
    mine = io.BytesIO()
    torch.save(list(values), mine)
    parts = gather_object([mine.getvalue()])
    return [value for part in parts for value in torch.load(io.BytesIO(part), weights_only=False)]
