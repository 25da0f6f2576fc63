"""Read one file of results, whatever its format, into ``PeopleTable``s, and name the actions in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError, shown
from ava_detect.formats.arrow_files import READ_ERRORS, open_native
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.json_values import LARGEST_INT64, LARGEST_SECONDS
from ava_detect.formats.jsonl import iter_lines, read_jsonl
from ava_detect.formats.parquet import NOTE_KEY
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.formats.row_checks import check_boxes
from ava_detect.results.people_table import PeopleTable
from ava_detect.structures.labels import NO_ACTION, Action, ActionKind, LabelMap

_ACTION_SCHEMA = pa.schema([("action_id", pa.int64()), ("action_name", pa.string())])
#: Suffixes of files of results, the format that holds most comes first.
RESULT_SUFFIXES = (".jsonl", ".parquet", ".csv")


class ResultsFile(Protocol):
    """A file of results.

    Attributes:
        action_names: Every action id in the file with its name there; an empty name where the file has none.
        video_ids: Ids of the videos in the file.
        note: A warning about the results, such as that the weights are untrained; empty where the file has none.
    """

    action_names: dict[int, str]
    video_ids: tuple[str, ...]
    note: str

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        """Return all people of one video.

        Args:
            video_id: One of ``video_ids``.
            label_map: Its actions become the score columns; it has all action ids of the file.

        Returns:
            The people, in time order.
        """


def open_results(path: str | Path, *, start_seconds: float = 0.0) -> ResultsFile:
    """Open a file of results.

    Args:
        path: A ``.jsonl``, ``.parquet``, ``.csv`` or ``.csv.gz`` file.
        start_seconds: Start of each video in its movie; subtracted from the timestamps of a csv.

    Returns:
        The file.

    Raises:
        FormatError: The file does not exist or cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file of results; run `ava-detect annotate` again")
    if path.suffix == ".jsonl":
        return _JsonLinesFile(path)
    if path.suffix == ".parquet":
        try:
            with open_native(path) as stream, pq.ParquetFile(stream) as content:
                return _TableFile.from_parquet(path, content)
        except READ_ERRORS as error:
            raise _unreadable(path, error) from error
    return _TableFile(path, read_ava_csv(path), start_seconds)


def open_parquet_results(content: pq.ParquetFile, name: str) -> ResultsFile:
    """Read results from an open Parquet file.

    Args:
        content: The open file.
        name: Its name, for messages.

    Returns:
        The results, which need the open file no more.

    Raises:
        FormatError: The file cannot be read.
    """
    return _TableFile.from_parquet(name, content)


def _unreadable(path: str | Path, error: Exception) -> FormatError:
    return FormatError(f"{shown(path)}: the Parquet file cannot be read ({shown(error)})")


