"""Open a weights file, and read the tensors and settings inside."""

from __future__ import annotations

import math
import mmap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ava_detect.errors import WeightsError, shown
from ava_detect.models.file_kind import container_of
from ava_detect.models.own_format import OUR_FORMAT, OUR_VERSION, config_in
from ava_detect.models.weights.checkpoint_settings import CheckpointSettings, settings_of_config, settings_of_pyslowfast
from ava_detect.models.weights.torch_files import TorchFile, open_torch
from ava_detect.models.weights.torch_pickle import StoredTensor
from ava_detect.storage.inert_pickle import InertObject
from ava_detect.storage.numpy_pickle import NumpyPickle
from ava_detect.storage.pickles import PickleRefusedError

# Keys under which trainers store the weights: PySlowFast and pytorchvideo, mmaction2 and Lightning, others, UMT and
# VideoMAE, DeepSpeed.
_STATE_KEYS = ("model_state", "state_dict", "model_state_dict", "model", "module")
_MAX_CLASSES = 3  # in a note
_LARGEST_WEIGHT = 1e18
_IGNORED_BLOBS = ("momentum", "lr", "model_iter")


@dataclass(frozen=True)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        path: The file.
        container: ``torch``, ``torch (old format)``, ``safetensors`` or ``caffe2``.
        tensors: Name in the file -> tensor; views of the file where the container allows it.
        settings: The settings in the file.
        ignored: Names of entries that are not weights.
        config: The config in a file of our own format, as plain data.
        cfg_text: PySlowFast's ``cfg`` text.
        notes: Remarks on the reading, one sentence each.
        num_checksums: Number of parts whose checksums agree; 0 where the container has none.
    """

    path: Path
    container: str
    tensors: Mapping[str, Tensor]
    settings: CheckpointSettings = field(default_factory=CheckpointSettings)
    ignored: tuple[str, ...] = ()
    config: Mapping[str, Any] | None = None
    cfg_text: str | None = None
    notes: list[str] = field(default_factory=list)
    num_checksums: int = 0


def read_weights_file(path: str | Path) -> WeightsFile:
    """Read a weights file of any container, without running code from it.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        WeightsError: The file cannot be read; the message gives the reason in one sentence.
    """
    path = Path(path)
    container = container_of(path)
    if container == "safetensors":
        return _from_safetensors(path)
    if container == "caffe2":
        return _from_caffe2(path)
    return _from_torch(path, is_zip=container == "torch")


def impossible_numbers(tensor: Tensor) -> str:
    """Describe numbers that no trained network has: the file is damaged, or its training had diverged.

    Args:
        tensor: A tensor of a file.

    Returns:
        What it holds, ``NaN or infinite values`` or ``values up to 3.4e+38``; empty where it holds neither.
    """
    if not tensor.is_floating_point() or not tensor.numel():
        return ""
    # 8-bit floats have no minimum of their own.
    low, high = torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float())
    largest = max(-low.item(), high.item())
    if largest <= _LARGEST_WEIGHT:
        return ""
    return f"values up to {largest:.2g}" if math.isfinite(largest) else "NaN or infinite values"


def _from_torch(path: Path, *, is_zip: bool) -> WeightsFile:
    """Read a file of ``torch.save``: the state dict, alone or inside what a trainer saved."""
    file = open_torch(path, is_zip=is_zip)
    key = _state_key(file.content)
    state = _state_of(file.content if key is None else file.content[key], path)
    notes = []
    if key is not None and len(file.content) > 1:
        notes.append(_others(file, key))
    tensors, stripped = _without_wrapper(file.tensors(state))
    odd = [name for name, tensor in tensors.items() if tensor.is_complex()]
    if odd:
        raise WeightsError(_odd(path, odd[0]))
    cfg_text = None if key is None else file.content.get("cfg")
    settings = settings_of_pyslowfast(cfg_text) if isinstance(cfg_text, str) else None
    if cfg_text is not None and settings is None:
        notes.append("its 'cfg' is not readable YAML, so its settings could not be compared with the model's")
    return WeightsFile(
        path,
        "torch" if is_zip else "torch (old format)",
        tensors,
        settings or CheckpointSettings(),
        cfg_text=cfg_text if isinstance(cfg_text, str) else None,
        notes=[*notes, *stripped],
        num_checksums=file.num_checksums,
    )


def _state_key(content: Any) -> str | None:
    """The key under which a trainer stored the state dict; None where the content itself has to be it."""
    if not isinstance(content, dict):
        return None
    present = [key for key in _STATE_KEYS if key in content]
    # A settings dictionary may have the name ``model`` too.
    filled = [key for key in present if _holds_tensors(content[key])]
    return next(iter([*filled, *present]), None) if filled or not _holds_tensors(content) else None


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(one, StoredTensor) for one in value.values())


def _state_of(state: Any, path: Path) -> dict[str, StoredTensor]:
    """The state dict, once it holds nothing but tensors."""
    if isinstance(state, InertObject):
        raise WeightsError(_foreign(path, state))
    if not isinstance(state, dict) or not state:
        raise WeightsError(_no_state(path))
    for name, value in state.items():
        if isinstance(value, InertObject):
            if value.origin.module.startswith("torch.") and value.origin.name.startswith("_rebuild_"):
                raise WeightsError(_odd(path, name))
            raise WeightsError(_foreign(path, value))
        if not isinstance(value, StoredTensor):
            raise WeightsError(_no_state(path))
        if not isinstance(name, str):
            raise WeightsError(_odd(path, name))
    return state


def _others(file: TorchFile, key: str) -> str:
    """The note on what is in a file beside its state dict."""
    names = ", ".join(name if isinstance(name, str) else type(name).__name__ for name in file.content if name != key)
    note = f"it also holds {shown(names)}, which is not needed"
    if not file.skipped:
        return note
    examples = f"{shown(', '.join(file.skipped[:_MAX_CLASSES]))}{', ...' if len(file.skipped) > _MAX_CLASSES else ''}"
    return f"{note}; objects in it were skipped without running them ({examples})"


def _no_state(path: Path) -> str:
    return f"{path} holds no state dict; expected a dictionary of tensors, or one under the key " + " or ".join(
        map(repr, _STATE_KEYS)
    )


def _foreign(path: Path, value: InertObject) -> str:
    return (
        f"{path} is not a readable torch checkpoint (it holds something other than tensors and plain values in place "
        f"of weights: {shown(value)}); save its state dict alone and give that file"
    )


def _odd(path: Path, name: Any) -> str:
    called = shown(repr(name)) if isinstance(name, str) else f"a tensor whose name is a {type(name).__name__}"
    return f"{path}: {called} is not a plain tensor of numbers (it is sparse, quantised or complex)"


def _without_wrapper(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Remove the prefix ``module.``, which torch's parallel wrappers add to every name; return the notes on it."""
    if not all(name.startswith("module.") for name in state):
        return state, []
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}, [
        "the prefix 'module.' was removed"
    ]


