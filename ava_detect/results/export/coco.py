"""COCO json (https://cocodataset.org/#format-data): an image per keyframe, a person per box, with track and actions.

Images are named ``VIDEO/SECOND.jpg`` and have ``video_id``, ``timestamp`` and ``frame`` besides COCO's own fields:
``read_coco_json`` and scripts that cut the frames identify the frame by them. An annotation has ``track_id`` and,
under ``attributes``, which Datumaro and CVAT read, the track and every action with its score. Sizes and boxes are in
the file's own pixels, turned upright: those of frames that FFmpeg or OpenCV cut, and of ``write_images``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ava_detect.formats.ava_csv import format_timestamp
from ava_detect.results.export.action_names import tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.local_files import atomic_path, write_text_atomic

FILE_NAME = "instances.json"
IMAGES = "images"
_JPEG_QUALITY = 95
_JPEG_COMMENT = b"ava_detect keyframe"
#: How the images begin: the head that Pillow writes, then the comment, by which an earlier export is known.
IMAGE_START = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xfe\0\x15" + _JPEG_COMMENT
PERSON_CATEGORY = 1


def write_coco(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``instances.json`` with all people on all keyframes of the videos.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the file.
    """
    names, folders = tool_names(actions_of(videos)), file_stems(video.video_id for video in videos)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in videos:
        image_of_frame: dict[int, int] = {}
        for frame, seconds in video.keyframe_frames().items():
            # Image ids count from 1.
            image_of_frame[frame] = len(images) + 1
            name = _file_name(folders[video.video_id], seconds)
            images.append(_image(len(images) + 1, video, frame, seconds, name))
        for sighting in video.sightings():
            image_id = image_of_frame[sighting.frame]
            annotations.append(_annotation(len(annotations) + 1, image_id, video, sighting, names))
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


def image_names(videos: Sequence[AnnotatedVideo]) -> list[str]:
    """Return the names of the files that ``write_images`` will write, relative to its folder.

    Args:
        videos: The videos.

    Returns:
        ``images/VIDEO/SECOND.jpg`` for each image.
    """
    folders = file_stems(video.video_id for video in videos)
    return [
        f"{IMAGES}/{_file_name(folders[video.video_id], seconds)}"
        for video in videos
        for seconds in video.keyframe_frames().values()
    ]


def write_images(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write the images of ``instances.json`` to the folder ``images``, under the names that they have there.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of the folder.
    """
    folders = file_stems(video.video_id for video in videos)
    for video in videos:
        frames = video.keyframe_frames()
        for seconds, image in zip(frames.values(), video.images(list(frames)), strict=True):
            with atomic_path(out / IMAGES / _file_name(folders[video.video_id], seconds)) as temporary:
                Image.fromarray(image).save(temporary, "JPEG", quality=_JPEG_QUALITY, comment=_JPEG_COMMENT)
    return [out / IMAGES]


def _file_name(folder: str, timestamp_seconds: float) -> str:
    return f"{folder}/{format_timestamp(timestamp_seconds)}.jpg"


def _image(
    image_id: int, video: AnnotatedVideo, frame: int, timestamp_seconds: float, file_name: str
) -> dict[str, Any]:
    width, height = video.decoded_size
    return {
        "id": image_id,
        "file_name": file_name,
        "width": width,
        "height": height,
        "video_id": video.video_id,
        "timestamp": round(timestamp_seconds, 6),
        "frame": frame,
    }


def _annotation(
    annotation_id: int, image_id: int, video: AnnotatedVideo, sighting: Sighting, names: dict[int, str]
) -> dict[str, Any]:
    x1, y1, x2, y2 = video.unstretched_box(sighting)
    width, height = round(x2 - x1, 3), round(y2 - y1, 3)
    actions = {names[action.id]: round(score, 4) for action, score in sighting.actions}
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
