"""JSON lines, read and written: one line per keyframe, including keyframes without people.

``{"video_id", "timestamp_seconds", "people": [{"track_id", "box": [x1, y1, x2, y2], "score",
"actions": [{"id", "name", "score"}]}]}``: times from the start of the file, boxes as fractions of the frame, actions
by descending score. Each line also has a ``"note"`` where the results need a warning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.ava_table import LARGEST_FRACTION
from ava_detect.formats.json_values import (
    LARGEST_INT64,
    LARGEST_SECONDS,
    MALFORMED,
    check_number,
    check_text,
    check_type,
    check_whole,
    iter_whole_lines,
    parse_json,
    reason_of,
)
from ava_detect.formats.keyframe_writer import BoolArray, WriteKeyframe, kept_scores
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import GREATEST_ACTION_ID, LabelMap


@contextmanager
def jsonl_writer(path: str | Path, label_map: LabelMap, *, note: str = "") -> Iterator[WriteKeyframe]:
    """Write JSON lines keyframe by keyframe, atomically: the file exists once the block has ended without an error.

    Args:
        path: The file to write.
        label_map: The source of the action names.
        note: A warning written into every line; empty: none.

    Yields:
        A function that appends one keyframe; people without a chosen score are written without actions.
    """
    names = {action.id: action.name for action in label_map}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:

        def write(keyframe: ActionDetections, kept: BoolArray | None = None, /) -> None:
            line = keyframe_to_json(keyframe, names, kept)
            if note:
                line["note"] = note
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

        yield write


def write_jsonl(path: str | Path, detections: Iterable[ActionDetections], label_map: LabelMap) -> None:
    """Write keyframes to a file, atomically.

    Args:
        path: The file to write.
        detections: The keyframes, written in their order with all actions.
        label_map: The source of the action names.
    """
    with jsonl_writer(path, label_map) as write:
        for keyframe in detections:
            write(keyframe)


def keyframe_to_json(
    keyframe: ActionDetections, names: dict[int, str], kept: BoolArray | None = None
) -> dict[str, Any]:
    """Convert a keyframe to the JSON value of a line.

    Args:
        keyframe: The keyframe.
        names: Action id -> name; an action that is missing here gets an empty name.
        kept: bool ``[N, C]``, which scores to keep; None for all.

    Returns:
        Dictionaries, lists, strings and numbers, as the module's docstring describes them.
    """
    tracks = [None] * len(keyframe) if keyframe.track_ids is None else [int(track) for track in keyframe.track_ids]
    people, is_kept = [], kept_scores(keyframe, kept)
    for person, track_id in enumerate(tracks):
        scores = keyframe.action_scores[person]  # [C]
        # Descending scores; a stable sort keeps the column order of equal ones.
        columns = np.argsort(-scores, kind="stable")  # [C]
        columns = columns[is_kept[person, columns]]
        actions = [
            {"id": int(action_id), "name": names.get(int(action_id), ""), "score": shortest_decimal(score)}
            for action_id, score in zip(keyframe.action_ids[columns], scores[columns], strict=True)
        ]
        box = [shortest_decimal(value) for value in keyframe.boxes_fraction[person]]
        score = shortest_decimal(keyframe.person_scores[person])
        people.append({"track_id": track_id, "box": box, "score": score, "actions": actions})
    return {
        "video_id": keyframe.video_id,
        "timestamp_seconds": round(keyframe.timestamp_seconds, 6),
        "people": people,
    }


def shortest_decimal(value: np.float32) -> float:
    """Convert a float32 to the float with its shortest decimal text: 0.3, not 0.30000001192092896.

    Args:
        value: The number.

    Returns:
        The float; converting it to float32 gives ``value`` back.
    """
    return float(str(value))


def read_jsonl(path: str | Path, label_map: LabelMap) -> Iterator[ActionDetections]:
    """Read the keyframes of a file.

    Args:
        path: A file that ``jsonl_writer`` wrote.
        label_map: The actions, in the order of the score columns.

    Yields:
        The keyframes, in the order of the file. An action that a line does not list has score 0.

    Raises:
        FormatError: If a line is not a keyframe; names the file and the line.
    """
    column = {action_id: i for i, action_id in enumerate(label_map.ids)}
    for number, line in iter_lines(path):
        try:
            yield _keyframe_from_json(line, column)
        except MALFORMED as error:
            raise _not_a_keyframe(path, number, error) from error


def iter_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read and check the lines of a file without converting them.

    Args:
        path: A file that ``jsonl_writer`` wrote, possibly edited since.

    Yields:
        The number of each line that is not blank, from 1, and its JSON value, which is one that ``keyframe_to_json``
        may have returned.

    Raises:
        FormatError: If the file cannot be read or a line is not a keyframe; names the file and the line.
    """
    try:
        # Split at line feeds only, and decode line by line, so that an error names its line.
        require_file(path)
        with Path(path).open("rb") as file:
            for number, text in iter_whole_lines(file):
                if not text.strip():
                    continue
                try:
                    line = parse_json(text)
                    _check_line(line)
                except MALFORMED as error:
                    raise _not_a_keyframe(path, number, error) from error
                yield number, line
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error.strerror)})") from error
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{shown(path)} cannot be read ({error})") from error


