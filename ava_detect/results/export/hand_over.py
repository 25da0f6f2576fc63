"""Export saved results to annotation and dataset tools: COCO, CVAT, Label Studio, VIA, ELAN and others; and tubes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import AvaDetectError, ConfigError, FormatError, suggestion
from ava_detect.results.export import boris, coco, intervals, via, written_files
from ava_detect.results.export.annotated_video import AnnotatedVideo
from ava_detect.results.export.boris import write_boris
from ava_detect.results.export.coco import image_names, write_coco, write_images
from ava_detect.results.export.cvat import LABELS_FILE, write_cvat
from ava_detect.results.export.elan import write_elan
from ava_detect.results.export.fiftyone import MANIFEST_FILE, write_fiftyone
from ava_detect.results.export.intervals import write_intervals
from ava_detect.results.export.label_studio import CONFIG_FILE, TASKS_FILE, storage_note, write_label_studio
from ava_detect.results.export.srt import write_srt
from ava_detect.results.export.tubes import is_tubes_file, write_tubes
from ava_detect.results.export.via import write_via
from ava_detect.results.export.written_files import RECORD_FILE, record_files, unchanged_in
from ava_detect.results.measured_video import measure_video
from ava_detect.results.saved import ReadOptions, SavedResults, inputs_of, read_saved_results
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.outputs import begins_with, check_output, check_output_folder
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.progress import OnProgress, Progress, report_stage
from ava_detect.structures.tubes import ActionTube, action_tubes

Writer = Callable[[Sequence[AnnotatedVideo], Path], list[Path]]
TOOLS: dict[str, Writer] = {
    "coco": write_coco,
    "cvat": write_cvat,
    "label-studio": write_label_studio,
    "fiftyone": write_fiftyone,
    "via": write_via,
    "elan": write_elan,
    "boris": write_boris,
    "intervals": write_intervals,
    "srt": write_srt,
}

_FILE_NAMES: dict[str, tuple[str, ...]] = {
    "coco": (coco.FILE_NAME,),
    "cvat": (LABELS_FILE,),
    "label-studio": (TASKS_FILE, CONFIG_FILE),
    "fiftyone": (MANIFEST_FILE,),
    "via": (via.FILE_NAME,),
    "elan": (RECORD_FILE,),
    "boris": (boris.PROJECT_FILE, RECORD_FILE),
    "intervals": (intervals.FILE_NAME, RECORD_FILE),
    "srt": (RECORD_FILE,),
}
# The names of the files of each video; {} is the name of the video.
_VIDEO_FILE_NAMES = {
    "cvat": "{}.xml",
    "fiftyone": "labels/{}.json",
    "elan": "{}.eaf",
    "boris": "{}.tsv",
    "srt": "{}.srt",
}
# Programs save their files, and people edit theirs, with the same beginning: these are known by their checksums.
_RECORDED = ("elan", "boris", "intervals", "srt")
# How the files begin that the writers write. The tools begin theirs otherwise, and people's corrections are in those.
_STARTS = (
    b'{"info": {"description": "People and their actions, found by ava_detect"',
    b'[\n  {\n    "name": "person",',
    b"<?xml version='1.0' encoding='utf-8'?>\n<annotations>",
    b'[\n {\n  "data": {\n   "video": ',
    b"<View>",
    b'{\n  "type": "eta.core.datasets.LabeledVideoDataset"',
    b'{"filename": ',
    b'{"project": {"pid": "__VIA_PROJECT_ID__"',
    coco.IMAGE_START,
)


@dataclass(frozen=True)
class HandOver:
    """The files of an export and the numbers of things in them.

    Attributes:
        files: The files that were written.
        num_videos: Number of videos.
        num_tracks: Number of people (tracks).
        num_boxes: Number of boxes; a person has one per keyframe.
        num_tubes: Number of action tubes.
        note: What the tool needs to find the videos, a clause; empty where it needs nothing.
    """

    files: tuple[Path, ...]
    num_videos: int
    num_tracks: int
    num_boxes: int
    num_tubes: int
    note: str = ""


def hand_over(
    results: str | Path,
    to: str,
    out: str | Path,
    options: ReadOptions | None = None,
    *,
    min_score: float = 0.5,
    images: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> HandOver:
    """Export saved results to the files of another tool.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results.
        to: The tool, one of ``TOOLS``.
        out: The folder to write to.
        options: How the results are read back.
        min_score: Least score of an action, and least peak score of a tube, 0..1. People without any action are
            exported, too.
        images: Write the frames of the keyframes as JPEG images, too; for ``coco``.
        overwrite: Whether files of the same names that are not from an earlier export are replaced.
        on_progress: Told of each video that is read.

    Returns:
        The files and the numbers of things in them.

    Raises:
        FormatError: The tool is unknown, there are no results, or a video's file, whose size and frame times are
            needed, is missing.
        ConfigError: A file of the export is one of the inputs, or exists and is not from an earlier export; or
            ``images`` is given for a tool that reads the videos.
        AvaDetectError: ``min_score`` is out of range.
        VideoError: A video cannot be opened.
    """
    if to not in TOOLS:
        raise FormatError(f"`to` is {', '.join(TOOLS)}, got {to!r}{suggestion(to, TOOLS)}")
    if images and to != "coco":
        raise ConfigError(f"`images` is for `to=coco`; {to} shows the videos themselves")
    if not 0 <= min_score <= 1:
        raise AvaDetectError(f"`min_score` is a score from 0 to 1, got {min_score:g}")
    saved = _reported(read_saved_results(results, options), on_progress)
    annotated = [_annotated(video_results, min_score) for video_results in saved]
    report_stage(on_progress, "writing the files")
    if not annotated:
        raise FormatError(f"{results}: none of its videos has results, so there is nothing to hand over")
    names = _names_of(to, [video.video_id for video in annotated])
    names += image_names(annotated) if images else []
    inputs = inputs_of(results, options)
    is_own = _unchanged(Path(out)) if to in _RECORDED else begins_with(*_STARTS)
    check_output_folder(out, names, inputs, is_own=is_own, overwrite=overwrite)
    files = TOOLS[to](annotated, Path(out))
    if to in _RECORDED:
        record_files(Path(out), files)
    if images:
        files += write_images(annotated, Path(out))
    return HandOver(
        tuple(files),
        len(annotated),
        sum(len(video.tracks()) for video in annotated),
        sum(1 for video in annotated for _ in video.sightings()),
        sum(len(video.tubes) for video in annotated),
        storage_note(annotated) if to == "label-studio" else "",
    )


def _reported(saved: Iterator[SavedResults], on_progress: OnProgress | None) -> Iterator[SavedResults]:
    """The results of one video after another, with a report on each."""
    for number, video_results in enumerate(saved):
        if on_progress is not None:
            on_progress(Progress("videos", number, None, video_results.video_id))
        yield video_results


def _names_of(to: str, video_ids: Sequence[str]) -> list[str]:
    """Return the names of the files that a tool's writer will write."""
    stems = file_stems(video_ids).values() if to in _VIDEO_FILE_NAMES else ()
    return [*_FILE_NAMES.get(to, ()), *(_VIDEO_FILE_NAMES[to].format(stem) for stem in stems)]


