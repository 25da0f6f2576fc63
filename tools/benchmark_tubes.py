"""Tubes from end to end on the synthetic world: train, annotate every frame, link, video-mAP.

    python tools/benchmark_tubes.py --out tubes

Movies are rendered with their tubes; the small network of ``configs/demo.yaml`` is trained further on every frame of
some of them, as on MultiSports, UCF101-24 or JHMDB (``data.kind: tubes``), and annotates every frame of the others,
with the true boxes and with those of the builtin detector. The results are linked to tubes as MOC does it, each action
by itself, and by the tracks of people that ``annotate`` gives. ``true actions`` are the true boxes with their true
labels, without tracks: what linking alone loses. It writes ``OUT/table.md`` and ``OUT/table.json``; finished parts are
kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from measuring import machine

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.config import load_config
from ava_detect.datasets.synthetic.world import TUBES, WorldSettings, write_world
from ava_detect.evaluation.tube_runs import TubeOptions, TubeRun, evaluate_tubes
from ava_detect.formats.ava_csv import write_ava_table
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import read_tube_annotations, write_detected_boxes
from ava_detect.formats.tube_tables import rows_of_annotations
from ava_detect.results.tube_detections import TubeReading, read_detections
from ava_detect.results.tube_truth import truth_of_pickle
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.training import train

DIALECT = "multisports"  # which leaves out the classes that a few movies do not show
LINKINGS = {"moc": "MOC", "tracks": "tracks of people"}
PEOPLE = ("true boxes", "builtin")
THRESHOLDS = (0.2, 0.5)
AVERAGE = "0.50:0.95"
FPS, SIZE = 15, {"width": 480, "height": 270}


@dataclass(frozen=True)
class Row:
    """The scores of one set of boxes, linked in one way; percent."""

    boxes: str
    linking: str
    frame: float
    video: tuple[float, ...]
    tubes: int


def render(out: Path, num_train: int, num_test: int, seconds: float) -> None:
    """Render the movies that are missing."""
    for split, seed, count in (("train", 301, num_train), ("test", 302, num_test)):
        if not (out / split / "ground_truth.csv").is_file():
            write_world(out / split, WorldSettings(seed=seed, num_movies=count, seconds=seconds, fps=FPS, **SIZE))


def train_on_tubes(out: Path, epochs: int) -> Path:
    """Train the demo network further on every frame of the training movies; return its weights."""
    split = {"annotations": str(out / "train" / TUBES), "videos": str(out / "train" / "videos")}
    settings = [
        *("data.kind=tubes", f"data.train={json.dumps(split)}", "train.initialise=demo", f"train.epochs={epochs}"),
        *("train.learning_rate=0.02", "train.batch_size=16", "train.eval_every=0", "train.warmup_epochs=0.1"),
        "train.ema_decay=null",
    ]
    train(load_config("demo", settings), out / "run", resume=True)
    return out / "run" / "model.safetensors"


def annotate(out: Path, weights: Path, name: str) -> Path:
    """Annotate every frame of the test movies; return the folder of the results."""
    boxes = out / "true_boxes.csv"
    truth = read_tube_annotations(out / "test" / TUBES)
    labels = {label: label for label in truth.label_map.ids}
    write_ava_table(boxes, rows_of_annotations(truth, FrameNumbers(FPS), labels))
    detector = "builtin" if name == "builtin" else f"boxes:{boxes}?last_column=person_id"
    results = out / name.replace(" ", "_")
    summary = annotate_videos(
        out / "test" / "videos", results, weights=weights, every_seconds=1 / FPS, detector=detector
    )
    assert not summary.totals.failed, summary
    return results


def write_truth(out: Path) -> Path:
    """Write the true boxes with their labels as detections of score 1."""
    truth = read_tube_annotations(out / "test" / TUBES)
    videos = truth.test_videos()
    tubes = truth.tubes_of(videos)
    lengths = [len(tube) for tube in tubes]
    boxes = AvaTable.from_columns(
        [tube.video_id for tube in tubes for _ in tube.frames],
        np.concatenate([tube.frames for tube in tubes]),
        np.concatenate([tube.boxes_xyxy for tube in tubes]),
        np.repeat([tube.action_id for tube in tubes], lengths),
        np.ones(sum(lengths)),
    )
    path = out / "truth.pkl"
    write_detected_boxes(path, boxes, videos)
    return path


def measure(out: Path, boxes: str, path: Path) -> list[Row]:
    """Link the boxes of a file in each way, and score them."""
    truth = truth_of_pickle(out / "test" / TUBES)
    read = partial(read_detections, truth=truth, reading=TubeReading())

    def run(metric: str, linking: str | None = None) -> TubeRun:
        options = TubeOptions(metric, DIALECT, THRESHOLDS if metric == "video" else (), linking=linking, fps=FPS)
        return evaluate_tubes(truth.annotations, [path], options, read=read)[0]

    frame = 100 * run("frame").results[0].mAP
    rows = []
    for linking, name in LINKINGS.items():
        video = run("video", linking)
        scores = [*(100 * result.mAP for result in video.results), 100 * video.averages[AVERAGE]]
        rows.append(Row(boxes, name, frame, tuple(scores), video.num_linked or 0))
    return rows


def table_of(rows: list[Row]) -> str:
    """The table in Markdown."""
    lines = [
        "| boxes | linking | frame-mAP 0.5 | video-mAP 0.2 | 0.5 | 0.50:0.95 | tubes |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        values = " | ".join(f"{value:.1f}" for value in (row.frame, *row.video))
        lines.append(f"| {row.boxes} | {row.linking} | {values} | {row.tubes:,} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for movies, weights and results")
    parser.add_argument("--train-movies", type=int, default=4)
    parser.add_argument("--test-movies", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    out = arguments.out
    render(out, arguments.train_movies, arguments.test_movies, arguments.seconds)
    weights = train_on_tubes(out, arguments.epochs)
    found = {"true actions": write_truth(out)} | {name: annotate(out, weights, name) for name in PEOPLE}
    rows = [row for boxes, path in found.items() for row in measure(out, boxes, path)]
    (out / "table.md").write_text(table_of(rows))
    (out / "table.json").write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n")
    print(table_of(rows))
    print(machine())


if __name__ == "__main__":
    main()
