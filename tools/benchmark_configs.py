"""Measure what the network of each shipped config costs, for the table of configs/README.md and ``weights list``.

    python tools/benchmark_configs.py --write                 # all configs: counts, times, memory; a quarter of an hour
    python tools/benchmark_configs.py umt_vit_b demo --write  # these; the others keep their numbers
    python tools/benchmark_configs.py --count --write         # parameters and operations only, without timing
    python tools/benchmark_configs.py --table                 # the tables of configs/README.md, from those numbers

Each config runs in a process of its own: one clip of noise of 4:3 at the config's short side (256 x 341 for most), with
3 boxes, random weights, fp32, the execution that ``auto`` chooses. The time is the processor time of all threads over
their number, the median of several turns: on a machine where other jobs run, it is what a quiet one would need. The
memory is the process's peak, PyTorch included. Operations are counted for the definition (``eager``); a multiplication
and an addition count as two. ``--write`` puts the numbers into ``ava_detect/models/zoo_data/costs.tsv``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path

from ava_detect.config import Config, config_names, load_config
from ava_detect.models.zoo_table import COSTS, DATA, Cost, ZooEntry, best_first
from ava_detect.storage.local_files import write_text_atomic

COSTS_FILE = DATA / "costs.tsv"
NOTE = """\
# Written by tools/benchmark_configs.py: one clip of 4:3 with 3 boxes at the config's short side, random weights, fp32.
# gflops: operations of the definition. milliseconds: processor time of all threads over their number, median of turns.
# peak_megabytes: memory of the process at its peak. megabytes: the tensors in float32, in 10^6 bytes.
"""
COMMERCIAL = {"yes": "yes", "no": "no", "unclear": "not stated"}


def clip_size(config: Config) -> tuple[int, int]:
    """Return height and width of a frame of 4:3 as the config resizes it."""
    return config.clip.short_side, config.clip.short_side * 4 // 3


def count(name: str, people: int) -> Cost:
    """Count the parameters, the bytes and the operations of a config's network."""
    import torch
    from benchmark_forward import inputs
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    from ava_detect.config.build import build_model

    config = load_config(name)
    model = build_model(config).eval()
    clip, rois = inputs(model, 1, people, *clip_size(config), "cpu")
    # The counter of PyTorch 2.8 to 2.14 leaves out the attention of CPUs.
    attention = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
    }
    with FlopCounterMode(display=False, custom_mapping=attention) as counter, torch.inference_mode():
        model(clip, rois) if config.model.task == "detection" else model(clip)
    parameters = sum(tensor.numel() for tensor in model.parameters())
    num_bytes = 4 * sum(tensor.numel() for tensor in model.state_dict().values())
    return Cost(parameters, round(num_bytes / 1e6), round(counter.get_total_flops() / 1e9), None, None)


