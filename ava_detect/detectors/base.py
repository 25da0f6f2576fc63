"""What a person detector is: frames in, the people on each out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ava_detect.errors import DetectorError, suggestion
from ava_detect.structures import Frame, PersonBoxes

Image = npt.NDArray[np.uint8]
Converters = Mapping[str, Callable[[str], Any]]


@runtime_checkable
class PersonDetector(Protocol):
    """Finds people on a batch of frames.

    ``name`` says what runs (it is written into every summary). A detector that never looks at pixels sets
    ``needs_images = False`` and is then handed frames of whatever size is cheapest.
    """

    name: str
    needs_images: bool

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """The people on each frame: one ``PersonBoxes`` a frame, in pixels of that frame's image.

        ``frames`` may differ in size. The answer for a frame does not depend on the others in the batch. Boxes
        lie inside the frame, best score first. Raises ``DetectorError`` where a frame cannot be used.
        """
        ...


def images_of(frames: Sequence[Frame | Image]) -> list[Image]:
    """The pictures alone: uint8 RGB ``[H, W, 3]`` each; ``DetectorError`` for anything else."""
    images = [frame.image if isinstance(frame, Frame) else frame for frame in frames]
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise DetectorError(
                f"a frame must be uint8 RGB [H, W, 3] with at least one pixel, got {image.dtype} {list(image.shape)}"
            )
    return images


def people_by_size(
    images: Sequence[Image], run: Callable[[Sequence[Image]], Sequence[PersonBoxes]], most: int = 8
) -> list[PersonBoxes]:
    """The answers of ``run`` for images that it gets in batches of one size each, ``most`` at a time.

    For networks that pad a batch to its largest image: mixed sizes would make one answer depend on the others.
    """
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_size[image.shape].append(index)
    people: dict[int, PersonBoxes] = {}
    for indices in by_size.values():
        for start in range(0, len(indices), most):
            batch = indices[start : start + most]
            people |= zip(batch, run([images[index] for index in batch]), strict=True)
    return [people[index] for index in range(len(images))]


def read_options(texts: Mapping[str, str], converters: Converters, where: str) -> dict[str, Any]:
    """Options given as text (in a spec, in a model's metadata) as values.

    ``converters``: every allowed option and the function that reads its text. Raises ``DetectorError`` that begins
    with ``where`` for an option that is not there, or whose text cannot be read.
    """
    values = {}
    for name, text in texts.items():
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
