"""How weights are learnt: losses, schedule, loop, checkpoints."""

from ava_detect.training.loop import TrainResult, train

__all__ = ["TrainResult", "train"]
