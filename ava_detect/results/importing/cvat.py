"""CVAT xml 1.1, for video and for images (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/).

Video: a track has boxes on keyframes (``tracks``); in between CVAT moves them straight, an ``outside`` box ends the
person's visibility, and an attribute keeps its value until the next keyframe that sets it. Images: a box per person and
image, whose name tells the keyframe (``VIDEO/0902.jpg``), or the number of a frame of the task's video.

Boxes are in pixels of the frames that CVAT decoded: upright, in the file's own pixels. A download is a zip file with
``annotations.xml``, and may hold the images too.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from ava_detect.errors import FormatError, shown
from ava_detect.results.importing.action_attributes import Attribute, LabelScheme
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import frame_seconds, keyframes_of_names
from ava_detect.results.importing.labels import LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.tracks import Step, boxes_on, labelled_frames
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.importing.xml_files import MAX_BYTES, iter_children
from ava_detect.results.measured_video import MeasuredVideo

_MEMBER = "annotations.xml"
_KINDS = {"checkbox": "checkbox", "select": "choice", "radio": "choice"}
_OTHER_SHAPES = {
    "polygon": "polygons",
    "polyline": "polylines",
    "points": "points",
    "ellipse": "ellipses",
    "cuboid": "cuboids",
    "mask": "masks",
    "skeleton": "skeletons",
    "tag": "tags of whole frames",
}
# The name of a frame of a video task in an export for images.
_FRAME_NAME = re.compile(r"frame_(\d{1,9})(?:\.\w+)?", re.IGNORECASE)
# Sides of the frames may differ by as much as codecs round them.
_ASPECT_TOLERANCE = 0.02


def is_cvat(start: FileStart) -> bool:
    """Tell whether a file is CVAT's.

    Args:
        start: Its outside.

    Returns:
        True for xml whose outermost element is ``annotations``, and a zip file with ``annotations.xml``.
    """
    if start.kind == "zip":
        return _MEMBER in start.names
    return start.kind == "xml" and start.root == "annotations" and bool({"meta", "track", "image"} & set(start.names))


@dataclass
class _Task:
    """A task of the file: a video, or a set of images.

    Attributes:
        name: Name of the task, which a person chose.
        source: Name of the file that the task was made from.
        size: Width and height of its frames; None where the file does not tell.
    """

    name: str = ""
    source: str = ""
    size: tuple[float, float] | None = None


def read_cvat(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read an export of CVAT.

    Args:
        path: The xml, or the zip file with it.
        videos: Finds the videos, whose frame times are needed.

    Returns:
        People on the frames that were labelled, and at the multiples of ``videos.every_seconds``; and on images.

    Raises:
        FormatError: The file cannot be read, an entry is invalid, or a video is missing.
        VideoError: A video cannot be decoded.
    """
    reader = _Reader(path, videos)
    with _opened(path) as file:
        for element in iter_children(path, file):
            reader.take(element)
    reader.read_tracks()
    reader.read_images()
    reader.labels.action_names = reader.scheme.action_names()
    return reader.labels


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | None]:
    """Open ``annotations.xml`` in a zip file; None for a plain file."""
    if not zipfile.is_zipfile(path):
        yield None
        return
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(_MEMBER)
            if info.file_size > MAX_BYTES:
                raise ValueError(f"{_MEMBER} has {info.file_size:,} bytes")
            with archive.open(info) as file:
                yield file
    except KeyError:
        raise FormatError(f"{shown(path)}: the zip file has no {_MEMBER}; give one that CVAT exported") from None
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{shown(path)}: the zip file cannot be read ({shown(error)}); download it again") from error


