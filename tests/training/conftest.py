"""Small worlds and configs that a network learns from in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import torch_threads

from ava_detect.config import Config
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.training import TrainResult, train

VIT = {"kind": "vit", "width": 48, "depth": 3, "heads": 3, "grid": [4, 2, 2]}
VIT_RECIPE = {
    "optimiser": "adamw",
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "layer_decay": 0.75,
    "schedule": "cosine",
    "cosine_after_warmup": True,
    "warmup_epochs": 1,
    "warmup_start": 0.0,
    "clip_norm": 5.0,
}


@pytest.fixture(scope="session")
def small_world(tmp_path_factory) -> Path:
    """Two movies of 4 s, 8 keyframes with people, laid out like AVA."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, WorldSettings(seed=5, num_movies=2, seconds=4, fps=15, width=160, height=96))
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are made in one order, and busy cores are not shared by many threads."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def small_config(small_world):
    """``small_config(train={...}, data={...})``: a tiny network on the small world, with these settings on top."""

    def make(**sections: dict) -> Config:
        split = {"annotations": str(small_world / "ground_truth.csv"), "videos": str(small_world / "videos")}
        content: dict = {
            "model": {
                "backbone": {"depths": [1, 1, 1, 1], "width": 16, "alpha": 4},
                "head": {"num_classes": 20, "dropout": 0.0},
            },
            "clip": {"num_frames": 8, "sampling_rate": 4, "short_side": 32, "resize": "swscale"},
            "labels": {"map": str(small_world / "label_map.pbtxt")},
            "data": {"train": split, "short_side": [32, 32], "crop": 32, "flip": 0.0, "num_workers": 0},
            "train": {
                "epochs": 2,
                "batch_size": 4,
                "learning_rate": 0.05,
                "warmup_epochs": 0,
                "step_epochs": [],
                "log_every": 1,
            },
        }
        for name, changes in sections.items():
            content[name] = content.get(name, {}) | changes
        return Config.model_validate(content)

    return make


@pytest.fixture(scope="session")
def val_split(small_world) -> dict:
    return {"annotations": str(small_world / "ground_truth.csv"), "videos": str(small_world / "videos")}


@pytest.fixture(scope="session")
def vit_config(small_config, val_split):
    """``vit_config(train={...})``: a tiny ViT with drop path on the small world."""

    def make(drop_path: float = 0.2, data: dict | None = None, **changes: object):
        return small_config(
            model={
                "backbone": VIT | {"drop_path": drop_path},
                "head": {"num_classes": 20, "dropout": 0.0},
            },
            data={"val": val_split, "flip": 0.5, **(data or {})},
            train=VIT_RECIPE | {"epochs": 3, "eval_every": 3} | changes,
        )

    return make


@pytest.fixture(scope="session")
def undisturbed(small_config, val_split, tmp_path_factory) -> tuple[Config, TrainResult]:
    """A training with everything that has a state (dropout, momentum, moving average, augmentation, best score)."""
    config = small_config(
        model={
            "backbone": {"depths": [1, 1, 1, 1], "width": 16, "alpha": 4},
            "head": {"num_classes": 20, "dropout": 0.5},
        },
        data={"val": val_split, "flip": 0.5, "short_side": [32, 40]},
        train={"epochs": 4, "ema_decay": 0.8, "save_every": 1, "eval_every": 2, "eval_keyframes": 3},
    )
    with torch_threads(1):
        return config, train(config, tmp_path_factory.mktemp("undisturbed"))
