"""Write weights: a model as safetensors, and the file of any family in the layout of any other, bit for bit."""

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

from ava_detect.errors import WeightsError, shown, suggestion
from ava_detect.models.own_format import OUR_FORMAT, OUR_VERSION
from ava_detect.models.weights.checkpoint_settings import (
    CheckpointSettings,
    config_of_settings,
    pyslowfast_of_settings,
    settings_of_model,
)
from ava_detect.models.weights.key_map import FAMILIES, OUR_POSITIONS, map_for_writing
from ava_detect.models.weights.loading import family_of, our_names
from ava_detect.models.weights.positions import computed_positions, is_sine_table
from ava_detect.models.weights.reading import WeightsFile, read_weights_file
from ava_detect.models.weights.renaming import COUNTER, last_blocks
from ava_detect.storage.local_files import atomic_path
from ava_detect.storage.outputs import check_output

# Rows of detection heads: AVA's 80 actions, and mmaction2's 81. Other heads are assumed to be classifiers'.
_DETECTION_ROWS = (80, 81)
_HEAD_WEIGHT = "head.projection.weight"


@dataclass(frozen=True)
class ConversionReport:
    """The outcome of ``convert``; prints as text.

    Attributes:
        source: The file that was read.
        target: The file that was written.
        source_family: Family of the source.
        target_family: Family of the target.
        converted: Number of tensors that were written, with unchanged bits unless ``rounded``.
        added: Tensors that the target's family needs and the source's does not have: batch-norm counters of value 0,
            the computed table of positions of a vision transformer.
        dropped: Entries of the source that do not exist in the target's family.
        notes: Other remarks, one sentence each.
        rounded: Whether numbers were rounded to float16.
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
                examples = f"{shown(', '.join(names[:3]))}{', ...' if len(names) > 3 else ''}"
                rows.append(f"  {what:<8} {len(names)}: {examples}")
        rows += [f"  {'note':<8} {shown(note)}" for note in self.notes]
        return "\n".join(rows)


def save_weights(model: nn.Module, path: str | Path, *, config: Mapping[str, Any] | None = None) -> Path:
    """Write a model as safetensors with our names, atomically.

    Args:
        model: An ``ActionDetector`` or ``ActionClassifier``.
        path: File to write.
        config: The config that the model was built from, as plain data (``config.model_dump(mode="json")``); it is
            stored in the file's metadata. By default the model's own settings are stored.

    Returns:
        ``path``.
    """
    settings = settings_of_model(model)
    stored_config = config_of_settings(settings) if config is None else config
    _write_ours(Path(path), model.state_dict(), stored_config, {"colour_order": settings.colour_order})
    return Path(path)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    to: str,
    family: str = "auto",
    half: bool = False,
    overwrite: bool = True,
) -> ConversionReport:
    """Write the weights of a file in the layout of another family, without building a model.

    Tensors keep their bits and types. Settings in the source are written where the target's layout has a field for
    them: ``cfg`` of PySlowFast, metadata of our own format.

    Args:
        source: The file to read.
        target: The file to write, atomically.
        to: Family of the target, a key of ``FAMILIES``.
        family: Family of the source's names, a key of ``FAMILIES``, or ``"auto"`` to recognise it.
        half: Whether to round the numbers to float16, in half the space; loading converts them to float32 again.
        overwrite: Whether an existing ``target`` is replaced.

    Returns:
        A report of the tensors.

    Raises:
        ConfigError: ``target`` is the source, or exists and ``overwrite`` is False.
        WeightsError: The source cannot be read, a tensor is unknown to either family, or a number is beyond float16's
            range. Nothing is then written.
    """
    if to not in FAMILIES:
        raise WeightsError(
            f"no weights family is called {to!r}; known: {', '.join(FAMILIES)}{suggestion(to, FAMILIES)}"
        )
    check_output(target, {"source": source}, parameter="target", is_own=lambda path: False, overwrite=overwrite)
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
    """The tensors by our names; ``WeightsError`` for a name that the family does not know."""
    names = our_names(file, family)
    unknown = [name for name, ours in names.items() if ours is None]
    if unknown:
        examples = f"{shown(', '.join(unknown[:3]))}{', ...' if len(unknown) > 3 else ''}"
        raise WeightsError(
            f"{file.path} holds {len(unknown)} tensors that {FAMILIES[family].family}'s layout does not know "
            f"({examples}), so it cannot be converted"
        )
    state = {ours: file.tensors[name] for name, ours in names.items() if ours is not None}
    return {ours: _with_all_dimensions(ours, one) for ours, one in state.items()} if family == "caffe2" else state


def _with_all_dimensions(ours: str, tensor: Tensor) -> Tensor:
    """A convolution's weight as ``[O, I, t, h, w]``: caffe2 may leave out trailing dimensions of 1."""
    if tensor.dim() < 2 or ours.startswith("head."):
        return tensor
    return tensor.reshape(*tensor.shape, *(1,) * (5 - tensor.dim()))


def _task_of(file: WeightsFile, state: Mapping[str, Tensor], notes: list[str]) -> str:
    """Detection or classification, by the file's settings, the head's name or the number of its rows."""
    if file.settings.task is not None:
        return file.settings.task
    if any("detection_head" in name or "roi_head" in name for name in file.tensors):
        return "detection"
    if any(
        name.endswith(("blocks.5.proj.weight", "blocks.6.proj.weight")) or "cls_head" in name for name in file.tensors
    ):
        return "classification"
    head = state.get(_HEAD_WEIGHT)
    rows = 0 if head is None else head.shape[0]
    task = "detection" if rows in _DETECTION_ROWS else "classification"
    notes.append(f"the file does not give its task; {task} was assumed from the {rows} rows of its head")
    return task


