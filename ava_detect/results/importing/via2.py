"""VIA 2 (https://www.robots.ox.ac.uk/~vgg/software/via/via-2.0.html): its project, its json and its csv of annotations.

VIA 2 annotates images. The name of an image tells the keyframe that it shows (``VIDEO_0902.jpg``), or its file
attributes ``video`` and ``timestamp`` do. Boxes are in pixels of the image, whose size the file does not have: it is
that of the image beside the labels, or of the video.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.formats.json_values import MALFORMED, parse_json, reason_of
from ava_detect.results.importing.action_attributes import Attribute
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import Keyframe, keyframes_of_names
from ava_detect.results.importing.image_sizes import image_size
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.labels import ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.via_regions import Region, read_regions
from ava_detect.results.importing.videos import VideoLookup

_COLUMNS = ("filename", "file_size", "file_attributes")
_SHAPE_COLUMN, _REGION_COLUMN = "region_shape_attributes", "region_attributes"
_IMAGES, _ATTRIBUTES = "_via_img_metadata", "_via_attributes"
_KINDS = {"text": "text", "checkbox": "checkboxes", "radio": "choice", "dropdown": "choice", "image": "choice"}
_VIDEO_NAMES = ("video_id", "video", "movie")
# An attribute, and the names of its options by their ids.
_Defined = tuple[Attribute, dict[str, str]]
_TIME_NAMES = ("timestamp", "seconds", "second", "time")


def is_via2(start: FileStart) -> bool:
    """Tell whether a file is VIA 2's.

    Args:
        start: Its outside.

    Returns:
        True for its project, its json, whose keys are names of files with their sizes, and its csv.
    """
    if start.kind == "json" and start.root == "object":
        if _IMAGES in start.names:
            return True
        return bool(start.names) and _is_annotations(load_json(start.path))
    return start.kind == "table" and {*_COLUMNS, _SHAPE_COLUMN, _REGION_COLUMN} <= set(start.names)


def read_via2(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a project or an export of VIA 2.

    Args:
        path: The json or csv.
        videos: Finds the videos.

    Returns:
        People at the times of their images; images without regions are keyframes without people.

    Raises:
        FormatError: The file cannot be read, or an entry is invalid.
        VideoError: A video cannot be decoded.
    """
    labels = ToolLabels()
    images, attributes = _images(path)
    regions: list[Region] = []
    names = dict(attributes)
    keyframes = _keyframes(path, images, videos)
    for image, keyframe in zip(images, keyframes, strict=True):
        if not image.regions:
            labels.empty_keyframes.append((keyframe.video, keyframe.seconds))
            continue
        size = None
        for number, (shape, values) in enumerate(image.regions):
            where = f"{image.where}, region {number}"
            kind = shape.get("name")
            if kind != "rect":
                labels.dropped[
                    f"{shown(kind)[:20]}s" if isinstance(kind, str) and kind else "regions without a shape"
                ] += 1
                continue
            size = size or image_size([image.name], path.parent) or _video_size(keyframe, videos, where)
            x, y, width, height = (
                finite_number(shape.get(side), side, where) for side in ("x", "y", "width", "height")
            )
            box = box_fraction((x, y, x + width, y + height), *size, where)
            chosen = {name: _chosen(names, name, value) for name, value in values.items()}
            regions.append(Region(where, keyframe.video, keyframe.seconds, box, chosen))
    read_regions(regions, [attribute for attribute, _ in names.values()], labels)
    return labels


@dataclass
class _Image:
    """An image of the file, and its regions: shape attributes and region attributes."""

    where: str
    name: str
    attributes: Mapping[str, Any]
    regions: list[tuple[Mapping[str, Any], Mapping[str, Any]]]


def _images(path: Path) -> tuple[list[_Image], dict[str, _Defined]]:
    """Return the images of a file, and the attributes that its regions may have."""
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] != b"{":
        return list(_images_of_csv(path)), {}
    content = load_json(path)
    described: Any = {}
    if _IMAGES in content:
        defined = content.get(_ATTRIBUTES)
        described = defined.get("region", {}) if isinstance(defined, dict) else {}
        content = content[_IMAGES]
    if not isinstance(content, dict) or not isinstance(described, dict):
        raise FormatError(
            f"{shown(path)}: the images and the attributes of VIA 2 are objects; export the project again"
        )
    attributes = {name: _attribute(name, entry) for name, entry in described.items()}
    return [_image_of_json(path, key, entry) for key, entry in content.items()], attributes


