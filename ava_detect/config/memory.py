"""The memory that a config asks for, estimated before anything is built. Needs no PyTorch.

The estimate counts the weights and the largest features of one clip only, so that it is never above what is really
needed: a config that it refuses could not run.
"""

from __future__ import annotations

import psutil

from ava_detect.config.model import BackboneConfig, Pathway
from ava_detect.config.schema import Config
from ava_detect.errors import ConfigError, counted

_FLOAT_BYTES = 4
_PROCESS_BYTES = 100 << 20
_EXPANSION = 4  # output channels of a residual block per inner channel
_NUM_STAGES = 4


def require_memory(config: Config, *, num_clips: int = 1, short_side: int | None = None, device: str = "cpu") -> None:
    """Refuse a config whose network and clips cannot fit into this machine's memory.

    Args:
        config: The config.
        num_clips: Number of clips that are in memory at once.
        short_side: Short side of the clips in pixels; None for ``clip.short_side``.
        device: Where the network runs; on ``"cuda"`` this machine's memory holds only the bytes of the frames.

    Raises:
        ConfigError: They need more than the machine has.
    """
    side = config.clip.short_side if short_side is None else short_side
    one_clip = clip_bytes(config, side) if device == "cpu" else 3 * config.clip.num_frames * side**2
    weights, clips = weight_bytes(config), num_clips * one_clip
    machine = psutil.virtual_memory().total
    if weights + clips > machine:
        number = counted(num_clips, "clip")
        raise ConfigError(
            f"the config needs at least {_gib(weights + clips)} of memory, {_gib(weights)} for the weights of model "
            f"and {_gib(clips)} for {number} of {config.clip.num_frames} frames with a short side of {side} pixels, "
            f"and this machine has {_gib(machine)}; lower model.backbone.width or depths, clip.num_frames, the short "
            "side or the number of clips at once"
        )


def require_memory_of_processes(number: int, name: str) -> None:
    """Refuse more processes than this machine's memory holds, at 100 MiB each; those that load PyTorch need more.

    Args:
        number: Number of processes.
        name: The setting that asks for them, for the message.

    Raises:
        ConfigError: They need more than the machine has.
    """
    machine = psutil.virtual_memory().total
    if number * _PROCESS_BYTES > machine:
        raise ConfigError(
            f"{name} {number:,} asks for more processes than this machine's memory of {_gib(machine)} holds; give at "
            f"most {machine // _PROCESS_BYTES:,}"
        )


def weight_bytes(config: Config) -> int:
    """Estimate the size of the weights in float32; batch norms and non-local blocks are left out.

    Args:
        config: The config.

    Returns:
        Bytes.
    """
    backbone = config.model.backbone
    kernels = backbone.per_pathway("temporal_kernels")
    num_temporal = backbone.per_pathway("depths" if backbone.num_temporal is None else "num_temporal")
    widths = _widths(backbone)
    channels = dict(widths)
    count = sum(3 * widths[p] * kernels[p][0] * 7 * 7 for p in widths)
    for stage in range(_NUM_STAGES):
        inputs = dict(channels)
        if "fast" in widths:
            lateral, inputs["slow"] = _lateral(backbone, channels)
            count += lateral
        for p, width in widths.items():
            inner, depth = width * 2**stage, backbone.depths[stage]
            out = _EXPANSION * inner
            longer = min(depth, num_temporal[p][stage])
            block_inputs = inputs[p] + (depth - 1) * out
            temporal_inputs = inputs[p] + (longer - 1) * out if longer else 0
            count += inner * (block_inputs + temporal_inputs * (kernels[p][stage + 1] - 1))  # a
            count += depth * inner * (9 * inner + out)  # b and c
            count += inputs[p] * out  # the shortcut
            channels[p] = out
    features = sum(channels.values()) * (2 if config.model.roi.with_global else 1)
    return _FLOAT_BYTES * (count + features * config.model.head.num_classes)


def clip_bytes(config: Config, short_side: int) -> int:
    """Estimate the size of a square clip in float32 and of the largest features of each pathway.

    Args:
        config: The config.
        short_side: Side of the clip in pixels.

    Returns:
        Bytes.
    """
    backbone, num_frames = config.model.backbone, config.clip.num_frames
    count = 3 * num_frames * short_side**2
    for pathway, width in _widths(backbone).items():
        frames = num_frames // (backbone.alpha if pathway == "slow" else 1)
        sides = backbone.map_sides(short_side)[1:]
        count += max(_EXPANSION * width * 2**stage * frames * side**2 for stage, side in enumerate(sides))
    return _FLOAT_BYTES * count


def _widths(backbone: BackboneConfig) -> dict[Pathway, int]:
    return {p: backbone.width // (backbone.beta_inv if p == "fast" else 1) for p in backbone.pathways}


def _lateral(backbone: BackboneConfig, channels: dict[Pathway, int]) -> tuple[int, int]:
    """The weights of a lateral connection, and the slow pathway's channels after it."""
    slow, fast = channels["slow"], channels["fast"]
    factor = {"conv": backbone.fusion_ratio, "time_to_channel": backbone.alpha, "sample": 1}[backbone.lateral_kind]
    brought = factor * fast
    weights = fast * brought * backbone.fusion_kernel if backbone.lateral_kind == "conv" else 0
    if backbone.lateral_merge == "sum":
        return weights + (brought * slow if brought != slow else 0), slow
    return weights, slow + brought


def _gib(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB"
