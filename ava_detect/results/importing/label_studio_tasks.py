"""The tasks of a Label Studio export, JSON and JSON_MIN: for each the regions of the annotation that counts.

A region has one or several results with one id: one has the shape, and others add labels, choices or texts. JSON_MIN
has neither ids nor types: each result is a region there, named by its control.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.results.importing.action_attributes import Attribute, actions_in, is_person_label, quoted
from ava_detect.results.importing.labels import Box, box_fraction, finite_number
from ava_detect.results.importing.videos import as_path
from ava_detect.video.folders import VIDEO_SUFFIXES

VIDEO_BOXES, RECTANGLE, TIMELINE = "videorectangle", "rectangle", "timelinelabels"
_IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"))
_LABEL_FIELDS = ("rectanglelabels", "videorectanglelabels", "labels")
# The value that tells each shape, in results with and without a type.
_SHAPE_OF_FIELD = {"sequence": VIDEO_BOXES, "ranges": TIMELINE}
_OTHER_SHAPES = {
    "polygon": "polygons",
    "brush": "brush masks",
    "bitmask": "masks",
    "keypoint": "key points",
    "ellipse": "ellipses",
    "vector": "polylines",
    "videovector": "polylines",
}
# Besides the data of the task and its results, an entry of JSON_MIN has these.
_MIN_FIELDS = frozenset(("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"))


@dataclass
class Region:
    """A region: its shape, and all that is said of it.

    Attributes:
        id: Its id, unique in the annotation.
        shape: ``videorectangle``, ``rectangle`` or ``timelinelabels``; empty for what is said of the whole task.
        value: The value that has the shape.
        labels: The labels of a box.
        chosen: Control and value of each choice, and each label of a timeline, whose control is ``timelinelabels``.
        note: The text that a person or ``hand-over`` wrote into its metadata.
    """

    id: str
    shape: str = ""
    value: Mapping[str, Any] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    chosen: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""


@dataclass
class Task:
    """A task with the regions of the annotation that counts.

    Attributes:
        where: The file and the task, for messages.
        data: The data of the task.
        media: Name, path or address of its video or image.
        is_video: Whether it is a video.
        regions: Its regions.
        relations: Pairs of ids of regions that a person connected.
    """

    where: str
    data: Mapping[str, Any]
    media: str
    is_video: bool
    regions: list[Region] = field(default_factory=list)
    relations: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Scheme:
    """Which words of a file are actions. An export does not hold the project's configuration.

    Attributes:
        labels_are_actions: Whether the labels of boxes are: none is a word for a person, and nothing else is an action.
        controls: The controls whose values are actions.
        action_names: All of the actions that occur.
    """

    labels_are_actions: bool
    controls: frozenset[str]
    action_names: tuple[str, ...]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Scheme:
        """Find out from all tasks of a file.

        Args:
            tasks: The tasks.

        Returns:
            The words that are actions.
        """
        regions = [region for task in tasks for region in task.regions]
        labels = [label for region in regions for label in region.labels]
        chosen = [pair for region in regions for pair in region.chosen]
        controls = {control for control, _ in chosen}
        # Where one control is called "actions", another of the same project is about something else.
        telling = {control for control in controls if control == TIMELINE or Attribute(control, "choices").is_action}
        controls = telling or controls
        names = [name for control, name in chosen if control in controls]
        are_actions = bool(labels) and not names and not any(map(is_person_label, labels))
        return cls(are_actions, frozenset(controls), actions_in(labels if are_actions else names))

    def actions_of(self, region: Region, dropped: Counter[str]) -> tuple[str, ...]:
        """Return the actions of a region.

        Args:
            region: The region.
            dropped: Gets what is not carried over.

        Returns:
            Its labels where these are actions, and what was chosen for it.
        """
        for control, _ in region.chosen:
            if control not in self.controls:
                dropped[f"values of {quoted(control)}"] += 1
        names = [name for control, name in region.chosen if control in self.controls]
        return actions_in((*(region.labels if self.labels_are_actions else ()), *names))

    def is_person(self, region: Region, dropped: Counter[str]) -> bool:
        """Tell whether a box is a person.

        Args:
            region: A region with a box.
            dropped: Gets the box where it is none.

        Returns:
            True where it has no label or one of a person, where labels are actions, or where no label is a person's.
        """
        if self.labels_are_actions or not region.labels or any(map(is_person_label, region.labels)):
            return True
        dropped[f"boxes of the label {quoted(region.labels[0])}"] += 1
        return False


def read_tasks(content: Any, path: Path, dropped: Counter[str]) -> list[Task]:
    """Read the tasks of an export.

    Args:
        content: The json of the file: a list of tasks, or one task.
        path: The file, for messages.
        dropped: Gets what is not carried over.

    Returns:
        The tasks that were annotated; those with predictions where the file has no list of annotations.

    Raises:
        FormatError: An entry is invalid.
    """
    entries = content if isinstance(content, list) else [content]
    tasks: list[Task] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise FormatError(f"{shown(path)}, task {number}: a task is an object, got {entry!r:.80}")
        where = f"{shown(path)}, task {shown(entry.get('id', number))[:20]}"
        if "data" not in entry:
            tasks.append(_minimal_task(entry, where, dropped))
            continue
        result = _result_that_counts(entry, where, dropped)
        if result is None:
            dropped["tasks without an annotation"] += 1
            continue
        data = entry["data"]
        if not isinstance(data, dict):
            raise FormatError(f"{where}: its data is an object, got {data!r:.80}")
        task = Task(where, data, *_media(data.values(), where))
        _add_results(task, result, dropped)
        tasks.append(task)
    return tasks


def _result_that_counts(entry: Mapping[str, Any], where: str, dropped: Counter[str]) -> list[Any] | None:
    """Return the results of a task's annotation; None where it was not annotated."""
    annotations = entry.get("annotations", entry.get("completions"))
    is_annotated = isinstance(annotations, list)
    found = annotations if is_annotated else entry.get("predictions")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FormatError(f"{where}: annotations or predictions are a list of objects; export it as JSON")
    skipped = [one for one in found if one.get("was_cancelled")]
    dropped["skipped annotations"] += len(skipped)
    kept = [one for one in found if not one.get("was_cancelled")]
    if not kept:
        return None
    dropped["other annotations of the same task" if is_annotated else "other predictions"] += len(kept) - 1
    latest = max(kept, key=lambda one: (bool(one.get("ground_truth")), str(one.get("updated_at") or "")))
    if not isinstance(latest.get("result"), list):
        raise FormatError(f"{where}: an annotation has a list 'result', got {latest.get('result')!r:.80}")
    return list(latest["result"])


