"""The classes of a detection model that are the actors: person, or those that the option ``classes`` chooses.

Numbers are the model's own class indices. Names are those of the model's own list: of torchvision, Ultralytics,
transformers, detectron2, an ONNX file's metadata, a COCO file's categories.

Shapes: K objects on one frame, N of them actors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.detectors.base import Image
from ava_detect.errors import DetectorError, shown, suggestion
from ava_detect.structures import PersonBoxes, boxes

Wanted = tuple[int | str, ...]

_PERSON_NAMES = ("person", "people", "pedestrian", "human")
# Two objects of different classes that overlap by more are one actor, as in the class-wise NMS of the YOLO family.
_SAME_ACTOR_IOU = 0.7
_MAX_LISTED = 100


def read_classes(text: str) -> Wanted:
    """Convert the option ``classes`` to numbers and names.

    Args:
        text: Numbers and names with commas: ``0``, ``person,dog``, ``0,16``.

    Returns:
        An int for each number, a text for each name.

    Raises:
        ValueError: A part is empty, or a number is negative.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError("give names or numbers of the model's classes with commas, such as classes=person,dog")
    wanted = tuple(int(part) if part.removeprefix("-").isdecimal() else part for part in parts)
    if any(isinstance(part, int) and part < 0 for part in wanted):
        raise ValueError("classes count from 0")
    return wanted


def names_by_index(names: Any) -> dict[int, str]:
    """Return a model's list of class names as a mapping.

    Args:
        names: A sequence of names, or index -> name.

    Returns:
        Index -> name; empty where ``names`` is anything else.
    """
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names) if _is_list(names) else ()
    named = list(pairs)
    return {index: str(name) for index, name in named} if all(isinstance(index, int) for index, _ in named) else {}


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def chosen_classes(wanted: Wanted | None, names: Mapping[int, str], model: str, *, unnamed: int = 0) -> tuple[int, ...]:
    """Return the indices of the classes that are the actors.

    Args:
        wanted: What the option ``classes`` says; None for the person class, which is found by its name.
        names: The model's class names; empty where it has none.
        model: The model, for messages.
        unnamed: The person class of a model without names.

    Returns:
        The indices, ascending.

    Raises:
        DetectorError: The model has no such class, no names to find it by, or no class that is called person.
    """
    if wanted is None:
        return (_person_class(names, model) if names else unnamed,)
    return tuple(sorted({index for part in wanted for index in _indices(part, names, model)}))


def _person_class(names: Mapping[int, str], model: str) -> int:
    """The index of the class that is called person; a model of one class has no other."""
    for index, name in names.items():
        if _plain(name) in _PERSON_NAMES:
            return index
    if len(names) == 1:
        return next(iter(names))
    raise DetectorError(
        f"{model}: none of its {len(names)} classes is called person; say which are the actors, by name or by number "
        f"(classes=NAME,NAME): {_listed(names)}"
    )


def _indices(part: int | str, names: Mapping[int, str], model: str) -> list[int]:
    """The indices of one number or name."""
    if isinstance(part, int):
        if names and part not in names:
            raise DetectorError(f"{model}: there is no class {part}; its classes are {_listed(names)}")
        return [part]
    if not names:
        raise DetectorError(
            f"{model}: it names no classes, so {shown(part)!r} cannot be found; give their numbers (classes=0,16)"
        )
    found = [index for index, name in names.items() if _plain(name) == _plain(part)]
    if not found:
        near = suggestion(_plain(part), {_plain(name) for name in names.values()})
        raise DetectorError(f"{model}: there is no class {shown(part)!r}{near}; its classes are {_listed(names)}")
    return found


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _listed(names: Mapping[int, str]) -> str:
    """The classes for a message: ``0 person, 1 bicycle``."""
    shown_names = [f"{index} {shown(name)}" for index, name in list(names.items())[:_MAX_LISTED]]
    more = len(names) - len(shown_names)
    return ", ".join(shown_names) + (f" and {more} more" if more else "")


def select_actors(
    objects: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    classes: Iterable[int],
    min_score: float,
    image: Image,
) -> PersonBoxes:
    """Select the actors among the objects that a model found on one frame.

    Args:
        objects: Boxes ``[K, 4]``, xyxy in pixels of the frame, scores ``[K]`` in 0..1, and class indices ``[K]``.
        classes: The classes that are actors.
        min_score: Lowest score of an actor, 0..1.
        image: The frame ``[H, W, 3]``.

    Returns:
        The N actors inside the frame, best score first. With several classes an actor that was found as two of them
        has the better of the two.
    """
    boxes_xyxy, scores = (np.asarray(values, np.float32) for values in objects[:2])
    labels = np.asarray(objects[2])
    chosen = list(classes)
    keep = np.flatnonzero(np.isin(labels, chosen) & (scores >= min_score))
    order = keep[np.argsort(-scores[keep], kind="stable")]  # [N]
    boxes_xyxy = boxes.clip(boxes_xyxy.reshape(-1, 4)[order], image.shape[1], image.shape[0])
    scores, labels = scores[order], labels[order]
    is_actor = boxes.areas(boxes_xyxy) > 0
    if len(chosen) > 1:
        is_actor &= _distinct(boxes_xyxy, labels)
    return PersonBoxes(boxes_xyxy[is_actor], scores[is_actor])


def _distinct(boxes_xyxy: boxes.FloatArray, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mask ``[N]``: False for a box that repeats a better one of another class; the best comes first."""
    repeats = (boxes.iou(boxes_xyxy, boxes_xyxy) > _SAME_ACTOR_IOU) & (labels[:, None] != labels[None, :])  # [N, N]
    keep = np.ones(len(labels), np.bool_)
    for index in range(len(labels)):
        # Only boxes that are kept themselves suppress others.
        keep[index] = not (repeats[index, :index] & keep[:index]).any()
    return keep
