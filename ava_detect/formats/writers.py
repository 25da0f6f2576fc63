"""The result formats by name, and one writer that fills several of them from one pass over a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import ava_csv_writer
from ava_detect.formats.jsonl import jsonl_writer
from ava_detect.formats.parquet import parquet_writer
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

RESULT_FORMATS = ("csv", "jsonl", "parquet")


def parse_formats(text: str) -> tuple[str, ...]:
    """``"csv,jsonl"`` -> ``("csv", "jsonl")``; ``FormatError`` for a name that is not in ``RESULT_FORMATS``."""
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in formats if name not in RESULT_FORMATS]
    if unknown or not formats:
        got = ", ".join(unknown) or "nothing"
        raise FormatError(f"unknown result format {got}; give one or more of {','.join(RESULT_FORMATS)}")
    return formats


@contextmanager
def results_writer(
    out: Path,
    video_id: str,
    formats: Sequence[str],
    label_map: LabelMap,
    *,
    start_seconds: float = 0.0,
    min_score: float = 0.0,
    note: str = "",
) -> Iterator[Callable[[ActionDetections], None]]:
    """Yield a function that appends one keyframe to ``out/VIDEO_ID.FORMAT`` for every format.

    The files have their names once the block ended well; when it raises, none is left behind. ``start_seconds`` shifts
    the csv's timestamps only, which count from the start of the movie. ``note`` goes where the format has a place for
    one (not into csv, whose rows the official evaluator must be able to read).
    """
    with ExitStack() as stack:
        writers: list[Callable[[ActionDetections], None]] = []
        if "csv" in formats:
            path = result_path(out, video_id, "csv")
            writers.append(stack.enter_context(ava_csv_writer(path, start_seconds=start_seconds, min_score=min_score)))
        if "jsonl" in formats:
            path = result_path(out, video_id, "jsonl")
            writers.append(stack.enter_context(jsonl_writer(path, label_map, min_score=min_score, note=note)))
        if "parquet" in formats:
            path = result_path(out, video_id, "parquet")
            writers.append(stack.enter_context(parquet_writer(path, label_map, min_score=min_score, note=note)))

        def write(keyframe: ActionDetections) -> None:
            for writer in writers:
                writer(keyframe)

        yield write


def result_path(out: Path, video_id: str, suffix: str) -> Path:
    """Where a result of a video lies; ids keep their dots (``a.b`` -> ``a.b.csv``)."""
    return out / f"{video_id}.{suffix}"