def _image_of_json(path: Path, key: str, entry: Any) -> _Image:
    where = f"{shown(path)}, image {shown(key)[:60]!r}"
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        raise FormatError(f"{where}: an image is an object with a filename, got {entry!r:.60}")
    regions = entry.get("regions", [])
    # Early versions of VIA 2 had an object of regions by their numbers.
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(regions, list):
        raise FormatError(f"{where}: the regions are a list, got {regions!r:.60}")
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for region in regions:
        shape = region.get("shape_attributes") if isinstance(region, dict) else None
        if not isinstance(shape, dict) or not isinstance(region.get("region_attributes", {}), dict):
            raise FormatError(f"{where}: a region has shape_attributes and region_attributes, got {region!r:.60}")
        pairs.append((shape, region.get("region_attributes", {})))
    attributes = entry.get("file_attributes")
    return _Image(where, entry["filename"], attributes if isinstance(attributes, dict) else {}, pairs)


def _images_of_csv(path: Path) -> Iterator[_Image]:
    images: dict[tuple[str, str], _Image] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            for row in rows:
                where = f"{shown(path)}, line {rows.line_num}"
                if None in row or None in row.values():
                    raise FormatError(f"{where}: the row has not the columns of the header; was it cut off?")
                name = row["filename"]
                file_attributes = _object(row["file_attributes"], where)
                image = images.setdefault((name, row["file_size"]), _Image(where, name, file_attributes, []))
                shape = _object(row[_SHAPE_COLUMN], where)
                if shape:
                    image.regions.append((shape, _object(row[_REGION_COLUMN], where)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{shown(path)}: the csv cannot be read ({shown(error)}); export it again") from error
    return iter(images.values())


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = parse_json(text.encode("utf-8", "surrogatepass")) if text.strip() else {}
    except MALFORMED as error:
        raise FormatError(f"{where}: a cell is no json ({reason_of(error)}); export it again") from error
    if not isinstance(value, dict):
        raise FormatError(f"{where}: attributes are an object, got {value!r:.60}")
    return value


def _is_annotations(content: Any) -> bool:
    """Whether an object holds images by their names and sizes, as VIA 2 exports them."""
    first = next(iter(content.values())) if isinstance(content, dict) and content else None
    return isinstance(first, dict) and {"filename", "size", "regions"} <= first.keys()


def _attribute(name: str, entry: Any) -> _Defined:
    described = entry if isinstance(entry, dict) else {}
    options = described.get("options")
    named = {str(k): _option_name(str(k), str(v)) for k, v in options.items()} if isinstance(options, dict) else {}
    return Attribute(name.strip(), _KINDS.get(str(described.get("type")), "text"), tuple(named.values())), named


def _option_name(key: str, text: str) -> str:
    """Return the name of an option: its id, which is what exports have, unless that is only a number."""
    return text.strip() if key.isdigit() and text.strip() else key


def _chosen(attributes: dict[str, _Defined], name: str, value: Any) -> tuple[str, ...]:
    """Return the values of an attribute of a region; one that the file does not describe is described by its form."""
    is_several = isinstance(value, dict)
    _, options = attributes.setdefault(name, (Attribute(name, "checkboxes" if is_several else "text"), {}))
    keys = [str(key) for key, is_set in value.items() if is_set] if is_several else [_text(value)]
    return tuple(options.get(key, key).strip() for key in keys if key.strip())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _keyframes(path: Path, images: Sequence[_Image], videos: VideoLookup) -> list[Keyframe]:
    """Return the keyframe of each image: by its attributes where these tell video and time, else by its name."""
    told: dict[int, Keyframe] = {}
    for number, image in enumerate(images):
        video = next((image.attributes[name] for name in _VIDEO_NAMES if image.attributes.get(name)), None)
        times = (image.attributes[name] for name in _TIME_NAMES if image.attributes.get(name) not in (None, ""))
        seconds = next(times, None)
        if isinstance(video, str) and seconds is not None:
            time = finite_number(seconds, "the timestamp", image.where) - videos.start_seconds
            told[number] = Keyframe(videos.id_of(video), time)
    names = {number: image.name for number, image in enumerate(images) if number not in told}
    found = told | keyframes_of_names(names, videos, shown(path))
    return [found[number] for number in range(len(images))]


def _video_size(keyframe: Keyframe, videos: VideoLookup, where: str) -> tuple[int, int]:
    need = "VIA's file does not have the size of its images, which are not beside it"
    return videos.get(keyframe.video, where=where, need=need).decoded_size
