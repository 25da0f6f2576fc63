"""Reading COCO json files of people on keyframes (https://cocodataset.org/#format-data) as an AVA table.

Two kinds of file are read: an instances file (``images``, ``annotations`` and optionally ``categories``), and a list of
results (``[{image_id, category_id, bbox, score}]``), whose images are described in a separate instances file. Boxes are
``[x, y, width, height]`` in pixels of their image, which must have a ``width`` and a ``height``.

The keyframe of an image is given by its ``video_id`` and ``timestamp`` (seconds of the movie), or by its file name:
``VIDEO/0902.jpg``, ``VIDEO_0902.jpg`` or ``VIDEO,0902``, where the last number is the timestamp in seconds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.json_values import reason_of
from ava_detect.structures.labels import GREATEST_ACTION_ID, NO_ACTION

_COCO_PERSON = 1
_MAX_BYTES = 1 << 30  # parsed, a file takes several times its size
_HEAD_LENGTH = 1024
_TRACK_ID_LIMIT = 1 << 62
_KEYFRAME_NAME = re.compile(
    r"(?P<video>.+)[/_,](?P<seconds>\d{1,5}(?:\.\d+)?)(?:\.(?:jpe?g|png|bmp|webp))?", re.IGNORECASE
)
_NO_BOX = (math.nan,) * 4


class _Image(NamedTuple):
    """The keyframe of an image, and the image's size in pixels."""

    video_id: str
    timestamp_seconds: float
    width: float
    height: float


ChooseCategories = Callable[[dict[int, str]], Collection[int]]


def read_coco_json(
    path: str | Path, *, images_path: str | Path | None = None, choose: ChooseCategories | None = None
) -> AvaTable:
    """Read the boxes of one category, or of several.

    Args:
        path: An instances file or a list of results.
        images_path: The instances file that describes the images of a list of results; None if ``path`` is an
            instances file.
        choose: Function from the categories, id -> name, to the ids of those whose boxes are read. By default it is the
            category "person", and 1 in a file without ``categories``, which is "person" in COCO.

    Returns:
        One row per box, in the order of the file, then one row without a box per image without boxes.

    Raises:
        FormatError: If a file cannot be read or an entry is invalid; names the file and the entry.
    """
    content = _load(path)
    described = _load(images_path) if images_path is not None else content
    if not isinstance(described, dict) or not isinstance(described.get("images"), list):
        raise FormatError(
            f"{shown(images_path or path)}: no 'images' list, so nothing says which keyframe a box is of; give the "
            "instances file that the results were made for (images=FILE)"
        )
    found = content if isinstance(content, list) else _list_of(content, "annotations", path)
    images = _images(described["images"], images_path or path)
    categories = _list_of(described, "categories", images_path or path)
    if choose is None:
        wanted: Collection[int] = (_person_category(categories, images_path or path),)
    else:
        named = [entry for entry in categories if isinstance(entry, dict) and isinstance(entry.get("id"), int)]
        wanted = choose({entry["id"]: str(entry.get("name")) for entry in named})
    return _table(images, found, wanted, path)


