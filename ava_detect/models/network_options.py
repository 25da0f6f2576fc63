"""Where and how a network runs for inference: the options of a caller, and what they resolve to.

Needs no PyTorch until ``resolve`` is called, so that a process that only drives others can hold the options.
"""

from __future__ import annotations

import platform
import warnings
from dataclasses import dataclass
from typing import Literal, cast, get_args

from ava_detect.errors import AvaDetectWarning, ConfigError

Execution = Literal["auto", "eager", "fused"]
Precision = Literal["fp32", "bf16"]
_CLIPS_PER_BATCH = {"cpu": 1, "cuda": 8}
_MAX_CLIPS_PER_BATCH = 1024
# What each name asks for; "fast" is without a warning where bf16 does not pay.
_PRECISIONS: dict[str, Precision] = {"auto": "fp32", "fp32": "fp32", "bf16": "bf16", "fast": "bf16"}
_NAMES_OF_DEVICES = {"cpu": "CPU", "cuda": "GPU"}


@dataclass(frozen=True)
class NetworkOptions:
    """Where and how a network runs, as a caller asks for it.

    Attributes:
        device: ``"auto"`` (CUDA where torch finds a device, else the CPU), ``"cpu"`` or ``"cuda"``.
        precision: ``"auto"`` (fp32), ``"fp32"``, ``"bf16"``, or ``"fast"`` (bf16 where the device computes in it, else
            fp32): the number format of the convolutions.
        execution: ``"auto"`` (the fastest exact form), ``"eager"`` or ``"fused"``; see ``models/execution.py``.
        clips_per_batch: Number of clips in one forward pass, at least 1; None for 1 on a CPU and 8 on CUDA.

    Raises:
        ConfigError: ``clips_per_batch`` is out of range.
    """

    device: str = "auto"
    precision: str = "auto"
    execution: str = "auto"
    clips_per_batch: int | None = None

    def __post_init__(self) -> None:
        if self.clips_per_batch is not None:
            check_clips_per_batch(self.clips_per_batch)

    def resolve(self) -> ResolvedNetworkOptions:
        """Replace ``"auto"`` and None by what they mean on this machine, and bf16 by fp32 where it does not pay.

        Returns:
            The same options with a value for each.

        Raises:
            ConfigError: An option has an unknown value, or ``device`` is CUDA on a machine without a CUDA device.
        """
        check_names(self.device, self.precision, self.execution)
        device = resolve_device(self.device)
        return ResolvedNetworkOptions(
            device,
            resolve_precision(self.precision, device),
            cast(Execution, self.execution),
            _CLIPS_PER_BATCH[device] if self.clips_per_batch is None else self.clips_per_batch,
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


def check_clips_per_batch(number: int) -> None:
    """Refuse a number of clips that no forward pass can have.

    Args:
        number: Number of clips in one forward pass.

    Raises:
        ConfigError: It is below 1, or above what any device holds.
    """
    if not 1 <= number <= _MAX_CLIPS_PER_BATCH:
        raise ConfigError(f"`clips_per_batch` is from 1 to {_MAX_CLIPS_PER_BATCH}, got {number}")


def check_names(device: str, precision: str, execution: str) -> None:
    """Refuse unknown names, without PyTorch.

    Args:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fast"``.
        execution: ``"auto"``, ``"eager"`` or ``"fused"``.

    Raises:
        ConfigError: A name is unknown.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"`device` is auto, cpu or cuda, got {device!r}")
    if precision not in _PRECISIONS:
        raise ConfigError(f"`precision` is {', '.join(_PRECISIONS)}, got {precision!r}")
    if execution not in get_args(Execution):
        raise ConfigError(f"`execution` is {', '.join(get_args(Execution))}, got {execution!r}")


def resolve_device(device: str) -> str:
    """Return the device to run on.

    Args:
        device: ``"auto"`` (CUDA where available, else the CPU), ``"cpu"`` or ``"cuda"``.

    Returns:
        ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: An unknown name, or ``"cuda"`` where torch finds no CUDA device.
    """
    check_names(device, "auto", "auto")
    if device == "cpu":
        # Even to ask for a GPU leaves something in a process that does not survive a fork.
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            "`device=cuda`: torch finds no CUDA device here (ava-detect doctor says more); use `device=cpu`"
        )
    return "cuda" if available else "cpu"


def resolve_precision(precision: str, device: str) -> Precision:
    """Return the precision to run with: fp32, with a warning, instead of bf16 on a device that would emulate it.

    Args:
        precision: ``"auto"`` or ``"fp32"`` for fp32, whose scores equal the references; ``"bf16"``; ``"fast"`` for
            bf16 without a warning where it does not pay.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        ``"fp32"`` or ``"bf16"``.

    Raises:
        ConfigError: An unknown name.
    """
    check_names("auto", precision, "auto")
    if _PRECISIONS[precision] == "bf16" and not bf16_unit(device):
        if precision == "fast":
            return "fp32"
        # Without oneDNN's kernels a convolution in bf16 takes hundreds of times as long as in fp32.
        warnings.warn(
            f"`precision=bf16` does not pay here, because this {_NAMES_OF_DEVICES[device]} has no bf16 arithmetic; the "
            "network runs in fp32 instead (`ava-detect doctor` says which precisions pay)",
            AvaDetectWarning,
            stacklevel=2,
        )
        return "fp32"
    return _PRECISIONS[precision]


def bf16_unit(device: str) -> str:
    """Return the name of a device's bf16 arithmetic.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The name, such as ``"AMX"``; empty where bf16 is emulated or PyTorch cannot use it, so that fp32 is faster.
    """
    import torch

    if device == "cuda":
        return "CUDA" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    # PyTorch's convolutions in bf16 are oneDNN's; its own take hundreds of times as long.
    if not (torch.backends.mkldnn.enabled and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return ""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return ""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "bf16 instructions"
    # oneDNN also takes bf16 on CPUs with AVX-512 alone, where it computes in fp32 and converts.
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX-512 BF16" if torch.cpu._is_avx512_bf16_supported() else ""
