"""Film a planned shot: from a time to an image and the exact boxes of the people in it.

Shapes: H height, W width of the frames.
"""

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
from ava_detect.datasets.synthetic.drawing import Canvas, Layer, Shape, drop_shadow
from ava_detect.datasets.synthetic.figure import figure
from ava_detect.datasets.synthetic.scene import Actor, Shot
from ava_detect.datasets.synthetic.skeleton import Joints, joints_of

Array = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

MIN_VISIBLE_SHARE = 0.5  # least visible share of a person in the ground truth
GRAIN = 2.2  # standard deviation of the film grain, in grey levels
SHAKE = 0.006  # amplitude of the camera shake, in frame heights
_GRAIN_MARGIN = 64  # pixels by which the grain image is larger than the frame


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """A person on a frame.

    Attributes:
        person_id: The person, unique within the movie.
        box_xyxy: Box in pixels ``[4]``, tight around the figure, including hidden parts, and clipped to the frame.
        action_ids: AVA ids of the person's actions.
        visible_share: Share of the figure that is inside the frame and not hidden, 0.5 to 1.
    """

    person_id: int
    box_xyxy: Array
    action_ids: tuple[int, ...]
    visible_share: float


class Stage:
    """One shot, ready to be filmed. Painting the backdrop is slow, so it is done once.

    Attributes:
        shot: The shot.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.
    """

    def __init__(self, shot: Shot, width: int, height: int) -> None:
        """Paint what does not change during the shot.

        Args:
            shot: The shot.
            width: Width of the frames in pixels.
            height: Height of the frames in pixels.
        """
        self.shot, self.width, self.height = shot, width, height
        rng = np.random.default_rng([shot.seed, 2])
        path = (0.0, shot.camera_speed * (shot.end_seconds - shot.start_seconds))
        self._backdrop = paint_backdrop(
            shot.location,
            shot.camera,
            width=width,
            height=height,
            wall_metres=shot.wall_metres,
            path_metres=path,
            rng=rng,
        )
        self._clutter = [build_clutter(clutter, shot.camera, shot.light) for clutter in shot.clutter]
        self._shake_phases = rng.uniform(0, 2 * np.pi, (2, 3))  # [right and down, waves]
        self._grain = rng.normal(0, GRAIN, (height + _GRAIN_MARGIN, width + _GRAIN_MARGIN)).astype(np.float32)
        self._exposure = (shot.tint[:, None, None] * _vignette(width, height)).astype(np.float32)  # [3, H, W]

    def film(self, seconds: float) -> tuple[npt.NDArray[np.uint8], list[SeenPerson]]:
        """Render one frame.

        Args:
            seconds: Time of the movie, within the shot.

        Returns:
            The frame, uint8 RGB ``[H, W, 3]``, and the people that are visible on it.
        """
        camera, shake = self._camera(seconds)
        canvas = Canvas(self._backdrop.view(camera.x_metres, shake))
        since = seconds - self.shot.start_seconds
        # Draw people and things from the farthest to the nearest.
        figures: dict[int, Layer] = {}
        for thing in sorted([*self.shot.actors, *self._clutter], key=_depth, reverse=True):
            if isinstance(thing, Actor):
                figures[thing.person_id] = self._draw_actor(canvas, thing, camera, seconds)
            else:
                canvas.blend(thing.layer(camera, since))
        return self._exposed(canvas.frame, seconds), list(self._visible_people(canvas, figures, seconds))

    def _visible_people(self, canvas: Canvas, figures: dict[int, Layer], seconds: float) -> Iterator[SeenPerson]:
        """Yield the people that are visible enough, in the order of their ids."""
        for actor in self.shot.actors:
            box, share = canvas.box_and_visible_share(figures[actor.person_id], actor.person_id)
            if share >= MIN_VISIBLE_SHARE:
                yield SeenPerson(actor.person_id, box, actor.activity_at(seconds).action_ids, share)

    def _camera(self, seconds: float) -> tuple[Camera, tuple[float, float]]:
        """Return the shaken camera, and the shake in pixels right and down."""
        # A sum of three slow sine waves per direction.
        rates = np.array([0.37, 0.83, 1.9])  # hertz
        strength = np.array([1.0, 0.45, 0.12])
        waves = np.sin(2 * np.pi * rates * seconds + self._shake_phases) @ strength  # [2]
        right, down = (waves * SHAKE * self.height * [0.6, 0.4]).tolist()
        still = self.shot.camera_at(seconds)
        moved = replace(still, centre_pixels=still.centre_pixels + right, horizon_pixels=still.horizon_pixels + down)
        return moved, (right, down)

    def _draw_actor(self, canvas: Canvas, actor: Actor, camera: Camera, seconds: float) -> Layer:
        """Draw an actor with furniture, shadow and held things, and return the layer of the figure."""
        pose, yaw = actor.pose_at(seconds)
        joints = joints_of(pose, actor.look.height_metres, actor.ground_at(seconds), yaw)
        activity, light, color = actor.activity_at(seconds), self.shot.light, actor.prop_color
        ground, size = joints.pelvis[[0, 2]], actor.look.height_metres
        # Behind the figure: mattress, shadow, chair.
        if activity.pose == LIE:
            canvas.blend(Layer.of_shapes(props.mat(camera, ground, 1.15 * size, yaw, color, light), light))
        self._draw_shadow(canvas.frame, actor, camera, joints)
        if actor.needs_seat:
            seat = float(joints.pelvis[1]) - 0.055 * size
            canvas.blend(Layer.of_shapes(props.chair(camera, ground, seat, yaw, color, light), light))
        # The figure and what it holds share a layer, since they cover parts of each other.
        shapes: list[Shape] = list(figure(joints, actor.look, camera))
        if activity.gesture in props.HELD:
            hand = 0 if actor.style.left_handed else 1
            shapes += props.HELD[activity.gesture](camera, joints, hand, yaw, color, light)
        layer = Layer.of_shapes(shapes, light)
        canvas.blend(layer, actor.person_id)
        return layer

    def _draw_shadow(self, frame: FloatImage, actor: Actor, camera: Camera, joints: Joints) -> None:
        """Darken the ground below the feet; the shadow widens with the stride and fades with the lift."""
        below = joints.ankles.mean(axis=0) * [1, 0, 1]  # [3], on the ground
        scale = camera.scale(float(below[2])) * actor.look.height_metres  # pixels per body height
        lift = float(joints.toes[:, 1].min())  # metres
        spread = 0.17 + float(np.abs(joints.ankles[0] - joints.ankles[1])[0]) / 2
        drop_shadow(frame, camera.project(below), (spread * scale, 0.055 * scale), 0.5 / (1 + 3 * lift))

    def _exposed(self, frame: FloatImage, seconds: float) -> npt.NDArray[np.uint8]:
        """Apply vignette, tint and film grain to ``frame [3, H, W]`` in place, and return uint8 ``[H, W, 3]``."""
        frame *= self._exposure
        # The grain of a frame is a random window of one larger image.
        rng = np.random.default_rng([self.shot.seed, 3, round(seconds * 1000)])
        top, left = rng.integers(0, _GRAIN_MARGIN, 2)
        frame += self._grain[top : top + self.height, left : left + self.width]
        np.clip(frame, 0, 255, out=frame)
        image = np.empty((self.height, self.width, 3), np.uint8)
        for channel, plane in enumerate(frame):
            image[..., channel] = plane
        return image


def _depth(thing: Actor | Sprite | Moving) -> float:
    """Return metres from the camera; nothing moves towards it."""
    return float(thing.ground[1]) if isinstance(thing, Actor) else thing.clutter.z_metres


def _vignette(width: int, height: int) -> Array:
    """Return brightness factors ``[H, W]``: corners are a little darker than the middle."""
    x = np.linspace(-1, 1, width)[None, :]
    y = np.linspace(-1, 1, height)[:, None]
    result: Array = 1.0 - 0.09 * (x**2 + y**2)
    return result
