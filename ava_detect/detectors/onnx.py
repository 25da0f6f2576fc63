"""Any detection network in an ONNX file, run by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import onnxruntime
import PIL.Image

from ava_detect.detectors.base import Converters, Image, images_of
from ava_detect.detectors.onnx_input import InputFormat
from ava_detect.detectors.onnx_layouts import LAYOUTS, OutputFormat
from ava_detect.detectors.onnx_options import CONVERTERS, OnnxOptions, resolve
from ava_detect.detectors.tiles import join, views_of
from ava_detect.environment import usable_cores
from ava_detect.errors import DetectorError
from ava_detect.structures import Frame, PersonBoxes
from ava_detect.structures.boxes import FloatArray

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxDetector:
    """People found by the network of an ONNX file.

    The views of one frame are one run of the network, so that memory does not grow with the batch and no answer can
    depend on it; on a CPU larger runs are slower, not faster (docs/detectors.md).
    """

    needs_images: bool = True
    spec_options: ClassVar[Converters] = CONVERTERS

    def __init__(
        self,
        path: str | Path,
        *,
        num_threads: int | None = None,
        **options: Unpack[OnnxOptions],
    ) -> None:
        """``num_threads``: default all cores that may be used. ``options``: docs/detectors.md.

        Raises ``DetectorError`` when the file is no ONNX model of one picture input, or when ``options`` and the
        file's metadata leave something open.
        """
        self.name = f"onnx:{Path(path).name}"
        self._path = Path(path)
        self._session = _open(self._path, num_threads)
        settings = resolve(options, self._session.get_modelmeta().custom_metadata_map, self._describe())
        self._input = self._input_format(settings)
        self._output = OutputFormat(
            self._input.width, self._input.height, settings["person_class"], settings["coordinates"]
        )
        self._layout = LAYOUTS[settings["layout"]]
        self._min_score: float = settings["min_score"]
        self._nms_iou: float = settings["nms_iou"]
        self._squares: bool = settings["views"] == "squares"

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """The people on each frame, in pixels of the frame, best score first."""
        return [self._people(image) for image in images_of(frames)]

    def _people(self, image: Image) -> PersonBoxes:
        height, width = image.shape[:2]
        views = views_of(width, height, squares=self._squares)
        picture = PIL.Image.fromarray(image)
        tensors, placements = zip(*(self._input.prepare(picture, view) for view in views), strict=True)
        people = []
        for found, scores, placement in zip(*self._run(np.stack(tensors)), placements, strict=True):
            sure = scores >= self._min_score
            people.append(PersonBoxes(placement.to_frame(found[sure]), scores[sure]))
        return join(people, views, width, height, self._nms_iou)

    def _run(self, pictures: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Boxes ``[n, k, 4]`` in pixels of the input and person scores ``[n, k]``."""
        try:
            found, scores = self._layout.decode(self._outputs(pictures), self._output)
        except DetectorError as error:
            raise DetectorError(f"{self._path}: {error}") from error
        if not (np.isfinite(scores).all() and np.isfinite(found[scores >= self._min_score]).all()):
            raise DetectorError(
                f"{self._path}: the model's boxes or scores hold NaN or infinity; see that layout and scale fit it"
            )
        return found, scores

    def _outputs(self, pictures: FloatArray) -> dict[str, FloatArray]:
        """The model's outputs by name; a model that takes one picture at a time is run once for each."""
        feed = self._session.get_inputs()[0]
        names = [output.name for output in self._session.get_outputs()]
        parts = np.split(pictures, len(pictures)) if feed.shape[0] == 1 else [pictures]
        try:
            runs = [self._session.run(names, {feed.name: part}) for part in parts]
        except Exception as error:  # onnxruntime's errors share no narrower base
            raise DetectorError(
                f"onnxruntime cannot run it on pictures {list(pictures.shape)} ({_one_line(error)}); see that size "
                "fits the model, and that it takes several pictures at once if views=squares"
            ) from error
        return {name: np.concatenate([run[i] for run in runs]).astype(np.float32) for i, name in enumerate(names)}

    def _describe(self) -> str:
        """The file, its inputs and outputs, for messages."""
        sides = (self._session.get_inputs(), self._session.get_outputs())
        takes, gives = (", ".join(f"{value.name} {value.shape}" for value in side) for side in sides)
        return f"{self._path} (takes {takes}; gives {gives})"

    def _input_format(self, settings: dict[str, Any]) -> InputFormat:
        """How this model's picture goes in; ``DetectorError`` where the file's input and the options disagree."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
            raise DetectorError(
                f"{self._describe()}: the model must take one picture [n, 3, h, w] or [n, h, w, 3] of float, float16 "
                "or uint8; export it without further inputs"
            )
        _, *shape = inputs[0].shape
        channels_last = shape[2] == 3 and shape[0] != 3
        sides = shape[:2] if channels_last else shape[1:]
        fixed = (sides[1], sides[0]) if all(isinstance(side, int) for side in sides) else None
        size = settings.get("size", fixed)
        if size is None:
            raise DetectorError(f"{self._describe()}: the model takes pictures of any size; say size=WIDTHxHEIGHT")
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


def _open(path: Path, num_threads: int | None) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise DetectorError(f"{path}: there is no such ONNX file")
    settings = onnxruntime.SessionOptions()
    # A number, because onnxruntime's own choice counts and pins cores that a container may not give it.
    settings.intra_op_num_threads = num_threads or usable_cores()
    # Idle threads that spin would take the cores from the action network, which runs in turn with this one.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no narrower base
        raise DetectorError(f"{path}: onnxruntime cannot open it as an ONNX model ({_one_line(error)})") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
