"""Conversion between the pickles of MultiSports, UCF101-24 and JHMDB and AVA's csv files, both ways.

Ground truth: a pickle, and a folder of text files that holds all of it (``formats.tube_folder``), or any AVA csv with
person ids. Detections: a pickle of boxes or tubes, an AVA csv, and the results of ``annotate``. A pickle that goes to
text and back has the same tubes, splits and sizes, to the bit where its boxes are in single precision or decimals of up
to nine places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ava_detect.errors import ConfigError, FormatError, counted, shown
from ava_detect.evaluation.linking_choice import check_linking, link_table
from ava_detect.formats import tube_folder
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import read_ava_csv, write_ava_table
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.row_checks import check_boxes
from ava_detect.formats.tube_folder import TubeFolder, VideoSizes
from ava_detect.formats.tube_pickles import (
    TubeAnnotations,
    read_tube_annotations,
    write_detected_boxes,
    write_detected_tubes,
    write_tube_annotations,
)
from ava_detect.formats.tube_tables import rows_of_annotations, to_fractions, tubes_of_rows
from ava_detect.results.measured_video import measure_video
from ava_detect.results.recorded_names import LABEL_MAP
from ava_detect.results.tube_detections import TubeReading, read_detections
from ava_detect.results.tube_truth import TubeTruth, excluded_frames, is_excluded, without_frames
from ava_detect.storage.outputs import begins_with, check_output, check_output_folder
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.progress import OnProgress, Progress, report_stage
from ava_detect.video.sources import find_videos

_PICKLES = (".pkl", ".pickle")
_CSVS = (".csv", ".csv.gz")
_SIZES_START = ",".join(tube_folder.HEADING).encode()


@dataclass(frozen=True)
class ConversionSettings:
    """What both sides of a conversion mean.

    Attributes:
        fps: Frames per second: frame n is at second (n - 1) / fps. None where no csv takes part, or for results that
            record it.
        start_seconds: Time in the movie, in seconds, at which each file starts; the times of csv files count from the
            start of the movie.
        label_map: A ``.pbtxt`` that names the ids of the csv. None: id n is label n - 1 of a pickle; a csv has the
            ``label_map.pbtxt`` beside it, or AVA's 80 actions.
        exclude: A csv of ``video,timestamp`` rows: frames that are left out.
        overwrite: Whether files that exist are replaced.
    """

    fps: float | None = None
    start_seconds: float = 0.0
    label_map: Path | None = None
    exclude: Path | None = None
    overwrite: bool = False

    def numbers(self) -> FrameNumbers:
        """Return the rule from seconds to frames.

        Returns:
            The rule.

        Raises:
            ConfigError: ``fps`` is missing.
        """
        if self.fps is None:
            raise ConfigError(
                "`fps` is needed: a csv counts seconds, and tubes count frames; give the labelled frames per second, "
                "such as 1 for AVA's keyframes"
            )
        return FrameNumbers(self.fps, self.start_seconds)

    def excluded(self) -> AvaTable:
        """Read the excluded frames.

        Returns:
            Rows of video and time; none where no file is given.

        Raises:
            FormatError: The file cannot be read.
        """
        return AvaTable.empty() if self.exclude is None else read_ava_csv(self.exclude)


@dataclass(frozen=True)
class CsvTruth:
    """What a csv of ground truth lacks of a data set of tubes; a folder of ``formats.tube_folder`` has it all.

    Attributes:
        train: A second csv, whose videos are those to train with.
        sizes: A csv of ``video_id,num_frames,width,height``; None to measure ``videos``.
        videos: The folder of the video files.
    """

    train: Path | None = None
    sizes: Path | None = None
    videos: Path | None = None


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote.

    Attributes:
        files: The files.
        num_videos: Number of videos.
        num_tubes: Number of tubes; 0 where boxes were written.
        num_boxes: Number of boxes.
        notes: Sentences on what was left out.
    """

    files: tuple[Path, ...]
    num_videos: int
    num_tubes: int
    num_boxes: int
    notes: tuple[str, ...] = ()


