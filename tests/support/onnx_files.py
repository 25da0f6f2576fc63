"""ONNX files of detectors whose answer is always the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_constant_onnx(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    shape: Sequence[int | str] = ("n", 3, 8, 16),
    metadata: Mapping[str, str] | None = None,
    element: int = TensorProto.FLOAT,
    fixed: bool = False,
) -> Path:
    """A model that takes ``[n, 3, height, width]`` and gives the same constants for every image.

    Each output is ``constant + 0 * mean(image)`` so that its first axis follows the batch. The file tells the shapes of
    the outputs only if they are ``fixed``.
    """
    nodes = [helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)]
    constants = [numpy_helper.from_array(np.zeros(1, np.float32), "zero")]
    values = []
    for output, answer in outputs.items():
        axes = tuple(range(1, 4))
        nodes += [
            helper.make_node("ReduceMean", ["floats"], [f"{output}_mean"], axes=axes, keepdims=1),
            helper.make_node("Mul", [f"{output}_mean", "zero"], [f"{output}_nothing"]),
            helper.make_node("Reshape", [f"{output}_nothing", f"{output}_shape"], [f"{output}_zero"]),
            helper.make_node("Add", [f"{output}_zero", f"{output}_answer"], [output]),
        ]
        constants += [
            numpy_helper.from_array(answer.astype(np.float32), f"{output}_answer"),
            numpy_helper.from_array(np.array([-1] + [1] * (answer.ndim - 1), np.int64), f"{output}_shape"),
        ]
        shown = ["n", *answer.shape[1:]] if fixed else [None] * answer.ndim
        values.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shown))
    picture = helper.make_tensor_value_info("images", element, list(shape))
    graph = helper.make_graph(nodes, "answers", [picture], values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path
