"""A FiftyOne dataset of type ``FiftyOneVideoLabelsDataset``: people with track index and actions on video frames.

``manifest.json`` lists each video and its file in ``labels/``, which is in ETA's ``VideoLabels`` layout
(https://docs.voxel51.com/user_guide/dataset_creation/datasets.html#fiftyonevideolabelsdataset). A person is a detection
``person`` with the track id as ``index`` and an attribute per action with the score as its value. Each action tube is
an event, whose attribute ``person`` is the track id: FiftyOne's importer leaves off the index of an event. Videos are
not copied: the manifest has their paths, relative to itself. Frames count from 1. FiftyOne's database accepts no dot in
the name of an attribute, so ``read (e.g., a book)`` becomes ``read (eg, a book)``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ava_detect.results.export.action_names import tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.tubes import ActionTube

MANIFEST_FILE = "manifest.json"
_NUMBER = "eta.core.data.NumericAttribute"


def write_fiftyone(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``manifest.json`` and ``labels/VIDEO_ID.json`` for each video.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of ``manifest.json``, then those of the videos.
    """
    index, paths = [], [out / MANIFEST_FILE]
    names = tool_names(actions_of(videos), clean=field_name)
    stems = file_stems(video.video_id for video in videos)
    for video in videos:
        labels = out / "labels" / f"{stems[video.video_id]}.json"
        write_text_atomic(labels, json.dumps(_labels(video, names), ensure_ascii=False) + "\n")
        paths.append(labels)
        source = Path(os.path.relpath(video.path.resolve(), out.resolve())).as_posix()
        index.append({"data": source, "labels": f"labels/{labels.name}"})
    manifest = {"type": "eta.core.datasets.LabeledVideoDataset", "description": "", "index": index}
    write_text_atomic(paths[0], json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return paths


def _labels(video: AnnotatedVideo, names: Mapping[int, str]) -> dict[str, Any]:
    numbers = [frame + 1 for frame in video.keyframe_frames()]
    # A keyframe without people has an empty list: it was looked at.
    frames: dict[str, Any] = {str(n): {"frame_number": n, "objects": {"objects": []}} for n in numbers}
    for sighting in video.sightings():
        frames[str(sighting.frame + 1)]["objects"]["objects"].append(_object(video, sighting, names))
    return {
        "filename": video.path.name,
        "frames": frames,
        "events": {"events": [_event(video, t, names) for t in video.tubes]},
    }


def _object(video: AnnotatedVideo, sighting: Sighting, names: Mapping[int, str]) -> dict[str, Any]:
    x1, y1, x2, y2 = sighting.box_xyxy
    attributes = [
        {"type": _NUMBER, "name": names[action.id], "value": round(score, 4)} for action, score in sighting.actions
    ]
    return {
        "type": "eta.core.objects.DetectedObject",
        "label": "person",
        "index": sighting.track_id,
        "confidence": round(sighting.person_score, 4),
        "bounding_box": {
            "top_left": {"x": round(x1 / video.width, 6), "y": round(y1 / video.height, 6)},
            "bottom_right": {"x": round(x2 / video.width, 6), "y": round(y2 / video.height, 6)},
        },
        "attrs": {"attrs": attributes},
    }


def _event(video: AnnotatedVideo, tube: ActionTube, names: Mapping[int, str]) -> dict[str, Any]:
    start = video.frame_at(tube.start_seconds) + 1
    end = max(video.frame_at(tube.end_seconds) + 1, start)
    return {
        "type": "eta.core.events.VideoEvent",
        "label": names[tube.action_id],
        "index": tube.track_id,
        "confidence": round(tube.mean_score, 4),
        "support": {"ranges": f"{start}-{end}"},
        "attrs": {"attrs": [{"type": _NUMBER, "name": "person", "value": tube.track_id}]},
    }


def field_name(name: str) -> str:
    """Return a name that FiftyOne accepts for a field.

    Args:
        name: Any name.

    Returns:
        The name without dots, NULs, dollar signs and leading underscores.
    """
    return name.translate(dict.fromkeys(map(ord, ".\0$"))).lstrip("_ ")
