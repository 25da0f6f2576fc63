"""Label Studio's JSON and JSON_MIN exports (https://labelstud.io/guide/export, https://labelstud.io/guide/task_format).

A task is a video or an image. On videos people are ``videorectangle`` regions and actions spans of a timeline
(``label_studio_video``); on images people are rectangles, and actions choices on them, or the labels themselves. Boxes
are in percent of the upright frame with square pixels. An image is called ``VIDEO/SECOND.jpg`` or has the number of a
frame (``image_keyframes``).

Of several annotations of a task the one that is marked as ground truth counts, else the latest. A task that was not
annotated has an empty list of annotations. A file of tasks that were never in Label Studio, such as ``hand-over``
writes, has no such list at all, and its predictions are read.
"""

from __future__ import annotations

from pathlib import Path

from ava_detect.errors import shown
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import Keyframe, keyframes_of_names
from ava_detect.results.importing.json_files import load_json
from ava_detect.results.importing.label_studio_tasks import RECTANGLE, Scheme, Task, read_tasks, upright_box
from ava_detect.results.importing.label_studio_video import person_in, read_video_task
from ava_detect.results.importing.labels import LabelledPerson, ToolLabels, finite_number
from ava_detect.results.importing.videos import VideoLookup


def is_label_studio(start: FileStart) -> bool:
    """Tell whether a file is from Label Studio.

    Args:
        start: Its outside.

    Returns:
        True for a json list of tasks, with ``data`` and annotations or predictions, or with the fields of JSON_MIN.
    """
    if start.kind != "json" or start.root != "list":
        return False
    has_results = bool({"annotations", "predictions", "completions"} & set(start.names))
    return (start.has("data") and has_results) or start.has("id", "annotator", "annotation_id")


def read_label_studio(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read an export of Label Studio, JSON or JSON_MIN.

    Args:
        path: The file.
        videos: Finds the videos, whose frame times are needed.

    Returns:
        People on the frames that were labelled, and at the multiples of ``videos.every_seconds``; and on images.

    Raises:
        FormatError: The file cannot be read, an entry is invalid, or a video is missing.
        VideoError: A video cannot be decoded.
    """
    labels = ToolLabels()
    tasks = read_tasks(load_json(path), path, labels.dropped)
    scheme = Scheme.of(tasks)
    labels.action_names = scheme.action_names
    names = {number: task.media for number, task in enumerate(tasks) if not task.is_video}
    keyframes = keyframes_of_names(names, videos, shown(path))
    for number, task in enumerate(tasks):
        if task.is_video:
            read_video_task(task, scheme, videos, labels)
        else:
            _read_image_task(task, scheme, keyframes[number], labels)
    return labels


def _read_image_task(task: Task, scheme: Scheme, keyframe: Keyframe, labels: ToolLabels) -> None:
    """Read a task of an image; choices about the whole image belong to the only person on it."""
    if not any(region.shape for region in task.regions):
        labels.empty_keyframes.append(keyframe)
    for region in task.regions:
        box = None
        if region.shape == RECTANGLE:
            if not scheme.is_person(region, labels.dropped):
                continue
            where = f"{task.where}, region {region.id!r:.40}"
            sides = (region.value.get(f"original_{side}") or 1 for side in ("width", "height"))
            width, height = (finite_number(side, "original size", where) for side in sides)
            box = upright_box(region.value, (width, height), where, labels.dropped)
        elif region.shape or not region.chosen:
            continue
        actions = scheme.actions_of(region, labels.dropped)
        labels.people.append(LabelledPerson(*keyframe, box, actions, person_in(region.note)))
