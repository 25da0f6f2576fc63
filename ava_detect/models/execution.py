"""How a network is run: one definition, several ways to the same numbers.

``models/slowfast.py`` defines the network; training, checkpoints and comparisons with other code use it as it stands.
For inference ``prepare`` derives a way to run it:

- ``eager``: the definition itself; bf16 by autocast.
- ``fused``: ``models/fused.py``. Logits stay within 1e-4 of the definition's in fp32.
- ``auto``: ``fused`` on x86 CPUs, where ``docs/performance.md`` has the measurements, for large networks and for small
  ones; ``eager`` on everything else, where nothing was measured.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Literal, get_args

import torch
from torch import Tensor

from ava_detect.errors import ConfigError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.fused.backbone import FusedSlowFast
from ava_detect.models.fused.conv import has_fused_ops

Execution = Literal["auto", "eager", "fused"]
Precision = Literal["fp32", "bf16"]
_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PreparedModel:
    """A network ready for inference, with the signature of the network itself.

    Its weights are those that the network had when it was prepared. ``execution``, ``precision``: how it runs.
    """

    def __init__(
        self,
        model: ActionDetector | ActionClassifier,
        execution: Literal["eager", "fused"],
        precision: Precision,
        device: torch.device,
    ) -> None:
        self.execution = execution
        self.precision: Precision = precision
        self._model = model
        self._device = device
        self._fused = FusedSlowFast(model.backbone, _DTYPES[precision]) if execution == "fused" else None

    def __call__(self, clip: Tensor, rois: Tensor | None = None) -> Tensor:
        """``clip``: normalised RGB ``[B, 3, T, H, W]``; ``rois``: ``[M, 5]`` for a detector, None for a classifier.

        Returns the network's logits, float32.
        """
        with ExitStack() as context:
            context.enter_context(torch.inference_mode())
            if self._device.type == "cuda":
                # cuDNN would otherwise compute "fp32" convolutions with 10-bit mantissas. The flag is the process's, so
                # that threads which set and restore it side by side, as on a CPU, would leave it wrong.
                context.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
            if self._fused is not None:
                return self._after(self._fused(clip), rois)
            context.enter_context(torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"))
            logits: Tensor = self._model(clip) if rois is None else self._model(clip, rois)
            return logits.float()

    def _after(self, features: list[Tensor], rois: Tensor | None) -> Tensor:
        """The rest of the network, in float32."""
        model = self._model
        logits: Tensor
        if isinstance(model, ActionClassifier):
            logits = model.head([pathway.float() for pathway in features])
        else:
            assert rois is not None, "a detector scores the people inside boxes"
            logits = model.head(model.roi_pool(features, rois))
        return logits


def prepare(
    model: ActionDetector | ActionClassifier,
    *,
    execution: Execution = "auto",
    precision: Precision = "fp32",
    device: str | torch.device = "cpu",
) -> PreparedModel:
    """``model`` (on ``device``, in evaluation mode) as it should be run.

    Other modules of the same signature run as they are, under ``auto`` and ``eager``.
    """
    device = torch.device(device)
    if execution == "auto":
        is_ours = isinstance(model, ActionDetector | ActionClassifier)
        execution = "fused" if is_ours and has_fused_ops(device, _DTYPES[precision]) else "eager"
    return PreparedModel(model, execution, precision, device)


def resolve_device(device: str) -> str:
    """``auto`` is CUDA where there is one; asking for CUDA without one is a ``ConfigError``."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"`device` is auto, cpu or cuda, got {device!r}")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            "`device=cuda`: torch finds no CUDA device here (ava-detect doctor says more); use `device=cpu`"
        )
    return "cuda" if available and device != "cpu" else "cpu"


def resolve_precision(precision: str) -> Precision:
    """``auto`` is fp32, whose scores equal the references; bf16 is a choice."""
    known: dict[str, Precision] = {"auto": "fp32", "fp32": "fp32", "bf16": "bf16"}
    if precision not in known:
        raise ConfigError(f"`precision` is {', '.join(known)}, got {precision!r}")
    return known[precision]


def resolve_execution(execution: str) -> Execution:
    """How the network is run (``models/execution.py``); ``ConfigError`` for a name that is none of the ways."""
    known: dict[str, Execution] = {name: name for name in get_args(Execution)}
    if execution not in known:
        raise ConfigError(f"`execution` is {', '.join(known)}, got {execution!r}")
    return known[execution]
