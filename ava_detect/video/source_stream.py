"""Videos as they come: from folders here and at addresses, and from lists of any length, one after another.

``find_videos`` gives a folder's videos the shortest names that tell them apart, for which it must know them all. Here
nothing is held but the names that are equal but for their suffix: a video's id is its path below the folder that was
named, without the suffix. Lists say for themselves what their videos are called.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import math
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from ava_detect.errors import FormatError, VideoError
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.object_store import directory
from ava_detect.storage.retry import with_retries
from ava_detect.video.remote import RemoteVideo
from ava_detect.video.sources import VIDEO_SUFFIXES, SourceVideo

LIST_SUFFIXES = (".txt", ".csv", ".csv.gz", ".txt.gz", ".parquet")
_COLUMNS = ("video_id", "uri", "start_seconds")
_ROWS_PER_PIECE = 1 << 14
_MAX_ID_LENGTH = 1024
T = TypeVar("T")


def is_list(source: str | Path) -> bool:
    """Whether a source is a list of videos rather than a video, a folder or a glob; its name says so."""
    return _file_name(str(source)).lower().endswith(LIST_SUFFIXES)


def stream_videos(sources: Iterable[str | Path], *, inside_out: Address | None = None) -> Iterator[SourceVideo]:
    """The videos of files, folders, globs and lists, here and at addresses, in their order; nothing is held in memory.

    Files below ``inside_out`` (the run's own results) are left out of folders. A row of a list that names no video has
    its ``problem`` set, and is for the run to report. Raises ``VideoError`` for a folder without videos or a missing
    one, ``FormatError`` for a list that is none, and ``StoreError`` for a store that does not answer.
    """
    for source in sources:
        if is_list(source):
            yield from _listed(source)
        elif is_address(source):
            yield from _at_address(Address(str(source)), inside_out)
        else:
            yield from _on_disk(Path(source), inside_out)


def _file_name(text: str) -> str:
    return Address(text).name if is_address(text) else PurePosixPath(text.replace(os.sep, "/")).name


def _on_disk(path: Path, own: Address | None) -> Iterator[SourceVideo]:
    if path.is_dir():
        yield from _some(_below(path, own), f"the folder {path}")
    elif not path.exists() and glob.has_magic(str(path)):
        found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())  # noqa: PTH207
        yield from _some((SourceVideo(p, p.stem, modified=p.stat().st_mtime) for p in found), f"the pattern {path}")
    else:
        yield SourceVideo(path, path.stem, modified=path.stat().st_mtime if path.exists() else None)


def _below(folder: Path, own: Address | None) -> Iterator[SourceVideo]:
    is_below = _is_below(fsspec.filesystem("file"), own)
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        here = [Path(place) / name for name in sorted(names) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        kept = ((p.relative_to(folder).as_posix(), p) for p in here if not is_below(p.resolve().as_posix()))
        for video_id, path in _with_ids(kept):
            yield SourceVideo(path, video_id, modified=path.stat().st_mtime)


def _at_address(address: Address, own: Address | None) -> Iterator[SourceVideo]:
    files, root = address.open()
    web = address.url.lower().startswith(("http://", "https://"))
    if not web and glob.has_magic(root):
        found = with_retries(lambda: files.glob(root, detail=True), address)
        kept = [info for info in found.values() if info["type"] == "file"]
        yield from _some(
            (_of_info(files, info, PurePosixPath(info["name"]).stem) for info in kept), f"the pattern {address}"
        )
    elif web or address.suffix.lower() in VIDEO_SUFFIXES or not with_retries(lambda: files.isdir(root), address):
        yield SourceVideo(address, address.stem)
    else:
        yield from _some(_below_address(files, root, own), f"the folder {address}")


def _below_address(files: AbstractFileSystem, root: str, own: Address | None) -> Iterator[SourceVideo]:
    """Directory by directory, each as its listing comes: first its videos, then the folders in it."""
    is_below = _is_below(files, own)
    root = root.rstrip("/")
    waiting = [root]
    while waiting:
        folders: list[str] = []
        found = _videos_in(files, waiting.pop(), folders)
        kept = ((name[len(root) + 1 :], info) for name, info in found if not is_below(name))
        for video_id, info in _with_ids(kept):
            yield _of_info(files, info, video_id)
        waiting += sorted(folders, reverse=True)


def _videos_in(files: AbstractFileSystem, place: str, folders: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The videos of one directory by their paths; the paths of its folders go to ``folders``."""
    for info in directory(files, place):
        name = str(info["name"]).rstrip("/")
        if info["type"] == "directory":
            folders.append(name)
        elif PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES:
            yield name, info


def _is_below(files: AbstractFileSystem, own: Address | None) -> Callable[[str], bool]:
    """Whether a path of ``files`` lies below the address ``own``."""
    if own is None:
        return lambda path: False
    own_files, own_path = own.open()
    start = own_path.rstrip("/") + "/"
    return lambda path: type(files) is type(own_files) and path.startswith(start)


def _of_info(files: AbstractFileSystem, info: Mapping[str, Any], video_id: str) -> SourceVideo:
    url = files.unstrip_protocol(info["name"])
    place: Path | Address = Path(url.removeprefix("file://")) if url.startswith("file://") else Address(url)
    return SourceVideo(place, video_id, modified=modified_of(info))


def modified_of(info: Mapping[str, Any]) -> float | None:
    """When a listed file last changed, seconds since 1970: the stores call it by different names."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value).timestamp()
            except ValueError:
                continue
    return None


def _with_ids(files: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The files of one directory, in the order of their names, by their ids: the names without their suffixes, except
    where two differ in nothing else.

    Between two of one stem there are only names that begin with it and a dot, so that few have to wait for the next.
    """
    waiting: deque[list[Any]] = deque()  # stem, how many share it, name, what it is the name of
    for name, file in files:
        stem = str(PurePosixPath(name).with_suffix(""))
        while waiting and not name.startswith(f"{waiting[0][0]}."):
            yield _with_id(*waiting.popleft())
        same = [other for other in waiting if other[0] == stem]
        for other in same:
            other[1] += 1
        waiting.append([stem, 1 + len(same), name, file])
    for one in waiting:
        yield _with_id(*one)


def _with_id(stem: str, num_same: int, name: str, file: T) -> tuple[str, T]:
    return (stem if num_same == 1 else name), file


def _some(videos: Iterable[SourceVideo], where: str) -> Iterator[SourceVideo]:
    """The same videos; ``VideoError`` where there are none."""
    empty = True
    for video in videos:
        empty = False
        yield video
    if empty:
        raise VideoError(f"{where} holds no video; looked for {' '.join(sorted(VIDEO_SUFFIXES))}")


def _listed(source: str | Path) -> Iterator[SourceVideo]:
    """The rows of a list; what is relative lies beside the list."""
    shown = str(Address(str(source))) if is_address(source) else str(source)
    if not is_address(source) and not Path(source).is_file():
        raise VideoError(f"there is no such list of videos: {shown}")
    empty = True
    with _opened(source) as file:
        for where, row in _rows(file, _file_name(str(source)).lower(), shown):
            empty = False
            yield _of_row(source, f"{shown}, {where}", row)
    if empty:
        raise VideoError(f"{shown} lists no video")


@contextmanager
def _opened(source: str | Path) -> Iterator[IO[bytes]]:
    """A list, unpacked. At an address it is read as a video is: in blocks, each asked for again where that fails."""
    shown = address_of(source)
    with ExitStack() as opened:
        file: Any
        if is_address(source):
            stored: Any = opened.enter_context(RemoteVideo(shown)).open_file()
            file = opened.enter_context(io.BufferedReader(stored))
        else:
            file = opened.enter_context(Path(source).open("rb"))
        if _file_name(str(source)).lower().endswith(".gz"):
            file = opened.enter_context(gzip.open(file))
        try:
            yield file
        except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error, gzip.BadGzipFile) as error:
            raise FormatError(f"{shown} cannot be read as a list of videos ({without_secrets(str(error))})") from error


