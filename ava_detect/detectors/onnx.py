"""Any detection network in an ONNX file, run by onnxruntime on the CPU.

Shapes: n views of one frame, k candidate boxes, h, w sides of the network's input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import onnxruntime
import PIL.Image

from ava_detect.detectors.base import Converters, Image, images_of
from ava_detect.detectors.onnx_exports import OnnxFile
from ava_detect.detectors.onnx_input import InputFormat
from ava_detect.detectors.onnx_layouts import LAYOUTS, OutputFormat
from ava_detect.detectors.onnx_options import CONVERTERS, OnnxOptions, resolve
from ava_detect.detectors.tiles import join, views_of
from ava_detect.environment import usable_cores
from ava_detect.errors import DetectorError, shown
from ava_detect.structures import Frame, PersonBoxes
from ava_detect.structures.boxes import FloatArray

# Scores of models in half precision may pass 1 by this much.
_ROUNDING = 2e-3
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxDetector:
    """Finds persons with the network of an ONNX file.

    The views of one frame are one batch of the network, so memory does not grow with the number of frames and no result
    depends on other frames; on a CPU larger batches are slower, not faster (docs/detectors.md).
    """

    needs_images: bool = True
    spec_options: ClassVar[Converters] = CONVERTERS

    def __init__(
        self,
        path: str | Path,
        *,
        num_threads: int | None = None,
        names: Mapping[int, str] | None = None,
        **options: Unpack[OnnxOptions],
    ) -> None:
        """Open the file and resolve the options.

        Args:
            path: The ONNX file.
            num_threads: Threads of onnxruntime; by default one per usable core.
            names: Class index -> name; by default those in the file's metadata.
            options: See ``OnnxOptions`` and docs/detectors.md.

        Raises:
            DetectorError: The file is not an ONNX model with one image input, or a required option is neither in
                ``options`` nor in the file's metadata.
        """
        self.name = f"onnx:{Path(path).name}"
        self._path = Path(path)
        self._session = _open(self._path, num_threads)
        settings = resolve(options, self._file(names or {}))
        self._input = self._input_format(settings)
        self._output = OutputFormat(self._input.width, self._input.height, settings["classes"], settings["coordinates"])
        self._layout_name: str = settings["layout"]
        self._layout = LAYOUTS[self._layout_name]
        self._min_score: float = settings["min_score"]
        self._nms_iou: float = settings["nms_iou"]
        self._squares: bool = settings["views"] == "squares"

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """Find the persons on each frame.

        Args:
            frames: Frames, or uint8 RGB images ``[H, W, 3]``; their sizes may differ.

        Returns:
            One ``PersonBoxes`` per frame, in pixels of the frame, best score first.

        Raises:
            DetectorError: A frame is not a uint8 RGB image, or the model cannot be run on it.
        """
        return [self._people(image) for image in images_of(frames)]

    def _people(self, image: Image) -> PersonBoxes:
        """The persons on one frame."""
        height, width = image.shape[:2]
        views = views_of(width, height, squares=self._squares)
        pil_image = PIL.Image.fromarray(image)
        tensors, placements = zip(*(self._input.prepare(pil_image, view) for view in views), strict=True)
        boxes_xyxy, scores = self._run(np.stack(tensors))  # [n, k, 4] and [n, k]
        # Apply the threshold, and convert each view's boxes to pixels of the frame.
        people = []
        for view_boxes, view_scores, placement in zip(boxes_xyxy, scores, placements, strict=True):
            keep = view_scores >= self._min_score  # [k]
            people.append(PersonBoxes(placement.to_frame(view_boxes[keep]), view_scores[keep]))
        return join(people, views, width, height, self._nms_iou)

    def _run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Run the network: ``[n, 3, h, w]`` -> boxes ``[n, k, 4]`` in pixels of the input, scores ``[n, k]``."""
        try:
            boxes_xyxy, scores = self._layout.decode(self._outputs(inputs), self._output)
        except DetectorError as error:
            raise DetectorError(f"{self._path}: {error}") from error
        if not (np.isfinite(scores).all() and np.isfinite(boxes_xyxy[scores >= self._min_score]).all()):
            raise DetectorError(
                f"{self._path}: the model's boxes or scores hold NaN or infinity; check that layout and scale fit it"
            )
        self._check_range(scores)
        return boxes_xyxy, np.minimum(scores, 1)

    def _check_range(self, scores: FloatArray) -> None:
        """Refuse scores that are none, which the wrong layout gives: coordinates, classes or logits."""
        # -1 fills up the rows of models with a fixed number of boxes.
        outside = (scores > 1 + _ROUNDING) | ((scores < -_ROUNDING) & (scores != -1))
        if outside.any():
            raise DetectorError(
                f"{self._describe()}: scores lie in 0..1, and with layout={self._layout_name} they reach "
                f"{scores[outside].min():g}..{scores[outside].max():g}; give the layout and the classes that fit "
                "the outputs, see docs/detectors.md"
            )

    def _outputs(self, inputs: FloatArray) -> dict[str, FloatArray]:
        """The model's outputs by name; the model is run once per view, unless its batch has a fixed size above 1.

        All views at once would take as many times the memory, which onnxruntime keeps, and no less time.
        """
        input_info = self._session.get_inputs()[0]
        names = [output.name for output in self._session.get_outputs()]
        has_fixed_batch = isinstance(input_info.shape[0], int) and input_info.shape[0] > 1
        parts = [inputs] if has_fixed_batch else np.split(inputs, len(inputs))
        try:
            runs = [self._session.run(names, {input_info.name: part}) for part in parts]
        except Exception as error:  # onnxruntime's errors share no narrower base
            raise DetectorError(
                f"onnxruntime cannot run it on inputs {list(inputs.shape)} ({_one_line(error)}); check that size fits "
                "the model, and that it takes several images at once if views=squares"
            ) from error
        return {name: np.concatenate([run[i] for run in runs]).astype(np.float32) for i, name in enumerate(names)}

    def _describe(self) -> str:
        """The file, its inputs and outputs, for messages."""
        sides = (self._session.get_inputs(), self._session.get_outputs())
        takes, gives = (", ".join(shown(f"{value.name} {value.shape}") for value in side) for side in sides)
        return f"{self._path} (takes {takes}; gives {gives})"

    def _file(self, names: Mapping[int, str]) -> OnnxFile:
        """What is known of the model before it is run."""
        return OnnxFile(
            description=self._describe(),
            metadata=self._session.get_modelmeta().custom_metadata_map,
            outputs={output.name: output.shape for output in self._session.get_outputs()},
            size=_fixed_size(self._session.get_inputs()),
            names=names,
        )

    def _input_format(self, settings: dict[str, Any]) -> InputFormat:
        """The format of the model's input; ``DetectorError`` where the file's input contradicts the options."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
            raise DetectorError(
                f"{self._describe()}: the model must take one image [n, 3, h, w] or [n, h, w, 3] of float, float16 "
                "or uint8; export it without further inputs"
            )
        _, *shape = inputs[0].shape
        channels_last = _is_channels_last(shape)
        fixed = _fixed_size(inputs)
        size = settings.get("size", fixed)
        if size is None:
            raise DetectorError(f"{self._describe()}: the model takes images of any size; say size=WIDTHxHEIGHT")
        if fixed is not None and size != fixed:
            raise DetectorError(
                f"{self._describe()}: size is {size[0]}x{size[1]}, but the model only takes {fixed[0]}x{fixed[1]}"
            )
        return InputFormat(
            width=size[0],
            height=size[1],
            resize=settings["resize"],
            color=settings["color"],
            scale=settings["scale"],
            mean=settings["mean"],
            std=settings["std"],
            channels_last=channels_last,
            dtype=_DTYPES[inputs[0].type],
        )


def _is_channels_last(shape: Sequence[Any]) -> bool:
    """Whether an image input ``[3, h, w]`` or ``[h, w, 3]`` is the latter."""
    return bool(shape[2] == 3 and shape[0] != 3)


def _fixed_size(inputs: Sequence[Any]) -> tuple[int, int] | None:
    """Width and height of the one image input; None where they are not fixed."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return None
    _, *shape = inputs[0].shape
    height, width = shape[:2] if _is_channels_last(shape) else shape[1:]
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _open(path: Path, num_threads: int | None) -> onnxruntime.InferenceSession:
    """Open the file as a session on the CPU; ``DetectorError`` where it is missing or invalid."""
    if not path.is_file():
        raise DetectorError(f"{path}: there is no such ONNX file")
    settings = onnxruntime.SessionOptions()
    # Set explicitly: onnxruntime's default counts and pins cores that a container may not be allowed to use.
    settings.intra_op_num_threads = num_threads or usable_cores()
    # Spinning idle threads would occupy cores that the action network needs, which runs alternately with this one.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no narrower base
        raise DetectorError(f"{path}: onnxruntime cannot open it as an ONNX model ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return shown(" ".join(str(error).split()))
