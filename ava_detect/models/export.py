"""Export networks for other runtimes: ONNX of a whole detector, ``torch.export`` of its backbone.

The exported file is loaded and run, and its output compared with the network's, before it is stored.

The ONNX graph takes ``clip`` ``[B, 3, T, H, W]`` (normalised RGB at the fast rate) and ``rois`` ``[M, 5]`` (clip index,
x1, y1, x2, y2 in pixels of the clip) and returns ``scores`` ``[M, num_classes]`` in 0..1; B, H, W and M are free, T is
the config's. RoIAlign is the standard operator (opset 16 and later support both pixel models). The clip settings are in
the file's metadata under the key ``ava_detect``, as JSON, with the rules before and after the network: ``box_rule``
(``video.transforms.roi_boxes``) and ``score`` (whether a detection's score is multiplied by the person's).

torch's TorchScript-based exporter writes it: the newer one requires the package onnxscript, without an advantage here.
"""

from __future__ import annotations

import json
import os
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
from ava_detect.models.heads import detection_scores
from ava_detect.models.roi import RoIPool
from ava_detect.models.weights.checkpoint_settings import settings_of_model
from ava_detect.storage.local_files import atomic_path
from ava_detect.storage.outputs import begins_with, check_output

OPSET = 17
# Greatest allowed difference of a score; measured differences are near 1e-6.
TOLERANCE = 1e-4
METADATA_KEY = "ava_detect"
# Sizes (clips, height, width, boxes) of the input that is traced.
_TRACED = (2, 64, 80, 3)
# Sizes at which the exported network is compared: all differ from the traced ones; odd sizes and no boxes are included.
_CHECKED = ((1, 96, 64, 1), (3, 67, 121, 5), (2, 80, 96, 0))


@dataclass(frozen=True)
class ExportReport:
    """The outcome of one export; prints as text.

    Attributes:
        path: The file.
        kind: Its format.
        largest_difference: Largest difference from the network's output: of a score, or of a feature relative to the
            largest feature.
        num_bytes: Size of the file.
    """

    path: Path
    kind: str
    largest_difference: float
    num_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.kind}, {self.num_bytes / 2**20:.1f} MiB; run back at {len(_CHECKED)} other sizes, "
            f"largest difference {self.largest_difference:.1e}"
        )


def export_onnx(model: ActionDetector, path: str | Path, *, overwrite: bool = True) -> ExportReport:
    """Write the detector as ONNX, run it with onnxruntime at other sizes, and compare.

    Args:
        model: The detector, on the CPU.
        path: File to write; it is written atomically, and not at all where the outputs differ.
        overwrite: Whether an existing file that is no such export is replaced.

    Returns:
        A report of the file and the largest difference.

    Raises:
        ConfigError: ``path`` exists and is no such export.
        AvaDetectError: The outputs differ by more than ``TOLERANCE``.
    """
    check_output(path, {}, is_own=_has_our_metadata, overwrite=overwrite)
    scorer = _Scorer(model).eval()
    with atomic_path(path) as temporary:
        _write_onnx(_Scorer(_with_operator(model)).eval(), temporary)
        with temporary.open("ab") as file:
            file.write(_metadata(METADATA_KEY, json.dumps(_description(model))))
        difference = _onnx_difference(scorer, temporary)
        _require_equal(difference, path)
        num_bytes = temporary.stat().st_size
    return ExportReport(Path(path), f"ONNX opset {OPSET}", difference, num_bytes)


def export_backbone(model: ActionDetector, path: str | Path, *, overwrite: bool = True) -> ExportReport:
    """Write the backbone (clip -> features per pathway) with ``torch.export``, load it again, and compare.

    Args:
        model: The detector, on the CPU.
        path: File to write; it is written atomically, and not at all where the outputs differ.
        overwrite: Whether an existing file that is no such export is replaced.

    Returns:
        A report of the file and the largest difference.

    Raises:
        ConfigError: ``path`` exists and is no such export.
        AvaDetectError: The outputs differ by more than ``TOLERANCE`` of the largest feature.
    """
    check_output(path, {}, is_own=begins_with(b"PK"), overwrite=overwrite)
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
        num_bytes = temporary.stat().st_size
    return ExportReport(Path(path), "torch.export of the backbone", difference, num_bytes)


