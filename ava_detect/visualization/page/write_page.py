"""Results -> a folder with the page to scrub: which files belong together, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from ava_detect.errors import AvaDetectError, ConfigError, VideoError, suggestion
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.results_file import ResultsFile, name_actions, open_results
from ava_detect.results.saved import ReadOptions, SavedRun, SavedVideo, locate, open_run
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.visualization.page.folder import VideoEntry, finish_folder, key_of, start_folder, write_video
from ava_detect.visualization.page.media import (
    MEDIA,
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
    """One video of the page. ``notices``: sentences for its reader. ``is_whole``: it has results and a picture."""

    video_id: str
    num_people: int
    num_boxes: int
    notices: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True)
class VisualizeSummary:
    """What was written. ``index``: the file to open in a browser."""

    index: Path
    videos: tuple[VideoOnPage, ...]

    @property
    def all_well(self) -> bool:
        """Whether every video has results and a picture."""
        return all(video.is_whole for video in self.videos)


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
    """Write a page that shows results on their videos into the folder ``out``; it opens from disk, without a server.

    What does not fit (a video that is gone or has changed, ids without a name, nobody found) is a sentence in the
    summary and on the page.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results (jsonl, parquet, csv).
        out: The folder of the page.
        options: Where the videos are now, the actions' names, and where in its movie each file starts.
        ground_truth: An AVA csv; errors are then marked.
        min_score: Actions with a lower score, in 0..1, are left off the page.
        placing: How a video gets beside the page: ``link`` (a hard link where possible, else a copy), ``copy``, or
            ``refer`` to where it is.
        on_progress: Told of every video as its turn comes, and of seconds copied.

    Raises:
        FormatError: ``results`` are none.
        ConfigError: A setting is wrong.
    """
    page_options = PageOptions(options or ReadOptions(), ground_truth, min_score, placing)
    results = Path(results)
    return write_page(open_run(results), Path(out), results.resolve().name, page_options, on_progress)


@dataclass(frozen=True)
class PageOptions:
    """How a page is written; see ``visualize``."""

    reading: ReadOptions = field(default_factory=ReadOptions)
    ground_truth: str | Path | None = None
    min_score: float = 0.1
    placing: str = "link"

    def __post_init__(self) -> None:
        """Check what costs no work."""
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"`min_score` is a score from 0 to 1, got {self.min_score:g}")
        if self.placing not in get_args(Placing):
            known = get_args(Placing)
            raise ConfigError(f"`placing` is {', '.join(known)}, got {self.placing!r}{suggestion(self.placing, known)}")


def write_page(
    run: SavedRun, out: Path, title: str, options: PageOptions, on_progress: OnProgress | None = None
) -> VisualizeSummary:
    """Write the page of a run into the folder ``out``; ``title``: of the list of its videos."""
    writer = _Writer(out, run, options)
    start_folder(out)
    lines, summaries = [], []
    for index, entry in enumerate(run.videos):

        def report(second: float = 0.0, entry: SavedVideo = entry, index: int = index) -> None:
            if on_progress is not None:
                on_progress(Progress("videos", index, len(run.videos), entry.video_id, second))

        report()
        line, summary = writer.write(index, entry, report)
        lines.append(line)
        summaries.append(summary)
    return VisualizeSummary(finish_folder(out, lines, title=title, note=run.note), tuple(summaries))


class _Writer:
    """Writes one video after another with the settings that all share."""

    def __init__(self, out: Path, run: SavedRun, options: PageOptions) -> None:
        reading = options.reading
        self._out = out
        self._label_map = reading.given_label_map()
        self._truth = None if options.ground_truth is None else _read_truth(Path(options.ground_truth), run.videos)
        self._videos = reading.moved_videos()
        self._min_score = options.min_score
        self._start_seconds = run.start_seconds(reading.start_seconds)
        self._placing = cast(Placing, options.placing)
        self._opened: tuple[Path, ResultsFile] | None = None

    def write(self, index: int, entry: SavedVideo, tick: Callable[[float], None]) -> tuple[dict[str, Any], VideoOnPage]:
        """The video's line in the list, and its part of the summary."""
        notices = [_sentence(entry.message)] if entry.message else []
        content = None if entry.file is None else self._content(entry.file, entry, notices)
        video, has_thumbnail = None, False
        if content is not None:
            video, has_thumbnail = self._video(index, entry, content.people, notices, tick)
        page_entry = VideoEntry(entry.video_id, content, video, notices, has_thumbnail)
        line = write_video(self._out, index, page_entry)
        return line, VideoOnPage(entry.video_id, line["people"], line["boxes"], tuple(notices), video is not None)

    def _content(self, file: Path, entry: SavedVideo, notices: list[str]) -> VideoContent:
        """Everything about one video's people; adds what is to be said of it to ``notices``."""
        results, cuts = self._open(file), entry.cuts_seconds
        truth_rows = None if self._truth is None else self._truth.only_videos([entry.video_id])
        names = dict(results.action_names)
        if truth_rows is not None:
            names = {int(i): "" for i in np.unique(truth_rows.action_ids[truth_rows.action_ids != 0])} | names
        label_map, unknown = name_actions(names, self._label_map)
        if unknown:
            notices.append(_unknown_ids(unknown, self._label_map is not None))
        people = results.people(entry.video_id, label_map).linked(cuts)
        if not len(people):
            notices.append("Nobody was found in this video.")
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
        """One file may hold many videos: it is read once."""
        if self._opened is None or self._opened[0] != file:
            self._opened = (file, open_results(file, start_seconds=self._start_seconds))
        return self._opened[1]

    def _video(
        self, index: int, entry: SavedVideo, people: PeopleTable, notices: list[str], tick: Callable[[float], None]
    ) -> tuple[PageVideo | None, bool]:
        """The video beside the page, or None with a notice, and whether there is a picture of it for the list."""
        path = locate(entry.video_id, entry.source, self._videos)
        if path is None:
            was = f"The video {entry.source} is not there any more" if entry.source else "The video was not found"
            notices.append(f"{was}: boxes are shown without a picture; give the folder where it is now (`videos`).")
            return None, False
        times = people.timestamps_seconds.tolist()
        try:
            video = place_video(path, self._out, key_of(index), self._placing, tick)
            counts = people.counts
            moment = times[int(counts.argmax())] if len(people) else video.duration_seconds / 2
            write_thumbnail(path, self._out / MEDIA / f"{key_of(index)}.jpg", moment)
        except VideoError as error:
            notices.append(_sentence(f"The video cannot be shown: {error}"))
            return None, False
        notices += differences(path, video, times, people.spacing_seconds, entry.annotated)
        return video, True


def _read_truth(path: Path, found: Sequence[SavedVideo]) -> AvaTable:
    """The ground truth of the videos; ``AvaDetectError`` where it has none of them."""
    table = read_ava_csv(path, last_column="person_id")
    ids = {entry.video_id for entry in found}
    if not ids & set(table.video_ids):
        theirs = ", ".join(table.video_ids[:3]) or "none"
        ours = ", ".join(sorted(ids)[:3])
        raise AvaDetectError(f"{path}: none of its videos ({theirs} ...) is among the results ({ours} ...)")
    return table.only_videos(ids)


def _unknown_ids(unknown: Sequence[int], is_given: bool) -> str:
    listed = ", ".join(map(str, unknown[:8])) + (" ..." if len(unknown) > 8 else "")
    which = "the label map" if is_given else "AVA's label map"
    plural = len(unknown) > 1
    return (
        f"{'Ids' if plural else 'Id'} {listed} {'are' if plural else 'is'} not in {which}: such actions are shown by "
        "their number; give the label map that the results were made with (`label_map`)."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
