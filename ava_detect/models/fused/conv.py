"""One convolution for inference: batch norm folded in, sum and ReLU applied before the result leaves the cache.

On an x86 CPU this is oneDNN's convolution with post-operations, as ``torch.compile`` uses it, called directly: nothing
is compiled, and the weights are stored in the order that the kernel reads. Elsewhere PyTorch's own operators do the
same steps.

Shapes: N maps, I channels in, O channels out, H height, W width, t, h, w kernel. Maps are ``[N, C, H, W]`` in
channels-last memory.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Several threads may share one network; only one of them may reorder its weights.
_PACKING = threading.Lock()


def folded(conv: nn.Conv3d, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Fold a batch norm into the convolution before it.

    Args:
        conv: The convolution, with or without bias.
        norm: Its ``BatchNorm3d`` with running statistics, or None.

    Returns:
        Weight ``[O, I, t, h, w]`` and bias ``[O]``, float64.
    """
    weight = conv.weight.detach().double()  # [O, I, t, h, w]
    bias = weight.new_zeros(weight.shape[0]) if conv.bias is None else conv.bias.detach().double()  # [O]
    if norm is None:
        return weight, bias
    assert isinstance(norm, nn.BatchNorm3d) and norm.running_mean is not None and norm.running_var is not None
    # norm(y) = (y - mean) * scale + shift is linear in y, so scale goes into the weight and the rest into the bias.
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()  # [O]
    folded_bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()  # [O]
    return weight * scale.view(-1, 1, 1, 1, 1), folded_bias


def has_fused_ops(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether oneDNN's fused convolutions run here: on an x86 CPU, in a PyTorch that has and allows them.

    Args:
        device: Device of the maps.
        dtype: Type of the maps.

    Returns:
        True for float32, and for bfloat16 where the CPU supports it.
    """
    ops = torch.ops.mkldnn
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    # The operators are not a public interface: a build without them lacks the attributes.
    if not (bool(torch.backends.mkldnn.enabled) and hasattr(ops, "_convolution_pointwise_")):
        return False
    if not hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(ops._is_mkldnn_bf16_supported()))


class FusedConv:
    """A 2D convolution with optional ReLU, or one that adds its result to other maps in the same pass."""

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
        """Round the weights to ``dtype``; they are reordered for the kernel at the first call.

        Args:
            weight: ``[O, I, h, w]``.
            bias: ``[O]``.
            stride: Stride (h, w).
            padding: Zeros on each side (h, w).
            dilation: Dilation (h, w).
            dtype: Type of the maps, float32 or bfloat16.
        """
        self.weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(dtype)
        self._geometry = list(stride), list(padding), list(dilation)
        self._is_fused = has_fused_ops(weight.device, dtype)
        self._is_packed = False

    def __call__(self, maps: Tensor, *, relu: bool) -> Tensor:
        """Convolve.

        Args:
            maps: ``[N, I, H, W]``.
            relu: Whether ReLU follows.

        Returns:
            Maps ``[N, O, H', W']``.
        """
        stride, padding, dilation = self._geometry
        if self._is_fused:
            self._pack(maps)
            activation = "relu" if relu else "none"
            convolve = torch.ops.mkldnn._convolution_pointwise
            fused: Tensor = convolve(maps, self.weight, self.bias, padding, stride, dilation, 1, activation, [], "")
            return fused
        plain = functional.conv2d(maps, self.weight, self.bias, stride, padding, dilation)
        return plain.relu_() if relu else plain

    def add_to(self, total: Tensor, maps: Tensor, *, relu: bool) -> Tensor:
        """Add the convolution of ``maps`` to ``total``, in place.

        Args:
            total: Maps ``[N, O, H', W']``; overwritten.
            maps: ``[N, I, H, W]``.
            relu: Whether ReLU follows the sum.

        Returns:
            ``total``.
        """
        if not self._is_fused:
            total = total.add_(self(maps, relu=False))
            return total.relu_() if relu else total
        self._pack(maps)
        stride, padding, dilation = self._geometry
        convolve = torch.ops.mkldnn._convolution_pointwise_.binary
        activation = "relu" if relu else None
        fused: Tensor = convolve(
            total, maps, self.weight, self.bias, padding, stride, dilation, 1, "add", 1.0, activation, [], ""
        )
        return fused

    def _pack(self, maps: Tensor) -> None:
        """Reorder the weights once, into the order of the kernel for maps of this size.

        For maps of another size oneDNN may need another order; it then reorders at each call, which costs little.
        """
        if self._is_packed:
            return
        with _PACKING:
            if not self._is_packed:
                stride, padding, dilation = self._geometry
                reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
                self.weight = reorder(self.weight.to_mkldnn(), padding, stride, dilation, 1, list(maps.shape))  # type: ignore[call-arg]  # the stub lacks the last
                self._is_packed = True
