"""Test the paper's central claim at small scale: what a fast pathway adds, and which lateral connection is best.

    python tools/ablate_pathways.py --out ablation

The script renders the synthetic world's motion-only pairs (walk and run, wave and clap, which differ in their rate
only; see ``ava_detect/datasets/synthetic/motion_pairs.py``), trains each network with each seed on the same movies,
scores it on movies of other people and scenes with the true boxes, and writes ``OUT/table.md`` and ``OUT/table.json``.
Finished runs are kept. The networks (SlowFast, arXiv 1812.03982, tables 5a and 5b):

- ``slow only``: the slow pathway alone, on its 2 frames, widened to the cost of ``SlowFast``;
- ``SlowFast`` with each lateral connection: time-strided convolution, time-to-channel, one frame in alpha.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.benchmark import PeopleOptions, run_benchmark
from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.environment import usable_cores
from ava_detect.models.action_detector import require_detector
from ava_detect.training import train

ACTION_IDS = (10, 14, 67, 69)  # run/jog, walk, hand clap, hand wave
SHORT_SIDE, CROP = 104, 96
# With "stride" the slow pathway of SlowFast reads the same frames as the slow-only network.
BACKBONE = {"depths": [1, 1, 1, 1], "width": 16, "beta_inv": 4, "slow_frames": "stride"}
NETWORKS: dict[str, dict[str, Any]] = {
    "slow only": {"pathways": ["slow"], "alpha": 1, "width": 24, "temporal_kernels": {"slow": [1, 1, 1, 3, 3]}},
    "SlowFast, time-strided convolution": {"lateral_kind": "conv"},
    "SlowFast, time-to-channel": {"lateral_kind": "time_to_channel"},
    "SlowFast, one frame in alpha": {"lateral_kind": "sample"},
}


def config_of(network: str, world: Path, seed: int, epochs: int) -> Config:
    """Return the config of one network with one seed."""
    is_slow = network == "slow only"
    splits = {
        name: {"annotations": str(world / split / "ground_truth.csv"), "videos": str(world / split / "videos")}
        for name, split in (("train", "train"), ("val", "test"))
    }
    content = {
        "model": {
            "backbone": {**BACKBONE, **NETWORKS[network]},
            "head": {"num_classes": len(ACTION_IDS), "dropout": 0.0},
        },
        # Clips of 1.1 s; fast pathway at 7.5 Hz, slow at 1.875 Hz, which cannot tell a motion of f Hz from 3.75 - f.
        "clip": {
            "num_frames": 2 if is_slow else 8,
            "sampling_rate": 16 if is_slow else 4,
            "short_side": SHORT_SIDE,
            "resize": "swscale",
        },
        "labels": {"ids": list(ACTION_IDS)},
        "data": {
            **splits,
            "short_side": [SHORT_SIDE - 4, SHORT_SIDE + 4],
            "crop": CROP,
            "min_visible": 0.7,
            "num_workers": 1,
        },
        "train": {
            "epochs": epochs,
            # A low rate: at 0.1 and above no network learnt the motion within two epochs.
            "batch_size": 8,
            "learning_rate": 0.03,
            "schedule": "cosine",
            "warmup_epochs": 0.1,
            "weight_decay": 1e-4,
            "clip_norm": 5.0,
            "eval_every": 0,
            "seed": seed,
        },
    }
    return Config.model_validate(content)


def cost_of(config: Config) -> tuple[float, float]:
    """Count multiply-adds of one test clip (convolutions and linear layers) and parameters, both in 10^6."""
    model = require_detector(build_model(config))
    clip = torch.zeros(1, 3, config.clip.num_frames, SHORT_SIDE, SHORT_SIDE * 16 // 9)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(clip, torch.tensor([[0.0, 8, 8, 40, 56]]))
    # A multiply-add is two operations.
    return counter.get_total_flops() / 2e6, sum(p.numel() for p in model.parameters()) / 1e6


def run_one(network: str, world: Path, out: Path, seed: int, epochs: int) -> dict[str, float]:
    """Train and score one network; return the AP by action name, and ``mAP``."""
    config = config_of(network, world, seed, epochs)
    train(config, out / "training", resume=True)
    result = run_benchmark(
        None, out / "training" / "model.safetensors", out / "test", people=PeopleOptions(boxes="ground-truth")
    )
    score = json.loads((out / "test" / "result.json").read_text())
    assert result.all_well, result.problems
    return {"mAP": score["mAP"], **{entry["name"]: entry["ap"] for entry in score["per_class"].values()}}


def table(results: dict[str, list[dict[str, float]]], costs: dict[str, tuple[float, float]]) -> str:
    """Format mean and standard deviation over the seeds, in percent, as a Markdown table."""
    columns = list(next(iter(results.values()))[0])
    lines = [
        "| network | MMAC a clip | M parameters | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * (len(columns) + 2),
    ]
    for network, scores in results.items():
        cells = [f"{costs[network][0]:.0f}", f"{costs[network][1]:.2f}"]
        for column in columns:
            values = 100 * np.array([score[column] for score in scores])
            cells.append(f"{values.mean():.1f} ± {values.std(ddof=1) if len(values) > 1 else 0:.1f}")
        lines.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the arguments, run the missing trainings and tests, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-videos", type=int, default=300)
    parser.add_argument("--test-videos", type=int, default=24)
    parser.add_argument("--threads", type=int, default=None, help="PyTorch's threads; default: its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    world = options.out / "world"
    for split, seed, count in (("train", 1, options.train_videos), ("test", 2, options.test_videos)):
        if not (world / split / "ground_truth.csv").is_file():
            # Many movies with few people each: with few people in all, a slow pathway would learn their appearance.
            settings = WorldSettings(
                seed=seed,
                num_movies=count,
                seconds=20,
                width=192,
                height=108,
                num_people=2,
                repertoire="motion_pairs",
            )
            write_world(world / split, settings, num_processes=usable_cores())
    results: dict[str, list[dict[str, float]]] = {}
    for network in options.networks:
        for seed in options.seeds:
            name = network.replace(", ", "_").replace(" ", "_")
            scores = run_one(network, world, options.out / f"{name}_seed{seed}", seed, options.epochs)
            print(f"{network}, seed {seed}: mAP {100 * scores['mAP']:.1f}", flush=True)
            results.setdefault(network, []).append(scores)
    costs = {network: cost_of(config_of(network, world, 0, options.epochs)) for network in results}
    text = table(results, costs)
    (options.out / "table.md").write_text(text)
    (options.out / "table.json").write_text(json.dumps({"scores": results, "costs": costs}, indent=2) + "\n")
    print(text)


if __name__ == "__main__":
    main()