class _Reader:
    """Reads the elements of one file in their order: the task first, then tracks or images."""

    def __init__(self, path: Path, videos: VideoLookup) -> None:
        self.labels = ToolLabels()
        self.scheme = LabelScheme()
        self._path = path
        self._videos = videos
        self._tasks: dict[str, _Task] = {}
        self._found: dict[str, MeasuredVideo] = {}
        self._tracks: dict[str, list[_Track]] = {}
        self._num_tracks = 0
        self._images: list[Element] = []

    def take(self, element: Element) -> None:
        """Read an element below the outermost one."""
        match element.tag:
            case "meta":
                self._read_meta(element)
            case "track":
                self._read_track(element)
            case "image":
                self._images.append(element)

    def _read_meta(self, meta: Element) -> None:
        for label in meta.iter("label"):
            name = (label.findtext("name") or "").strip()
            self.scheme.labels[name] = {
                attribute.name: attribute for attribute in map(_attribute, label.iterfind("attributes/attribute"))
            }
        found = [task for tag in ("task", "job") for task in meta.iter(tag)]
        for task in found:
            size = None
            # A job of several videos has no size of its own.
            if task.find("original_size/width") is not None:
                where = f"{shown(self._path)}, original_size"
                width, height = (
                    finite_number(task.findtext(f"original_size/{side}"), side, where) for side in ("width", "height")
                )
                size = (width, height)
            self._tasks[(task.findtext("id") or "").strip()] = _Task(
                (task.findtext("name") or "").strip(), (task.findtext("source") or "").strip(), size
            )

    def _task_of(self, element: Element) -> tuple[str, _Task]:
        """Return the task of a track or an image; where the file has one task, it is that one."""
        key = element.get("task_id", "")
        if key in self._tasks:
            return key, self._tasks[key]
        if len(self._tasks) == 1:
            return next(iter(self._tasks.items()))
        return "", _Task()

    def _video_of(self, element: Element) -> MeasuredVideo:
        key, task = self._task_of(element)
        if key not in self._found:
            names = [task.name, task.source] if task.name or task.source else [self._path.stem]
            where = f"{shown(self._path)}"
            video = self._videos.get(*names, where=where, need="frame numbers become times")
            _check_size(task, video, where)
            self._found[key] = video
        return self._found[key]

    def _read_track(self, track: Element) -> None:
        number, self._num_tracks = self._num_tracks, self._num_tracks + 1
        dropped = self.labels.dropped
        where = f"{shown(self._path)}, track {shown(track.get('id', number))[:20]}"
        for tag, plural in _OTHER_SHAPES.items():
            dropped[plural] += len(track.findall(tag))
        boxes = [box for box in track.iterfind("box") if box.get("keyframe", "1") != "0"]
        if not boxes:
            return
        key, task = self._task_of(track)
        video = self._video_of(track)
        steps = self._steps(track, boxes, task.size or video.decoded_size, where)
        if steps:
            self._tracks.setdefault(key, []).append(_Track(track.get("id", str(number)), steps))

    def _steps(self, track: Element, boxes: Sequence[Element], size: tuple[float, float], where: str) -> list[Step]:
        """Return the keyframes of a person, ascending; an attribute keeps its value until it is set again."""
        found: dict[int, Element] = {}
        for box in boxes:
            frame = finite_number(box.get("frame"), "frame", where)
            if not frame.is_integer() or frame < 0:
                raise FormatError(f"{where}: frame is a whole number from 0, got {frame:g}")
            found[int(frame)] = box
        label = track.get("label", "")
        values = {**self._defaults(label), **_values(track)}
        steps: list[Step] = []
        for frame, box in sorted(found.items()):
            values |= _values(box)
            corners = _corners(box, f"{where}, frame {frame}", self.labels.dropped)
            fraction = box_fraction(corners, size[0], size[1], f"{where}, frame {frame}")
            if box.get("outside", "0") == "1":
                steps.append(Step(frame, fraction, stays=False, is_visible=False))
            elif (read := self.scheme.read(label, values, self.labels.dropped)) is not None:
                steps.append(Step(frame, fraction, stays=True, is_visible=True, actions=read[0]))
        return steps

    def _defaults(self, label: str) -> dict[str, str]:
        return {a.name: a.default for a in self.scheme.labels.get(label, {}).values() if a.default}

    def read_tracks(self) -> None:
        """Read the people of the tracks, who are known on frames that were labelled for others."""
        for key, tracks in self._tracks.items():
            video = self._found[key]
            labelled = labelled_frames((track.steps for track in tracks), with_ends=False)
            late = [s for track in tracks for s in track.steps if s.is_visible and s.frame >= video.num_frames]
            self.labels.dropped["boxes on frames after the end of the video"] += len(late)
            inside = {frame for frame in labelled if frame < video.num_frames}
            frames = sorted(inside | set(self._videos.frames_of_multiples(video)))
            for track in tracks:
                for frame, box, step in boxes_on(track.steps, frames):
                    seconds = float(video.frame_times[int(frame)])
                    self.labels.people.append(LabelledPerson(video.video_id, seconds, box, step.actions, track.person))

    def read_images(self) -> None:
        """Read the images, whose names are understood together."""
        named = {}
        for number, image in enumerate(self._images):
            if not _FRAME_NAME.fullmatch(image.get("name", "")):
                named[number] = image.get("name", "")
        keyframes = keyframes_of_names(named, self._videos, shown(self._path))
        for number, image in enumerate(self._images):
            boxes = image.findall("box")
            for tag, plural in _OTHER_SHAPES.items():
                self.labels.dropped[plural] += len(image.findall(tag))
            if number in keyframes:
                video, seconds = keyframes[number]
                if not boxes:
                    self.labels.empty_keyframes.append((video, seconds))
            elif boxes:
                # A frame of the task's video. All of them are listed, those that were not looked at too.
                measured = self._video_of(image)
                where = f"{shown(self._path)}, image {shown(image.get('name'))[:80]!r}"
                frame = int(re.sub(r"\D", "", Path(image.get("name", "")).stem))
                video, seconds = measured.video_id, frame_seconds(measured, frame, where)
            if boxes:
                self._read_boxes(image, boxes, video, seconds)

    def _image_size(self, image: Element, video: str, where: str) -> tuple[float, float]:
        """Return the size of an image; Datumaro leaves it out where it has no pictures."""
        if image.get("width") is None:
            _, task = self._task_of(image)
            need = "its image has no size"
            return task.size or self._videos.get(video, where=where, need=need).decoded_size
        return finite_number(image.get("width"), "width", where), finite_number(image.get("height"), "height", where)

    def _read_boxes(self, image: Element, boxes: Sequence[Element], video: str, seconds: float) -> None:
        where = f"{shown(self._path)}, image {shown(image.get('name'))[:80]!r}"
        width, height = self._image_size(image, video, where)
        for box in boxes:
            if box.get("outside", "0") == "1":
                # Datumaro makes images of tracks: the person is not to be seen.
                continue
            corners = _corners(box, where, self.labels.dropped)
            label = box.get("label", "")
            read = self.scheme.read(label, {**self._defaults(label), **_values(box)}, self.labels.dropped)
            if read is not None:
                actions, person = read
                fraction = box_fraction(corners, width, height, where)
                self.labels.people.append(LabelledPerson(video, seconds, fraction, actions, person))


