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
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Several threads may share one network; only one of them may reorder its weights.
_PACKING = threading.Lock()
# Weights converted together: they stay in a core's cache, and their memory is used again for the next ones. A whole
# layer at once takes twice as long, because the system has to clear fresh memory for it.
_WEIGHTS_AT_ONCE = 1 << 15
# Orders of a convolution's weights that are kept, of which it has 1 to 3 in practice; each takes the memory of all.
_MOST_ORDERS = 4
# The bytes of oneDNN's memory description between the type and the next field, which are not set.
_PADDING = slice(108, 112)


def folded(conv: nn.Conv3d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Fold a batch norm into the convolution before it; the weights are multiplied later, by ``float64_blocks``.

    Args:
        conv: The convolution, with or without bias.
        norm: Its ``BatchNorm3d`` with running statistics, or None.

    Returns:
        The convolution's own weight ``[O, I, t, h, w]``; the factor of each output channel, float64 ``[O]``, or None
        where there is no norm; and the bias, float64 ``[O]``.
    """
    weight = conv.weight.detach()  # [O, I, t, h, w]
    num_outputs = weight.shape[0]
    bias = weight.new_zeros(num_outputs, dtype=torch.float64) if conv.bias is None else conv.bias.detach().double()
    if norm is None:
        return weight, None, bias
    assert isinstance(norm, nn.BatchNorm3d) and norm.running_mean is not None and norm.running_var is not None
    # norm(y) = (y - mean) * scale + shift is linear in y, so scale goes into the weight and the rest into the bias.
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()  # [O]
    folded_bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()  # [O]
    return weight, scale, folded_bias


def float64_blocks(weight: Tensor, scale: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """Multiply weights by the factors of their output channels, in float64, a few channels at a time.

    Args:
        weight: ``[O, I, ...]``, of any type.
        scale: Factor of each output channel, float64 ``[O]``; None for 1.

    Yields:
        The range of output channels, and their products, float64 ``[o, I, ...]``.
    """
    per_block = max(1, _WEIGHTS_AT_ONCE // max(1, weight[:1].numel()))
    for first in range(0, weight.shape[0], per_block):
        rows = slice(first, first + per_block)
        block = weight[rows].double()
        yield rows, block if scale is None else block * scale[rows].view(-1, *[1] * (weight.dim() - 1))


def rounded(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Multiply weights by the factors of their output channels, and round the products.

    Args:
        weight: ``[O, I, h, w]``.
        scale: Factor of each output channel, float64 ``[O]``; None for 1.
        dtype: Type of the result, float32 or bfloat16.

    Returns:
        New weights ``[O, I, h, w]``.
    """
    # oneDNN's reordering starts from contiguous weights.
    layout = torch.contiguous_format if has_fused_ops(weight.device, dtype) else torch.channels_last
    products = torch.empty_like(weight, dtype=dtype, memory_format=layout)
    for rows, block in float64_blocks(weight, scale):
        products[rows] = block
    return products


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


def is_avx2() -> bool:
    """Return whether AVX2 is the widest arithmetic of this CPU; the best forms differ from those of AVX-512.

    Returns:
        True for x86 CPUs with AVX2 and without AVX-512.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


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
        groups: int = 1,
    ) -> None:
        """Keep the weights; they are reordered for the kernel at the first call.

        Args:
            weight: ``[O, I / groups, h, w]`` in the type of the maps, float32 or bfloat16; not copied.
            bias: ``[O]``.
            stride: Stride (h, w).
            padding: Zeros on each side (h, w).
            dilation: Dilation (h, w).
            groups: Number of equal parts of the channels in and out that are convolved each by itself.
        """
        self.weight, self.bias = weight, bias.to(weight.dtype)
        self._is_fused = has_fused_ops(weight.device, weight.dtype)
        self._geometry = list(stride), list(padding), list(dilation)
        self._groups = groups
        # Size of maps -> the weights in the order of its kernel. Sizes of one order have the same copy; beyond the most
        # orders a size has those of the first, which oneDNN reorders at each call.
        self._ordered: dict[torch.Size, Tensor] = {}
        self._by_order: dict[bytes, Tensor] = {}

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
            weight = self._weight_for(maps.shape)
            activation = "relu" if relu else "none"
            convolve = torch.ops.mkldnn._convolution_pointwise
            fused: Tensor = convolve(
                maps, weight, self.bias, padding, stride, dilation, self._groups, activation, [], ""
            )
            return fused
        plain = functional.conv2d(maps, self.weight, self.bias, stride, padding, dilation, self._groups)
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
        weight = self._weight_for(maps.shape)
        stride, padding, dilation = self._geometry
        convolve = torch.ops.mkldnn._convolution_pointwise_.binary
        activation = "relu" if relu else None
        fused: Tensor = convolve(
            total, maps, weight, self.bias, padding, stride, dilation, self._groups, "add", 1.0, activation, [], ""
        )
        return fused

    def _weight_for(self, size: torch.Size) -> Tensor:
        """The weights in the order of the kernel for maps of this size."""
        if (known := self._ordered.get(size)) is not None:
            return known
        with _PACKING:
            stride, padding, dilation = self._geometry
            reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
            plain = self.weight if self.weight.is_mkldnn else self.weight.to_mkldnn()
            ordered = reorder(plain, padding, stride, dilation, self._groups, list(size))  # type: ignore[call-arg]  # the stub lacks the last
            if not self.weight.is_mkldnn:
                self.weight = ordered
            order = _order_of(ordered)
            if order not in self._by_order and len(self._by_order) < _MOST_ORDERS:
                self._by_order[order] = ordered
            self._ordered[size] = weight = self._by_order.get(order, self.weight)
            return weight


def _order_of(weight: Tensor) -> bytes:
    """What tells orders of reordered weights apart: oneDNN's description of their memory."""
    description = bytes(torch.ops.mkldnn._get_mkldnn_serialized_md(weight).tolist())
    return description[: _PADDING.start] + description[_PADDING.stop :]
