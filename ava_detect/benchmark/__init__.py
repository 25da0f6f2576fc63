"""A split in, its score out: AVA's frame-mAP, Kinetics' accuracies, Charades' mAP, every stage timed apart."""

from ava_detect.benchmark.result import BenchmarkResult
from ava_detect.benchmark.run import run_benchmark

__all__ = ["BenchmarkResult", "run_benchmark"]
