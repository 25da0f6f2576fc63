"""The protocol of a person detector: frames in, the persons on each frame out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ava_detect.errors import DetectorError, shown, suggestion
from ava_detect.interface.deprecation import PERSON_CLASS
from ava_detect.structures import Frame, PersonBoxes

Image = npt.NDArray[np.uint8]
Converters = Mapping[str, Callable[[str], Any]]

# Far above any detector's input; larger ones would only fill the memory.
_MAX_SIDE = 8192
_MAX_BATCH = 8
# Options that were renamed: the former name means the same.
_FORMER_NAMES = {"person_class": PERSON_CLASS}


@runtime_checkable
class PersonDetector(Protocol):
    """Finds the persons on a batch of frames.

    Attributes:
        name: Name of the detector and its weights, written into every summary.
        needs_images: Whether the detector reads pixels. Where it does not, the caller may pass frames of any size.
    """

    name: str
    needs_images: bool

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """Find the persons on each frame; the result for a frame does not depend on the others in the batch.

        Args:
            frames: Frames, or uint8 RGB images ``[H, W, 3]``; their sizes may differ.

        Returns:
            One ``PersonBoxes`` per frame, in pixels of that frame's image, inside the frame, best score first.

        Raises:
            DetectorError: A frame cannot be used.
        """
        ...


@runtime_checkable
class ListedPeople(Protocol):
    """A detector that looks people up by video and time, and can tell that it lists none of a video's keyframes."""

    def mismatch(self, video_id: str, keyframes_seconds: npt.ArrayLike) -> str:
        """Describe why a video has no person at all.

        Args:
            video_id: The video.
            keyframes_seconds: Times of its keyframes from the start of the file, in seconds, ascending.

        Returns:
            A sentence with the ranges of both; empty where a keyframe is listed, with people or without.
        """
        ...


def find_people(detector: PersonDetector, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
    """Call a detector of any origin, and check what it returns.

    Args:
        detector: The detector.
        frames: As the detector takes them.

    Returns:
        One ``PersonBoxes`` per frame.

    Raises:
        DetectorError: The detector raises it, or returns another number of results, or scores outside 0..1.
    """
    found = list(detector(frames))
    if len(found) != len(frames):
        raise DetectorError(f"detector {shown(detector.name)}: {len(found)} results for {len(frames)} frames")
    for frame, people in zip(frames, found, strict=True):
        outside = (people.scores < 0) | (people.scores > 1)
        if outside.any():
            where = f" in {shown(frame.video_id)} at {frame.timestamp_seconds:g} s" if isinstance(frame, Frame) else ""
            raise DetectorError(
                f"detector {shown(detector.name)}: scores lie in 0..1, got {people.scores[outside][0]:g}{where}"
            )
    return found


def images_of(frames: Sequence[Frame | Image]) -> list[Image]:
    """Return the images of frames.

    Args:
        frames: Frames, or images themselves.

    Returns:
        One uint8 RGB image ``[H, W, 3]`` per frame.

    Raises:
        DetectorError: An image has another shape or type, or no pixel.
    """
    images = [frame.image if isinstance(frame, Frame) else frame for frame in frames]
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise DetectorError(
                f"a frame must be uint8 RGB [H, W, 3] with at least one pixel, got {image.dtype} {list(image.shape)}"
            )
    return images


class BatchDetector(ABC):
    """A detector whose network takes images of one size together; each library's detector says how, in ``_run``.

    Networks pad a batch to its largest image: with mixed sizes one result would depend on the other images.

    Attributes:
        name: Name of the detector and its weights.
        needs_images: True: it reads pixels.
    """

    name: str
    needs_images: bool = True

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """Find the persons on each frame, in batches of at most 8 frames of one size.

        Args:
            frames: Frames, or uint8 RGB images ``[H, W, 3]``; their sizes may differ.

        Returns:
            One ``PersonBoxes`` per frame, in pixels of the frame, best score first.

        Raises:
            DetectorError: A frame is not a uint8 RGB image.
        """
        images = images_of(frames)
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            by_size[image.shape].append(index)
        people: dict[int, PersonBoxes] = {}
        for indices in by_size.values():
            for start in range(0, len(indices), _MAX_BATCH):
                batch = indices[start : start + _MAX_BATCH]
                people |= zip(batch, self._run([images[index] for index in batch]), strict=True)
        return [people[index] for index in range(len(images))]

    @abstractmethod
    def _run(self, images: Sequence[Image]) -> Sequence[PersonBoxes]:
        """Find the persons on images ``[H, W, 3]`` of one size: one result per image, in their order."""


def read_options(texts: Mapping[str, str], converters: Converters, where: str) -> dict[str, Any]:
    """Convert options from text (in a spec, in a model's metadata) to values.

    Args:
        texts: Option -> text.
        converters: Allowed option -> function that converts its text; a ``ValueError`` of it refuses the text.
        where: Where the options are given; error messages begin with it.

    Returns:
        Option -> value.

    Raises:
        DetectorError: An option is unknown, or its text cannot be converted.
    """
    values: dict[str, Any] = {}
    for given, text in texts.items():
        former = None if given in converters else _FORMER_NAMES.get(given)
        name = given if former is None else former.instead
        if name in values:
            raise DetectorError(f"{where}: {name} is given twice, once by its former name; give it once")
        if former is not None:
            former.warn(calls=2)
        if name not in converters:
            allowed = ", ".join(converters) or "none"
            raise DetectorError(
                f"{where}: there is no option {name!r}{suggestion(name, converters)}; the options are: {allowed}"
            )
        try:
            values[name] = converters[name](text)
        except ValueError as error:
            raise DetectorError(f"{where}: {name}={text!r} cannot be read ({error}); see docs/detectors.md") from error
    return values


def read_size(text: str) -> tuple[int, int]:
    """Convert ``"640"`` or ``"640x384"`` to width and height.

    Args:
        text: The text.

    Returns:
        Width and height in pixels.

    Raises:
        ValueError: The text is no size, or a side is not in 1..8192.
    """
    width, _, height = text.lower().partition("x")
    size = int(width), int(height or width)
    if not (min(size) >= 1 and max(size) <= _MAX_SIDE):
        raise ValueError(f"a side has 1 to {_MAX_SIDE} pixels")
    return size


def finite_number(text: str) -> float:
    """Convert an option's text to a number.

    Args:
        text: The text.

    Returns:
        The number.

    Raises:
        ValueError: The text is no number, or NaN or infinite.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("it must be a finite number")
    return value