def _rename(
    file: WeightsFile, state: dict[str, Tensor], to: str, *, detection: bool
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The tensors by the names of ``to``, the names that were added, and the entries that were left out."""
    norms = [name.removesuffix("running_var") for name in state if name.endswith("running_var")]
    new = {norm + COUNTER: torch.zeros((), dtype=torch.int64) for norm in norms if norm + COUNTER not in state}
    if to == "mmaction2":
        new |= computed_positions(state, file.config)
    key_map = map_for_writing(to, state.keys(), detection=detection)
    last = last_blocks(state)
    renamed: dict[str, Tensor] = {}
    added: list[str] = []
    dropped: list[str] = []
    for ours, tensor in {**state, **new}.items():
        theirs = key_map.to_theirs(ours, last)
        if theirs is not None:
            renamed[theirs] = tensor
            added += [theirs] if ours in new else []
        elif not ours.endswith(COUNTER) and not _is_computed(file, ours, tensor, to):
            raise WeightsError(f"{file.path}: {key_map.family}'s layout has no tensor {ours}; nothing was written")
        elif ours in state:
            dropped.append(ours)
    # mmaction2's lateral convolutions have no batch norm, which the other families' networks need.
    bare = [name for name in state if ".lateral" in name and name.endswith("conv.weight")]
    bare = [name for name in bare if name.replace("conv.weight", "bn.weight") not in state]
    if bare and to in ("pyslowfast", "caffe2", "pytorchvideo"):
        raise WeightsError(
            f"{file.path}: {bare[0].removesuffix('.conv.weight')} has no batch norm, as in mmaction2's network; "
            f"{key_map.family}'s has one, so it would load this file only partly; nothing was written"
        )
    return renamed, added, dropped


def _is_computed(file: WeightsFile, ours: str, tensor: Tensor, to: str) -> bool:
    """Whether a tensor can be left out of VideoMAE's layout, which computes the table of positions."""
    if ours != OUR_POSITIONS or to != "videomae":
        return False
    if not is_sine_table(tensor):
        raise WeightsError(
            f"{file.path}: its table of positions ({ours}) is not that of sines and cosines, which networks of the "
            f"{FAMILIES[to].family} layout compute, and that layout has no place for another; convert it to mmaction2 "
            "or ava_detect; nothing was written"
        )
    return True


def _half(file: WeightsFile, name: str, tensor: Tensor) -> Tensor:
    """A tensor of floats rounded to float16; ``WeightsError`` where a number is beyond its range."""
    if not tensor.is_floating_point():
        return tensor
    rounded = tensor.to(torch.float16)
    if not bool(rounded.isfinite().all()):
        raise WeightsError(f"{file.path}: {shown(name)} has numbers beyond float16's range; convert without half")
    return rounded


def _write(target: Path, tensors: dict[str, Tensor], to: str, file: WeightsFile, task: str) -> None:
    """Write the renamed tensors and the settings in the container of the family ``to``."""
    settings = file.settings if file.settings.task else CheckpointSettings(**{**file.settings.known(), "task": task})
    cfg_text = file.cfg_text if file.cfg_text is not None else pyslowfast_of_settings(settings)
    if to == "ava_detect":
        config = config_of_settings(settings) if file.config is None else file.config
        _write_ours(target, tensors, config, {"colour_order": settings.colour_order, "pyslowfast_cfg": file.cfg_text})
        return
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        # Through a stream, because torch writes a file's name into its content.
        if to == "caffe2":
            blobs = {name: _array(file, name, tensor) for name, tensor in tensors.items()}
            pickle.dump({"blobs": blobs}, stream, protocol=4)
        elif to == "pyslowfast":
            torch.save({"model_state": _owned(tensors), "cfg": cfg_text}, stream)
        elif to == "pytorchvideo":
            torch.save({"model_state": _owned(tensors)}, stream)
        elif to == "videomae":
            torch.save({"model": _owned(tensors)}, stream)
        else:
            torch.save({"state_dict": _owned(tensors), "meta": {}}, stream)


def _write_ours(
    target: Path, state: Mapping[str, Tensor], config: Mapping[str, Any], others: Mapping[str, str | None]
) -> None:
    """Write safetensors of our own format; ``others`` is further metadata, None for entries to leave out."""
    metadata = {"format": OUR_FORMAT, "version": str(OUR_VERSION), "config": json.dumps(config, sort_keys=True)}
    metadata |= {name: text for name, text in others.items() if text is not None}
    with atomic_path(target) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(_owned(state), temporary, metadata=metadata)
        # safetensors replaces the file by one that only the owner may read.
        temporary.chmod(mode)


def _owned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with its own memory: torch would write the whole storage of a view."""
    own: dict[str, Tensor] = {}
    for name, tensor in state.items():
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        own[name] = tensor if whole else tensor.detach().clone(memory_format=torch.contiguous_format)
    return own


def _array(file: WeightsFile, name: str, tensor: Tensor) -> Any:
    """A tensor as a numpy array; ``WeightsError`` for bfloat16, which numpy does not have."""
    if tensor.dtype == torch.bfloat16:
        raise WeightsError(
            f"{file.path}: {shown(name)} is bfloat16, which numpy and so caffe2's layout lack; convert it first"
        )
    return tensor.cpu().contiguous().numpy()
