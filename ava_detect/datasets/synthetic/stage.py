"""From a planned shot and a time to a picture, with the exact boxes of everybody in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.datasets.synthetic import props
from ava_detect.datasets.synthetic.actions import LIE
from ava_detect.datasets.synthetic.backdrop import paint_backdrop
from ava_detect.datasets.synthetic.camera import Camera
from ava_detect.datasets.synthetic.clutter import Moving, Sprite, build_clutter
from ava_detect.datasets.synthetic.drawing import Layer, Plate, Shape, drop_shadow
from ava_detect.datasets.synthetic.figure import figure
from ava_detect.datasets.synthetic.scene import Actor, Shot
from ava_detect.datasets.synthetic.skeleton import Joints, joints_of

Array = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

MIN_VISIBLE_SHARE = 0.5  # somebody of whom less can be seen is not in the ground truth
GRAIN = 2.2  # standard deviation of the film grain, in grey levels
UNREST = 0.006  # how far a hand-held camera strays, in frame heights


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """Somebody on a frame: ``box_xyxy`` in pixels, tight around the figure and cut at the frame; AVA action ids.

    The box holds what others hide of the figure. ``visible_share``: how much of the figure is in the frame and not
    hidden, 0.5 to 1.
    """

    person_id: int
    box_xyxy: Array
    action_ids: tuple[int, ...]
    visible_share: float


class Stage:
    """One shot, ready to be filmed. Painting the backdrop is the slow part, so it is done once."""

    def __init__(self, shot: Shot, width: int, height: int) -> None:
        self.shot, self.width, self.height = shot, width, height
        rng = np.random.default_rng([shot.seed, 2])
        path = (0.0, shot.camera_speed * (shot.end_seconds - shot.start_seconds))
        self._backdrop = paint_backdrop(
            shot.place, shot.camera, width=width, height=height, wall_metres=shot.wall_metres, path_metres=path, rng=rng
        )
        self._clutter = [build_clutter(clutter, shot.camera, shot.light) for clutter in shot.clutter]
        self._unrest_phases = rng.uniform(0, 2 * np.pi, (2, 3))
        self._grain = rng.normal(0, GRAIN, (height + 64, width + 64)).astype(np.float32)
        self._exposure = (shot.tint[:, None, None] * _vignette(width, height)).astype(np.float32)

    def film(self, seconds: float) -> tuple[npt.NDArray[np.uint8], list[SeenPerson]]:
        """The picture, uint8 RGB ``[H, W, 3]``, and who is in it, at a time of the movie within the shot."""
        camera, unrest = self._camera(seconds)
        plate = Plate(self._backdrop.view(camera.x_metres, unrest))
        since = seconds - self.shot.start_seconds
        figures: dict[int, Layer] = {}
        for thing in sorted([*self.shot.actors, *self._clutter], key=_depth, reverse=True):
            if isinstance(thing, Actor):
                figures[thing.person_id] = self._put(plate, thing, camera, seconds)
            else:
                plate.put(thing.layer(camera, since))
        return self._developed(plate.frame, seconds), list(self._seen(plate, figures, seconds))

    def _seen(self, plate: Plate, figures: dict[int, Layer], seconds: float) -> Iterator[SeenPerson]:
        """Those of whom enough can be seen, in the order of their ids."""
        for actor in self.shot.actors:
            box, share = plate.box_and_visible_share(figures[actor.person_id], actor.person_id)
            if share >= MIN_VISIBLE_SHARE:
                yield SeenPerson(actor.person_id, box, actor.activity_at(seconds).action_ids, share)

    def _camera(self, seconds: float) -> tuple[Camera, tuple[float, float]]:
        """The camera with its unrest, and the unrest in pixels right and down."""
        rates = np.array([0.37, 0.83, 1.9])
        strength = np.array([1.0, 0.45, 0.12])
        waves = np.sin(2 * np.pi * rates * seconds + self._unrest_phases) @ strength
        right, down = (waves * UNREST * self.height * [0.6, 0.4]).tolist()
        still = self.shot.camera_at(seconds)
        moved = replace(still, centre_pixels=still.centre_pixels + right, horizon_pixels=still.horizon_pixels + down)
        return moved, (right, down)

    def _put(self, plate: Plate, actor: Actor, camera: Camera, seconds: float) -> Layer:
        """Draw one actor with furniture, shadow and what is in the hands; the figure's layer."""
        pose, yaw = actor.pose_at(seconds)
        joints = joints_of(pose, actor.look.height_metres, actor.ground_at(seconds), yaw)
        activity, light, color = actor.activity_at(seconds), self.shot.light, actor.prop_color
        ground, size = joints.pelvis[[0, 2]], actor.look.height_metres
        if activity.pose == LIE:
            plate.put(Layer.of_shapes(props.mat(camera, ground, 1.15 * size, yaw, color, light), light))
        self._shadow(plate.frame, actor, camera, joints)
        if actor.needs_seat:
            seat = float(joints.pelvis[1]) - 0.055 * size
            plate.put(Layer.of_shapes(props.chair(camera, ground, seat, yaw, color, light), light))
        shapes: list[Shape] = list(figure(joints, actor.look, camera))
        if activity.gesture in props.HELD:
            hand = 0 if actor.style.left_handed else 1
            shapes += props.HELD[activity.gesture](camera, joints, hand, yaw, color, light)
        layer = Layer.of_shapes(shapes, light)
        plate.put(layer, actor.person_id)
        return layer

    def _shadow(self, frame: FloatImage, actor: Actor, camera: Camera, joints: Joints) -> None:
        below = joints.ankles.mean(axis=0) * [1, 0, 1]
        scale = camera.scale(float(below[2])) * actor.look.height_metres
        lift = float(joints.toes[:, 1].min())
        spread = 0.17 + float(np.abs(joints.ankles[0] - joints.ankles[1])[0]) / 2
        drop_shadow(frame, camera.project(below), (spread * scale, 0.055 * scale), 0.5 / (1 + 3 * lift))

    def _developed(self, frame: FloatImage, seconds: float) -> npt.NDArray[np.uint8]:
        """Light fall-off, tint and film grain."""
        frame *= self._exposure
        top, left = np.random.default_rng([self.shot.seed, 3, round(seconds * 1000)]).integers(0, 64, 2)
        frame += self._grain[top : top + self.height, left : left + self.width]
        np.clip(frame, 0, 255, out=frame)
        picture = np.empty((self.height, self.width, 3), np.uint8)
        for channel, plane in enumerate(frame):
            picture[..., channel] = plane
        return picture


def _depth(thing: Actor | Sprite | Moving) -> float:
    """Metres from the camera; whoever walks does so across the picture."""
    return float(thing.ground[1]) if isinstance(thing, Actor) else thing.clutter.z_metres


def _vignette(width: int, height: int) -> Array:
    """Brightness factors ``[H, W]``: corners a little darker than the middle."""
    x = np.linspace(-1, 1, width)[None, :]
    y = np.linspace(-1, 1, height)[:, None]
    result: Array = 1.0 - 0.09 * (x**2 + y**2)
    return result
