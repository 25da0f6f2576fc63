"""Ground-truth and detection rows: csv tables checked, reduced to the evaluated classes and collected in chunks.

Shapes: R rows of a table, G collected ground-truth boxes, D collected detections, L listing rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError
from ava_detect.evaluation.frame_map_result import Dialect
from ava_detect.evaluation.ground_truth_index import BoolArray, ClassArray
from ava_detect.evaluation.keyframes import IntArray, KeyframeKeys, RowRuns, starts_run
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.structures.labels import NO_ACTION, LabelMap

OTHER_CLASS = -1
# PySlowFast's keyframes are whole seconds; csv files have six decimals, so half of the last one is rounding.
_WHOLE_SECOND_TOLERANCE = 5e-7


class ColumnChunks:
    """One column of a growing table: chunks are appended, and concatenated when the column is read.

    Args:
        dtype: The column's dtype.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._parts: list[npt.NDArray[Any]] = [np.empty(0, dtype)]

    def append(self, part: npt.NDArray[Any]) -> None:
        """Add rows at the end.

        Args:
            part: ``[N]``, of the column's dtype.
        """
        self._parts.append(part)

    def concatenated(self) -> npt.NDArray[Any]:
        """Return the whole column.

        The chunks are replaced by the result, so that memory holds the column once.

        Returns:
            All rows so far, in order.
        """
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


class GroundTruthRows:
    """Ground-truth boxes of evaluated classes, and the keyframes that any ground-truth row lists.

    Attributes:
        runs: Keyframes and boxes of the G rows, one entry for each collected table.
        classes: int16 ``[G]``, index of each box's class in the label map.
        priorities: int64 ``[G]``. Of boxes that a detection overlaps equally, the box of higher priority is its
            candidate; of equal priorities, the first.
        listed: int64 ``[L]``, keyframe keys of all rows, those of other classes and those without a box included.
        num_others: Number of boxes of classes that the label map does not have, or without an action.
    """

    def __init__(self) -> None:
        self.runs: list[RowRuns] = []
        self.classes = ColumnChunks(np.int16)
        self.priorities = ColumnChunks(np.int64)
        self.listed = ColumnChunks(np.int64)
        self.num_others = 0


class DetectionRows:
    """Detections of evaluated classes.

    Attributes:
        runs: Keyframes and boxes of the D rows, one entry for each collected table.
        classes: int16 ``[D]``, index of each detection's class in the label map.
        scores: float64 ``[D]``.
        num_others: Number of detections of classes that the label map does not have.
    """

    def __init__(self) -> None:
        self.runs: list[RowRuns] = []
        self.classes = ColumnChunks(np.int16)
        self.scores = ColumnChunks(np.float64)
        self.num_others = 0


