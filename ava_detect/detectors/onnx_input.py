"""From a view of a frame to the tensor that an ONNX model wants, and back from its pixels to the frame's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import PIL.Image

from ava_detect.detectors.tiles import View
from ava_detect.structures import boxes

Resize = Literal["stretch", "letterbox", "letterbox_center"]
Color = Literal["rgb", "bgr"]

_LETTERBOX_GRAY = 114  # what the YOLO family pads with


@dataclass(frozen=True)
class Placement:
    """Where a view lies in the model's input: ``x_input = (x_frame - view.x1) * scale_x + offset_x``, pixels."""

    view: View
    scale_x: float
    scale_y: float
    offset_x: int
    offset_y: int

    def to_frame(self, boxes_input: boxes.FloatArray) -> boxes.FloatArray:
        """Boxes ``[K, 4]`` in pixels of the model's input as pixels of the frame, cut to the view."""
        offset = np.array([self.offset_x, self.offset_y] * 2, dtype=boxes_input.dtype)
        in_view = boxes.scale(boxes_input - offset, 1 / self.scale_x, 1 / self.scale_y)
        corner = np.array([self.view.x1, self.view.y1] * 2, dtype=boxes_input.dtype)
        result: boxes.FloatArray = boxes.clip(in_view, self.view.width, self.view.height) + corner
        return result


@dataclass(frozen=True)
class InputFormat:
    """How a model wants its picture.

    ``width``, ``height``: pixels. ``resize``: ``stretch`` to that size, or keep the proportions and pad with gray,
    the picture in the top left corner (``letterbox``) or the middle (``letterbox_center``). Values 0..255 become
    ``(value * scale - mean) / std`` per channel, in the order ``color``. ``channels_last``: NHWC instead of NCHW.
    """

    width: int
    height: int
    resize: Resize
    color: Color
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels_last: bool
    dtype: npt.DTypeLike

    def prepare(self, picture: PIL.Image.Image, view: View) -> tuple[npt.NDArray[Any], Placement]:
        """The tensor ``[3, height, width]`` (or channels last) of one view, and where the view lies in it.

        Bilinear with antialiasing (PIL): with the built-in model no other filter found more people
        (docs/detectors.md), and large frames do not alias.
        """
        width, height, left, top = self._area(view)
        resized = picture.resize((width, height), PIL.Image.Resampling.BILINEAR, box=view)
        canvas = np.full((self.height, self.width, 3), _LETTERBOX_GRAY, dtype=np.uint8)
        canvas[top : top + height, left : left + width] = np.asarray(resized)
        if self.color == "bgr":
            canvas = canvas[:, :, ::-1]
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.mean, self.std))
        values = (canvas * np.float32(self.scale) - mean) / std
        tensor = (values if self.channels_last else values.transpose(2, 0, 1)).astype(self.dtype)
        return tensor, Placement(view, width / view.width, height / view.height, left, top)

    def _area(self, view: View) -> tuple[int, int, int, int]:
        """Width, height, left and top of the picture inside the model's input."""
        if self.resize == "stretch":
            return self.width, self.height, 0, 0
        factor = min(self.width / view.width, self.height / view.height)
        width = min(self.width, max(1, round(view.width * factor)))
        height = min(self.height, max(1, round(view.height * factor)))
        if self.resize == "letterbox":
            return width, height, 0, 0
        return width, height, (self.width - width) // 2, (self.height - height) // 2
