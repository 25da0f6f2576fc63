"""Drawing detections: one keyframe onto its picture, or a whole video with people followed between keyframes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.structures import ActionDetections, Frame
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker
from ava_detect.video.gif import GifWriter
from ava_detect.video.writer import VideoWriter
from ava_detect.visualization.chips import Picture
from ava_detect.visualization.motion import Timeline, at_constant_rate
from ava_detect.visualization.painter import Painter

_MIN_SCORE, _MAX_ACTIONS = 0.3, 3


def draw_detections(
    image: Picture,
    detections: ActionDetections,
    label_map: LabelMap,
    *,
    ground_truth: ActionDetections | None = None,
    min_score: float = _MIN_SCORE,
    max_actions: int = _MAX_ACTIONS,
    banner: str = "",
) -> Picture:
    """A copy of a keyframe's picture with its people: boxes, their likeliest actions, and the time.

    ``image``: uint8 RGB ``[H, W, 3]``. A chip shows at most ``max_actions`` actions with a score of at least
    ``min_score``, best first, fewer where there is no room; chips never overlap, so that somebody in a dense
    crowd may have a box alone, as has somebody without such an action. Colours and numbers are those of the
    tracks; without track ids the colours only tell the people apart. ``banner``: a line across the top.

    ``ground_truth``: who is truly there, and what they do (a score above 0). Then a solid box is somebody's and a
    dashed one nobody's, true boxes are dotted white, heavily where nobody's box is theirs, and actions end in a tick
    (right), a cross (wrong) or a ring (true, and below ``min_score``).
    Raises ``AvaDetectError`` when a drawn action is not in ``label_map``.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise AvaDetectError(f"image must be uint8 RGB [H, W, 3], got {image.dtype} {list(image.shape)}")
    picture = image.copy()
    painter = Painter(label_map, min_score, max_actions, banner)
    painter.paint(picture, detections.timestamp_seconds, detections, ground_truth)
    return picture


def draw_video(
    frames: Iterable[Frame],
    detections: Iterable[ActionDetections],
    path: str | Path,
    fps: float | Fraction,
    label_map: LabelMap,
    *,
    ground_truth: Iterable[ActionDetections] | None = None,
    min_score: float = _MIN_SCORE,
    max_actions: int = _MAX_ACTIONS,
    banner: str = "",
    keyframe_seconds: float = 1.0,
    cuts_seconds: Sequence[float] = (),
) -> int:
    """Write an mp4 in which the people of the keyframes are followed through every frame; returns its frame count.

    ``frames``: a video's, in time order; they are repeated or dropped by their times, so that the constant
    ``fps`` plays at the right speed. ``detections``: the keyframes of that video, in time order, linked or not
    (then they are linked here); both may be streams, and memory does not grow with their length. Boxes
    move in a straight line from keyframe to keyframe, and the actions are the nearest keyframe's.
    ``ground_truth``: likewise, keyframes with the true people; where it has none nothing is judged.
    ``keyframe_seconds``: the usual spacing of keyframes; people who are not on the next keyframe are held for
    half of it. ``cuts_seconds``: when hard cuts are, rising (``VideoRun.cuts_seconds``): nobody is carried across one.
    The other settings are those of ``draw_detections``. Raises ``VideoError`` when there is no frame
    and ``AvaDetectError`` when either stream is out of order.
    """
    painter = Painter(label_map, min_score, max_actions, banner)
    found, truth = _timelines(detections, ground_truth, keyframe_seconds, cuts_seconds)
    with VideoWriter(path, fps) as writer:
        num_frames = 0
        for picture in _drawn(at_constant_rate(frames, fps), painter, found, truth):
            writer.write(picture)
            num_frames += 1
        _require_frames(num_frames, path)
    return num_frames


def draw_gif(
    frames: Iterable[Frame],
    detections: Iterable[ActionDetections],
    path: str | Path,
    label_map: LabelMap,
    *,
    fps: float | Fraction = 8,
    long_side: int = 480,
    ground_truth: Iterable[ActionDetections] | None = None,
    min_score: float = _MIN_SCORE,
    max_actions: int = _MAX_ACTIONS,
    banner: str = "",
    keyframe_seconds: float = 1.0,
    cuts_seconds: Sequence[float] = (),
) -> int:
    """The same as an animated GIF, which plays wherever a picture is shown; returns its frame count.

    ``long_side``: frames are shrunk to it, pixels, before they are drawn on, so that text stays legible. ``fps``: at
    most 50. Memory does not grow with the length; the file does, by about 0.6 MB a second at 480 pixels.
    """
    painter = Painter(label_map, min_score, max_actions, banner)
    found, truth = _timelines(detections, ground_truth, keyframe_seconds, cuts_seconds)
    with GifWriter(path, fps) as writer:
        num_frames = 0
        shrunk = (_shrunk(frame, long_side) for frame in at_constant_rate(frames, fps))
        for picture in _drawn(shrunk, painter, found, truth):
            writer.write(picture)
            num_frames += 1
        _require_frames(num_frames, path)
    return num_frames


def _timelines(
    detections: Iterable[ActionDetections],
    ground_truth: Iterable[ActionDetections] | None,
    keyframe_seconds: float,
    cuts_seconds: Sequence[float],
) -> tuple[Timeline, Timeline | None]:
    if not keyframe_seconds > 0:
        raise AvaDetectError(f"keyframe_seconds must be above 0, got {keyframe_seconds}")
    found, truth = (
        None if keyframes is None else Timeline(_linked(keyframes, keyframe_seconds), keyframe_seconds, cuts_seconds)
        for keyframes in (detections, ground_truth)
    )
    assert found is not None, "there are detections, if only no keyframe"
    return found, truth


def _drawn(frames: Iterable[Frame], painter: Painter, found: Timeline, truth: Timeline | None) -> Iterator[Picture]:
    for frame in frames:
        picture, now = frame.image.copy(), frame.timestamp_seconds
        painter.paint(picture, now, found.at(now), None if truth is None else truth.at(now))
        yield picture


def _linked(detections: Iterable[ActionDetections], keyframe_seconds: float) -> Iterator[ActionDetections]:
    linker = Linker(2.5 * keyframe_seconds)
    for keyframe in detections:
        yield keyframe if keyframe.track_ids is not None else linker.update(keyframe)


def _shrunk(frame: Frame, long_side: int) -> Frame:
    height, width = frame.image.shape[:2]
    factor = long_side / max(width, height)
    if factor >= 1:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = np.asarray(Image.fromarray(frame.image).resize(size, Image.Resampling.BOX))
    return Frame(image, frame.timestamp_seconds, frame.video_id)


def _require_frames(num_frames: int, path: str | Path) -> None:
    if not num_frames:
        raise VideoError(f"{path}: there is no frame to draw on; check that the video holds a picture")
