"""Detections of any kind as the boxes and tubes that data sets of tubes are measured with.

* Pickles of boxes or of tubes are read as they are.
* Each row of an AVA csv is a box on the frame nearest to its time.
* Other results (the folder of a run, a dataset, a Parquet or jsonl file) have tracks: a person's box and scores are
  interpolated on the frames between keyframes, and kept for half the usual spacing before the first and after the last.

Actions are matched with those of the ground truth by name. A csv without names has the ids of the ground truth, which
count from 1 where its labels count from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.tube_pickles import read_tube_detections
from ava_detect.formats.tube_tables import labels_by_name, to_pixels
from ava_detect.results.recorded_names import recorded_names
from ava_detect.results.saved import ReadOptions, SavedResults
from ava_detect.results.source import open_source
from ava_detect.results.tube_truth import TubeTruth
from ava_detect.structures import ActionDetections
from ava_detect.structures.frame_numbers import FrameNumbers
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import max_gap_seconds
from ava_detect.structures.tubes import median_spacing

FloatArray = npt.NDArray[np.float64]
# Actions that score less on a frame are no rows, as in the published detections.
_MIN_SCORE = 0.01
# Of times on the edge of a frame's span, in frames.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class TubeReading:
    """How detections are read.

    Attributes:
        fps: Frames per second of the videos; None for those that the results record.
        label_map: A ``.pbtxt`` with the names of the actions; None for those in or beside the results.
        start_seconds: Time in the movie, in seconds, at which each file starts, for the times of csv files; None for 0,
            or for the setting of the run.
    """

    fps: float | None = None
    label_map: str | Path | None = None
    start_seconds: float | None = None

    def numbers(self, recorded: float, what: str) -> FrameNumbers:
        """Return the rule from seconds to frames, in seconds of the file.

        Args:
            recorded: Frames per second that are recorded; 0 where unknown.
            what: The file or video, for the message.

        Returns:
            The rule.

        Raises:
            ConfigError: No frame rate is known.
        """
        if not self.fps and not recorded:
            raise ConfigError(
                f"{what} counts seconds, and tubes count frames; give the frames per second of the videos (`fps`)"
            )
        return FrameNumbers(self.fps or recorded)


def read_detections(
    path: str | Path, truth: TubeTruth, reading: TubeReading | None = None
) -> AvaTable | list[FrameTube]:
    """Read detections of any kind.

    Args:
        path: A pickle of boxes or of tubes, an AVA csv, or results of ``annotate``: a folder, a dataset, a Parquet or
            jsonl file.
        truth: What they are measured against.
        reading: Frame rate and names of the actions.

    Returns:
        Tubes; or boxes, whose timestamps are numbers of frames, whose person ids are tracks where these are known, and
        which are in pixels where the ground truth is.

    Raises:
        FormatError: The file cannot be read, or none of its actions is one of the ground truth.
        ConfigError: The frame rate is needed and unknown.
    """
    reading = reading or TubeReading()
    if is_pickle_file(path):
        return read_tube_detections(path, truth.annotations.label_map, truth.videos)
    if Path(path).name.lower().endswith((".csv", ".csv.gz")):
        return _rows_of_csv(path, truth, reading)
    return _rows_of_results(path, truth, reading)


def _rows_of_csv(path: str | Path, truth: TubeTruth, reading: TubeReading) -> AvaTable:
    table = read_ava_csv(path)
    numbers = replace(reading.numbers(0, shown(path)), start_seconds=reading.start_seconds or 0.0)
    if reading.label_map is not None:
        labels = _matched(path, truth, LabelMap.from_pbtxt(reading.label_map))
    elif (names := recorded_names(path)) is not None:
        labels = _matched(path, truth, names.label_map)
    else:
        labels = dict(truth.label_ids)
    known = dict(zip(table.video_ids, map(truth.video_of, table.video_ids), strict=True))
    # The ids that are measured come first, those of other videos keep their own.
    video_ids = dict.fromkeys([*truth.videos, *(known[v] or v for v in table.video_ids)])
    table = table[~table.is_keyframe_only]
    number_of = {video_id: number for number, video_id in enumerate(video_ids)}
    owners = [known[v] or v for v in table.video_ids]
    is_measured = np.array([known[v] is not None for v in table.video_ids], np.bool_)[table.video_index]
    boxes = table.boxes_fraction.copy()
    if truth.is_in_pixels:
        of_rows = table.video_index[is_measured]
        boxes[is_measured] = to_pixels(boxes[is_measured], owners, of_rows, truth.annotations.resolutions)
    # Actions that the ground truth lacks keep an id that no label has, and are counted as such.
    other = max(truth.annotations.label_map.ids, default=0) + 1
    ids, inverse = np.unique(table.action_ids, return_inverse=True)
    of_ids = np.array([labels.get(action_id, other) for action_id in ids.tolist()], np.int32)
    return AvaTable(
        tuple(video_ids),
        np.array([number_of[owner] for owner in owners], np.int32)[table.video_index],
        numbers.at(table.timestamps_seconds).astype(np.float64),
        boxes,
        of_ids[inverse] if len(ids) else np.empty(0, np.int32),
        table.scores,
        table.person_ids,
    )


def _matched(path: str | Path, truth: TubeTruth, label_map: LabelMap) -> dict[int, int]:
    labels = labels_by_name(truth.annotations.label_map, label_map)
    if not labels:
        known = [action.name for action in truth.annotations.label_map][:3]
        given = [action.name for action in label_map][:3]
        raise FormatError(
            f"{shown(path)}: none of its actions ({shown(', '.join(given))}, ...) is one of the ground truth "
            f"({shown(', '.join(known))}, ...); give a label map with the names of the ground truth (`label_map`)"
        )
    return labels


def _rows_of_results(path: str | Path, truth: TubeTruth, reading: TubeReading) -> AvaTable:
    source = open_source(path, ReadOptions(label_map=reading.label_map, start_seconds=reading.start_seconds))
    parts = []
    for saved in source.videos():
        video_id = truth.video_of(saved.video_id)
        labels = _matched(path, truth, saved.choices)
        if video_id is not None:
            parts.append(_rows_of_video(saved, video_id, truth, labels, reading.numbers(saved.fps, saved.video_id)))
    if not parts:
        raise FormatError(
            f"{shown(path)}: none of its videos is one of the ground truth, such as {shown(truth.videos[0])}"
            if truth.videos
            else f"{shown(path)}: the ground truth has no video to measure"
        )
    return AvaTable.concatenate(parts)


def _rows_of_video(
    saved: SavedResults, video_id: str, truth: TubeTruth, labels: Mapping[int, int], numbers: FrameNumbers
) -> AvaTable:
    """Write out the people of a video on every frame."""
    columns = [column for column, action in enumerate(saved.label_map) if action.id in labels]
    ids = np.array([labels[action.id] for action in saved.label_map if action.id in labels], np.int32)
    last_frame = truth.annotations.num_frames.get(video_id, 0)
    half_span = median_spacing(saved.keyframes) / 2 * numbers.fps
    # The empty arrays in front make the concatenations valid without people.
    frames, people, actions = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    boxes, scores = [np.empty((0, 4))], [np.empty(0)]
    for stretch in _stretches(saved.keyframes, numbers):
        first = max(int(np.ceil(stretch.frames[0] - half_span - _ROUNDING)), 1)
        last = int(np.ceil(stretch.frames[-1] + half_span - _ROUNDING)) - 1
        last = max(min(last, last_frame) if last_frame else last, first)
        on_frames, at_boxes, at_scores = stretch.on_frames(first, last, columns)
        rows, kept = np.nonzero(at_scores >= _MIN_SCORE)
        frames.append(on_frames[rows])
        people.append(np.full(len(rows), stretch.track_id))
        actions.append(ids[kept])
        boxes.append(at_boxes[rows])
        scores.append(at_scores[rows, kept])
    all_boxes = np.concatenate(boxes)
    video_index = np.zeros(len(all_boxes), np.int32)
    if truth.is_in_pixels:
        all_boxes = to_pixels(all_boxes, (video_id,), video_index, truth.annotations.resolutions)
    return AvaTable(
        (video_id,),
        video_index,
        np.concatenate(frames).astype(np.float64),
        all_boxes,
        np.concatenate(actions),
        np.concatenate(scores),
        np.concatenate(people),
    )


@dataclass(frozen=True, eq=False)
class _Stretch:
    """A person on K keyframes, with no gap that is too long.

    Attributes:
        track_id: The person.
        frames: int64 ``[K]``, ascending.
        boxes: float64 ``[K, 4]``, fractions of the frame.
        scores: float64 ``[K, C]``.
    """

    track_id: int
    frames: npt.NDArray[np.int64]
    boxes: FloatArray
    scores: FloatArray

    def on_frames(
        self, first: int, last: int, columns: Sequence[int]
    ) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """Interpolate: the frames ``[F]``, boxes ``[F, 4]`` and scores of some columns ``[F, c]``."""
        frames = np.arange(first, last + 1)
        position = np.interp(frames, self.frames, np.arange(len(self.frames)))  # [F], keyframes as real numbers
        before = np.floor(position).astype(np.int64)
        after = np.minimum(before + 1, len(self.frames) - 1)
        share = (position - before)[:, None]
        values = np.concatenate([self.boxes, self.scores[:, columns]], axis=1)
        mixed = values[before] * (1 - share) + values[after] * share
        return frames, mixed[:, :4], mixed[:, 4:]


def _stretches(keyframes: Sequence[ActionDetections], numbers: FrameNumbers) -> Iterator[_Stretch]:
    """Cut the tracks of a video where a person is missing too long for one person."""
    seen: dict[int, list[tuple[int, int]]] = {}
    frames = numbers.at([keyframe.timestamp_seconds for keyframe in keyframes])
    is_first = np.diff(frames, prepend=-1) > 0  # of several keyframes on one frame, the first counts
    for index in np.flatnonzero(is_first).tolist():
        track_ids = keyframes[index].track_ids
        assert track_ids is not None, "results are linked when they are read"
        for row, track_id in enumerate(track_ids.tolist()):
            seen.setdefault(track_id, []).append((index, row))
    max_gap = max_gap_seconds(median_spacing(keyframes)) * numbers.fps
    for track_id, places in seen.items():
        of_track = frames[[index for index, _ in places]]
        ends = [*np.flatnonzero(np.diff(of_track) > max_gap + 0.5).tolist(), len(places) - 1]
        start = 0
        for end in ends:
            part = places[start : end + 1]
            yield _Stretch(
                track_id,
                of_track[start : end + 1],
                np.stack([keyframes[index].boxes_fraction[row] for index, row in part]).astype(np.float64),
                np.stack([keyframes[index].action_scores[row] for index, row in part]).astype(np.float64),
            )
            start = end + 1
