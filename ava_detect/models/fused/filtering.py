"""Winograd's minimal filtering F(m, r): m neighbouring results of a filter with r taps in m + r - 1 products.

The direct way takes m r products (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016, section
4). Inputs and taps are evaluated as polynomials at P points, multiplied there, and the results follow by interpolation;
``minimal_filtering`` derives the factors of all three steps from the points in exact fractions. More results at a time
take fewer products and lose more bits in the sums. The largest error of a result of size 1 over 1,024 channels in
float32: 4e-6 with 4 results of 3 taps, 6e-6 with 6, 2e-5 with 8 (direct: 1e-6).

Shapes: m results, r taps, P = m + r - 1 products, L positions along an axis, n tiles of m results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd, lcm

import torch
from torch import Tensor

# The points in the order in which they are taken; one more lies at infinity. Small numbers and their inverses lose the
# fewest bits (Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution", 2018, table 1).
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "3/4", "-4/3")))
# The product of the point 1 enters every result with the factor 1, so what is added to it is added to each result.
PRODUCT_IN_EVERY_RESULT = _POINTS.index(Fraction(1))

_Matrix = list[list[Fraction]]


@dataclass(frozen=True)
class Filtering:
    """The factors of one F(m, r), in the paper's notation B^T, G and A^T.

    Attributes:
        of_inputs: Factor of each of a tile's inputs in each product, float32 ``[P, P]``.
        of_taps: Factor of each tap in each product, float64 ``[P, r]``.
        of_products: Factor of each product in each result, float32 ``[m, P]``.
    """

    of_inputs: Tensor
    of_taps: Tensor
    of_products: Tensor

    @property
    def num_results(self) -> int:
        """m, the results of a tile."""
        return self.of_products.shape[0]

    @property
    def num_products(self) -> int:
        """P, the products of a tile, which is also the number of its inputs."""
        return self.of_products.shape[1]

    def products_for(self, length: int) -> int:
        """Count the products that results at ``length`` positions take.

        Args:
            length: L, positions along the axis, at least 1.

        Returns:
            Products of the fewest tiles that cover them.
        """
        return -(-length // self.num_results) * self.num_products


@cache
def minimal_filtering(num_results: int, num_taps: int) -> Filtering:
    """Derive the factors of F(m, r) from its points.

    Args:
        num_results: m, at least 1.
        num_taps: r, at least 2; m + r is at most 11.

    Returns:
        The factors.
    """
    num_products = num_results + num_taps - 1
    points = _POINTS[: num_products - 1]
    of_results, of_taps = _powers(points, num_results), _powers(points, num_taps)
    # A product of polynomials has P coefficients: its values at the points are V c, so c = V^-1 values. Filtering is
    # the transposed problem, which takes the transposed inverse on the side of the inputs.
    of_inputs = [list(column) for column in zip(*_inverse(_powers(points, num_products)), strict=True)]
    for number, row in enumerate(of_inputs):
        # Make the inputs' factors whole numbers without a common divisor; the taps take the rest.
        denominator = lcm(*(factor.denominator for factor in row))
        divisor = gcd(*(int(factor * denominator) for factor in row))
        of_inputs[number] = [factor * denominator / divisor for factor in row]
        of_taps[number] = [factor * divisor / denominator for factor in of_taps[number]]
    inputs, taps, results = (
        torch.tensor([[float(factor) for factor in row] for row in matrix], dtype=torch.float64)
        for matrix in (of_inputs, of_taps, of_results)
    )
    return Filtering(inputs.float(), taps, results.float().T.contiguous())


def sums(filtering: Filtering, length: int, dilation: int = 1) -> tuple[Tensor, Tensor]:
    """Compute the factors of the weighted sums before and after the products of an axis that keeps its length.

    The results of a tile are ``dilation`` apart. Positions beyond the ends are zeros, and results there are not needed:
    both are left out of the factors, so nothing is padded.

    Args:
        filtering: F(m, r), r odd.
        length: L, positions along the axis.
        dilation: Dilation along the axis.

    Returns:
        Factors of the positions in each tile's product inputs ``[n * P, L]``, and factors of the products in each
        result ``[L, n * P]``.
    """
    # The first result of each tile: with a dilation d there are d interleaved sequences, each cut into tiles.
    step = filtering.num_results * dilation
    firsts = [first for phase in range(dilation) for first in range(phase, length, step)]
    # A tile's inputs begin half a kernel before its first result.
    taps_before = filtering.of_taps.shape[1] // 2
    input_factors = torch.zeros(len(firsts), filtering.num_products, length)  # [n, P, L]
    product_factors = torch.zeros(length, len(firsts), filtering.num_products)  # [L, n, P]
    for tile, first in enumerate(firsts):
        for i, factors in enumerate(filtering.of_inputs.T):  # factors: [P]
            position = first + (i - taps_before) * dilation
            if 0 <= position < length:
                input_factors[tile, :, position] = factors
        for i, factors in enumerate(filtering.of_products):  # factors: [P]
            position = first + i * dilation
            if position < length:
                product_factors[position, tile] = factors
    return input_factors.flatten(0, 1), product_factors.flatten(1)


def _powers(points: Sequence[Fraction], count: int) -> _Matrix:
    """The powers 0 to ``count`` - 1 of each point, and of infinity the highest one alone."""
    return [[point**power for power in range(count)] for point in points] + [
        [Fraction(0)] * (count - 1) + [Fraction(1)]
    ]


def _inverse(matrix: _Matrix) -> _Matrix:
    """The inverse of a matrix of fractions, by Gauss and Jordan."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [factor / rows[column][column] for factor in rows[column]]
        for i in range(size):
            if i != column and rows[i][column]:
                rows[i] = [a - rows[i][column] * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]
