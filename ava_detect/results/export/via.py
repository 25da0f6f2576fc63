"""A project of the VGG Image Annotator 3 (https://www.robots.ox.ac.uk/~vgg/software/via/), for its video annotator.

Every person on a keyframe is a region with the attributes ``person`` (the track id) and ``actions`` (checkboxes).
Every action tube is a segment of the timeline in a row such as ``3: talk to``. Times are those of the browser's player,
whose clock may start before the picture. The project has the absolute path of
each video; when a video has been moved, VIA asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ava_detect.results.export.action_names import tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, actions_of
from ava_detect.storage.local_files import write_text_atomic

FILE_NAME = "via_project.json"
# The constants of VIA's own modules (_via_attribute.js, _via_file.js, _via_metadata.js).
_TEXT, _CHECKBOX = 1, 2
_VIDEO_FILE, _BY_FILE_URI = 4, 3
_RECTANGLE = 2
_PERSON, _ACTIONS, _SPAN = "1", "2", "3"


def write_via(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``via_project.json`` with all of the videos.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the file.
    """
    names = tool_names(actions_of(videos))
    metadata: dict[str, Any] = {}
    for number, video in enumerate(videos, start=1):
        for entry in [*_regions(video), *_spans(video, names)]:
            metadata[f"{number}_{len(metadata)}"] = {"vid": str(number), "flg": 0, **entry}
    numbers = [str(number) for number in range(1, len(videos) + 1)]
    project = {
        "project": {
            # VIA's own placeholders in a project that is not shared.
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "ava_detect",
            "creator": "ava_detect",
            "created": 0,
            "data_format_version": "3.1.1",
            "vid_list": numbers,
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": _PERSON,
                "gtimeline_visible_row_count": "8",
            },
        },
        "attribute": _attributes(names),
        "file": {number: _file(number, video) for number, video in zip(numbers, videos, strict=True)},
        "view": {number: {"fid_list": [number]} for number in numbers},
        "metadata": metadata,
    }
    path = out / FILE_NAME
    write_text_atomic(path, json.dumps(project, ensure_ascii=False) + "\n")
    return [path]


def _attributes(names: Mapping[int, str]) -> dict[str, Any]:
    options = {str(action_id): name for action_id, name in names.items()}
    in_frame, in_time = "FILE1_Z1_XY1", "FILE1_Z2_XY0"
    return {
        _PERSON: _attribute("person", in_frame, _TEXT, "Who: the same number is the same person", {}),
        _ACTIONS: _attribute("actions", in_frame, _CHECKBOX, "What the person does at this moment", options),
        _SPAN: _attribute("who does what", in_time, _TEXT, "A person and an action, from start to end", {}),
    }


def _attribute(name: str, anchor: str, kind: int, description: str, options: dict[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": anchor,
        "type": kind,
        "desc": description,
        "options": options,
        "default_option_id": "",
    }


def _file(number: str, video: AnnotatedVideo) -> dict[str, Any]:
    source = video.path.resolve().as_uri()
    return {"fid": number, "fname": video.path.name, "type": _VIDEO_FILE, "loc": _BY_FILE_URI, "src": source}


def _regions(video: AnnotatedVideo) -> list[dict[str, Any]]:
    entries = []
    for sighting in video.sightings():
        x1, y1, x2, y2 = sighting.box_xyxy
        entries.append(
            {
                "z": [video.player_seconds(sighting.timestamp_seconds)],
                "xy": [_RECTANGLE, x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
                "av": {
                    _PERSON: str(sighting.track_id),
                    _ACTIONS: ",".join(str(action.id) for action, _ in sighting.actions),
                },
            }
        )
    return entries


def _spans(video: AnnotatedVideo, names: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "z": [
                video.player_seconds(tube.start_seconds),
                video.player_seconds(min(tube.end_seconds, video.duration_seconds)),
            ],
            "xy": [],
            "av": {_SPAN: f"{tube.track_id}: {names[tube.action_id]}"},
        }
        for tube in video.tubes
    ]
