"""COCO json with actions (https://cocodataset.org/#format-data), as CVAT, Datumaro and ``hand-over`` write it.

A box is a person of the category ``person`` with actions among its ``attributes``; or of a category that is the action,
and then boxes at one place are one person with several actions. Boxes are ``[x, y, width, height]`` in pixels of their
image, whose size the file has. The keyframe of an image is its ``video_id`` with ``timestamp`` or ``frame``, or is in
its name (``image_keyframes``). ``video_id`` may be the id of an entry of ``videos``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.results.importing.action_attributes import LabelScheme, is_person_label, quoted
from ava_detect.results.importing.attribute_values import person_of, read_box, scheme_of
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import Keyframe, frame_seconds, keyframes_of_names
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.videos import VideoLookup

# The number of a frame from 0: what hand-over, MMTracking and TAO call it.
_FRAME_FIELDS = ("frame", "frame_id", "frame_index")
_DEFAULT_CATEGORY = "person"


@dataclass(frozen=True)
class _Image:
    """An image: its size in pixels, and the keyframe that it shows."""

    width: float
    height: float
    keyframe: Keyframe


def is_coco(start: FileStart) -> bool:
    """Tell whether a file is COCO json.

    Args:
        start: Its outside.

    Returns:
        True for a json object with ``images`` and ``annotations``.
    """
    return start.kind == "json" and start.root == "object" and start.has("images", "annotations")


def read_coco(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a COCO instances file.

    Args:
        path: The file.
        videos: Finds the videos, whose frame times are needed where images have numbers of frames.

    Returns:
        People on images; images without annotations are keyframes without people.

    Raises:
        FormatError: The file cannot be read, an entry is invalid, or a video is missing.
        VideoError: A video cannot be decoded.
    """
    content = load_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise FormatError(f"{shown(path)}: no 'images' list; give a COCO instances file, with images and annotations")
    images = _images(content, path, videos)
    entries = list(_entries(content, "annotations", path))
    categories = _categories(content, path)
    labels = ToolLabels()
    scheme, are_actions = _scheme(categories, entries)
    occupied: set[Any] = set()
    for where, entry in entries:
        image = images.get(entry["image_id"]) if isinstance(entry.get("image_id"), int | str) else None
        if image is None:
            raise FormatError(
                f"{where}: image_id is the id of one of the {len(images)} images, got {entry.get('image_id')!r:.80}"
            )
        occupied.add(entry["image_id"])
        person = _person(where, entry, image, categories, scheme, are_actions, labels)
        if person is not None:
            labels.people.append(person)
    labels.empty_keyframes = [image.keyframe for image_id, image in images.items() if image_id not in occupied]
    if are_actions:
        labels.action_names = tuple(name for name in categories.values() if not is_person_label(name))
    return labels


def _scheme(categories: Mapping[Any, str], entries: list[tuple[str, dict[str, Any]]]) -> tuple[LabelScheme, bool]:
    """Return the labels with their attributes, and whether the categories other than people are the actions."""
    scheme = scheme_of((name, {}) for name in categories.values())
    found = scheme_of(
        (categories.get(_key(entry.get("category_id")), _DEFAULT_CATEGORY), _attributes(entry)) for _, entry in entries
    )
    scheme.labels.update(found.labels)
    has_attributes = any(a.actions for of_label in found.labels.values() for a in of_label.values())
    others = [name for name in scheme.labels if not is_person_label(name)]
    are_actions = bool(others) and not has_attributes
    if are_actions:
        # A box of the category person beside those of actions is a person without any.
        scheme.labels = {name: {} for name in others}
    return scheme, are_actions


def _person(
    where: str,
    entry: dict[str, Any],
    image: _Image,
    categories: Mapping[Any, str],
    scheme: LabelScheme,
    are_actions: bool,
    labels: ToolLabels,
) -> LabelledPerson | None:
    """Return the person of an annotation; None, counted as dropped, where it is none."""
    label = categories.get(_key(entry.get("category_id")), None if categories else _DEFAULT_CATEGORY)
    if label is None:
        raise FormatError(
            f"{where}: category_id is the id of one of the {len(categories)} categories, got "
            f"{entry.get('category_id')!r:.80}"
        )
    if entry.get("iscrowd") in (1, True):
        labels.dropped["regions of crowds (iscrowd)"] += 1
        return None
    if entry.get("keypoints"):
        labels.dropped["sets of keypoints"] += 1
    box = _box(entry, image, where)
    if box is None:
        labels.dropped["shapes without a box"] += 1
        return None
    attributes = _attributes(entry)
    actions: tuple[str, ...] = ()
    person = person_of(entry, attributes)
    if not (are_actions and is_person_label(label)):
        found = read_box(scheme, label, attributes, labels.dropped)
        if found is None:
            return None
        actions, named = found
        person = person or named
    return LabelledPerson(image.keyframe.video, image.keyframe.seconds, box, actions, person)


