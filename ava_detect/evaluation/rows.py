"""Rows that can be scored: csv tables checked, reduced to the evaluated classes and collected piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, Runs, starts_run
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import LabelMap

BoolArray = npt.NDArray[np.bool_]
ClassArray = npt.NDArray[np.int16]

OTHER_CLASS = -1
_GREATEST_ID = 1_000_000


class Pieces:
    """A column that arrives in pieces; A rows in all."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._parts: list[npt.NDArray[Any]] = [np.empty(0, dtype)]

    def append(self, part: npt.NDArray[Any]) -> None:
        """Add rows at the end."""
        self._parts.append(part)

    def joined(self) -> npt.NDArray[Any]:
        """The whole column; the pieces are given up, so that it is held once."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


class GroundTruthRows:
    """Ground-truth boxes of evaluated classes, and the keyframes that any row lists.

    ``runs``: keyframes and boxes. ``classes``: int16 ``[G]``, places in the label map. ``priorities``: int64 ``[G]``;
    of boxes that a detection overlaps equally, the one of higher priority, then the first, is its candidate.
    ``listed``: keys of the keyframes of all rows. ``num_others``: boxes of other classes.
    """

    def __init__(self) -> None:
        self.runs: list[Runs] = []
        self.classes = Pieces(np.int16)
        self.priorities = Pieces(np.int64)
        self.listed = Pieces(np.int64)
        self.num_others = 0


class DetectionRows:
    """Detections of evaluated classes.

    ``runs``: their keyframes and boxes. ``classes``: int16 ``[R]``, places in the label map. ``scores``: float64
    ``[R]``. ``num_others``: detections of other classes.
    """

    def __init__(self) -> None:
        self.runs: list[Runs] = []
        self.classes = Pieces(np.int16)
        self.scores = Pieces(np.float64)
        self.num_others = 0


class RowCollector:
    """Checks tables, for one label map and dialect, and collects what can be scored."""

    def __init__(self, label_map: LabelMap, dialect: Dialect) -> None:
        self.ground_truth = GroundTruthRows()
        self.detections = DetectionRows()
        self._keyframes = KeyframeKeys()
        self._dialect = dialect
        if odd := [action_id for action_id in label_map.ids if not 1 <= action_id <= _GREATEST_ID]:
            raise ValueError(f"action id {odd[0]} of the label map is not in 1..{_GREATEST_ID}; 0 stands for no action")
        # One place more than the greatest id, for all ids that the map does not have.
        self._class_of_id = np.full(max(label_map.ids, default=0) + 2, OTHER_CLASS, np.int16)
        self._class_of_id[list(label_map.ids)] = np.arange(len(label_map))

    def add_ground_truth(self, table: AvaTable) -> None:
        """Collect the rows of a ground-truth table. Raises ``FormatError``."""
        lists_only = table.lists_only
        if self._dialect == "pyslowfast":
            _refuse(table, lists_only, "a row that only lists its keyframe has no meaning in dialect 'pyslowfast'")
        no_action = (table.action_ids == 0) & ~lists_only
        _refuse(table, no_action, "a ground-truth box without an action; is this a proposal file?")
        classes = self._classes(table)
        boxed = classes != OTHER_CLASS
        broken = boxed & ~np.isfinite(table.boxes_fraction).all(axis=1)
        _refuse(table, broken, "a ground-truth box with a corner that is no finite number")
        runs = self._runs(table)
        rows = self.ground_truth
        rows.listed.append(runs.keys)
        rows.runs.append(runs.of_chosen(np.flatnonzero(boxed)))
        rows.classes.append(classes[boxed])
        rows.priorities.append(self._priorities(table)[boxed])
        rows.num_others += int(np.count_nonzero(~boxed & ~lists_only))

    def add_detections(self, table: AvaTable) -> None:
        """Collect the detections of a table, those of other classes left out. Raises ``FormatError``."""
        _refuse(table, table.action_ids == 0, "a detection without an action; is this a proposal file?")
        scores = table.scores
        unscored = np.isnan(scores)
        if unscored.any():
            if self._dialect == "pyslowfast":
                _refuse(table, unscored, "a detection without a score, which dialect 'pyslowfast' needs")
            scores = np.where(unscored, 1.0, scores)
        classes = self._classes(table)
        taken = np.flatnonzero(classes != OTHER_CLASS)
        rows = self.detections
        rows.runs.append(self._runs(table).of_chosen(taken))
        rows.classes.append(classes[taken])
        rows.scores.append(scores[taken])
        rows.num_others += len(table) - len(taken)

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The videos met so far, as the keyframe keys number them."""
        return self._keyframes.video_ids

    def keys_of(self, table: AvaTable) -> IntArray:
        """The keyframe key of each row; in ``pyslowfast`` the seconds must be whole."""
        if self._dialect == "pyslowfast":
            off_second = np.abs(table.timestamps_seconds - np.rint(table.timestamps_seconds)) > 5e-7
            _refuse(table, off_second, "dialect 'pyslowfast' knows whole seconds only")
        return self._keyframes.of_rows(table)

    def _runs(self, table: AvaTable) -> Runs:
        """Keyframes and boxes of all rows; keys are made once a run, not once a row."""
        columns = (table.video_index, table.timestamps_seconds, *table.boxes_fraction.T)
        starts = np.flatnonzero(np.logical_or.reduce([starts_run(column) for column in columns]))
        heads = table[starts]
        return Runs(self.keys_of(heads), heads.boxes_fraction, np.diff(starts, append=len(table)))

    def _priorities(self, table: AvaTable) -> IntArray:
        """The official script takes the last column for a score, 1 where there is none, and sorts by it."""
        if self._dialect == "pyslowfast":
            return np.zeros(len(table), np.int64)
        return np.where(table.person_ids == -1, 1, table.person_ids)

    def _classes(self, table: AvaTable) -> ClassArray:
        """The place ``[R]`` of each row's action in the label map; ``OTHER_CLASS`` where it is not there."""
        last = len(self._class_of_id) - 1
        # Seen as unsigned, a negative id is a great one.
        return self._class_of_id.take(np.minimum(table.action_ids.view(np.uint32), np.uint32(last)))


def _refuse(table: AvaTable, wrong: BoolArray, what: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        where = f"video {table.video_ids[table.video_index[row]]!r}, second {table.timestamps_seconds[row]:.10g}"
        more = int(wrong.sum()) - 1
        raise FormatError(f"{where}: {what}" + (f" ({more} more rows like it)" if more else ""))
