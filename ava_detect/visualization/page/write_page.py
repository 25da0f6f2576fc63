"""Results -> a folder with the page to scrub: which files belong together, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from ava_detect.errors import AvaDetectError, ConfigError, FormatError, VideoError, suggestion
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.labels import LabelMap
from ava_detect.run_record import MANIFEST, SUMMARY
from ava_detect.sources import VideoSource, find_videos
from ava_detect.visualization.page.folder import VideoEntry, finish_folder, key_of, start_folder, write_video
from ava_detect.visualization.page.media import (
    MEDIA,
    AnnotatedFile,
    PageVideo,
    Placing,
    differences,
    place_video,
    write_thumbnail,
)
from ava_detect.visualization.page.packing import VideoContent
from ava_detect.visualization.page.people import PeopleTable
from ava_detect.visualization.page.reading import RESULT_SUFFIXES, ResultsFile, name_actions, open_results
from ava_detect.visualization.page.truth import judge

OnProgress = Callable[["VisualizeProgress"], None]


@dataclass(frozen=True)
class VisualizeProgress:
    """Where the work is. ``second``: how far a proxy of the video is; 0 elsewhere."""

    video_id: str
    num_finished: int
    num_videos: int
    second: float = 0.0


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


@dataclass(frozen=True)
class _Found:
    """The results of one video and what is known of its file. ``cuts_seconds``: none where nobody has looked."""

    video_id: str
    file: Path | None
    source: Path | None = None
    annotated: AnnotatedFile = field(default_factory=AnnotatedFile)
    cuts_seconds: tuple[float, ...] = ()
    message: str = ""


def visualize(
    results: str | Path,
    out: str | Path,
    *,
    ground_truth: str | Path | None = None,
    videos: str | Path | None = None,
    label_map: str | Path | None = None,
    min_score: float = 0.1,
    start_seconds: float | None = None,
    placing: str = "link",
    on_progress: OnProgress | None = None,
) -> VisualizeSummary:
    """Write a page that shows results on their videos into the folder ``out``; it opens from disk, without a server.

    ``results``: a folder that ``annotate_videos`` wrote, or one file of results (jsonl, parquet, csv).
    ``ground_truth``: an AVA csv; errors are then marked. ``videos``: a folder with the videos, where they are not where
    they were. ``label_map``: a pbtxt, by default the names in the results. ``min_score``: actions below it are left
    off. ``start_seconds``: where in its movie each file starts, for the csv files; by default what the run was told.
    ``placing``: ``link`` (a hard link where possible, else a copy), ``copy``, or ``refer`` to where the videos are.

    What does not fit (a video that is gone or has changed, ids without a name, nobody found) is a sentence in the
    summary and on the page. Raises ``FormatError`` when ``results`` are none and ``ConfigError`` for a wrong setting.
    """
    if not 0 <= min_score <= 1:
        raise ConfigError(f"--min-score is a score from 0 to 1, got {min_score:g}")
    if placing not in get_args(Placing):
        known = get_args(Placing)
        raise ConfigError(f"--videos-by is {', '.join(known)}, got {placing!r}{suggestion(placing, known)}")
    results, out = Path(results), Path(out)
    found, settings, note = find_results(results)
    start = float(settings.get("start_seconds", 0.0)) if start_seconds is None else start_seconds
    writer = _Writer(
        out,
        None if label_map is None else LabelMap.from_pbtxt(label_map),
        None if ground_truth is None else _read_truth(Path(ground_truth), found),
        [] if videos is None else find_videos([videos]),
        min_score,
        start,
        cast(Placing, placing),
    )
    start_folder(out)
    lines, summaries = [], []
    for index, entry in enumerate(found):

        def tick(second: float = 0.0, entry: _Found = entry, index: int = index) -> None:
            if on_progress is not None:
                on_progress(VisualizeProgress(entry.video_id, index, len(found), second))

        tick()
        line, summary = writer.write(index, entry, tick)
        lines.append(line)
        summaries.append(summary)
    index_file = finish_folder(out, lines, title=results.resolve().name, note=note)
    return VisualizeSummary(index_file, tuple(summaries))


class _Writer:
    """Writes one video after another with the settings that all share."""

    def __init__(
        self,
        out: Path,
        label_map: LabelMap | None,
        truth: AvaTable | None,
        videos: Sequence[VideoSource],
        min_score: float,
        start_seconds: float,
        placing: Placing,
    ) -> None:
        self._out = out
        self._label_map = label_map
        self._truth = truth
        self._videos = videos
        self._min_score = min_score
        self._start_seconds = start_seconds
        self._placing = placing
        self._opened: tuple[Path, ResultsFile] | None = None

    def write(self, index: int, entry: _Found, tick: Callable[[float], None]) -> tuple[dict[str, Any], VideoOnPage]:
        """The video's line in the list, and its part of the summary."""
        notices = [_sentence(entry.message)] if entry.message else []
        content = None if entry.file is None else self._content(entry.file, entry, notices)
        video, has_thumbnail = None, False
        if content is not None:
            video, has_thumbnail = self._video(index, entry, content.people, notices, tick)
        page_entry = VideoEntry(entry.video_id, content, video, notices, has_thumbnail)
        line = write_video(self._out, index, page_entry)
        return line, VideoOnPage(entry.video_id, line["people"], line["boxes"], tuple(notices), video is not None)

    def _content(self, file: Path, entry: _Found, notices: list[str]) -> VideoContent:
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
                "No keyframe of the ground truth is at the time of one of the results: give --start-seconds, the "
                "second of the movie at which the file starts (900 for AVA's trimmed files)."
            )
        return VideoContent(people, label_map, self._min_score, truth, verdicts, cuts)

    def _open(self, file: Path) -> ResultsFile:
        """One file may hold many videos: it is read once."""
        if self._opened is None or self._opened[0] != file:
            self._opened = (file, open_results(file, start_seconds=self._start_seconds))
        return self._opened[1]

    def _video(
        self, index: int, entry: _Found, people: PeopleTable, notices: list[str], tick: Callable[[float], None]
    ) -> tuple[PageVideo | None, bool]:
        """The video beside the page, or None with a notice, and whether there is a picture of it for the list."""
        path = locate(entry.video_id, entry.source, self._videos)
        if path is None:
            was = f"The video {entry.source} is not there any more" if entry.source else "The video was not found"
            notices.append(f"{was}: boxes are shown without a picture; give --videos FOLDER, where it is now.")
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


