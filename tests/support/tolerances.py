"""How far two numbers may lie apart, each named by what is compared and with its reason.

Absolute unless the comment says relative. A tolerance that one test alone needs stands in that test, with its reason.
"""

from __future__ import annotations

import torch

# --- One float32 network computed in two ways: other sizes of batch, numbers of threads, fused operations, ONNX
# Sums in another order: about 1e-7 a layer, some fifty layers. Scores are in 0..1, logits of these networks near 1.
FP32_SCORES = 1e-5
FP32_LOGITS = 1e-5
# Relative to the largest value (see `relative_to_largest`): feature maps grow with depth.
FP32_FEATURES = 1e-5
# A GPU sums in yet another order, and its convolutions may round their inputs.
GPU_SCORES = 1e-4
GPU_LOGITS = 1e-4
# The same outputs of the same network, and float32 arithmetic of a few steps (a mean over views) after it.
AVERAGED_SCORES = 1e-6

# --- bf16, which has 8 bits of mantissa: 0.4 percent a rounding
BF16_SCORES = 0.02
BF16_LOGITS = 0.05
# Relative to the largest value.
BF16_FEATURES = 0.03

# --- Convolutions of 12 to 36 terms near 1 in float32, against float64
CONVOLUTION = 1e-5
# Winograd's form subtracts numbers a few times as large as the result.
WINOGRAD_CONVOLUTION = 5e-5

# --- Arithmetic of a few steps
# Relative: a float32 holds 24 bits, a rounding changes it by 6e-8 of its value.
FLOAT32 = 1e-6
# Fractions of the frame in float32, through pixels and back.
BOX_FRACTIONS = 1e-6
# Boxes written to a text file with five or more decimals.
WRITTEN_BOXES = 1e-5
# Scores near 1 in float32: kept, interpolated or averaged.
FLOAT32_SCORES = 1e-6
# Average precision in float64: sums of up to millions of terms below 1, in another order.
FLOAT64_AP = 1e-12
# (level / 255 - mean) / std in float32, where the order of operations decides about two roundings of numbers up to 2.
NORMALISED_PIXELS = 5e-7

# --- Times in seconds
# Containers count in ticks: of a microsecond where the rate alone gives the times, of 1/90000 s or so in MP4, of a
# millisecond in Matroska.
EXACT_SECONDS = 1e-6
MP4_SECONDS = 1e-4
MILLISECOND_SECONDS = 1e-3


def relative_to_largest(expected: torch.Tensor, share: float) -> dict[str, float]:
    """Arguments for ``assert_close``: off by a share of each value, or of the largest for values near 0."""
    return {"rtol": share, "atol": share * expected.abs().max().item()}