def convert_truth(
    source: Path,
    out: Path,
    settings: ConversionSettings,
    csv_truth: CsvTruth | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Conversion:
    """Convert ground truth: a pickle to a folder of text files, or an AVA csv or such a folder to a pickle.

    Args:
        source: The pickle, the csv or the folder.
        out: The folder, or the pickle.
        settings: Frame rate, label map and exclusions.
        csv_truth: What the csv lacks.
        on_progress: Told of the stages, and of videos that are measured.

    Returns:
        What was written.

    Raises:
        FormatError: A file cannot be read, or a csv does not say enough; the message names the row.
        ConfigError: ``out`` is an input or exists, or a setting is missing.
    """
    given = csv_truth or CsvTruth()
    inputs: dict[str, object] = {
        "source": source, "label_map": settings.label_map, "exclude": settings.exclude, "train": given.train,
        "sizes": given.sizes, "videos": given.videos,
    }  # fmt: skip
    numbers = settings.numbers()
    if is_pickle_file(source):
        for name, value in vars(given).items():
            if value is not None:
                raise ConfigError(f"`{name}` is for a csv of ground truth, and `source` is a pickle, which has it")
        return _to_folder(source, out, settings, numbers, inputs)
    if out.suffix.lower() not in _PICKLES:
        raise ConfigError(f"`out` {shown(out)}: ground truth in a csv is converted to a pickle; end the name in .pkl")
    if source.is_dir():
        inputs["source"] = [*source.glob("*.csv"), *source.glob("*.txt"), source / LABEL_MAP]
    check_output(out, inputs, is_own=_is_empty, overwrite=settings.overwrite)
    report_stage(on_progress, "reading the ground truth")
    return _to_pickle(source, _folder_of(source, settings, given, on_progress), out, settings, numbers)


def _to_folder(
    source: Path, out: Path, settings: ConversionSettings, numbers: FrameNumbers, inputs: Mapping[str, object]
) -> Conversion:
    annotations = read_tube_annotations(source)
    num_splits = len(annotations.test_splits)
    names = [tube_folder.VIDEOS, tube_folder.LABEL_MAP, tube_folder.GROUND_TRUTH]
    names += [name for pair in tube_folder.split_files(num_splits) for name in pair]
    is_sizes = begins_with(_SIZES_START)
    check_output_folder(
        out,
        names,
        inputs,
        is_own=lambda path: is_sizes(path.parent / tube_folder.VIDEOS),
        overwrite=settings.overwrite,
    )
    label_map, ids = _ids_of_labels(annotations.label_map, settings.label_map)
    try:
        rows = rows_of_annotations(annotations, numbers, ids)
    except FormatError as error:
        raise FormatError(f"{shown(source)}: {error}") from error
    excluded = excluded_frames(settings.excluded(), numbers)
    stays = ~is_excluded(rows, numbers.at(rows.timestamps_seconds), excluded)
    files = tube_folder.write_tube_folder(out, annotations, rows[stays], label_map)
    num_boxes = int((stays & ~rows.is_keyframe_only).sum())
    num_tubes = sum(map(len, annotations.tubes.values()))
    return Conversion(tuple(files), len(annotations.num_frames), num_tubes, num_boxes, _left_out(int((~stays).sum())))


def _ids_of_labels(labels: LabelMap, given: Path | None) -> tuple[LabelMap, dict[int, int]]:
    """Return the label map of a csv, and the id of each label in it."""
    if given is None:
        ids = {action.id: action.id + 1 for action in labels}
        return LabelMap(tuple(Action(ids[action.id], action.name) for action in labels)), ids
    label_map = LabelMap.from_pbtxt(given)
    id_of_name = {action.name: action.id for action in label_map}
    unknown = [action.name for action in labels if action.name not in id_of_name]
    if unknown:
        raise FormatError(f"{shown(given)}: the label map lacks {shown(unknown[0])!r}, a label of the pickle")
    return label_map, {action.id: id_of_name[action.name] for action in labels}


def _folder_of(
    source: Path, settings: ConversionSettings, given: CsvTruth, on_progress: OnProgress | None
) -> TubeFolder:
    """Read ground truth as text: a folder, or a csv with what is given besides."""
    if source.is_dir():
        if not tube_folder.is_tube_folder(source):
            raise FormatError(
                f"{shown(source)} has no {tube_folder.GROUND_TRUTH} and {tube_folder.VIDEOS}; give a folder that this "
                "command wrote, or a csv"
            )
        for name, value in vars(given).items():
            if value is not None:
                raise ConfigError(f"`{name}` is for a csv of ground truth, and the folder {shown(source)} has it")
        return tube_folder.read_tube_folder(source)
    tests = _checked_rows(source, settings)
    trains = AvaTable.empty() if given.train is None else _checked_rows(given.train, settings)
    if both := set(tests.video_ids) & set(trains.video_ids):
        raise FormatError(f"video {shown(min(both))!r} is in {shown(source)} and in {shown(given.train)}")
    rows = AvaTable.concatenate([trains, tests])
    if given.sizes is not None:
        sizes = tube_folder.read_video_sizes(given.sizes)
    elif given.videos is not None:
        sizes = _measured(given.videos, rows, on_progress)
    else:
        raise ConfigError(
            "the size and the number of frames of each video are needed: give the folder of the videos (`videos`), or "
            f"a csv of {','.join(tube_folder.HEADING)} (`sizes`)"
        )
    missing = [video_id for video_id in rows.video_ids if video_id not in sizes.num_frames]
    if missing:
        where = given.videos if given.sizes is None else given.sizes
        raise FormatError(
            f"{shown(source)}: video {shown(missing[0])!r}: its size and number of frames are not in {shown(where)}"
        )
    known = VideoSizes(
        {video_id: sizes.num_frames[video_id] for video_id in rows.video_ids},
        {video_id: sizes.resolutions[video_id] for video_id in rows.video_ids},
    )
    beside = source.parent / LABEL_MAP
    label_map = LabelMap.from_pbtxt(beside) if beside.is_file() else LabelMap.ava()
    return TubeFolder(rows, label_map, known, (trains.video_ids,), (tests.video_ids,))


def _checked_rows(path: Path, settings: ConversionSettings) -> AvaTable:
    rows = read_ground_truth(path, start_seconds=settings.start_seconds, actions_required=True)
    check_boxes(rows, path)
    return rows


def _measured(folder: Path, rows: AvaTable, on_progress: OnProgress | None) -> VideoSizes:
    """Decode the videos of a csv: their number of frames and their size."""
    num_frames: dict[str, int] = {}
    resolutions: dict[str, tuple[int, int]] = {}
    wanted = [video for video in find_videos([folder]) if video.video_id in rows.video_ids]
    for number, video in enumerate(wanted):
        if on_progress is not None:
            on_progress(Progress("videos", number, len(wanted), video.video_id))
        measured = measure_video(video.path, video.video_id)
        num_frames[video.video_id] = measured.num_frames
        resolutions[video.video_id] = measured.height, measured.width
    return VideoSizes(num_frames, resolutions)


def _to_pickle(
    source: Path, folder: TubeFolder, out: Path, settings: ConversionSettings, numbers: FrameNumbers
) -> Conversion:
    actions = folder.label_map if settings.label_map is None else LabelMap.from_pbtxt(settings.label_map)
    labels = {action.id: label for label, action in enumerate(actions)}
    rows = folder.rows
    excluded = excluded_frames(settings.excluded(), numbers)
    is_out = is_excluded(rows, numbers.at(rows.timestamps_seconds), excluded)
    rows = rows[~is_out]
    is_other = ~rows.is_keyframe_only & ~np.isin(rows.action_ids, list(labels))
    try:
        tubes = tubes_of_rows(rows, labels, numbers, folder.sizes.resolutions)
        _check_lengths(tubes, folder.sizes)
    except FormatError as error:
        raise FormatError(f"{shown(source)}: {error}") from error
    annotations = TubeAnnotations(
        LabelMap(tuple(Action(labels[action.id], action.name) for action in actions)),
        {video_id: tubes.get(video_id, ()) for video_id in folder.sizes.num_frames},
        folder.sizes.num_frames,
        folder.train_splits,
        folder.test_splits,
        folder.sizes.resolutions,
    )
    write_tube_annotations(out, annotations)
    every = [tube for of_video in tubes.values() for tube in of_video]
    notes = _left_out(int(is_out.sum()))
    if is_other.any():
        notes += (f"{int(is_other.sum()):,} rows have actions that the label map lacks, and are no tubes",)
    return Conversion((out,), len(folder.sizes.num_frames), len(every), sum(map(len, every)), notes)


def _check_lengths(tubes: Mapping[str, tuple[FrameTube, ...]], sizes: VideoSizes) -> None:
    """Refuse tubes that go on after the last frame, which a wrong frame rate or start gives."""
    for video_id, of_video in tubes.items():
        last = max((int(tube.frames[-1]) for tube in of_video), default=0)
        first = min((int(tube.frames[0]) for tube in of_video), default=1)
        if first < 1 or last > sizes.num_frames.get(video_id, 0):
            raise FormatError(
                f"video {shown(video_id)!r} has {counted(sizes.num_frames.get(video_id, 0), 'frame')}, and its tubes "
                f"have frames {first} to {last}; check `fps` and `start_seconds`"
            )


def _left_out(number: int) -> tuple[str, ...]:
    return (f"{counted(number, 'row')} on excluded frames left out",) if number else ()


def convert_detections(
    source: Path,
    out: Path,
    ground_truth: Path,
    settings: ConversionSettings,
    *,
    to: str = "boxes",
    linking: str = "moc",
    split: int = 1,
) -> Conversion:
    """Convert detections: pickles, csv files or results of ``annotate`` to a pickle of boxes or tubes, or to a csv.

    Args:
        source: The detections.
        out: A ``.pkl`` or ``.csv`` file.
        ground_truth: The pickle that they belong to, which has the numbers of videos and labels and the sizes.
        settings: Frame rate, label map and exclusions.
        to: ``boxes`` or ``tubes``; a csv has boxes.
        linking: How boxes are linked to tubes: ``moc``, ``mmaction2`` or ``tracks``.
        split: Number of the split whose videos count, from 1.

    Returns:
        What was written.

    Raises:
        FormatError: A file cannot be read, or does not fit the ground truth.
        ConfigError: ``out`` is an input or exists, or a setting is missing or unknown.
    """
    if to not in ("boxes", "tubes"):
        raise ConfigError(f"`to` is boxes or tubes, got {to!r}")
    is_csv = out.name.lower().endswith(_CSVS)
    if not is_csv and out.suffix.lower() not in _PICKLES:
        raise ConfigError(f"`out` {shown(out)}: detections are written as .pkl or .csv; end the name in one of these")
    if is_csv and to == "tubes":
        raise ConfigError(
            "`to=tubes` gives a pickle: a csv has one column for scores and ids, and cannot tell tubes apart"
        )
    name = check_linking(linking)
    inputs: dict[str, object] = {
        "source": source, "ground_truth": ground_truth, "label_map": settings.label_map, "exclude": settings.exclude,
    }  # fmt: skip
    check_output(out, inputs, is_own=_is_empty, overwrite=settings.overwrite)
    annotations = read_tube_annotations(ground_truth)
    by_id = {label + 1: label for label in annotations.label_map.ids}
    truth = TubeTruth(annotations, annotations.test_videos(split), by_id)
    reading = TubeReading(settings.fps, settings.label_map, settings.start_seconds or None)
    found = read_detections(source, truth, reading)
    if settings.exclude is not None:
        found = without_frames(found, excluded_frames(settings.excluded(), settings.numbers()))
    if to == "tubes":
        tubes = found if isinstance(found, list) else list(link_table(_known(found, truth)[0], name, settings.fps))
        write_detected_tubes(out, tubes, annotations.label_map)
        videos = {tube.video_id for tube in tubes}
        return Conversion((out,), len(videos), len(tubes), sum(map(len, tubes)))
    boxes, notes = _known(_boxes_of(found) if isinstance(found, list) else found, truth)
    num_videos = len(np.unique(boxes.video_index))
    if is_csv:
        _, ids = _ids_of_labels(annotations.label_map, settings.label_map)
        write_ava_table(out, _csv_rows(boxes, ids, annotations, settings.numbers()))
    else:
        write_detected_boxes(out, boxes, truth.videos)
    return Conversion((out,), num_videos, 0, len(boxes), notes)


def _known(boxes: AvaTable, truth: TubeTruth) -> tuple[AvaTable, tuple[str, ...]]:
    """Keep the boxes of the split's videos and the data set's labels."""
    is_video = np.isin(np.array(boxes.video_ids), list(truth.videos))[boxes.video_index]
    is_label = np.isin(boxes.action_ids, list(truth.annotations.label_map.ids))
    notes = []
    if not is_video.all():
        notes.append(f"{int((~is_video).sum()):,} boxes in videos that the split does not have were left out")
    if not is_label[is_video].all():
        notes.append(f"{int((~is_label[is_video]).sum()):,} boxes of other actions were left out")
    kept = boxes[is_video & is_label]
    number_of = {video_id: number for number, video_id in enumerate(truth.videos)}
    numbers = np.array([number_of.get(video_id, 0) for video_id in boxes.video_ids], np.int32)
    return (
        AvaTable(
            truth.videos,
            numbers[kept.video_index] if len(kept) else kept.video_index,
            kept.timestamps_seconds,
            kept.boxes_fraction,
            kept.action_ids,
            kept.scores,
            kept.person_ids,
        ),
        tuple(notes),
    )


def _boxes_of(tubes: list[FrameTube]) -> AvaTable:
    """Write out tubes box by box, each with the score of its tube."""
    lengths = [len(tube) for tube in tubes]
    number_of = {video_id: number for number, video_id in enumerate(dict.fromkeys(tube.video_id for tube in tubes))}
    return AvaTable(
        tuple(number_of),
        np.repeat(np.array([number_of[tube.video_id] for tube in tubes], np.int32), lengths),
        np.concatenate([np.empty(0), *(tube.frames for tube in tubes)]),
        np.concatenate([np.empty((0, 4)), *(tube.boxes_xyxy for tube in tubes)]),
        np.repeat(np.array([tube.action_id for tube in tubes], np.int32), lengths),
        np.repeat(np.array([tube.score for tube in tubes], np.float64), lengths),
        np.full(sum(lengths), -1, np.int64),
    )


def _csv_rows(boxes: AvaTable, ids: Mapping[int, int], annotations: TubeAnnotations, numbers: FrameNumbers) -> AvaTable:
    """Turn boxes on frames, in pixels, into rows of an AVA csv of detections."""
    of_labels = np.array([ids[label] for label in annotations.label_map.ids], np.int32)
    return AvaTable(
        boxes.video_ids,
        boxes.video_index,
        numbers.seconds(boxes.timestamps_seconds),
        to_fractions(boxes.boxes_fraction, boxes.video_ids, boxes.video_index, annotations.resolutions),
        of_labels[boxes.action_ids],
        boxes.scores,
        np.full(len(boxes), -1, np.int64),
    )


def _is_empty(path: Path) -> bool:
    return not path.stat().st_size
