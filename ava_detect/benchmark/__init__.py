"""Run a network over a split and score it: AVA's frame-mAP, Kinetics' accuracies, Charades' mAP."""

from ava_detect.benchmark.options import PeopleOptions, SplitOptions
from ava_detect.benchmark.result import BenchmarkResult
from ava_detect.benchmark.run import run_benchmark

__all__ = ["BenchmarkResult", "PeopleOptions", "SplitOptions", "run_benchmark"]
