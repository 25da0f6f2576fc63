"""FiftyOne's exports of datasets of videos and of their frames.

``FiftyOneVideoLabelsDataset`` (https://docs.voxel51.com/user_guide/export_datasets.html) has ``manifest.json``, which
lists each video with its file of ETA's ``VideoLabels``: objects on frames, events over frames. ``FiftyOneDataset`` has
the documents of FiftyOne's database: ``samples.json``, and for videos ``frames.json``. Frames count from 1. Boxes are
fractions of the frame.

A person's actions are attributes of the box (a score, true, or text in an attribute such as ``action``), the label of
the box itself, or events: temporal detections with the attribute ``person`` or of the only person. Where boxes have
actions, events are left out: ``hand-over`` writes both, and the boxes are exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.results.importing.action_attributes import LabelScheme, actions_in, is_person_label, quoted
from ava_detect.results.importing.attribute_values import person_of, read_box, scheme_of
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import frame_seconds, keyframes_of_names
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.videos import VideoLookup

MANIFEST, SAMPLES, FRAMES = "manifest.json", "samples.json", "frames.json"
_MANIFEST_TYPE = "LabeledVideoDataset"
_OTHER_LABELS = {
    "Polyline": "polygons",
    "Keypoint": "key points",
    "Segmentation": "masks",
    "Heatmap": "masks",
    "Classification": "labels of whole frames",
}
# Fields of a detection in the database that are no attributes.
_OWN_FIELDS = frozenset(
    (
        "_id",
        "_cls",
        "attributes",
        "tags",
        "label",
        "bounding_box",
        "confidence",
        "index",
        "instance",
        "mask",
        "mask_path",
    )
)
_RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?")
_TRUTH_FIELDS = ("ground_truth", "corrections", "corrected", "labels", "frames", "detections")


@dataclass(frozen=True)
class _Object:
    """A box: the field that has it, its label, its fractions, and its attributes."""

    field: str
    label: str
    box: Box
    attributes: Mapping[str, object]
    person: str | None


@dataclass(frozen=True)
class _Event:
    """An action over frames, both included, counted from 1; of a person, or of the only one."""

    label: str
    first: int
    last: int
    person: str | None


@dataclass
class _Sample:
    """A video with its frames, numbered from 1; or an image, which is frame 0."""

    where: str
    media: str
    is_video: bool
    frames: dict[int, list[_Object]] = field(default_factory=dict)
    events: list[_Event] = field(default_factory=list)


def is_fiftyone(start: FileStart) -> bool:
    """Tell whether a file or folder is from FiftyOne.

    Args:
        start: Its outside.

    Returns:
        True for a folder with a manifest or samples, for these files, and for labels of one video.
    """
    if start.kind == "folder":
        return start.has(MANIFEST, "labels") or start.has(SAMPLES, "metadata.json")
    if start.kind != "json" or start.root != "object":
        return False
    if start.has("type", "index"):
        return _MANIFEST_TYPE.encode() in start.head
    return start.names == ("samples",) or start.names == ("frames",) or start.has("frames", "events")


def read_fiftyone(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read an export of FiftyOne.

    Args:
        path: The folder, its ``manifest.json`` or ``samples.json``, or one file of video labels.
        videos: Finds the videos, whose frame times are needed.

    Returns:
        People on the frames that have labels; frames with an empty list of them are keyframes without people.

    Raises:
        FormatError: A file cannot be read, an entry is invalid, or a video is missing.
        VideoError: A video cannot be decoded.
    """
    labels = ToolLabels()
    samples = list(_samples(path, labels))
    for sample in samples:
        _forget_listed_frames(sample)
    _choose_field(samples, labels)
    objects = [item for sample in samples for found in sample.frames.values() for item in found]
    scheme = scheme_of((item.label, item.attributes) for item in objects)
    events = [event.label for sample in samples for event in sample.events]
    box_actions = scheme.action_names() if not scheme.labels_are_actions else ()
    if events and not box_actions:
        # The labels of boxes are no actions beside events: all of them are people, where none is called so.
        are_people = not any(map(is_person_label, scheme.labels))
        scheme = scheme_of((item.label, {"action": ""} if are_people else {}) for item in objects)
    elif events:
        labels.dropped["events beside the actions of boxes"] += len(events)
    for sample in samples:
        _read_sample(sample, scheme, videos, labels, with_events=not box_actions)
    if not box_actions:
        labels.action_names = actions_in(events) or (tuple(scheme.labels) if scheme.labels_are_actions else ())
    return labels


