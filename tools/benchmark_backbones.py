"""Compare networks at equal cost: each is trained for the same CPU time on the same synthetic movies, then scored.

    python tools/benchmark_backbones.py --out comparison [--configs demo demo_vit] [--cpu-seconds 720]

The script renders movies of the synthetic world, counts the CPU seconds that each config's training takes per clip
(loading included), trains each with ``ava-detect train`` for as many whole epochs as fit best into ``--cpu-seconds``,
scores it on movies of other people and scenes with the true boxes, and times its forward pass. It writes
``OUT/table.md`` and ``OUT/table.json``. Finished trainings are kept. Everything runs on one thread, and CPU time is
that of the processes, so other work on the machine disturbs the comparison little.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from measuring import interleaved_medians, machine
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.benchmark import PeopleOptions, run_benchmark
from ava_detect.config import load_config
from ava_detect.config.build import build_model, build_with_weights
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.environment import usable_cores
from ava_detect.models.action_detector import ActionDetector, require_detector
from ava_detect.models.execution import prepare
from ava_detect.models.network_options import Precision

TRAIN_SCRIPT = Path(__file__).parent / "train.py"
# Size of the test clips: short side 128, 16:9.
HEIGHT, WIDTH = 128, 228
BOXES = torch.tensor([[0.0, 10, 8, 60, 120], [0.0, 90, 20, 130, 110], [0.0, 150, 8, 215, 120]])  # [M, 5]
PROBE_CLIPS, PROBE_EPOCHS = 48, (1, 4)


@dataclass
class Row:
    """What is known of one network after its training.

    Attributes:
        config: Name of the config.
        parameters: Number of weights, 10^6.
        multiply_adds: Multiply-adds of a test clip in convolutions, linear layers and attention, 10^9.
        forward_ms: CPU milliseconds of a test clip with three people, by precision.
        clips: Clips that were trained on, repetitions included.
        cpu_seconds: CPU seconds of the training, loading included.
        frame_map: Frame-mAP on the test movies with true boxes, 0..1.
        final_loss: Loss of the last row of the log.
    """

    config: str
    parameters: float
    multiply_adds: float
    forward_ms: dict[str, float]
    clips: int
    cpu_seconds: float
    frame_map: float
    final_loss: float


def render(out: Path, num_train: int, num_test: int) -> None:
    """Render the movies that are missing."""
    for split, seed, count in (("train", 1, num_train), ("test", 9001, num_test)):
        if not (out / split / "ground_truth.csv").is_file():
            settings = WorldSettings(seed=seed, num_movies=count, seconds=15, fps=15, width=256, height=144)
            write_world(out / split, settings, num_processes=usable_cores())


def train_in_process(config: str, annotations: Path, world: Path, out: Path, epochs: int) -> float:
    """Train by the command line; return the CPU seconds of its process and those of its loaders."""
    data = {
        "train": {"annotations": str(annotations), "videos": str(world / "train" / "videos")},
        "val": {"annotations": str(world / "test" / "ground_truth.csv"), "videos": str(world / "test" / "videos")},
    }
    settings = [f"data.{split}={json.dumps(files)}" for split, files in data.items()]
    settings += [f"train.epochs={epochs}", "train.eval_every=0"]
    overrides = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, str(TRAIN_SCRIPT), "--config", config, "--out", str(out), "--quiet", *overrides]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cost_per_clip(config: str, world: Path, out: Path) -> float:
    """CPU seconds of a training per clip: the difference of two trainings of other lengths, without their start."""
    subset = out / "probe.csv"
    seen: set[tuple[str, str]] = set()
    with (world / "train" / "ground_truth.csv").open() as source, subset.open("w") as target:
        for line in source:
            video, second = line.split(",")[:2]
            seen.add((video, second))
            if len(seen) > PROBE_CLIPS:
                break
            target.write(line)
    seconds = [
        train_in_process(config, subset, world, out / f"probe_{Path(config).stem}_{epochs}", epochs)
        for epochs in PROBE_EPOCHS
    ]
    return (seconds[1] - seconds[0]) / ((PROBE_EPOCHS[1] - PROBE_EPOCHS[0]) * PROBE_CLIPS)


def forward_milliseconds(models: dict[str, ActionDetector]) -> dict[str, dict[str, float]]:
    """CPU milliseconds of a forward pass in the package's fastest form, by config and precision."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    calls: dict[str, Callable[[], object]] = {}
    for name, model in models.items():
        clip = torch.rand(1, 3, model.clip_settings.num_frames, HEIGHT, WIDTH)
        for precision in precisions:
            calls[f"{name} {precision}"] = partial(prepare(model, precision=precision), clip, BOXES)
    for call in calls.values():
        call()  # warm up
    medians = interleaved_medians(calls, runs=9)
    return {name: {p: round(1000 * medians[f"{name} {p}"][1], 1) for p in precisions} for name in models}


