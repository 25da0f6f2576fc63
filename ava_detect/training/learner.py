"""One training step: forward pass, backward pass, and update of the network, the optimiser and the moving average.

Shapes: B clips, T frames, H height, W width, M rows (people, or clips of a classifier), K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ava_detect.config import Config
from ava_detect.datasets.samples import Batch, network_input
from ava_detect.errors import DivergedError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.training.losses import build_loss
from ava_detect.training.optimiser import build_optimiser, layer_scales, set_learning_rate
from ava_detect.training.sync_batchnorm import synchronise_batchnorm

Network = ActionDetector | ActionClassifier
# Gradients that overflow fp16 even at this loss scale have diverged.
_LEAST_FP16_SCALE = 1.0
_RGB_CHANNELS = 3


@dataclass(frozen=True)
class Step:
    """The outcome of a training step.

    Attributes:
        loss: Mean over the rows of the whole batch.
        grad_norm: Norm of all gradients before clipping.
    """

    loss: float
    grad_norm: float


class Learner:
    """A network in training, in one process or as one of several whose weights stay equal.

    Args:
        network: The network to train.
        config: The config; its ``train`` section has the settings.
        accelerator: An ``accelerate.Accelerator``.

    Attributes:
        network: The network.
        average: The exponential moving average of its weights, or None.
        accelerator: The ``accelerate.Accelerator``.
    """

    def __init__(self, network: Network, config: Config, accelerator: Any) -> None:
        settings = config.train
        self.accelerator = accelerator
        self._clip_norm = math.inf if settings.clip_norm is None else settings.clip_norm
        head = config.model.head
        one_label = config.data.kind == "kinetics" or head.is_single_label
        name = settings.loss or ("cross_entropy" if one_label else "bce")
        has_background = head.score == "softmax_with_background"
        self._loss = build_loss(
            name, focal_alpha=settings.focal_alpha, focal_gamma=settings.focal_gamma, background=has_background
        )
        # Without a background, a person without an action has no class: as in mmaction2, only the others are learnt
        # from, and counted.
        self._needs_labels = name == "cross_entropy" and not has_background
        if settings.sync_batchnorm and accelerator.num_processes > 1:
            synchronise_batchnorm(network, accelerator.device)
        self.network = _channels_last(network.to(accelerator.device))
        self.average: AveragedModel | None = None
        if settings.ema_decay is not None:
            averaging = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
        if self._is_cpu and settings.precision == "bf16":
            _guard_convolutions(network)
        if settings.compile:
            # The head stays eager: the number of people changes with every step, which would compile it anew.
            network.backbone.compile()
        self._model, self._optimiser = accelerator.prepare(network, build_optimiser(network, settings))

    @property
    def evaluated(self) -> Network:
        """The network to validate and to save: the moving average if there is one, else the network."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def step(self, batches: Sequence[Batch], learning_rate: float) -> Step:
        """Run one training step.

        Args:
            batches: The accumulated parts of this process's share of the batch.
            learning_rate: The learning rate of the step, that of the last layer and the head.

        Returns:
            The loss and the gradient norm.

        Raises:
            DivergedError: The loss or its gradient is not finite; the weights are unchanged.
        """
        self._model.train()
        if self._needs_labels:
            batches = [batch.only_labelled() for batch in batches]
        # Rows of the whole batch: over all parts and processes.
        num_rows = max(1, int(self._sum_over_processes(sum(len(batch.labels) for batch in batches))))
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for number, batch in enumerate(batches, start=1):
            # Processes exchange gradients once per step, in the last backward pass.
            with nullcontext() if number == len(batches) else self.accelerator.no_sync(self._model):
                batch = batch.to(self.accelerator.device)
                part = self._loss(self._logits(batch), batch.labels)
                # DDP averages the gradients over the processes; the factor num_processes makes it their sum.
                self.accelerator.backward(part * (self.accelerator.num_processes / num_rows))
            loss_sum += part.detach()
        loss = self._sum_over_processes(loss_sum) / num_rows
        grad_norm = float(self.accelerator.clip_grad_norm_(self.network.parameters(), self._clip_norm))
        self._require_finite(loss, grad_norm)
        set_learning_rate(self._optimiser, learning_rate)
        self._optimiser.step()
        self._optimiser.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return Step(loss, grad_norm)

    def _logits(self, batch: Batch) -> Tensor:
        """The logits ``[M, K]`` of each person, or of each clip."""
        settings = self.network.clip_settings
        clip = network_input(batch.frames, settings.mean, settings.std, batch.sizes)  # [B, 3, T, H, W]
        if batch.rois is not None:
            detector_logits: Tensor = self._model(clip, batch.rois)  # [M, K]
            return detector_logits
        logits: Tensor = self._model(clip)  # [B, t, h, w, K]: one at each position
        return logits.mean(dim=(1, 2, 3))

    def _sum_over_processes(self, value: float | Tensor) -> float:
        tensor = torch.as_tensor(value, dtype=torch.float64 if self._is_cpu else torch.float32)
        return float(self.accelerator.reduce(tensor.to(self.accelerator.device), "sum"))

    @property
    def layer_scales(self) -> list[float]:
        """The factors of the learning rate of each layer, from the first to the last; ``[1.0]`` without layer decay."""
        return layer_scales(self._optimiser)

    @property
    def _is_cpu(self) -> bool:
        return bool(self.accelerator.device.type == "cpu")

    def _require_finite(self, loss: float, grad_norm: float) -> None:
        """Raise ``DivergedError`` for a loss or gradient that is not finite.

        With fp16 a gradient may overflow: the loss scaler then skips the step and lowers its scale, down to a limit.
        """
        scaler = self.accelerator.scaler
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        if scaler is None and not math.isfinite(grad_norm):
            raise DivergedError(f"the gradient of the loss {loss:g} has the norm {grad_norm}")
        if scaler is not None and scaler.get_scale() < _LEAST_FP16_SCALE:
            raise DivergedError("the gradients overflow fp16 at every scale")

    def synchronise_buffers(self) -> None:
        """Copy the batch norms' running statistics of the first process to all.

        Without synchronised batch norm each process has its own.
        """
        from accelerate.utils import broadcast  # type: ignore[import-untyped]

        modules = (self.network, self.evaluated)
        broadcast([buffer for module in modules for buffer in module.buffers()], from_process=0)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the network, the average, the optimiser and the loss scaler, for ``load_state_dict``."""
        scaler = self.accelerator.scaler
        return {
            "model": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state.

        Args:
            state: The value of ``state_dict``; other entries are ignored.
        """
        self.network.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])


def _channels_last(network: Network) -> Network:
    """Lay out the convolution weights channels-last, like the frames, which saves copies between the layouts."""
    for parameter in network.parameters():
        # A 1x1x1 kernel has the same layout either way.
        if parameter.dim() == 5 and parameter.shape[2:].numel() > 1:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network


class _GuardedConv3d(nn.Conv3d):
    """A convolution that leaves bf16 autocast where oneDNN's bf16 gradient of its weights is wrong.

    Two cases are known: of RGB frames a 1x7x7 kernel with stride 2 writes beyond its memory (torch 2.15, AMX). Where
    the kernel reaches beyond both ends of the clip, as 3x1x1 over 2 frames, the gradient holds memory that was never
    written (torch 2.14, AVX-512 BF16 without AMX).
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.in_channels != _RGB_CHANNELS and input.shape[2] >= self.kernel_size[0]:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


def _guard_convolutions(network: Network) -> None:
    """Keep convolutions out of bf16 where their gradient would be wrong."""
    for module in network.backbone.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = _GuardedConv3d
