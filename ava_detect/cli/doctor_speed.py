"""``ava-detect doctor --speed``: how fast a network is on this machine in each form, and which one to take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ava_detect.cli.console import say, say_table

if TYPE_CHECKING:
    from ava_detect.models.speed import FormSpeed

# For each form: with loading, and where all are slow, all together stay below a minute.
_SECONDS = 6
# How far a score may move with `--precision fast`, and by how much it must be faster to be advised.
_ALLOWED_DIFFERENCE = 0.02
_WORTH_IT = 1.1


def report_speed(config: str, *, as_json: bool) -> None:
    """Measure the network of a config on its clips of 4:3, with random weights, and print a table and an advice.

    Args:
        config: Name or file of a config.
        as_json: Print JSON instead.
    """
    import torch

    from ava_detect.config import load_config
    from ava_detect.config.build import build_model
    from ava_detect.models.action_detector import require_detector
    from ava_detect.models.network_options import resolve_device
    from ava_detect.models.speed import measure_forms

    device = resolve_device("auto")
    model = require_detector(build_model(load_config(config))).to(device).eval()
    height = model.clip_settings.short_side
    width = height * 4 // 3
    rows = measure_forms(model, height, width, device=device, seconds=_SECONDS)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    threads = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}" if device == "cpu" else ""
    say(f"{config}, one clip of {width} x {height} with 3 people on {device}{f' ({threads})' if threads else ''}:")
    table = [
        (
            f"--execution {row.execution} --precision {row.precision}",
            f"{row.seconds_per_clip:.2f}",
            f"{1 / row.seconds_per_clip:.2f}",
            f"{rows[0].seconds_per_clip / row.seconds_per_clip:.2f}",
            f"{row.largest_difference:.0e}" if row is not rows[0] else "",
        )
        for row in rows
    ]
    say_table(("form", "seconds a clip", "clips a second", "speed-up", "scores differ by"), table, left=(0,))
    say(advice(rows))


def advice(rows: Sequence[FormSpeed]) -> str:
    """Say which options to use, and how many videos they are good for.

    Args:
        rows: What was measured; the definition in fp32 first.

    Returns:
        Two sentences.
    """
    exact = min((row for row in rows if row.precision == "fp32"), key=lambda row: row.seconds_per_clip)
    fast = min(rows, key=lambda row: row.seconds_per_clip)
    pays = exact.seconds_per_clip >= _WORTH_IT * fast.seconds_per_clip and fast.precision != "fp32"
    if pays and fast.largest_difference <= _ALLOWED_DIFFERENCE:
        best = fast
        choice = f"`--precision fast` ({fast.precision}) is {exact.seconds_per_clip / fast.seconds_per_clip:.1f} times "
        choice += "as fast as the default, which is exact."
    else:
        best, choice = exact, "The default is the fastest here; `--precision fast` is the same."
    # One keyframe a second: an hour has 3600 / seconds_per_clip of them.
    minutes = 60 / best.seconds_per_clip
    return f"{choice} With people on every second, an hour of it annotates about {minutes:.0f} minutes of video."
