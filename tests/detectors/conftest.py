"""Real frames with hand-drawn people, and tiny ONNX graphs that answer with given numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from onnx_files import write_constant_onnx

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
    """``write_constant_onnx`` into a file of this test, by default ``model.onnx``."""

    def make(outputs: Mapping[str, np.ndarray], *, name: str = "model.onnx", **options: Any) -> Path:
        return write_constant_onnx(tmp_path / name, outputs, **options)

    return make
