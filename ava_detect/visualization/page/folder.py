"""Write the folder of the HTML viewer ("the page"): its static files, the data of each video, and the list of videos.

Data are written as ``.js`` scripts, not as JSON, because browsers do not load JSON from ``file://``.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ava_detect.errors import ConfigError
from ava_detect.storage.file_names import PAGE_DATA, PAGE_MEDIA
from ava_detect.storage.local_files import atomic_path, write_text_atomic
from ava_detect.storage.outputs import check_output_folder, refuse_inputs_inside
from ava_detect.visualization.chips import page_colours
from ava_detect.visualization.kind_marks import page_values
from ava_detect.visualization.page import packing
from ava_detect.visualization.page.media import PageVideo
from ava_detect.visualization.page.packing import VideoContent

_STATIC = Path(__file__).resolve().parent / "static"
# The list of videos. It is written last, so its presence also marks a folder as one that this module has written.
_LIST_SCRIPT = Path(PAGE_DATA) / "list.js"


@dataclass(frozen=True, eq=False)
class VideoEntry:
    """What the page shows of one video.

    Attributes:
        video_id: Id of the video.
        content: People, actions and ground truth of its keyframes; None where there are no results.
        video: The video file that the browser plays; None where there is none.
        notices: Warnings shown to the user of the page, each a sentence.
        has_thumbnail: Whether a thumbnail for the list of videos has been written.
    """

    video_id: str
    content: VideoContent | None
    video: PageVideo | None
    notices: Sequence[str]
    has_thumbnail: bool


def key_of(index: int) -> str:
    """Return the base name of a video's files: a number, because video ids may contain any character.

    Args:
        index: Index of the video in the list, from 0.

    Returns:
        The position from 1 with at least four digits, such as ``0001`` for index 0.
    """
    return f"{index + 1:04d}"


def start_folder(page: Path, inputs: Mapping[str, object]) -> None:
    """Copy the static files (HTML, scripts, styles) into the folder, and delete the data and media of an earlier page.

    Args:
        page: The folder of the page.
        inputs: What the page is made of, by parameters, as ``check_output`` takes it.

    Raises:
        ConfigError: The folder has a file that is not from such a page and would be overwritten, or an input lies among
            the files of an earlier page, which would be deleted.
    """
    sources = sorted(_STATIC.iterdir())
    is_page = (page / _LIST_SCRIPT).is_file()

    check_output_folder(page, [source.name for source in sources], inputs)
    for source in sources:
        path = page / source.name
        # An interrupted page has no list yet.
        if not is_page and path.exists() and not filecmp.cmp(path, source, shallow=False):
            article = "an" if source.name[0] in "aeiou" else "a"
            raise ConfigError(f"{page} has {article} {source.name} that is not this page's; choose another `out`")
    if is_page:
        for name in (PAGE_DATA, PAGE_MEDIA):
            refuse_inputs_inside(page / name, inputs)
        for name in (PAGE_DATA, PAGE_MEDIA):
            shutil.rmtree(page / name, ignore_errors=True)
    for source in sources:
        with atomic_path(page / source.name) as temporary:
            shutil.copyfile(source, temporary)


def write_video(page: Path, index: int, entry: VideoEntry) -> dict[str, Any]:
    """Write the data scripts of one video.

    Args:
        page: The folder of the page.
        index: Index of the video in the list, from 0.
        entry: What the page shows of the video.

    Returns:
        The video's item for the list of videos, as JSON values: key, id, notices, duration in seconds, and numbers of
        people (tracks), boxes and actions.
    """
    key, content, video = key_of(index), entry.content, entry.video
    list_item: dict[str, Any] = {
        "key": key,
        "id": entry.video_id,
        "hasPage": content is not None,
        "thumbnail": f"{PAGE_MEDIA}/{key}.jpg" if entry.has_thumbnail else None,
        "notices": list(entry.notices),
        "duration": 0.0,
        "people": 0,
        "boxes": 0,
        "actions": [],
    }
    if content is None:
        return list_item
    meta = packing.describe(content)
    last_seconds = meta["times"][-1] if meta["times"] else 0.0
    # Without a video file, the timeline ends one keyframe interval after the last keyframe.
    duration = round(last_seconds + meta["spacing"], 3) if video is None else round(video.duration_seconds, 3)
    # Without a video file, boxes are drawn on an empty 16:9 frame, and single-frame steps are those of 25 fps.
    meta |= {
        "id": entry.video_id,
        "duration": duration,
        "video": None if video is None else video.source,
        "isProxy": video is not None and video.is_proxy,
        "width": 16 if video is None else video.width,
        "height": 9 if video is None else video.height,
        "fps": 25.0 if video is None else round(video.fps, 4),
        "notices": list(entry.notices),
        "piece": packing.KEYFRAMES_PER_PIECE,
        "colours": page_colours(),
    }
    for name, value in chain(packing.pieces(content), [("meta", meta)]):
        write_text_atomic(page / PAGE_DATA / key / f"{name}.js", packing.script(f"{key}/{name}", value))
    num_tracks, num_boxes = len(meta["tracks"]), len(content.people)
    return {
        **list_item,
        "duration": duration,
        "people": num_tracks,
        "boxes": num_boxes,
        "actions": content.count_actions(),
    }


def finish_folder(page: Path, listed: Sequence[dict[str, Any]], *, title: str, note: str) -> Path:
    """Write the list of videos; called last, because it makes all videos visible on the page.

    Args:
        page: The folder of the page.
        listed: The items that ``write_video`` returned, in the order of their indices.
        title: Heading of the list of videos.
        note: Warning about the run, such as that its weights are untrained; empty for none.

    Returns:
        Path of ``index.html``, the file to open in a browser.
    """
    video_list = {"title": title, "note": note, "kinds": page_values(), "videos": list(listed)}
    write_text_atomic(page / _LIST_SCRIPT, packing.script("list", video_list))
    return page / "index.html"
