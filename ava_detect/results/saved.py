"""Results on disk, read back for whatever is made of them later: linked keyframes, their label map, and the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.errors import FormatError
from ava_detect.results.manifest import VideoRecord, read_manifest, read_summary
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.results_file import RESULT_SUFFIXES, ResultsFile, name_actions, open_results
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import LocalVideo, find_videos


@dataclass(frozen=True)
class AnnotatedFile:
    """What a run has written down of a video's file; 0 where it has not."""

    num_bytes: int = 0
    fps: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class SavedVideo:
    """The results of one video on disk, and what is known of its file.

    Attributes:
        video_id: The video's name.
        file: The richest file of its results; None where there are none.
        source: The video as it was annotated; None where unknown.
        annotated: What that file was like.
        cuts_seconds: When its hard cuts are; empty where nobody has looked for them.
        message: Why the results are incomplete; empty where they are not.
    """

    video_id: str
    file: Path | None
    source: Path | None = None
    annotated: AnnotatedFile = field(default_factory=AnnotatedFile)
    cuts_seconds: tuple[float, ...] = ()
    message: str = ""

    @classmethod
    def from_record(cls, record: VideoRecord, file: Path | None) -> SavedVideo:
        """What a run's record says of a video whose results are in ``file``."""
        annotated = AnnotatedFile(record.source_bytes, record.source_fps, record.source_seconds)
        message = record.message or ("" if file is not None else "There are no results of this video.")
        return cls(record.video_id, file, Path(record.source), annotated, record.cuts_seconds, message)


@dataclass(frozen=True)
class SavedRun:
    """The videos of a run, its settings, and its note; both empty where unknown."""

    videos: tuple[SavedVideo, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def start_seconds(self, given: float | None) -> float:
        """Where in its movie each file starts: as given, else as the run was told."""
        return float(self.settings.get("start_seconds", 0.0)) if given is None else given


@dataclass(frozen=True)
class ReadOptions:
    """How saved results are read back.

    Attributes:
        videos: A folder with the videos, where they are not where they were annotated.
        label_map: A pbtxt with the actions' names; by default the names in the results.
        start_seconds: Where in its movie each file starts, for csv files; by default what the run was told.
    """

    videos: str | Path | None = None
    label_map: str | Path | None = None
    start_seconds: float | None = None

    def given_label_map(self) -> LabelMap | None:
        """The label map that was named; None where none was."""
        return None if self.label_map is None else LabelMap.from_pbtxt(self.label_map)

    def moved_videos(self) -> list[LocalVideo]:
        """The videos in the folder that was named."""
        return [] if self.videos is None else find_videos([self.videos])


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
                f"{self.video_id}: its video is not where it was annotated; give the folder where it is now (`videos`)"
            )
        return self.source


def read_saved_results(
    results: str | Path, options: ReadOptions | None = None, *, also_actions: Iterable[int] = ()
) -> Iterator[SavedResults]:
    """The videos of a folder that ``annotate_videos`` wrote, or of one file of results, those without results left out.

    Args:
        results: The folder or the file.
        options: How they are read back.
        also_actions: Action ids that the label map is to have even where the results lack them.

    Raises:
        FormatError: There are no results.
    """
    options = options or ReadOptions()
    run = open_run(Path(results))
    start = run.start_seconds(options.start_seconds)
    given, moved = options.given_label_map(), options.moved_videos()
    wanted = tuple(also_actions)
    opened: dict[Path, ResultsFile] = {}
    for entry in run.videos:
        if entry.file is None:
            continue
        if entry.file not in opened:
            # One file may hold many videos: it is read once, and the one before it is let go.
            opened = {entry.file: open_results(entry.file, start_seconds=start)}
        file = opened[entry.file]
        names, _ = name_actions({**dict.fromkeys(wanted, ""), **file.action_names}, given)
        people = file.people(entry.video_id, names).linked(entry.cuts_seconds)
        keyframes = keyframes_of(entry.video_id, people, names)
        yield SavedResults(
            entry.video_id, keyframes, names, locate(entry.video_id, entry.source, moved), start, run.note
        )


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


def locate(video_id: str, source: Path | None, videos: Sequence[LocalVideo]) -> Path | None:
    """Where a video is: among ``videos``, by the name of the annotated file or by its id, else where it was."""
    by_name = [video.path for video in videos if source is not None and video.path.name == source.name]
    by_id = [video.path for video in videos if video.video_id == video_id]
    if by_name or by_id:
        return (by_name or by_id)[0]
    return source if source is not None and source.is_file() else None


def open_run(results: Path) -> SavedRun:
    """Find the videos of a folder or file of results.

    Raises:
        FormatError: There are none, or the manifest cannot be read.
    """
    if results.is_file():
        file = open_results(results)
        if not file.video_ids:
            raise FormatError(f"{results}: the file is empty; give results with at least one keyframe")
        return SavedRun(tuple(SavedVideo(video_id, results) for video_id in file.video_ids))
    if not results.is_dir():
        raise FormatError(f"{results}: there is no such folder; give the output folder of `ava-detect annotate`")
    run = _from_manifest(results) or _from_files(results)
    if not run.videos:
        raise FormatError(
            f"{results} holds no results (NAME.jsonl, NAME.parquet or NAME.csv); give the output folder of "
            "`ava-detect annotate`, or a file of results"
        )
    return run


def _from_manifest(folder: Path) -> SavedRun | None:
    """What the manifest of a run lists, and the videos that its summary says have failed; None without a manifest."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    note, summarised = read_summary(folder)
    records = manifest.records | {r.video_id: r for r in summarised if r.video_id not in manifest.records}
    videos = (SavedVideo.from_record(record, _richest(folder, record)) for record in records.values())
    return SavedRun(tuple(videos), manifest.settings, note)


def _richest(folder: Path, record: VideoRecord) -> Path | None:
    names = [name for suffix in RESULT_SUFFIXES for name in record.outputs if name.endswith(suffix)]
    return folder / names[0] if names else None


def _from_files(folder: Path) -> SavedRun:
    """Files that look like results, one per name, the richest format first."""
    chosen: dict[str, Path] = {}
    for suffix in RESULT_SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            chosen.setdefault(path.name.removesuffix(suffix), path)
    videos = [SavedVideo(name, path) for _, path in sorted(chosen.items()) for name in open_results(path).video_ids]
    return SavedRun(tuple(videos))
