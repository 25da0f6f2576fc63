"""Label Studio tasks (https://labelstud.io/guide/predictions, video object tracking and timeline segmentation).

``tasks.json`` has a task per video with the results as a prediction: a ``videorectangle`` per person, whose boxes Label
Studio interpolates from keyframe to keyframe, and a ``timelinelabels`` span per action tube, with its person in the
metadata. ``labeling_config.xml`` is the project's labelling interface. Frames count from 1, boxes are in percent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.labels import Action
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
    write_text_atomic(tasks, json.dumps([_task(video) for video in videos], indent=1, ensure_ascii=False) + "\n")
    write_text_atomic(config, _config(actions_of(videos)))
    return [tasks, config]


def _task(video: AnnotatedVideo) -> dict[str, Any]:
    tracks = sorted(video.tracks().items())
    results = [_track(video, track_id, sightings) for track_id, sightings in tracks]
    results += [_span(video, index, tube) for index, tube in enumerate(video.tubes)]
    return {
        "data": {"video": f"{_LOCAL_STORAGE}{video.path.name}", "fps": round(video.fps, 6), "video_id": video.video_id},
        "predictions": [{"model_version": "ava_detect", "result": results}],
    }


def _track(video: AnnotatedVideo, track_id: int, sightings: Sequence[Sighting]) -> dict[str, Any]:
    sequence: list[dict[str, Any]] = []
    for sighting, following in zip(sightings, [*sightings[1:], None], strict=True):
        end = video.leaves_after(sighting, following)
        sequence.append(_step(video, sighting, sighting.frame, is_shown=True))
        if end is not None:
            # A step that is not enabled ends the person's visibility.
            sequence.append(_step(video, sighting, end, is_shown=False))
    value = {
        "framesCount": video.num_frames,
        "duration": round(video.duration_seconds, 6),
        "sequence": sequence,
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
    return {
        "frame": frame + 1,
        "enabled": is_shown,
        "rotation": 0,
        "x": round(100 * x1 / video.width, 4),
        "y": round(100 * y1 / video.height, 4),
        "width": round(100 * (x2 - x1) / video.width, 4),
        "height": round(100 * (y2 - y1) / video.height, 4),
        "time": round(float(video.frame_times[frame]), 6),
    }


def _span(video: AnnotatedVideo, index: int, tube: ActionTube) -> dict[str, Any]:
    start = video.frame_at(tube.start_seconds)
    end = max(video.frame_at(tube.end_seconds), start)
    return {
        "id": f"action-{index}",
        "type": "timelinelabels",
        "from_name": _ACTIONS,
        "to_name": _VIDEO,
        "origin": "prediction",
        "score": round(tube.mean_score, 4),
        "meta": {"text": [f"person {tube.track_id}"]},
        "value": {
            "ranges": [{"start": start + 1, "end": end + 1}],
            "timelinelabels": [video.label_map.name(tube.action_id)],
        },
    }


def _config(actions: Sequence[Action]) -> str:
    view = ElementTree.Element("View")
    timeline = ElementTree.SubElement(view, "TimelineLabels", {"name": _ACTIONS, "toName": _VIDEO})
    for action in actions:
        ElementTree.SubElement(timeline, "Label", {"value": action.name})
    ElementTree.SubElement(view, "Video", {"name": _VIDEO, "value": "$video", "frameRate": "$fps"})
    ElementTree.SubElement(view, "VideoRectangle", {"name": _BOXES, "toName": _VIDEO})
    people = ElementTree.SubElement(view, "Labels", {"name": _PEOPLE, "toName": _VIDEO})
    ElementTree.SubElement(people, "Label", {"value": _PERSON})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