def _add_results(task: Task, results: Sequence[Any], dropped: Counter[str]) -> None:
    regions: dict[str, Region] = {}
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            raise FormatError(f"{task.where}, result {number}: it is an object, got {result!r:.80}")
        kind = str(result.get("type", ""))
        if kind == "relation":
            task.relations.append((str(result.get("from_id")), str(result.get("to_id"))))
            continue
        region_id = str(result.get("id", f"result {number}"))
        region = regions.setdefault(region_id, Region(region_id))
        value = result.get("value")
        if not isinstance(value, dict):
            raise FormatError(f"{task.where}, result {number}: its value is an object, got {value!r:.80}")
        meta = result.get("meta")
        texts = meta.get("text") if isinstance(meta, dict) else None
        region.note = region.note or " ".join(map(str, texts if isinstance(texts, list) else [texts or ""])).strip()
        # Sizes are those of the image that the results are on.
        sizes = {side: result[side] for side in ("original_width", "original_height") if side in result}
        _add_value(region, str(result.get("from_name", "")), kind, {**sizes, **value}, dropped)
    task.regions = list(regions.values())


def _minimal_task(entry: Mapping[str, Any], where: str, dropped: Counter[str]) -> Task:
    """Return a task of JSON_MIN: data and results are in one object, a list of results by control."""
    plain = {k: v for k, v in entry.items() if k not in _MIN_FIELDS}
    task = Task(where, plain, *_media((v for v in plain.values() if isinstance(v, str)), where))
    for control, found in plain.items():
        values = found if isinstance(found, list) else [found]
        # Choices of the whole task are a text, or an object with the list of them.
        for number, value in enumerate(values):
            if isinstance(value, dict):
                region = Region(f"{control} {number + 1}")
                _add_value(region, control, "", value, dropped)
                task.regions.append(region)
    return task


