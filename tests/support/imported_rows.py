"""Imports files of labels and returns the rows that were written, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.results.importing.import_labels import ImportSummary, import_labels

#: Video, seconds, box as fractions, action id and person id; -1 for none, and no box for a keyframe without people.
Row = tuple[str, float, tuple[float, ...], int, int]


def imported_rows(files: Any, out: Path, **settings: Any) -> tuple[ImportSummary, list[Row]]:
    """The summary of an import, and the rows of its csv, boxes rounded to 4 decimals."""
    summary = import_labels(files, out, overwrite=True, **settings)
    table = read_ava_csv(out, last_column="person_id")
    rows: list[Row] = []
    for row in range(len(table)):
        video, seconds = table.video_ids[table.video_index[row]], float(table.timestamps_seconds[row])
        if table.is_keyframe_only[row]:
            rows.append((video, seconds, (), -1, -1))
            continue
        box = tuple(round(corner, 4) for corner in table.boxes_fraction[row].tolist())
        rows.append((video, seconds, box, int(table.action_ids[row]), int(table.person_ids[row])))
    return summary, rows
