"""A person detector made of a function: one image in, ``supervision.Detections`` or ``PersonBoxes`` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ava_detect.detectors.base import Image, PersonDetector, images_of
from ava_detect.errors import DetectorError, shown
from ava_detect.structures import Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops

#: A function from one uint8 RGB image ``[H, W, 3]`` to the people on it.
DetectorFunction = Callable[[Image], Any]


class FunctionDetector:
    """Finds people with any function from an image to boxes.

    Args:
        function: Called with one uint8 RGB image ``[H, W, 3]`` at a time. It returns ``supervision.Detections``,
            ``PersonBoxes``, or any value that has ``xyxy`` ``[N, 4]`` in pixels and ``confidence`` ``[N]`` in 0..1 or
            None. Every box is a person: a function that finds other things, too, leaves them out itself
            (``detections[detections.class_id == 0]``).
        name: Its name in messages and summaries; by default the function's own.
        min_score: People with a lower score, in 0..1, are left out; None keeps all.

    Raises:
        DetectorError: ``min_score`` is no score.
    """

    needs_images: bool = True

    def __init__(self, function: DetectorFunction, *, name: str | None = None, min_score: float | None = None) -> None:
        if min_score is not None and not 0 <= min_score <= 1:
            raise DetectorError(f"min_score must be in 0..1, got {min_score}")
        self._function = function
        self.name = name or str(getattr(function, "__qualname__", type(function).__name__))
        self._min_score = 0.0 if min_score is None else min_score

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """Call the function with each image.

        Args:
            frames: Frames, or uint8 RGB images ``[H, W, 3]``.

        Returns:
            One ``PersonBoxes`` per frame, inside the frame, best score first.

        Raises:
            DetectorError: The function returns something else.
        """
        return [self._people(image) for image in images_of(frames)]

    def _people(self, image: Image) -> PersonBoxes:
        found = self._function(image)
        try:
            people = boxes_of(found)
        except (AttributeError, TypeError, ValueError) as error:
            raise DetectorError(
                f"detector {shown(self.name)}: the function must return supervision.Detections, PersonBoxes or another "
                f"value with xyxy [N, 4] and confidence [N], got {shown(type(found).__name__)} ({shown(error)})"
            ) from error
        height, width = image.shape[:2]
        inside = box_ops.clip(people.boxes_xyxy, width, height).astype(np.float32)
        people = PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0].above(self._min_score)
        return people[np.argsort(-people.scores, kind="stable")]


def boxes_of(found: Any) -> PersonBoxes:
    """Return the people in the answer of a detector.

    Args:
        found: ``PersonBoxes``, ``supervision.Detections``, or any value with ``xyxy`` and ``confidence``.

    Returns:
        The people; without ``confidence`` each has the score 1.

    Raises:
        AttributeError: It has no ``xyxy``.
        ValueError: Its shapes disagree, or a number is not finite.
    """
    if isinstance(found, PersonBoxes):
        return found
    boxes = np.asarray(found.xyxy, np.float32)
    confidence = getattr(found, "confidence", None)
    return PersonBoxes(boxes, np.ones(len(boxes), np.float32) if confidence is None else confidence)


def as_detector(detector: PersonDetector | DetectorFunction, *, min_score: float | None = None) -> PersonDetector:
    """Return a detector for what a caller gives as one.

    Args:
        detector: A detector, or a function from one image to the people on it.
        min_score: Lowest score of a person, 0..1; None for no limit. Only for a function.

    Returns:
        The detector itself, or one around the function.

    Raises:
        DetectorError: It is neither; or it is a detector, which has a lowest score of its own, and ``min_score`` is
            given.
    """
    if isinstance(detector, PersonDetector) and not isinstance(detector, type):
        if min_score is not None:
            raise DetectorError(
                f"detector {shown(detector.name)} was built with a lowest score of its own; set it there instead of by "
                "`min_person_score`"
            )
        return detector
    if not callable(detector) or isinstance(detector, type):
        raise DetectorError(
            f"a `detector` is a spec such as 'builtin', a PersonDetector, or a function from an image to "
            f"supervision.Detections; got {shown(type(detector).__name__)}"
        )
    return FunctionDetector(detector, min_score=min_score)