def _add_value(region: Region, control: str, kind: str, value: Mapping[str, Any], dropped: Counter[str]) -> None:
    """Add one result to its region."""
    for name in _LABEL_FIELDS:
        listed = value.get(name)
        if isinstance(listed, list):
            region.labels += [str(label) for label in listed if str(label) not in region.labels]
    for name in ("choices", "taxonomy", TIMELINE):
        listed = value.get(name, [])
        for item in listed if isinstance(listed, list) else [listed]:
            # The value of a taxonomy is the path to it.
            text = item[-1] if isinstance(item, list) and item else item
            region.chosen.append((TIMELINE if name == TIMELINE else control, str(text)))
    shape = next((shape for field_name, shape in _SHAPE_OF_FIELD.items() if field_name in value), "")
    other = kind.removesuffix("labels")
    if not shape and other in _OTHER_SHAPES:
        if not region.shape:
            dropped[_OTHER_SHAPES[other]] += 1
        region.shape = other
    elif not shape and {"x", "y", "width", "height"} <= value.keys():
        shape = RECTANGLE
    if shape:
        region.shape, region.value = shape, value
    for name in ("text", "number", "rating", "datetime"):
        if name in value and not shape:
            dropped[f"values of {quoted(control)}"] += 1


def _media(values: Any, where: str) -> tuple[str, bool]:
    """Return the video or the image among the data of a task, and whether it is a video."""
    texts = [value for value in values if isinstance(value, str)]
    suffixes = [PurePosixPath(as_path(text).rstrip("/")).suffix.lower() for text in texts]
    for known, is_video in ((VIDEO_SUFFIXES, True), (_IMAGE_SUFFIXES, False)):
        for text, suffix in zip(texts, suffixes, strict=True):
            if suffix in known:
                return text, is_video
    raise FormatError(f"{where}: its data names no video and no image; export tasks of videos, or of their frames")


def iter_relations(task: Task) -> Iterator[tuple[str, str]]:
    """List the relations of a task in both directions.

    Args:
        task: The task.

    Yields:
        Pairs of ids of regions.
    """
    for first, second in task.relations:
        yield first, second
        yield second, first


def upright_box(value: Mapping[str, Any], frame_size: tuple[float, float], where: str, dropped: Counter[str]) -> Box:
    """Read a box of Label Studio: corner, width and height in percent, turned around the corner.

    Args:
        value: An object with ``x``, ``y``, ``width``, ``height``, and ``rotation`` clockwise in degrees.
        frame_size: Width and height of the frame, whose ratio counts: a turn does not keep percents.
        where: The file and the entry, for messages.
        dropped: Gets the rotation.

    Returns:
        x1, y1, x2, y2 as fractions of the frame.

    Raises:
        FormatError: A number is missing, not finite, or far outside the frame.
    """
    x, y, width, height = (finite_number(value.get(name), name, where) for name in ("x", "y", "width", "height"))
    turn = math.radians(finite_number(value.get("rotation") or 0, "rotation", where))
    corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
    if turn:
        dropped["rotations of boxes, of which the upright box around them was taken"] += 1
        across, down = frame_size
        sine, cosine = math.sin(turn), math.cos(turn)
        corners = [
            (px * cosine - py * sine * down / across, px * sine * across / down + py * cosine) for px, py in corners
        ]
    xs, ys = zip(*corners, strict=True)
    return box_fraction((x + min(xs), y + min(ys), x + max(xs), y + max(ys)), 100, 100, where)