@dataclass(frozen=True)
class _Track:
    """The boxes of a person that were set in a video."""

    person: str
    steps: Sequence[Step]


def _attribute(element: Element) -> Attribute:
    kind = (element.findtext("input_type") or "").strip()
    # "text" is CVAT's kind for text and "number" for numbers, whose values are their range.
    values = (element.findtext("values") or "").split("\n") if kind in ("select", "radio") else []
    return Attribute(
        (element.findtext("name") or "").strip(),
        _KINDS.get(kind, "text"),
        tuple(value.strip() for value in values if value.strip()),
        (element.findtext("default_value") or "").strip() if kind in _KINDS else "",
    )


def _values(element: Element) -> dict[str, str]:
    return {(a.get("name") or "").strip(): (a.text or "").strip() for a in element.iterfind("attribute")}


def _check_size(task: _Task, video: MeasuredVideo, where: str) -> None:
    """Refuse frames that CVAT turned otherwise, or another video of the name: boxes would be in other places."""
    if task.size is None:
        return
    (width, height), (decoded_width, decoded_height) = task.size, video.decoded_size
    if height <= 0 or abs(width / height / (decoded_width / decoded_height) - 1) > _ASPECT_TOLERANCE:
        raise FormatError(
            f"{where}: frames of {width:g} x {height:g} pixels, and those of {shown(video.path)} are {decoded_width} x "
            f"{decoded_height}; give the video that was labelled"
        )


def _corners(box: Element, where: str, dropped: Counter[str]) -> Sequence[float]:
    """Return the corners of a box in pixels; of a turned one, those of the upright box around it."""
    x1, y1, x2, y2 = (finite_number(box.get(side), side, where) for side in ("xtl", "ytl", "xbr", "ybr"))
    turn = math.radians(finite_number(box.get("rotation", "0"), "rotation", where))
    if not turn:
        return x1, y1, x2, y2
    dropped["rotations of boxes, of which the upright box around them was taken"] += 1
    across, down = abs(x2 - x1) / 2, abs(y2 - y1) / 2
    width = abs(across * math.cos(turn)) + abs(down * math.sin(turn))
    height = abs(across * math.sin(turn)) + abs(down * math.cos(turn))
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    return middle_x - width, middle_y - height, middle_x + width, middle_y + height
