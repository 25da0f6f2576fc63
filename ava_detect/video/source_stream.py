"""Streaming the videos of folders, globs and lists of any length, on this machine and at addresses.

``find_videos`` compares all names to choose short ids, so it holds all of them in memory. Here only names that are
equal except for their suffix are held: a video's id is its path relative to the given folder, without the suffix. Lists
have a column of ids.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
import math
import os
import unicodedata
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from ava_detect.errors import FormatError, VideoError, require_file, shown
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.object_store import directory
from ava_detect.storage.retry import with_retries
from ava_detect.video.folders import (
    VIDEO_SUFFIXES,
    PassedOver,
    escape_existing,
    local_files_of,
    no_video,
    real_path,
    videos_below,
)
from ava_detect.video.remote import RemoteVideo
from ava_detect.video.sources import SourceVideo

LIST_SUFFIXES = (".txt", ".csv", ".csv.gz", ".txt.gz", ".parquet")
_COLUMNS = ("video_id", "uri", "start_seconds")
_ROWS_PER_PIECE = 1 << 14
_MAX_ID_LENGTH, _MAX_URI_LENGTH = 1024, 4096
_MAX_LINE_LENGTH = 1 << 20
T = TypeVar("T")


def is_list(source: str | Path) -> bool:
    """Check whether a source is a list of videos, by its suffix.

    Args:
        source: A path or an address.

    Returns:
        True for the suffixes ``.txt``, ``.csv``, ``.txt.gz``, ``.csv.gz`` and ``.parquet``.
    """
    return _file_name(str(source)).lower().endswith(LIST_SUFFIXES)


def stream_videos(sources: Iterable[str | Path], *, inside_out: Address | None = None) -> Iterator[SourceVideo]:
    """Find the videos of files, folders, globs and lists one by one, without holding them in memory.

    Args:
        sources: Paths and addresses of files, folders (searched recursively, by suffix), globs and lists of videos
            (csv or Parquet with the columns ``video_id``, ``uri`` and optionally ``start_seconds``, or a text file
            with one path or address a line). A file is accepted with any suffix, and if it does not exist: the run
            reports it.
        inside_out: The run's output folder; files below it are left out of folders. None: there is none.

    Yields:
        The videos, sources in their order. A row of a list that names no video has its ``problem`` set; the run
        reports it.

    Raises:
        VideoError: If a folder, glob or list contains no video, or a list does not exist.
        FormatError: If a list cannot be read.
        StoreError: If a store does not answer.
        MissingDependencyError: If the package for an address's scheme is not installed.
        ConfigError: If an address's scheme is unknown.
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


def _on_disk(path: Path, inside_out: Address | None) -> Iterator[SourceVideo]:
    """Yield the videos of a path of this machine."""
    # Where the functions of ``Path`` raise (a name that is too long, links in circles), these answer False.
    if os.path.isdir(path):  # noqa: PTH112
        yield from _reporting_passed_over(f"the folder {path}", lambda passed: _below(path, inside_out, passed))
    elif not os.path.lexists(path) and glob.has_magic(str(path)):
        is_output = _is_below(fsspec.filesystem("file"), inside_out)

        def videos(passed_over: PassedOver) -> Iterator[SourceVideo]:
            for found in local_files_of(str(path), passed_over):
                if not passed_over.is_output(is_output(real_path(found)), str(found)):
                    yield _local_video(found, found.stem)

        yield from _reporting_passed_over(f"the pattern {path}", videos)
    else:
        yield _local_video(path, path.stem)


def _local_video(path: Path, video_id: str) -> SourceVideo:
    """Describe a file of this machine, which need not exist."""
    try:
        modified = path.stat().st_mtime
    except (OSError, ValueError):
        modified = None
    return SourceVideo(path, video_id, modified=modified)


def _below(folder: Path, inside_out: Address | None, passed_over: PassedOver) -> Iterator[SourceVideo]:
    """Yield the videos of a local folder, folder by folder."""
    is_output = _is_below(fsspec.filesystem("file"), inside_out)
    for paths in videos_below(folder, passed_over):
        kept = [p for p in paths if not passed_over.is_output(is_output(real_path(p)), str(p))]
        for video_id, path in _with_ids((p.relative_to(folder).as_posix(), p) for p in kept):
            yield _local_video(path, video_id)


