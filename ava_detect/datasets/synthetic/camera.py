"""A pinhole camera that looks straight ahead, and the orientation of people in front of it.

World coordinates are in metres: x to the right of the frame, y up from the ground, z away from the camera. The camera
is at x = ``x_metres``, y = ``height_metres``, z = 0. Pixel coordinates are continuous: the frame covers
``[0, 0, W, H]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Lens and position of the camera. The shake of a hand-held camera shifts horizon and centre a little.

    Attributes:
        focal_pixels: Focal length: pixels per metre at a distance of one metre.
        horizon_pixels: Row of the horizon.
        centre_pixels: Column straight ahead.
        height_metres: Height above the ground.
        x_metres: Position to the right.
    """

    focal_pixels: float
    horizon_pixels: float
    centre_pixels: float
    height_metres: float
    x_metres: float = 0.0

    def scale(self, z: float) -> float:
        """Return the scale at a distance.

        Args:
            z: Distance in metres, above 0.

        Returns:
            Pixels per metre.
        """
        return self.focal_pixels / z

    def project(self, points: Array) -> Array:
        """Project world points to pixels.

        Args:
            points: x, y and z in metres ``[..., 3]``, in front of the camera.

        Returns:
            x and y in pixels ``[..., 2]``.
        """
        scale = self.focal_pixels / points[..., 2]
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.centre_pixels + (points[..., 0] - self.x_metres) * scale
        pixels[..., 1] = self.horizon_pixels + (self.height_metres - points[..., 1]) * scale
        return pixels


def facing_axes(yaw_degrees: float) -> Array:
    """Return the axes of a person who is turned by a yaw.

    Args:
        yaw_degrees: 0 faces the camera, 90 the right edge of the frame, 180 shows the back.

    Returns:
        The unit vectors left, up and forward in world axes, as rows ``[3, 3]``.
    """
    yaw = np.deg2rad(yaw_degrees)
    sine, cosine = float(np.sin(yaw)), float(np.cos(yaw))
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [sine, 0.0, -cosine]])
