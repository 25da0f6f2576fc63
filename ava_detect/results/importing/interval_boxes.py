"""Intervals of what people do become labelled boxes: those of the results that the intervals were exported from.

ELAN, BORIS and tables of intervals have no boxes. The results have a box for each person on each keyframe, so a person
on a keyframe does what the intervals of this person say for that moment. The file decides: actions of the results that
it does not have are not kept, and people of the results whom it does not name have no rows, because the file says
nothing about them.

The moment of a keyframe is a sixtieth of a second after its time, as ``MeasuredVideo.frame_at`` has it: a keyframe at
1 s shows the frame of 1.001 s of a 29.97 fps file, on which a tool begins or ends an interval. An interval holds its
start and not its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ava_detect.errors import FormatError, shown
from ava_detect.results.export.action_names import allowed_in_xml, for_xml
from ava_detect.results.importing.labels import LabelledPerson, PersonIntervals, ToolLabels, VideoIntervals
from ava_detect.results.measured_video import HALF_GRID_STEP_SECONDS, MeasuredVideo, measure_video
from ava_detect.results.saved import ReadOptions, SavedResults, read_run
from ava_detect.results.saved_run import SavedRun, SavedVideo, open_run, run_of_manifest
from ava_detect.storage.file_names import file_stems
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import median_spacing
from ava_detect.structures.video_ids import ByVideoId

_WITHOUT_RESULTS = "intervals, which have no boxes: give the results that they belong to (`results`)"
_WITHOUT_VIDEO = "intervals of videos that the results do not have"
_WITHOUT_TRACK = "intervals of people whom the results do not have"
_WITHOUT_BOX = "intervals in which the results have no box of the person"
_UNNAMED = "people of the results whom the file does not name, with their boxes"
# Before the end of a file: the ends of intervals are rounded to milliseconds.
_LAST_MOMENT_SECONDS = 0.001
# "person 3", "Person_3", "track #3", "3".
_PERSON = re.compile(r"(?:(?:person|people|subject|track|id|individual)[\s_#:-]*)?(\d{1,18})", re.IGNORECASE)


def read_options(videos: str | Path | None, label_map: str | Path | None, start_seconds: float | None) -> ReadOptions:
    """Return how results are read by an import.

    Args:
        videos: Folder of the videos, or the output folder of ``annotate_videos``, which holds no videos that have
            moved.
        label_map: A ``.pbtxt`` file; None for the names in the results.
        start_seconds: Time in the movie, in seconds, at which each video file starts; None for the setting of the run.

    Returns:
        The options.
    """
    is_run = videos is not None and run_of_manifest(Path(videos)) is not None
    return ReadOptions(None if is_run else videos, label_map, start_seconds)


def add_boxes(labels: Sequence[ToolLabels], results: str | Path, options: ReadOptions) -> LabelMap | None:
    """Give intervals the boxes of results: add people, empty keyframes and what was dropped to the labels.

    Args:
        labels: The labels of the files; those without intervals stay as they are.
        results: The output folder of ``annotate_videos``, or a file of results.
        options: How the results are read.

    Returns:
        The actions that the results could have had; None where no file has intervals of their videos.

    Raises:
        FormatError: There are no results, a file cannot be read, or a name may be any of several videos; or a video
            file, whose clock is needed, is missing.
        VideoError: A video cannot be decoded.
    """
    if not any(one.intervals for one in labels):
        return None
    run = open_run(Path(results))
    find = _finder(run, options)
    wanted: dict[str, list[tuple[ToolLabels, VideoIntervals]]] = {}
    for one in labels:
        for video in one.intervals:
            video_id = find(video.names)
            if video_id is None:
                one.dropped[_WITHOUT_VIDEO] += _count(video)
            else:
                wanted.setdefault(video_id, []).append((one, video))
    actions: dict[int, Action] = {}
    for saved in _wanted_results(run, options, wanted):
        actions.update((action.id, action) for action in saved.choices)
        measured = measure_video(saved.video(), saved.video_id)
        for one, video in wanted[saved.video_id]:
            one.has_video_ids = True
            _add_video(one, video, saved, measured)
    return LabelMap(tuple(actions[action_id] for action_id in sorted(actions))) if actions else None


def count_boxless(labels: Sequence[ToolLabels]) -> None:
    """Count the intervals as dropped, because there are no results with boxes for them.

    Args:
        labels: The labels of the files.
    """
    for one in labels:
        one.dropped[_WITHOUT_RESULTS] += sum(map(_count, one.intervals))


def _count(video: VideoIntervals) -> int:
    return sum(len(person.actions) for person in video.people.values())


def _wanted_results(run: SavedRun, options: ReadOptions, wanted: Mapping[str, object]) -> Iterator[SavedResults]:
    """Yield the results of the wanted videos, without reading the files of others."""
    videos = tuple(video for video in run.videos if video.video_id in wanted)
    return read_run(SavedRun(videos, run.settings, run.note), options)


class _Finder:
    """Finds the video of the results that a tool means.

    Args:
        spellings: Spelling of a name -> ids of the videos that it may mean; the most telling kind of spelling first.
    """

    def __init__(self, spellings: Sequence[ByVideoId[list[str]]]) -> None:
        self._spellings = spellings

    def __call__(self, names: Iterable[str]) -> str | None:
        """Return the id of the video with one of the names, the most telling first; None where there is none.

        Raises:
            FormatError: Several videos have the name.
        """
        for name in names:
            for known in self._spellings:
                for text in _forms(name):
                    found = known.get(text, [])
                    if len(found) > 1:
                        raise FormatError(
                            f"the name {shown(name)!r} may be any of the videos {', '.join(map(shown, found[:3]))} of "
                            "the results; import with the results of one of them"
                        )
                    if found:
                        return found[0]
        return None


def _finder(run: SavedRun, options: ReadOptions) -> _Finder:
    videos = [video for video in run.videos if video.file is not None]
    stems = file_stems(video.video_id for video in videos)
    moved = {path.video_id: path.path for path in options.moved_videos()}

    def path_of(video: SavedVideo) -> Path | None:
        return moved.get(video.video_id, video.source)

    kinds = (
        lambda video: [str(path.resolve()) for path in (path_of(video), video.source) if path is not None],
        lambda video: [video.video_id, allowed_in_xml(video.video_id), for_xml(video.video_id)],
        lambda video: [stems[video.video_id]],
        lambda video: [path.name for path in (path_of(video), video.source) if path is not None],
        lambda video: [path.stem for path in (path_of(video), video.source) if path is not None],
    )
    tables = []
    for kind in kinds:
        table: ByVideoId[list[str]] = ByVideoId()
        for video in videos:
            for text in dict.fromkeys(kind(video)):
                ids = table.setdefault(text, [])
                if video.video_id not in ids:
                    ids.append(video.video_id)
        tables.append(table)
    return _Finder(tables)


def _forms(name: str) -> list[str]:
    """Return the texts that a tool's name of a video may be known as: the path, the file name, and its stem."""
    path = re.sub(r"^file:/*(?=/)", "", name)
    forms = [name, path, unquote(path)]
    forms += [re.split(r"[/\\]", form)[-1] for form in forms[1:]]
    return [form for form in dict.fromkeys([*forms, *(PurePosixPath(form).stem for form in forms[3:])]) if form]


