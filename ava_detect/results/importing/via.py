"""VIA 2 and 3 (https://www.robots.ox.ac.uk/~vgg/software/via/): which layout a file has, and VIA 3's.

VIA 3 is read from its project (json) and from its csv of all annotations. A region has a time on the clock of the
browser's player and a box in the pixels that the browser shows: upright, stretched to square ones. The attributes of
its checkboxes, and others that are called so, are actions. A segment of the timeline has no box: it gives its actions
to the boxes of its time, where these have no actions of their own. VIA 2 is in ``via2``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.formats.json_values import MALFORMED, parse_json, reason_of
from ava_detect.results.importing.action_attributes import Attribute, is_action_name
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import Keyframe, keyframes_of_names
from ava_detect.results.importing.image_sizes import image_size
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.labels import LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.via2 import is_via2, read_via2
from ava_detect.results.importing.via_regions import EXTREME_RECTANGLE, Region, read_regions
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.measured_video import MeasuredVideo

_CSV_HEADER = b"# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
_ATTRIBUTE_LINE = "# ATTRIBUTE = "
_PROJECT_KEYS = ("project", "attribute", "file", "view", "metadata")
_OWN_CREATOR = "ava_detect"
# The constants of VIA's modules (_via_attribute.js, _via_file.js, _via_metadata.js).
_KINDS = {1: "text", 2: "checkboxes", 3: "choice", 4: "choice", 5: "choice"}
_IMAGE, _AUDIO = 2, 8
_RECTANGLE = 2
_OTHER_SHAPES = {
    1: "points", 3: "circles", 4: "ellipses", 5: "lines", 6: "polylines", 7: "polygons", 9: "circles",
}  # fmt: skip
_UNSET = "_DEFAULT"
# What hand-over calls a row of the timeline: the person, then the action.
_PERSON_AND_ACTION = re.compile(r"\s*(\d+)\s*:\s*(.+)", re.DOTALL)


def is_via(start: FileStart) -> bool:
    """Tell whether a file is VIA's.

    Args:
        start: Its outside.

    Returns:
        True for projects and exports of VIA 2 and 3.
    """
    is_project = start.kind == "json" and start.root == "object" and start.has(*_PROJECT_KEYS)
    return is_project or _CSV_HEADER in start.head or is_via2(start)


def read_via(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a project or an export of VIA.

    Args:
        path: The json or csv.
        videos: Finds the videos, whose size and clock are needed.

    Returns:
        People at the times of their regions.

    Raises:
        FormatError: The file cannot be read, an entry is invalid, or a video is missing.
        VideoError: A video cannot be decoded.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if _CSV_HEADER in head:
        return _Reader(path, videos, _project_of_csv(path)).read()
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        content = load_json(path)
        if isinstance(content, dict) and set(_PROJECT_KEYS) <= content.keys():
            return _Reader(path, videos, _project_of_json(path, content)).read()
    return read_via2(path, videos)


@dataclass
class _Entry:
    """An annotation: the name of its file, its times, its shape and its attributes by their ids."""

    where: str
    file: tuple[str, ...]
    is_image: bool
    times: tuple[float, ...]
    shape: tuple[float, ...]
    values: Mapping[str, str]


@dataclass
class _Project:
    """The parts of a project that are read."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)
    entries: list[_Entry] = field(default_factory=list)
    num_grouped: int = 0
    is_own: bool = False


def _project_of_json(path: Path, content: Mapping[str, Any]) -> _Project:
    for key in _PROJECT_KEYS:
        if not isinstance(content[key], dict):
            raise FormatError(f"{shown(path)}: {key!r} is an object in a project of VIA 3, got {content[key]!r:.60}")
    project = _Project(is_own=content["project"].get("creator") == _OWN_CREATOR)
    _read_attributes(project, content["attribute"], f"{shown(path)}, attribute")
    for key, entry in content["metadata"].items():
        where = f"{shown(path)}, annotation {shown(key)[:40]}"
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: an annotation is an object, got {entry!r:.60}")
        view = content["view"].get(str(entry.get("vid")))
        file_ids = view.get("fid_list") if isinstance(view, dict) else None
        if not isinstance(file_ids, list) or not file_ids:
            raise FormatError(f"{where}: its view {entry.get('vid')!r:.40} is not in the project, or has no file")
        if len(file_ids) > 1:
            project.num_grouped += 1
            continue
        file = content["file"].get(str(file_ids[0]))
        if not isinstance(file, dict):
            raise FormatError(f"{where}: its file {file_ids[0]!r:.40} is not in the project")
        if file.get("type") == _AUDIO:
            project.num_grouped += 1
            continue
        names = tuple(str(file[name]) for name in ("src", "fname") if isinstance(file.get(name), str) and file[name])
        # A picture that lies in the project itself has no name in its source.
        names = tuple(name for name in names if not name.startswith(("data:", "blob:")))
        project.entries.append(
            _Entry(
                where,
                names,
                file.get("type") == _IMAGE,
                _numbers(entry.get("z"), "z", where),
                _numbers(entry.get("xy"), "xy", where),
                _values(entry.get("av"), where),
            )
        )
    return project


