"""COCO json (https://cocodataset.org/#format-data): an image per keyframe, a person per box, with track and actions.

Images are named ``VIDEO/SECOND.jpg`` and have ``video_id``, ``timestamp`` and ``frame`` besides COCO's own fields:
``read_coco_json`` and scripts that cut the frames identify the frame by them. An annotation has ``track_id`` and,
under ``attributes``, which Datumaro and CVAT read, the track and every action with its score.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ava_detect.formats.ava_csv import format_timestamp
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting
from ava_detect.storage.local_files import write_text_atomic

FILE_NAME = "instances.json"
PERSON_CATEGORY = 1


def write_coco(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``instances.json`` with all people on all keyframes of the videos.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the file.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in videos:
        image_of_frame: dict[int, int] = {}
        for keyframe in video.keyframes:
            frame = video.frame_at(keyframe.timestamp_seconds)
            # Several keyframes may show one frame; image ids count from 1.
            if frame not in image_of_frame:
                image_of_frame[frame] = len(images) + 1
                images.append(_image(len(images) + 1, video, frame, keyframe.timestamp_seconds))
        for sighting in video.sightings():
            annotations.append(_annotation(len(annotations) + 1, image_of_frame[sighting.frame], sighting))
    content = {
        "info": {"description": "People and their actions, found by ava_detect", "version": "1.0"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": PERSON_CATEGORY, "name": "person", "supercategory": "person"}],
    }
    path = out / FILE_NAME
    write_text_atomic(path, json.dumps(content, ensure_ascii=False) + "\n")
    return [path]


def _image(image_id: int, video: AnnotatedVideo, frame: int, timestamp_seconds: float) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": f"{video.video_id}/{format_timestamp(timestamp_seconds)}.jpg",
        "width": video.width,
        "height": video.height,
        "video_id": video.video_id,
        "timestamp": round(timestamp_seconds, 6),
        "frame": frame,
    }


def _annotation(annotation_id: int, image_id: int, sighting: Sighting) -> dict[str, Any]:
    x1, y1, x2, y2 = sighting.box_xyxy
    width, height = round(x2 - x1, 3), round(y2 - y1, 3)
    actions = {action.name: round(score, 4) for action, score in sighting.actions}
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": PERSON_CATEGORY,
        "bbox": [x1, y1, width, height],
        "area": round(width * height, 3),
        "iscrowd": 0,
        "segmentation": [],
        "score": round(sighting.person_score, 4),
        "track_id": sighting.track_id,
        "attributes": {"track_id": sighting.track_id, **actions},
    }