def _samples(path: Path, labels: ToolLabels) -> Iterator[_Sample]:
    """Read the samples of any of the layouts."""
    if path.is_dir():
        path = path / (MANIFEST if (path / MANIFEST).exists() else SAMPLES)
    content = load_json(path)
    if isinstance(content, dict) and isinstance(content.get("index"), list):
        for number, entry in enumerate(content["index"]):
            where = f"{shown(path)}, index {number}"
            if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("data", "labels")):
                raise FormatError(f"{where}: an entry has the paths data and labels, got {entry!r:.200}")
            yield _eta_sample(_inside(path.parent, entry["labels"], where), entry["data"], labels)
    elif isinstance(content, dict) and isinstance(content.get("samples"), list):
        yield from _documents(path, content["samples"], labels)
    elif isinstance(content, dict) and isinstance(content.get("frames"), dict):
        yield _eta_sample(path, str(content.get("filename") or path.stem), labels)
    else:
        raise FormatError(
            f"{shown(path)}: no manifest, samples or video labels of FiftyOne; give the folder of the exported dataset"
        )


def _inside(folder: Path, name: str, where: str) -> Path:
    """Return the path of a file of the dataset, which lies in its folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FormatError(f"{where}: the labels {shown(name)!r:.80} are not in the folder of the dataset")
    return path


def _eta_sample(path: Path, media: str, labels: ToolLabels) -> _Sample:
    """Read a file of ETA's ``VideoLabels``."""
    content = load_json(path)
    where = shown(path)
    sample = _Sample(where, media, is_video=True)
    for key, frame in _object(content, "frames", where).items():
        number = finite_number(
            frame.get("frame_number", key) if isinstance(frame, dict) else None, "frame_number", where
        )
        place = f"{where}, frame {number:g}"
        found = sample.frames.setdefault(int(number), [])
        for item in _items(frame, "objects", place):
            found.append(_eta_object(item, place))
        for kind, plural in (
            ("polylines", "polygons"),
            ("keypoints", "key points"),
            ("attrs", "labels of whole frames"),
        ):
            labels.dropped[plural] += len(_items(frame, kind, place))
        labels.dropped["masks"] += frame.get("mask") is not None
    for item in _items(content, "events", where):
        attributes = _eta_attributes(item)
        support = item.get("support")
        ranges = support.get("ranges") if isinstance(support, dict) else support
        for match in _RANGE.finditer(str(ranges or "")):
            person = person_of(item, {"person_id": attributes.get("person")}, attributes)
            sample.events.append(_Event(str(item.get("label")), int(match[1]), int(match[2] or match[1]), person))
    return sample


def _eta_object(item: Mapping[str, Any], where: str) -> _Object:
    corners = [
        finite_number(_object(_object(item, "bounding_box", where), corner, where).get(axis), axis, where)
        for corner in ("top_left", "bottom_right")
        for axis in ("x", "y")
    ]
    attributes = _eta_attributes(item)
    box = box_fraction(corners, 1, 1, where)
    return _Object(str(item.get("name") or ""), str(item.get("label")), box, attributes, person_of(item, attributes))


def _eta_attributes(item: Mapping[str, Any]) -> dict[str, object]:
    container = item.get("attrs")
    listed = container.get("attrs") if isinstance(container, dict) else None
    entries = listed if isinstance(listed, list) else []
    return {str(entry.get("name")): entry.get("value") for entry in entries if isinstance(entry, dict)}


def _documents(path: Path, samples: list[Any], labels: ToolLabels) -> Iterator[_Sample]:
    """Read the documents of the database: samples, and the frames of those that are videos."""
    frames_file = path.parent / FRAMES
    listed = _items(load_json(frames_file), "frames", shown(frames_file)) if frames_file.exists() else []
    by_sample: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for number, item in enumerate(listed):
        place = f"{shown(frames_file)}, frame {number}"
        by_sample.setdefault(_id(item.get("_sample_id")), []).append((place, item))
    for number, document in enumerate(samples):
        where = f"{shown(path)}, sample {number}"
        if not isinstance(document, dict) or not isinstance(document.get("filepath"), str):
            raise FormatError(f"{where}: a sample has a filepath, got {document!r:.200}")
        frames = by_sample.get(_id(document.get("_id")), [])
        is_video = document.get("_media_type") == "video" or bool(frames)
        sample = _Sample(where, document["filepath"], is_video)
        for _, value in _labels_of(document, "TemporalDetection"):
            first, last = (int(finite_number(end, "support", where)) for end in _pair(value.get("support"), where))
            attributes = {k: v for k, v in value.items() if k not in _OWN_FIELDS}
            person = person_of(value, {"person_id": attributes.get("person")}, attributes)
            sample.events.append(_Event(str(value.get("label")), first, last, person))
        for place, frame in frames if is_video else [(where, document)]:
            number = int(finite_number(frame.get("frame_number"), "frame_number", place)) if is_video else 0
            found = [_document_object(name, value, place) for name, value in _labels_of(frame, "Detection")]
            # An image without a list of boxes was never labelled.
            if is_video or found or _has_list(frame):
                sample.frames[number] = found
            for kind, plural in _OTHER_LABELS.items():
                labels.dropped[plural] += sum(1 for _ in _labels_of(frame, kind))
        yield sample


