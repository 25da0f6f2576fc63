"""A plain ViT is fine-tuned by the train command, from a checkpoint as VideoMAE's pretraining leaves it."""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from ava_detect.cli.app import app
from ava_detect.config import load_config
from ava_detect.config.build import build_model
from ava_detect.formats.ava_csv import read_ava_csv

# The config of the synthetic world, made small enough for seconds.
SMALLER = {
    "model.backbone.width": 96,
    "model.backbone.depth": 3,
    "model.backbone.drop_path": 0.0,
    "model.head.dropout": 0.0,
    "data.short_side": [32, 32],
    "clip.short_side": 32,
    "data.color_jitter": 0.0,
    "data.flip": 0.0,
    "data.num_workers": 0,
    "train.epochs": 20,
    "train.batch_size": 8,
    "train.learning_rate": 3e-3,
    "train.layer_decay": 0.75,
    "train.warmup_epochs": 2,
    "train.eval_every": 20,
    "train.ema_decay": None,
    "train.log_every": 1,
}


def write_start(config, path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint as VideoMAE's pretraining leaves it: an encoder, a decoder, and the trainer's own objects."""
    state = build_model(config, seed=11).state_dict()
    encoder = {
        "encoder." + name.removeprefix("backbone.").replace("patch_embed.", "patch_embed.proj."): tensor
        for name, tensor in state.items()
        if name.startswith("backbone.")
    }
    decoder = {"encoder_to_decoder.weight": torch.zeros(8, 96), "mask_token": torch.zeros(1, 1, 8)}
    decoder["decoder.blocks.0.attn.proj.weight"] = torch.zeros(8, 8)
    args = argparse.Namespace(lr=1.5e-4, model="pretrain_videomae_tiny")
    torch.save({"model": encoder | decoder, "optimizer": {"state": {}}, "epoch": 799, "args": args}, path)
    return state


def test_a_vit_learns_from_a_pretrained_start_by_the_train_command(val_split, tmp_path):
    start = tmp_path / "start.pth"
    settings = {**SMALLER, "data.train": val_split, "data.val": val_split, "train.initialise": str(start)}
    overrides = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    state = write_start(load_config("demo_vit", overrides), start)
    words = ["train", "--config", "demo_vit", "--out", str(tmp_path / "out"), "--json", "--quiet"]
    done = CliRunner().invoke(app, [*words, *(word for override in overrides for word in ("--set", override))])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    (note,) = result["notes"]
    assert str(start) in note and "the last layer starts fresh" in note
    # 8 clips by heart: one step an epoch.
    with (tmp_path / "out" / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 20
    assert losses[0] > 0.6
    assert max(losses[-5:]) < 0.25
    # The average precision of scores that know nothing is the share of people who do the action.
    truth = read_ava_csv(val_split["annotations"], last_column="person_id")
    people = len(np.unique(np.stack([truth.video_index, truth.timestamps_seconds, truth.person_ids]), axis=1).T)
    chance = np.mean(np.unique(truth.action_ids, return_counts=True)[1] / people)
    assert chance < 0.35
    assert result["score"] > 0.75
    # It began where the file ends: the first layers, which learn slowest, are still near it.
    now = load_file(result["weights"])
    name = "backbone.patch_embed.weight"
    moved = (now[name] - state[name]).norm() / state[name].norm()
    assert 0 < moved < 0.5
