"""Winograd's minimal filtering: the factors against those of the paper, and against the filter itself."""

from __future__ import annotations

from math import gcd

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from ava_detect.models.fused.filtering import PRODUCT_IN_EVERY_RESULT, minimal_filtering, sums

# F(m, r) that the package uses, and their neighbours.
USED = [(2, 3), (4, 3), (6, 3), (8, 3), (2, 5), (4, 5)]


def test_the_factors_of_the_paper():
    """Lavin and Gray, section 4.3: F(4 x 4, 3 x 3), where the second row's sign stands on the inputs' side."""
    filtering = minimal_filtering(4, 3)
    inputs = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
    inputs += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    taps = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    results = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    # The sign and the size of a product may stand on either side of it: what counts is the product of both.
    by_product = torch.einsum("pi,pt->pit", filtering.of_inputs.double(), filtering.of_taps)
    paper = torch.einsum("pi,pt->pit", torch.tensor(inputs).double(), torch.tensor(taps).double() / 24)
    torch.testing.assert_close(by_product, paper, rtol=1e-14, atol=1e-14)
    assert filtering.of_products.tolist() == results
    assert (filtering.num_results, filtering.num_products) == (4, 6)


@pytest.mark.parametrize(("results", "taps"), USED)
def test_one_product_enters_every_result_and_the_factors_of_inputs_are_small(results, taps):
    filtering = minimal_filtering(results, taps)
    assert filtering.of_products[:, PRODUCT_IN_EVERY_RESULT].tolist() == [1] * results
    rows = [[int(factor) for factor in row] for row in filtering.of_inputs.tolist()]
    assert filtering.of_inputs.tolist() == rows, "whole numbers, so float32 holds them exactly"
    assert [gcd(*row) for row in rows] == [1] * len(rows), "as small as they can be"


@given(
    of=st.sampled_from(USED),
    length=st.integers(1, 25),
    dilation=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_sums_and_products_are_the_filter(of, length, dilation, seed):
    generator = torch.Generator().manual_seed(seed)
    filtering = minimal_filtering(*of)
    taps = torch.randn(of[1], generator=generator, dtype=torch.float64)
    positions = torch.randn(length, generator=generator, dtype=torch.float64)
    of_inputs, of_products = sums(filtering, length, dilation)
    inputs = (of_inputs.double() @ positions).view(-1, filtering.num_products)  # [n, P]
    products = inputs * (filtering.of_taps @ taps)
    pad = of[1] // 2 * dilation
    expected = functional.conv1d(positions[None, None], taps[None, None], padding=pad, dilation=dilation)[0, 0]
    # Factors such as 4/3 are rounded to float32, and are up to 100 times as large as a result.
    torch.testing.assert_close(of_products.double() @ products.flatten(), expected, rtol=0, atol=2e-5)


def test_nothing_beyond_the_ends_is_read_or_written():
    of_inputs, of_products = sums(minimal_filtering(4, 3), 9, 2)
    assert of_inputs.shape == (3 * 6, 9), "the even places 0, 2, 4, 6 and 8 take two tiles, the odd ones 1, 3, 5, 7 one"
    assert of_products.shape == (9, 3 * 6)


@pytest.mark.parametrize(
    ("results", "length", "products"), [(4, 1, 6), (4, 4, 6), (4, 5, 12), (8, 8, 10), (8, 9, 20), (4, 9, 18)]
)
def test_products_of_a_length(results, length, products):
    assert minimal_filtering(results, 3).products_for(length) == products


@pytest.mark.parametrize(("results", "most"), [(4, 4.5e-6), (6, 9e-6), (8, 3e-5)])
def test_more_results_at_a_time_lose_more_bits_and_no_more_than_this(results, most):
    """1,024 channels of positive inputs, as after ReLU; results are near 1."""
    generator = torch.Generator().manual_seed(0)
    filtering = minimal_filtering(results, 3)
    positions = torch.randn(filtering.num_products, 1024, 40, generator=generator).relu()
    taps = torch.randn(3, 64, 1024, generator=generator, dtype=torch.float64) / (3 * 1024) ** 0.5
    exact = torch.stack([sum(taps[t] @ positions[i + t].double() for t in range(3)) for i in range(results)])
    inputs = torch.einsum("pi,icx->pcx", filtering.of_inputs, positions)
    products = torch.einsum("pt,toc->poc", filtering.of_taps, taps).float() @ inputs
    got = torch.einsum("rp,pox->rox", filtering.of_products, products)
    assert (got - exact).abs().max() < most