def read_coco_ground_truth(path: str | Path) -> AvaTable:
    """Read ground truth: people with their actions, which are the categories.

    A person with several actions has an annotation for each of them, with the same box. An annotation of the category
    ``person`` is a box without an action.

    Args:
        path: An instances file. The action id of an annotation is its ``category_id``; its ``track_id``, if it has one,
            is the id of the person.

    Returns:
        One row per annotation, in the order of the file, then one row without a box per image without annotations.

    Raises:
        FormatError: If the file cannot be read or an entry is invalid; names the file and the entry.
    """
    content = _load(path)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise FormatError(f"{shown(path)}: no 'images' list; give a COCO instances file, with images and annotations")
    images = _images(content["images"], path)
    categories = _list_of(content, "categories", path)
    action_of = {}
    for number, category in enumerate(categories):
        where = f"{shown(path)}, category {number}"
        category_id = category.get("id") if isinstance(category, dict) else None
        if not isinstance(category_id, int) or not 0 <= category_id <= GREATEST_ACTION_ID:
            raise FormatError(
                f"{where}: its id must be a whole number from 0 to {GREATEST_ACTION_ID}, got {category!r:.200}"
            )
        action_of[category_id] = NO_ACTION if category.get("name") == "person" else category_id
    # A file that does not name its categories has people only.
    action_of = action_of or {_COCO_PERSON: NO_ACTION}
    rows: list[tuple[_Image, tuple[float, ...], int, int]] = []
    occupied = set()
    for number, entry in enumerate(_list_of(content, "annotations", path)):
        where = f"{shown(path)}, box {number}"
        image = _image_of(entry, images, where)
        category_id, track_id = entry.get("category_id"), entry.get("track_id", -1)
        if not isinstance(category_id, int) or category_id not in action_of:
            raise FormatError(f"{where}: category_id must be one of the file's categories, got {category_id!r:.80}")
        if not isinstance(track_id, int) or not -1 <= track_id < _TRACK_ID_LIMIT:
            raise FormatError(f"{where}: track_id must be a whole number from 0, got {track_id!r:.80}")
        rows.append((image, _box_fraction(entry.get("bbox"), image, where), action_of[category_id], track_id))
        occupied.add(entry["image_id"])
    rows.extend((image, _NO_BOX, NO_ACTION, -1) for image_id, image in images.items() if image_id not in occupied)
    return AvaTable.from_columns(
        [image.video_id for image, *_ in rows],
        [image.timestamp_seconds for image, *_ in rows],
        [box for _, box, *_ in rows],
        action_ids=[action_id for _, _, action_id, _ in rows],
        person_ids=[track_id for *_, track_id in rows],
    )


def _list_of(content: Mapping[str, Any], name: str, path: str | Path) -> Sequence[Any]:
    """Return one of the lists of a file, empty where the file does not have it."""
    found = content.get(name, [])
    if not isinstance(found, list):
        raise FormatError(f"{shown(path)}: {name!r} must be a list, got {found!r:.80}")
    return found


def _image_of(entry: Any, images: Mapping[Any, _Image], where: str) -> _Image:
    """Return the image of an annotation; raise ``FormatError`` where it has none."""
    image_id = entry.get("image_id") if isinstance(entry, dict) else None
    image = images.get(image_id) if isinstance(image_id, int | str) else None
    if image is None:
        raise FormatError(f"{where}: image_id must be the id of one of the {len(images)} images, got {entry!r:.200}")
    return image


def _table(images: Mapping[Any, _Image], found: Sequence[Any], wanted: Collection[int], path: str | Path) -> AvaTable:
    rows: list[tuple[_Image, tuple[float, ...], float]] = []
    occupied = set()
    for number, entry in enumerate(found):
        where = f"{shown(path)}, box {number}"
        image = _image_of(entry, images, where)
        if entry.get("category_id") not in wanted:
            continue
        score = _number(entry["score"], "score", where) if "score" in entry else math.nan
        rows.append((image, _box_fraction(entry.get("bbox"), image, where), score))
        occupied.add(entry["image_id"])
    rows.extend((image, _NO_BOX, math.nan) for image_id, image in images.items() if image_id not in occupied)
    return AvaTable.from_columns(
        [image.video_id for image, _, _ in rows],
        [image.timestamp_seconds for image, _, _ in rows],
        [box for _, box, _ in rows],
        scores=[score for _, _, score in rows],
    )