def _project_of_csv(path: Path) -> _Project:
    project = _Project()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{shown(path)}: the file cannot be read ({shown(error)}); give a csv in UTF-8") from error
    for number, line in enumerate(lines, 1):
        where = f"{shown(path)}, line {number}"
        if line.startswith(_ATTRIBUTE_LINE):
            content = _json_cell(line.removeprefix(_ATTRIBUTE_LINE), where)
            if not isinstance(content, dict):
                raise FormatError(f"{where}: the attributes are an object, got {content!r:.60}")
            _read_attributes(project, content, where)
        elif line.strip() and not line.startswith("#"):
            project.entries.extend(_entry_of_line(line, where, project))
    return project


def _entry_of_line(line: str, where: str, project: _Project) -> Iterator[_Entry]:
    cells = next(csv.reader([line]))
    if len(cells) != 6:
        raise FormatError(f"{where}: {len(cells)} cells, and VIA's csv has 6; was this row cut off?")
    files, times, shape, values = (_json_cell(cells[column], where) for column in (1, 3, 4, 5))
    if not isinstance(files, list) or not files or not all(isinstance(name, str) for name in files):
        raise FormatError(f"{where}: the file is a list with its name, got {files!r:.60}")
    if len(files) > 1:
        project.num_grouped += 1
        return
    yield _Entry(
        where, (files[0],), not times, _numbers(times, "times", where), _numbers(shape, "shape", where),
        _values(values, where),
    )  # fmt: skip


