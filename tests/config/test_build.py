"""Networks that are built for weights of a file: nothing is drawn at random, and nothing stays as memory was found."""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode

from ava_detect.config import load_config
from ava_detect.config.build import build_model, build_with_weights
from ava_detect.models.weights.converting import save_weights
from ava_detect.models.zoo import SHIPPED


class Calls(TorchFunctionMode):
    """The names of the functions of torch that were called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.add(func.__name__)
        return func(*args, **(kwargs or {}))


def random_calls(build):
    """The functions with random results that were called."""
    with Calls() as calls:
        build()
    assert "fill_" in calls.names or "copy_" in calls.names, "the calls of torch are seen"
    return {name for name in calls.names if "normal" in name or "uniform" in name}


def test_random_weights_are_drawn_only_where_no_file_replaces_them():
    assert random_calls(lambda: build_model("demo"))
    assert not random_calls(lambda: build_with_weights("demo", SHIPPED["demo"]))


def test_every_value_is_the_files(tmp_path):
    """Fresh memory is filled with NaN and with the largest integer, so that what nobody writes is seen."""
    config = load_config("demo")
    expected = build_model(config, seed=7)
    path = save_weights(expected, tmp_path / "weights.safetensors")
    torch.use_deterministic_algorithms(True)
    try:
        network, _ = build_with_weights(config, path)
    finally:
        torch.use_deterministic_algorithms(False)
    for (key, value), (other, want) in zip(network.state_dict().items(), expected.state_dict().items(), strict=True):
        assert key == other
        assert torch.equal(value, want), key
    assert not network.training
