"""A pinhole camera that looks straight ahead, and the angles of things in front of it.

World: metres, x to the right of the picture, y up from the ground, z away from the camera. The camera stands at
x = ``x_metres``, y = ``height_metres``, z = 0. Pixels are continuous: the frame covers ``[0, 0, W, H]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """``focal_pixels``: pixels per metre at one metre's distance. ``horizon_pixels``: the row of the horizon.

    ``centre_pixels``: the column straight ahead. Hand-held unrest shifts the last two a little.
    """

    focal_pixels: float
    horizon_pixels: float
    centre_pixels: float
    height_metres: float
    x_metres: float = 0.0

    def scale(self, z: float) -> float:
        """Pixels per metre at distance ``z``."""
        return self.focal_pixels / z

    def project(self, points: Array) -> Array:
        """Pixels ``[..., 2]`` of world points ``[..., 3]``, which must lie in front of the camera."""
        scale = self.focal_pixels / points[..., 2]
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.centre_pixels + (points[..., 0] - self.x_metres) * scale
        pixels[..., 1] = self.horizon_pixels + (self.height_metres - points[..., 1]) * scale
        return pixels


def facing_axes(yaw_degrees: float) -> Array:
    """Rows left, up and forward, in world axes, of somebody who is turned by ``yaw_degrees``.

    0 faces the camera, 90 faces the right edge of the picture, 180 shows the back.
    """
    yaw = np.deg2rad(yaw_degrees)
    sine, cosine = float(np.sin(yaw)), float(np.cos(yaw))
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [sine, 0.0, -cosine]])
