"""Pictures of saved results: drawn videos, GIFs, contact sheets and plots, with or without ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.formats.row_checks import check_boxes
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.saved import (
    ReadOptions,
    SavedResults,
    inputs_of,
    keyframes_of,
    read_saved_results,
    with_columns_of,
)
from ava_detect.results.saved_run import open_run
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.outputs import begins_with, check_output_folder
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import NO_ACTION, Action, LabelMap
from ava_detect.structures.progress import OnProgress, Progress, report_stage
from ava_detect.structures.tubes import action_tubes, median_spacing
from ava_detect.video.cuts import ShotCounter
from ava_detect.video.reader import VideoReader
from ava_detect.video.reported_frames import reported_frames
from ava_detect.visualization.contact_sheet import write_contact_sheet
from ava_detect.visualization.draw import DrawOptions, draw_gif, draw_video
from ava_detect.visualization.plots import FILE_NAME as PLOTS_FILE
from ava_detect.visualization.plots import PlottedVideo, write_plots

PICTURES = ("video", "gif", "contact-sheet", "plots")
_STARTS = (b"GIF8", b"\x89PNG\r\n", b"\0\0\0")  # of GIFs, PNGs and MP4s, which begin with the size of their first box
_SUFFIXES = {"video": ".annotated.mp4", "gif": ".gif", "contact-sheet": ".sheet.png"}


@dataclass(frozen=True)
class Pictures:
    """The outcome of ``make_pictures``.

    Attributes:
        files: The files that were written.
        problems: A sentence for each video whose pictures could not be made.
    """

    files: tuple[Path, ...]
    problems: tuple[str, ...]


def make_pictures(
    results: str | Path,
    out: str | Path,
    kinds: Sequence[str],
    options: ReadOptions | None = None,
    *,
    ground_truth: str | Path | None = None,
    min_score: float = 0.3,
    on_progress: OnProgress | None = None,
) -> Pictures:
    """Make pictures of saved results; a video whose file is missing or damaged does not stop the others.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results.
        out: The folder for the pictures.
        kinds: Kinds of pictures, from ``PICTURES``: ``NAME.annotated.mp4``, ``NAME.gif`` and ``NAME.sheet.png`` for
            each video, and one ``plots.html``.
        options: How the results are read.
        ground_truth: Path of an AVA csv. Right, wrong and missed actions are then marked, and the plots show AP and
            precision-recall curves.
        min_score: Least score of a drawn action, 0..1.
        on_progress: Called for each video before its pictures are made.

    Returns:
        The files and the problems.

    Raises:
        ConfigError: A kind is unknown, or none is given.
        FormatError: There are no results.
    """
    unknown = [kind for kind in kinds if kind not in PICTURES]
    if unknown or not kinds:
        raise ConfigError(f"pictures are {', '.join(PICTURES)}; got {', '.join(unknown) or 'nothing'}")
    out, inputs = Path(out), inputs_of(results, options)
    truth = None
    if ground_truth is not None:
        start_seconds = open_run(Path(results)).start_seconds(None if options is None else options.start_seconds)
        truth = read_ground_truth(ground_truth, start_seconds=start_seconds)
        check_boxes(truth, ground_truth)
    # The label maps also get the actions that only the ground truth has.
    truth_actions = () if truth is None else np.unique(truth.action_ids[truth.action_ids != NO_ACTION]).tolist()
    saved_videos = list(read_saved_results(results, options, also_actions=truth_actions))
    files: list[Path] = []
    problems: list[str] = []
    stems = file_stems(saved.video_id for saved in saved_videos)
    suffixes = [suffix for kind, suffix in _SUFFIXES.items() if kind in kinds]
    names = [f"{stem}{suffix}" for stem in stems.values() for suffix in suffixes]
    inputs |= {} if ground_truth is None else {"ground_truth": [ground_truth]}
    check_output_folder(out, names, inputs, is_own=begins_with(*_STARTS), overwrite=None)
    if "plots" in kinds:
        check_output_folder(out, [PLOTS_FILE], inputs, is_own=begins_with(b"<!DOCTYPE html>"), overwrite=None)
    for index, saved in enumerate(saved_videos):

        def report(
            second: float = 0.0, duration: float | None = None, video_id: str = saved.video_id, index: int = index
        ) -> None:
            if on_progress is not None:
                on_progress(Progress("videos", index, len(saved_videos), video_id, second, duration))

        report()
        try:
            files += _write_video_pictures(saved, out / stems[saved.video_id], kinds, truth, min_score, report)
        except AvaDetectError as error:
            problems.append(str(error))
    if "plots" in kinds:
        report_stage(on_progress, "drawing plots")
        files.append(_write_plots(saved_videos, out, truth))
    return Pictures(tuple(files), tuple(problems))


def _write_video_pictures(
    saved: SavedResults,
    stem: Path,
    kinds: Sequence[str],
    truth: AvaTable | None,
    min_score: float,
    report: Callable[[float, float | None], None],
) -> Iterator[Path]:
    """Write the pictures of one video as ``STEM.*``; yields each path once its file is complete."""
    paths = {kind: stem.with_name(f"{stem.name}{suffix}") for kind, suffix in _SUFFIXES.items()}
    options = DrawOptions(ground_truth=_truth_keyframes(saved, truth), min_score=min_score, banner=saved.note)
    if "video" in kinds or "gif" in kinds:
        # Finding the cuts decodes the whole video, which a contact sheet does not need.
        spacing, cuts = median_spacing(saved.keyframes), _find_cuts(saved.video())
        options = replace(options, keyframe_seconds=spacing, cuts_seconds=cuts)
    if "video" in kinds:
        reader, path = VideoReader(saved.video()), paths["video"]
        draw_video(
            reported_frames(reader, report), saved.keyframes, path, reader.info.average_fps, saved.label_map, options
        )
        yield path
    if "gif" in kinds:
        path = paths["gif"]
        draw_gif(reported_frames(VideoReader(saved.video()), report), saved.keyframes, path, saved.label_map, options)
        yield path
    if "contact-sheet" in kinds:
        path = paths["contact-sheet"]
        write_contact_sheet(saved.video(), saved.keyframes, path, saved.label_map, options)
        yield path


def _find_cuts(path: Path) -> list[float]:
    """Return the times of a video's hard cuts, seconds."""
    shots = ShotCounter()
    for frame in VideoReader(path).decode():
        shots.update(frame.thumbnail(), frame.timestamp_seconds)
    return shots.cuts_seconds


