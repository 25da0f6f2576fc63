"""Label Studio tasks (https://labelstud.io/guide/predictions, video object tracking and timeline segmentation).

``tasks.json`` has a task per video with the results as a prediction: a ``videorectangle`` per person, whose boxes Label
Studio interpolates from keyframe to keyframe, and a ``timelinelabels`` span over the keyframes on which a person does
an action, with the person in the metadata. ``labeling_config.xml`` is the project's labelling interface. Boxes are in
percent.

Label Studio numbers frames by time: at t seconds on the player's clock it is at frame round(t x fps) + 1, whether the
frames of the file are evenly spaced or not. The task has the rate, and the numbers of the keyframes: those without
people are in no track.

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

import numpy as np

from ava_detect.errors import shown
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.local_files import write_text_atomic

TASKS_FILE, CONFIG_FILE = "tasks.json", "labeling_config.xml"
_VIDEO, _BOXES, _PEOPLE, _ACTIONS = "video", "boxes", "people", "actions"
_PERSON = "person"
_LOCAL_STORAGE = "/data/local-files/?d="
#: Where the data of a task has the numbers of the frames that were looked at, whether they show people or not.
KEYFRAMES_FIELD = "keyframes"
# A rate is constant if its frames are not closer together than this share; time stamps are rounded to milliseconds.
_CONSTANT_RATE = 0.05
# A few frames may be closer together by a fault of the file.
_CLOSE_SHARE = 0.05
_HIGHEST_FPS = 120.0


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
    for track_id, sightings in tracks:
        results += _spans(video, track_id, sightings, names)
    path = quote(video.path.resolve().relative_to(root).as_posix())
    return {
        "data": {
            "video": f"{_LOCAL_STORAGE}{path}",
            "fps": _fps(video),
            "video_id": video.video_id,
            KEYFRAMES_FIELD: sorted({_frame_number(video, frame) for frame in video.keyframe_frames()}),
        },
        "predictions": [{"model_version": "ava_detect", "result": results}],
    }


def _track(video: AnnotatedVideo, track_id: int, sightings: Sequence[Sighting]) -> dict[str, Any]:
    # By number: where frames are closer together than the rate has them, two may get one number.
    steps: dict[int, dict[str, Any]] = {}
    for sighting, following in zip(sightings, [*sightings[1:], None], strict=True):
        number, end = _frame_number(video, sighting.frame), video.leaves_after(sighting, following)
        # A step that is not enabled is the last one on which the person is visible.
        last = None if end is None else max(_frame_number(video, end) - 1, number)
        steps[number] = _step(video, sighting, number, is_visible_after=last != number)
        if last is not None and last > number:
            steps[last] = _step(video, sighting, last, is_visible_after=False)
    value = {
        "framesCount": _num_frames(video),
        "duration": video.player_seconds(video.duration_seconds),
        "sequence": [steps[number] for number in sorted(steps)],
        "labels": [_PERSON],
    }
    score = sum(sighting.person_score for sighting in sightings) / len(sightings)
    return _result(f"person-{track_id}", "videorectangle", _BOXES, track_id, score, value)


def _step(video: AnnotatedVideo, sighting: Sighting, number: int, *, is_visible_after: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = sighting.box_xyxy
    return {
        "frame": number,
        "enabled": is_visible_after,
        "rotation": 0,
        "x": round(100 * x1 / video.width, 4),
        "y": round(100 * y1 / video.height, 4),
        "width": round(100 * (x2 - x1) / video.width, 4),
        "height": round(100 * (y2 - y1) / video.height, 4),
        # As Label Studio writes it, although it shows the frame one period earlier.
        "time": round(number / _fps(video), 6),
    }


def _spans(
    video: AnnotatedVideo, track_id: int, sightings: Sequence[Sighting], names: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return a span for each action over sightings one after another that have it.

    It ends half way to the next sighting, or where the person leaves.
    """
    runs: dict[int, list[tuple[int, int, list[float]]]] = {}
    for index, (sighting, following) in enumerate(zip(sightings, [*sightings[1:], None], strict=True)):
        first, last = _frame_number(video, sighting.frame), _last_number(video, sighting, following)
        for action, score in sighting.actions:
            of_action = runs.setdefault(action.id, [])
            before = {a.id for a, _ in sightings[index - 1].actions} if index else set()
            if of_action and action.id in before:
                start, _, scores = of_action[-1]
                of_action[-1] = (start, last, [*scores, score])
            else:
                of_action.append((first, last, [score]))
    return [
        _result(
            f"person-{track_id}-action-{action_id}-{start}",
            "timelinelabels",
            _ACTIONS,
            track_id,
            sum(scores) / len(scores),
            {"ranges": [{"start": start, "end": end}], "timelinelabels": [names[action_id]]},
        )
        for action_id in sorted(runs)
        for start, end, scores in runs[action_id]
    ]


def _last_number(video: AnnotatedVideo, sighting: Sighting, following: Sighting | None) -> int:
    """Return the last frame that shows what a person does on a keyframe."""
    end = video.leaves_after(sighting, following)
    if end is None:
        end = video.num_frames if following is None else (sighting.frame + following.frame + 1) // 2
    number = _frame_number(video, sighting.frame)
    return max(_frame_number(video, end - 1) if end < video.num_frames else _num_frames(video), number)


def _result(
    result_id: str, kind: str, control: str, track_id: int, score: float, value: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": result_id,
        "type": kind,
        "from_name": control,
        "to_name": _VIDEO,
        "origin": "prediction",
        "score": round(score, 4),
        "meta": {"text": [f"person {track_id}"]},
        "value": value,
    }


def _fps(video: AnnotatedVideo) -> float:
    """Return the rate by which the project numbers the frames, as the task has it.

    It is the average rate; of a video of variable rate that of frames close together, so that each has a number.
    """
    gaps = np.diff(video.frame_times)
    closest = 1 / max(float(np.quantile(gaps, _CLOSE_SHARE)), 1 / _HIGHEST_FPS) if len(gaps) else video.fps
    return round(closest if closest > video.fps * (1 + _CONSTANT_RATE) else video.fps, 6)


def _num_frames(video: AnnotatedVideo) -> int:
    return round(video.player_seconds(video.duration_seconds) * _fps(video))


def _frame_number(video: AnnotatedVideo, frame: int) -> int:
    """Return Label Studio's number of a frame."""
    seconds = video.player_seconds(float(video.frame_times[min(frame, video.num_frames - 1)]))
    # JavaScript's rounding: halves go up.
    return min(math.floor(seconds * _fps(video) + 0.5) + 1, _num_frames(video))


def _config(names: Iterable[str]) -> str:
    view = ElementTree.Element("View")
    people = ElementTree.SubElement(view, "Labels", {"name": _PEOPLE, "toName": _VIDEO})
    ElementTree.SubElement(people, "Label", {"value": _PERSON})
    ElementTree.SubElement(view, "Video", {"name": _VIDEO, "value": "$video", "frameRate": "$fps"})
    ElementTree.SubElement(view, "VideoRectangle", {"name": _BOXES, "toName": _VIDEO})
    # Many actions fill the screen: they stand below the video.
    timeline = ElementTree.SubElement(view, "TimelineLabels", {"name": _ACTIONS, "toName": _VIDEO})
    for name in names:
        ElementTree.SubElement(timeline, "Label", {"value": name})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
