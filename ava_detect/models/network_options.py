"""Where and how a network runs for inference: the options of a caller, and what they resolve to.

Needs no PyTorch until ``resolve`` is called, so that a process that only drives others can hold the options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ava_detect.models.execution import Execution, Precision

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
        from ava_detect.models.execution import resolve_device, resolve_execution, resolve_precision

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
