"""Results -> the files that annotation and data set tools import: COCO, CVAT, Label Studio, FiftyOne, VIA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import AvaDetectError, FormatError, suggestion
from ava_detect.results.export.annotated_video import AnnotatedVideo
from ava_detect.results.export.coco import write_coco
from ava_detect.results.export.cvat import write_cvat
from ava_detect.results.export.fiftyone import write_fiftyone
from ava_detect.results.export.label_studio import write_label_studio
from ava_detect.results.export.tubes import write_tubes
from ava_detect.results.export.via import write_via
from ava_detect.results.saved import ReadOptions, SavedResults, read_saved_results
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import ActionTube, action_tubes
from ava_detect.video.reader import VideoReader

Writer = Callable[[Sequence[AnnotatedVideo], Path], list[Path]]
TOOLS: dict[str, Writer] = {
    "coco": write_coco,
    "cvat": write_cvat,
    "label-studio": write_label_studio,
    "fiftyone": write_fiftyone,
    "via": write_via,
}


@dataclass(frozen=True)
class HandOver:
    """What was written: the files, and how many videos, people (tracks), boxes and tubes are in them."""

    files: tuple[Path, ...]
    num_videos: int
    num_tracks: int
    num_boxes: int
    num_tubes: int


def hand_over(
    results: str | Path,
    to: str,
    out: str | Path,
    options: ReadOptions | None = None,
    *,
    min_score: float = 0.5,
) -> HandOver:
    """Write results for another tool into the folder ``out``.

    ``results``, ``options``: see ``read_saved_results``. ``to``: one of ``TOOLS``.
    ``min_score``: an action counts as done from this score on, and a tube needs it at its peak; people stay without
    any. Raises ``FormatError`` for an unknown tool, no results, or a video that is not there: its size and frame times
    are needed.
    """
    if to not in TOOLS:
        raise FormatError(f"`to` is {', '.join(TOOLS)}, got {to!r}{suggestion(to, TOOLS)}")
    if not 0 <= min_score <= 1:
        raise AvaDetectError(f"`min_score` is a score from 0 to 1, got {min_score:g}")
    saved = read_saved_results(results, options)
    annotated = [_annotated(of_video, min_score) for of_video in saved]
    if not annotated:
        raise FormatError(f"{results}: none of its videos has results, so there is nothing to hand over")
    files = TOOLS[to](annotated, Path(out))
    return HandOver(
        tuple(files),
        len(annotated),
        sum(len(video.tracks()) for video in annotated),
        sum(1 for video in annotated for _ in video.sightings()),
        sum(len(video.tubes) for video in annotated),
    )


def _annotated(saved: SavedResults, min_score: float) -> AnnotatedVideo:
    path = saved.video()
    reader = VideoReader(path)
    tubes = tuple(action_tubes(saved.keyframes, min_peak=min_score, min_score=min(0.3, min_score)))
    return AnnotatedVideo(
        saved.video_id,
        path,
        reader.info.width,
        reader.info.height,
        reader.frame_times(),
        saved.label_map,
        saved.keyframes,
        tubes,
        min_score,
    )


def find_tubes(
    results: str | Path,
    file: str | Path,
    options: ReadOptions | None = None,
    *,
    min_peak: float = 0.5,
    min_score: float = 0.3,
    smoothing_seconds: float = 0.6,
) -> int:
    """Write the action tubes of results as ``file`` (.parquet, .csv or .jsonl) and return how many there are.

    The settings are those of ``action_tubes`` and ``read_saved_results``; the network need not run again for others.
    """
    tubes: list[ActionTube] = []
    actions: dict[int, Action] = {}
    for saved in read_saved_results(results, options):
        actions.update((action.id, action) for action in saved.label_map)
        tubes += action_tubes(
            saved.keyframes, min_peak=min_peak, min_score=min_score, smoothing_seconds=smoothing_seconds
        )
    return write_tubes(file, tubes, LabelMap(tuple(actions.values())))
