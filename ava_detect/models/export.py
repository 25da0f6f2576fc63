"""Networks for other runtimes: ONNX of a whole detector, ``torch.export`` of its backbone. Both are checked on the way.

The ONNX graph takes ``clip`` ``[B, 3, T, H, W]`` (normalised RGB at the fast rate) and ``rois`` ``[M, 5]`` (clip index,
x1, y1, x2, y2 in pixels of the clip) and gives ``scores`` ``[M, num_classes]`` in 0..1; B, H, W and M are free, T is
the config's. RoIAlign is the standard operator (opset 16 and later know both pixel models). What a caller must know of
the clip stands in the file's metadata under ``ava_detect``, as JSON.

torch's TorchScript-based exporter writes it: the newer one wants the package onnxscript, and gives nothing more here.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

# Imported here and not while a graph is traced: torchvision registers operators when it is first imported.
from torchvision.ops import roi_align

from ava_detect.errors import AvaDetectError
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.roi import RoIPool
from ava_detect.storage.local_files import atomic_path

OPSET = 17
# Scores of the exported network may differ by so much; measured differences are near 1e-6.
TOLERANCE = 1e-4
METADATA_KEY = "ava_detect"
_TRACED = (2, 64, 80, 3)
# (clips, height, width, boxes) that differ from the traced ones in every way, odd sizes and no boxes among them.
_CHECKED = ((1, 96, 64, 1), (3, 67, 121, 5), (2, 80, 96, 0))


@dataclass(frozen=True)
class ExportReport:
    """What was written, and by how much a score (a feature, as a share of the largest) differed when it was run."""

    path: Path
    kind: str
    largest_difference: float
    num_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.kind}, {self.num_bytes / 2**20:.1f} MiB; run back at {len(_CHECKED)} other sizes, "
            f"largest difference {self.largest_difference:.1e}"
        )


def export_onnx(model: ActionDetector, path: str | Path) -> ExportReport:
    """Write the detector as ONNX, run it with onnxruntime at other sizes, and compare; nothing stays if it differs."""
    if model.roi_pool.with_global:
        raise AvaDetectError(
            "a network with the context feature (roi.with_global) cannot become ONNX: that has no adaptive pool for "
            "maps of any size; export its backbone (.pt2), or use a config without it"
        )
    scorer = _Scorer(model).eval()
    with atomic_path(path) as temporary:
        _write_onnx(_Scorer(_with_operator(model)).eval(), temporary)
        with temporary.open("ab") as file:
            file.write(_metadata(METADATA_KEY, json.dumps(_description(model))))
        difference = _onnx_difference(scorer, temporary)
        _require_equal(difference, path)
    return ExportReport(Path(path), f"ONNX opset {OPSET}", difference, Path(path).stat().st_size)


def export_backbone(model: ActionDetector, path: str | Path) -> ExportReport:
    """Write the backbone (clip -> features per pathway) with ``torch.export``, load it again, and compare."""
    backbone = model.backbone.eval()
    auto = torch.export.Dim.AUTO
    free = {0: auto, 3: auto, 4: auto}
    clip, _ = _example(model, *_TRACED)
    program = torch.export.export(backbone, (clip,), dynamic_shapes=(free,))
    with atomic_path(path) as temporary:
        torch.export.save(program, temporary)
        restored = torch.export.load(temporary).module()
        difference = 0.0
        for sizes in _CHECKED:
            clip, _ = _example(model, *sizes)
            with torch.inference_mode():
                for ours, theirs in zip(backbone(clip), restored(clip), strict=True):
                    difference = max(difference, _difference(theirs / ours.abs().max(), ours / ours.abs().max()))
        _require_equal(difference, path)
    return ExportReport(Path(path), "torch.export of the backbone", difference, Path(path).stat().st_size)


class _Scorer(nn.Module):
    """The detector with its sigmoid: what a caller outside wants."""

    def __init__(self, model: ActionDetector) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor, rois: Tensor) -> Tensor:
        logits: Tensor = self.model(clip, rois)
        return logits.sigmoid()


class _OperatorRoIPool(RoIPool):
    """RoIAlign as one operator, which other runtimes have a kernel for: torchvision's function, exported as ONNX's."""

    def align(self, features: Tensor, rois: Tensor) -> Tensor:
        over_time, scale = self.over_time(features), 1 / self.feature_stride
        aligned: Tensor = roi_align(over_time, rois, self.resolution, scale, sampling_ratio=0, aligned=self.aligned)
        return aligned


def _with_operator(model: ActionDetector) -> ActionDetector:
    """The same network, its weights shared, with ``_OperatorRoIPool``."""
    pool = model.roi_pool
    operator = _OperatorRoIPool(
        resolution=pool.resolution,
        feature_stride=pool.feature_stride,
        aligned=pool.aligned,
        temporal_pool=pool.temporal_pool,
    )
    return ActionDetector(model.backbone, operator, model.head, model.clip_settings)


def _write_onnx(scorer: _Scorer, path: Path) -> None:
    with warnings.catch_warnings():
        # Of the shape checks, which tracing turns into constants, and of the exporter's own future.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            scorer,
            _example(scorer.model, *_TRACED),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["clip", "rois"],
            output_names=["scores"],
            dynamic_axes={
                "clip": {0: "clips", 3: "height", 4: "width"},
                "rois": {0: "boxes"},
                "scores": {0: "boxes"},
            },
        )


def _description(model: ActionDetector) -> dict[str, object]:
    return {"clip": asdict(model.clip_settings), "alpha": model.backbone.alpha, "aligned": model.roi_pool.aligned}


def _onnx_difference(scorer: _Scorer, path: Path) -> float:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for sizes in _CHECKED:
        clip, rois = _example(scorer.model, *sizes)
        with torch.inference_mode():
            ours = scorer(clip, rois)
        (theirs,) = session.run(None, {"clip": clip.numpy(), "rois": rois.numpy()})
        largest = max(largest, _difference(ours, torch.from_numpy(np.asarray(theirs))))
    return largest


def _example(model: ActionDetector, clips: int, height: int, width: int, boxes: int) -> tuple[Tensor, Tensor]:
    """A clip of noise and boxes all over it, over its edges too; the same for the same sizes."""
    generator = torch.Generator().manual_seed(height * width)
    clip = torch.randn(clips, 3, model.clip_settings.num_frames, height, width, generator=generator)
    sides = torch.tensor([width, height], dtype=torch.float32)
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(dim=1).values * sides * 1.1
    index = torch.arange(boxes, dtype=torch.float32).remainder(clips)[:, None]
    return clip, torch.cat([index, corners.flatten(1)], dim=1)


def _difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return (a - b).abs().max().item() if a.numel() else 0.0


def _require_equal(difference: float, path: str | Path) -> None:
    if not difference <= TOLERANCE:
        raise AvaDetectError(
            f"{path} was not written: run back, the exported network differs by {difference:.1e} from the one it was "
            f"made of, more than {TOLERANCE:.0e}; is the installed onnxruntime or torch a broken version?"
        )


def _metadata(key: str, value: str) -> bytes:
    """A ``metadata_props`` entry of an ONNX file (field 14 of ModelProto); serialised messages merge by appending."""
    entry = _field(1, key.encode()) + _field(2, value.encode())
    return _field(14, entry)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, varint = len(content), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + content
