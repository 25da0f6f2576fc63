"""The non-local block's two forms, PySlowFast's and mmaction2's, against attention written out position by position."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ava_detect.models.nonlocal_block import NonLocalBlock


def lively(block: NonLocalBlock) -> NonLocalBlock:
    """The block with weights and statistics that all count."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in block.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2, generator=generator)
            elif value.is_floating_point():
                value.normal_(0, 0.6, generator=generator)
    return block.eval().double()


def greatest_of_windows(values: np.ndarray, pool: tuple[int, int, int]) -> np.ndarray:
    """``[C, T, H, W]`` -> ``[P, C]``: the maximum over each whole window, a remainder at the end being dropped."""
    channels, *sizes = values.shape
    starts = [range(0, size - length + 1, length) for size, length in zip(sizes, pool, strict=True)]
    windows = [
        values[:, t : t + pool[0], y : y + pool[1], x : x + pool[2]].reshape(channels, -1).max(axis=1)
        for t, y, x in itertools.product(*starts)
    ]
    return np.stack(windows)


def written_out(block: NonLocalBlock, x: np.ndarray, pool: tuple[int, int, int]) -> np.ndarray:
    """The result for one clip ``[C, T, H, W]``, one position after the other."""

    def convolved(name: str, values: np.ndarray) -> np.ndarray:  # [..., C] -> [..., I]
        conv = getattr(block, name)
        bias = 0 if conv.bias is None else conv.bias.detach().numpy()
        return values @ conv.weight.detach().numpy()[:, :, 0, 0, 0].T + bias

    last = np.moveaxis(x, 0, -1)  # [T, H, W, C]
    if block.pool_place == "before":
        pooled = greatest_of_windows(x, pool)
        keys, values = convolved("phi", pooled), convolved("g", pooled)
    else:
        keys, values = (greatest_of_windows(np.moveaxis(convolved(name, last), -1, 0), pool) for name in ("phi", "g"))
    result = np.empty_like(last)
    for place in itertools.product(*map(range, last.shape[:3])):
        products = np.array([convolved("theta", last[place]) @ key for key in keys])
        if block.affinity == "softmax":
            shares = np.exp(products / np.sqrt(keys.shape[1]))
            shares /= shares.sum()
        else:
            shares = products / len(keys)
        gathered = convolved("out", sum(share * value for share, value in zip(shares, values, strict=True)))
        mean, variance = (getattr(block.bn, name).numpy() for name in ("running_mean", "running_var"))
        normal = (gathered - mean) / np.sqrt(variance + 1e-5)
        result[place] = last[place] + normal * block.bn.weight.detach().numpy() + block.bn.bias.detach().numpy()
    return np.moveaxis(result, -1, 0)


@pytest.mark.parametrize("pool_place", ["before", "after"])
@pytest.mark.parametrize("affinity", ["softmax", "dot_product"])
@pytest.mark.parametrize(("pool", "out_bias"), [((1, 2, 2), False), ((2, 2, 2), True), ((1, 1, 1), False)])
def test_the_block_is_attention_written_out(pool_place, affinity, pool, out_bias):
    block = lively(NonLocalBlock(6, affinity=affinity, pool=pool, pool_place=pool_place, out_bias=out_bias))
    x = torch.randn(2, 6, 3, 5, 4, dtype=torch.float64)
    with torch.inference_mode():
        got = block(x)
    for clip, ours in zip(x.numpy(), got.numpy(), strict=True):
        np.testing.assert_allclose(ours, written_out(block, clip, pool), rtol=0, atol=1e-12)


def test_the_place_of_the_pool_changes_the_numbers():
    """The reason for the setting: by far more than rounding, with the same weights."""
    block = lively(NonLocalBlock(6, affinity="softmax"))
    x = torch.randn(1, 6, 2, 4, 4, dtype=torch.float64)
    with torch.inference_mode():
        before = block(x)
        block.pool_place = "after"
        assert (block(x) - before).abs().max() > 0.1


def test_the_bias_of_the_last_convolution_may_be_missing():
    assert [name for name in NonLocalBlock(4, out_bias=False).state_dict() if name.startswith("out.")] == ["out.weight"]
    assert "out.bias" in NonLocalBlock(4).state_dict()
