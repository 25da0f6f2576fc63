"""Reading a weights file into a model: safely, strictly, and with a report of every tensor."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ava_detect.errors import WeightsError
from ava_detect.models.weights.key_map import PYSLOWFAST, KeyMap
from ava_detect.models.weights.report import WeightsReport

# One entry per family; "auto" takes the one that knows most of the file's names.
FAMILIES: Mapping[str, KeyMap] = {"pyslowfast": PYSLOWFAST}


def load_weights(model: nn.Module, path: str | Path, family: str = "auto", *, strict: bool = True) -> WeightsReport:
    """Fill ``model`` from a checkpoint file and say what became of every tensor.

    ``family``: the layout of the names in the file, one of ``FAMILIES``, or ``"auto"`` to find it by looking inside.
    Raises ``WeightsError`` when the file is no checkpoint, and, unless ``strict=False``, when any tensor of the model
    or of the file has no counterpart of its shape; the model is then left as it was.
    """
    if family != "auto" and family not in FAMILIES:
        raise WeightsError(f"no weights family is called {family!r}; known: auto, {', '.join(FAMILIES)}")
    tensors = _read_tensors(Path(path))
    key_map = _recognise(tensors, path) if family == "auto" else FAMILIES[family]
    wanted = model.state_dict()
    fitting, report = _match(tensors, wanted, key_map, str(path))
    if strict and not report.complete:
        raise WeightsError(
            f"{path} does not fit this model ({len(report.loaded)} of {report.num_expected} tensors match): "
            f"{report.problems()}. Choose the config these weights were trained with; nothing was loaded"
        )
    model.load_state_dict({**wanted, **fitting})
    return report


def _match(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], key_map: KeyMap, path: str
) -> tuple[dict[str, Tensor], WeightsReport]:
    fitting: dict[str, Tensor] = {}
    loaded: list[str] = []
    unexpected: list[str] = []
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    seen: set[str] = set()
    for name, tensor in tensors.items():
        ours = key_map.to_ours(name)
        if ours is None or ours not in wanted:
            unexpected.append(name)
            continue
        seen.add(ours)
        if tensor.shape != wanted[ours].shape:
            mismatched.append((name, tuple(tensor.shape), tuple(wanted[ours].shape)))
        else:
            fitting[ours] = tensor
            loaded.append(name)
    missing = [key_map.to_theirs(ours) or ours for ours in wanted if ours not in seen]
    report = WeightsReport(path, key_map.family, tuple(loaded), tuple(missing), tuple(unexpected), tuple(mismatched))
    return fitting, report


def _recognise(tensors: Mapping[str, Tensor], path: str | Path) -> KeyMap:
    def known(key_map: KeyMap) -> int:
        return sum(key_map.to_ours(name) is not None for name in tensors)

    best = max(FAMILIES.values(), key=known)
    if not known(best):
        raise WeightsError(
            f"{path} holds {len(tensors)} tensors ({', '.join(list(tensors)[:3])}, ...), and none is named as in a "
            f"layout that can be read here ({', '.join(key_map.family for key_map in FAMILIES.values())})"
        )
    return best


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch checkpoint, mapped rather than read where the format allows it."""
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a readable torch checkpoint ({_reason(error)}); give a .pyth or .pth file of torch.save"
        ) from error
    state = content.get("model_state", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"{path} holds no state dict; expected a dictionary of tensors, or one under the key 'model_state'"
        )
    return state


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        # torch's own text goes on to advise the unsafe way of loading.
        return "it holds something other than tensors and plain values"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