def _rows(file: Any, name: str, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where in the list, its columns), one row at a time."""
    if name.endswith(".parquet"):
        table = pq.ParquetFile(file)
        _check_columns(table.schema_arrow.names, shown)
        wanted = [column for column in _COLUMNS if column in table.schema_arrow.names]
        first = 1
        for batch in table.iter_batches(_ROWS_PER_PIECE, columns=wanted):
            for number, row in enumerate(batch.to_pylist(), start=first):
                yield f"row {number}", row
            first += batch.num_rows
        return
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="" if ".csv" in name else None)
    if ".csv" in name:
        lines = csv.DictReader(text)
        _check_columns(lines.fieldnames or (), shown)
        for row in lines:
            yield f"line {lines.line_num}", row
        return
    for number, line in enumerate(text, start=1):
        if line.strip() and not line.startswith("#"):
            yield f"line {number}", {"uri": line.strip()}


def _check_columns(names: Iterable[str], shown: str) -> None:
    if "uri" not in names:
        raise FormatError(
            f"{shown}: no column uri; a list of videos has the columns video_id, uri and, where wanted, start_seconds, "
            f"this one has {', '.join(names) or 'none'}"
        )


def _of_row(source: str | Path, where: str, row: Mapping[str, Any]) -> SourceVideo:
    uri, video_id, start = str(row.get("uri") or "").strip(), str(row.get("video_id") or ""), row.get("start_seconds")
    problem = _problem("uri", uri)
    path: Path | Address = Path(os.devnull)
    if not problem:
        path = _beside(source, uri)
        video_id = video_id or path.stem
        problem = _problem("video_id", video_id)
    seconds = None
    if not problem and start not in (None, ""):
        try:
            seconds = float(start)
        except (TypeError, ValueError):
            seconds = math.nan
        if not math.isfinite(seconds):
            problem, seconds = f"start_seconds is a number, got {start!r}", None
    return SourceVideo(path, video_id, seconds, problem=f"{where}: {problem}" if problem else "")


def _problem(column: str, text: str) -> str:
    """Why a cell cannot be used. Ids are data and never part of a path, so that ``../`` in one is harmless."""
    if not text:
        return f"there is no {column}"
    if len(text) > (_MAX_ID_LENGTH if column == "video_id" else 4 * _MAX_ID_LENGTH):
        return f"the {column} is {len(text)} letters long, and at most {_MAX_ID_LENGTH} are taken"
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return f"the {column} {without_secrets(text)!r} holds control characters"
    return ""


def _beside(source: str | Path, uri: str) -> Path | Address:
    if is_address(uri):
        return Path(uri.removeprefix("file://")) if uri.startswith("file://") else Address(uri)
    if PurePosixPath(uri).is_absolute() or Path(uri).is_absolute() or not is_address(source):
        return Path(source).parent / uri if not is_address(source) else Path(uri)
    return Address(str(source).rpartition("/")[0]) / uri
