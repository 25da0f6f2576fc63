"""Writing the result viewer: collects results, videos and ground truth of a run, and reports what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from ava_detect.errors import AvaDetectError, ConfigError, VideoError, counted, suggestion
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.row_checks import check_boxes
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.recorded_names import ASSUMED_AVA, recorded_names
from ava_detect.results.results_file import ResultsFile, name_actions, open_results
from ava_detect.results.saved import ReadOptions, locate
from ava_detect.results.saved_run import SavedRun, SavedVideo, open_run
from ava_detect.storage.file_names import PAGE_MEDIA
from ava_detect.structures.labels import NO_ACTION
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.visualization.page.folder import VideoEntry, finish_folder, key_of, start_folder, write_video
from ava_detect.visualization.page.media import (
    OnTimestamp,
    PageVideo,
    Placing,
    differences,
    place_video,
    write_thumbnail,
)
from ava_detect.visualization.page.packing import VideoContent
from ava_detect.visualization.page.truth import judge


@dataclass(frozen=True)
class VideoOnPage:
    """Summary of one video of the page.

    Attributes:
        video_id: The video's id.
        num_people: Number of tracks.
        num_boxes: Number of boxes; a person counts once per keyframe.
        notices: Sentences for the reader of the page.
        is_whole: Whether the video has both results and a playable file.
    """

    video_id: str
    num_people: int
    num_boxes: int
    notices: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True)
class VisualizeSummary:
    """Summary of a page.

    Attributes:
        index: The file to open in a browser.
        videos: The videos in the order of the run.
    """

    index: Path
    videos: tuple[VideoOnPage, ...]

    @property
    def all_well(self) -> bool:
        """Whether every video has both results and a playable file."""
        return all(video.is_whole for video in self.videos)

    def sentences(self) -> list[str]:
        """List the notices with their videos; one that several videos share is listed once.

        Returns:
            Sentences such as ``walk and 3 others: ...``.
        """
        videos: dict[str, list[str]] = {}
        for video in self.videos:
            for notice in video.notices:
                videos.setdefault(notice, []).append(video.video_id)
        listed = []
        for notice, (first, *others) in videos.items():
            also = f" and {counted(len(others), 'other')}" if others else ""
            listed.append(f"{first}{also}: {notice}")
        return listed


def visualize(
    results: str | Path,
    out: str | Path,
    options: ReadOptions | None = None,
    *,
    ground_truth: str | Path | None = None,
    min_score: float = 0.1,
    placing: str = "link",
    on_progress: OnProgress | None = None,
) -> VisualizeSummary:
    """Write a page that shows results on their videos; it opens in a browser from disk, without a server.

    Problems that do not stop the page (a missing or changed video, action ids without a name, a video without people)
    are reported as sentences in the summary and on the page.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results (jsonl, parquet, csv).
        out: The folder of the page.
        options: How the results are read.
        ground_truth: Path of an AVA csv; right, wrong and missed actions are then marked.
        min_score: Least score of an action that the page shows, 0..1.
        placing: How the page reaches a video file: ``link`` (a hard link, or a copy where the file system has none),
            ``symlink``, ``copy``, or ``refer`` to the file at its own path.
        on_progress: Called for each video before it is written, and with its position while it is transcoded.

    Returns:
        The summary of the page.

    Raises:
        FormatError: There are no results.
        ConfigError: A setting is out of range, or ``out`` holds something else.
        AvaDetectError: The ground truth has none of the videos.
    """
    page_options = PageOptions(options or ReadOptions(), ground_truth, min_score, placing)
    results = Path(results)
    return write_page(open_run(results), Path(out), results.resolve().name, page_options, on_progress)


@dataclass(frozen=True)
class PageOptions:
    """Settings of a page.

    Attributes:
        reading: How the results are read.
        ground_truth: Path of an AVA csv; None for none.
        min_score: Least score of an action that the page shows, 0..1.
        placing: How the page reaches a video file: ``link``, ``symlink``, ``copy`` or ``refer``.

    Raises:
        ConfigError: ``min_score`` or ``placing`` is not allowed.
    """

    reading: ReadOptions = field(default_factory=ReadOptions)
    ground_truth: str | Path | None = None
    min_score: float = 0.1
    placing: str = "link"

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {self.min_score:g}")
        if self.placing not in get_args(Placing):
            known = get_args(Placing)
            raise ConfigError(f"`placing` is {', '.join(known)}, got {self.placing!r}{suggestion(self.placing, known)}")


def write_page(
    run: SavedRun, out: Path, title: str, options: PageOptions, on_progress: OnProgress | None = None
) -> VisualizeSummary:
    """Write the page of a run.

    Args:
        run: The results.
        out: The folder of the page.
        title: Title of the list of videos.
        options: Settings of the page.
        on_progress: Called for each video before it is written, and with its position while it is transcoded.

    Returns:
        The summary of the page.

    Raises:
        FormatError: A file cannot be read.
        ConfigError: ``out`` holds something else.
        AvaDetectError: The ground truth has none of the videos.
    """
    writer = _Writer(out, run, options)
    inputs = {
        "results": [entry.file for entry in run.videos if entry.file is not None],
        "videos": [
            *([] if options.reading.videos is None else [options.reading.videos]),
            *(entry.source for entry in run.videos if entry.source is not None),
        ],
        "label_map": options.reading.label_map,
        "ground_truth": options.ground_truth,
    }
    start_folder(out, inputs)
    listed, summaries = [], []
    for index, entry in enumerate(run.videos):

        def report(second: float = 0.0, entry: SavedVideo = entry, index: int = index) -> None:
            if on_progress is not None:
                on_progress(Progress("videos", index, len(run.videos), entry.video_id, second))

        report()
        list_entry, summary = writer.write(index, entry, report)
        listed.append(list_entry)
        summaries.append(summary)
    return VisualizeSummary(finish_folder(out, listed, title=title, note=run.note), tuple(summaries))


class _Writer:
    """Writes one video of a run after another.

    Args:
        out: The folder of the page.
        run: The results.
        options: Settings of the page.
    """

    def __init__(self, out: Path, run: SavedRun, options: PageOptions) -> None:
        reading = options.reading
        self._out = out
        self._label_map = reading.given_label_map()
        self._videos = reading.moved_videos()
        self._min_score = options.min_score
        self._start_seconds = run.start_seconds(reading.start_seconds)
        truth = self._truth_path = options.ground_truth
        self._truth = None if truth is None else _read_truth(Path(truth), run.videos, self._start_seconds)
        self._placing = cast(Placing, options.placing)
        self._opened: tuple[Path, ResultsFile] | None = None

    def write(self, index: int, entry: SavedVideo, on_timestamp: OnTimestamp) -> tuple[dict[str, Any], VideoOnPage]:
        """Write one video.

        Args:
            index: Index of the video in the run.
            entry: Its results.
            on_timestamp: Called with the time of each transcoded frame, seconds.

        Returns:
            The video's entry in the list of videos, and its summary.
        """
        notices = [_sentence(entry.message)] if entry.message else []
        content = None if entry.file is None else self._content(entry.file, entry, notices)
        video, has_thumbnail = None, False
        if content is not None:
            video, has_thumbnail = self._video(index, entry, content.people, notices, on_timestamp)
        page_entry = VideoEntry(entry.video_id, content, video, notices, has_thumbnail)
        listed = write_video(self._out, index, page_entry)
        return listed, VideoOnPage(entry.video_id, listed["people"], listed["boxes"], tuple(notices), video is not None)

    def _content(self, file: Path, entry: SavedVideo, notices: list[str]) -> VideoContent:
        """Read one video's people and compare them with the ground truth; problems are appended to ``notices``."""
        results, cuts = self._open(file), entry.cuts_seconds
        truth_rows = None if self._truth is None else self._truth.only_videos([entry.video_id])
        names = dict(results.action_names)
        # Actions that only the ground truth has get their default names.
        if truth_rows is not None:
            names = {int(i): "" for i in np.unique(truth_rows.action_ids[truth_rows.action_ids != NO_ACTION])} | names
        given = self._label_map
        if given is None and names and not any(names.values()):
            if (recorded := recorded_names(file, self._truth_path)) is not None:
                given = recorded.label_map
            else:
                notices.append(ASSUMED_AVA)
        label_map, unknown = name_actions(names, given)
        if unknown:
            notices.append(_unknown_ids_notice(unknown, given is not None))
        people = results.people(entry.video_id, label_map).linked(cuts)
        if not len(people):
            notices.append("No person was found in this video.")
        if truth_rows is None:
            return VideoContent(people, label_map, self._min_score, cuts_seconds=cuts)
        if not len(truth_rows):
            notices.append("The ground truth has no rows for this video, so nothing is marked as right or wrong.")
            return VideoContent(people, label_map, self._min_score, cuts_seconds=cuts)
        truth = PeopleTable.from_rows(truth_rows, label_map, start_seconds=self._start_seconds).linked(cuts)
        verdicts = judge(people, truth)
        if len(people) and not verdicts.judged.any():
            notices.append(
                "No keyframe of the ground truth is at the time of one of the results: give `start_seconds`, the "
                "second of the movie at which the file starts (900 for AVA's trimmed files)."
            )
        return VideoContent(people, label_map, self._min_score, truth, verdicts, cuts)

    def _open(self, file: Path) -> ResultsFile:
        """Open a file of results; a file with many videos is read once, as its videos are consecutive."""
        if self._opened is None or self._opened[0] != file:
            self._opened = (file, open_results(file, start_seconds=self._start_seconds))
        return self._opened[1]

    def _video(
        self, index: int, entry: SavedVideo, people: PeopleTable, notices: list[str], on_timestamp: OnTimestamp
    ) -> tuple[PageVideo | None, bool]:
        """Provide the video file and its thumbnail; where there is none return (None, False) and append a notice."""
        path = locate(entry.video_id, entry.source, self._videos)
        if path is None:
            was = f"The video {entry.source} is not there any more" if entry.source else "The video was not found"
            notices.append(f"{was}: boxes are shown without a picture; give the folder where it is now (`videos`).")
            return None, False
        times = people.timestamps_seconds.tolist()
        try:
            video = place_video(path, self._out, key_of(index), self._placing, on_timestamp)
            # The thumbnail shows the keyframe with the most people.
            busiest = times[int(people.counts.argmax())] if len(people) else video.duration_seconds / 2
            write_thumbnail(path, self._out / PAGE_MEDIA / f"{key_of(index)}.jpg", busiest)
        except VideoError as error:
            notices.append(_sentence(f"The video cannot be shown: {error}"))
            return None, False
        notices += differences(path, video, times, people.spacing_seconds, entry.annotated)
        return video, True


