"""Import labels that people made or corrected in annotation tools: AVA's csv, a label map, and excluded keyframes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.ava_csv import ava_table_writer
from ava_detect.formats.json_values import LARGEST_SECONDS
from ava_detect.results.importing.action_ids import number_actions
from ava_detect.results.importing.corrections import start_of_corrections
from ava_detect.results.importing.interval_boxes import add_boxes, count_boxless, read_options
from ava_detect.results.importing.json_files import forget_json
from ava_detect.results.importing.labels import ToolLabels
from ava_detect.results.importing.recognize import AUTO, SOURCES, source_of
from ava_detect.results.importing.rows import ImportedRows, excluded_rows, rows_of
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.recorded_names import LABEL_MAP
from ava_detect.results.saved import inputs_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.storage.outputs import check_output, first_bytes
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress, Progress

EXCLUDED = "excluded.csv"
_DEFAULT_EVERY_SECONDS = 1.0
_OF_ANY_ORIGIN = "may be from an earlier import or your own work"
_OTHER_ACTIONS = "has other actions than these labels, perhaps of an earlier import"


@dataclass(frozen=True)
class ImportSummary:
    """What an import wrote, and what it could not carry over.

    Attributes:
        files: The files that were written: the csv, then the label map and the excluded keyframes where there are any.
        sources: The tool of each file that was read, a key of ``SOURCES``.
        num_videos: Number of videos.
        num_keyframes: Number of keyframes, those without people included.
        num_boxes: Number of people on keyframes.
        num_rows: Number of rows of the csv.
        dropped: What was not carried over -> how often.
        new_actions: Names of the actions that neither the label map nor AVA has.
        note: What was assumed about the ids of the files, a sentence; empty where nothing was.
    """

    files: tuple[Path, ...]
    sources: tuple[str, ...]
    num_videos: int
    num_keyframes: int
    num_boxes: int
    num_rows: int
    dropped: Mapping[str, int]
    new_actions: tuple[str, ...]
    note: str = ""


def import_labels(
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    source: str = AUTO,
    videos: str | Path | None = None,
    results: str | Path | None = None,
    label_map: str | Path | None = None,
    every_seconds: float | None = None,
    start_seconds: float | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ImportSummary:
    """Import files of annotation tools as ground truth: an AVA csv, with its label map and excluded keyframes.

    Args:
        files: The files, or one of them.
        out: The csv. Beside it are written ``label_map.pbtxt``, unless ``label_map`` has all actions, and
            ``excluded.csv`` where the tool excludes keyframes.
        source: The tool, a key of ``SOURCES``; ``auto`` recognises each file by its content.
        videos: Folder of the videos; None where the files or the results name their videos, lie beside them, or do not
            need them. The output folder of ``annotate_videos`` is taken as ``results``.
        results: What the labels are of: the output folder of ``annotate_videos``, or a file of results. It has the ids
            and paths of the videos, the label map and ``start_seconds``; and the boxes and keyframes for labels without
            boxes: the intervals of ELAN, BORIS and ``hand_over(..., "intervals")``. None where there are none.
        label_map: A ``.pbtxt`` file whose ids the actions of these names have; None for the ids of the
            results, or of AVA. Names that it lacks get new ids.
        every_seconds: Time from one keyframe to the next, above 0: frames that show a multiple of it get this time, and
            tracks are interpolated at the multiples. None: 1 second, without interpolation.
        start_seconds: Time in the movie, in seconds, at which each video file starts; None for that of the results, or
            of the corrections, else 0.
        overwrite: Whether existing files are replaced.
        on_progress: Told of each file that is read.

    Returns:
        What was written, and what could not be carried over.

    Raises:
        FormatError: A file cannot be read, is from no known tool or has no labels; names the file and the entry.
        ConfigError: A setting is out of range, or an output is an input or exists.
        VideoError: A video that is needed cannot be decoded.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(path) for path in files]
    if not paths:
        raise ConfigError("`files` is empty; give at least one file of labels")
    if every_seconds is not None and not 1e-3 <= every_seconds <= LARGEST_SECONDS:
        raise ConfigError(f"`every_seconds` is a time from 0.001 s, got {every_seconds:g}")
    if start_seconds is not None and not abs(start_seconds) <= LARGEST_SECONDS:
        raise ConfigError(f"`start_seconds` is a time in seconds, got {start_seconds:g}")
    given = None if label_map is None else LabelMap.from_pbtxt(label_map)
    if start_seconds is None:
        start_seconds = start_of_corrections(paths)
    lookup = VideoLookup(videos, paths, results=results, every_seconds=every_seconds, start_seconds=start_seconds)
    options = read_options(videos, label_map, start_seconds)
    inputs = {
        "files": paths,
        "videos": lookup.paths,
        "label_map": label_map,
        "results": None if results is None else inputs_of(results, options)["results"],
    }
    outputs = [Path(out), Path(out).with_name(LABEL_MAP), Path(out).with_name(EXCLUDED)]
    if outputs[0].name in (LABEL_MAP, EXCLUDED):
        raise ConfigError(f"`out` {shown(out)}: files of this name are written beside the csv; choose another name")
    check_output(out, inputs, is_own=_is_empty, overwrite=overwrite, otherwise=_OF_ANY_ORIGIN)
    try:
        sources, labels = _read(paths, source, lookup, on_progress)
    finally:
        forget_json()
    of_results = None
    if results is None:
        count_boxless(labels)
    else:
        of_results = add_boxes(labels, results, options)
    actions = number_actions(labels, given or of_results or lookup.label_map)
    dropped: Counter[str] = Counter()
    for one in labels:
        dropped.update(one.dropped)
    every = _DEFAULT_EVERY_SECONDS if every_seconds is None else every_seconds
    rows = rows_of(labels, lookup, actions.by_name, every, dropped)
    excluded = excluded_rows(labels, lookup, every)
    if not rows and not excluded:
        raise FormatError(f"{shown(paths[0])}: no people are labelled in it{_told(dropped)}; nothing was written")
    needs_map = given is None or bool(actions.new)
    map_text = actions.label_map.to_pbtxt() if needs_map else ""
    if needs_map:
        # Imports into one folder mostly have the same actions.
        check_output(
            outputs[1],
            inputs,
            is_own=lambda path: _is_empty(path) or _holds(path, map_text),
            overwrite=overwrite,
            otherwise=_OTHER_ACTIONS,
        )
    if excluded:
        check_output(outputs[2], inputs, is_own=_is_empty, overwrite=overwrite, otherwise=_OF_ANY_ORIGIN)
    _write(out, rows)
    if needs_map:
        write_text_atomic(outputs[1], map_text)
    if excluded:
        _write(outputs[2], excluded)
    written = [path for path, is_written in zip(outputs, (True, needs_map, bool(excluded)), strict=True) if is_written]
    return ImportSummary(
        tuple(written),
        tuple(sources),
        len(rows.tables),
        rows.num_keyframes,
        rows.num_boxes,
        len(rows),
        {what: count for what, count in dropped.items() if count},
        tuple(action.name for action in actions.new),
        actions.note,
    )


def _is_empty(path: Path) -> bool:
    """Nothing tells ground truth that was imported from another csv, so only an empty file is replaced unasked."""
    return not first_bytes(path, 1)


def _holds(path: Path, text: str) -> bool:
    content = text.encode("utf-8")
    return first_bytes(path, len(content) + 1) == content


def _write(out: str | Path, rows: ImportedRows) -> None:
    with ava_table_writer(out) as write:
        for table in rows.tables:
            write(table)


def _told(dropped: Mapping[str, int]) -> str:
    parts = ", ".join(f"{count:,} {what}" for what, count in dropped.items() if count)
    return f" (left out: {parts})" if parts else ""


def _read(
    paths: Sequence[Path], source: str, lookup: VideoLookup, on_progress: OnProgress | None
) -> tuple[list[str], list[ToolLabels]]:
    names, labels = [], []
    for number, path in enumerate(paths):
        if on_progress is not None:
            on_progress(Progress("files", number, len(paths), path.name))
        name = source_of(path, source)
        names.append(name)
        labels.append(SOURCES[name].read(path, lookup))
    return names, labels
