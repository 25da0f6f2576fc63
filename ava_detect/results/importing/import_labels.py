"""Import labels that people made or corrected in annotation tools: AVA's csv, a label map, and excluded keyframes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.formats.json_values import LARGEST_SECONDS
from ava_detect.results.importing.action_ids import ActionIds, number_actions
from ava_detect.results.importing.interval_boxes import add_boxes, count_boxless, read_options
from ava_detect.results.importing.json_files import forget_json
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels
from ava_detect.results.importing.recognize import AUTO, SOURCES, source_of
from ava_detect.results.importing.videos import VideoLookup, keyframe_times
from ava_detect.results.recorded_names import LABEL_MAP
from ava_detect.results.saved import inputs_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.storage.outputs import check_output, first_bytes
from ava_detect.structures.labels import NO_ACTION, LabelMap
from ava_detect.structures.progress import OnProgress, Progress

EXCLUDED = "excluded.csv"
_DEFAULT_EVERY_SECONDS = 1.0
# Boxes are written with 6 decimals: a hundredth of a pixel of a frame 10,000 wide.
_DECIMALS = 6
# A box that reaches this far past the frame was drawn so; less is the tool's rounding.
_ROUNDING = 1e-3
_NO_BOX = (math.nan,) * 4


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


class _Row(NamedTuple):
    """A row of the csv; a keyframe without people has no box."""

    video_id: str
    seconds: float
    box: Box
    action_id: int
    person: str | None


def import_labels(
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    source: str = AUTO,
    videos: str | Path | None = None,
    results: str | Path | None = None,
    label_map: str | Path | None = None,
    every_seconds: float | None = None,
    start_seconds: float = 0.0,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> ImportSummary:
    """Import files of annotation tools as ground truth: an AVA csv, with its label map and excluded keyframes.

    Args:
        files: The files, or one of them.
        out: The csv. Beside it are written ``label_map.pbtxt``, unless ``label_map`` has all actions, and
            ``excluded.csv`` where the tool excludes keyframes.
        source: The tool, a key of ``SOURCES``; ``auto`` recognises each file by its content.
        videos: Folder of the videos, or the output folder of ``annotate_videos``; None where the files name their
            videos, lie beside them, or do not need them.
        results: The output folder of ``annotate_videos``, or a file of results, which has the boxes for labels without
            boxes: the intervals of ELAN, BORIS and ``hand_over(..., "intervals")``. Their keyframes are those of the
            results. None where the labels have boxes.
        label_map: A ``.pbtxt`` file whose ids the actions of these names have; None for the ids of the
            results, or of AVA. Names that it lacks get new ids.
        every_seconds: Time from one keyframe to the next, above 0: frames that show a multiple of it get this time, and
            tracks are interpolated at the multiples. None: 1 second, without interpolation.
        start_seconds: Time in the movie, in seconds, at which each video file starts.
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
    if not abs(start_seconds) <= LARGEST_SECONDS:
        raise ConfigError(f"`start_seconds` is a time in seconds, got {start_seconds:g}")
    given = None if label_map is None else LabelMap.from_pbtxt(label_map)
    lookup = VideoLookup(videos, paths, every_seconds=every_seconds, start_seconds=start_seconds)
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
    check_output(out, inputs, is_own=_is_empty, overwrite=overwrite)
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
    rows = _rows(labels, lookup, actions, every, dropped)
    excluded = _excluded(labels, lookup, every)
    if not rows and not excluded:
        raise FormatError(f"{shown(paths[0])}: no people are labelled in it{_told(dropped)}; nothing was written")
    needs_map = given is None or bool(actions.new)
    map_text = actions.label_map.to_pbtxt() if needs_map else ""
    if needs_map:
        # Imports into one folder mostly have the same actions.
        check_output(
            outputs[1], inputs, is_own=lambda path: _is_empty(path) or _holds(path, map_text), overwrite=overwrite
        )
    if excluded:
        check_output(outputs[2], inputs, is_own=_is_empty, overwrite=overwrite)
    write_ava_table(out, _table(rows, start_seconds))
    if needs_map:
        write_text_atomic(outputs[1], map_text)
    if excluded:
        write_ava_table(outputs[2], _table(excluded, start_seconds))
    written = [path for path, is_written in zip(outputs, (True, needs_map, bool(excluded)), strict=True) if is_written]
    return ImportSummary(
        tuple(written),
        tuple(sources),
        len({row.video_id for row in rows}),
        len({(row.video_id, row.seconds) for row in rows}),
        len({(row.video_id, row.seconds, row.person, row.box) for row in rows if not math.isnan(row.box[0])}),
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


def _rows(
    labels: Sequence[ToolLabels], lookup: VideoLookup, actions: ActionIds, every: float, dropped: Counter[str]
) -> list[_Row]:
    """Collect the rows of all files: by video in the order of the files, by time, by person."""
    people: dict[str, dict[float, list[LabelledPerson]]] = {}
    looked_at: dict[str, set[float]] = {}
    for one in labels:
        for person in one.people:
            by_time = people.setdefault(_id_of(person.video, one, lookup), {})
            by_time.setdefault(person.seconds, []).append(person)
        for video, seconds in one.empty_keyframes:
            video_id = _id_of(video, one, lookup)
            people.setdefault(video_id, {})
            looked_at.setdefault(video_id, set()).add(seconds)
    rows: list[_Row] = []
    for video_id, by_time in people.items():
        empty = looked_at.get(video_id, set())
        times = keyframe_times(lookup.measured(video_id), [*by_time, *empty], every)
        merged: dict[float, list[LabelledPerson]] = {}
        for seconds in sorted((*by_time, *(empty - by_time.keys()))):
            merged.setdefault(times[seconds], []).extend(by_time.get(seconds, ()))
        for seconds in sorted(merged):
            found = _keyframe_rows(video_id, seconds, merged[seconds], actions.by_name, dropped)
            # A frame whose labels all lie outside it, or have no box, was not looked at for people.
            if not found and not merged[seconds]:
                found = [_Row(video_id, seconds, _NO_BOX, NO_ACTION, None)]
            rows += found
    return rows


def _id_of(video: str, labels: ToolLabels, lookup: VideoLookup) -> str:
    return video if labels.has_video_ids else lookup.id_of(video)


def _keyframe_rows(
    video_id: str,
    seconds: float,
    people: Iterable[LabelledPerson],
    ids: Mapping[str, int],
    dropped: Counter[str],
) -> list[_Row]:
    """Return the rows of one keyframe: one for each person and action, without repetitions."""
    done: dict[tuple[str | None, Box], set[int]] = {}
    boxless: list[LabelledPerson] = []
    for person in people:
        if person.box_fraction is None:
            boxless.append(person)
            continue
        box = _inside(person.box_fraction, dropped)
        if box is not None:
            done.setdefault((person.person, box), set()).update(ids[name] for name in person.actions)
    for person in boxless:
        # A label of a time belongs to the box of its person, or to the only one.
        of_person = [key for key in done if key[0] == person.person] if person.person is not None else list(done)
        if len(of_person) == 1:
            done[of_person[0]].update(ids[name] for name in person.actions)
        else:
            dropped["labels without a box at their time"] += 1
    return [
        _Row(video_id, seconds, box, action_id, person)
        for (person, box), action_ids in sorted(done.items(), key=lambda item: _order(*item[0]))
        for action_id in (sorted(action_ids) or [NO_ACTION])
    ]


def _order(person: str | None, box: Box) -> tuple[int, int, str, Box]:
    """People in the order of their numbers, then of their names; those without an id last."""
    if person is None:
        return (2, 0, "", box)
    return (0, int(person), "", box) if _is_number(person) else (1, 0, person, box)


def _is_number(person: str) -> bool:
    return person.isascii() and person.isdigit() and len(person) < 18


def _inside(box: Box, dropped: Counter[str]) -> Box | None:
    """Return the part of a box within the frame, rounded as it is written; None where there is none."""
    x1, y1, x2, y2 = (round(min(max(corner, 0.0), 1.0), _DECIMALS) for corner in box)
    if x2 <= x1 or y2 <= y1:
        dropped["boxes without an area in the frame"] += 1
        return None
    if min(box) < -_ROUNDING or max(box) > 1 + _ROUNDING:
        dropped["parts of boxes outside the frame"] += 1
    return x1, y1, x2, y2


def _excluded(labels: Sequence[ToolLabels], lookup: VideoLookup, every: float) -> list[_Row]:
    by_video: dict[str, set[float]] = {}
    for one in labels:
        for video, seconds in one.excluded_keyframes:
            by_video.setdefault(_id_of(video, one, lookup), set()).add(seconds)
    return [
        _Row(video_id, seconds, _NO_BOX, NO_ACTION, None)
        for video_id, found in by_video.items()
        for seconds in sorted(set(keyframe_times(lookup.measured(video_id), found, every).values()))
    ]


def _table(rows: Sequence[_Row], start_seconds: float) -> AvaTable:
    numbers = _person_numbers(rows)
    return AvaTable.from_columns(
        [row.video_id for row in rows],
        [row.seconds + start_seconds for row in rows],
        np.array([row.box for row in rows], np.float64).reshape(-1, 4),
        action_ids=[row.action_id for row in rows],
        person_ids=[-1 if row.person is None else numbers[row.video_id, row.person] for row in rows],
    )


def _person_numbers(rows: Iterable[_Row]) -> dict[tuple[str, str], int]:
    """Number the people of each video: a number stays as it is, names get those above the largest one."""
    people = dict.fromkeys((row.video_id, row.person) for row in rows if row.person is not None)
    numbers = {key: int(key[1]) for key in people if _is_number(key[1])}
    largest: dict[str, int] = {}
    for (video_id, _), number in numbers.items():
        largest[video_id] = max(largest.get(video_id, -1), number)
    for key in people:
        if key not in numbers:
            largest[key[0]] = largest.get(key[0], -1) + 1
            numbers[key] = largest[key[0]]
    return numbers
