"""Read saved results back: the videos of a run, their linked keyframes with the label map, and their video files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.errors import FormatError, shown
from ava_detect.results.manifest import VideoRecord, read_manifest, read_summary
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.results_file import RESULT_SUFFIXES, ResultsFile, name_actions, open_results
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.sources import LocalVideo, find_videos


@dataclass(frozen=True)
class AnnotatedFile:
    """The properties of a video's file when it was annotated; 0 where they were not recorded.

    Attributes:
        num_bytes: Size of the file.
        fps: Frame rate.
        seconds: Duration in seconds.
    """

    num_bytes: int = 0
    fps: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class SavedVideo:
    """The results of one video on disk, and the recorded properties of its file.

    Attributes:
        video_id: Id of the video.
        file: Its file of results, of several formats the one that holds most; None where there are no results.
        source: Path of the video as it was annotated; None where unknown.
        annotated: Properties of that file.
        cuts_seconds: Times of its hard cuts, ascending; empty where they were not detected.
        message: Why the results are incomplete; empty where they are complete.
    """

    video_id: str
    file: Path | None
    source: Path | None = None
    annotated: AnnotatedFile = field(default_factory=AnnotatedFile)
    cuts_seconds: tuple[float, ...] = ()
    message: str = ""

    @classmethod
    def from_record(cls, record: VideoRecord, file: Path | None) -> SavedVideo:
        """Build from the record of a run.

        Args:
            record: The outcome of the video.
            file: Its file of results; None where there are no results.

        Returns:
            The video.
        """
        annotated = AnnotatedFile(record.source_bytes, record.source_fps, record.source_seconds)
        message = record.message or ("" if file is not None else "There are no results of this video.")
        return cls(record.video_id, file, Path(record.source), annotated, record.cuts_seconds, message)


@dataclass(frozen=True)
class SavedRun:
    """The videos of a run.

    Attributes:
        videos: Its videos, failed ones included.
        settings: The settings of the run; empty where unknown.
        note: A warning that belongs to the results, such as of untrained weights; empty where there is none.
    """

    videos: tuple[SavedVideo, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def start_seconds(self, given: float | None) -> float:
        """Return the start of each video in its movie.

        Args:
            given: A start that takes precedence; None for that of the run.

        Returns:
            Seconds; 0 where neither is known.
        """
        return float(self.settings.get("start_seconds", 0.0)) if given is None else given


@dataclass(frozen=True)
class ReadOptions:
    """How saved results are read back.

    Attributes:
        videos: A folder with the videos, where they have been moved since they were annotated.
        label_map: A ``.pbtxt`` with the names of the actions; by default the names in the results.
        start_seconds: Start of each video in its movie, for csv files; by default the setting of the run.
    """

    videos: str | Path | None = None
    label_map: str | Path | None = None
    start_seconds: float | None = None

    def given_label_map(self) -> LabelMap | None:
        """Read the label map.

        Returns:
            The label map; None where the option is not set.

        Raises:
            FormatError: The file cannot be read.
        """
        return None if self.label_map is None else LabelMap.from_pbtxt(self.label_map)

    def moved_videos(self) -> list[LocalVideo]:
        """List the videos in the folder ``videos``.

        Returns:
            The videos; none where the option is not set.

        Raises:
            VideoError: The folder does not exist, or holds no video.
        """
        return [] if self.videos is None else find_videos([self.videos])


@dataclass(frozen=True, eq=False)
class SavedResults:
    """The results of one video.

    Attributes:
        video_id: Id of the video.
        keyframes: Its keyframes with track ids, in time order; their score columns are those of ``label_map``.
        label_map: The actions of the results.
        source: The video's file; None where it is unknown or does not exist any more.
        start_seconds: Start of the video in its movie.
        note: A warning that belongs to the results, such as of untrained weights; empty where there is none.
    """

    video_id: str
    keyframes: Sequence[ActionDetections]
    label_map: LabelMap
    source: Path | None
    start_seconds: float
    note: str = ""

    def video(self) -> Path:
        """Return the video's file.

        Returns:
            Its path.

        Raises:
            FormatError: It is unknown or does not exist any more.
        """
        if self.source is None:
            raise FormatError(
                f"{shown(self.video_id)}: its video is not where it was annotated; give the folder where it is now "
                "(`videos`)"
            )
        return self.source


def read_saved_results(
    results: str | Path, options: ReadOptions | None = None, *, also_actions: Iterable[int] = ()
) -> Iterator[SavedResults]:
    """Read the videos of a folder that ``annotate_videos`` wrote, or of one file of results.

    Args:
        results: The folder or the file.
        options: How they are read back; by default as they are.
        also_actions: Action ids that the label map has in addition to those in the results.

    Yields:
        The results of each video, those without results left out.

    Raises:
        FormatError: There are no results, or a file cannot be read.
    """
    options = options or ReadOptions()
    run = open_run(Path(results))
    start = run.start_seconds(options.start_seconds)
    given, moved = options.given_label_map(), options.moved_videos()
    extra_actions = dict.fromkeys(also_actions, "")
    opened: dict[Path, ResultsFile] = {}
    for video in run.videos:
        if video.file is None:
            continue
        if video.file not in opened:
            # One file may hold many videos: it is read once. Only one file is kept in memory.
            opened = {video.file: open_results(video.file, start_seconds=start)}
        file = opened[video.file]
        label_map, _ = name_actions({**extra_actions, **file.action_names}, given)
        people = file.people(video.video_id, label_map).linked(video.cuts_seconds)
        keyframes = keyframes_of(video.video_id, people, label_map)
        source = locate(video.video_id, video.source, moved)
        yield SavedResults(video.video_id, keyframes, label_map, source, start, run.note)


def keyframes_of(video_id: str, people: PeopleTable, label_map: LabelMap) -> list[ActionDetections]:
    """Convert a table of people to keyframes.

    Args:
        video_id: Id of the video.
        people: Its people; ``P`` in all.
        label_map: The actions of the table's score columns.

    Returns:
        A value for each keyframe, in time order, those without people included. Person scores are 1 where the table
        has none.
    """
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


def with_columns_of(keyframe: ActionDetections, label_map: LabelMap) -> ActionDetections:
    """Return the same people with the score columns of another label map.

    Args:
        keyframe: N people.
        label_map: C actions, with all actions of the keyframe among them.

    Returns:
        The keyframe with action scores ``[N, C]``, 0 for actions that it did not have.
    """
    column_of_id = {action_id: column for column, action_id in enumerate(label_map.ids)}
    scores = np.zeros((len(keyframe), len(label_map)), np.float32)  # [N, C]
    scores[:, [column_of_id[action_id] for action_id in keyframe.action_ids.tolist()]] = keyframe.action_scores
    return replace(keyframe, action_scores=scores, action_ids=np.array(label_map.ids, np.int64))


def locate(video_id: str, source: Path | None, videos: Sequence[LocalVideo]) -> Path | None:
    """Find the file of a video.

    Args:
        video_id: Id of the video.
        source: Path of the file as it was annotated; None where unknown.
        videos: The videos in the folder to which they were moved.

    Returns:
        The file among ``videos`` with the name of the annotated file, else the one with the id, else ``source``; None
        where none of these exists.
    """
    by_name = [video.path for video in videos if source is not None and video.path.name == source.name]
    by_id = [video.path for video in videos if video.video_id == video_id]
    if by_name or by_id:
        return (by_name or by_id)[0]
    return source if source is not None and source.is_file() else None


def open_run(results: Path) -> SavedRun:
    """List the videos of a folder or file of results.

    Args:
        results: The output folder of a run, any folder of files of results, or one file.

    Returns:
        The videos, with the settings and the note of the run where it left a manifest.

    Raises:
        FormatError: There are no results, or a file cannot be read.
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
    """List the videos of the manifest, then the failed ones, which only the summary has; None without a manifest."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    note, summary_records = read_summary(folder)
    records = manifest.records | {r.video_id: r for r in summary_records if r.video_id not in manifest.records}
    videos = (SavedVideo.from_record(record, _richest_file(folder, record)) for record in records.values())
    return SavedRun(tuple(videos), manifest.settings, note)


def _richest_file(folder: Path, record: VideoRecord) -> Path | None:
    """Return the output in the format that holds most; ``RESULT_SUFFIXES`` are in this order."""
    names = [name for suffix in RESULT_SUFFIXES for name in record.outputs if name.endswith(suffix)]
    return folder / names[0] if names else None


def _from_files(folder: Path) -> SavedRun:
    """List the videos of all files of results in a folder; of several formats of one name, the one that holds most."""
    chosen: dict[str, Path] = {}
    for suffix in RESULT_SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            chosen.setdefault(path.name.removesuffix(suffix), path)
    videos = [SavedVideo(name, path) for _, path in sorted(chosen.items()) for name in open_results(path).video_ids]
    return SavedRun(tuple(videos))
