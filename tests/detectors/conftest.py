"""Real frames with hand-drawn people, and tiny ONNX graphs that answer with given numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ava_detect.structures import boxes


@dataclass(frozen=True)
class LabeledFrame:
    """A decoded frame and the people that were drawn on it by hand, in pixels of that frame."""

    name: str
    image: np.ndarray
    boxes_xyxy: np.ndarray
    complete: bool


@pytest.fixture(scope="session")
def labeled_frames(shared: Path) -> list[LabeledFrame]:
    cases = json.loads((shared / "cases" / "persons" / "labels.json").read_text())
    return [
        LabeledFrame(
            f"{case['video']}:{case['frame_index']}",
            _decoded(shared / "videos" / case["video"], case["frame_index"]),
            np.array(case["boxes_xyxy"], np.float32).reshape(-1, 4),
            case["complete"],
        )
        for case in cases
    ]


def _decoded(path: Path, frame_index: int) -> np.ndarray:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == frame_index:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"{path} has no frame {frame_index}")


def count_hits(people: Sequence[Any], frames: Sequence[LabeledFrame]) -> tuple[int, int]:
    """The number of drawn people found at IoU 0.5, and of boxes on completely drawn frames that match no person."""
    found = false = 0
    for boxes_found, frame in zip(people, frames, strict=True):
        free = list(range(len(frame.boxes_xyxy)))
        for overlaps in boxes.iou(boxes_found.boxes_xyxy, frame.boxes_xyxy):
            best = max(free, key=lambda index: overlaps[index], default=None)
            if best is not None and overlaps[best] >= 0.5:
                free.remove(best)
                found += 1
            else:
                false += frame.complete
    return found, false


@pytest.fixture
def hits() -> Callable[[Sequence[Any], Sequence[LabeledFrame]], tuple[int, int]]:
    return count_hits


MakeOnnx = Callable[..., Path]


@pytest.fixture
def make_onnx(tmp_path: Path) -> MakeOnnx:
    """A model that takes ``[n, 3, height, width]`` and gives the same constants for every image.

    Each output is ``constant + 0 * mean(image)`` so that its first axis follows the batch. The file tells the shapes of
    the outputs only if they are ``fixed``.
    """

    def make(
        outputs: Mapping[str, np.ndarray],
        *,
        shape: Sequence[int | str] = ("n", 3, 8, 16),
        metadata: Mapping[str, str] | None = None,
        element: int = TensorProto.FLOAT,
        name: str = "model.onnx",
        fixed: bool = False,
    ) -> Path:
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
            axes = ["n", *answer.shape[1:]] if fixed else [None] * answer.ndim
            values.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, axes))
        picture = helper.make_tensor_value_info("images", element, list(shape))
        graph = helper.make_graph(nodes, "answers", [picture], values, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, dict(metadata or {}))
        path = tmp_path / name
        onnx.save(model, str(path))
        return path

    return make
