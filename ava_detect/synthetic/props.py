"""Furniture and carried things: boxes turned about the vertical axis, as shaded faces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ava_detect.synthetic.camera import Camera, facing_axes
from ava_detect.synthetic.drawing import Face
from ava_detect.synthetic.skeleton import Joints

Array = npt.NDArray[np.float64]

# each side of a unit box, corners in order around it, and the direction it looks
_SIDES = [
    (np.array(corners, dtype=np.float64) - 0.5, np.array(normal, dtype=np.float64))
    for corners, normal in [
        ([(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1)], (-1, 0, 0)),
        ([(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)], (1, 0, 0)),
        ([(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], (0, -1, 0)),
        ([(0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)], (0, 1, 0)),
        ([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], (0, 0, -1)),
        ([(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], (0, 0, 1)),
    ]
]


def cuboid(camera: Camera, centre: Array, size: Array, yaw_degrees: float, color: Array, light: Array) -> list[Face]:
    """The visible sides of a box. ``centre`` in world metres; ``size``: its width, height and depth in metres.

    ``light``: unit vector towards the light in picture axes (right, down, towards us).
    """
    axes = facing_axes(yaw_degrees)
    eye = np.array([camera.x_metres, camera.height_metres, 0.0])
    faces = []
    for corners, normal in _SIDES:
        points = centre + (corners * size) @ axes
        direction = normal @ axes
        if direction @ (eye - points.mean(axis=0)) <= 0:
            continue
        lit = direction[0] * light[0] - direction[1] * light[1] - direction[2] * light[2]
        shade = 0.62 + 0.42 * max(float(lit), -0.4)
        faces.append(Face(camera.project(points), shade * color, float(points[:, 2].mean())))
    return faces


def chair(
    camera: Camera, ground: Array, seat_metres: float, yaw_degrees: float, color: Array, light: Array
) -> list[Face]:
    """A chair over ``ground [x, z]`` whose seat is ``seat_metres`` high, for somebody who faces ``yaw_degrees``."""
    axes = facing_axes(yaw_degrees)
    parts = [
        ((0.0, seat_metres - 0.03, 0.06), (0.46, 0.06, 0.48)),
        ((0.0, seat_metres + 0.24, -0.17), (0.46, 0.48, 0.05)),
        *(
            ((left, seat_metres / 2 - 0.03, forward), (0.05, seat_metres - 0.06, 0.05))
            for left in (-0.2, 0.2)
            for forward in (-0.14, 0.26)
        ),
    ]
    base = np.array([ground[0], 0.0, ground[1]])
    return [
        face
        for offset, size in parts
        for face in cuboid(camera, base + np.array(offset) @ axes, np.array(size), yaw_degrees, color, light)
    ]


def carried_box(camera: Camera, joints: Joints, yaw_degrees: float, color: Array, light: Array) -> list[Face]:
    """A parcel between the two hands."""
    hands = joints.fingertips.mean(axis=0)
    width = max(0.16, float(np.hypot(*(joints.wrists[0] - joints.wrists[1])[[0, 2]])) * 0.95)
    return cuboid(camera, hands + 0.05 * joints.axes[1], np.array([width, 0.24, 0.26]), yaw_degrees, color, light)
