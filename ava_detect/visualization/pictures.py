"""Saved results -> pictures: drawn videos, GIFs, contact sheets, and a page of plots, beside ground truth if given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.saved import ReadOptions, SavedResults, in_columns_of, keyframes_of, read_saved_results
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.structures.tubes import action_tubes, usual_spacing
from ava_detect.video.cuts import ShotCounter
from ava_detect.video.reader import VideoReader
from ava_detect.visualization.contact_sheet import write_contact_sheet
from ava_detect.visualization.draw import draw_gif, draw_video
from ava_detect.visualization.plots import PlottedVideo, write_plots

# Players show no more, and every drawn frame costs time and space.
_MAX_DRAWN_FPS = 60.0
PICTURES = ("video", "gif", "contact-sheet", "plots")


@dataclass(frozen=True)
class Pictures:
    """The files that were made, and a sentence for each video whose pictures could not be."""

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
    """Make pictures of results in the folder ``out``. A video whose file is gone or broken does not stop the others.

    ``kinds``: of ``PICTURES``: ``NAME.annotated.mp4``, ``NAME.gif`` and ``NAME.sheet.png`` per video, and one
    ``plots.html``. ``ground_truth``: an AVA csv; right, wrong and missed are then told apart, and the plots have AP and
    precision-recall curves. ``min_score``: the least score that is drawn. The other settings are those of
    ``read_saved_results``. ``on_progress`` is told of each video as its turn comes. Raises ``ConfigError``
    for an unknown kind and ``FormatError`` where there are no results.
    """
    unknown = [kind for kind in kinds if kind not in PICTURES]
    if unknown or not kinds:
        raise ConfigError(f"pictures are {', '.join(PICTURES)}; got {', '.join(unknown) or 'nothing'}")
    out = Path(out)
    truth = None if ground_truth is None else read_ava_csv(ground_truth, last_column="person_id")
    actions: dict[int, Action] = {}
    files: list[Path] = []
    problems: list[str] = []
    saved = list(
        read_saved_results(
            results,
            options,
            also_actions=() if truth is None else np.unique(truth.action_ids[truth.action_ids != 0]).tolist(),
        )
    )
    for index, of_video in enumerate(saved):
        if on_progress is not None:
            on_progress(Progress("videos", index, len(saved), of_video.video_id))
        try:
            files += _of_video(of_video, out, kinds, _truth_of(of_video, truth), min_score)
        except AvaDetectError as error:
            problems.append(str(error))
        actions.update((action.id, action) for action in of_video.label_map)
    if "plots" in kinds:
        everything = LabelMap(tuple(actions[action_id] for action_id in sorted(actions)))
        plotted = [
            PlottedVideo(
                of_video.video_id,
                [in_columns_of(keyframe, everything) for keyframe in of_video.keyframes],
                tuple(action_tubes(of_video.keyframes)),
            )
            for of_video in saved
        ]
        files.append(write_plots(out, plotted, everything, metric=_metric(saved, truth, everything), note=_note(saved)))
    return Pictures(tuple(files), tuple(problems))


def _of_video(
    saved: SavedResults, out: Path, kinds: Sequence[str], truth: list[ActionDetections] | None, min_score: float
) -> Iterator[Path]:
    if "video" in kinds or "gif" in kinds:
        cuts, spacing = _find_cuts(saved.video()), usual_spacing(saved.keyframes)
    if "video" in kinds:
        reader, path = VideoReader(saved.video()), out / f"{saved.video_id}.annotated.mp4"
        draw_video(
            reader,
            saved.keyframes,
            path,
            min(reader.info.average_fps, _MAX_DRAWN_FPS),
            saved.label_map,
            ground_truth=truth,
            min_score=min_score,
            banner=saved.note,
            keyframe_seconds=spacing,
            cuts_seconds=cuts,
        )
        yield path
    if "gif" in kinds:
        path = out / f"{saved.video_id}.gif"
        draw_gif(
            VideoReader(saved.video()),
            saved.keyframes,
            path,
            saved.label_map,
            ground_truth=truth,
            min_score=min_score,
            banner=saved.note,
            keyframe_seconds=spacing,
            cuts_seconds=cuts,
        )
        yield path
    if "contact-sheet" in kinds:
        path = out / f"{saved.video_id}.sheet.png"
        write_contact_sheet(
            saved.video(),
            saved.keyframes,
            path,
            saved.label_map,
            ground_truth=truth or (),
            min_score=min_score,
            banner=saved.note,
        )
        yield path


def _note(saved: Sequence[SavedResults]) -> str:
    return next((of_video.note for of_video in saved), "")


def _find_cuts(path: Path) -> list[float]:
    """When the hard cuts of a video are."""
    shots = ShotCounter()
    for frame in VideoReader(path).decode():
        shots.update(frame.thumbnail(), frame.timestamp_seconds)
    return shots.cuts_seconds


def _truth_of(saved: SavedResults, truth: AvaTable | None) -> list[ActionDetections] | None:
    """The true people of one video as linked keyframes, in the columns of its results."""
    rows = None if truth is None else truth.only_videos([saved.video_id])
    if rows is None or not len(rows):
        return None
    people = PeopleTable.from_rows(rows, saved.label_map, start_seconds=saved.start_seconds).linked()
    return keyframes_of(saved.video_id, people, saved.label_map)


def _metric(saved: Sequence[SavedResults], truth: AvaTable | None, label_map: LabelMap) -> FrameMAP | None:
    if truth is None:
        return None
    metric = FrameMAP(label_map)
    metric.update(ground_truth=truth.only_videos([of_video.video_id for of_video in saved]))
    for of_video in saved:
        rows = AvaTable.from_detections(of_video.keyframes, start_seconds=of_video.start_seconds)
        metric.update(detections=rows)
    return metric