def _at_address(address: Address, inside_out: Address | None) -> Iterator[SourceVideo]:
    """Yield the videos of an address: a glob, a file or a folder; a web address is always a file."""
    files, root = address.open()
    is_web = address.url.lower().startswith(("http://", "https://"))

    def exists(path: str) -> bool:
        return with_retries(lambda: bool(files.exists(path)), address)

    # A name with brackets that exists is that file; only other names are globs.
    if not is_web and glob.has_magic(root) and not exists(root):
        is_output = _is_below(files, inside_out)

        def videos(passed_over: PassedOver) -> Iterator[SourceVideo]:
            found = with_retries(lambda: files.glob(escape_existing(root, exists), detail=True), address)
            for info in found.values():
                name = str(info["name"])
                is_video = info["type"] == "file" and not passed_over.is_macos_data(name)
                if is_video and not passed_over.is_output(is_output(name), name):
                    yield _from_info(files, info, PurePosixPath(name).stem)

        yield from _reporting_passed_over(f"the pattern {address}", videos)
    elif is_web or address.suffix.lower() in VIDEO_SUFFIXES or not with_retries(lambda: files.isdir(root), address):
        yield SourceVideo(address, address.stem)
    else:
        yield from _reporting_passed_over(
            f"the folder {address}", lambda passed: _below_address(files, root, inside_out, passed)
        )


def _below_address(
    files: AbstractFileSystem, root: str, inside_out: Address | None, passed_over: PassedOver
) -> Iterator[SourceVideo]:
    """Yield the videos of a remote folder, depth first: its own videos as its listing arrives, then its folders'."""
    is_output = _is_below(files, inside_out)
    root = root.rstrip("/")
    stack = [root]
    while stack:
        folders: list[str] = []
        found = _videos_in(files, stack.pop(), folders, passed_over)
        kept = (
            (name[len(root) + 1 :], info) for name, info in found if not passed_over.is_output(is_output(name), name)
        )
        for video_id, info in _with_ids(kept):
            yield _from_info(files, info, video_id)
        stack += sorted(folders, reverse=True)


