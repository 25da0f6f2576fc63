"""Compare bf16 with fp32, and the fused form with the eager one, for one network: frame-mAP, scores, time.

    python tools/compare_precision.py [--weights demo] [--movies 6] [--seed 700] [--videos FILE ...] [--runs 7]

A synthetic world of ``--movies`` movies is scored with its true boxes, in fp32 and in bf16. The real ``--videos`` are
annotated with the builtin detector in both precisions; the largest difference of any score is printed. Then each form
of the network is timed on a clip of the first video (or of the world), all forms in alternation. ``--weights random``
with ``--config`` tests an untrained network of any size, with plausible batch-norm statistics; the world is then left
out.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from benchmark_forward import build_lively_model
from measuring import interleaved_medians, machine

from ava_detect.benchmark import PeopleOptions, SplitOptions, run_benchmark
from ava_detect.config.build import build_model, label_map_of
from ava_detect.config.choice import choose_network
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.detectors import build_detector
from ava_detect.evaluation.frame_map_result import FrameMAPResult
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.models.action_detector import ActionDetector, require_detector
from ava_detect.models.execution import prepare
from ava_detect.models.network_options import NetworkOptions, Precision
from ava_detect.models.weights import load_weights
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.structures import PersonBoxes
from ava_detect.structures.labels import LabelMap
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.reader import VideoReader

# Emulated where the processor has no bf16.
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def load_network(weights: str, config: str | None) -> tuple[ActionDetector, LabelMap]:
    """Build the network with its weights, and the label map of its actions."""
    if weights == RANDOM_WEIGHTS:
        name = config or "slowfast_r50_32x2"
        return build_lively_model(name).eval(), label_map_of(choose_network(weights, name).config)
    chosen_config = choose_network(weights, config).config
    model = require_detector(build_model(chosen_config))
    load_weights(model, weights)
    return model.eval(), label_map_of(chosen_config)


def compare_map(weights: str, world: Path, out: Path) -> None:
    """Print the frame-mAP on the synthetic world in each precision."""
    maps = {}
    for precision in PRECISIONS:
        result = run_benchmark(
            None,
            weights,
            out / precision,
            split=SplitOptions(world / "videos", world / "ground_truth.csv", start_seconds=0),
            people=PeopleOptions(boxes="ground-truth"),
            network=NetworkOptions(precision=precision),
            label_map=world / "label_map.pbtxt",
        )
        assert isinstance(result.score, FrameMAPResult)
        maps[precision] = result.score.mAP
        print(f"  {precision}: frame-mAP {result.score.mAP:.4f} on {result.counts}", flush=True)
    print(f"  bf16 differs by {maps['bf16'] - maps['fp32']:+.4f}")


def compare_scores(model: ActionDetector, label_map: LabelMap, video: Path, keyframes: int) -> None:
    """Print the largest difference of any score between the precisions on the first keyframes of a video."""
    detector = build_detector("builtin")
    scores = {}
    for precision in PRECISIONS:
        pipeline = Pipeline(detector, Scorer(model, precision=precision), label_map=label_map)
        run = pipeline(video)
        scores[precision] = [keyframe.action_scores for keyframe in islice(run, keyframes)]
        run.close()
    fp32_scores, bf16_scores = (np.concatenate(scores[precision]) for precision in PRECISIONS)  # [people, actions]
    assert fp32_scores.shape == bf16_scores.shape, "the detector does not depend on the network's precision"
    difference = f"{np.abs(fp32_scores - bf16_scores).max():.4f} at most" if fp32_scores.size else "no person found"
    print(f"  {video.name}: {difference}, {len(fp32_scores)} people on {len(scores['fp32'])} keyframes", flush=True)


def compare_speed(model: ActionDetector, video: Path, runs: int) -> None:
    """Print the time per clip of each form of the network in each precision."""
    settings = model.clip_settings
    clip = next(ClipSampler(VideoReader(video), settings, keyframe_images=False).sample([0.0])).clip
    people = PersonBoxes(np.array([[0, 0, clip.width, clip.height]], np.float32), np.ones(1, np.float32))
    calls = {}
    for execution, precision in product(("eager", "fused"), PRECISIONS):
        scorer = Scorer(model, precision=precision, execution=execution)
        calls[f"{execution} {precision}"] = partial(scorer.score, [clip], [people])
        calls[f"{execution} {precision}"]()  # the first call reorders the weights
    medians = interleaved_medians(calls, runs)
    auto = {precision: prepare(model, precision=precision).execution for precision in PRECISIONS}
    print(
        f"one clip of {clip.width}x{clip.height}, one person, from uint8 frames; medians of {runs} runs; auto is {auto}"
    )
    for name, (wall, cpu) in medians.items():
        print(f"  {name:<11} {wall:.3f} s, CPU {cpu:.3f} s, {medians['eager fp32'][1] / cpu:.2f} times eager fp32")


def main() -> None:
    """Parse the arguments and run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--config")
    parser.add_argument("--movies", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each movie")
    parser.add_argument("--seed", type=int, default=700, help="of the world; not one of the training's worlds")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="real videos")
    parser.add_argument("--keyframes", type=int, default=20, help="of each real video, at most")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model, label_map = load_network(arguments.weights, arguments.config)
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
