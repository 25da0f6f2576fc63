"""The result formats by name, and a writer that writes a video's results in several formats in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv import ava_csv_writer
from ava_detect.formats.jsonl import jsonl_writer
from ava_detect.formats.keyframe_writer import BoolArray, WriteKeyframe
from ava_detect.formats.parquet import parquet_writer
from ava_detect.storage.file_names import file_stem
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

RESULT_FORMATS = ("csv", "jsonl", "parquet")
#: Those of a folder of results where none are named.
DEFAULT_FORMATS = ("csv", "jsonl", "parquet")


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
    """Refuse unknown result formats.

    Args:
        formats: Names, which should be from ``RESULT_FORMATS``.

    Raises:
        FormatError: If a name is unknown.
    """
    unknown = [name for name in formats if name not in RESULT_FORMATS]
    if unknown:
        got = shown(", ".join(map(str, unknown)))
        raise FormatError(f"unknown result format {got}; give one or more of {','.join(RESULT_FORMATS)}")


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
        if "csv" in formats:
            path = result_path(out, video_id, "csv")
            writers.append(stack.enter_context(ava_csv_writer(path, start_seconds=start_seconds)))
        if "jsonl" in formats:
            path = result_path(out, video_id, "jsonl")
            writers.append(stack.enter_context(jsonl_writer(path, label_map, note=note)))
        if "parquet" in formats:
            path = result_path(out, video_id, "parquet")
            writers.append(stack.enter_context(parquet_writer(path, label_map, note=note)))

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
