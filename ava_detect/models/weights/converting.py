"""Weights out: a model into our safetensors, and any family's file into any other's layout, bit for bit."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ava_detect.errors import WeightsError, suggestion
from ava_detect.models.own_format import OUR_FORMAT, OUR_VERSION
from ava_detect.models.weights.checkpoint_settings import (
    CheckpointSettings,
    config_of_knobs,
    knobs_of_model,
    pyslowfast_of_knobs,
)
from ava_detect.models.weights.key_map import FAMILIES, map_for_writing
from ava_detect.models.weights.loading import family_of, our_names
from ava_detect.models.weights.reading import WeightsFile, read_weights_file
from ava_detect.models.weights.renaming import COUNTER, last_blocks
from ava_detect.storage.local_files import atomic_path

# AVA's 80 actions, and mmaction2's 81 columns for them; other heads are taken for classifiers'.
_DETECTION_ROWS = (80, 81)
_HEAD_WEIGHT = "head.projection.weight"


@dataclass(frozen=True)
class ConversionReport:
    """What ``convert`` did; prints as text.

    ``converted``: tensors written, with the bits they had unless ``rounded`` to float16. ``added``: batch-norm
    counters, 0, that the source's family has not and the target's needs. ``dropped``: entries of the source that the
    target's family has no place for.
    """

    source: str
    target: str
    source_family: str
    target_family: str
    converted: int
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rounded: bool = False

    def __str__(self) -> str:
        rows = [
            f"{self.source} ({self.source_family}) -> {self.target} ({self.target_family}): "
            f"{self.converted} tensors{'' if self.rounded else ', bit for bit'}"
        ]
        for what, names in (("added", self.added), ("dropped", self.dropped)):
            if names:
                shown = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
                rows.append(f"  {what:<8} {len(names)}: {shown}")
        rows += [f"  {'note':<8} {note}" for note in self.notes]
        return "\n".join(rows)


def save_weights(model: nn.Module, path: str | Path, *, config: Mapping[str, Any] | None = None) -> Path:
    """Write ``model`` as safetensors with our names, in one atomic step.

    ``config``: the config it was built from, as plain data that JSON can hold (``config.model_dump(mode="json")``); it
    travels in the file. Without one, the settings that can be read off the model do.
    """
    knobs = knobs_of_model(model)
    settings = config_of_knobs(knobs) if config is None else config
    _write_ours(Path(path), model.state_dict(), settings, {"colour_order": knobs.colour_order})
    return Path(path)


def convert(
    source: str | Path, target: str | Path, *, to: str, family: str = "auto", half: bool = False
) -> ConversionReport:
    """Write the weights of the file ``source`` in the layout ``to``, a key of ``FAMILIES``, without building a model.

    Tensors keep their bits and dtypes; with ``half`` they are rounded to float16, in half the space, and loading makes
    them float32 again. Settings inside travel where the target has a place for them: ``cfg`` of
    PySlowFast, metadata of ours. ``family``: the layout of the source's names. Raises ``WeightsError`` when a tensor is
    unknown to either family, or has numbers beyond float16's; nothing is then written.
    """
    if to not in FAMILIES:
        raise WeightsError(
            f"no weights family is called {to!r}; known: {', '.join(FAMILIES)}{suggestion(to, FAMILIES)}"
        )
    file = read_weights_file(source)
    family = family_of(file, family)
    state = _our_state(file, family)
    notes: list[str] = []
    task = _task_of(file, state, notes)
    renamed, added, dropped = _rename(file, state, to, detection=task == "detection")
    if half:
        renamed = {name: _half(file, name, tensor) for name, tensor in renamed.items()}
        notes.append("numbers rounded to float16")
    _write(Path(target), renamed, to, file, task)
    return ConversionReport(
        source=str(source),
        target=str(target),
        source_family=FAMILIES[family].family,
        target_family=FAMILIES[to].family,
        converted=len(renamed) - len(added),
        added=tuple(added),
        dropped=(*file.ignored, *dropped),
        notes=tuple(notes),
        rounded=half,
    )


def _our_state(file: WeightsFile, family: str) -> dict[str, Tensor]:
    names = our_names(file, family)
    unknown = [name for name, ours in names.items() if ours is None]
    if unknown:
        raise WeightsError(
            f"{file.path} holds {len(unknown)} tensors that {FAMILIES[family].family}'s layout does not know "
            f"({', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''}), so it cannot be converted whole"
        )
    return {ours: _ranked(ours, file.tensors[name]) for name, ours in names.items() if ours is not None}


def _ranked(ours: str, tensor: Tensor) -> Tensor:
    """A convolution's weights with the trailing dimensions of 1 that caffe2 may leave out."""
    if tensor.dim() < 2 or ours.startswith("head."):
        return tensor
    return tensor.reshape(*tensor.shape, *(1,) * (5 - tensor.dim()))