def _truth_keyframes(saved: SavedResults, truth: AvaTable | None) -> Sequence[ActionDetections]:
    """Return the true people of one video as linked keyframes, in the score columns of its results."""
    rows = None if truth is None else truth.only_videos([saved.video_id])
    if rows is None or not len(rows):
        return ()
    people = PeopleTable.from_rows(rows, saved.label_map, start_seconds=saved.start_seconds).linked()
    return keyframes_of(saved.video_id, people, saved.label_map)


def _write_plots(saved_videos: Sequence[SavedResults], out: Path, truth: AvaTable | None) -> Path:
    """Write the page of plots of all videos, with one label map that has the actions of all."""
    actions: dict[int, Action] = {action.id: action for saved in saved_videos for action in saved.label_map}
    label_map = LabelMap(tuple(actions[action_id] for action_id in sorted(actions)))
    plotted = [
        PlottedVideo(
            saved.video_id,
            [with_columns_of(keyframe, label_map) for keyframe in saved.keyframes],
            tuple(action_tubes(saved.keyframes)),
        )
        for saved in saved_videos
    ]
    note = next((saved.note for saved in saved_videos), "")
    return write_plots(out, plotted, label_map, metric=_metric(saved_videos, truth, label_map), note=note)


def _metric(saved_videos: Sequence[SavedResults], truth: AvaTable | None, label_map: LabelMap) -> FrameMAP | None:
    """Return frame-mAP filled with the ground truth and the results; None without ground truth."""
    if truth is None:
        return None
    metric = FrameMAP(label_map)
    metric.update(ground_truth=truth.only_videos([saved.video_id for saved in saved_videos]))
    for saved in saved_videos:
        rows = AvaTable.from_detections(saved.keyframes, start_seconds=saved.start_seconds)
        metric.update(detections=rows)
    return metric
