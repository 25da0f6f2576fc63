"""The result formats by name, and a writer that writes a video's results in several formats in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv import ava_csv_writer
from ava_detect.formats.jsonl import jsonl_writer
from ava_detect.formats.keyframe_writer import BoolArray, WriteKeyframe
from ava_detect.formats.parquet import parquet_writer
from ava_detect.interface.plug_ins import FORMATS, PlugIn, WithPlugIns
from ava_detect.storage.file_names import file_stem
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

#: Those of a folder of results where none are named.
DEFAULT_FORMATS = ("csv", "jsonl", "parquet")
# The name is the suffix of the files.
_NAME = re.compile(r"[a-z0-9]{1,20}")

# Path, label map, start in the movie in seconds, note -> the writer.
_Open = Callable[[Path, LabelMap, float, str], AbstractContextManager[WriteKeyframe]]


def _csv(path: Path, label_map: LabelMap, start_seconds: float, note: str) -> AbstractContextManager[WriteKeyframe]:
    """No note: the official evaluator must be able to read every row."""
    return ava_csv_writer(path, start_seconds=start_seconds)


def _jsonl(path: Path, label_map: LabelMap, start_seconds: float, note: str) -> AbstractContextManager[WriteKeyframe]:
    return jsonl_writer(path, label_map, note=note)


def _parquet(path: Path, label_map: LabelMap, start_seconds: float, note: str) -> AbstractContextManager[WriteKeyframe]:
    return parquet_writer(path, label_map, note=note)


def _of_plug_in(plug_in: PlugIn, writer: Any) -> _Open:
    """The format of a plug-in, whose files appear at once as well."""
    if not callable(writer):
        raise plug_in.error("is no function that opens a file to write")
    if not _NAME.fullmatch(plug_in.name):
        raise plug_in.error("has a name that is no suffix: 1 to 20 lower-case letters and digits")

    @contextmanager
    def open_file(path: Path, label_map: LabelMap, start_seconds: float, note: str) -> Iterator[WriteKeyframe]:
        with atomic_path(path) as temporary:
            with writer(temporary, label_map, start_seconds=start_seconds, note=note) as write:
                yield write
            if not temporary.is_file():
                raise plug_in.error(f"wrote no file for {shown(path)}")

    return open_file


#: How each format is written: those of this package, and those of plug-ins.
RESULT_FORMATS = WithPlugIns[_Open]({"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}, FORMATS, _of_plug_in)


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse a list of result formats.

    Args:
        text: Names from ``RESULT_FORMATS``, separated by commas: ``"csv,jsonl"``.

    Returns:
        The distinct names, in the given order: ``("csv", "jsonl")``.

    Raises:
        FormatError: If a name is unknown or none is given.
    """
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    check_formats(formats or ("nothing",))
    return formats


def check_formats(formats: Sequence[str]) -> None:
    """Refuse unknown result formats, and plug-ins that cannot be used.

    Args:
        formats: Names, which should be from ``RESULT_FORMATS``.

    Raises:
        FormatError: If a name is unknown.
        AvaDetectError: If the plug-in of a name cannot be imported.
    """
    unknown = [name for name in formats if name not in RESULT_FORMATS]
    if unknown:
        got = shown(", ".join(map(str, unknown)))
        raise FormatError(f"unknown result format {got}; give one or more of {','.join(RESULT_FORMATS)}")
    for name in formats:
        RESULT_FORMATS[name]


@contextmanager
def results_writer(
    out: Path,
    video_id: str,
    formats: Sequence[str],
    label_map: LabelMap,
    *,
    start_seconds: float = 0.0,
    note: str = "",
) -> Iterator[WriteKeyframe]:
    """Write ``out/VIDEO_ID.FORMAT`` for each format, keyframe by keyframe, each file atomically.

    The files exist once the block has ended without an error. If the block raises, no file is written.

    Args:
        out: The folder.
        video_id: The video's name, the stem of the file names.
        formats: Names from ``RESULT_FORMATS``.
        label_map: The source of the action names and kinds.
        start_seconds: The position of the video's start in the movie, in seconds; added to the timestamps in csv only,
            which count from the start of the movie.
        note: A warning written into jsonl and parquet files. Not into csv, whose rows the official evaluator must be
            able to read.

    Yields:
        A function that appends one keyframe to all files.
    """
    with ExitStack() as stack:
        writers: list[WriteKeyframe] = []
        for name in dict.fromkeys(formats):
            opened = RESULT_FORMATS[name](result_path(out, video_id, name), label_map, start_seconds, note)
            writers.append(stack.enter_context(opened))

        def write(keyframe: ActionDetections, kept: BoolArray | None = None, /) -> None:
            for writer in writers:
                writer(keyframe, kept)

        yield write


def result_path(out: Path, video_id: str, suffix: str) -> Path:
    """Return the path of a video's result file.

    Args:
        out: The folder of the results.
        video_id: The video's name; its dots are kept (``a.b`` -> ``a.b.csv``).
        suffix: The format's suffix, without a dot.

    Returns:
        ``out/VIDEO_ID.SUFFIX``, with the name that ``file_stem`` makes of an id that is no file name.
    """
    return out / f"{file_stem(video_id)}.{suffix}"
