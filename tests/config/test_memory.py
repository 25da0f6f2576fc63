from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from ava_detect.config import Config, load_config
from ava_detect.config.build import build_model
from ava_detect.config.memory import clip_bytes, require_memory, require_memory_of_processes, weight_bytes
from ava_detect.errors import ConfigError
from ava_detect.models.slowfast import SlowFast


def config_of(**backbone):
    return Config.model_validate({"model": {"backbone": {"depths": [1, 2, 1, 1], "width": 16, **backbone}}})


@pytest.mark.parametrize(
    "backbone",
    [
        {},
        {"lateral_kind": "time_to_channel"},
        {"lateral_kind": "sample", "lateral_merge": "sum"},
        {"lateral_merge": "sum", "fusion_kernel": 5},
        {"pathways": ["slow"], "alpha": 1},
        {"nonlocal_blocks": {"slow": {3: [0, 1]}, "fast": {4: [0]}}, "nonlocal_out_bias": False},
        {"num_temporal": [1, 1, 0, 1], "temporal_kernels": [5, 3, 3, 3, 3], "beta_inv": 4},
    ],
)
def test_the_estimated_weights_are_those_of_the_convolutions_and_the_last_layer(backbone):
    config = config_of(**backbone)
    model = build_model(config)
    counted = sum(p.numel() for name, p in model.named_parameters() if p.ndim > 1)
    assert weight_bytes(config) == 4 * counted


@pytest.mark.parametrize("relation", [{}, {"channels": 24, "num_convs": 3}])
def test_a_relation_counts(relation):
    roi, head = {"with_global": True, "relation": relation}, {"mlp": True}
    small = {"depths": [1, 2, 1, 1], "width": 16}
    config = Config.model_validate({"model": {"backbone": small, "roi": roi, "head": head}})
    counted = sum(p.numel() for p in build_model(config).parameters() if p.ndim > 1)
    assert weight_bytes(config) == 4 * counted


def test_a_hidden_layer_counts():
    small = {"backbone": {"depths": [1, 2, 1, 1], "width": 16}, "roi": {"with_global": True}}
    plain, mlp = (
        weight_bytes(Config.model_validate({"model": {**small, "head": {"mlp": mlp}}})) for mlp in (False, True)
    )
    features = 2 * (16 * 8 * 4 + 2 * 8 * 4)
    assert mlp - plain == 4 * features**2


def test_a_network_that_the_machine_cannot_hold_is_refused_before_it_is_built(monkeypatch):
    def build(*args, **kwargs):
        raise AssertionError("the network was built")

    monkeypatch.setattr(SlowFast, "__init__", build)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 << 30))
    config = config_of(width=4096, depths=[3, 4, 6, 3])
    with pytest.raises(ConfigError, match=r"at least 51\d\.\d GiB .* this machine has 16\.0 GiB; lower model") as error:
        build_model(config)
    assert "weights of model" in str(error.value)


def test_clips_that_the_machine_cannot_hold_are_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 << 30))
    long = load_config("slowfast_r50_32x2", ["clip.num_frames=1024", "clip.short_side=1024"])
    with pytest.raises(ConfigError, match=r"for 1 clip of 1024 frames with a short side of 1024 pixels"):
        require_memory(long)
    shipped = load_config("slowfast_r50_32x2")
    require_memory(shipped)
    with pytest.raises(ConfigError, match=r"for 4,096 clips of 32 frames with a short side of 224 pixels"):
        require_memory(shipped, num_clips=4096)
    with pytest.raises(ConfigError, match="a short side of 4096 pixels"):
        require_memory(shipped, short_side=4096)
    assert clip_bytes(shipped, 448) == pytest.approx(4 * clip_bytes(shipped, 224))


def test_processes_that_the_machine_cannot_hold_are_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 << 30))
    require_memory_of_processes(163, "data.num_workers")
    with pytest.raises(
        ConfigError, match=r"data\.num_workers 164 asks for more .* of 16\.0 GiB holds; give at most 163"
    ):
        require_memory_of_processes(164, "data.num_workers")
