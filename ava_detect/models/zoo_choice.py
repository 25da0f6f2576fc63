"""Choose a checkpoint of the zoo: the default where none is named, and the best one for a device and a use."""

from __future__ import annotations

from dataclasses import dataclass

from ava_detect.errors import ConfigError, WeightsError, counted
from ava_detect.models.zoo_table import EVALUATORS, ZOO, ZooEntry, runnable

DEVICES = {"cpu": "CPUs", "cuda": "GPUs"}
# Device -> name and reason; the device is the one that ``device="auto"`` resolves to. They stay although others have
# better figures by now, so that the same command gives the same scores.
_DEFAULTS = {
    "cpu": (
        "slowfast_r50_32x2_ava22_ptv",
        "of the SlowFast networks with ResNet-50, which a CPU runs in reasonable time, the best published figure",
    ),
    "cuda": (
        "slowfast_r101_nl_32x2_ava22",
        "0.3 below the best published figure of a SlowFast, which takes clips of twice as many frames",
    ),
}
_RECOMMENDED_ON = "AVA 2.2"
# Two cores took up to 1.7 s for a clip of fewer operations, and 1.5 to 13 s for one of more (configs/README.md).
_CPU_GFLOPS = 300


@dataclass(frozen=True)
class Recommendation:
    """A checkpoint and why it is the one.

    Attributes:
        entry: The checkpoint.
        reason: Why, in one sentence that names its figure and licences.
    """

    entry: ZooEntry
    reason: str


def default_for(device: str) -> ZooEntry:
    """Return the checkpoint that a device's users get when they name none.

    Args:
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The entry.
    """
    return ZOO[_DEFAULTS[device][0]]


def default_reason(name: str) -> str:
    """Return why a checkpoint is the default of a device.

    Args:
        name: Name of the checkpoint.

    Returns:
        The device and the reason; empty for the other checkpoints.
    """
    reasons = [f"for {DEVICES[device]}: {reason}" for device, (default, reason) in _DEFAULTS.items() if default == name]
    return "; ".join(reasons)


def recommend(device: str, *, commercial: bool = False) -> Recommendation:
    """Return the checkpoint with the best quoted frame-mAP on AVA 2.2 that a device and a use allow.

    Args:
        device: ``"cpu"``, which leaves out networks of more than 300 GFLOP a clip, or ``"cuda"``.
        commercial: Whether to leave out those whose licences do not clearly allow commercial use.

    Returns:
        The checkpoint and the reason.

    Raises:
        ConfigError: An unknown device.
        WeightsError: No checkpoint is left.
    """
    if device not in DEVICES:
        raise ConfigError(f"`device` is {' or '.join(DEVICES)}, got {device!r}")
    allowed = [entry for entry in runnable() if entry.is_detector and entry.evaluated_on == _RECOMMENDED_ON]
    conditions = []
    if device == "cpu":
        allowed = [entry for entry in allowed if entry.gflops is not None and entry.gflops <= _CPU_GFLOPS]
        conditions.append(f"small enough for a CPU (at most {_CPU_GFLOPS} GFLOP a clip)")
    if commercial:
        allowed = [entry for entry in allowed if entry.commercial_use == "yes"]
        conditions.append("with licences that clearly allow commercial use")
    if not allowed:
        raise WeightsError(f"the zoo has no weights {' and '.join(conditions)}; train your own (docs/training.md)")
    # Where two have the same figure, the cheaper one.
    best = max(allowed, key=lambda entry: (entry.published or 0.0, -(entry.gflops or 0)))
    which = f" {' and '.join(conditions)}" if conditions else ""
    return Recommendation(best, f"{_superlative(best, len(allowed))}{which}; {best.licences}{_caution(best)}")


def _superlative(best: ZooEntry, number: int) -> str:
    figure = f"{best.figure} (quoted; {EVALUATORS[best.evaluator]})"
    if number == 1:
        return f"{figure}, the only weights"
    return f"{figure}, the best of {counted(number, 'checkpoint')}"


def _caution(entry: ZooEntry) -> str:
    caution = "; ask their authors before commercial use" if entry.commercial_use == "unclear" else ""
    return f"{caution}; {entry.note}" if entry.note else caution
