"""How a stored frame is turned and mirrored to be upright, by the display matrix of its container or bitstream."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData


@dataclass(frozen=True)
class Orientation:
    """The steps that make a stored frame upright: mirroring left to right, then quarter turns.

    Attributes:
        is_mirrored: Whether the stored frame is mirrored first.
        turns: Number of counter-clockwise quarter turns after that, 0..3.
    """

    is_mirrored: bool = False
    turns: int = 0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """Read a frame's display matrix; angles between quarter turns are rounded to the nearest.

        Args:
            frame: The frame as decoded.

        Returns:
            The orientation; that of an upright frame if there is no matrix or it shows nothing.
        """
        side_data = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(side_data, SideData):
            return cls()
        # Nine numbers in native byte order, row by row; a stored point (x, y) is shown at (a x + c y, b x + d y).
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side_data)[:36])
        is_mirrored = a * d - b * c < 0
        if is_mirrored:
            # Take out the mirroring (x -> -x), which comes first; a pure turn is left.
            a, b = -a, -b
        return cls(is_mirrored, round(-math.degrees(math.atan2(b, a)) / 90) % 4)

    @property
    def rotation_degrees(self) -> int:
        """The counter-clockwise rotation: 0, 90, -180 or -90."""
        return (0, 90, -180, -90)[self.turns]

    @property
    def swaps_sides(self) -> bool:
        """Whether the upright frame is as wide as the stored one is high."""
        return self.turns % 2 == 1

    def upright(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Turn an image.

        Args:
            image: The stored frame, ``[H, W, 3]``.

        Returns:
            The upright frame, contiguous: ``[H, W, 3]``, or ``[W, H, 3]`` if the sides are swapped.
        """
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if self.is_mirrored else image, self.turns))
