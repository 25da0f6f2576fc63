"""Train a network: losses, learning-rate schedule, training loop, validation, checkpoints."""

from ava_detect.training.loop import TrainResult, train

__all__ = ["TrainResult", "train"]
