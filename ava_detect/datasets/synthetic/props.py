"""Furniture, and the things that people hold in their hands.

Held things are larger than real ones: in a frame of 128 rows, which is the input of a small network, a metre is about
40 pixels, and a telephone of true size would be three pixels wide.

Positions are metres in world axes: x right, y up, z away from the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.actions import CARRY, DRINK, PHONE, READ
from ava_detect.datasets.synthetic.camera import Camera, facing_axes
from ava_detect.datasets.synthetic.drawing import Face, Shape, Stroke
from ava_detect.datasets.synthetic.skeleton import Joints

Array = npt.NDArray[np.float64]

PAPER, PHONE_COLOR, BOTTLE_COLOR = np.array([244.0, 242, 234]), np.array([26.0, 27, 32]), np.array([86.0, 196, 226])

# The sides of a unit box around the origin: corners ``[4, 3]`` in order around the side, and outward normal ``[3]``.
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
    """Draw the visible sides of a box.

    Args:
        camera: The camera.
        centre: Centre in metres ``[3]``.
        size: Width, height and depth in metres ``[3]``.
        yaw_degrees: Rotation about the vertical axis; see ``facing_axes``.
        color: RGB 0..255 ``[3]``.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.

    Returns:
        One face per visible side.
    """
    axes = facing_axes(yaw_degrees)  # [3, 3], rows left, up, forward
    eye = np.array([camera.x_metres, camera.height_metres, 0.0])
    faces = []
    for corners, normal in _SIDES:
        points = centre + (corners * size) @ axes  # [4, 3]
        direction = normal @ axes
        # Skip sides that face away from the camera.
        if direction @ (eye - points.mean(axis=0)) <= 0:
            continue
        # Lambert's cosine; the light's axes down and towards the camera are -y and -z of the world.
        lit = direction[0] * light[0] - direction[1] * light[1] - direction[2] * light[2]
        shade = 0.62 + 0.42 * max(float(lit), -0.4)
        faces.append(Face(camera.project(points), shade * color, float(points[:, 2].mean())))
    return faces


def chair(
    camera: Camera, ground: Array, seat_metres: float, yaw_degrees: float, color: Array, light: Array
) -> list[Face]:
    """Draw a chair.

    Args:
        camera: The camera.
        ground: Ground point x, z in metres ``[2]`` below the seat.
        seat_metres: Height of the seat.
        yaw_degrees: Direction that the seated person faces.
        color: RGB 0..255 ``[3]``.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.

    Returns:
        The visible faces.
    """
    axes = facing_axes(yaw_degrees)
    # Seat, back and four legs: centre and size along left, up and forward.
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


def mat(
    camera: Camera, ground: Array, length_metres: float, yaw_degrees: float, color: Array, light: Array
) -> list[Face]:
    """Draw a mattress on the floor.

    Args:
        camera: The camera.
        ground: Ground point x, z in metres ``[2]`` below the person's pelvis.
        length_metres: Length of the mattress.
        yaw_degrees: Direction along which the person lies.
        color: RGB 0..255 ``[3]``.
        light: Unit vector towards the light ``[3]``: right, down, towards the camera.

    Returns:
        The visible faces.
    """
    centre = np.array([ground[0], 0.02, ground[1]]) - 0.04 * length_metres * facing_axes(yaw_degrees)[2]
    return cuboid(camera, centre, np.array([0.95, 0.04, length_metres]), yaw_degrees, color, light)


def _parcel(camera: Camera, joints: Joints, side: int, yaw_degrees: float, color: Array, light: Array) -> list[Face]:
    """Draw a box between the two hands."""
    hands = joints.fingertips.mean(axis=0)
    width = max(0.16, float(np.hypot(*(joints.wrists[0] - joints.wrists[1])[[0, 2]])) * 0.95)
    return cuboid(camera, hands + 0.09 * joints.axes[1], np.array([width, 0.32, 0.30]), yaw_degrees, color, light)


def _book(camera: Camera, joints: Joints, side: int, yaw_degrees: float, color: Array, light: Array) -> list[Face]:
    """Draw an open book in both hands: two white pages that lean against each other, in a cover."""
    left, up, forward = joints.axes
    spine = joints.fingertips.mean(axis=0) + 0.02 * up
    faces = []
    for sign in (-1.0, 1.0):  # the right and the left half
        outer = spine + sign * 0.23 * left - 0.07 * forward
        rise = 0.28 * (0.9 * up + 0.43 * forward)
        # The cover first, then the page a little nearer and smaller.
        for lift, reach, shade, offset in ((0.0, 1.06, color, 0.0), (0.02, 0.96, PAPER, -0.004)):
            page = np.stack(
                [spine, spine + reach * (outer - spine), spine + reach * (outer - spine) + rise, spine + rise]
            )
            depth = float(page[:, 2].mean()) - 0.2 + offset
            lit = 0.8 + 0.2 * float(np.clip(light[2] + sign * light[0], -1, 1))
            faces.append(Face(camera.project(page + lift * up), lit * shade, depth))
    return faces


def _phone(camera: Camera, joints: Joints, side: int, yaw_degrees: float, color: Array, light: Array) -> list[Face]:
    """Draw a dark telephone along one hand."""
    hand = (joints.wrists[side] + joints.fingertips[side]) / 2 + 0.08 * joints.axes[1]
    return [
        replace(face, depth=face.depth - 0.24)
        for face in cuboid(camera, hand, np.array([0.06, 0.27, 0.14]), yaw_degrees, PHONE_COLOR, light)
    ]


def _bottle(camera: Camera, joints: Joints, side: int, yaw_degrees: float, color: Array, light: Array) -> list[Stroke]:
    """Draw a bright bottle, tilted so that its neck is at the mouth."""
    left, up, forward = joints.axes
    outwards = left if side == 0 else -left
    mouth = joints.head - 0.06 * up + 0.085 * forward
    bottom = mouth + 0.36 * (0.6 * forward + 0.42 * up + 0.68 * outwards)
    depth = float(joints.head[2]) - 0.45
    scale = camera.scale(float(bottom[2]))
    pixels = camera.project(np.stack([bottom, mouth]))
    widths = np.array([0.074, 0.076, 0.072, 0.036, 0.026]) * scale
    return [Stroke(pixels[0], pixels[1], widths, BOTTLE_COLOR, depth, gloss=0.3, has_hem=True, is_person=False)]


# What is held during a gesture. Arguments: camera, the holder's joints, the dominant hand (0 left, 1 right), yaw in
# degrees, RGB color, light as for ``cuboid``.
HELD: dict[int, Callable[[Camera, Joints, int, float, Array, Array], Sequence[Shape]]] = {
    CARRY: _parcel,
    DRINK: _bottle,
    PHONE: _phone,
    READ: _book,
}
