"""Measure what a calibration gives on movies that it was not fitted to: F1 and calibration error, before and after.

    python tools/benchmark_calibration.py --out calibration

The script renders movies of the synthetic world, scores the shipped network on all of them, fits thresholds and
probabilities to the first movies, measures them on the others, and writes ``OUT/table.md`` and
``OUT/calibration.json``. What is rendered and scored already is kept.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.benchmark.videos import DETECTIONS
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.evaluation.calibrate import CalibrationOptions, FittedCalibration, calibrate_files, measure_files
from ava_detect.evaluation.runs import EvaluationOptions
from ava_detect.structures.labels import LabelMap


def main() -> None:
    """Render, score, fit, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the movies and the results")
    parser.add_argument("--fit", type=int, default=16, help="number of movies to fit to")
    parser.add_argument("--held-out", type=int, default=8, help="number of movies to measure on")
    parser.add_argument("--seconds", type=float, default=20, help="length of each movie")
    parser.add_argument("--seed", type=int, default=170, help="of the movies; the network was trained on others")
    parser.add_argument("--precision", type=float, help="thresholds of this precision instead of the best F1")
    arguments = parser.parse_args()
    world, out = arguments.out / "world", arguments.out
    truth = world / "ground_truth.csv"
    num_movies = arguments.fit + arguments.held_out
    if not truth.is_file():
        write_world(world, WorldSettings(arguments.seed, num_movies, arguments.seconds))
    label_map = world / "label_map.pbtxt"
    run = run_benchmark(
        "demo", "demo", out / "run", split=SplitOptions(world / "videos", truth),
        people=PeopleOptions(detector="builtin"), label_map=label_map,
    )  # fmt: skip
    movies = [f"movie_{index:03d}" for index in range(num_movies)]
    fit_list, held_out_list = out / "fit.txt", out / "held_out.txt"
    fit_list.write_text("\n".join(movies[: arguments.fit]))
    held_out_list.write_text("\n".join(movies[arguments.fit :]))
    actions = LabelMap.from_pbtxt(label_map)
    fitted = {}
    for method in ("isotonic", "platt"):
        options = CalibrationOptions(method, arguments.precision)
        settings = EvaluationOptions(actions, subset=fit_list)
        fitted[method] = calibrate_files(truth, [out / "run" / DETECTIONS], settings, options).calibration
    fitted["isotonic"].save(out / "calibration.json")
    settings = EvaluationOptions(actions, subset=held_out_list)
    measured = {
        method: measure_files(calibration, truth, [out / "run" / DETECTIONS], settings)
        for method, calibration in fitted.items()
    }
    text = table(measured["isotonic"], measured["platt"])
    (out / "table.md").write_text(text)
    print(f"mAP over all movies: {run.score.summary()}\n{measured['isotonic'].measures.note}\n\n{text}")


def table(isotonic: FittedCalibration, platt: FittedCalibration) -> str:
    """Return a Markdown table with a row per class, the mean over the classes and the sum of all."""
    heads = (
        "action", "true boxes in fit / held-out movies", "threshold", "F1 at 0.5", "F1",
        "calibration error", "isotonic", "Platt",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " --: |" * (len(heads) - 1)]
    rows = zip(isotonic.calibration.classes, isotonic.measures.classes, platt.measures.classes, strict=True)
    for one, by_isotonic, by_platt in rows:
        before, after = by_isotonic.before, by_isotonic.after
        pooled = " (all classes)" if one.basis == "pooled" else ""
        threshold = "none" if one.threshold is None else f"{one.threshold:.2f}{pooled}"
        values = (before.f1, after.f1, before.error, after.error, by_platt.after.error)
        lines.append(_line(one.name, f"{one.num_gt} / {before.num_gt}", threshold, *values))
    (f1_before, f1_after), (before, after) = isotonic.measures.mean("f1"), isotonic.measures.mean("error")
    lines.append(_line("**mean**", "", "", f1_before, f1_after, before, after, platt.measures.mean("error")[1]))
    sums = (isotonic.measures.before, isotonic.measures.after, platt.measures.after)
    values = (sums[0].f1, sums[1].f1, sums[0].error, sums[1].error, sums[2].error)
    lines.append(_line("**all detections**", "", "", *values))
    return "".join(f"{line}\n" for line in lines)


def _line(name: str, counts: str, threshold: str, *values: float) -> str:
    numbers = ["" if math.isnan(value) else f"{100 * value:.1f}" for value in values]
    return f"| {' | '.join((name, counts, threshold, *numbers))} |"


if __name__ == "__main__":
    main()
