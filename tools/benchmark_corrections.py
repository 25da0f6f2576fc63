"""Close the circle on the synthetic world: correct what a model found, learn from it, measure on other movies.

    python tools/benchmark_corrections.py --out circle

For each seed the script trains the small network of ``configs/demo.yaml`` on 6 movies, annotates others with it, and
has a simulated corrector review some of their keyframes: it moves, adds and deletes boxes and ticks actions until a
keyframe is as the ground truth says, and accepts it, through the same log that ``ava-detect review`` writes. The
keyframes are as many chosen by ``review_order`` as chosen at random, and all of them. Each network is then trained
further on the 6 movies and these corrections, and scored with true boxes on movies that no network has seen; ``none``
is trained further on the 6 movies alone, for about as many steps as with ``--budget`` corrections. It writes
``OUT/table.md`` and ``OUT/table.json``; finished runs are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from scipy.optimize import linear_sum_assignment

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.config import load_config
from ava_detect.config.fine_tuning import fine_tuning_config
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.results.corrections.events import Box, Event
from ava_detect.results.corrections.folder import base_of, write_info
from ava_detect.results.corrections.keyframes import CorrectedKeyframe
from ava_detect.results.corrections.log import LogWriter
from ava_detect.results.corrections.order import review_order
from ava_detect.results.corrections.truth import read_reviewed
from ava_detect.results.saved import SavedResults, read_saved_results
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures import boxes as box_ops
from ava_detect.training import train

Key = tuple[str, float]
Person = tuple[Box, tuple[int, ...]]
NUM_START_MOVIES, MOVIE_SECONDS = 6, 20
TICKED_FROM = 0.5  # least score of an action that is ticked when the review begins
# The demo network on clips of half its frames and three quarters of its size: a quarter of the cost.
CHEAPER = ("clip.num_frames=8", "clip.sampling_rate=8", "clip.short_side=96", "data.short_side=[88, 104]")
COMMON = ("data.num_workers=0", "train.batch_size=8", "train.eval_every=0")
WAYS = ("random", "chosen", "all")


def render(out: Path, num_movies: int, num_test: int) -> None:
    """Render the movies that are missing; the first 6 are those that the start is trained on."""
    for split, seed, count in (("movies", 1, num_movies), ("test", 9001, num_test)):
        if not (out / split / "ground_truth.csv").is_file():
            settings = WorldSettings(seed=seed, num_movies=count, seconds=MOVIE_SECONDS, fps=15, width=192, height=108)
            write_world(out / split, settings)
    truth = read_ground_truth(out / "movies" / "ground_truth.csv")
    write_ava_table(out / "train.csv", truth.only_videos(set(map(movie_id, range(NUM_START_MOVIES)))))


def movie_id(number: int) -> str:
    """Name of a movie of the world."""
    return f"movie_{number:03d}"


def train_start(world: Path, out: Path, seed: int, epochs: int) -> Path:
    """Train the network that corrections begin with; return its weights."""
    settings = [*CHEAPER, *COMMON, "train.learning_rate=0.2", "train.ema_decay=0.98"]
    settings += [f"data.train={json.dumps(start_split(world))}", f"train.seed={seed}", f"train.epochs={epochs}"]
    train(load_config("demo", settings), out, resume=True)
    return out / "model.safetensors"


def start_split(world: Path) -> dict[str, str]:
    """The movies that the start is trained on."""
    return {"annotations": str(world / "train.csv"), "videos": str(world / "movies" / "videos")}


def train_further(world: Path, start: Path, corrections: Path | None, out: Path, seed: int, epochs: int) -> Path:
    """Train the start further on its own movies and the corrections; return the weights."""
    reviewed = None if corrections is None else {"folder": str(corrections), "held_out": 0.0}
    settings = [
        *COMMON,
        f"data.train={json.dumps(start_split(world))}",
        f"data.corrections={json.dumps(reviewed)}",
        f"train.initialise={json.dumps(str(start))}",
        "train.learning_rate=0.1",
        f"train.seed={seed}",
        f"train.epochs={epochs}",
    ]
    train(fine_tuning_config(settings), out, resume=True)
    return out / "model.safetensors"


def score(weights: Path, world: Path, out: Path) -> float:
    """Frame-mAP on the test movies, with true boxes: the detector learns nothing from corrections."""
    split = SplitOptions(world / "test" / "videos", world / "test" / "ground_truth.csv")
    result = run_benchmark(None, weights, out, split=split, people=PeopleOptions(boxes="ground-truth"))
    assert result.all_well, result.problems
    return float(json.loads((out / "result.json").read_text())["mAP"])


def true_people(table: AvaTable) -> dict[Key, list[Person]]:
    """The people on each keyframe of a ground truth."""
    people: dict[Key, dict[int, Person]] = {}
    for row in range(len(table)):
        key = (table.video_ids[table.video_index[row]], float(table.timestamps_seconds[row]))
        of_keyframe = people.setdefault(key, {})
        x1, y1, x2, y2 = table.boxes_fraction[row].tolist()
        _, actions = of_keyframe.get(int(table.person_ids[row]), ((), ()))
        of_keyframe[int(table.person_ids[row])] = ((x1, y1, x2, y2), (*actions, int(table.action_ids[row])))
    return {key: list(of_keyframe.values()) for key, of_keyframe in people.items()}


def correct(results: Path, chosen: Iterable[Key], truth: Mapping[Key, list[Person]], out: Path) -> int:
    """Review keyframes as the ground truth has them; return the number of changes that took."""
    keys, changes = set(chosen), 0
    for saved in read_saved_results(results):
        if not out.is_dir():
            out.mkdir(parents=True)
            write_info(out, str(results), TICKED_FROM, saved.choices)
        seconds = sorted(second for video_id, second in keys if video_id == saved.video_id)
        if seconds:
            changes += correct_video(saved, results, seconds, truth, out)
    return changes


def correct_video(
    saved: SavedResults, results: Path, seconds: Sequence[float], truth: Mapping[Key, list[Person]], out: Path
) -> int:
    """Write the log of one video; return the number of changes."""
    base = base_of(saved, sha256_of(results / f"{saved.video_id}.jsonl"), TICKED_FROM)
    writer = LogWriter(out / f"{saved.video_id}.jsonl", base)
    number = 0
    for second in seconds:
        steps = corrections_of(base.keyframes[second], truth.get((saved.video_id, second), []))
        for kind, details in [*steps, ("accept", {})]:
            number += 1
            event = {"id": number, "session": "simulated", "call": number, "time": "2026-11-30T00:00:00Z"}
            event |= {"video": saved.video_id, "seconds": second, "kind": kind, **details}
            writer.append(Event.from_json(event))
    return number - len(seconds)


def corrections_of(keyframe: CorrectedKeyframe, true: Sequence[Person]) -> list[tuple[str, dict[str, object]]]:
    """The events that make a keyframe what it should be: matched people are corrected, others deleted or added."""
    tracks = list(keyframe.people)
    found = np.array([keyframe.people[track].box_fraction for track in tracks], np.float64).reshape(-1, 4)
    wanted = np.array([box for box, _ in true], np.float64).reshape(-1, 4)
    overlaps = box_ops.iou(found, wanted)
    pairs = zip(*linear_sum_assignment(overlaps >= 0.5, maximize=True), strict=True)
    match = {int(person): tracks[int(row)] for row, person in pairs if overlaps[row, person] >= 0.5}
    steps: list[tuple[str, dict[str, object]]] = [
        ("delete", {"person": track}) for track in tracks if track not in match.values()
    ]
    for number, (box, actions) in enumerate(true):
        track = match.get(number, 1_000_000 + number)
        before = keyframe.people.get(track)
        if before is None or not np.allclose(before.box_fraction, box, atol=1e-6):
            steps.append(("add" if before is None else "move", {"person": track, "box": list(box)}))
        if before is None or set(before.actions) != set(actions):
            steps.append(("actions", {"person": track, "ids": sorted(set(actions))}))
    return steps


def run_seed(world: Path, out: Path, seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """One start and the three ways to go on; scores and counts by way."""
    truth = true_people(read_ground_truth(world / "movies" / "ground_truth.csv"))
    start = train_start(world, out / "start", seed, options.start_epochs)
    outcome = {"start": {"mAP": score(start, world, out / "start_test")}}
    print(f"seed {seed}, start: {outcome['start']}", flush=True)
    results = out / "results"
    pool = [world / "movies" / "videos" / f"{movie_id(n)}.mp4" for n in range(NUM_START_MOVIES, options.movies)]
    annotate_videos(pool, results, weights=start)
    found = {saved.video_id: saved.keyframes for saved in read_saved_results(results)}
    everything = review_order(found, None, "time")
    order = np.random.default_rng(seed).permutation(len(everything))[: options.budget]
    choices = {
        "random": [everything[index] for index in order],
        "chosen": review_order(found, options.budget),
        "all": everything,
    }
    start_keyframes = NUM_START_MOVIES * MOVIE_SECONDS
    same_steps = round(options.epochs * (start_keyframes + options.budget) / start_keyframes)
    weights = train_further(world, start, None, out / "none", seed, same_steps)
    outcome["none"] = {"mAP": score(weights, world, out / "none_test")}
    print(f"seed {seed}, none: {outcome['none']}", flush=True)
    for way in WAYS:
        corrections = out / f"corrections_{way}"
        kept = out / f"{way}.json"
        if not kept.is_file():
            changes = correct(results, choices[way], truth, corrections)
            reviewed = read_reviewed(corrections)
            assert len(reviewed.keyframes) == len(choices[way])
            counts = {"keyframes": len(reviewed.keyframes), "changes": changes, "people": num_people(reviewed.rows)}
            kept.write_text(json.dumps(counts))
        weights = train_further(world, start, corrections, out / way, seed, options.epochs)
        outcome[way] = json.loads(kept.read_text()) | {"mAP": score(weights, world, out / f"{way}_test")}
        print(f"seed {seed}, {way}: {outcome[way]}", flush=True)
    return outcome


def num_people(rows: AvaTable) -> int:
    """Number of people on the keyframes of a table."""
    people = np.column_stack([rows.video_index, rows.timestamps_seconds, rows.person_ids])
    return len(np.unique(people[rows.person_ids >= 0], axis=0))


_NAMES = {"chosen": "chosen by `useful`"}


def table(outcomes: Mapping[int, Mapping[str, Mapping[str, float]]]) -> str:
    """Mean and standard deviation over the seeds, in percent, as a Markdown table."""
    lines = [
        "| corrections | keyframes | people | changes | frame-mAP | of each seed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way in ("start", "none", *WAYS):
        of_way = [outcome[way] for outcome in outcomes.values()]
        counts = [np.mean([one.get(name, 0) for one in of_way]) for name in ("keyframes", "people", "changes")]
        cells = [f"{count:,.0f}" if count else "" for count in counts]
        scores = 100 * np.array([one["mAP"] for one in of_way])
        deviation = scores.std(ddof=1) if len(scores) > 1 else 0.0
        cells += [f"{scores.mean():.1f} ± {deviation:.1f}", ", ".join(f"{value:.1f}" for value in scores)]
        lines.append(f"| {_NAMES.get(way, way)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the arguments, run what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--movies", type=int, default=18, help="the first 6 are for the start, the others are corrected"
    )
    parser.add_argument("--test-movies", type=int, default=12)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--start-epochs", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = options.out / "world"
    render(world, options.movies, options.test_movies)
    outcomes: dict[int, dict[str, dict[str, float]]] = {}
    for seed in options.seeds:
        outcomes[seed] = run_seed(world, options.out / f"seed{seed}", seed, options)
        (options.out / "table.json").write_text(json.dumps(outcomes, indent=2) + "\n")
        (options.out / "table.md").write_text(table(outcomes))
    print(machine())
    print(table(outcomes))


if __name__ == "__main__":
    main()