def _has_our_metadata(path: Path) -> bool:
    """Tell whether a file is an export of ours: its metadata is appended to the network."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16)))
        return size == 0 or METADATA_KEY.encode() in file.read()


class _Scorer(nn.Module):
    """The detector followed by its sigmoid or softmax, so that the exported network returns scores."""

    def __init__(self, model: ActionDetector) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor, rois: Tensor) -> Tensor:
        """Scores ``[M, num_classes]`` in 0..1."""
        logits: Tensor = self.model(clip, rois)
        rule = self.model.head.score
        # The score of the person is the caller's to multiply with.
        return detection_scores(logits, logits[:, 0], "action" if rule == "action_x_person" else rule)


class _OperatorRoIPool(RoIPool):
    """RoIAlign as one operator: torchvision's function, which the exporter writes as ONNX's ``RoiAlign``."""

    def align(self, features: Tensor, rois: Tensor) -> Tensor:
        """Compute the bins as ``RoIPool.align`` does.

        Args:
            features: ``[B, C, T, H, W]``.
            rois: Boxes ``[M, 5]``: clip index, then xyxy in pixels of the clip.

        Returns:
            Bins ``[M, C, R, R]``, float32.
        """
        over_time, scale = self.over_time(features), 1 / self.feature_stride
        aligned: Tensor = roi_align(over_time, rois, self.resolution, scale, sampling_ratio=0, aligned=self.aligned)
        return aligned


def _with_operator(model: ActionDetector) -> ActionDetector:
    """The same network with ``_OperatorRoIPool``; the weights are shared."""
    pool = model.roi_pool
    operator = _OperatorRoIPool(
        resolution=pool.resolution,
        feature_stride=pool.feature_stride,
        aligned=pool.aligned,
        temporal_pool=pool.temporal_pool,
        with_global=pool.with_global,
        box_rule=pool.box_rule,
        extension=pool.extension,
        relation=pool.relation,
    )
    return ActionDetector(model.backbone, operator, model.head, model.clip_settings)


def _write_onnx(scorer: _Scorer, path: Path) -> None:
    """Trace the network at one size and write the graph, with free batch, height, width and number of boxes."""
    with warnings.catch_warnings():
        # Tracing warns that shape checks become constants, and that the exporter itself is deprecated.
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
    """The settings that a caller needs to prepare the clip, for the file's metadata."""
    known = settings_of_model(model).known()
    rules: dict[str, object] = {name: known[name] for name in ("alpha", "aligned") if name in known}
    return {
        "clip": asdict(model.clip_settings),
        **rules,
        "box_rule": model.roi_pool.box_rule,
        "score": model.head.score,
    }


def _onnx_difference(scorer: _Scorer, path: Path) -> float:
    """The largest difference of a score between the network and the exported file, over all checked sizes."""
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
    """A clip of noise and random boxes, some beyond its edges; deterministic for given sizes."""
    generator = torch.Generator().manual_seed(height * width)
    clip = torch.randn(clips, 3, model.clip_settings.num_frames, height, width, generator=generator)
    sides = torch.tensor([width, height], dtype=torch.float32)
    # Two random corners of each box, the smaller coordinates first: [M, 2, 2].
    corners = torch.rand(boxes, 2, 2, generator=generator).sort(dim=1).values * sides * 1.1
    index = torch.arange(boxes, dtype=torch.float32).remainder(clips)[:, None]  # [M, 1]
    return clip, torch.cat([index, corners.flatten(1)], dim=1)


def _difference(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return (a - b).abs().max().item() if a.numel() else 0.0


def _require_equal(difference: float, path: str | Path) -> None:
    if not difference <= TOLERANCE:
        raise AvaDetectError(
            f"{path} was not written: run back, the exported network differs by {difference:.1e} from the original, "
            f"more than {TOLERANCE:.0e}; try another version of onnxruntime or torch"
        )


def _metadata(key: str, value: str) -> bytes:
    """A ``metadata_props`` entry of an ONNX file (field 14 of ModelProto).

    Serialised protobuf messages merge by concatenation, so the entry is simply appended to the file.
    """
    entry = _field(1, key.encode()) + _field(2, value.encode())
    return _field(14, entry)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, varint = len(content), bytearray()
    while length > 0x7F:
        varint.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + content
