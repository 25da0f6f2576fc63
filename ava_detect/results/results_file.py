"""Read one file of results, whatever its format, into ``PeopleTable``s, and name the actions in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.formats.row_checks import check_boxes
from ava_detect.results.manifest import MALFORMED, check_type
from ava_detect.results.people_table import PeopleTable
from ava_detect.structures.labels import GREATEST_ACTION_ID, NO_ACTION, Action, ActionKind, LabelMap

_ACTION_SCHEMA = pa.schema([("action_id", pa.int64()), ("action_name", pa.string())])
#: Suffixes of files of results, the format that holds most comes first.
RESULT_SUFFIXES = (".jsonl", ".parquet", ".csv")


class ResultsFile(Protocol):
    """A file of results.

    Attributes:
        action_names: Every action id in the file with its name there; an empty name where the file has none.
        video_ids: Ids of the videos in the file.
    """

    action_names: dict[int, str]
    video_ids: tuple[str, ...]

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
        return _TableFile.from_parquet(path)
    return _TableFile(path, read_ava_csv(path), start_seconds)


class _JsonLinesFile:
    """A file of keyframes, one a line; only ids and names are kept in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.action_names: dict[int, str] = {}
        # A dict keeps the order of first appearance.
        videos: dict[str, None] = {}
        # Split at line feeds only, and decode line by line, so that an error names its line.
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                try:
                    self._add_line(json.loads(text.decode("utf-8")), videos)
                except MALFORMED as error:
                    raise FormatError(
                        f"{path}, line {number}: not a keyframe as `ava-detect annotate` writes it "
                        f"({type(error).__name__}: {shown(error)})"
                    ) from error
        self.video_ids = tuple(videos)

    def _add_line(self, line: Any, videos: dict[str, None]) -> None:
        check_type("video_id", line["video_id"], str)
        videos[line["video_id"]] = None
        for person in line["people"]:
            for action in person["actions"]:
                check_type("id", action["id"], int)
                check_type("name", action["name"], str)
                if not 0 <= action["id"] <= GREATEST_ACTION_ID:
                    raise ValueError(f"action ids lie in 0..{GREATEST_ACTION_ID}, got {action['id']}")
                self.action_names[action["id"]] = action["name"]

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        keyframes = [keyframe for keyframe in read_jsonl(self._path, label_map) if keyframe.video_id == video_id]
        return PeopleTable.from_keyframes(keyframes, len(label_map))


class _TableFile:
    """A table with a row for each person and action, csv or Parquet."""

    def __init__(self, path: Path, table: AvaTable, start_seconds: float) -> None:
        check_boxes(table, path)
        self._table = table
        self._start_seconds = start_seconds
        self._tracks = self._person_scores = None
        self.video_ids = table.video_ids
        self.action_names = {int(i): "" for i in np.unique(table.action_ids[table.action_ids != NO_ACTION])}

    @classmethod
    def from_parquet(cls, path: Path) -> _TableFile:
        """Read a Parquet file, with the columns that only this package writes where the file has them."""
        file = cls(path, AvaTable.concatenate(list(iter_parquet(path))), 0.0)
        optional = {"track_id", "person_score", "action_name"} & set(pq.read_schema(path).names)
        columns = pq.read_table(path, columns=["action_id", *optional])
        if "action_name" in optional:
            # The distinct pairs of id and name.
            pairs = columns.select(["action_id", "action_name"]).cast(_ACTION_SCHEMA)
            distinct = pairs.group_by(["action_id", "action_name"]).aggregate([]).to_pylist()
            file.action_names = {row["action_id"]: row["action_name"] or "" for row in distinct}
        if "track_id" in optional and not columns["track_id"].null_count:
            file._tracks = columns["track_id"].to_numpy()
        if "person_score" in optional:
            file._person_scores = columns["person_score"].to_numpy()
        return file

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        is_of_video = self._table.video_index == self.video_ids.index(video_id)
        return PeopleTable.from_rows(
            self._table[is_of_video],
            label_map,
            start_seconds=self._start_seconds,
            track_ids=None if self._tracks is None else self._tracks[is_of_video],
            person_scores=None if self._person_scores is None else self._person_scores[is_of_video],
        )


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