def _not_a_keyframe(path: str | Path, number: int, error: Exception) -> FormatError:
    return FormatError(
        f"{shown(path)}, line {number}: not a keyframe as `ava-detect annotate` writes it ({reason_of(error)})"
    )


def _check_line(line: Any) -> None:
    """Raise where the value of a line is not a keyframe with people."""
    check_type("the line", line, dict)
    check_text("video_id", line["video_id"])
    check_number("timestamp_seconds", line["timestamp_seconds"], 0, LARGEST_SECONDS)
    check_type("people", line["people"], list)
    track_ids = set()
    for person in line["people"]:
        check_type("people", person, dict)
        track_id = person["track_id"]
        if track_id is not None:
            check_whole("track_id", track_id, 0, LARGEST_INT64)
            if track_id in track_ids:
                raise ValueError(f"track_id {track_id} is given twice, and a person is on a keyframe once")
            track_ids.add(track_id)
        _check_box(person["box"])
        check_number("score", person["score"], 0, 1)
        check_type("actions", person["actions"], list)
        for action in person["actions"]:
            check_type("actions", action, dict)
            check_whole("id", action["id"], 0, GREATEST_ACTION_ID)
            check_number("score", action["score"], 0, 1)
            check_type("name", action["name"], str)


def _check_box(box: Any) -> None:
    """Raise where a value is not x1, y1, x2, y2 as fractions of the frame."""
    check_type("box", box, list)
    if len(box) != 4:
        raise ValueError(f"box has {len(box)} numbers, and x1, y1, x2, y2 are 4")
    for corner in box:
        check_number("box", corner, -LARGEST_FRACTION, LARGEST_FRACTION)
    if box[0] > box[2] or box[1] > box[3]:
        raise ValueError(f"box ends before it begins: x1, y1, x2, y2 are {box}")


def _keyframe_from_json(line: dict[str, Any], column: dict[int, int]) -> ActionDetections:
    people = line["people"]
    scores = np.zeros((len(people), len(column)), np.float32)  # [N, C]
    for row, person in enumerate(people):
        for action in person["actions"]:
            scores[row, column[action["id"]]] = action["score"]
    tracks = [person["track_id"] for person in people]
    return ActionDetections(
        line["video_id"],
        line["timestamp_seconds"],
        np.array([person["box"] for person in people], np.float32),
        np.array([person["score"] for person in people], np.float32),
        scores,
        np.array(list(column), np.int64),
        None if None in tracks else np.array(tracks, np.int64),
    )
