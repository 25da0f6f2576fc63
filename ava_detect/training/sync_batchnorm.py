"""Batch norm whose statistics are those of all processes together, so that N processes learn what one would."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


def synchronise_batchnorm(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with synchronised batch norms, of the same names and weights: torch's own, or on CPU, ours."""
    if device.type != "cpu":
        return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(model))  # type: ignore[no-untyped-call]
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm3d):
            model.set_submodule(name, CpuSyncBatchNorm.of(module))
    return model


class CpuSyncBatchNorm(nn.BatchNorm3d):
    """Synchronised batch norm over any backend (gloo); ``nn.SyncBatchNorm`` exists for GPUs only."""

    @classmethod
    def of(cls, norm: nn.BatchNorm3d) -> CpuSyncBatchNorm:
        """The same norm, with the same tensors."""
        new = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        new.weight, new.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(new, name, buffer)
        return new

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> normalised by the batch of all processes in training, as ever in evaluation."""
        if not self.training:
            return super().forward(x)
        mean, variance, count = _statistics(x.float())
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (x.float() * _wide(scale) + _wide(shift)).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """The running statistics, with the unbiased variance, as torch keeps them."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance ``[C]`` over all processes, and the number of values.

    Each process sends its mean and its squared distances from it (Chan et al. 1979): a difference of large sums of
    squares would lose digits.
    """
    variance, mean = torch.var_mean(x, dim=(0, 2, 3, 4), correction=0)
    count = torch.full_like(mean, x.numel() / x.shape[1])
    parts: Tensor = _Gather.apply(torch.stack([mean, variance, count]))
    means, variances, counts = parts.unbind(1)
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    variance = (counts * (variances + (means - mean) ** 2)).sum(0) / total
    return mean, variance, total


class _Gather(torch.autograd.Function):
    """``[...]`` of this process -> ``[processes, ...]`` of all; a gradient flows back to whose value it was."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        parts = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, mine.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous()
        torch.distributed.all_reduce(total)
        return total[torch.distributed.get_rank()]


def _wide(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1, 1)