def _from_caffe2(path: Path) -> WeightsFile:
    """Read a caffe2 pickle: numpy arrays by name, alone or under ``blobs``."""
    with path.open("rb") as file:
        # Copy-on-write, because torch wants writable memory; nothing is written.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    try:
        content = NumpyPickle(data).load()
    except PickleRefusedError as error:
        raise WeightsError(
            f"{path} is a pickle that cannot be read as caffe2 weights ({shown(error)}); nothing in it was run"
        ) from error
    blobs = content.get("blobs", content) if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        raise WeightsError(f"{path} is a pickle without caffe2 'blobs' (it holds a {type(content).__name__})")
    ignored = [str(name) for name in blobs if _is_training_state(str(name))]
    weights = {str(name): blob for name, blob in blobs.items() if not _is_training_state(str(name))}
    for name, blob in weights.items():
        if not isinstance(blob, np.ndarray):
            raise WeightsError(f"{path}: the caffe2 blob {name!r} is not an array of numbers")
    if not weights:
        raise WeightsError(f"{path} is a pickle without caffe2 weights")
    if sum(blob.nbytes for blob in weights.values()) > len(data):
        raise WeightsError(f"{path} declares more bytes of arrays than its {len(data)}; download it again")
    return WeightsFile(path, "caffe2", {n: _tensor(blob) for n, blob in weights.items()}, ignored=tuple(ignored))


def _is_training_state(blob: str) -> bool:
    """Whether a blob is the optimiser's (momentum, learning rate, iteration)."""
    return blob in _IGNORED_BLOBS or blob.endswith("_momentum")


def _tensor(blob: np.ndarray[Any, Any]) -> Tensor:
    """A blob as a tensor; a view where its byte order is the machine's."""
    native = blob if blob.dtype.isnative else blob.astype(blob.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        # A blob that is not a view of the file is read-only; the tensor is not written either, so the warning is moot.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(native)


def _from_safetensors(path: Path) -> WeightsFile:
    """Read a safetensors file, of our own format (with settings in its metadata) or another's."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dictionary
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({shown(error)}); download it again") from error
    if not tensors:
        raise WeightsError(f"{path} is a safetensors file without tensors")
    if metadata.get("format") != OUR_FORMAT:
        tensors, notes = _without_wrapper(tensors)
        return WeightsFile(path, "safetensors", tensors, notes=notes)
    version = metadata.get("version", "")
    if version != str(OUR_VERSION):
        raise WeightsError(f"{path} has version {version!r} of our format, and this release reads {OUR_VERSION}")
    config = config_in(metadata, path)
    cfg_text = metadata.get("pyslowfast_cfg")
    settings = replace(settings_of_config(config), colour_order=metadata.get("colour_order"))
    return WeightsFile(path, "safetensors", tensors, settings, config=config, cfg_text=cfg_text)
