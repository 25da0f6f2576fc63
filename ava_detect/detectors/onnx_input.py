"""From a view of a frame to an ONNX model's input tensor, and boxes back from pixels of the input to the frame's.

Shapes: K boxes, height, width of the model's input.
"""

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

_LETTERBOX_GRAY = 114  # the padding of the YOLO family


@dataclass(frozen=True)
class Placement:
    """The position of a view in the model's input: ``x_input = (x_frame - view.x1) * scale_x + offset_x``.

    Attributes:
        view: The view, in pixels of the frame.
        scale_x: Pixels of the input per pixel of the frame, horizontally.
        scale_y: The same vertically.
        offset_x: Left edge of the view in the input, in pixels.
        offset_y: Top edge of the view in the input, in pixels.
    """

    view: View
    scale_x: float
    scale_y: float
    offset_x: int
    offset_y: int

    def to_frame(self, boxes_input: boxes.FloatArray) -> boxes.FloatArray:
        """Convert boxes to pixels of the frame.

        Args:
            boxes_input: Boxes ``[K, 4]``, xyxy in pixels of the model's input.

        Returns:
            Boxes ``[K, 4]``, xyxy in pixels of the frame, clipped to the view.
        """
        # Input -> view: undo the padding, then the scaling.
        offset = np.array([self.offset_x, self.offset_y] * 2, dtype=boxes_input.dtype)
        in_view = boxes.scale(boxes_input - offset, 1 / self.scale_x, 1 / self.scale_y)
        # View -> frame: clip to the view, then add its corner.
        corner = np.array([self.view.x1, self.view.y1] * 2, dtype=boxes_input.dtype)
        result: boxes.FloatArray = boxes.clip(in_view, self.view.width, self.view.height) + corner
        return result


@dataclass(frozen=True)
class InputFormat:
    """The format of a model's input; values 0..255 become ``(value * scale - mean) / std`` per channel.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        resize: ``"stretch"`` to that size, or keep the proportions and pad with gray, with the image in the top left
            corner (``"letterbox"``) or in the middle (``"letterbox_center"``).
        color: Order of the channels.
        scale: Factor of the values.
        mean: Mean of each channel (or one for all) after scaling, in the order of ``color``.
        std: Standard deviation of each channel (or one for all) after scaling, in the order of ``color``.
        channels_last: NHWC instead of NCHW.
        dtype: Type of the tensor.
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

    def prepare(self, image: PIL.Image.Image, view: View) -> tuple[npt.NDArray[Any], Placement]:
        """Resize and normalise one view.

        The filter is bilinear with antialiasing (PIL): with the built-in model no other filter found more persons
        (docs/detectors.md), and large frames do not alias.

        Args:
            image: The frame, RGB.
            view: The part of it to use.

        Returns:
            The tensor ``[3, height, width]``, or ``[height, width, 3]`` with ``channels_last``, and the position of the
            view in it.
        """
        # Resize the view, and pad it to the size of the input.
        width, height, left, top = self._area(view)
        resized = image.resize((width, height), PIL.Image.Resampling.BILINEAR, box=view)
        canvas = np.full((self.height, self.width, 3), _LETTERBOX_GRAY, dtype=np.uint8)  # [height, width, 3]
        canvas[top : top + height, left : left + width] = np.asarray(resized)
        if self.color == "bgr":
            canvas = canvas[:, :, ::-1]
        # Normalise, and order the axes as the model takes them.
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.mean, self.std))
        values = (canvas * np.float32(self.scale) - mean) / std  # [height, width, 3]
        tensor = (values if self.channels_last else values.transpose(2, 0, 1)).astype(self.dtype)
        return tensor, Placement(view, width / view.width, height / view.height, left, top)

    def _area(self, view: View) -> tuple[int, int, int, int]:
        """Width, height, left and top edge of the resized view inside the model's input, in pixels."""
        if self.resize == "stretch":
            return self.width, self.height, 0, 0
        factor = min(self.width / view.width, self.height / view.height)
        width = min(self.width, max(1, round(view.width * factor)))
        height = min(self.height, max(1, round(view.height * factor)))
        if self.resize == "letterbox":
            return width, height, 0, 0
        return width, height, (self.width - width) // 2, (self.height - height) // 2