def _box(entry: Mapping[str, Any], image: _Image, where: str) -> Box | None:
    value = entry.get("bbox")
    if value in (None, []):
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise FormatError(f"{where}: bbox is [x, y, width, height] in pixels, got {value!r:.100}")
    x, y, width, height = (finite_number(number, "bbox", where) for number in value)
    if width < 0 or height < 0:
        raise FormatError(f"{where}: a bbox has a width and a height above 0, got {width:g} and {height:g}")
    return box_fraction((x, y, x + width, y + height), image.width, image.height, where)


def _attributes(entry: Mapping[str, Any]) -> dict[str, object]:
    attributes = entry.get("attributes")
    return {str(k): v for k, v in attributes.items()} if isinstance(attributes, dict) else {}


def _categories(content: Mapping[str, Any], path: Path) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for where, entry in _entries(content, "categories", path):
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip() or not isinstance(entry.get("id"), int | str):
            raise FormatError(f"{where}: a category has an id and a name, got {entry!r:.200}")
        found[_key(entry["id"])] = name.strip()
    return found


def _images(content: Mapping[str, Any], path: Path, videos: VideoLookup) -> dict[Any, _Image]:
    """Return the images by id."""
    names_of_videos = {
        entry["id"]: str(entry.get("name") or entry.get("file_name") or "")
        for _, entry in _entries(content, "videos", path)
        if isinstance(entry.get("id"), int | str)
    }
    sizes: dict[Any, tuple[float, float]] = {}
    keyframes: dict[Any, Keyframe] = {}
    unknown: dict[Any, str] = {}
    for where, entry in _entries(content, "images", path):
        image_id = entry.get("id")
        if not isinstance(image_id, int | str) or image_id in sizes:
            raise FormatError(
                f"{where}: every image has an id of its own, a whole number or text, got {image_id!r:.80}"
            )
        width, height = (finite_number(entry.get(side), side, where) for side in ("width", "height"))
        sizes[image_id] = width, height
        keyframe = _keyframe(entry, names_of_videos, videos, where)
        if keyframe is None:
            unknown[image_id] = str(entry.get("file_name", ""))
        else:
            keyframes[image_id] = keyframe
    keyframes.update(keyframes_of_names(unknown, videos, f"{shown(path)}, images"))
    return {image_id: _Image(*size, keyframes[image_id]) for image_id, size in sizes.items()}


def _keyframe(
    entry: Mapping[str, Any], names_of_videos: Mapping[Any, str], videos: VideoLookup, where: str
) -> Keyframe | None:
    """Return the keyframe that the fields of an image tell; None where its name has to."""
    video = entry.get("video_id")
    if isinstance(video, bool) or not isinstance(video, int | str):
        return None
    name = names_of_videos.get(video) or str(video)
    if entry.get("timestamp") is not None:
        return Keyframe(name, finite_number(entry["timestamp"], "timestamp", where))
    number = next((entry[field] for field in _FRAME_FIELDS if isinstance(entry.get(field), int)), None)
    if number is None:
        return None
    found = videos.get(name, where=where, need="numbers of frames become times")
    return Keyframe(found.video_id, frame_seconds(found, number, where))


def _entries(content: Mapping[str, Any], name: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of one of the lists of a file, each after its place for messages."""
    found = content.get(name) or []
    if not isinstance(found, list):
        raise FormatError(f"{shown(path)}: {name!r} is a list, got {found!r:.80}")
    for number, entry in enumerate(found):
        where = f"{shown(path)}, {quoted(name)[1:-1]} {number}"
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: an entry is an object, got {entry!r:.80}")
        yield where, entry


def _key(value: object) -> object:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None
