"""Finding videos in files, folders and globs, and giving them distinct ids."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import VideoError, shown
from ava_detect.storage.addresses import Address
from ava_detect.storage.file_names import is_drawn_copy, valid_id
from ava_detect.structures.video_ids import ByVideoId, composed
from ava_detect.video.folders import PassedOver, local_files_of, no_video, real_path, videos_below

# Kinetics' download tools name a clip by its video and its start and end in seconds: ID_000012_000022.
_CLIP_NAME = re.compile(r"(?P<video>.+)_(?P<start>\d{6})_\d{6}")


@dataclass(frozen=True)
class SourceVideo:
    """A video file, on this machine or at an address, and the id of its results.

    Attributes:
        path: The file's path or address.
        video_id: The id of the video in its results.
        start_seconds: The position of the video's start in its movie, in seconds; None: the default of the run.
        modified: Modification time of the file, seconds since 1970; None if the listing does not contain it.
        problem: The reason why the video cannot be read at all, such as an invalid row of a list; empty: none.
    """

    path: Path | Address
    video_id: str
    start_seconds: float | None = None
    modified: float | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "video_id", valid_id(self.video_id))

    @property
    def location(self) -> str:
        """The location of the file for messages and records: the absolute path, or the address without secrets."""
        return str(self.path) if isinstance(self.path, Address) else real_path(self.path)


@dataclass(frozen=True)
class LocalVideo(SourceVideo):
    """A video file on this machine.

    Attributes:
        path: The file's path.
    """

    path: Path


def find_videos(sources: Iterable[str | Path], *, inside_out: Path | None = None) -> list[LocalVideo]:
    """Find the videos of files, folders and globs.

    A video's id is its file's stem; if two videos share the stem, the file name; if they share that too, the file name
    after the folder's name; and as a last resort a hash is appended. Ids that differ only in case, or in Unicode's form
    of the same letters, count as equal.

    Args:
        sources: Files, folders (searched recursively, by suffix) and globs. A file is accepted with any suffix, and if
            it does not exist: the run reports it.
        inside_out: The run's output folder; files below it are left out of folders and globs, and so are copies of
            videos that were drawn into it, even if they are named. None: there is none.

    Returns:
        Each file once: sources in their order, the files of a folder or glob sorted by path.

    Raises:
        VideoError: If a folder or glob contains no video, there is no source, or none of the files exists.

    Warns:
        PassedOverWarning: If files of a folder or glob are left out.
    """
    paths: dict[str, Path] = {}
    named = PassedOver("the files that were named")  # by a shell, which writes out `*/*.mp4`
    for source in sources:
        for path in _expand(source, inside_out):
            paths.setdefault(real_path(path), path)
    if inside_out is not None:
        drawn = [real for real in paths if Path(real).parent == Path(real_path(inside_out)) and is_drawn_copy(real)]
        if paths and len(drawn) == len(paths):
            raise VideoError(
                f"{shown(paths[drawn[0]])} was drawn by an earlier run into the same `out`; name the video that it "
                "shows, or another `out`"
            )
        for real in drawn:
            named.is_drawn(paths.pop(real))
        named.warn()
    if not paths:
        raise VideoError("no video was named; give files, folders or globs")
    if not any(os.path.exists(path) for path in paths.values()):  # noqa: PTH110
        raise VideoError(f"there is no such file: {', '.join(shown(path) for path in paths.values())}")
    return _named(list(paths.values()))


@dataclass(frozen=True)
class VideoFile:
    """A video file found by id.

    Attributes:
        path: The file's path.
        start_seconds: The position of its start in its movie, in seconds, if its name contains it; else None.
    """

    path: Path
    start_seconds: float | None = None


def videos_by_id(source: str | Path) -> ByVideoId[list[VideoFile]]:
    """Find the video files of a folder or glob by the ids under which annotations may refer to them.

    The ids of a file are its stem, its name, and for a clip ``ID_000012_000022`` (the naming of Kinetics) also ``ID``.

    Args:
        source: A folder, searched recursively; a glob; or a file.

    Returns:
        Id -> files. Clips are listed under ``ID`` only if no file has this stem or name.

    Raises:
        VideoError: If the folder or file does not exist, or there is no video.
    """
    by_name: ByVideoId[list[VideoFile]] = ByVideoId()
    clips: ByVideoId[list[VideoFile]] = ByVideoId()
    paths = _expand(source, None)
    if not os.path.exists(paths[0]):  # noqa: PTH110
        raise VideoError(f"there is no such file: {shown(source)}")
    for path in paths:
        for name in {valid_id(path.stem), valid_id(path.name)}:
            by_name.setdefault(name, []).append(VideoFile(path))
        if match := _CLIP_NAME.fullmatch(path.stem):
            clips.setdefault(match["video"], []).append(VideoFile(path, float(match["start"])))
    return ByVideoId([*clips.items(), *by_name.items()])


def _expand(source: str | Path, inside_out: Path | None) -> list[Path]:
    """Return the sorted video files of a folder or glob; any other source as it is."""
    # Where the functions of ``Path`` raise (a name that is too long, links in circles), these answer False.
    if os.path.isdir(source):  # noqa: PTH112
        kind, passed_over = "folder", PassedOver(shown(source))
        found = [path for paths in videos_below(Path(source), passed_over) for path in paths]
    elif not os.path.lexists(source) and glob.has_magic(str(source)):
        kind, passed_over = "pattern", PassedOver(shown(source))
        found = local_files_of(str(source), passed_over)
    else:
        return [Path(source)]
    out = None if inside_out is None else Path(real_path(inside_out))
    kept = [
        path
        for path in found
        if out is None or not passed_over.is_output(Path(real_path(path)).is_relative_to(out), str(path))
    ]
    passed_over.warn()
    if not kept:
        raise no_video(f"the {kind} {source}", Path(source) if kind == "folder" else None)
    return sorted(kept)


def _named(paths: list[Path]) -> list[LocalVideo]:
    """Give every path the first id that no other path has, of: stem, file name, with folder, with hash."""
    video_ids = [path.stem for path in paths]
    for name in (_file_name, _folder_and_file_name, _name_and_hash):
        # Result files are named by these ids, and file systems may ignore case.
        counts = Counter(_compared(video_id) for video_id in video_ids)
        video_ids = [
            name(path) if counts[_compared(video_id)] > 1 else video_id
            for path, video_id in zip(paths, video_ids, strict=True)
        ]
    return [LocalVideo(path, video_id) for path, video_id in zip(paths, video_ids, strict=True)]


def _compared(video_id: str) -> str:
    return composed(video_id.casefold())


def _file_name(path: Path) -> str:
    return path.name


def _folder_and_file_name(path: Path) -> str:
    return f"{Path(real_path(path)).parent.name}__{path.name}"


def _name_and_hash(path: Path) -> str:
    """Return a name that differs for any two paths, also for those that differ only in case."""
    return f"{_folder_and_file_name(path)}-{hashlib.sha256(os.fsencode(real_path(path))).hexdigest()[:8]}"
