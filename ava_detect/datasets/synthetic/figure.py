"""Bodies: joint positions in, shaded strokes out.

Widths are fractions of body height, so that tall and short people keep natural proportions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic.appearance import Look, Texture
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.drawing import Stroke
from ava_detect.datasets.synthetic.skeleton import SOLE_RADIUS, Joints

Array = npt.NDArray[np.float64]

# half widths along the torso from crotch to neck, seen from the front and from the side
_TORSO_FRONT = np.array([0.060, 0.088, 0.093, 0.089, 0.083, 0.083, 0.090, 0.098, 0.106, 0.110, 0.104, 0.050])
_TORSO_SIDE = np.array([0.050, 0.064, 0.070, 0.067, 0.061, 0.062, 0.067, 0.072, 0.073, 0.066, 0.052, 0.036])
_YOKE = np.array([0.026, 0.033, 0.042, 0.033, 0.026])
_THIGH = np.array([0.049, 0.050, 0.046, 0.040, 0.036])
_SHIN = np.array([0.023, 0.027, 0.034, 0.037, 0.035])  # from the ankle up
_TROUSER_LEG = np.array([0.036, 0.034, 0.036, 0.038, 0.036])  # from the hem up
_UPPER_ARM = np.array([0.029, 0.029, 0.026, 0.024])
_FOREARM = np.array([0.016, 0.019, 0.023, 0.024])  # from the wrist up
_SLEEVE = np.array([0.023, 0.023, 0.025, 0.027])
_HAND = np.array([0.016, 0.020, 0.015])
_HEAD = np.array([0.036, 0.045, 0.049, 0.049])

# metres added to the depth by which shapes are ordered: limbs beside the body cover it, limbs beyond it do not
_TORSO_OFFSET, _ARM_OFFSET, _HEAD_OFFSET = -0.12, -0.13, -0.14


def figure(joints: Joints, look: Look, camera: Camera) -> list[Stroke]:
    """The strokes of a dressed body."""
    artist = _Artist(joints, look, camera)
    return [*artist.legs(), *artist.torso(), *artist.arms(), *artist.head()]


class _Artist:
    """Turns the joints of one person into strokes; it holds what every part needs."""

    def __init__(self, joints: Joints, look: Look, camera: Camera) -> None:
        self.joints, self.look, self.camera = joints, look, camera

    def limb(
        self,
        start: Array,
        end: Array,
        widths: Array,
        color: Array,
        *,
        offset: float = 0.0,
        depth: float | None = None,
        texture: Texture | None = None,
        gloss: float = 0.0,
        has_hem: bool = False,
    ) -> Stroke:
        """A stroke between two world points; ``widths`` in fractions of body height.

        It is ordered by ``depth``, the middle of the two where it is None, plus ``offset`` metres.
        """
        middle = (float(start[2]) + float(end[2])) / 2
        pixels = self.camera.project(np.array([start, end]))
        scale = self.camera.scale(middle) * self.look.height_metres
        at = middle if depth is None else depth
        return Stroke(pixels[0], pixels[1], widths * scale, color, at + offset, texture, gloss, has_hem)

    def legs(self) -> list[Stroke]:
        """Trousers or shorts, shins and shoes."""
        joints, look = self.joints, self.look
        strokes = []
        for side, (hip, knee, ankle) in enumerate(zip(joints.hips, joints.knees, joints.ankles, strict=True)):
            strokes += self._shoe(side)
            if look.long_trousers:
                hem = ankle + 0.08 * (ankle - knee)
                cloth = look.trouser_texture
                strokes.append(
                    self.limb(hem, knee, _TROUSER_LEG * look.bulk, look.trousers, texture=cloth, has_hem=True)
                )
            else:
                strokes.append(self.limb(ankle, knee, _SHIN * look.bulk, look.skin))
            strokes.append(self._thigh(hip, knee))
        return strokes

    def _shoe(self, side: int) -> list[Stroke]:
        joints, color = self.joints, self.look.shoes
        heel, toe = joints.heels[side], joints.toes[side]
        sole = np.array([0.020, 0.022, SOLE_RADIUS])
        return [
            self.limb(joints.ankles[side], heel, np.array([0.024, 0.021]), color, offset=0.01),
            self.limb(heel, toe, sole, color, offset=0.008, gloss=0.05),
        ]

    def _thigh(self, hip: Array, knee: Array) -> Stroke:
        look = self.look
        return self.limb(hip, knee, _THIGH * look.bulk, look.trousers, texture=look.trouser_texture, offset=-0.01)

    def torso(self) -> list[Stroke]:
        """Hips in the color of the trousers, the shirt over them, and its shoulders."""
        joints, look, size = self.joints, self.look, self.look.height_metres
        spine = joints.chest - joints.pelvis
        spine /= np.linalg.norm(spine)
        frontal = abs(float(joints.axes[0][0]))
        widths = look.bulk * np.hypot(_TORSO_FRONT * frontal, _TORSO_SIDE * np.sqrt(1 - frontal**2))
        depth = float(joints.pelvis[2] + joints.chest[2]) / 2
        bottom = joints.pelvis + 0.015 * size * spine
        waist = joints.pelvis + 0.10 * size * spine
        hem = joints.pelvis - 0.005 * size * spine
        neck = joints.chest + 0.010 * size * spine
        left, right = joints.shoulders + 0.004 * size * spine
        front = depth + _TORSO_OFFSET
        return [
            self.limb(bottom, waist, widths[:4] * 0.99, look.trousers, depth=depth, offset=-0.02),
            self.limb(left, right, _YOKE * look.bulk, look.shirt, depth=front),
            self.limb(hem, neck, widths[2:], look.shirt, texture=look.shirt_texture, has_hem=True, depth=front),
        ]

    def arms(self) -> list[Stroke]:
        """Hands, forearms, upper arms and sleeves."""
        joints, look = self.joints, self.look
        strokes = []
        for shoulder, elbow, wrist, tip in zip(
            joints.shoulders, joints.elbows, joints.wrists, joints.fingertips, strict=True
        ):
            strokes.append(self.limb(wrist, tip, _HAND, look.skin, offset=_ARM_OFFSET))
            if look.long_sleeves:
                cloth = look.shirt_texture
                cuff = _SLEEVE * look.bulk
                strokes.append(
                    self.limb(wrist, elbow, cuff, look.shirt, offset=_ARM_OFFSET - 0.004, texture=cloth, has_hem=True)
                )
            else:
                strokes.append(self.limb(wrist, elbow, _FOREARM * look.bulk, look.skin, offset=_ARM_OFFSET - 0.004))
                strokes.append(
                    self.limb(elbow, shoulder, _UPPER_ARM[::-1] * look.bulk, look.skin, offset=_ARM_OFFSET - 0.005)
                )
            strokes.append(self._sleeve(shoulder, elbow))
        return strokes

    def _sleeve(self, shoulder: Array, elbow: Array) -> Stroke:
        """The upper arm of a shirt: to the elbow and on, or a short one with a hem."""
        look = self.look
        end = elbow if look.long_sleeves else shoulder + 0.62 * (elbow - shoulder)
        widths = _UPPER_ARM[::-1] * look.bulk * (1.04 if look.long_sleeves else 1.14)
        return self.limb(
            end, shoulder, widths, look.shirt, offset=_ARM_OFFSET - 0.04, texture=look.shirt_texture,
            has_hem=not look.long_sleeves,
        )  # fmt: skip

    def head(self) -> list[Stroke]:
        """Neck, hair, face. Drawn as one group so that hair and face cover each other by the way the head looks."""
        joints, look = self.joints, self.look
        size = look.height_metres
        up = joints.head_up
        left = joints.axes[0]
        forward = np.cross(up, left)
        depth = float(joints.head[2]) + _HEAD_OFFSET
        facing = -float(forward[2])
        chin = joints.head - 0.030 * size * up + 0.008 * size * forward
        crown = joints.head + 0.016 * size * up
        neck = self.limb(
            joints.chest + 0.006 * size * up, joints.head - 0.03 * size * up, np.array([0.033, 0.030, 0.030]),
            look.skin * 0.82, depth=depth, offset=0.025,
        )  # fmt: skip
        skull = self.limb(chin, crown, _HEAD, look.skin, depth=depth, gloss=0.06)
        return [neck, skull, *self._hair(up, forward, depth, facing), *self._face(up, left, forward, depth)]

    def _hair(self, up: Array, forward: Array, depth: float, facing: float) -> list[Stroke]:
        look, size = self.look, self.look.height_metres
        if look.hair_length == 0:
            return []
        head = self.joints.head
        top = head + 0.030 * size * up - 0.006 * size * forward
        nape = head - 0.020 * size * up - 0.018 * size * forward
        behind = 0.05 if facing > 0 else -0.012  # beyond the shirt, or over it
        fringe = head + 0.038 * size * up + 0.002 * size * forward
        strokes = [
            self.limb(top, nape, np.array([0.049, 0.053, 0.047]), look.hair, depth=depth + behind, gloss=0.05),
            self.limb(fringe - 0.012 * size * forward, fringe + 0.016 * size * forward, np.array([0.040, 0.033]),
                      look.hair, depth=depth - 0.006, gloss=0.08),
        ]  # fmt: skip
        if look.hair_length > 0.2:
            end = nape - (look.hair_length - 0.12) * up - 0.01 * size * forward
            widths = np.array([0.051, 0.052, 0.050, 0.038])
            strokes.append(self.limb(top, end, widths, look.hair, depth=depth + behind + 0.002, gloss=0.05))
        return strokes

    def _face(self, up: Array, left: Array, forward: Array, depth: float) -> list[Stroke]:
        """Eyes and mouth, where the head's own surface turns towards the camera."""
        look, size = self.look, self.look.height_metres
        marks = [
            # left, up, width, half height, color
            (0.0185, 0.004, 0.011, 0.0042, np.array([236.0, 232.0, 226.0])),
            (-0.0185, 0.004, 0.011, 0.0042, np.array([236.0, 232.0, 226.0])),
            (0.0185, 0.004, 0.001, 0.0044, np.array([44.0, 32.0, 28.0])),
            (-0.0185, 0.004, 0.001, 0.0044, np.array([44.0, 32.0, 28.0])),
            (0.0, -0.024, 0.018, 0.0032, look.skin * np.array([0.78, 0.52, 0.5])),
        ]
        strokes = []
        for sideways, upwards, width, half_height, color in marks:
            outward = forward * np.sqrt(0.043**2 - sideways**2) + left * sideways
            if -outward[2] < 0.020:
                continue  # on the far side of the head, or so near its edge that the mark would stand out from it
            centre = self.joints.head + size * (outward + up * upwards)
            reach = left * (width * size / 2)
            strokes.append(
                self.limb(centre - reach, centre + reach, np.full(2, half_height), color, depth=depth - 0.01)
            )
        return strokes
