"""Bodies: joint positions in, shaded strokes out.

Widths are fractions of body height, so that tall and short people keep natural proportions. Positions are in metres in
world axes: x right, y up, z away from the camera.
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

# Half widths along the torso from crotch to neck, seen from the front and from the side.
_TORSO_FRONT = np.array([0.060, 0.088, 0.093, 0.089, 0.083, 0.083, 0.090, 0.098, 0.106, 0.110, 0.104, 0.050])
_TORSO_SIDE = np.array([0.050, 0.064, 0.070, 0.067, 0.061, 0.062, 0.067, 0.072, 0.073, 0.066, 0.052, 0.036])
# Half widths of the other parts.
_YOKE = np.array([0.026, 0.033, 0.042, 0.033, 0.026])
_THIGH = np.array([0.049, 0.050, 0.046, 0.040, 0.036])
_SHIN = np.array([0.023, 0.027, 0.034, 0.037, 0.035])  # from the ankle up
_TROUSER_LEG = np.array([0.036, 0.034, 0.036, 0.038, 0.036])  # from the hem up
_UPPER_ARM = np.array([0.029, 0.029, 0.026, 0.024])
_FOREARM = np.array([0.016, 0.019, 0.023, 0.024])  # from the wrist up
_SLEEVE = np.array([0.023, 0.023, 0.025, 0.027])
_HAND = np.array([0.016, 0.020, 0.015])
_HEAD = np.array([0.036, 0.045, 0.049, 0.049])
_HEAD_RADIUS = 0.043

# Metres added to the depth by which shapes are ordered, so that limbs beside the body cover it and limbs beyond it do
# not.
_TORSO_OFFSET, _ARM_OFFSET, _HEAD_OFFSET = -0.12, -0.13, -0.14


@dataclass(frozen=True, eq=False)
class Surface:
    """What a body part looks like.

    Attributes:
        color: RGB 0..255 ``[3]``.
        texture: Brightness factors of the cloth; None for a plain surface.
        gloss: Strength of the highlight, 0 to 1.
    """

    color: Array
    texture: Texture | None = None
    gloss: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gloss <= 1:
            raise ValueError(f"gloss must be 0 to 1, got {self.gloss}")


def figure(joints: Joints, look: Look, camera: Camera) -> list[Stroke]:
    """Draw a dressed body.

    Args:
        joints: The joint positions.
        look: Size, colors and clothes.
        camera: The camera.

    Returns:
        The strokes, in no particular order: their depths say which covers which.
    """
    artist = _Artist(joints, look, camera)
    return [*artist.legs(), *artist.torso(), *artist.arms(), *artist.head()]


class _Artist:
    """Turns the joints of one person into strokes."""

    def __init__(self, joints: Joints, look: Look, camera: Camera) -> None:
        self.joints, self.look, self.camera = joints, look, camera

    def limb(
        self,
        start: Array,
        end: Array,
        widths: Array,
        surface: Surface,
        *,
        offset: float = 0.0,
        depth: float | None = None,
        has_hem: bool = False,
    ) -> Stroke:
        """Draw a stroke between two world points.

        Args:
            start: Start in metres ``[3]``.
            end: End in metres ``[3]``.
            widths: Half widths from start to end, as fractions of body height.
            surface: Color, texture and gloss.
            offset: Metres added to ``depth``.
            depth: Distance by which strokes are ordered; by default that of the middle between the two points.
            has_hem: Whether the start is cut straight, like a sleeve.

        Returns:
            The stroke in pixels.
        """
        middle = (float(start[2]) + float(end[2])) / 2
        pixels = self.camera.project(np.array([start, end]))  # [2, 2]
        scale = self.camera.scale(middle) * self.look.height_metres  # pixels per body height
        at = middle if depth is None else depth
        return Stroke(
            pixels[0], pixels[1], widths * scale, surface.color, at + offset, surface.texture, surface.gloss, has_hem
        )

    def legs(self) -> list[Stroke]:
        """Draw trousers or shorts, shins and shoes."""
        joints, look = self.joints, self.look
        trousers = Surface(look.trousers, look.trouser_texture)
        strokes = []
        for side, (hip, knee, ankle) in enumerate(zip(joints.hips, joints.knees, joints.ankles, strict=True)):
            strokes += self._shoe(side)
            if look.long_trousers:
                hem = ankle + 0.08 * (ankle - knee)  # a little below the ankle
                strokes.append(self.limb(hem, knee, _TROUSER_LEG * look.bulk, trousers, has_hem=True))
            else:
                strokes.append(self.limb(ankle, knee, _SHIN * look.bulk, Surface(look.skin)))
            strokes.append(self.limb(hip, knee, _THIGH * look.bulk, trousers, offset=-0.01))
        return strokes

    def _shoe(self, side: int) -> list[Stroke]:
        joints, color = self.joints, self.look.shoes
        heel, toe = joints.heels[side], joints.toes[side]
        sole = np.array([0.020, 0.022, SOLE_RADIUS])
        return [
            self.limb(joints.ankles[side], heel, np.array([0.024, 0.021]), Surface(color), offset=0.01),
            self.limb(heel, toe, sole, Surface(color, gloss=0.05), offset=0.008),
        ]

    def torso(self) -> list[Stroke]:
        """Draw the hips in the color of the trousers, the shirt over them, and its shoulders."""
        joints, look, size = self.joints, self.look, self.look.height_metres
        spine = joints.chest - joints.pelvis
        spine /= np.linalg.norm(spine)
        # The torso is elliptical: its half width is between those of front and side view, by the person's yaw.
        frontal = abs(float(joints.axes[0][0]))  # 1 seen from the front, 0 from the side
        widths = look.bulk * np.hypot(_TORSO_FRONT * frontal, _TORSO_SIDE * np.sqrt(1 - frontal**2))  # [12]
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
            self.limb(bottom, waist, widths[:4] * 0.99, Surface(look.trousers), depth=depth, offset=-0.02),
            self.limb(left, right, _YOKE * look.bulk, Surface(look.shirt), depth=front),
            self.limb(hem, neck, widths[2:], shirt, has_hem=True, depth=front),
        ]

    def arms(self) -> list[Stroke]:
        """Draw hands, forearms, upper arms and sleeves, each a little nearer than the part before it."""
        joints, look = self.joints, self.look
        skin, shirt = Surface(look.skin), Surface(look.shirt, look.shirt_texture)
        strokes = []
        for shoulder, elbow, wrist, tip in zip(
            joints.shoulders, joints.elbows, joints.wrists, joints.fingertips, strict=True
        ):
            strokes.append(self.limb(wrist, tip, _HAND, skin, offset=_ARM_OFFSET))
            if look.long_sleeves:
                cuff = _SLEEVE * look.bulk
                strokes.append(self.limb(wrist, elbow, cuff, shirt, offset=_ARM_OFFSET - 0.004, has_hem=True))
            else:
                strokes.append(self.limb(wrist, elbow, _FOREARM * look.bulk, skin, offset=_ARM_OFFSET - 0.004))
                upper_arm = _UPPER_ARM[::-1] * look.bulk
                strokes.append(self.limb(elbow, shoulder, upper_arm, skin, offset=_ARM_OFFSET - 0.005))
            strokes.append(self._sleeve(shoulder, elbow))
        return strokes

    def _sleeve(self, shoulder: Array, elbow: Array) -> Stroke:
        """Draw the upper part of a sleeve: down to the elbow, or a short one with a hem."""
        look = self.look
        end = elbow if look.long_sleeves else shoulder + 0.62 * (elbow - shoulder)
        widths = _UPPER_ARM[::-1] * look.bulk * (1.04 if look.long_sleeves else 1.14)
        shirt = Surface(look.shirt, look.shirt_texture)
        return self.limb(end, shoulder, widths, shirt, offset=_ARM_OFFSET - 0.04, has_hem=not look.long_sleeves)

    def head(self) -> list[Stroke]:
        """Draw neck, hair and face at one depth, so that hair and face cover each other by the head's direction."""
        joints, look = self.joints, self.look
        size = look.height_metres
        # The head's own axes, in world axes.
        up = joints.head_up
        left = joints.axes[0]
        forward = np.cross(up, left)
        depth = float(joints.head[2]) + _HEAD_OFFSET
        facing = -float(forward[2])  # above 0 where the face is turned towards the camera
        chin = joints.head - 0.030 * size * up + 0.008 * size * forward
        crown = joints.head + 0.016 * size * up
        nape = joints.chest + 0.006 * size * up
        throat = joints.head - 0.03 * size * up
        neck = self.limb(
            nape, throat, np.array([0.033, 0.030, 0.030]), Surface(look.skin * 0.82), depth=depth, offset=0.025
        )
        skull = self.limb(chin, crown, _HEAD, Surface(look.skin, gloss=0.06), depth=depth)
        return [neck, skull, *self._hair(up, forward, depth, facing), *self._face(up, left, forward, depth)]

    def _hair(self, up: Array, forward: Array, depth: float, facing: float) -> list[Stroke]:
        """Draw the back of the hair, the fringe and, where it is long, the hair below the nape."""
        look, size = self.look, self.look.height_metres
        if look.hair_length == 0:
            return []
        head = self.joints.head
        top = head + 0.030 * size * up - 0.006 * size * forward
        nape = head - 0.020 * size * up - 0.018 * size * forward
        behind = 0.05 if facing > 0 else -0.012  # metres: behind the shirt seen from the front, else over it
        fringe = head + 0.038 * size * up + 0.002 * size * forward
        hair = Surface(look.hair, gloss=0.05)
        strokes = [
            self.limb(top, nape, np.array([0.049, 0.053, 0.047]), hair, depth=depth + behind),
            self.limb(
                fringe - 0.012 * size * forward,
                fringe + 0.016 * size * forward,
                np.array([0.040, 0.033]),
                Surface(look.hair, gloss=0.08),
                depth=depth - 0.006,
            ),
        ]
        if look.hair_length > 0.2:
            end = nape - (look.hair_length - 0.12) * up - 0.01 * size * forward
            widths = np.array([0.051, 0.052, 0.050, 0.038])
            strokes.append(self.limb(top, end, widths, hair, depth=depth + behind + 0.002))
        return strokes

    def _face(self, up: Array, left: Array, forward: Array, depth: float) -> list[Stroke]:
        """Draw eyes and mouth where the surface of the head turns towards the camera."""
        look, size = self.look, self.look.height_metres
        white, dark = np.array([236.0, 232.0, 226.0]), np.array([44.0, 32.0, 28.0])
        marks = [
            # left, up, width, half height (fractions of body height), color
            (0.0185, 0.004, 0.011, 0.0042, white),
            (-0.0185, 0.004, 0.011, 0.0042, white),
            (0.0185, 0.004, 0.001, 0.0044, dark),
            (-0.0185, 0.004, 0.001, 0.0044, dark),
            (0.0, -0.024, 0.018, 0.0032, look.skin * np.array([0.78, 0.52, 0.5])),
        ]
        strokes = []
        for sideways, upwards, width, half_height, color in marks:
            # From the head's axis to the point on its surface at this distance to the left.
            outward = forward * np.sqrt(_HEAD_RADIUS**2 - sideways**2) + left * sideways
            if -outward[2] < 0.020:
                continue  # on the far side of the head, or so near its outline that the mark would stick out
            centre = self.joints.head + size * (outward + up * upwards)
            reach = left * (width * size / 2)
            widths = np.full(2, half_height)
            strokes.append(self.limb(centre - reach, centre + reach, widths, Surface(color), depth=depth - 0.01))
        return strokes
