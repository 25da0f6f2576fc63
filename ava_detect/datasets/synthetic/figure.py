"""Convert a person's 3D joint positions to shaded 2D strokes, which ``drawing`` rasterises.

A ``Stroke`` is a thick line whose width varies along it; each body part is one. Strokes are painted from far to near by
their depth (painter's algorithm). Half widths are fractions of body height, so that tall and short people keep natural
proportions. Positions are in metres in world axes: x right, y up, z (depth) away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.appearance import Look, Texture
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.drawing import Stroke
from ava_detect.datasets.synthetic.skeleton import SOLE_RADIUS, Joints

Array = npt.NDArray[np.float64]

# Half widths ``[K]`` of strokes at K evenly spaced stations from start to end, as fractions of body height.
# The torso from crotch to neck, seen from the front and from the side.
_TORSO_FRONT = np.array([0.060, 0.088, 0.093, 0.089, 0.083, 0.083, 0.090, 0.098, 0.106, 0.110, 0.104, 0.050])
_TORSO_SIDE = np.array([0.050, 0.064, 0.070, 0.067, 0.061, 0.062, 0.067, 0.072, 0.073, 0.066, 0.052, 0.036])
# The other parts.
_SHOULDERS = np.array([0.026, 0.033, 0.042, 0.033, 0.026])  # from the left to the right shoulder
_THIGH = np.array([0.049, 0.050, 0.046, 0.040, 0.036])
_SHIN = np.array([0.023, 0.027, 0.034, 0.037, 0.035])  # from the ankle up
_TROUSER_LEG = np.array([0.036, 0.034, 0.036, 0.038, 0.036])  # from the hem up
_UPPER_ARM = np.array([0.029, 0.029, 0.026, 0.024])
_FOREARM = np.array([0.016, 0.019, 0.023, 0.024])  # from the wrist up
_SLEEVE = np.array([0.023, 0.023, 0.025, 0.027])
_HAND = np.array([0.016, 0.020, 0.015])
_HEAD = np.array([0.036, 0.045, 0.049, 0.049])
_HEAD_RADIUS = 0.043  # as a fraction of body height

# Metres added to a stroke's depth; negative is nearer. A limb beside the torso is then painted over it, and one clearly
# behind the torso still under it.
_TORSO_OFFSET, _ARM_OFFSET, _HEAD_OFFSET = -0.12, -0.13, -0.14


@dataclass(frozen=True, eq=False)
class Surface:
    """What a body part looks like.

    Attributes:
        color: RGB 0..255 ``[3]``.
        texture: Brightness factors of the cloth ``[a, b]``, a along the stroke, b across it; None for a plain surface.
        gloss: Strength of the highlight, 0 to 1.
    """

    color: Array
    texture: Texture | None = None
    gloss: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gloss <= 1:
            raise ValueError(f"gloss must be 0 to 1, got {self.gloss}")


def figure(joints: Joints, look: Look, camera: Camera) -> list[Stroke]:
    """Build the strokes of a dressed person.

    Args:
        joints: The joint positions, in metres in world axes.
        look: Body height, colors and clothes.
        camera: The camera, which projects metres to pixels.

    Returns:
        The strokes in pixels, in no particular order; where they overlap, the one of smaller depth is in front.
    """
    builder = _StrokeBuilder(joints, look, camera)
    return [*builder.legs(), *builder.torso(), *builder.arms(), *builder.head()]


class _StrokeBuilder:
    """Builds the strokes of one person; a method for each body part. See ``figure`` for the arguments."""

    def __init__(self, joints: Joints, look: Look, camera: Camera) -> None:
        self.joints, self.look, self.camera = joints, look, camera

    def stroke(
        self,
        start: Array,
        end: Array,
        half_widths: Array,
        surface: Surface,
        *,
        offset: float = 0.0,
        depth: float | None = None,
        has_hem: bool = False,
    ) -> Stroke:
        """Build a stroke between two points in the world.

        Args:
            start: Start in metres ``[3]``.
            end: End in metres ``[3]``.
            half_widths: Half widths ``[K]`` at evenly spaced stations from start to end, as fractions of body height.
            surface: Color, texture and gloss.
            offset: Metres added to ``depth``; negative brings the stroke nearer.
            depth: Depth in metres by which strokes are ordered; by default that of the midpoint of start and end.
            has_hem: Whether the start is cut straight, like a sleeve, instead of round.

        Returns:
            The stroke in pixels.
        """
        mid_depth = (float(start[2]) + float(end[2])) / 2
        pixels = self.camera.project(np.array([start, end]))  # [2, 2]
        scale = self.camera.scale(mid_depth) * self.look.height_metres  # pixels per body height
        order_depth = (mid_depth if depth is None else depth) + offset
        return Stroke(
            pixels[0],
            pixels[1],
            half_widths * scale,
            surface.color,
            order_depth,
            surface.texture,
            surface.gloss,
            has_hem,
        )

    def legs(self) -> list[Stroke]:
        """Build trousers or shorts, shins and shoes."""
        joints, look = self.joints, self.look
        trousers = Surface(look.trousers, look.trouser_texture)
        strokes = []
        for side, (hip, knee, ankle) in enumerate(zip(joints.hips, joints.knees, joints.ankles, strict=True)):
            strokes += self._shoe(side)
            if look.long_trousers:
                hem = ankle + 0.08 * (ankle - knee)  # a little below the ankle
                strokes.append(self.stroke(hem, knee, _TROUSER_LEG * look.bulk, trousers, has_hem=True))
            else:
                strokes.append(self.stroke(ankle, knee, _SHIN * look.bulk, Surface(look.skin)))
            strokes.append(self.stroke(hip, knee, _THIGH * look.bulk, trousers, offset=-0.01))
        return strokes

    def _shoe(self, side: int) -> list[Stroke]:
        """Build the shoe of the left (``side`` 0) or right (1) foot."""
        joints, color = self.joints, self.look.shoes
        heel, toe = joints.heels[side], joints.toes[side]
        sole = np.array([0.020, 0.022, SOLE_RADIUS])
        return [
            self.stroke(joints.ankles[side], heel, np.array([0.024, 0.021]), Surface(color), offset=0.01),
            self.stroke(heel, toe, sole, Surface(color, gloss=0.05), offset=0.008),
        ]

    def torso(self) -> list[Stroke]:
        """Build the hips in the color of the trousers, the shirt over them, and the shoulders of the shirt."""
        joints, look, size = self.joints, self.look, self.look.height_metres
        spine = joints.chest - joints.pelvis
        spine /= np.linalg.norm(spine)
        # The cross-section is an ellipse with the half widths of front and side as semi-axes, projected at the yaw.
        frontal = abs(float(joints.axes[0][0]))  # 1 seen from the front, 0 from the side
        half_widths = look.bulk * np.hypot(_TORSO_FRONT * frontal, _TORSO_SIDE * np.sqrt(1 - frontal**2))  # [12]
        depth = float(joints.pelvis[2] + joints.chest[2]) / 2
        # Ends of the strokes along the spine, in metres.
        bottom = joints.pelvis + 0.015 * size * spine
        waist = joints.pelvis + 0.10 * size * spine
        hem = joints.pelvis - 0.005 * size * spine
        neck = joints.chest + 0.010 * size * spine
        left, right = joints.shoulders + 0.004 * size * spine
        front = depth + _TORSO_OFFSET
        shirt = Surface(look.shirt, look.shirt_texture)
        return [
            self.stroke(bottom, waist, half_widths[:4] * 0.99, Surface(look.trousers), depth=depth, offset=-0.02),
            self.stroke(left, right, _SHOULDERS * look.bulk, Surface(look.shirt), depth=front),
            self.stroke(hem, neck, half_widths[2:], shirt, has_hem=True, depth=front),
        ]

    def arms(self) -> list[Stroke]:
        """Build hands, forearms, upper arms and sleeves, each a little nearer to the camera than the part before it."""
        joints, look = self.joints, self.look
        skin, shirt = Surface(look.skin), Surface(look.shirt, look.shirt_texture)
        strokes = []
        for shoulder, elbow, wrist, tip in zip(
            joints.shoulders, joints.elbows, joints.wrists, joints.fingertips, strict=True
        ):
            strokes.append(self.stroke(wrist, tip, _HAND, skin, offset=_ARM_OFFSET))
            if look.long_sleeves:
                cuff = _SLEEVE * look.bulk
                strokes.append(self.stroke(wrist, elbow, cuff, shirt, offset=_ARM_OFFSET - 0.004, has_hem=True))
            else:
                strokes.append(self.stroke(wrist, elbow, _FOREARM * look.bulk, skin, offset=_ARM_OFFSET - 0.004))
                upper_arm = _UPPER_ARM[::-1] * look.bulk
                strokes.append(self.stroke(elbow, shoulder, upper_arm, skin, offset=_ARM_OFFSET - 0.005))
            strokes.append(self._sleeve(shoulder, elbow))
        return strokes

    def _sleeve(self, shoulder: Array, elbow: Array) -> Stroke:
        """Build the upper part of a long sleeve, down to the elbow, or a short sleeve with a hem."""
        look = self.look
        end = elbow if look.long_sleeves else shoulder + 0.62 * (elbow - shoulder)
        half_widths = _UPPER_ARM[::-1] * look.bulk * (1.04 if look.long_sleeves else 1.14)
        shirt = Surface(look.shirt, look.shirt_texture)
        return self.stroke(end, shoulder, half_widths, shirt, offset=_ARM_OFFSET - 0.04, has_hem=not look.long_sleeves)

    def head(self) -> list[Stroke]:
        """Build neck, skull, hair and face.

        They share the depth of the head, with small offsets, so that their order depends on where the head faces and
        not on their exact positions.
        """
        joints, look = self.joints, self.look
        size = look.height_metres
        # Unit vectors of the head in world axes ``[3]``: up, and the person's left and forward.
        up = joints.head_up
        left = joints.axes[0]
        forward = np.cross(up, left)
        depth = float(joints.head[2]) + _HEAD_OFFSET
        facing = -float(forward[2])  # above 0 where the face is turned towards the camera
        chin = joints.head - 0.030 * size * up + 0.008 * size * forward
        crown = joints.head + 0.016 * size * up
        nape = joints.chest + 0.006 * size * up
        throat = joints.head - 0.03 * size * up
        neck = self.stroke(
            nape, throat, np.array([0.033, 0.030, 0.030]), Surface(look.skin * 0.82), depth=depth, offset=0.025
        )
        skull = self.stroke(chin, crown, _HEAD, Surface(look.skin, gloss=0.06), depth=depth)
        return [neck, skull, *self._hair(up, forward, depth, facing), *self._face(up, left, forward, depth)]

    def _hair(self, up: Array, forward: Array, depth: float, facing: float) -> list[Stroke]:
        """Build the back of the hair, the fringe and, if it is long, the hair below the nape."""
        look, size = self.look, self.look.height_metres
        if look.hair_length == 0:
            return []
        head = self.joints.head
        top = head + 0.030 * size * up - 0.006 * size * forward
        nape = head - 0.020 * size * up - 0.018 * size * forward
        # Metres added to the depth: seen from the front, hair is behind head and shirt; seen from the back, over them.
        behind = 0.05 if facing > 0 else -0.012
        fringe = head + 0.038 * size * up + 0.002 * size * forward
        hair = Surface(look.hair, gloss=0.05)
        strokes = [
            self.stroke(top, nape, np.array([0.049, 0.053, 0.047]), hair, depth=depth + behind),
            self.stroke(
                fringe - 0.012 * size * forward,
                fringe + 0.016 * size * forward,
                np.array([0.040, 0.033]),
                Surface(look.hair, gloss=0.08),
                depth=depth - 0.006,
            ),
        ]
        if look.hair_length > 0.2:
            end = nape - (look.hair_length - 0.12) * up - 0.01 * size * forward
            half_widths = np.array([0.051, 0.052, 0.050, 0.038])
            strokes.append(self.stroke(top, end, half_widths, hair, depth=depth + behind + 0.002))
        return strokes

    def _face(self, up: Array, left: Array, forward: Array, depth: float) -> list[Stroke]:
        """Build eyes and mouth, those only that lie on the side of the head towards the camera."""
        look, size = self.look, self.look.height_metres
        white, dark = np.array([236.0, 232.0, 226.0]), np.array([44.0, 32.0, 28.0])
        marks = [
            # offset to the left, offset up, width, half height (all as fractions of body height), color
            (0.0185, 0.004, 0.011, 0.0042, white),
            (-0.0185, 0.004, 0.011, 0.0042, white),
            (0.0185, 0.004, 0.001, 0.0044, dark),
            (-0.0185, 0.004, 0.001, 0.0044, dark),
            (0.0, -0.024, 0.018, 0.0032, look.skin * np.array([0.78, 0.52, 0.5])),
        ]
        strokes = []
        for sideways, upwards, width, half_height, color in marks:
            # Vector from the head's vertical axis to the mark on its surface, as a fraction of body height.
            outward = forward * np.sqrt(_HEAD_RADIUS**2 - sideways**2) + left * sideways
            if -outward[2] < 0.020:
                continue  # on the far side of the head, or so near its outline that the mark would stick out
            centre = self.joints.head + size * (outward + up * upwards)
            half_line = left * (width * size / 2)
            half_widths = np.full(2, half_height)
            strokes.append(
                self.stroke(centre - half_line, centre + half_line, half_widths, Surface(color), depth=depth - 0.01)
            )
        return strokes