def measure(name: str, people: int, turns: int) -> tuple[int, int, int]:
    """Time one clip: processor milliseconds over threads, wall milliseconds, and the peak of memory in megabytes."""
    import torch
    from benchmark_forward import build_lively_model, inputs
    from measuring import seconds_of

    from ava_detect.models.execution import prepare

    config = load_config(name)
    model = build_lively_model(name)
    clip, rois = inputs(model, 1, people, *clip_size(config), "cpu")
    forward = prepare(model, execution="auto", precision="fp32", device="cpu")
    del model
    forward(clip, rois)
    walls, processors = zip(*(seconds_of(lambda: forward(clip, rois)) for _ in range(turns)), strict=True)
    # Of this process alone, in KiB: getrusage's also counts what the parent had when it made this process.
    peak = 1024 * int(re.findall(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[0])
    processor = statistics.median(processors) / torch.get_num_threads()
    return round(1e3 * processor), round(1e3 * statistics.median(walls)), round(peak / 1e6)


def measure_apart(name: str, threads: int, people: int, turns: int) -> tuple[int, int, int]:
    """``measure`` in a fresh process, to whose memory nothing else has added."""
    # Threads that wait do not spin, so that processor time is work. Set before PyTorch is loaded.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
    arguments = [name, "--worker", "--people", str(people), "--turns", str(turns)]
    done = subprocess.run([sys.executable, __file__, *arguments], env=environment, stdout=-1, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def write(costs: dict[str, Cost], condition: str) -> None:
    """Write all costs; ``condition``: the line of the machine and the date of the times."""
    names = [field.name for field in fields(Cost)]
    lines = ["\t".join(["config", *names])]
    for config in sorted(set(costs) & set(config_names())):
        values = asdict(costs[config])
        lines.append("\t".join([config, *("" if values[name] is None else str(values[name]) for name in names)]))
    write_text_atomic(COSTS_FILE, NOTE + condition + "\n".join(lines) + "\n")


def condition_of_times() -> str:
    """Return the written line that says where and when the times were measured."""
    lines = COSTS_FILE.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("# Measured"))


def row(name: str) -> str:
    """Return a config's row of the table in configs/README.md."""
    config, cost = load_config(name), COSTS[name]
    entries = [entry for entry in best_first() if entry.config == name and not entry.is_start]
    uses = sorted({COMMERCIAL[entry.commercial_use] for entry in entries})
    cells = [
        f"`{name}`",
        config.description.partition(" (")[0],
        "; ".join(map(weights_cell, entries)) or "-",
        f"{cost.parameters / 1e6:.1f}",
        "-" if cost.gflops is None else f"{cost.gflops:,}",
    ]
    if config.model.task == "detection":
        cells += ["-" if value is None else f"{value:,}" for value in (cost.milliseconds, cost.peak_megabytes)]
    return f"| {' | '.join([*cells, ', '.join(uses) or '-'])} |"


def weights_cell(entry: ZooEntry) -> str:
    """Return the name of weights with their quoted figure."""
    of = f"{entry.evaluated_on}: " if entry.is_detector else ""
    return f"`{entry.name}` ({of}{entry.published:g})"


def table(task: str) -> str:
    """Return the table of the detectors or the classifiers: those with weights first, the best of them first."""
    order = {entry.config: number for number, entry in reversed([*enumerate(best_first())])}
    names = [name for name in config_names() if load_config(name).model.task == task]
    names.sort(key=lambda name: (order.get(name, len(order) + 1_000), name))
    heading = ["config", "network", "weights (quoted figure)", "million parameters", "GFLOP a clip"]
    heading += ["ms a clip", "MB at the peak"] if task == "detection" else []
    heading.append("commercial use")
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}", *map(row, names)]
    return "\n".join(lines)


def main() -> None:
    """Parse the arguments, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="names in configs/; all by default")
    parser.add_argument("--people", type=int, default=3, help="boxes on the clip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5, help="timed clips of each config")
    parser.add_argument("--count", action="store_true", help="no timing")
    parser.add_argument("--write", action="store_true", help="write the numbers into the package")
    parser.add_argument("--table", action="store_true", help="print the tables of configs/README.md and end")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)  # one config, in this process
    arguments = parser.parse_args()
    if arguments.table:
        print(f"{table('detection')}\n\n{table('classification')}")
        return
    turns, people, threads = arguments.turns, arguments.people, arguments.threads
    if arguments.worker:
        (name,) = arguments.configs
        print(json.dumps(measure(name, people, turns)))
        return
    import torch
    from measuring import machine

    torch.set_num_threads(threads)
    costs, condition = dict(COSTS), condition_of_times()
    for name in arguments.configs or config_names():
        before, cost = costs.get(name), count(name, people)
        if arguments.count and before is not None:
            cost = replace(cost, milliseconds=before.milliseconds, peak_megabytes=before.peak_megabytes)
        elif not arguments.count and load_config(name).model.task == "detection":
            processor, wall, peak = measure_apart(name, threads, people, turns)
            print(f"{name}: {wall} ms by the clock, {processor} ms of {threads} threads", flush=True)
            cost = replace(cost, milliseconds=processor, peak_megabytes=peak)
            condition = f"# Measured {date.today()}: {turns} turns, {machine()}, other jobs running.\n"
        costs[name] = cost
        print(f"{name}: {cost}", flush=True)
        if arguments.write:
            write(costs, condition)


if __name__ == "__main__":
    main()
