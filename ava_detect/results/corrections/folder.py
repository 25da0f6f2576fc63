"""The folder of the corrections of some results: ``corrections.json``, and a log for each video that was worked on.

``corrections.json`` is ``{"version": 1, "id": ..., "results": PATH, "min_score": 0.5, "start_seconds": 0.0, "actions":
[{"id", "name", "kind"}, ...]}``: a random id of the review, the results that are corrected, where in their movies their
video files start, and the actions that may be chosen.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, counted, require_file, shown
from ava_detect.formats.json_values import (
    LARGEST_SECONDS,
    MALFORMED,
    check_number,
    check_text,
    check_whole,
    parse_json,
    reason_of,
)
from ava_detect.results.corrections.events import rounded_seconds
from ava_detect.results.corrections.keyframes import CorrectedKeyframe, CorrectedPerson, VideoCorrections
from ava_detect.results.corrections.log import LOG_SUFFIX, Base, ReadLog, read_log, sync_folder
from ava_detect.results.saved import SavedResults
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures.labels import Action, ActionKind, LabelMap

CORRECTIONS_FILE = "corrections.json"
_VERSION = 1
_LONGEST_FILE_BYTES = 64 << 20


@dataclass(frozen=True)
class CorrectionsInfo:
    """The content of ``corrections.json``.

    Attributes:
        id: A random name of the review, hexadecimal digits.
        results: Path of the results that are corrected.
        min_score: An action that scores as much counts as ticked when the review of a video begins, 0..1.
        label_map: The actions that may be chosen.
        start_seconds: Time in the movie, in seconds, at which each video file starts. Keyframes count from there.
    """

    id: str
    results: str
    min_score: float
    label_map: LabelMap
    start_seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Corrections:
    """The corrections of some results.

    Attributes:
        folder: The folder.
        info: The content of its ``corrections.json``.
        videos: Video id -> corrected keyframes, of each video that was worked on.
        notices: Sentences on what could not be read: torn last lines.
    """

    folder: Path
    info: CorrectionsInfo
    videos: Mapping[str, VideoCorrections]
    notices: tuple[str, ...] = ()


def read_corrections(folder: str | Path) -> Corrections:
    """Read a folder of corrections. The results that they belong to are not needed.

    Args:
        folder: The folder that ``ava-detect review`` wrote.

    Returns:
        The corrections.

    Raises:
        FormatError: The folder holds no corrections, or a file is damaged; names the file and the line.
        OSError: A file cannot be read.
    """
    folder = Path(folder)
    info = read_info(folder)
    logs = read_logs(folder, info)
    videos = {log.base.video_id: log.video for log in logs.values()}
    return Corrections(folder, info, videos, tuple(torn_notices(logs)))


def read_info(folder: Path) -> CorrectionsInfo:
    """Read ``corrections.json``.

    Args:
        folder: The folder of corrections.

    Returns:
        Its content.

    Raises:
        FormatError: There is no such file, or it is damaged.
        OSError: It cannot be read.
    """
    path = folder / CORRECTIONS_FILE
    if not path.is_file():
        raise FormatError(f"{shown(folder)} holds no {CORRECTIONS_FILE}; give a folder that `ava-detect review` wrote")
    require_file(path, max_bytes=_LONGEST_FILE_BYTES)
    try:
        return _info_from_json(parse_json(path.read_bytes()))
    except MALFORMED as error:
        raise FormatError(
            f"{shown(path)} is not as `ava-detect review` writes it ({reason_of(error)}); restore it from a copy"
        ) from error


def _info_from_json(value: Any) -> CorrectionsInfo:
    check_whole("version", value["version"], _VERSION, _VERSION)
    for name in ("id", "results"):
        check_text(name, value[name])
    check_number("min_score", value["min_score"], 0, 1)
    # Reviews that began before it was written down have none.
    start = value.get("start_seconds", 0.0)
    check_number("start_seconds", start, -LARGEST_SECONDS, LARGEST_SECONDS)
    actions = []
    for action in value["actions"]:
        check_whole("id", action["id"], 0, 2**31 - 1)
        check_text("name", action["name"])
        actions.append(Action(action["id"], action["name"], ActionKind(action["kind"])))
    label_map = LabelMap(tuple(actions))
    return CorrectionsInfo(value["id"], value["results"], float(value["min_score"]), label_map, float(start))


def write_info(
    folder: Path,
    results: str,
    min_score: float,
    label_map: LabelMap,
    *,
    start_seconds: float = 0.0,
    review_id: str = "",
) -> CorrectionsInfo:
    """Begin a folder of corrections, or change what its ``corrections.json`` says.

    Args:
        folder: The folder; it is created where it is missing.
        results: Path of the results that are corrected.
        min_score: An action that scores as much counts as ticked, 0..1.
        label_map: The actions that may be chosen.
        start_seconds: Time in the movie, in seconds, at which each video file starts.
        review_id: Id of the review; empty for a new one.

    Returns:
        What was written.

    Raises:
        OSError: The file cannot be written.
    """
    info = CorrectionsInfo(review_id or secrets.token_hex(8), results, min_score, label_map, start_seconds)
    value = {
        "version": _VERSION,
        "id": info.id,
        "results": results,
        "min_score": min_score,
        "start_seconds": start_seconds,
        "actions": [{"id": action.id, "name": action.name, "kind": str(action.kind)} for action in label_map],
    }
    with atomic_path(folder / CORRECTIONS_FILE) as temporary, temporary.open("w", encoding="ascii") as file:
        file.write(json.dumps(value, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    return info


def read_logs(folder: Path, info: CorrectionsInfo) -> dict[Path, ReadLog]:
    """Read the logs of a folder.

    Args:
        folder: The folder of corrections.
        info: The content of its ``corrections.json``.

    Returns:
        Path of each log that has a base -> its content.

    Raises:
        FormatError: A log is damaged, or two are of the same video.
        OSError: A file cannot be read.
    """
    logs: dict[Path, ReadLog] = {}
    paths: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*{LOG_SUFFIX}")):
        log = read_log(path, info.label_map.ids)
        if log is None:
            continue
        other = paths.setdefault(log.base.video_id, path)
        if other != path:
            raise FormatError(
                f"{shown(path)} and {shown(other)} are both logs of {shown(log.base.video_id)}; remove the one that is "
                "a copy"
            )
        logs[path] = log
    return logs


def torn_notices(logs: Mapping[Path, ReadLog]) -> list[str]:
    """Say which logs end in a torn line.

    Args:
        logs: Path -> content.

    Returns:
        A sentence for each.
    """
    return [
        f"{path.name}: the last line is torn ({counted(log.torn_bytes, 'byte')}), as a crash leaves it; that change "
        "was not saved, all before it were"
        for path, log in logs.items()
        if log.torn_bytes
    ]


def base_of(results: SavedResults, sha256: str, min_score: float) -> Base:
    """Make the base of a video's log from its results.

    Args:
        results: The results of the video.
        sha256: SHA-256 of their file.
        min_score: An action that scores as much counts as ticked, 0..1.

    Returns:
        The base. A person has the actions that score at least ``min_score`` and more than 0; boxes are cut to the
        frame.
    """
    keyframes = {}
    for keyframe in results.keyframes:
        assert keyframe.track_ids is not None, "results are linked when they are read"
        people = {}
        for track, box, scores in zip(
            keyframe.track_ids.tolist(),
            keyframe.boxes_fraction.tolist(),
            keyframe.action_scores,
            strict=True,
        ):
            x1, y1, x2, y2 = (round(min(max(corner, 0.0), 1.0), 6) for corner in box)
            ticked = keyframe.action_ids[(scores >= min_score) & (scores > 0)]
            people[track] = CorrectedPerson((x1, y1, x2, y2), tuple(sorted(ticked.tolist())))
        keyframes[rounded_seconds(keyframe.timestamp_seconds)] = CorrectedKeyframe(people)
    return Base(results.video_id, sha256, min_score, keyframes)
