"""Drawing of detections: onto one frame, or onto a whole video with people interpolated between keyframes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.storage.outputs import check_output
from ava_detect.structures import ActionDetections, Frame
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker, max_gap_seconds
from ava_detect.video.gif import GifWriter
from ava_detect.video.writer import VideoWriter
from ava_detect.visualization.chips import RGBImage
from ava_detect.visualization.motion import TrackInterpolator, at_constant_rate, output_fps
from ava_detect.visualization.painter import Painter

_MIN_SCORE, _MAX_ACTIONS = 0.3, 3


@dataclass(frozen=True)
class DrawOptions:
    """How the detections of a video are drawn; shared by ``draw_video``, ``draw_gif`` and ``write_contact_sheet``.

    Attributes:
        ground_truth: Keyframes with the true people, in time order; actions with a score above 0 are true. Without
            ground truth, and at times without it, nothing is marked as right or wrong.
        min_score: Least score of a drawn action, 0..1.
        max_actions: Most actions on the chip of one person.
        banner: Text across the top of every frame; empty for none.
        keyframe_seconds: Usual spacing of keyframes, seconds. A person who is on one keyframe only is shown for half
            of it before and after.
        cuts_seconds: Times of the video's hard cuts, seconds, rising (``VideoRun.cuts_seconds``); boxes are not
            carried across them.

    Raises:
        AvaDetectError: ``keyframe_seconds`` is not above 0.
    """

    ground_truth: Sequence[ActionDetections] = ()
    min_score: float = _MIN_SCORE
    max_actions: int = _MAX_ACTIONS
    banner: str = ""
    keyframe_seconds: float = 1.0
    cuts_seconds: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Check the spacing; ``Painter`` checks ``max_actions``."""
        if not self.keyframe_seconds > 0:
            raise AvaDetectError(f"keyframe_seconds must be above 0, got {self.keyframe_seconds}")