def _add_video(one: ToolLabels, video: VideoIntervals, saved: SavedResults, measured: MeasuredVideo) -> None:
    """Add the people of one video to the labels of a file."""
    tracks, unknown = _tracks(video.people, saved)
    one.dropped[_WITHOUT_TRACK] += sum(len(person.actions) for person in unknown)
    in_results = {track_id for keyframe in saved.keyframes for track_id in _track_ids(keyframe.track_ids)}
    one.dropped[_UNNAMED] += len(in_results - tracks.keys())
    slack = min(HALF_GRID_STEP_SECONDS, median_spacing(saved.keyframes) / 4)
    hit: set[tuple[int, int]] = set()
    for keyframe in saved.keyframes:
        seconds = keyframe.timestamp_seconds
        moment = seconds + slack
        if seconds <= measured.duration_seconds:  # the intervals end with the file
            moment = min(moment, measured.duration_seconds - _LAST_MOMENT_SECONDS)
        moment = measured.player_seconds(moment)
        track_ids = _track_ids(keyframe.track_ids)
        there = 0
        for track_id, box in zip(track_ids, keyframe.boxes_fraction.tolist(), strict=True):
            person = tracks.get(track_id)
            if person is None or not _is_present(person, moment):
                continue
            there += 1
            now = [i for i, (_, start, end) in enumerate(person.actions) if start <= moment < end]
            hit.update((track_id, i) for i in now)
            names = tuple(dict.fromkeys(person.actions[i][0] for i in now))
            x1, y1, x2, y2 = box
            one.people.append(LabelledPerson(saved.video_id, seconds, (x1, y1, x2, y2), names, str(track_id)))
        if not there and all(track_id in tracks for track_id in track_ids):
            one.empty_keyframes.append((saved.video_id, seconds))
    total = sum(len(person.actions) for person in tracks.values())
    one.dropped[_WITHOUT_BOX] += total - len(hit)


def _tracks(
    people: Mapping[str, PersonIntervals], saved: SavedResults
) -> tuple[dict[int, PersonIntervals], list[PersonIntervals]]:
    """Divide people into those of the results, by track id, and those whom the results do not have."""
    in_results = {track_id for keyframe in saved.keyframes for track_id in _track_ids(keyframe.track_ids)}
    tracks: dict[int, PersonIntervals] = {}
    unknown = []
    for name, person in people.items():
        match = _PERSON.fullmatch(name.strip())
        track_id = None if match is None else int(match[1])
        if track_id is None or track_id not in in_results:
            unknown.append(person)
        elif track_id in tracks:
            tracks[track_id] = _joined(tracks[track_id], person)
        else:
            tracks[track_id] = person
    return tracks, unknown


def _joined(one: PersonIntervals, other: PersonIntervals) -> PersonIntervals:
    """Join the intervals of two names of one person."""
    present = None if one.present is None and other.present is None else [*(one.present or ()), *(other.present or ())]
    return PersonIntervals([*one.actions, *other.actions], present)


def _is_present(person: PersonIntervals, moment: float) -> bool:
    return person.present is None or any(start <= moment < end for start, end in person.present)


def _track_ids(track_ids: object) -> list[int]:
    assert track_ids is not None, "results are linked when they are read"
    return [int(track_id) for track_id in track_ids]  # type: ignore[attr-defined]
