"""Read the saved results of a run: for each video its keyframes with track ids, the label map, and the video file.

Times: a video file may be an excerpt of a movie (AVA's are), and csv files have timestamps relative to the movie.
``start_seconds`` is the time in the movie, in seconds, at which the video file starts.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ava_detect.errors import AvaDetectWarning, ConfigError, FormatError, shown
from ava_detect.formats.json_values import LARGEST_SECONDS
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.recorded_names import ASSUMED_AVA, complete_label_map, recorded_names
from ava_detect.results.results_file import RESULT_SUFFIXES, ResultsFile, name_actions, open_results
from ava_detect.results.saved_run import SavedRun, SavedVideo, open_run, run_of_manifest
from ava_detect.storage.addresses import Address
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.video_ids import composed
from ava_detect.video.sources import LocalVideo, find_videos


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading saved results.

    Attributes:
        videos: The folder that now holds the video files, if they were moved after annotation; None if they were not.
        label_map: A ``.pbtxt`` file with the names of the actions; None for the names in the results.
        start_seconds: Time in the movie, in seconds, at which each video file starts; subtracted from the timestamps of
            csv files. None for the setting of the run.

    Raises:
        ConfigError: ``start_seconds`` is not a time.
    """

    videos: str | Path | None = None
    label_map: str | Path | None = None
    start_seconds: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.start_seconds is not None and not abs(self.start_seconds) <= LARGEST_SECONDS:
            raise ConfigError(f"`start_seconds` is a time in seconds, got {self.start_seconds:g}")

    def given_label_map(self) -> LabelMap | None:
        """Read the label map of the options.

        Returns:
            The label map; None where the option is not set.

        Raises:
            FormatError: The file cannot be read.
        """
        return None if self.label_map is None else LabelMap.from_pbtxt(self.label_map)

    def moved_videos(self) -> list[LocalVideo]:
        """List the video files in the folder ``videos``.

        Returns:
            The video files; empty where the option is not set.

        Raises:
            VideoError: The folder does not exist, or holds no video.
        """
        return [] if self.videos is None else find_videos([self.videos])


