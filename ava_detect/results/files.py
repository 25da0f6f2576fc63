"""Files of results, whatever their format, as ``PeopleTable``s, and the names of the actions in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.people_table import PeopleTable
from ava_detect.structures.labels import Action, ActionKind, LabelMap

_NAMED = pa.schema([("action_id", pa.int64()), ("action_name", pa.string())])
RESULT_SUFFIXES = (".jsonl", ".parquet", ".csv")


class ResultsFile(Protocol):
    """A file of results. ``action_names``: every action id in it, with the name that the file gives it, or ``""``."""

    action_names: dict[int, str]
    video_ids: tuple[str, ...]

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        """Everybody in one of its videos; ``label_map`` has all of its action ids."""


def open_results(path: str | Path, *, start_seconds: float = 0.0) -> ResultsFile:
    """Read a ``.jsonl``, ``.parquet`` or ``.csv(.gz)`` file of results.

    ``start_seconds``: where in its movie each video starts; taken from a csv's timestamps. Raises ``FormatError``.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file of results; run `ava-detect annotate` again")
    if path.suffix == ".jsonl":
        return _JsonLines(path)
    if path.suffix == ".parquet":
        return _Rows.from_parquet(path)
    return _Rows(path, read_ava_csv(path), start_seconds)


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.action_names: dict[int, str] = {}
        videos: dict[str, None] = {}
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = json.loads(text)
                    videos[line["video_id"]] = None
                    for person in line["people"]:
                        self.action_names.update((a["id"], a["name"]) for a in person["actions"])
                except (ValueError, KeyError, TypeError) as error:
                    raise FormatError(
                        f"{path}, line {number}: not a keyframe as `ava-detect annotate` writes it "
                        f"({type(error).__name__}: {error})"
                    ) from error
        self.video_ids = tuple(videos)

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        keyframes = [keyframe for keyframe in read_jsonl(self._path, label_map) if keyframe.video_id == video_id]
        return PeopleTable.from_keyframes(keyframes, len(label_map))


class _Rows:
    def __init__(self, path: Path, table: AvaTable, start_seconds: float) -> None:
        highest = np.nanmax(table.scores, initial=0.0)
        if highest > 1:
            raise FormatError(f"{path}: scores reach {highest:g}, and a score is a number from 0 to 1")
        self._table = table
        self._start_seconds = start_seconds
        self._tracks = self._person_scores = None
        self.video_ids = table.video_ids
        self.action_names = {int(i): "" for i in np.unique(table.action_ids[~table.lists_only])}

    @classmethod
    def from_parquet(cls, path: Path) -> _Rows:
        """A Parquet file, with the columns that only this package's own results have where they are there."""
        rows = cls(path, AvaTable.concatenate(list(iter_parquet(path))), 0.0)
        own = {"track_id", "person_score", "action_name"} & set(pq.read_schema(path).names)
        columns = pq.read_table(path, columns=["action_id", *own])
        if "action_name" in own:
            pairs = columns.select(["action_id", "action_name"]).cast(_NAMED).group_by(["action_id", "action_name"])
            rows.action_names = {row["action_id"]: row["action_name"] or "" for row in pairs.aggregate([]).to_pylist()}
        if "track_id" in own and not columns["track_id"].null_count:
            rows._tracks = columns["track_id"].to_numpy()
        if "person_score" in own:
            rows._person_scores = columns["person_score"].to_numpy()
        return rows

    def people(self, video_id: str, label_map: LabelMap) -> PeopleTable:
        rows = self._table.video_index == self.video_ids.index(video_id)
        return PeopleTable.from_rows(
            self._table[rows],
            label_map,
            start_seconds=self._start_seconds,
            track_ids=None if self._tracks is None else self._tracks[rows],
            person_scores=None if self._person_scores is None else self._person_scores[rows],
        )


def name_actions(found: Mapping[int, str], label_map: LabelMap | None) -> tuple[LabelMap, tuple[int, ...]]:
    """The actions of ``found`` (id -> name in the file, or ``""``) in id order, and the ids that nobody names.

    A given ``label_map`` has the word; without one it is the file's own names, then AVA's. The kind is the label map's,
    or AVA's where it knows the id by the same name. An id without a name becomes ``action 99``.
    """
    ava = {action.id: action for action in LabelMap.ava()}
    given = None if label_map is None else {action.id: action for action in label_map}
    actions, unknown = [], []
    for action_id in sorted(found):
        name = found[action_id]
        if given is not None:
            action = given.get(action_id)
        elif name:
            same = ava.get(action_id)
            action = same if same is not None and same.name == name else Action(action_id, name)
        else:
            action = ava.get(action_id)
        if action is None:
            unknown.append(action_id)
            action = Action(action_id, f"action {action_id}", ActionKind.UNKNOWN)
        actions.append(action)
    return LabelMap(tuple(actions)), tuple(unknown)
