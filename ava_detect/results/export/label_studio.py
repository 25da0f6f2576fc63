"""Label Studio tasks (https://labelstud.io/guide/predictions, video object tracking and timeline segmentation).

``tasks.json`` has a task per video with the results as a prediction: a ``videorectangle`` per person, whose boxes Label
Studio interpolates from keyframe to keyframe, and a ``timelinelabels`` span per action tube, with its person in the
metadata. ``labeling_config.xml`` is the project's labelling interface. Boxes are in percent.

Label Studio numbers frames by time: at t seconds on the player's clock it is at frame round(t x fps) + 1, whether the
frames of the file are evenly spaced or not.

Videos are in Label Studio's local storage, which serves the files in subfolders of one folder, its document root:
``?d=FOLDER/NAME``, relative to that root.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from ava_detect.errors import shown
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.tubes import ActionTube

TASKS_FILE, CONFIG_FILE = "tasks.json", "labeling_config.xml"
_VIDEO, _BOXES, _PEOPLE, _ACTIONS = "video", "boxes", "people", "actions"
_PERSON = "person"
_LOCAL_STORAGE = "/data/local-files/?d="


def write_label_studio(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``tasks.json``, which refers to videos in Label Studio's local storage, and ``labeling_config.xml``.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The paths of both files.
    """
    tasks, config = out / TASKS_FILE, out / CONFIG_FILE
    names, root = tool_names(actions_of(videos), clean=for_xml), _document_root(videos)
    content = [_task(video, root, names) for video in videos]
    write_text_atomic(tasks, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text_atomic(config, _config(names.values()))
    return [tasks, config]


def storage_note(videos: Sequence[AnnotatedVideo]) -> str:
    """Say how Label Studio is to be started so that it finds the videos.

    Args:
        videos: The videos.

    Returns:
        A sentence with the two environment variables and the folders that are to be added as local storage.
    """
    root = _document_root(videos)
    folders = sorted({str(root / video.path.resolve().relative_to(root).parts[0]) for video in videos})
    return (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shown(root)}, and add {shown(', '.join(folders))} to the project as "
        "local storage: it shows the videos from there"
    )


def _document_root(videos: Sequence[AnnotatedVideo]) -> Path:
    """Return the folder above the one that holds all videos: Label Studio serves only what lies in its subfolders."""
    return Path(os.path.commonpath([video.path.resolve().parent for video in videos])).parent


def _task(video: AnnotatedVideo, root: Path, names: Mapping[int, str]) -> dict[str, Any]:
    tracks = sorted(video.tracks().items())
    results = [_track(video, track_id, sightings) for track_id, sightings in tracks]
    results += [_span(video, index, tube, names[tube.action_id]) for index, tube in enumerate(video.tubes)]
    path = quote(video.path.resolve().relative_to(root).as_posix())
    return {
        "data": {"video": f"{_LOCAL_STORAGE}{path}", "fps": _fps(video), "video_id": video.video_id},
        "predictions": [{"model_version": "ava_detect", "result": results}],
    }


def _track(video: AnnotatedVideo, track_id: int, sightings: Sequence[Sighting]) -> dict[str, Any]:
    # By frame: where frames are closer together than the average rate has them, two may get one number.
    steps: dict[int, dict[str, Any]] = {}
    for sighting, following in zip(sightings, [*sightings[1:], None], strict=True):
        end = video.leaves_after(sighting, following)
        shown_step = _step(video, sighting, sighting.frame, is_shown=True)
        steps[shown_step["frame"]] = shown_step
        if end is not None:
            # A step that is not enabled ends the person's visibility.
            last_step = _step(video, sighting, end, is_shown=False)
            steps.setdefault(last_step["frame"], last_step)
    value = {
        "framesCount": _num_frames(video),
        "duration": video.player_seconds(video.duration_seconds),
        "sequence": [steps[frame] for frame in sorted(steps)],
        "labels": [_PERSON],
    }
    score = sum(sighting.person_score for sighting in sightings) / len(sightings)
    return {
        "id": f"person-{track_id}",
        "type": "videorectangle",
        "from_name": _BOXES,
        "to_name": _VIDEO,
        "origin": "prediction",
        "score": round(score, 4),
        "meta": {"text": [f"person {track_id}"]},
        "value": value,
    }


def _step(video: AnnotatedVideo, sighting: Sighting, frame: int, *, is_shown: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = sighting.box_xyxy
    seconds = float(video.frame_times[frame])
    return {
        "frame": _frame_number(video, seconds),
        "enabled": is_shown,
        "rotation": 0,
        "x": round(100 * x1 / video.width, 4),
        "y": round(100 * y1 / video.height, 4),
        "width": round(100 * (x2 - x1) / video.width, 4),
        "height": round(100 * (y2 - y1) / video.height, 4),
        "time": video.player_seconds(seconds),
    }


def _fps(video: AnnotatedVideo) -> float:
    """Return the rate by which the project numbers the frames, as the task has it."""
    return round(video.fps, 6)


def _num_frames(video: AnnotatedVideo) -> int:
    return round(video.player_seconds(video.duration_seconds) * _fps(video))


def _frame_number(video: AnnotatedVideo, seconds: float) -> int:
    """Return the frame at which Label Studio is at a time, which counts from the first frame of the video."""
    # JavaScript's rounding: halves go up.
    number = math.floor(video.player_seconds(seconds) * _fps(video) + 0.5) + 1
    return min(number, _num_frames(video))


def _span(video: AnnotatedVideo, index: int, tube: ActionTube, name: str) -> dict[str, Any]:
    start, end = (_frame_number(video, seconds) for seconds in (tube.start_seconds, tube.end_seconds))
    return {
        "id": f"action-{index}",
        "type": "timelinelabels",
        "from_name": _ACTIONS,
        "to_name": _VIDEO,
        "origin": "prediction",
        "score": round(tube.mean_score, 4),
        "meta": {"text": [f"person {tube.track_id}"]},
        "value": {
            "ranges": [{"start": start, "end": end}],
            "timelinelabels": [name],
        },
    }


def _config(names: Iterable[str]) -> str:
    view = ElementTree.Element("View")
    timeline = ElementTree.SubElement(view, "TimelineLabels", {"name": _ACTIONS, "toName": _VIDEO})
    for name in names:
        ElementTree.SubElement(timeline, "Label", {"value": name})
    ElementTree.SubElement(view, "Video", {"name": _VIDEO, "value": "$video", "frameRate": "$fps"})
    ElementTree.SubElement(view, "VideoRectangle", {"name": _BOXES, "toName": _VIDEO})
    people = ElementTree.SubElement(view, "Labels", {"name": _PEOPLE, "toName": _VIDEO})
    ElementTree.SubElement(people, "Label", {"value": _PERSON})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
