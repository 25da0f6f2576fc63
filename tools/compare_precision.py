"""What bf16 changes, and what the fused form saves, for one network: frame-mAP, scores, time.

    python tools/compare_precision.py [--weights demo] [--movies 6] [--seed 700] [--videos FILE ...] [--runs 7]

The synthetic world of so many movies is scored with its true boxes, in fp32 and in bf16. The real ``--videos`` are
annotated by the builtin detector in both; what is printed is the largest difference of any score. Then the ways of
running the network take turns on clips of the first video (without one, of the world). ``--weights random`` with
``--config`` tries an untrained network of any size, with batch norms as if trained; the world is then left out.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from benchmark_forward import PRECISIONS, lively
from measuring import by_turns, machine

from ava_detect.benchmark import run_benchmark
from ava_detect.config.build import build_model, label_map_of
from ava_detect.config.choice import config_of
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.detectors import build_detector
from ava_detect.evaluation.frame_map_result import FrameMAPResult
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.execution import prepare
from ava_detect.models.weights import load_weights
from ava_detect.models.zoo import RANDOM_WEIGHTS, resolve
from ava_detect.structures import PersonBoxes
from ava_detect.structures.labels import LabelMap
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.reader import VideoReader


def network(weights: str, config: str | None) -> tuple[ActionDetector, LabelMap]:
    """The network and the names of its columns."""
    if weights == RANDOM_WEIGHTS:
        name = config or "slowfast_r50_32x2"
        return lively(name).eval(), label_map_of(config_of(name, weights))
    known = config_of(config, weights)
    model = build_model(known)
    assert isinstance(model, ActionDetector), "name the weights of a detector"
    load_weights(model, str(resolve(weights)))
    return model.eval(), label_map_of(known)


def compare_map(weights: str, world: Path, out: Path) -> None:
    maps = {}
    for precision in PRECISIONS:
        result = run_benchmark(
            None,
            weights,
            out=out / precision,
            videos=world / "videos",
            ground_truth=world / "ground_truth.csv",
            label_map=world / "label_map.pbtxt",
            boxes="ground-truth",
            start_seconds=0,
            precision=precision,
        )
        assert isinstance(result.score, FrameMAPResult)
        maps[precision] = result.score.mAP
        print(f"  {precision}: frame-mAP {result.score.mAP:.4f} on {result.counts}", flush=True)
    print(f"  bf16 differs by {maps['bf16'] - maps['fp32']:+.4f}")


def compare_scores(model: ActionDetector, label_map: LabelMap, video: Path, keyframes: int) -> None:
    detector = build_detector("builtin")
    scores = {}
    for precision in PRECISIONS:
        pipeline = Pipeline(detector, Scorer(model, precision=precision), label_map=label_map)
        run = pipeline(video)
        scores[precision] = [keyframe.action_scores for keyframe in islice(run, keyframes)]
        run.close()
    exact, rough = (np.concatenate(scores[precision]) for precision in PRECISIONS)
    assert exact.shape == rough.shape, "the detector knows nothing of the network's precision"
    off = f"{np.abs(exact - rough).max():.4f}" if exact.size else "nobody seen:"
    print(f"  {video.name}: {off} at most, {len(exact)} people on {len(scores['fp32'])} keyframes", flush=True)


def compare_speed(model: ActionDetector, video: Path, runs: int) -> None:
    settings = model.clip_settings
    clip = next(ClipSampler(VideoReader(video), settings, keyframe_images=False).sample([0.0])).clip
    people = PersonBoxes(np.array([[0, 0, clip.width, clip.height]], np.float32), np.ones(1, np.float32))
    ways = {}
    for execution, precision in product(("eager", "fused"), PRECISIONS):
        scorer = Scorer(model, precision=precision, execution=execution)
        ways[f"{execution} {precision}"] = partial(scorer.score, [clip], [people])
        ways[f"{execution} {precision}"]()  # weights are put in order at the first call
    medians = by_turns(ways, runs)
    auto = {precision: prepare(model, precision=precision).execution for precision in PRECISIONS}
    print(f"one clip of {clip.width}x{clip.height}, a person, from bytes; medians of {runs} by turns; auto is {auto}")
    for name, (wall, cpu) in medians.items():
        print(f"  {name:<11} {wall:.3f} s, CPU {cpu:.3f} s, {medians['eager fp32'][1] / cpu:.2f} times eager fp32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--config")
    parser.add_argument("--movies", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each movie")
    parser.add_argument("--seed", type=int, default=700, help="of the world; training had others")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="real ones")
    parser.add_argument("--keyframes", type=int, default=20, help="of each real video, at most")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model, label_map = network(arguments.weights, arguments.config)
    print(f"{arguments.weights}, {arguments.config or 'its own config'}; {machine()}")
    with tempfile.TemporaryDirectory() as name:
        timed_on = arguments.videos[:1]
        if arguments.weights != RANDOM_WEIGHTS:
            world = Path(name) / "world"
            settings = WorldSettings(seed=arguments.seed, num_movies=arguments.movies, seconds=arguments.seconds)
            write_world(world, settings)
            timed_on = timed_on or sorted((world / "videos").iterdir())[:1]
            print(f"synthetic world, seed {arguments.seed}, {arguments.movies} movies, true boxes")
            compare_map(arguments.weights, world, Path(name) / "out")
        if arguments.videos:
            print("scores in bf16 against fp32")
        for video in arguments.videos:
            compare_scores(model, label_map, video, arguments.keyframes)
        for video in timed_on:
            compare_speed(model, video, arguments.runs)


if __name__ == "__main__":
    main()
