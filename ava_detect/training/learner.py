"""One step of learning: forward, backward and update of a network, its optimiser and its moving average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ava_detect.config import Config
from ava_detect.datasets.samples import Batch, network_input
from ava_detect.errors import DivergedError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.training.losses import build_loss
from ava_detect.training.optimiser import build_optimiser
from ava_detect.training.sync_batchnorm import synchronise_batchnorm

Network = ActionDetector | ActionClassifier
# Below this scale fp16's gradients overflow whatever is done about it.
_LEAST_FP16_SCALE = 1.0


@dataclass(frozen=True)
class Step:
    """``loss``: mean over the rows of the whole batch. ``grad_norm``: of all gradients, before it was clipped."""

    loss: float
    grad_norm: float


class Learner:
    """A network that learns, in one process or as one of several that stay equal.

    ``network``: what learns. ``average``: its moving average, or None. ``accelerator``: Accelerate's.
    """

    def __init__(self, network: Network, config: Config, accelerator: Any) -> None:
        settings = config.train
        self.accelerator = accelerator
        self._clip_norm = math.inf if settings.clip_norm is None else settings.clip_norm
        self._loss = build_loss(
            settings.loss or ("cross_entropy" if config.data.kind == "kinetics" else "bce"),
            focal_alpha=settings.focal_alpha,
            focal_gamma=settings.focal_gamma,
        )
        if settings.sync_batchnorm and accelerator.num_processes > 1:
            synchronise_batchnorm(network, accelerator.device)
        self.network = _channels_last(network.to(accelerator.device))
        self.average: AveragedModel | None = None
        if settings.ema_decay is not None:
            averaging = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
        if self._is_cpu and settings.precision == "bf16":
            _stem_in_fp32(network)
        if settings.compile:
            # Not the head: every step has another number of people.
            network.backbone.compile()
        self._model, self._optimiser = accelerator.prepare(network, build_optimiser(network, settings))

    @property
    def evaluated(self) -> Network:
        """The network that is validated and kept: the average, where there is one."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def step(self, batches: Sequence[Batch], learning_rate: float) -> Step:
        """Learn from one batch that came in parts. ``DivergedError`` when the loss or its gradient is no number; the
        weights are then as they were.
        """
        self._model.train()
        num_rows = max(1, int(self._sum(sum(len(batch.labels) for batch in batches))))
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for number, batch in enumerate(batches, start=1):
            # Processes exchange gradients once, with the last part.
            with nullcontext() if number == len(batches) else self.accelerator.no_sync(self._model):
                batch = batch.to(self.accelerator.device)
                part = self._loss(self._logits(batch), batch.labels)
                # The exchange takes the mean over processes, and what is wanted is the sum.
                self.accelerator.backward(part * (self.accelerator.num_processes / num_rows))
            loss_sum += part.detach()
        loss = self._sum(loss_sum) / num_rows
        grad_norm = float(self.accelerator.clip_grad_norm_(self.network.parameters(), self._clip_norm))
        self._check(loss, grad_norm)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.step()
        self._optimiser.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return Step(loss, grad_norm)

    def _logits(self, batch: Batch) -> Tensor:
        """``[M, K]``: of each person, or of each clip (the mean over a classifier's positions)."""
        settings = self.network.clip_settings
        clip = network_input(batch.frames, settings.mean, settings.std)
        logits: Tensor = self._model(clip) if batch.rois is None else self._model(clip, batch.rois)
        return logits.mean(dim=(1, 2, 3)) if batch.rois is None else logits

    def _sum(self, value: float | Tensor) -> float:
        """The sum over all processes."""
        tensor = torch.as_tensor(value, dtype=torch.float64 if self._is_cpu else torch.float32)
        return float(self.accelerator.reduce(tensor.to(self.accelerator.device), "sum"))

    @property
    def _is_cpu(self) -> bool:
        return bool(self.accelerator.device.type == "cpu")

    def _check(self, loss: float, grad_norm: float) -> None:
        scaler = self.accelerator.scaler
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss}")
        if scaler is None and not math.isfinite(grad_norm):
            raise DivergedError(f"the gradient of the loss {loss:g} has the norm {grad_norm}")
        if scaler is not None and scaler.get_scale() < _LEAST_FP16_SCALE:
            raise DivergedError("the gradients overflow fp16 at every scale")

    def equalise(self) -> None:
        """Give every process the running statistics of the first; without synchronised batch norm each has its own."""
        from accelerate.utils import broadcast  # type: ignore[import-untyped]

        modules = (self.network, self.evaluated)
        broadcast([buffer for module in modules for buffer in module.buffers()], from_process=0)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values of which ``load`` makes the same learner again."""
        scaler = self.accelerator.scaler
        return {
            "model": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``state`` says."""
        self.network.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])


def _channels_last(network: Network) -> Network:
    """The network with weights laid out like uint8 frames, which spares the copies between layouts."""
    for parameter in network.parameters():
        # A kernel of one point has the same layout either way.
        if parameter.dim() == 5 and parameter.shape[2:].numel() > 1:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return network


def _stem_in_fp32(network: Network) -> None:
    """Keep the first convolutions out of bf16: on a CPU (seen with torch 2.15) the gradient of a 1x7x7 convolution of 3
    channels with stride 2 writes beyond its memory.
    """
    for stem in network.backbone.stem.values():
        stem.forward = torch.autocast("cpu", enabled=False)(stem.forward)
