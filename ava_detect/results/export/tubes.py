"""Files of action tubes: a row per person, action and time interval, as Parquet, csv or JSON lines.

Columns: ``video_id``, ``track_id``, ``action_id``, ``action_name``, ``action_kind``, ``start_seconds``,
``end_seconds`` (from the start of the file), ``mean_score``, ``max_score``; and lists with a value for each keyframe
of the tube: ``timestamps_seconds``, ``scores`` (smoothed) and ``boxes`` (x1, y1, x2, y2 as fractions of the frame).
The cells of a csv have the lists as JSON.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError
from ava_detect.formats.arrow_files import READ_ERRORS, open_native
from ava_detect.formats.jsonl import shortest_decimal
from ava_detect.storage.local_files import atomic_path, is_stream
from ava_detect.storage.outputs import first_bytes
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.tubes import ActionTube

TUBE_FORMATS = ("parquet", "csv", "jsonl")
_LISTS = ("timestamps_seconds", "scores", "boxes")
SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("track_id", pa.int64()),
        ("action_id", pa.int32()),
        ("action_name", pa.string()),
        ("action_kind", pa.string()),
        *((name, pa.float64()) for name in ("start_seconds", "end_seconds")),
        *((name, pa.float32()) for name in ("mean_score", "max_score")),
        ("timestamps_seconds", pa.list_(pa.float64())),
        ("scores", pa.list_(pa.float32())),
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),
    ]
)

# Of tubes as csv or jsonl.
_FIRST_LINE = re.compile(rb"""%s\n|\{"video_id": "(?:[^"\\]|\\.)*", "track_id": """ % ",".join(SCHEMA.names).encode())


def write_tubes(path: str | Path, tubes: Iterable[ActionTube], label_map: LabelMap) -> int:
    """Write tubes in the format of the file's suffix, atomically.

    Args:
        path: The file; its suffix is one of ``TUBE_FORMATS``, and a pipe or ``-`` gets csv.
        tubes: The tubes.
        label_map: Names and kinds of their actions.

    Returns:
        Number of tubes.

    Raises:
        FormatError: The suffix is another one.
    """
    suffix = "csv" if is_stream(Path(path)) else Path(path).suffix.removeprefix(".")
    if suffix not in TUBE_FORMATS:
        raise FormatError(f"{path}: tubes are written as .{', .'.join(TUBE_FORMATS)}; give the file one of these ends")
    rows = [_row(tube, label_map) for tube in tubes]
    with atomic_path(path) as temporary:
        if suffix == "parquet":
            with open_native(temporary, "wb") as stream:
                pq.write_table(pa.Table.from_pylist(rows, SCHEMA), stream, compression="zstd")
        elif suffix == "jsonl":
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            temporary.write_text("".join(lines), encoding="utf-8")
        else:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, SCHEMA.names, lineterminator="\n")
                table.writeheader()
                table.writerows({**row, **{name: json.dumps(row[name]) for name in _LISTS}} for row in rows)
    return len(rows)


def is_tubes_file(path: Path) -> bool:
    """Tell whether an existing file is one that ``write_tubes`` wrote.

    Args:
        path: The file.

    Returns:
        True for tubes in the format of its suffix, and for an empty file.
    """
    if path.suffix != ".parquet":
        head = first_bytes(path)
        return not head or _FIRST_LINE.match(head) is not None
    try:
        with open_native(path) as file:
            return bool(pq.read_schema(file).names == SCHEMA.names)
    except READ_ERRORS:
        return False


def _row(tube: ActionTube, label_map: LabelMap) -> dict[str, Any]:
    action = label_map.by_id(tube.action_id)
    return {
        "video_id": tube.video_id,
        "track_id": tube.track_id,
        "action_id": tube.action_id,
        "action_name": action.name,
        "action_kind": str(action.kind),
        "start_seconds": round(tube.start_seconds, 6),
        "end_seconds": round(tube.end_seconds, 6),
        "mean_score": round(tube.mean_score, 6),
        "max_score": round(tube.max_score, 6),
        "timestamps_seconds": [round(seconds, 6) for seconds in tube.timestamps_seconds.tolist()],
        "scores": [shortest_decimal(score) for score in tube.scores],
        "boxes": [[shortest_decimal(corner) for corner in box] for box in tube.boxes_fraction],
    }