def _videos_in(
    files: AbstractFileSystem, path: str, folders: list[str], passed_over: PassedOver
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the path and metadata of each video of one directory; append the paths of its folders to ``folders``."""
    for info in directory(files, path):
        name = str(info["name"]).rstrip("/")
        is_folder = info["type"] == "directory"
        if not is_folder and PurePosixPath(name).suffix.lower() not in VIDEO_SUFFIXES:
            continue
        if passed_over.is_macos_data(name):
            continue
        if is_folder:
            folders.append(name)
        else:
            yield name, info


def _is_below(files: AbstractFileSystem, folder: Address | None) -> Callable[[str], bool]:
    """Return a function that checks whether a path of ``files`` is below a folder; always False without a folder."""
    if folder is None:
        return lambda path: False
    folder_files, folder_path = folder.open()
    start = folder_path.rstrip("/") + "/"
    return lambda path: type(files) is type(folder_files) and path.startswith(start)


def _from_info(files: AbstractFileSystem, info: Mapping[str, Any], video_id: str) -> SourceVideo:
    """Convert fsspec's metadata of a file to a video."""
    url = files.unstrip_protocol(info["name"])
    path: Path | Address = Path(url.removeprefix("file://")) if url.startswith("file://") else Address(url)
    return SourceVideo(path, video_id, modified=modified_of(info))


def modified_of(info: Mapping[str, Any]) -> float | None:
    """Return the modification time of a file from its metadata, under the name that its store uses.

    Args:
        info: The metadata as fsspec lists it.

    Returns:
        Seconds since 1970; None if the metadata has no modification time.
    """
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
    """Give ids to the files of one directory: the stem, or the name where several files have the same stem.

    In sorted order, only names that begin with the stem and a dot can come between two files of the same stem. A file
    therefore waits only while such names follow, and few files are held.

    Args:
        files: (name, file) pairs, sorted by name.

    Yields:
        (id, file) pairs in the same order.
    """
    waiting: deque[list[Any]] = deque()  # [stem, number of files with this stem, name, file]
    for name, file in files:
        stem = str(PurePosixPath(name).with_suffix(""))
        while waiting and not name.startswith(f"{waiting[0][0]}."):
            yield _with_id(*waiting.popleft())
        same_stem = [other for other in waiting if other[0] == stem]
        for other in same_stem:
            other[1] += 1
        waiting.append([stem, 1 + len(same_stem), name, file])
    for entry in waiting:
        yield _with_id(*entry)


def _with_id(stem: str, num_same_stem: int, name: str, file: T) -> tuple[str, T]:
    return (stem if num_same_stem == 1 else name), file


def _reporting_passed_over(source: str, find: Callable[[PassedOver], Iterator[SourceVideo]]) -> Iterator[SourceVideo]:
    """Yield the videos of a source and warn about what was passed over; ``VideoError`` if there are no videos."""
    passed_over = PassedOver(source)
    empty = True
    for video in find(passed_over):
        empty = False
        yield video
    passed_over.warn()
    if empty:
        raise no_video(source)


def _listed(source: str | Path) -> Iterator[SourceVideo]:
    """Yield the videos of a list; relative paths are relative to the list's folder."""
    list_name = shown(Address(str(source)) if is_address(source) else source)
    if not is_address(source) and not Path(source).is_file():
        raise VideoError(f"there is no such list of videos: {list_name}")
    empty = True
    with _opened(source) as file:
        for position, row in _rows(file, _file_name(str(source)).lower(), list_name):
            empty = False
            yield _from_row(source, f"{list_name}, {position}", row)
    if empty:
        raise VideoError(f"{list_name} lists no video")


@contextmanager
def _opened(source: str | Path) -> Iterator[IO[bytes]]:
    """Open a list, decompressed if it is gzipped; at an address it is read in blocks with retries, as videos are."""
    address = address_of(source)
    with ExitStack() as opened:
        file: Any
        if is_address(source):
            stored: Any = opened.enter_context(RemoteVideo(address)).open_file()
            file = opened.enter_context(io.BufferedReader(stored))
        else:
            require_file(source)
            file = opened.enter_context(Path(source).open("rb"))
        if _file_name(str(source)).lower().endswith(".gz"):
            file = opened.enter_context(gzip.open(file))
        try:
            yield file
        except (pa.ArrowException, UnicodeDecodeError, csv.Error, EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the machine or the store, and not of what the list holds
            reason = shown(without_secrets(str(error)))
            raise FormatError(f"{shown(address)} cannot be read as a list of videos ({reason})") from error


def _rows(file: Any, file_name: str, list_name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the position (``"line 3"``) and the cells by column of each row; ``list_name``: for error messages."""
    if file_name.endswith(".parquet"):
        # One thread, this one: another that lets go of Python's file while the process ends would abort it.
        table = pq.ParquetFile(file, pre_buffer=False)
        _check_columns(table.schema_arrow.names, list_name)
        wanted = [column for column in _COLUMNS if column in table.schema_arrow.names]
        first = 1
        for batch in table.iter_batches(_ROWS_PER_PIECE, columns=wanted, use_threads=False):
            for number, row in enumerate(batch.to_pylist(), start=first):
                yield f"row {number}", row
            first += batch.num_rows
        return
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="" if ".csv" in file_name else None)
    if ".csv" in file_name:
        lines = csv.DictReader(_lines(text, list_name))
        _check_columns(lines.fieldnames or (), list_name)
        for row in lines:
            yield f"line {lines.line_num}", row
        return
    for number, line in enumerate(_lines(text, list_name), start=1):
        if line.strip() and not line.startswith("#"):
            yield f"line {number}", {"uri": line.strip()}


def _lines(text: io.TextIOWrapper, list_name: str) -> Iterator[str]:
    """Yield the lines of a list; a file of zeros, a line without an end, would fill the memory."""
    for number in count(1):
        line = text.readline(_MAX_LINE_LENGTH + 1)
        if not line:
            return
        if len(line) > _MAX_LINE_LENGTH:
            raise FormatError(
                f"{list_name}, line {number}: more than {_MAX_LINE_LENGTH:,} letters without a line end; is it a list?"
            )
        yield line


def _check_columns(names: Iterable[str], list_name: str) -> None:
    if "uri" not in names:
        raise FormatError(
            f"{list_name}: no column uri; a list of videos has the columns video_id, uri and, where wanted, "
            f"start_seconds, this one has {shown(', '.join(names)) or 'none'}"
        )


def _from_row(source: str | Path, position: str, row: Mapping[str, Any]) -> SourceVideo:
    """Convert a row of the list ``source`` to a video; ``position`` names the row in its ``problem``."""
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
    return SourceVideo(path, video_id, seconds, problem=f"{position}: {problem}" if problem else "")


def _problem(column: str, text: str) -> str:
    """Return why a cell cannot be used, or an empty string.

    Ids are data and never part of a path, so ``../`` in an id is harmless.
    """
    if not text:
        return f"there is no {column}"
    max_length = _MAX_ID_LENGTH if column == "video_id" else _MAX_URI_LENGTH
    if len(text) > max_length:
        return f"the {column} is {len(text)} letters long, and at most {max_length} are taken"
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return f"the {column} {without_secrets(text)!r} holds control characters"
    return ""


def _beside(source: str | Path, uri: str) -> Path | Address:
    """Resolve the ``uri`` cell of a list: an address, an absolute path, or a path relative to the list's folder."""
    if is_address(uri):
        return Path(uri.removeprefix("file://")) if uri.startswith("file://") else Address(uri)
    if PurePosixPath(uri).is_absolute() or Path(uri).is_absolute() or not is_address(source):
        return Path(source).parent / uri if not is_address(source) else Path(uri)
    return Address(str(source).rpartition("/")[0]) / uri