def draw_detections(
    image: RGBImage,
    detections: ActionDetections,
    label_map: LabelMap,
    *,
    ground_truth: ActionDetections | None = None,
    min_score: float = _MIN_SCORE,
    max_actions: int = _MAX_ACTIONS,
    banner: str = "",
) -> RGBImage:
    """Draw the people of a keyframe onto a copy of its frame: boxes, their best actions, and the time.

    Chips never overlap: in a dense crowd some have fewer rows, and some boxes have no chip. Colours and numbers are
    those of the tracks; without track ids the colours only tell the people apart.

    With ground truth a solid box matches a true person and a dashed box does not; true boxes are dotted white, with
    a heavy line where no box matches them. Actions end in a tick (right), a cross (wrong) or a ring (true, but below
    ``min_score``).

    Args:
        image: The frame, uint8 RGB ``[H, W, 3]``.
        detections: The people of the keyframe.
        label_map: Names and kinds of the actions.
        ground_truth: The true people; an action with a score above 0 is true.
        min_score: Least score of a drawn action, 0..1.
        max_actions: Most actions on the chip of one person, best first.
        banner: Text across the top; empty for none.

    Returns:
        The drawn frame, uint8 RGB ``[H, W, 3]``.

    Raises:
        AvaDetectError: ``image`` is of another kind, ``max_actions`` is negative, or a drawn action is not in
            ``label_map``.

    Example:
        >>> drawn = draw_detections(frame.image, keyframe, LabelMap.ava(), min_score=0.5)
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise AvaDetectError(f"image must be uint8 RGB [H, W, 3], got {image.dtype} {list(image.shape)}")
    drawn = image.copy()
    painter = Painter(label_map, min_score, max_actions, banner)
    painter.paint(drawn, detections.timestamp_seconds, detections, ground_truth)
    return drawn


def draw_video(
    frames: Iterable[Frame],
    detections: Iterable[ActionDetections],
    path: str | Path,
    fps: float | Fraction,
    label_map: LabelMap,
    options: DrawOptions | None = None,
) -> int:
    """Write an mp4 in which the people of the keyframes are drawn on every frame.

    Boxes move linearly from keyframe to keyframe, and the actions are those of the nearer keyframe. Frames and
    detections may be streams; memory does not grow with their length.

    Args:
        frames: Frames of the video in time order. They are repeated or dropped by their times, so that the output
            plays at the right speed.
        detections: Keyframes of the video in time order. Keyframes without track ids are linked.
        path: Path of the mp4.
        fps: Average frame rate of the video; the output has this constant rate, at most 60.
        label_map: Names and kinds of the actions.
        options: How the detections are drawn; None for the defaults.

    Returns:
        Number of frames written.

    Raises:
        VideoError: There is no frame.
        AvaDetectError: Frames or keyframes are not in time order, or a drawn action is not in ``label_map``.
    """
    options = options or DrawOptions()
    check_output(path, {"frames": getattr(frames, "path", None)}, parameter="path")
    fps = output_fps(fps)
    with VideoWriter(path, fps) as writer:
        num_frames = 0
        for image in _drawn_images(at_constant_rate(frames, fps), detections, label_map, options):
            writer.write(image)
            num_frames += 1
        _require_frames(num_frames, path)
    return num_frames


def draw_gif(
    frames: Iterable[Frame],
    detections: Iterable[ActionDetections],
    path: str | Path,
    label_map: LabelMap,
    options: DrawOptions | None = None,
    *,
    fps: float | Fraction = 8,
    long_side: int = 480,
) -> int:
    """Write the same drawing as ``draw_video`` as an animated GIF, which image viewers and documents can show.

    Memory does not grow with the length. The file does, by about 0.6 MB per second of video at 480 pixels.

    Args:
        frames: Frames of the video in time order.
        detections: Keyframes of the video in time order. Keyframes without track ids are linked.
        path: Path of the GIF.
        label_map: Names and kinds of the actions.
        options: How the detections are drawn; None for the defaults.
        fps: Constant frame rate of the output, at most 50.
        long_side: Longer side of the output, pixels. Larger frames are reduced before they are drawn on, so that
            text stays legible.

    Returns:
        Number of frames written.

    Raises:
        VideoError: There is no frame.
        AvaDetectError: Frames or keyframes are not in time order, or a drawn action is not in ``label_map``.
    """
    options = options or DrawOptions()
    check_output(path, {"frames": getattr(frames, "path", None)}, parameter="path")
    with GifWriter(path, fps) as writer:
        num_frames = 0
        resized = (_reduced(frame, long_side) for frame in at_constant_rate(frames, fps))
        for image in _drawn_images(resized, detections, label_map, options):
            writer.write(image)
            num_frames += 1
        _require_frames(num_frames, path)
    return num_frames


def _drawn_images(
    frames: Iterable[Frame], detections: Iterable[ActionDetections], label_map: LabelMap, options: DrawOptions
) -> Iterator[RGBImage]:
    """Draw onto a copy of each frame; a frame that is repeated is drawn anew."""
    painter = Painter(label_map, options.min_score, options.max_actions, options.banner)
    found, truth = (
        TrackInterpolator(_linked(keyframes, options.keyframe_seconds), options.keyframe_seconds, options.cuts_seconds)
        for keyframes in (detections, options.ground_truth)
    )
    for frame in frames:
        image, now = frame.image.copy(), frame.timestamp_seconds
        painter.paint(image, now, found.at(now), truth.at(now))
        yield image


def _linked(keyframes: Iterable[ActionDetections], keyframe_seconds: float) -> Iterator[ActionDetections]:
    """Add track ids to the keyframes that have none."""
    linker = Linker(max_gap_seconds(keyframe_seconds))
    for keyframe in keyframes:
        yield keyframe if keyframe.track_ids is not None else linker.update(keyframe)


def _reduced(frame: Frame, long_side: int) -> Frame:
    """Reduce a frame so that its longer side has ``long_side`` pixels; smaller frames stay as they are."""
    height, width = frame.image.shape[:2]
    factor = long_side / max(width, height)
    if factor >= 1:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    image = np.asarray(Image.fromarray(frame.image).resize(size, Image.Resampling.BOX))
    return Frame(image, frame.timestamp_seconds, frame.video_id)


def _require_frames(num_frames: int, path: str | Path) -> None:
    if not num_frames:
        raise VideoError(f"{path}: there is no frame to draw on; check that the file has a video stream")