def locate(video_id: str, source: Path | None, videos: Sequence[VideoSource]) -> Path | None:
    """Where a video is: among ``videos``, by the name of the annotated file or by its id, else where it was."""
    by_name = [video.path for video in videos if source is not None and video.path.name == source.name]
    by_id = [video.path for video in videos if video.video_id == video_id]
    if by_name or by_id:
        return (by_name or by_id)[0]
    return source if source is not None and source.is_file() else None


def find_results(results: Path) -> tuple[list[_Found], dict[str, Any], str]:
    """The videos of a folder or file of results, the settings of the run, and its note; both empty where unknown.

    Raises ``FormatError`` when there are none.
    """
    if results.is_file():
        file = open_results(results)
        if not file.video_ids:
            raise FormatError(f"{results}: the file is empty; give results with at least one keyframe")
        return [_Found(video_id, results) for video_id in file.video_ids], {}, ""
    if not results.is_dir():
        raise FormatError(f"{results}: there is no such folder; give the --out of `ava-detect annotate`")
    found, settings, note = _of_run(results) if (results / MANIFEST).is_file() else (_of_folder(results), {}, "")
    if not found:
        raise FormatError(
            f"{results} holds no results (NAME.jsonl, NAME.parquet or NAME.csv); give the --out of "
            "`ava-detect annotate`, or a file of results"
        )
    return found, settings, note


def _of_run(folder: Path) -> tuple[list[_Found], dict[str, Any], str]:
    """What the manifest of a run lists, and the videos that its summary says have failed."""
    lines = (folder / MANIFEST).read_text(encoding="utf-8").split("\n")
    found: dict[str, _Found] = {}
    try:
        # A line without its newline was cut while it was written.
        head, *records = [json.loads(line) for line in lines[:-1] if line]
        settings = head["settings"]
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8")) if (folder / SUMMARY).is_file() else {}
        for record in (*records, *summary.get("videos", ())):
            if record["video_id"] not in found:
                found[record["video_id"]] = _of_record(folder, record)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{folder / MANIFEST} cannot be read ({type(error).__name__}: {error}); `ava-detect annotate --restart` "
            "writes it anew"
        ) from error
    return list(found.values()), settings, summary.get("note", "")


def _of_record(folder: Path, record: dict[str, Any]) -> _Found:
    video_id, outputs = record["video_id"], record["outputs"]
    names = [name for suffix in RESULT_SUFFIXES for name in outputs if name.endswith(suffix)]
    file = folder / names[0] if names else None
    message = record["message"] or ("" if names else "There are no results of this video.")
    # Earlier versions wrote down neither rate nor length nor cuts.
    annotated = AnnotatedFile(record["source_bytes"], record.get("source_fps", 0.0), record.get("source_seconds", 0.0))
    return _Found(video_id, file, Path(record["source"]), annotated, tuple(record.get("cuts_seconds", ())), message)


def _of_folder(folder: Path) -> list[_Found]:
    """Files that look like results, one per name, the richest format first."""
    chosen: dict[str, Path] = {}
    for suffix in RESULT_SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            chosen.setdefault(path.name.removesuffix(suffix), path)
    found = []
    for _, path in sorted(chosen.items()):
        found += [_Found(video_id, path) for video_id in open_results(path).video_ids]
    return found


def _read_truth(path: Path, found: Sequence[_Found]) -> AvaTable:
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
        "their number; give --label-map with the one that the results were made with."
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
