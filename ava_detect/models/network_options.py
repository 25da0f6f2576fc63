"""Where and how a network runs for inference: the options of a caller, and what they resolve to.

Needs no PyTorch until ``resolve`` is called, so that a process that only drives others can hold the options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ava_detect.errors import ConfigError

Execution = Literal["auto", "eager", "fused"]
Precision = Literal["fp32", "bf16"]
_CLIPS_PER_BATCH = {"cpu": 1, "cuda": 8}


@dataclass(frozen=True)
class NetworkOptions:
    """Where and how a network runs, as a caller asks for it.

    Attributes:
        device: ``"auto"`` (CUDA where torch finds a device, else the CPU), ``"cpu"`` or ``"cuda"``.
        precision: ``"auto"`` (fp32), ``"fp32"`` or ``"bf16"``: the number format of the convolutions.
        execution: ``"auto"`` (the fastest exact form), ``"eager"`` or ``"fused"``; see ``models/execution.py``.
        clips_per_batch: Number of clips in one forward pass, at least 1; None for 1 on a CPU and 8 on CUDA.
    """

    device: str = "auto"
    precision: str = "auto"
    execution: str = "auto"
    clips_per_batch: int | None = None

    def resolve(self) -> ResolvedNetworkOptions:
        """Replace ``"auto"`` and None by what they mean on this machine.

        Returns:
            The same options with a value for each.

        Raises:
            ConfigError: An option has an unknown value, or ``device`` is CUDA on a machine without a CUDA device.
        """
        device = resolve_device(self.device)
        return ResolvedNetworkOptions(
            device,
            resolve_precision(self.precision),
            resolve_execution(self.execution),
            self.clips_per_batch or _CLIPS_PER_BATCH[device],
        )


@dataclass(frozen=True)
class ResolvedNetworkOptions:
    """Where and how a network runs on this machine.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        precision: ``"fp32"`` or ``"bf16"``.
        execution: ``"auto"``, ``"eager"`` or ``"fused"``; ``models.execution.prepare`` decides what ``"auto"`` is.
        clips_per_batch: Number of clips in one forward pass.
    """

    device: str
    precision: Precision
    execution: Execution
    clips_per_batch: int


def resolve_device(device: str) -> str:
    """Return the device to run on.

    Args:
        device: ``"auto"`` (CUDA where available, else the CPU), ``"cpu"`` or ``"cuda"``.

    Returns:
        ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: An unknown name, or ``"cuda"`` where torch finds no CUDA device.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"`device` is auto, cpu or cuda, got {device!r}")
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            "`device=cuda`: torch finds no CUDA device here (ava-detect doctor says more); use `device=cpu`"
        )
    return "cuda" if available and device != "cpu" else "cpu"


def resolve_precision(precision: str) -> Precision:
    """Return the precision to run with.

    Args:
        precision: ``"auto"`` or ``"fp32"`` for fp32, whose scores equal the references; ``"bf16"``.

    Returns:
        ``"fp32"`` or ``"bf16"``.

    Raises:
        ConfigError: An unknown name.
    """
    known: dict[str, Precision] = {"auto": "fp32", "fp32": "fp32", "bf16": "bf16"}
    if precision not in known:
        raise ConfigError(f"`precision` is {', '.join(known)}, got {precision!r}")
    return known[precision]


def resolve_execution(execution: str) -> Execution:
    """Check the name of an execution.

    Args:
        execution: ``"auto"``, ``"eager"`` or ``"fused"``; see ``models/execution.py``.

    Returns:
        The same name.

    Raises:
        ConfigError: An unknown name.
    """
    known: dict[str, Execution] = {name: name for name in get_args(Execution)}
    if execution not in known:
        raise ConfigError(f"`execution` is {', '.join(known)}, got {execution!r}")
    return known[execution]