def _json_cell(text: str, where: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"))
    except MALFORMED as error:
        raise FormatError(f"{where}: a cell is no json ({reason_of(error)}); export the project again") from error


def _numbers(value: Any, name: str, where: str) -> tuple[float, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise FormatError(f"{where}: {name} is a list of numbers, got {value!r:.60}")
    return tuple(finite_number(number, name, where) for number in value)


def _values(value: Any, where: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FormatError(f"{where}: the attributes of an annotation are an object, got {value!r:.60}")
    return {str(key): text if isinstance(text, str) else json.dumps(text) for key, text in value.items()}


def _read_attributes(project: _Project, attributes: Mapping[str, Any], where: str) -> None:
    for key, entry in attributes.items():
        if not isinstance(entry, dict):
            raise FormatError(f"{where} {shown(key)[:40]}: an attribute is an object, got {entry!r:.60}")
        options = entry.get("options")
        named = {str(k): str(v) for k, v in options.items()} if isinstance(options, dict) else {}
        kind = entry.get("type")
        project.options[key] = named
        project.anchors[key] = str(entry.get("anchor_id"))
        project.attributes[key] = Attribute(
            str(entry.get("aname", key)).strip(),
            _KINDS.get(kind, "text") if isinstance(kind, int) else "text",
            tuple(named.values()),
        )


class _Reader:
    """Turns the annotations of one project into labels."""

    def __init__(self, path: Path, videos: VideoLookup, project: _Project) -> None:
        self._path = path
        self._videos = videos
        self._project = project
        self._labels = ToolLabels()

    def read(self) -> ToolLabels:
        project, labels = self._project, self._labels
        if project.num_grouped:
            labels.dropped["annotations of sound, or of several files together"] += project.num_grouped
        in_frames = {key: a for key, a in project.attributes.items() if not project.anchors[key].endswith("_XY0")}
        regions = list(self._regions(in_frames))
        read_regions(regions, list(in_frames.values()), labels)
        self._read_segments(has_actions=any(person.actions for person in labels.people))
        if project.is_own:
            # Another project numbers its options as they were added.
            labels.action_ids = {
                name: int(option)
                for key, attribute in in_frames.items()
                if attribute.is_action
                for option, name in project.options[key].items()
                if option.isascii() and option.isdigit()
            }
        return labels

    def _regions(self, attributes: Mapping[str, Attribute]) -> Iterator[Region]:
        for entry in self._project.entries:
            if not entry.shape:
                continue
            kind = int(entry.shape[0])
            if kind in _OTHER_SHAPES:
                self._labels.dropped[_OTHER_SHAPES[kind]] += 1
                continue
            corners = _corners(kind, entry.shape[1:], entry.where)
            if entry.is_image or not entry.times:
                video, seconds, width, height = self._image(entry)
            elif len(entry.times) > 1:
                self._labels.dropped["regions of more than one time"] += 1
                continue
            else:
                found = self._video(entry)
                video, seconds = found.video_id, max(entry.times[0] - found.start_seconds, 0.0)
                width, height = found.width, found.height
                if seconds > found.duration_seconds + 1:
                    self._labels.dropped["regions after the end of the video"] += 1
                    continue
            values = {
                attributes[key].name: self._named(key, text) for key, text in entry.values.items() if key in attributes
            }
            yield Region(entry.where, video, seconds, box_fraction(corners, width, height, entry.where), values)

    def _named(self, key: str, text: str) -> tuple[str, ...]:
        """Return the values of an attribute by their names: options are kept by their ids, with commas between."""
        options = self._project.options.get(key, {})
        if text in ("", _UNSET):
            return ()
        if not options or self._project.attributes[key].kind == "text":
            return (text.strip(),)
        if text in options:
            return (options[text],)
        names = []
        for part in text.split(","):
            if part.strip() in options:
                names.append(options[part.strip()])
            elif part.strip():
                self._labels.dropped["choices that the project does not list"] += 1
        return tuple(names)

    def _video(self, entry: _Entry) -> MeasuredVideo:
        need = "boxes are in its pixels, times on its player's clock"
        return self._videos.get(*entry.file, where=entry.where, need=need)

    def _image(self, entry: _Entry) -> tuple[str, float, float, float]:
        """Return the video and the time of an image, and its width and height."""
        keyframe = self._keyframes[entry.file[-1] if entry.file else ""]
        need = "VIA's file does not have the size of its images, which are not beside it"
        size = image_size(entry.file, self._path.parent)
        size = size or self._videos.get(keyframe.video, where=entry.where, need=need).decoded_size
        return keyframe.video, keyframe.seconds, *size

    @cached_property
    def _keyframes(self) -> Mapping[str, Keyframe]:
        """The keyframes of the images by their names, which are understood together."""
        images = (entry for entry in self._project.entries if entry.is_image or not entry.times)
        names = {name: name for name in (entry.file[-1] if entry.file else "" for entry in images)}
        return keyframes_of_names(names, self._videos, shown(self._path))

    def _read_segments(self, *, has_actions: bool) -> None:
        segments = [entry for entry in self._project.entries if not entry.shape and len(entry.times) >= 2]
        if has_actions or not self._labels.people:
            why = "the actions of the boxes were taken" if has_actions else "there is no box"
            if segments:
                self._labels.dropped[f"segments of the timeline ({why})"] += len(segments)
            return
        people = list(self._labels.people)
        for entry in segments:
            found = self._video(entry)
            start, end = (time - found.start_seconds for time in (entry.times[0], entry.times[-1]))
            times = dict.fromkeys(p.seconds for p in people if p.video == found.video_id and start <= p.seconds <= end)
            for person, action in self._said(entry.values):
                names = [name for name in self._labels.action_names if name == action] or [action]
                if not times:
                    self._labels.dropped["segments of the timeline without a box in their time"] += 1
                for seconds in times:
                    self._labels.people.append(LabelledPerson(found.video_id, seconds, None, tuple(names), person))
                self._labels.action_names = tuple(dict.fromkeys((*self._labels.action_names, *names)))

    def _said(self, values: Mapping[str, str]) -> Iterable[tuple[str | None, str]]:
        """Yield the person, where the text has one, and the action of each value of a segment."""
        for key, text in values.items():
            for name in self._named(key, text):
                match = _PERSON_AND_ACTION.fullmatch(name)
                if match:
                    yield match[1], match[2].strip()
                elif is_action_name(name):
                    yield None, name


def _corners(kind: int, numbers: tuple[float, ...], where: str) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of a rectangle, or of the four points at its sides."""
    if kind == _RECTANGLE and len(numbers) == 4:
        x, y, width, height = numbers
        return x, y, x + width, y + height
    if kind == EXTREME_RECTANGLE and len(numbers) >= 4 and len(numbers) % 2 == 0:
        return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
    raise FormatError(f"{where}: a rectangle is [2, x, y, width, height], got {[kind, *numbers]!r:.80}")