class RowCollector:
    """Checks tables against the rules of one label map and dialect, and collects the rows that can be scored.

    Attributes:
        ground_truth: The ground truth collected so far.
        detections: The detections collected so far.
    """

    def __init__(self, label_map: LabelMap, dialect: Dialect) -> None:
        """Start without rows.

        Args:
            label_map: The evaluated classes.
            dialect: Decides which rows are refused.
        """
        self.ground_truth = GroundTruthRows()
        self.detections = DetectionRows()
        self._keyframes = KeyframeKeys()
        self._dialect = dialect
        # Action id -> class. One entry more than the greatest id, for all ids that the map does not have.
        self._class_of_id = np.full(max(label_map.ids, default=0) + 2, OTHER_CLASS, np.int16)
        self._class_of_id[list(label_map.ids)] = np.arange(len(label_map))

    def add_ground_truth(self, table: AvaTable) -> None:
        """Collect the rows of a ground-truth table.

        Args:
            table: R rows; a row that only lists its keyframe has no box. A box without an action is a person who does
                none of the evaluated actions: it counts as a row of another class.

        Raises:
            FormatError: A row cannot be scored; the message names its video and second.
        """
        is_keyframe_only = table.is_keyframe_only  # [R]
        if self._dialect == "pyslowfast":
            _refuse(
                table, is_keyframe_only, "a row that only lists its keyframe has no meaning in dialect 'pyslowfast'"
            )
        classes = self._classes(table)  # [R]
        is_evaluated = classes != OTHER_CLASS
        is_broken = is_evaluated & ~np.isfinite(table.boxes_fraction).all(axis=1)
        _refuse(table, is_broken, "a ground-truth box with a corner that is no finite number")
        runs = self._runs(table)
        rows = self.ground_truth
        # Every row lists its keyframe as annotated, whatever its class.
        rows.listed.append(runs.keys)
        rows.runs.append(runs.select(np.flatnonzero(is_evaluated)))
        rows.classes.append(classes[is_evaluated])
        rows.priorities.append(self._priorities(table)[is_evaluated])
        rows.num_others += int(np.count_nonzero(~is_evaluated & ~is_keyframe_only))

    def add_detections(self, table: AvaTable) -> None:
        """Collect the detections of a table, those of other classes left out.

        Args:
            table: R rows. In the dialect ``official`` a row without a score counts with score 1.

        Raises:
            FormatError: A row cannot be scored; the message names its video and second.
        """
        _refuse(table, table.action_ids == NO_ACTION, "a detection without an action; is this a proposal file?")
        scores = table.scores  # [R]
        is_unscored = np.isnan(scores)
        if is_unscored.any():
            if self._dialect == "pyslowfast":
                _refuse(table, is_unscored, "a detection without a score, which dialect 'pyslowfast' needs")
            scores = np.where(is_unscored, 1.0, scores)
        classes = self._classes(table)  # [R]
        kept = np.flatnonzero(classes != OTHER_CLASS)
        rows = self.detections
        rows.runs.append(self._runs(table).select(kept))
        rows.classes.append(classes[kept])
        rows.scores.append(scores[kept])
        rows.num_others += len(table) - len(kept)

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos seen so far; a keyframe key's video number is an index into them."""
        return self._keyframes.video_ids

    def keys_of(self, table: AvaTable) -> IntArray:
        """Return the keyframe key of each row.

        Args:
            table: R rows.

        Returns:
            int64 ``[R]``.

        Raises:
            FormatError: A timestamp is out of range or, in the dialect ``pyslowfast``, no whole second.
        """
        if self._dialect == "pyslowfast":
            seconds = table.timestamps_seconds
            is_off_second = np.abs(seconds - np.rint(seconds)) > _WHOLE_SECOND_TOLERANCE
            _refuse(table, is_off_second, "dialect 'pyslowfast' knows whole seconds only")
        return self._keyframes.of_rows(table)

    def _runs(self, table: AvaTable) -> RowRuns:
        """Return keyframes and boxes of all rows; keys are computed once a run, not once a row."""
        columns = (table.video_index, table.timestamps_seconds, *table.boxes_fraction.T)
        # A run starts where any of its columns changes.
        starts = np.flatnonzero(np.logical_or.reduce([starts_run(column) for column in columns]))  # [U]
        heads = table[starts]
        return RowRuns(self.keys_of(heads), heads.boxes_fraction, np.diff(starts, append=len(table)))

    def _priorities(self, table: AvaTable) -> IntArray:
        """Return the priority ``[R]`` of each ground-truth row.

        The official script reads the last column, the person id, as a score, 1 where there is none, and sorts by it.
        """
        if self._dialect == "pyslowfast":
            return np.zeros(len(table), np.int64)
        return np.where(table.person_ids == -1, 1, table.person_ids)

    def _classes(self, table: AvaTable) -> ClassArray:
        """Return the class ``[R]`` of each row's action, ``OTHER_CLASS`` where the label map does not have it."""
        last = len(self._class_of_id) - 1
        # Viewed as unsigned, NO_ACTION is greater than any id of the map and falls into the last entry, too.
        return self._class_of_id.take(np.minimum(table.action_ids.view(np.uint32), np.uint32(last)))


def _refuse(table: AvaTable, is_wrong: BoolArray, what: str) -> None:
    """Raise ``FormatError`` for the first row of ``is_wrong`` ``[R]``, if there is any."""
    if is_wrong.any():
        row = int(is_wrong.argmax())
        where = f"video {table.video_ids[table.video_index[row]]!r}, second {table.timestamps_seconds[row]:.10g}"
        more = int(is_wrong.sum()) - 1
        raise FormatError(f"{where}: {what}" + (f" ({more} more rows like it)" if more else ""))
