"""Finding the videos that somebody meant: files, folders and globs -> videos with distinct names."""

from __future__ import annotations

import glob
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import VideoError
from ava_detect.storage.addresses import Address

_SUFFIXES = "mp4 m4v mov mkv webm avi mpg mpeg ts mts m2ts wmv flv ogv 3gp h264 264 hevc 265 y4m mxf"
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
# Kinetics' tools name what they cut out by its video and its seconds there: ID_000012_000022.
_CUT_OUT = re.compile(r"(?P<video>.+)_(?P<start>\d{6})_\d{6}")


@dataclass(frozen=True)
class SourceVideo:
    """A video file, here or at an address, and the name that its results carry.

    ``start_seconds``: where in its movie it starts; None: where the run says. ``modified``: when the file last changed,
    seconds since 1970, where the listing told. ``problem``: why it cannot be read at all, as of a bad row in a list.
    """

    path: Path | Address
    video_id: str
    start_seconds: float | None = None
    modified: float | None = None
    problem: str = ""

    @property
    def place(self) -> str:
        """Where the file is, for people and for records: absolute, without secrets."""
        return str(self.path) if isinstance(self.path, Address) else str(self.path.resolve())


@dataclass(frozen=True)
class LocalVideo(SourceVideo):
    """A video file on this machine."""

    path: Path


def find_videos(sources: Iterable[str | Path], *, inside_out: Path | None = None) -> list[LocalVideo]:
    """The videos of files, folders (searched to the bottom, by suffix) and globs, each once, in a stable order.

    A named file is taken whatever its suffix and even if it is missing: that is for the run to report. Files below
    ``inside_out`` (the run's own results) are left out of folders and globs. A video's id is its file's stem; where two
    share a stem, the file name; where two share that, the folder's name goes before it, and at last a hash behind it.
    Raises ``VideoError`` when a folder or glob holds no video, or nothing at all was named or exists.
    """
    paths: dict[Path, Path] = {}
    for source in sources:
        for path in _expand(source, inside_out):
            paths.setdefault(path.resolve(), path)
    if not paths:
        raise VideoError("no video was named; give files, folders or globs")
    if not any(path.exists() for path in paths.values()):
        raise VideoError(f"there is no such file: {', '.join(str(path) for path in paths.values())}")
    return _named(list(paths.values()))


@dataclass(frozen=True)
class VideoPlace:
    """A video file. ``start_seconds``: of its movie, where the file's name says that, else None."""

    path: Path
    start_seconds: float | None = None


def videos_by_id(source: str | Path) -> dict[str, list[VideoPlace]]:
    """The video files of a folder (searched to the bottom) or glob by the ids that annotations may call them: a file's
    stem, its whole name, and of ``ID_000012_000022``, as Kinetics is handed round, ``ID``.

    Other names go before a piece cut out of the video. Raises ``VideoError`` when there is no video, or no such folder.
    """
    places: dict[str, list[VideoPlace]] = {}
    pieces: dict[str, list[VideoPlace]] = {}
    paths = _expand(source, None)
    if not paths[0].exists():
        raise VideoError(f"there is no such file: {source}")
    for path in paths:
        for name in {path.stem, path.name}:
            places.setdefault(name, []).append(VideoPlace(path))
        if match := _CUT_OUT.fullmatch(path.stem):
            pieces.setdefault(match["video"], []).append(VideoPlace(path, float(match["start"])))
    return pieces | places


def _expand(source: str | Path, inside_out: Path | None) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
        kind = "folder"
    elif not path.exists() and glob.has_magic(str(source)):
        found = [Path(p) for p in glob.glob(str(source), recursive=True) if Path(p).is_file()]  # noqa: PTH207
        kind = "pattern"
    else:
        return [path]
    if inside_out is not None:
        found = [p for p in found if not p.resolve().is_relative_to(inside_out.resolve())]
    if not found:
        raise VideoError(f"the {kind} {source} holds no video; looked for {' '.join(sorted(VIDEO_SUFFIXES))}")
    return sorted(found)


def _named(paths: list[Path]) -> list[LocalVideo]:
    """Give every path the shortest of its names that no other path shares."""
    video_ids = [path.stem for path in paths]
    for name in (_file_name, _folder_and_file_name, _name_and_hash):
        # File systems may not tell capitals apart, and results are files.
        counts = Counter(video_id.casefold() for video_id in video_ids)
        video_ids = [
            name(path) if counts[video_id.casefold()] > 1 else video_id
            for path, video_id in zip(paths, video_ids, strict=True)
        ]
    return [LocalVideo(path, video_id) for path, video_id in zip(paths, video_ids, strict=True)]


def _file_name(path: Path) -> str:
    return path.name


def _folder_and_file_name(path: Path) -> str:
    return f"{path.resolve().parent.name}__{path.name}"


def _name_and_hash(path: Path) -> str:
    """What no two paths share, even where only their capitals differ."""
    return f"{_folder_and_file_name(path)}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
