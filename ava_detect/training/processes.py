"""The processes of one training, through Accelerate: a single one, or those that torchrun started."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ava_detect.environment import install_line
from ava_detect.errors import ConfigError, MissingDependencyError
from ava_detect.models.network_options import resolve_precision


@contextmanager
def open_processes(precision: str) -> Iterator[Any]:
    """Set up Accelerate for one training, and reset its process-wide state afterwards.

    Args:
        precision: ``"fp32"``, ``"bf16"`` (fp32 instead, with a warning, where it would be emulated) or ``"fp16"``.

    Yields:
        An ``accelerate.Accelerator``, which knows the device, the precision and the other processes.

    Raises:
        MissingDependencyError: Accelerate is not installed.
        ConfigError: fp16 without a GPU.
    """
    try:
        from accelerate import Accelerator  # type: ignore[import-untyped]
        from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(
            f"training needs accelerate, which is not installed; try: {install_line('train')}"
        ) from error
    if precision == "fp16" and not torch.accelerator.is_available():
        raise ConfigError("train.precision fp16 needs a GPU; on a CPU choose bf16 or fp32")
    if precision == "bf16" and not torch.accelerator.is_available():
        precision = resolve_precision(precision, "cpu")
    creates_group = not torch.distributed.is_initialized()
    # Without a GPU Accelerate joins the other processes only with cpu=True.
    accelerator = Accelerator(
        mixed_precision="no" if precision == "fp32" else precision, cpu=not torch.accelerator.is_available()
    )
    try:
        yield accelerator
    finally:
        if creates_group:
            accelerator.end_training()
        # Accelerate keeps its settings for the life of the process; the next training may have others.
        AcceleratorState._reset_state(reset_partial_state=creates_group)


def gather(values: Sequence[Any]) -> list[Any]:
    """Gather values from all processes. A collective call: every process must make it.

    Args:
        values: The values of this process, of any type that ``torch.save`` takes.

    Returns:
        The values of all processes in the order of their ranks, the same list in every process.
    """
    from accelerate.utils import gather_object  # type: ignore[import-untyped]

    # Gathered as bytes: torch's own object collectives load with weights_only, which refuses our types.
    local = io.BytesIO()
    torch.save(list(values), local)
    parts = gather_object([local.getvalue()])
    return [value for part in parts for value in torch.load(io.BytesIO(part), weights_only=False)]