def _unchanged(folder: Path) -> Callable[[Path], bool]:
    """Return an ``is_own`` of files that are as an export wrote them, and of their record."""
    is_unchanged, is_record = unchanged_in(folder), begins_with(written_files.START)
    return lambda path: is_record(path) if path.name == RECORD_FILE else is_unchanged(path)


def _annotated(saved: SavedResults, min_score: float) -> AnnotatedVideo:
    """Add size, clock and frame times of the video's file, and the action tubes, to saved results."""
    path = saved.video()
    tubes = tuple(action_tubes(saved.keyframes, min_peak=min_score, min_score=min(0.3, min_score)))
    return AnnotatedVideo(
        **vars(measure_video(path, saved.video_id)),
        label_map=saved.choices,
        keyframes=saved.keyframes,
        tubes=tubes,
        min_score=min_score,
    )


def find_tubes(
    results: str | Path,
    file: str | Path,
    options: ReadOptions | None = None,
    *,
    min_peak: float = 0.5,
    min_score: float = 0.3,
    smoothing_seconds: float = 0.6,
    overwrite: bool = True,
    on_progress: OnProgress | None = None,
) -> int:
    """Find the action tubes of saved results and write them to a file; the network need not run again.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results.
        file: A ``.parquet``, ``.csv`` or ``.jsonl`` file; csv where it is a pipe or ``-``, the standard output.
        options: How the results are read back.
        min_peak: Least peak score of a tube, ``min_score``..1.
        min_score: Score, 0..1, that a tube has throughout.
        smoothing_seconds: Standard deviation of the Gaussian that smooths scores over time; 0 for none.
        overwrite: Whether an existing ``file`` that holds something other than tubes is replaced.
        on_progress: Told of each video that is read.

    Returns:
        Number of tubes.

    Raises:
        FormatError: There are no results, or the suffix of ``file`` is another one.
        ConfigError: ``file`` is one of the results, or another file already.
        AvaDetectError: A setting is out of range.
    """
    check_output(file, inputs_of(results, options), is_own=is_tubes_file, overwrite=overwrite)
    tubes: list[ActionTube] = []
    actions: dict[int, Action] = {}
    for saved in _reported(read_saved_results(results, options), on_progress):
        actions.update((action.id, action) for action in saved.label_map)
        tubes += action_tubes(
            saved.keyframes, min_peak=min_peak, min_score=min_score, smoothing_seconds=smoothing_seconds
        )
    return write_tubes(file, tubes, LabelMap(tuple(actions.values())))
