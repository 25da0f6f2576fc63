"""Weights files of every family, good and bad, made from a small model."""

from __future__ import annotations

import argparse
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ava_detect.config import Config
from ava_detect.config.build import tensor_shapes
from ava_detect.models.weights.checkpoint_settings import (
    CheckpointSettings,
    pyslowfast_of_settings,
    settings_of_config,
    settings_of_pyslowfast,
)
from ava_detect.models.weights.key_map import map_for_writing
from ava_detect.models.weights.reading import WeightsFile
from ava_detect.models.weights.renaming import last_blocks

# One of the tensors, by PySlowFast's name for it.
A_KEY = "s3.pathway1_res0.branch2.b.weight"
CFG = """
DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 4, TEST_CROP_SIZE: 32, MEAN: [0.45, 0.45, 0.45], STD: [0.225, 0.225, 0.225]}
SLOWFAST: {ALPHA: 4, FUSION_KERNEL_SZ: 7}
DETECTION: {ENABLE: true, ALIGNED: true}
AVA: {BGR: false}
"""


def renamed(model: nn.Module, family: str, *, detection: bool = True) -> dict[str, Tensor]:
    """The model's tensors by the names of a family."""
    state = model.state_dict()
    key_map = map_for_writing(family, state.keys(), detection=detection)
    last = last_blocks(state)
    pairs = ((key_map.to_theirs(name, last), tensor.clone()) for name, tensor in state.items())
    return {name: tensor for name, tensor in pairs if name is not None}


def write_family(model: nn.Module, family: str, path: Path) -> Path:
    """A file as the family's own trainers write it."""
    state = renamed(model, family)
    if family == "caffe2":
        blobs = {name: tensor.numpy() for name, tensor in state.items()}
        write_caffe2(path, {**blobs, "conv1_w_momentum": blobs["conv1_w"], "lr": np.float32(0.1), "model_iter": 7})
    elif family == "mmaction2":
        torch.save({"meta": {"epoch": 10}, "state_dict": state}, path)
    elif family == "pyslowfast":
        torch.save({"epoch": 1, "model_state": state, "optimizer_state": {"state": {0: {}}}, "cfg": CFG}, path)
    elif family == "videomae":
        torch.save(
            {"model": state, "epoch": 1, "scaler": {"scale": 65536.0}, "args": argparse.Namespace(lr=1e-3)}, path
        )
    else:
        torch.save({"model_state": state}, path)
    return path


def write_caffe2(path: Path, blobs: dict[str, Any], **options: Any) -> Path:
    with path.open("wb") as file:
        pickle.dump({"blobs": blobs}, file, **options)
    return path


def python2_pickle(blobs: dict[str, np.ndarray]) -> bytes:
    """The bytes that Python 2 wrote (protocol 2): every string and every array's contents as BINSTRING."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(value)) + value

    def array(value: np.ndarray) -> bytes:
        shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in value.shape) + b"t"
        dtype = b"cnumpy\ndtype\n" + text(value.dtype.str[1:].encode()) + b"K\x00K\x01\x87R"
        dtype += b"(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        return made + b"(K\x01" + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    body = b"".join(text(name.encode()) + array(value) + b"s" for name, value in blobs.items())
    return b"\x80\x02}" + text(b"blobs") + b"}" + body + b"s."


def same_state(a: nn.Module, b: nn.Module, *, but: str = "\0") -> bool:
    """Whether two models hold the same bits, apart from tensors whose names contain ``but``."""
    other = b.state_dict()
    return all(torch.equal(tensor, other[name]) for name, tensor in a.state_dict().items() if but not in name)


def hollow_file(
    config: Config, family: str, path: Path, *, cfg: str = "", num_classes: int | None = None
) -> WeightsFile:
    """What is read from a checkpoint with the names and shapes of a config's network, without its numbers."""
    shapes = tensor_shapes(config)
    if num_classes is not None:
        shapes = {n: (num_classes, *shape[1:]) if n.startswith("head.") else shape for n, shape in shapes.items()}
    key_map = map_for_writing(family, shapes.keys(), detection=config.model.task == "detection")
    last = last_blocks(shapes)
    names = {ours: key_map.to_theirs(ours, last) for ours in shapes}
    tensors = {name: torch.empty(shapes[ours], device="meta") for ours, name in names.items() if name is not None}
    return WeightsFile(path, "torch", tensors, settings_of_pyslowfast(cfg) or CheckpointSettings())


def pyslowfast_cfg(config: Config, **changes: Any) -> str:
    """The ``cfg`` text that PySlowFast writes for a config, with other settings by the names of ours."""
    settings = replace(settings_of_config(config.model_dump(mode="json")), **changes)
    return pyslowfast_of_settings(settings)