class _JsonLinesFile:
    """A file of keyframes, one a line; only ids and names are kept in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.action_names: dict[int, str] = {}
        self.note = ""
        # Id -> whether its people have track ids; None where there was none yet. A dict keeps the order.
        videos: dict[str, bool | None] = {}
        times: set[tuple[str, float]] = set()
        for number, line in iter_lines(path):
            video_id = line["video_id"]
            if isinstance(note := line.get("note"), str):
                self.note = self.note or note
            time = (video_id, round(line["timestamp_seconds"], 6))
            if time in times:
                raise FormatError(
                    f"{shown(path)}, line {number}: {shown(video_id)} already has a keyframe at {time[1]:g} s; are "
                    "these the results of two runs?"
                )
            times.add(time)
            is_tracked = videos.setdefault(video_id, None)
            for person in line["people"]:
                for action in person["actions"]:
                    self.action_names[action["id"]] = action["name"]
                has_id = person["track_id"] is not None
                if is_tracked is not None and is_tracked is not has_id:
                    raise FormatError(
                        f"{shown(path)}, line {number}: track_id is null for some people of {shown(video_id)} and a "
                        "number for others; give every person one, or none"
                    )
                videos[video_id] = is_tracked = has_id
        self.video_ids = tuple(videos)

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        _check_video_id(self._path, video_id, self.video_ids)
        keyframes = [keyframe for keyframe in read_jsonl(self._path, label_map) if keyframe.video_id == video_id]
        return PeopleTable.from_keyframes(keyframes, len(label_map))


class _TableFile:
    """A table with a row for each person and action, csv or Parquet."""

    def __init__(self, path: str | Path, table: AvaTable, start_seconds: float) -> None:
        _check_values(path, table)
        self._path = path
        self._table = table
        self._start_seconds = start_seconds
        self._tracks: npt.NDArray[np.int64] | None = None
        self._person_scores: npt.NDArray[np.float32] | None = None
        self.note = ""
        self.video_ids = table.video_ids
        self.action_names = {int(i): "" for i in np.unique(table.action_ids[table.action_ids != NO_ACTION])}

    @classmethod
    def from_parquet(cls, path: str | Path, content: pq.ParquetFile) -> _TableFile:
        """Read a Parquet file, with the columns that only this package writes where the file has them."""
        file = cls(path, AvaTable.concatenate(list(iter_parquet(content, name=str(path)))), 0.0)
        try:
            file.note = (content.schema_arrow.metadata or {}).get(NOTE_KEY.encode(), b"").decode("utf-8", "replace")
            optional = {"track_id", "person_score", "action_name"} & set(content.schema_arrow.names)
            columns = content.read(columns=["action_id", *sorted(optional)])
            if "action_name" in optional:
                # The distinct pairs of id and name.
                pairs = columns.select(["action_id", "action_name"]).cast(_ACTION_SCHEMA)
                distinct = pairs.group_by(["action_id", "action_name"]).aggregate([]).to_pylist()
                file.action_names = {row["action_id"]: row["action_name"] or "" for row in distinct}
            if "track_id" in optional:
                file._tracks = _track_ids(path, columns["track_id"])
            if "person_score" in optional:
                # A cast that would change a number fails; an empty cell becomes NaN.
                file._person_scores = columns["person_score"].cast(pa.float32()).to_numpy()
        except READ_ERRORS as error:
            raise _unreadable(path, error) from error
        if file._person_scores is not None:
            _check_rows(path, "person scores", file._person_scores, 0, 1)
        return file

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        _check_video_id(self._path, video_id, self.video_ids)
        if video_id not in self.video_ids:
            # A table has no row of a video without people.
            return PeopleTable.from_keyframes((), len(label_map))
        is_of_video = self._table.video_index == self.video_ids.index(video_id)
        people = PeopleTable.from_rows(
            self._table[is_of_video],
            label_map,
            start_seconds=self._start_seconds,
            track_ids=None if self._tracks is None else self._tracks[is_of_video],
            person_scores=None if self._person_scores is None else self._person_scores[is_of_video],
        )
        if people.track_ids is not None:
            _check_persons(self._path, video_id, people, people.track_ids)
        return people


def _check_video_id(path: str | Path, video_id: str, video_ids: Sequence[str]) -> None:
    """Raise where a file has results of other videos only; an empty file may be of a video without people."""
    if video_ids and video_id not in video_ids:
        raise FormatError(
            f"{shown(path)} holds no results of {shown(video_id)}, only of {shown(', '.join(video_ids[:3]))}; is it "
            "the file of another video?"
        )


def _check_persons(path: str | Path, video_id: str, people: PeopleTable, track_ids: npt.NDArray[np.int64]) -> None:
    """Raise where a person is on a keyframe twice; ``track_ids`` ``[P]``."""
    appearances = np.stack([people.keyframe_of, track_ids], axis=1)  # [P, 2]
    distinct, counts = np.unique(appearances, axis=0, return_counts=True)
    if (counts > 1).any():
        keyframe, track_id = distinct[int(np.argmax(counts > 1))].tolist()
        raise FormatError(
            f"{shown(path)}: {shown(video_id)} has person {track_id} twice at "
            f"{people.timestamps_seconds[keyframe]:g} s, with two boxes"
        )


def _check_values(path: str | Path, table: AvaTable) -> None:
    """Raise where a table holds something else than people with scores, in fractions of the frame."""
    _check_rows(path, "timestamps", table.timestamps_seconds, -LARGEST_SECONDS, LARGEST_SECONDS)
    check_boxes(table, path)


def _check_rows(path: str | Path, name: str, values: npt.NDArray[Any], low: float, high: float) -> None:
    """Raise where a value, ``[R]`` or ``[R, 4]``, is not a number from ``low`` to ``high``."""
    is_good = ((values >= low) & (values <= high)).all(axis=tuple(range(1, values.ndim)))  # [R]
    if not is_good.all():
        row = int(np.argmin(is_good))
        raise FormatError(
            f"{shown(path)}, row {row + 1}: {name} are numbers from {low:g} to {high:g}, got {values[row].tolist()}"
        )


def _track_ids(path: str | Path, column: pa.ChunkedArray) -> npt.NDArray[np.int64] | None:
    """Return the track id of each row, ``[R]``; None where there are none."""
    if column.null_count == len(column):
        return None
    if column.null_count:
        row = column.is_null().index(True).as_py()
        raise FormatError(
            f"{shown(path)}, row {row + 1}: track_id is empty, and {len(column) - column.null_count} other rows have "
            "one; give every row one, or none"
        )
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    _check_rows(path, "track ids", values, 0, LARGEST_INT64)
    return values


def name_actions(found: Mapping[int, str], label_map: LabelMap | None) -> tuple[LabelMap, tuple[int, ...]]:
    """Name the actions of a file of results.

    A given label map decides; without one the file's own names, then AVA's. The kind of an action is the label map's,
    or AVA's where AVA has the id with the same name. An id without a name becomes ``action 99``.

    Args:
        found: Action id -> name in the file, empty where the file has none.
        label_map: A label map with the names; None for the file's own.

    Returns:
        The actions in the order of their ids, and the ids that have no name.
    """
    ava = {action.id: action for action in LabelMap.ava()}
    given = None if label_map is None else {action.id: action for action in label_map}
    actions, unnamed = [], []
    for action_id in sorted(found):
        name = found[action_id]
        if given is not None:
            action = given.get(action_id)
        elif name:
            ava_action = ava.get(action_id)
            is_same = ava_action is not None and ava_action.name == name
            action = ava_action if is_same else Action(action_id, name)
        else:
            action = ava.get(action_id)
        if action is None:
            unnamed.append(action_id)
            action = Action(action_id, f"action {action_id}", ActionKind.UNKNOWN)
        actions.append(action)
    return LabelMap(tuple(actions)), tuple(unnamed)
