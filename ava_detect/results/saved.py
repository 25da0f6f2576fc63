"""Results on disk, read back for whatever is made of them later: linked keyframes, their label map, and the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.labels import LabelMap
from ava_detect.sources import find_videos
from ava_detect.structures import ActionDetections
from ava_detect.visualization.page.people import PeopleTable
from ava_detect.visualization.page.reading import ResultsFile, name_actions, open_results
from ava_detect.visualize import find_results, locate


@dataclass(frozen=True, eq=False)
class SavedResults:
    """The results of one video. ``keyframes``: linked, in time order; their score columns are those of ``label_map``.

    ``source``: the video's file; None where it is not known, or not there any more. ``start_seconds``: where in its
    movie the file starts. ``note``: a word of warning that came with the results, such as of untrained weights.
    """

    video_id: str
    keyframes: Sequence[ActionDetections]
    label_map: LabelMap
    source: Path | None
    start_seconds: float
    note: str = ""

    def video(self) -> Path:
        """The video's file; ``FormatError`` with what to do where it is not there."""
        if self.source is None:
            raise FormatError(
                f"{self.video_id}: its video is not where it was annotated; give --videos FOLDER, where it is now"
            )
        return self.source


def read_saved_results(
    results: str | Path,
    *,
    videos: str | Path | None = None,
    label_map: str | Path | None = None,
    start_seconds: float | None = None,
    also_actions: Iterable[int] = (),
) -> Iterator[SavedResults]:
    """The videos of a folder that ``annotate_videos`` wrote, or of one file of results, those without results left out.

    ``videos``: a folder with the videos, where they are not where they were. ``label_map``: a pbtxt, by default the
    names in the results. ``start_seconds``: for csv files; by default what the run was told. ``also_actions``: ids that
    the label map is to have even where the results lack them. Raises ``FormatError`` when there are no results.
    """
    found, settings, note = find_results(Path(results))
    start = float(settings.get("start_seconds", 0.0)) if start_seconds is None else start_seconds
    given = None if label_map is None else LabelMap.from_pbtxt(label_map)
    moved = [] if videos is None else find_videos([videos])
    wanted = tuple(also_actions)
    opened: dict[Path, ResultsFile] = {}
    for entry in found:
        if entry.file is None:
            continue
        if entry.file not in opened:
            # One file may hold many videos: it is read once, and the one before it is let go.
            opened = {entry.file: open_results(entry.file, start_seconds=start)}
        file = opened[entry.file]
        names, _ = name_actions({**dict.fromkeys(wanted, ""), **file.action_names}, given)
        people = file.people(entry.video_id, names).linked(entry.cuts_seconds)
        keyframes = keyframes_of(entry.video_id, people, names)
        yield SavedResults(entry.video_id, keyframes, names, locate(entry.video_id, entry.source, moved), start, note)


def keyframes_of(video_id: str, people: PeopleTable, label_map: LabelMap) -> list[ActionDetections]:
    """The keyframes of a table of linked people."""
    action_ids = np.array(label_map.ids, np.int64)
    keyframes = []
    for k, timestamp_seconds in enumerate(people.timestamps_seconds.tolist()):
        rows = slice(int(people.offsets[k]), int(people.offsets[k + 1]))
        keyframes.append(
            ActionDetections(
                video_id,
                timestamp_seconds,
                people.boxes_fraction[rows],
                np.ones(rows.stop - rows.start, np.float32)
                if people.person_scores is None
                else people.person_scores[rows],
                people.action_scores[rows],
                action_ids,
                None if people.track_ids is None else people.track_ids[rows],
            )
        )
    return keyframes


def in_columns_of(keyframe: ActionDetections, label_map: LabelMap) -> ActionDetections:
    """The same people with the score columns of ``label_map``, which has all of their actions; 0 where it has more."""
    place = {action_id: column for column, action_id in enumerate(label_map.ids)}
    scores = np.zeros((len(keyframe), len(label_map)), np.float32)
    scores[:, [place[action_id] for action_id in keyframe.action_ids.tolist()]] = keyframe.action_scores
    return replace(keyframe, action_scores=scores, action_ids=np.array(label_map.ids, np.int64))