def _task_of(file: WeightsFile, state: Mapping[str, Tensor], notes: list[str]) -> str:
    """Detection or classification, which some families spell differently."""
    if file.knobs.task is not None:
        return file.knobs.task
    if any("detection_head" in name or "roi_head" in name for name in file.tensors):
        return "detection"
    if any(
        name.endswith(("blocks.5.proj.weight", "blocks.6.proj.weight")) or "cls_head" in name for name in file.tensors
    ):
        return "classification"
    head = state.get(_HEAD_WEIGHT)
    rows = 0 if head is None else head.shape[0]
    task = "detection" if rows in _DETECTION_ROWS else "classification"
    notes.append(f"the file does not say its task; taken for {task} by the {rows} rows of its head")
    return task


def _rename(
    file: WeightsFile, state: dict[str, Tensor], to: str, *, detection: bool
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The tensors by the names of ``to``, the names that had to be added, and the entries that were left out."""
    norms = [name.removesuffix("running_var") for name in state if name.endswith("running_var")]
    counters = {norm + COUNTER: torch.zeros((), dtype=torch.int64) for norm in norms if norm + COUNTER not in state}
    key_map = map_for_writing(to, state.keys(), detection=detection)
    last = last_blocks(state)
    renamed: dict[str, Tensor] = {}
    added: list[str] = []
    dropped: list[str] = []
    for ours, tensor in {**state, **counters}.items():
        theirs = key_map.to_theirs(ours, last)
        if theirs is not None:
            renamed[theirs] = tensor
            added += [theirs] if ours in counters else []
        elif not ours.endswith(COUNTER):
            raise WeightsError(f"{file.path}: {key_map.family}'s layout has no place for {ours}; nothing was written")
        elif ours in state:
            dropped.append(ours)
    bare = [name for name in state if ".lateral" in name and name.endswith("conv.weight")]
    bare = [name for name in bare if name.replace("conv.weight", "bn.weight") not in state]
    if bare and to in ("pyslowfast", "caffe2", "pytorchvideo"):
        raise WeightsError(
            f"{file.path}: {bare[0].removesuffix('.conv.weight')} has no batch norm, as in mmaction2's network; "
            f"{key_map.family}'s has one, so it would load this file only in part; nothing was written"
        )
    return renamed, added, dropped


def _half(file: WeightsFile, name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    rounded = tensor.to(torch.float16)
    if not bool(rounded.isfinite().all()):
        raise WeightsError(f"{file.path}: {name} has numbers beyond float16's range; keep its own precision")
    return rounded


def _write(target: Path, tensors: dict[str, Tensor], to: str, file: WeightsFile, task: str) -> None:
    knobs = file.knobs if file.knobs.task else CheckpointSettings(**{**file.knobs.known(), "task": task})
    cfg_text = file.cfg_text if file.cfg_text is not None else pyslowfast_of_knobs(knobs)
    if to == "ava_detect":
        config = config_of_knobs(knobs) if file.config is None else file.config
        _write_ours(target, tensors, config, {"colour_order": knobs.colour_order, "pyslowfast_cfg": file.cfg_text})
        return
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        # Through a stream, because torch writes a file's name into its bytes.
        if to == "caffe2":
            blobs = {name: _array(file, name, tensor) for name, tensor in tensors.items()}
            pickle.dump({"blobs": blobs}, stream, protocol=4)
        elif to == "pyslowfast":
            torch.save({"model_state": _owned(tensors), "cfg": cfg_text}, stream)
        elif to == "pytorchvideo":
            torch.save({"model_state": _owned(tensors)}, stream)
        else:
            torch.save({"state_dict": _owned(tensors), "meta": {}}, stream)


def _write_ours(
    target: Path, state: Mapping[str, Tensor], config: Mapping[str, Any], others: Mapping[str, str | None]
) -> None:
    metadata = {"format": OUR_FORMAT, "version": str(OUR_VERSION), "config": json.dumps(config, sort_keys=True)}
    metadata |= {name: text for name, text in others.items() if text is not None}
    with atomic_path(target) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(_owned(state), temporary, metadata=metadata)
        # Its file is another one, which only the owner may read.
        temporary.chmod(mode)


def _owned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with memory of its own: a view would be written with all that it is a view of."""
    own: dict[str, Tensor] = {}
    for name, tensor in state.items():
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        own[name] = tensor if whole else tensor.detach().clone(memory_format=torch.contiguous_format)
    return own


def _array(file: WeightsFile, name: str, tensor: Tensor) -> Any:
    if tensor.dtype == torch.bfloat16:
        raise WeightsError(
            f"{file.path}: {name} is bfloat16, which numpy and so caffe2's layout lack; convert it first"
        )
    return tensor.cpu().contiguous().numpy()
