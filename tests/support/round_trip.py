"""Results of real videos that go out to a tool and come back: the rows that must come back, and those of a csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from people import detections

from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.importing.import_labels import ImportSummary, import_labels
from ava_detect.structures.labels import NO_ACTION, LabelMap

# Of ``shared/videos``: name -> times of keyframes, and the time between them.
REAL_VIDEOS = {
    "dc_video_90.mov": ((0.0, 0.05), 0.05),  # rotated; three frames
    "mm_demo.mp4": (tuple(map(float, range(10))), 1.0),  # pixels 1.255 as wide as high; 28 frames a second
    "odd_vfr.mp4": (tuple(map(float, range(9))), 1.0),  # 6 frames a second, later 30
    "sam2_04_coffee.mp4": (tuple(map(float, range(9))), 1.0),  # 29.97 frames a second
}
STAND, PHONE, TALK, WATCH = 12, 15, 79, 80
_UNSURE = 0.3


class Row(NamedTuple):
    """A row of ground truth; without people it has no box, and -1 for action and person."""

    video_id: str
    seconds: float
    box: tuple[float, ...]
    action_id: int
    person: int


def write_real_results(folder: Path, video: str) -> list[Row]:
    """Write results of a real video.

    Person 4 stands and moves to the right; person 9 is there at every other keyframe, talks or does nothing of which
    the network is sure.

    Args:
        folder: The folder, made if it does not exist.
        video: A key of ``REAL_VIDEOS``.

    Returns:
        The rows that come back.
    """
    folder.mkdir(exist_ok=True)
    video_id, (times, _) = Path(video).stem, REAL_VIDEOS[video]
    keyframes, rows = [], []
    for number, seconds in enumerate(times):
        left = 0.1 + 0.3 * number / len(times)
        people = {4: ((left, 0.2173, left + 0.25, 0.9), {STAND: 0.9, WATCH: 0.8, PHONE: _UNSURE})}
        if number % 2 == 0:
            people[9] = ((0.6031, 0.1, 0.9517, 0.7719), {TALK: 0.7} if number % 4 == 0 else {TALK: _UNSURE})
        boxes, actions = [box for box, _ in people.values()], [scores for _, scores in people.values()]
        keyframes.append(detections(boxes, actions, video_id=video_id, seconds=seconds, track_ids=[*people]))
        for person, (box, scores) in people.items():
            sure = sorted(action_id for action_id, score in scores.items() if score > _UNSURE)
            rows += [Row(video_id, seconds, box, action_id, person) for action_id in sure or [NO_ACTION]]
    write_jsonl(folder / f"{video_id}.jsonl", keyframes, LabelMap.ava())
    return rows


def rows_of(csv: Path) -> list[Row]:
    """Read the rows of a csv of ground truth.

    Args:
        csv: The file.

    Returns:
        Its rows, those of keyframes without people included.
    """
    table = read_ava_csv(csv, last_column="person_id")
    columns = (table.video_index, table.timestamps_seconds, table.boxes_fraction, table.action_ids, table.person_ids)
    rows = zip(*(column.tolist() for column in columns), table.is_keyframe_only.tolist(), strict=True)
    return [
        Row(table.video_ids[video], seconds, () if is_empty else tuple(box), action_id, person)
        for video, seconds, box, action_id, person, is_empty in rows
    ]


def imported_rows(files: Any, out: Path, **settings: Any) -> tuple[ImportSummary, list[Row]]:
    """Import files of labels, and read the rows that were written.

    Args:
        files: The files, or one.
        out: The csv.
        **settings: Further ones of the import.

    Returns:
        The summary of the import, and the rows, boxes rounded to 4 decimals.
    """
    summary = import_labels(files, out, overwrite=True, **settings)
    return summary, [row._replace(box=tuple(round(corner, 4) for corner in row.box)) for row in rows_of(out)]


def largest_difference(rows: list[Row], expected: list[Row]) -> float:
    """Compare rows: all but the boxes must be equal.

    Args:
        rows: Rows.
        expected: The rows that they should be.

    Returns:
        The largest difference of a corner, as a fraction of the frame.
    """

    def key(row: Row) -> tuple[str, float, int, int]:
        return row.video_id, row.seconds, row.person, row.action_id

    rows, expected = sorted(rows, key=key), sorted(expected, key=key)
    assert [key(row) for row in rows] == [key(row) for row in expected]
    corners = zip((c for row in rows for c in row.box), (c for row in expected for c in row.box), strict=True)
    return max(abs(one - other) for one, other in corners)