def _labels_of(document: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the field and the value of each label of a kind, alone or in a list such as ``Detections``."""
    for name, value in document.items():
        if not isinstance(value, dict):
            continue
        if value.get("_cls") == kind:
            yield name, value
        elif value.get("_cls") == f"{kind}s":
            for listed in value.values():
                if isinstance(listed, list):
                    yield from ((name, item) for item in listed if isinstance(item, dict))


def _has_list(document: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) and value.get("_cls") == "Detections" for value in document.values())


def _document_object(name: str, value: Mapping[str, Any], where: str) -> _Object:
    corners = value.get("bounding_box")
    if not isinstance(corners, list) or len(corners) != 4:
        raise FormatError(f"{where}: bounding_box is [x, y, width, height] in fractions, got {corners!r:.100}")
    x, y, width, height = (finite_number(number, "bounding_box", where) for number in corners)
    attributes = {str(k): v for k, v in value.items() if k not in _OWN_FIELDS}
    old = value.get("attributes")
    # Before FiftyOne 0.9 attributes had a field of their own.
    for key, entry in (old if isinstance(old, dict) else {}).items():
        attributes.setdefault(str(key), entry.get("value") if isinstance(entry, dict) else entry)
    instance = value.get("instance")
    link = {"instance_id": _id(instance.get("_id"))} if isinstance(instance, dict) else {}
    box = box_fraction((x, y, x + width, y + height), 1, 1, where)
    return _Object(name, str(value.get("label")), box, attributes, person_of(value, attributes, link))


def _forget_listed_frames(sample: _Sample) -> None:
    """Remove the frames without boxes where FiftyOne lists every frame: they do not tell what was looked at."""
    empty = {number for number, found in sample.frames.items() if not found}
    if any(number + 1 in empty for number in empty):
        sample.frames = {number: found for number, found in sample.frames.items() if found}


def _choose_field(samples: list[_Sample], labels: ToolLabels) -> None:
    """Keep the boxes of one field: those that people made, where the dataset has predictions, too."""
    fields = dict.fromkeys(item.field for s in samples for found in s.frames.values() for item in found)
    if len(fields) < 2:
        return
    ranked = [name for known in _TRUTH_FIELDS for name in fields if name.rsplit(".", 1)[-1] == known]
    chosen = (ranked or [name for name in fields if "predict" not in name.lower()] or list(fields))[0]
    for sample in samples:
        for number, found in sample.frames.items():
            for item in found:
                labels.dropped[f"boxes of the field {quoted(item.field)}"] += item.field != chosen
            sample.frames[number] = [item for item in found if item.field == chosen]


def _read_sample(
    sample: _Sample, scheme: LabelScheme, videos: VideoLookup, labels: ToolLabels, *, with_events: bool
) -> None:
    times = _times(sample, videos)
    for number, found in sorted(sample.frames.items()):
        video, seconds = times[number]
        events = [e for e in sample.events if e.first <= number <= e.last] if with_events else []
        for item in found:
            read = read_box(scheme, item.label, item.attributes, labels.dropped)
            if read is not None:
                actions, named = read
                person = item.person or named
                done = (event.label for event in events if event.person is not None and event.person == person)
                actions = tuple(dict.fromkeys((*actions, *done)))
                labels.people.append(LabelledPerson(video, seconds, item.box, actions, person))
        nameless = tuple(dict.fromkeys(event.label for event in events if event.person is None))
        if nameless and found:
            labels.people.append(LabelledPerson(video, seconds, None, nameless))
        if not found:
            labels.empty_keyframes.append((video, seconds))


def _times(sample: _Sample, videos: VideoLookup) -> Mapping[int, tuple[str, float]]:
    """Return the video and the time of each frame of a sample."""
    if not sample.is_video:
        return {0: keyframes_of_names({0: sample.media}, videos, sample.where)[0]}
    video = videos.get(sample.media, where=sample.where, need="FiftyOne numbers frames")
    return {number: (video.video_id, frame_seconds(video, number - 1, sample.where)) for number in sample.frames}


def _object(content: Any, name: str, where: str) -> dict[str, Any]:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise FormatError(f"{where}: {name} is an object, got {found!r:.100}")
    return found


def _items(content: Any, name: str, where: str) -> list[dict[str, Any]]:
    """Return the list in one of ETA's containers, such as ``{"objects": {"objects": []}}``; empty for none."""
    container = content.get(name) if isinstance(content, dict) else None
    found = container.get(name) if isinstance(container, dict) else container
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise FormatError(f"{where}: {name} is a list of objects, got {found!r:.100}")
    return found


def _pair(value: Any, where: str) -> tuple[object, object]:
    if not isinstance(value, list) or len(value) != 2:
        raise FormatError(f"{where}: support is [first, last], got {value!r:.100}")
    return value[0], value[1]


def _id(value: object) -> str:
    """Return the text of an id of the database, which json has as ``{"$oid": "..."}``."""
    return str(value.get("$oid") if isinstance(value, dict) else value)
