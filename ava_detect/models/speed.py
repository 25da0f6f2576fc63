"""How fast each form of a network is on this machine, for a person who chooses one.

Shapes: B clips, T frames, H height, W width, M people, K classes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.execution import PreparedModel, has_fused_form, prepare
from ava_detect.models.network_options import Precision, bf16_unit

# Before the timed clips: on these few pixels a form orders its weights and loads its kernels.
_FIRST_SIZE = (64, 64)


@dataclass(frozen=True)
class FormSpeed:
    """What was measured of one form of a network.

    Attributes:
        execution: ``eager`` or ``fused``.
        precision: ``fp32`` or ``bf16``.
        seconds_per_clip: Wall seconds of a clip, all threads of PyTorch at work: the shortest of those measured.
        num_clips: Number of clips that were measured, at least 1.
        largest_difference: Largest difference of a score from the first form's, 0..1.
    """

    execution: Literal["eager", "fused"]
    precision: Precision
    seconds_per_clip: float
    num_clips: int
    largest_difference: float


def measure_forms(model: ActionDetector, height: int, width: int, *, device: str, seconds: float) -> list[FormSpeed]:
    """Time a network in each form that does not emulate its arithmetic.

    Args:
        model: The network, on ``device`` and in evaluation mode.
        height: H of the clips, in pixels.
        width: W of the clips, in pixels.
        device: ``cpu`` or ``cuda``.
        seconds: Time after which a form gets no further clip.

    Returns:
        A row a form, the definition in fp32 first.
    """
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(1, 3, model.clip_settings.num_frames, height, width, generator=generator).to(device)
    # Three people, each on a third of the width: [M, 5].
    rois = torch.tensor([[0, i * width / 3, 0, (i + 1) * width / 3, height] for i in range(3)], device=device)
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if bf16_unit(device) else ("fp32",)
    executions: tuple[Literal["eager", "fused"], ...] = ("eager", "fused")
    rows: list[FormSpeed] = []
    exact: Tensor | None = None
    for execution in executions:
        for precision in precisions:
            if execution == "fused" and not has_fused_form(model, torch.device(device), precision):
                continue
            form = prepare(model, execution=execution, precision=precision, device=device)
            shortest, num_clips, scores = _timed(form, clip, rois, seconds)
            exact = scores if exact is None else exact
            difference = float((scores - exact).abs().max())
            rows.append(FormSpeed(execution, precision, shortest, num_clips, difference))
    return rows


def _timed(form: PreparedModel, clip: Tensor, rois: Tensor, seconds: float) -> tuple[float, int, Tensor]:
    """Shortest wall seconds of a clip, the number of clips, and their scores ``[M, K]``."""
    small = clip[..., : _FIRST_SIZE[0], : _FIRST_SIZE[1]]
    form(small, rois.new_tensor([[0.0, 0.0, 0.0, 32.0, 32.0]]))
    shortest, num_clips, began = float("inf"), 0, time.perf_counter()
    while not num_clips or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        scores = form(clip, rois).sigmoid().cpu()  # waits for a GPU
        shortest = min(shortest, time.perf_counter() - start)
        num_clips += 1
    return shortest, num_clips, scores