def _read_truth(path: Path, videos: Sequence[SavedVideo], start_seconds: float) -> AvaTable:
    """Read the ground truth of the videos; raise ``AvaDetectError`` where it has none of them."""
    table = read_ground_truth(path, start_seconds=start_seconds)
    check_boxes(table, path)
    ids = {entry.video_id for entry in videos}
    if not ids & set(table.video_ids):
        in_truth = ", ".join(table.video_ids[:3]) or "none"
        in_results = ", ".join(sorted(ids)[:3])
        raise AvaDetectError(f"{path}: none of its videos ({in_truth} ...) is among the results ({in_results} ...)")
    return table.only_videos(ids)


def _unknown_ids_notice(unknown: Sequence[int], is_given: bool) -> str:
    """Return a sentence on action ids without a name; ``is_given``: whether the caller gave a label map."""
    listed = ", ".join(map(str, unknown[:8])) + (" ..." if len(unknown) > 8 else "")
    which = "the label map" if is_given else "AVA's label map"
    plural = len(unknown) > 1
    return (
        f"{'Ids' if plural else 'Id'} {listed} {'are' if plural else 'is'} not in {which}: such actions are shown by "
        "their number; give the label map that the results were made with."
    )


def _sentence(text: str) -> str:
    """End with a period. The first letter stays as it is: it may be that of a file's name."""
    return text + ("" if text.endswith((".", "?")) else ".")
