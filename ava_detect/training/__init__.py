"""How weights are learnt: losses, schedule, loop, checkpoints."""

from ava_detect.training.loop import Progress, TrainResult, train

__all__ = ["Progress", "TrainResult", "train"]
