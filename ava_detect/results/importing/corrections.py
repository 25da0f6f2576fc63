"""The accepted keyframes of a folder of corrections, which ``ava-detect review`` writes, as labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.results.corrections.folder import CORRECTIONS_FILE, read_info
from ava_detect.results.corrections.truth import read_reviewed
from ava_detect.results.importing.action_ids import placeholder
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.labels import LabelledPerson, ToolLabels
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.structures.labels import NO_ACTION, LabelMap


def is_corrections(start: FileStart) -> bool:
    """Tell whether a folder is one of corrections.

    Args:
        start: The outside of the file or folder.

    Returns:
        Whether it is.
    """
    return start.kind == "folder" and start.has(CORRECTIONS_FILE)


def start_of_corrections(paths: Iterable[Path]) -> float | None:
    """Find out where in their movies the video files of corrections start.

    Args:
        paths: Files and folders of labels.

    Returns:
        The start in seconds of the results that were corrected; None where no path is a folder of corrections.

    Raises:
        FormatError: A folder is damaged.
        ConfigError: The starts of several folders differ.
    """
    starts = {
        read_info(path).start_seconds: path for path in paths if path.is_dir() and (path / CORRECTIONS_FILE).is_file()
    }
    if len(starts) > 1:
        (one, first), (other, second) = list(starts.items())[:2]
        raise ConfigError(
            f"the files of {shown(first)} start at {one:g} s of their movies and those of {shown(second)} at {other:g} "
            "s; import one after the other"
        )
    return next(iter(starts), None)


def read_corrections(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read the accepted keyframes of a folder of corrections; the videos are not needed.

    Args:
        path: The folder.
        videos: Not used: times and ids are those of the results.

    Returns:
        The labels; keyframes that were changed but not accepted are counted as dropped.

    Raises:
        FormatError: The folder is damaged; names the file and the line. Or no keyframe is accepted.
    """
    truth = read_reviewed(path)
    if not len(truth.rows):
        raise FormatError(
            f"{shown(path)}: no keyframe is accepted yet; accept those that are right in `ava-detect review`, then "
            "import again"
        )
    names = _names(truth.label_map)
    labels = ToolLabels(action_names=tuple(names.values()), has_video_ids=True)
    labels.action_ids = {name: action_id for action_id, name in names.items()}
    labels.dropped = Counter({"keyframes that were changed but not accepted": truth.num_unaccepted})
    rows = truth.rows
    for row, action_id in enumerate(rows.action_ids.tolist()):
        video_id, seconds = rows.video_ids[rows.video_index[row]], float(rows.timestamps_seconds[row])
        if np.isnan(rows.boxes_fraction[row]).any():
            labels.empty_keyframes.append((video_id, seconds))
            continue
        x1, y1, x2, y2 = rows.boxes_fraction[row].tolist()
        actions = () if action_id == NO_ACTION else (names[action_id],)
        person = int(rows.person_ids[row])
        track = None if person < 0 else str(person)
        labels.people.append(LabelledPerson(video_id, seconds, (x1, y1, x2, y2), actions, track))
    return labels


def _names(label_map: LabelMap) -> dict[int, str]:
    """Action id -> its name, with the id where it has none of its own."""
    counts = Counter(action.name for action in label_map)
    return {
        action.id: action.name
        if action.name and counts[action.name] == 1
        else f"{action.name} ({action.id})"
        if action.name
        else placeholder(action.id)
        for action in label_map
    }
