"""Batch norm with statistics over all processes, so that N processes learn what one process would.

Shapes: B clips of this process, C channels, T frames, H height, W width.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


def synchronise_batchnorm(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace the batch norms of a model by synchronised ones.

    Args:
        model: The model; on a CPU it is changed in place.
        device: The device of the training; a CPU gets ``CpuSyncBatchNorm``, any other ``torch.nn.SyncBatchNorm``.

    Returns:
        The model, with the same parameter names and the same tensors.
    """
    if device.type != "cpu":
        return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(model))  # type: ignore[no-untyped-call]
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm3d):
            model.set_submodule(name, CpuSyncBatchNorm.from_batchnorm(module))
    return model


class CpuSyncBatchNorm(nn.BatchNorm3d):
    """Synchronised batch norm over any backend (gloo); ``nn.SyncBatchNorm`` exists for GPUs only."""

    @classmethod
    def from_batchnorm(cls, norm: nn.BatchNorm3d) -> CpuSyncBatchNorm:
        """Convert a batch norm.

        Args:
            norm: The batch norm to replace.

        Returns:
            A synchronised batch norm that shares its parameters and buffers.
        """
        new = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        new.weight, new.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(new, name, buffer)
        return new

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the statistics over all processes in training mode, by the running ones in evaluation mode.

        Args:
            x: Features ``[B, C, T, H, W]``.

        Returns:
            Normalised features ``[B, C, T, H, W]`` in the dtype of ``x``.
        """
        if not self.training:
            return super().forward(x)
        mean, variance, count = _global_statistics(x.float())  # each [C]
        self._update_running_statistics(mean.detach(), variance.detach(), count)
        # (x - mean) / sqrt(variance + eps) * weight + bias as one multiplication and one addition per value.
        scale = self.weight * torch.rsqrt(variance + self.eps)  # [C]
        shift = self.bias - mean * scale  # [C]
        return (x.float() * _per_channel(scale) + _per_channel(shift)).to(x.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Update the running mean and the unbiased running variance, as torch does."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def _global_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance and number of values per channel over all processes, each ``[C]``.

    The processes exchange means and variances, which are merged by the formula of Chan et al. (1979): E[x^2] - E[x]^2
    would lose digits to cancellation.
    """
    # The statistics of this process.
    variance, mean = torch.var_mean(x, dim=(0, 2, 3, 4), correction=0)  # [C], [C]
    count = torch.full_like(mean, x.numel() / x.shape[1])  # [C]
    # Those of all P processes.
    gathered: Tensor = _AllGather.apply(torch.stack([mean, variance, count]))  # [P, 3, C]
    means, variances, counts = gathered.unbind(1)  # [P, C] each
    # Variance over all = mean of the variances + variance of the means, weighted by the counts.
    total = counts.sum(0)  # [C]
    mean = (counts * means).sum(0) / total
    variance = (counts * (variances + (means - mean) ** 2)).sum(0) / total
    return mean, variance, total


class _AllGather(torch.autograd.Function):
    """``[...]`` of this process -> ``[P, ...]`` of all; each process gets the gradient of its own row."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, local.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Every process holds a part of the loss; the gradient of a row is the sum over the processes.
        total = gradient.contiguous()
        torch.distributed.all_reduce(total)
        return total[torch.distributed.get_rank()]


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)  # [C] -> [1, C, 1, 1, 1]
