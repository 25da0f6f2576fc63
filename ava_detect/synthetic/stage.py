"""From a planned shot and a time to a picture, with the exact boxes of everybody in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ava_detect.synthetic import props
from ava_detect.synthetic.actions import CARRY
from ava_detect.synthetic.backdrop import paint_backdrop
from ava_detect.synthetic.camera import Camera
from ava_detect.synthetic.drawing import Layer, Shape, drop_shadow
from ava_detect.synthetic.figure import figure
from ava_detect.synthetic.scene import Actor, Shot
from ava_detect.synthetic.skeleton import Joints, joints_of

Array = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

MIN_VISIBLE_SHARE = 0.35  # somebody of whom less is inside the frame is not in the ground truth
GRAIN = 2.2  # standard deviation of the film grain, in grey levels
UNREST = 0.006  # how far a hand-held camera strays, in frame heights


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """Somebody on a frame: ``box_xyxy`` in pixels, tight around the figure and cut at the frame; AVA action ids."""

    person_id: int
    box_xyxy: Array
    action_ids: tuple[int, ...]


class Stage:
    """One shot, ready to be filmed. Painting the backdrop is the slow part, so it is done once."""

    def __init__(self, shot: Shot, width: int, height: int) -> None:
        self.shot, self.width, self.height = shot, width, height
        rng = np.random.default_rng([shot.seed, 2])
        path = (0.0, shot.camera_speed * (shot.end_seconds - shot.start_seconds))
        self._backdrop = paint_backdrop(
            shot.place, shot.camera, width=width, height=height, wall_metres=shot.wall_metres, path_metres=path, rng=rng
        )
        self._unrest_phases = rng.uniform(0, 2 * np.pi, (2, 3))
        self._grain = rng.normal(0, GRAIN, (height + 64, width + 64)).astype(np.float32)
        self._exposure = (_vignette(width, height)[..., None] * shot.tint).astype(np.float32)

    def film(self, seconds: float) -> tuple[npt.NDArray[np.uint8], list[SeenPerson]]:
        """The picture, uint8 RGB ``[H, W, 3]``, and who is in it, at a time of the movie within the shot."""
        camera, unrest = self._camera(seconds)
        frame = self._backdrop.view(camera.x_metres, unrest)
        seen = []
        for actor in sorted(self.shot.actors, key=lambda actor: -actor.ground[1]):
            person = self._put(frame, actor, camera, seconds)
            if person is not None:
                seen.append(person)
        return self._developed(frame, seconds), sorted(seen, key=lambda person: person.person_id)

    def _camera(self, seconds: float) -> tuple[Camera, tuple[float, float]]:
        """The camera with its unrest, and the unrest in pixels right and down."""
        rates = np.array([0.37, 0.83, 1.9])
        strength = np.array([1.0, 0.45, 0.12])
        waves = np.sin(2 * np.pi * rates * seconds + self._unrest_phases) @ strength
        right, down = (waves * UNREST * self.height * [0.6, 0.4]).tolist()
        still = self.shot.camera_at(seconds)
        moved = replace(still, centre_pixels=still.centre_pixels + right, horizon_pixels=still.horizon_pixels + down)
        return moved, (right, down)

    def _put(self, frame: FloatImage, actor: Actor, camera: Camera, seconds: float) -> SeenPerson | None:
        """Draw one actor with chair and shadow onto ``frame``; None when too little of the figure is inside."""
        pose, yaw = actor.pose_at(seconds)
        joints = joints_of(pose, actor.look.height_metres, actor.ground_at(seconds), yaw)
        self._shadow(frame, actor, camera, joints)
        light = self.shot.light
        if actor.needs_seat:
            seat = float(joints.pelvis[1]) - 0.055 * actor.look.height_metres
            ground = joints.pelvis[[0, 2]]
            Layer.of_shapes(props.chair(camera, ground, seat, yaw, actor.prop_color, light), light).blend_onto(frame)
        activity = actor.activity_at(seconds)
        shapes: list[Shape] = list(figure(joints, actor.look, camera))
        if activity.gesture == CARRY:
            shapes += props.carried_box(camera, joints, yaw, actor.prop_color, light)
        layer = Layer.of_shapes(shapes, light)
        layer.blend_onto(frame)
        box, share = layer.silhouette_box(self.width, self.height)
        return SeenPerson(actor.person_id, box, activity.action_ids) if share >= MIN_VISIBLE_SHARE else None

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
        frame += self._grain[top : top + self.height, left : left + self.width, None]
        return np.clip(frame, 0, 255, out=frame).astype(np.uint8)


def _vignette(width: int, height: int) -> Array:
    """Brightness factors ``[H, W]``: corners a little darker than the middle."""
    x = np.linspace(-1, 1, width)[None, :]
    y = np.linspace(-1, 1, height)[:, None]
    result: Array = 1.0 - 0.09 * (x**2 + y**2)
    return result