def _load(path: str | Path) -> Any:
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        with Path(path).open(encoding="utf-8-sig") as file:
            # The first letters tell another kind of file before all of it is read.
            head = file.read(_HEAD_LENGTH)
            if head.lstrip()[:1] not in ("{", "["):
                raise ValueError("it does not begin with { or [")
            content = json.loads(head + file.read())
    except (OSError, ValueError, RecursionError) as error:
        reason = shown(error.strerror) if isinstance(error, OSError) else reason_of(error)
        raise FormatError(
            f"{shown(path)}: the file cannot be read as json ({reason}); give a COCO json file"
        ) from error
    if not isinstance(content, dict | list):
        raise FormatError(
            f"{shown(path)}: a COCO file is an object with 'images', or a list of results, got {content!r:.80}"
        )
    return content


def _images(entries: Sequence[Any], path: str | Path) -> dict[Any, _Image]:
    images: dict[Any, _Image] = {}
    for number, entry in enumerate(entries):
        where = f"{shown(path)}, image {number}"
        if not isinstance(entry, dict) or not {"id", "width", "height"} <= entry.keys():
            raise FormatError(f"{where}: an image needs id, width and height, got {entry!r:.200}")
        if not isinstance(entry["id"], int | str):
            raise FormatError(f"{where}: an id is a whole number or text, got {entry['id']!r:.80}")
        if entry["id"] in images:
            raise FormatError(f"{where}: the id {entry['id']!r} is given twice; every image needs its own")
        width, height = (_number(entry[side], side, where) for side in ("width", "height"))
        if width <= 0 or height <= 0:
            raise FormatError(f"{where}: width and height must be above 0, got {width:g} and {height:g}")
        images[entry["id"]] = _Image(*_keyframe(entry, where), width, height)
    return images


def _keyframe(entry: Mapping[str, Any], where: str) -> tuple[str, float]:
    """Return the video id and the timestamp in seconds of an image."""
    if entry.get("video_id") is not None and entry.get("timestamp") is not None:
        if isinstance(entry["video_id"], bool) or not isinstance(entry["video_id"], int | str):
            raise FormatError(f"{where}: video_id is text or a whole number, got {entry['video_id']!r:.80}")
        return str(entry["video_id"]), _number(entry["timestamp"], "timestamp", where)
    keyframe = keyframe_of_name(str(entry.get("file_name", "")))
    if keyframe is None:
        raise FormatError(
            f"{where}: an image needs video_id and timestamp, or a file_name that ends in its second, such as "
            f"VIDEO_0902.jpg, got file_name {entry.get('file_name')!r}"
        )
    return keyframe


def keyframe_of_name(file_name: str) -> tuple[str, float] | None:
    """Read the keyframe in the name of an image.

    Args:
        file_name: ``VIDEO/0902.jpg``, ``VIDEO_0902.jpg`` or ``VIDEO,0902``.

    Returns:
        The video and the second; None for another name.
    """
    match = _KEYFRAME_NAME.fullmatch(file_name)
    return None if match is None else (match["video"], float(match["seconds"]))


def _person_category(categories: Sequence[Any], path: str | Path) -> int:
    names = {str(entry.get("name")): entry.get("id") for entry in categories if isinstance(entry, dict)}
    if not names:
        return _COCO_PERSON
    category_id = names.get("person")
    if not isinstance(category_id, int):
        known = shown(", ".join(map(str, names)))
        raise FormatError(f"{shown(path)}: no category is called 'person'; the file has {known}")
    return category_id


def _box_fraction(value: Any, image: _Image, where: str) -> tuple[float, ...]:
    """Convert an ``[x, y, width, height]`` box in pixels to xyxy fractions of its image."""
    if not isinstance(value, list) or len(value) != 4:
        raise FormatError(f"{where}: bbox must be [x, y, width, height] in pixels, got {value!r:.100}")
    x, y, width, height = (_number(number, "bbox", where) for number in value)
    if width <= 0 or height <= 0:
        raise FormatError(f"{where}: bbox must have a width and height above 0, got {value}")
    return x / image.width, y / image.height, (x + width) / image.width, (y + height) / image.height


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FormatError(f"{where}: {name} must be a number, got {value!r:.100}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(f"{where}: {name} must be a finite number, got {value!r:.100}")
    return number