@dataclass(frozen=True, eq=False)
class SavedResults:
    """The results of one video.

    Attributes:
        video_id: Id of the video.
        keyframes: The keyframes in time order, with track ids. The columns of their action scores are the actions of
            ``label_map``.
        label_map: The actions of the score columns.
        choices: The actions that the results could have had, those of ``label_map`` included: of the label map that was
            given, of the run's settings, or AVA's where the results have its names.
        source: Path of the video file; None where it is unknown or no longer exists.
        start_seconds: Time in the movie, in seconds, at which the video file starts.
        note: A warning about the results, such as that the weights are untrained; empty where there is none.
        address: Address from which the video was annotated; None for a file of this machine.
        message: Why the results are incomplete; empty where they are complete.
        fps: Frames per second of the video, as recorded when it was annotated; 0 where unknown.
    """

    video_id: str
    keyframes: Sequence[ActionDetections]
    label_map: LabelMap
    choices: LabelMap
    source: Path | None
    start_seconds: float
    note: str = ""
    address: Address | None = None
    message: str = ""
    fps: float = 0.0

    def video(self) -> Path:
        """Return the path of the video file.

        Returns:
            The path.

        Raises:
            FormatError: The path is unknown or the file no longer exists.
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
    """Read the results of all videos in a folder that ``annotate_videos`` wrote, or in one results file.

    Args:
        results: The folder or the results file.
        options: Moved video files, label map and time offset; by default those recorded in the results.
        also_actions: Action ids to add to the label map where the results lack them, such as those of the ground truth.

    Yields:
        The results of each video; videos without results are skipped.

    Raises:
        FormatError: There are no results, or a file cannot be read.
    """
    yield from read_run(open_run(Path(results)), options or ReadOptions(), also_actions=also_actions)


def read_run(
    run: SavedRun, options: ReadOptions, *, also_actions: Iterable[int] = (), only: str | None = None
) -> Iterator[SavedResults]:
    """Read the results of the videos of a run; warn where AVA's names are assumed, because no others are known.

    Args:
        run: The run.
        options: Moved video files, label map and time offset.
        also_actions: Action ids to add to the label map where the results lack them.
        only: Id of the one video that is wanted; None for all.

    Yields:
        The results of each video; videos without results are skipped.

    Raises:
        FormatError: A file cannot be read.
    """
    reader = SavedReader(options, run.note, tuple(also_actions))
    start_seconds = run.start_seconds(options.start_seconds)
    opened: dict[Path, ResultsFile] = {}
    is_told = options.label_map is not None
    for video in run.videos:
        if video.file is None or only not in (None, video.video_id):
            continue
        if video.file not in opened:
            # A file with many videos is read once, as its videos are consecutive; only the last file stays in memory.
            opened = {video.file: open_results(video.file, start_seconds=start_seconds)}
        file = opened[video.file]
        recorded = None
        if file.action_names and not any(file.action_names.values()):
            recorded = recorded_names(video.file)
            if recorded is None and not is_told:
                warnings.warn(f"{shown(video.file)}: {ASSUMED_AVA}", AvaDetectWarning, stacklevel=2)
                is_told = True
        names = None if recorded is None else recorded.label_map
        yield reader.read(video, file, names, complete_label_map(video.file), start_seconds=start_seconds)


class SavedReader:
    """Reads the results of one video after another with the same options.

    Args:
        options: Moved video files and label map.
        note: A warning about all results; empty where there is none.
        also_actions: Action ids to add to the label map where the results lack them.

    Raises:
        FormatError: The label map of the options cannot be read.
        VideoError: Their folder of videos does not exist, or holds no video.
    """

    def __init__(self, options: ReadOptions, note: str = "", also_actions: Sequence[int] = ()) -> None:
        self._note = note
        self._label_map, self._moved_videos = options.given_label_map(), options.moved_videos()
        self._extra_actions = dict.fromkeys(also_actions, "")

    def read(
        self,
        video: SavedVideo,
        file: ResultsFile,
        names: LabelMap | None = None,
        complete: LabelMap | None = None,
        *,
        start_seconds: float = 0.0,
    ) -> SavedResults:
        """Read the results of one video.

        Args:
            video: The video.
            file: The file with its results.
            names: Names of the actions, for a file without any; None where none are known.
            complete: All actions that the results could have had; None where unknown.
            start_seconds: Time in the movie, in seconds, at which the video file starts.

        Returns:
            The results; a label map of the options takes precedence over the names of all others.

        Raises:
            FormatError: The file cannot be read.
        """
        label_map, _ = name_actions({**self._extra_actions, **file.action_names}, self._label_map or names)
        people = file.people(video.video_id, label_map).linked(video.cuts_seconds)
        return SavedResults(
            video.video_id,
            keyframes_of(video.video_id, people, label_map),
            label_map,
            _choices(label_map, self._label_map or complete),
            locate(video.video_id, video.source, self._moved_videos),
            start_seconds,
            self._note or file.note,
            video.address,
            video.message,
            video.annotated.fps,
        )


def _choices(label_map: LabelMap, known: LabelMap | None) -> LabelMap:
    """Return the actions of results and of a label map; without one those of AVA, if the results have its names."""
    actions = {action.id: action for action in label_map}
    if known is None:
        ava = {action.id: action.name for action in LabelMap.ava()}
        known = LabelMap.ava() if all(ava.get(action.id) == action.name for action in label_map) else label_map
    actions = {action.id: action for action in known} | actions
    return LabelMap(tuple(actions[action_id] for action_id in sorted(actions)))


def inputs_of(results: str | Path, options: ReadOptions | None = None) -> dict[str, Sequence[str | Path]]:
    """List the files from which results are read, which no output may replace.

    Args:
        results: The folder or the results file.
        options: Moved video files and label map.

    Returns:
        Files and folders by the names of the parameters that they come from.

    Raises:
        FormatError: The manifest of the results cannot be read.
        VideoError: The folder of the moved videos does not exist, or holds no video.
    """
    options, folder = options or ReadOptions(), Path(results)
    run = run_of_manifest(folder)
    if run is None:
        # All files with the suffix of results may be read as results.
        files = [path for suffix in RESULT_SUFFIXES for path in folder.glob(f"*{suffix}")]
        run = SavedRun(tuple(SavedVideo(path.name, path) for path in files))
    return {
        "results": [results, *(video.file for video in run.videos if video.file is not None)],
        "videos": [
            *(video.path for video in options.moved_videos()),
            *(video.source for video in run.videos if video.source is not None),
        ],
        "label_map": [] if options.label_map is None else [options.label_map],
    }


def keyframes_of(video_id: str, people: PeopleTable, label_map: LabelMap) -> list[ActionDetections]:
    """Split a table of people into keyframes.

    Args:
        video_id: Id of the video.
        people: All people of the video, a row per person and keyframe.
        label_map: The actions of the table's score columns, in their order.

    Returns:
        The keyframes in time order, including those without people. Person scores (detector confidences) are 1 where
        the table has none.
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
    """Return a keyframe whose score columns are the actions of another label map.

    Args:
        keyframe: The keyframe, with N people.
        label_map: C actions, which include all actions of the keyframe.

    Returns:
        A copy with action scores ``[N, C]``; they are 0 for actions that the keyframe did not have.
    """
    column_of_id = {action_id: column for column, action_id in enumerate(label_map.ids)}
    scores = np.zeros((len(keyframe), len(label_map)), np.float32)  # [N, C]
    scores[:, [column_of_id[action_id] for action_id in keyframe.action_ids.tolist()]] = keyframe.action_scores
    return replace(keyframe, action_scores=scores, action_ids=np.array(label_map.ids, np.int64))


def locate(video_id: str, source: Path | None, videos: Sequence[LocalVideo]) -> Path | None:
    """Find the video file of a video, which may have been moved since it was annotated.

    Args:
        video_id: Id of the video.
        source: Path of the video file at the time of annotation; None where unknown.
        videos: The video files in the folder to which they were moved; empty if they were not moved.

    Returns:
        The first of these that exists: the file in ``videos`` with the file name of ``source``, the file in ``videos``
        with the video id, ``source`` itself. None where none exists.
    """
    name = None if source is None else composed(source.name)
    by_name = [video.path for video in videos if composed(video.path.name) == name]
    by_id = [video.path for video in videos if composed(video.video_id) == composed(video_id)]
    if by_name or by_id:
        return (by_name or by_id)[0]
    return source if source is not None and source.is_file() else None
