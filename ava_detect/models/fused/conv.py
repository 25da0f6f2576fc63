"""One convolution as inference wants it: batch norm folded in, sum and ReLU done before the result leaves the cache.

On an x86 CPU this is oneDNN's convolution with post-operations, as ``torch.compile`` uses it, called directly: nothing
is compiled, and the weights lie in the order that the kernel reads. Elsewhere the same steps are PyTorch's own.

Maps are ``[N, C, H, W]`` in channels-last memory.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Several threads may run one network: the first to come packs.
_PACKING = threading.Lock()


def folded(conv: nn.Conv3d, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Weight ``[O, I, t, h, w]`` and bias ``[O]``, float64, of a convolution and the batch norm behind it in one."""
    weight = conv.weight.detach().double()
    bias = weight.new_zeros(weight.shape[0]) if conv.bias is None else conv.bias.detach().double()
    if norm is None:
        return weight, bias
    assert isinstance(norm, nn.BatchNorm3d) and norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return weight * scale.view(-1, 1, 1, 1, 1), (
        bias - norm.running_mean.double()
    ) * scale + norm.bias.detach().double()


def has_fused_ops(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN's fused convolutions run here: on an x86 CPU, in a PyTorch that has and allows them."""
    ops = torch.ops.mkldnn
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    # Their absence is said by the attribute's: they are no public interface.
    if not (bool(torch.backends.mkldnn.enabled) and hasattr(ops, "_convolution_pointwise_")):
        return False
    if not hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(ops._is_mkldnn_bf16_supported()))


class FusedConv:
    """A convolution of maps, then ReLU or not; or a convolution added to other maps, then ReLU or not."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        dtype: torch.dtype,
    ) -> None:
        """``weight``: ``[O, I, h, w]``; ``bias``: ``[O]``. They are rounded to ``dtype``, the type of the maps."""
        self.weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(dtype)
        self._shape = list(stride), list(padding), list(dilation)
        self._is_fused = has_fused_ops(weight.device, dtype)
        self._is_packed = False

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, H', W']``."""
        stride, padding, dilation = self._shape
        if self._is_fused:
            self._pack(maps)
            after = "relu" if relu else "none"
            convolve = torch.ops.mkldnn._convolution_pointwise
            fused: Tensor = convolve(maps, self.weight, self.bias, padding, stride, dilation, 1, after, [], "")
            return fused
        plain = functional.conv2d(maps, self.weight, self.bias, stride, padding, dilation)
        return plain.relu_() if relu else plain

    def add_to(self, total: Tensor, maps: Tensor, *, relu: bool) -> Tensor:
        """``total`` plus the convolution of ``maps``; ``total`` is overwritten and returned."""
        if not self._is_fused:
            total = total.add_(self(maps, relu=False))
            return total.relu_() if relu else total
        self._pack(maps)
        stride, padding, dilation = self._shape
        convolve = torch.ops.mkldnn._convolution_pointwise_.binary
        after = "relu" if relu else None
        fused: Tensor = convolve(
            total, maps, self.weight, self.bias, padding, stride, dilation, 1, "add", 1.0, after, [], ""
        )
        return fused

    def _pack(self, maps: Tensor) -> None:
        """Reorder the weights once, as the kernel for maps like the first ones wants them.

        For maps of another size oneDNN may want another order; it then reorders at each call, which costs little.
        """
        if self._is_packed:
            return
        with _PACKING:
            if not self._is_packed:
                stride, padding, dilation = self._shape
                reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
                self.weight = reorder(self.weight.to_mkldnn(), padding, stride, dilation, 1, list(maps.shape))  # type: ignore[call-arg]  # the stub lacks the last
                self._is_packed = True