def size_of(config: str) -> tuple[float, float]:
    """Count the weights (10^6) and the multiply-adds of a test clip (10^9)."""
    model = require_detector(build_model(config))
    clip = torch.zeros(1, 3, model.clip_settings.num_frames, HEIGHT, WIDTH)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(clip, BOXES)
    # A multiply-add is two operations.
    return sum(p.numel() for p in model.parameters()) / 1e6, counter.get_total_flops() / 2e9


def train_once(config: str, world: Path, out: Path, cpu_seconds: float) -> tuple[int, float]:
    """Train a network for about ``cpu_seconds`` unless that is done; return the clips and the CPU seconds spent."""
    kept, annotations = out / Path(config).stem / "training.json", world / "train" / "ground_truth.csv"
    if not kept.is_file():
        with annotations.open() as file:
            num_clips = len({(row[0], row[1]) for row in csv.reader(file)})
        batch = load_config(config).train.batch_size
        clips_per_epoch = num_clips // batch * batch
        cost = cost_per_clip(config, world, out)
        epochs = max(2, round(cpu_seconds / (cost * clips_per_epoch)))
        print(f"{config}: {cost:.3f} CPU s a clip, {epochs} epochs of {clips_per_epoch} clips", flush=True)
        spent = train_in_process(config, annotations, world, kept.parent / "training", epochs)
        kept.write_text(json.dumps([epochs * clips_per_epoch, spent]))
    clips, spent = json.loads(kept.read_text())
    return clips, spent


def train_and_score(config: str, world: Path, out: Path, cpu_seconds: float) -> Row:
    """Train a network for about ``cpu_seconds``, and score it."""
    clips, spent = train_once(config, world, out, cpu_seconds)
    folder = out / Path(config).stem
    weights, people = folder / "training" / "model.safetensors", PeopleOptions(boxes="ground-truth")
    result = run_benchmark(None, weights, folder / "test", people=people)
    assert result.all_well, result.problems
    score = json.loads((folder / "test" / "result.json").read_text())["mAP"]
    with (folder / "training" / "log.csv").open() as file:
        loss = float(list(csv.DictReader(file))[-1]["loss"])
    parameters, multiply_adds = size_of(config)
    return Row(config, parameters, multiply_adds, {}, clips, spent, score, loss)


def table(rows: list[Row]) -> str:
    """Format the rows as a Markdown table."""
    lines = [
        "| config | M weights | GMAC a clip | forward fp32 / bf16, CPU ms | clips trained | training, CPU s "
        "| last loss | frame-mAP |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        forward = " / ".join(f"{row.forward_ms[precision]:.0f}" for precision in ("fp32", "bf16"))
        lines.append(
            f"| `{Path(row.config).stem}` | {row.parameters:.2f} | {row.multiply_adds:.2f} | {forward} | {row.clips} "
            f"| {row.cpu_seconds:.0f} | {row.final_loss:.3f} | {100 * row.frame_map:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the arguments, run the missing trainings and tests, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--configs", nargs="+", default=["demo", "demo_vit"])
    parser.add_argument("--cpu-seconds", type=float, default=720.0)
    parser.add_argument("--train-videos", type=int, default=24)
    parser.add_argument("--test-videos", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = options.out / "world"
    render(world, options.train_videos, options.test_videos)
    rows = [train_and_score(config, world, options.out, options.cpu_seconds) for config in options.configs]
    models = {
        row.config: require_detector(
            build_with_weights(row.config, options.out / Path(row.config).stem / "training" / "model.safetensors")[0]
        )
        for row in rows
    }
    milliseconds = forward_milliseconds(models)
    for row in rows:
        row.forward_ms = milliseconds[row.config]
    text = table(rows)
    (options.out / "table.md").write_text(text)
    (options.out / "table.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print(machine())
    print(text)


if __name__ == "__main__":
    main()
