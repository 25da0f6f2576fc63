"""Networks that run in milliseconds, and their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.models.slowfast import SlowFast
from ava_detect.models.vit import Attention

SMALL_CONFIG = {
    "model": {"backbone": {"depths": [1, 1, 1, 1], "width": 16}},
    "clip": {"num_frames": 8, "sampling_rate": 4, "short_side": 32},
}


def small_config_file(folder: Path) -> Path:
    """A config of a network that runs in milliseconds."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL_CONFIG))
    return path


def lively_model(seed: int = 0, **changes: dict[str, Any]) -> Any:
    """A small detector whose scores depend strongly on the clip and the boxes (as built, residual branches are 0).

    With ``model={"task": "classification", ...}`` it is a classifier.
    """
    model = build_model(Config.model_validate({**SMALL_CONFIG, **changes}), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bn.weight"):
                parameter.uniform_(0.8, 1.2, generator=generator)
        model.head.projection.weight.normal_(0, 0.1, generator=generator)
    return model


def backbone_of_published_width() -> SlowFast:
    """One block a stage at full width: some fused forms begin at 256 channels. Residual branches count by half."""
    backbone = SlowFast(depths=(1, 1, 1, 1)).eval()
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name.endswith("c.bn.weight"):
                parameter.fill_(0.5)
    return backbone


def enliven(model: nn.Module) -> nn.Module:
    """Batch norms, biases and a head as if trained: as built, many of them do nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm3d):
                assert module.running_mean is not None and module.running_var is not None
                scale = 0.3 if name.endswith(".c.bn") else 1.0
                module.weight.uniform_(0.8 * scale, 1.2 * scale, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
            elif isinstance(module, nn.Conv3d) and module.bias is not None:
                # Of a non-local block, whose product of four of these must stay within reason.
                module.weight.mul_(0.01)
                module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.8, 1.2, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, 0.05, generator=generator)
            elif isinstance(module, Attention):
                module.q_bias.normal_(0, 0.3, generator=generator)
                module.v_bias.normal_(0, 0.3, generator=generator)
    return model.eval()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """PyTorch uses this number of threads until the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_pyslowfast(model: torch.nn.Module, path: Path, *, cfg: str = "TRAIN: {}") -> Path:
    """A checkpoint as PySlowFast writes it: its key names, under ``model_state``, and its settings."""
    from ava_detect.models.weights.key_map import PYSLOWFAST

    state = {PYSLOWFAST.to_theirs(name): tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 19, "model_state": state, "cfg": cfg}, path)
    return path
