"""Ways to run a network for inference: one definition, several executions with the same numbers.

``models/slowfast.py`` and ``models/vit.py`` define the networks; training, checkpoints and comparisons with other code
run those definitions. For inference ``prepare`` chooses one of:

- ``eager``: the definition itself; bf16 by autocast.
- ``fused``: ``models/fused``, for the backbones that have such a form. Logits stay within 1e-4 of the definition's in
  fp32.
- ``auto``: ``fused`` on x86 CPUs, where it was measured on large and small networks (``docs/performance.md``);
  ``eager`` on all other devices, where it was not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ava_detect.errors import ConfigError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.backbone import Backbone
from ava_detect.models.fused.backbone import FusedSlowFast
from ava_detect.models.fused.conv import has_fused_ops
from ava_detect.models.fused.vit import FusedViT
from ava_detect.models.network_options import Execution, Precision, resolve_precision
from ava_detect.models.slowfast import SlowFast
from ava_detect.models.vit import VisionTransformer

# The fused form of each kind of backbone, from it, the type of numbers, and the frames of the clips to expect.
_FUSED_FORMS: dict[type[Backbone], Callable[[Any, torch.dtype, int], FusedSlowFast | FusedViT]] = {
    SlowFast: FusedSlowFast,
    VisionTransformer: lambda backbone, dtype, num_frames: FusedViT(backbone, dtype),
}
_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PreparedModel:
    """A network ready for inference, called like the network itself.

    The network's weights must not change while it is in use: some are copied, others shared.
    """

    def __init__(
        self,
        model: ActionDetector | ActionClassifier,
        execution: Literal["eager", "fused"],
        precision: Precision,
        device: torch.device,
    ) -> None:
        """Create the fused backbone if the execution asks for it.

        Args:
            model: The network, on ``device`` and in evaluation mode.
            execution: ``"eager"`` or ``"fused"``.
            precision: Number type of the convolutions, ``"fp32"`` or ``"bf16"``.
            device: Device of the network.
        """
        self.execution = execution
        self.precision: Precision = precision
        self._model = model
        self._device = device
        self._fused = _fused_form(model, _DTYPES[precision]) if execution == "fused" else None

    def __call__(self, clip: Tensor, rois: Tensor | None = None) -> Tensor:
        """Compute the logits.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` at the fast pathway's frame rate.
            rois: Boxes ``[M, 5]`` for a detector, None for a classifier.

        Returns:
            The network's logits, float32.
        """
        return self.consume([clip], rois)

    def consume(self, clip: list[Tensor], rois: Tensor | None = None) -> Tensor:
        """Compute the logits of a clip that is not needed afterwards: a fused form frees its memory early.

        Args:
            clip: A list with the clip alone, ``[B, 3, T, H, W]`` as for ``__call__``; it is taken out.
            rois: Boxes ``[M, 5]`` for a detector, None for a classifier.

        Returns:
            The network's logits, float32.
        """
        with ExitStack() as context:
            context.enter_context(torch.inference_mode())
            if self._device.type == "cuda":
                # cuDNN would otherwise compute "fp32" convolutions with 10-bit mantissas. The flag belongs to the
                # process: concurrent calls would restore it wrongly, so the CPU's, which may be concurrent, leave it.
                context.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
            if self._fused is not None:
                clip_size = clip[0].shape[-2:]
                return self._head_logits(self._fused.consume(clip), rois, clip_size)
            context.enter_context(torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"))
            taken = clip.pop()
            logits: Tensor = self._model(taken) if rois is None else self._model(taken, rois)
            return logits.float()

    def order_weights(self, num_frames: int, size: tuple[int, int]) -> None:
        """Store the weights in the order of their kernels now, as the first call would.

        Processes that share them share these copies then. The order of a few depends on the clips' size: of those a
        call with another size makes further copies.

        Args:
            num_frames: Number of frames of the clips that are expected.
            size: Their height and width.
        """
        if isinstance(self._fused, FusedSlowFast):
            with torch.inference_mode():
                self._fused.consume([torch.zeros(1, 3, num_frames, *size)])

    def _head_logits(self, features: list[Tensor], rois: Tensor | None, clip_size: Sequence[int]) -> Tensor:
        """Run the parts after the backbone, in float32."""
        model = self._model
        logits: Tensor
        if isinstance(model, ActionClassifier):
            logits = model.head([pathway.float() for pathway in features])
        else:
            assert rois is not None, "a detector scores the persons inside boxes"
            logits = model.head(model.roi_pool(features, rois, clip_size))
        return logits


def prepare(
    model: ActionDetector | ActionClassifier,
    *,
    execution: Execution = "auto",
    precision: Precision = "fp32",
    device: str | torch.device = "cpu",
) -> PreparedModel:
    """Prepare a network for inference.

    Args:
        model: The network, on ``device`` and in evaluation mode. Other modules of the same signature are accepted with
            ``auto`` and ``eager``; they run unchanged.
        execution: ``"auto"``, ``"eager"`` or ``"fused"``; see the module's docstring.
        precision: Number type of the convolutions; fp32, with a warning, instead of bf16 where that would be emulated.
        device: Device of the network.

    Returns:
        The prepared network.
    """
    device = torch.device(device)
    if device.type in ("cpu", "cuda"):
        precision = resolve_precision(precision, device.type)
    if execution == "auto":
        execution = "fused" if has_fused_form(model, device, precision) else "eager"
    return PreparedModel(model, execution, precision, device)


def has_fused_form(model: nn.Module, device: torch.device, precision: Precision) -> bool:
    """Return whether ``execution="auto"`` is ``fused`` here.

    Args:
        model: The network.
        device: Device of the network.
        precision: Number type of the convolutions.

    Returns:
        True where the network's backbone has such a form and the device oneDNN's fused operations.
    """
    return type(getattr(model, "backbone", None)) in _FUSED_FORMS and has_fused_ops(device, _DTYPES[precision])


def _fused_form(model: ActionDetector | ActionClassifier, dtype: torch.dtype) -> FusedSlowFast | FusedViT:
    form = _FUSED_FORMS.get(type(model.backbone))
    if form is None:
        known = ", ".join(kind.__name__ for kind in _FUSED_FORMS)
        raise ConfigError(
            f"`execution=fused` knows the backbones {known}, got {type(model.backbone).__name__}; use `execution=eager`"
        )
    return form(model.backbone, dtype, model.clip_settings.num_frames)
