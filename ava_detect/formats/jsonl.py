"""JSON lines, both ways: one line per keyframe, also where nobody is.

``{"video_id", "timestamp_seconds", "people": [{"track_id", "box": [x1, y1, x2, y2], "score",
"actions": [{"id", "name", "score"}]}]}``: times from the start of the file, boxes as fractions of the frame, actions
by falling score. Where the results need a word of warning, each line also has a ``"note"``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap


@contextmanager
def jsonl_writer(
    path: str | Path, label_map: LabelMap, *, min_score: float = 0.0, note: str = ""
) -> Iterator[Callable[[ActionDetections], None]]:
    """Yield a function that appends one keyframe; the file has its name once the block ended well.

    ``min_score``: actions below it are left out; people stay, even with no action left.
    """
    names = {action.id: action.name for action in label_map}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:

        def write(keyframe: ActionDetections) -> None:
            line = keyframe_to_json(keyframe, names, min_score=min_score)
            if note:
                line["note"] = note
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

        yield write


def write_jsonl(path: str | Path, detections: Iterable[ActionDetections], label_map: LabelMap) -> None:
    """Write keyframes to a file, atomically."""
    with jsonl_writer(path, label_map) as write:
        for keyframe in detections:
            write(keyframe)


def keyframe_to_json(keyframe: ActionDetections, names: dict[int, str], *, min_score: float = 0.0) -> dict[str, Any]:
    """One keyframe as the plain values of a line."""
    tracks = [None] * len(keyframe) if keyframe.track_ids is None else [int(track) for track in keyframe.track_ids]
    people = []
    for person, track_id in enumerate(tracks):
        scores = keyframe.action_scores[person]
        columns = np.argsort(-scores, kind="stable")
        actions = [
            {"id": int(action_id), "name": names.get(int(action_id), ""), "score": shortest(score)}
            for action_id, score in zip(keyframe.action_ids[columns], scores[columns], strict=True)
            if score >= min_score
        ]
        box = [shortest(value) for value in keyframe.boxes_fraction[person]]
        score = shortest(keyframe.person_scores[person])
        people.append({"track_id": track_id, "box": box, "score": score, "actions": actions})
    return {
        "video_id": keyframe.video_id,
        "timestamp_seconds": round(keyframe.timestamp_seconds, 6),
        "people": people,
    }


def shortest(value: np.float32) -> float:
    """``value`` as the float whose text is short: float32 0.3 gives 0.3, not 0.30000001192092896."""
    return float(str(value))


def read_jsonl(path: str | Path, label_map: LabelMap) -> Iterator[ActionDetections]:
    """The keyframes of a file, in its order; score columns are those of ``label_map``.

    An action that was left out of the file comes back with score 0. ``FormatError`` names the file and the line.
    """
    column = {action_id: i for i, action_id in enumerate(label_map.ids)}
    with Path(path).open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                yield _keyframe_from_json(json.loads(text), column)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FormatError(
                    f"{path}, line {number}: not a keyframe as this package writes it ({type(error).__name__}: {error})"
                ) from error


def _keyframe_from_json(line: dict[str, Any], column: dict[int, int]) -> ActionDetections:
    people = line["people"]
    scores = np.zeros((len(people), len(column)), np.float32)
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
