"""Pickles of mmaction2 and of tube data sets, read without running them.

- Proposals (``*_dense_proposals_*.pkl``): ``"VIDEO,SECOND"`` -> rows of x1 y1 x2 y2 and a score, in fractions. People
  without actions.
- Annotations of ``AVADataset``: a list of dictionaries with ``video_id``, ``timestamp`` and ``ann``, which has
  ``gt_bboxes`` in fractions, ``gt_labels`` (a row of zeros and ones per box; column i is the action of id i) and
  ``entity_ids``.
- Ground truth of tubes (MultiSports, UCF101-24 and JHMDB, as mmaction2 and ACT read them): a dictionary with
  ``labels``, ``gttubes`` (video -> index of the label -> arrays of frame from 1, x1, y1, x2, y2 in pixels) and
  ``resolution`` (video -> height and width).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import FormatError, shown
from ava_detect.formats.proposal_pickles import load_pickle, proposals_of
from ava_detect.results.importing.action_ids import placeholder
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.structures.labels import GREATEST_ACTION_ID

_FORMS = "proposals, a list of AVADataset's annotations, or ground truth of tubes (gttubes, labels, resolution)"
_UNIT = (1.0, 1.0)


def is_mmaction2(start: FileStart) -> bool:
    """Tell whether a file is a pickle.

    Args:
        start: Its outside.

    Returns:
        True for every pickle; what it holds is seen when it is read.
    """
    return start.kind == "pickle"


def read_mmaction2(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a pickle of proposals, of annotations or of tubes.

    Args:
        path: The pickle.
        videos: Finds the videos, whose frame times tubes need.

    Returns:
        People; of tubes on all of their frames, or at the multiples of ``videos.every_seconds``.

    Raises:
        FormatError: The file cannot be read, holds more than numbers and texts, or has another form.
        VideoError: A video cannot be decoded.
    """
    content = load_pickle(path)
    if isinstance(content, dict) and isinstance(content.get("gttubes"), dict):
        return _read_tubes(path, content, videos)
    found = content.get("annotations") if isinstance(content, dict) else content
    if isinstance(found, list | tuple):
        return _read_annotations(path, found, videos)
    if not isinstance(content, dict) or "annotations" in content:
        raise FormatError(f"{shown(path)}: the pickle holds a {type(content).__name__}; read are {_FORMS}")
    return _read_proposals(path, content, videos)


def _read_proposals(path: Path, content: Mapping[Any, Any], videos: VideoLookup) -> ToolLabels:
    table = proposals_of(content, path)
    labels = ToolLabels()
    for row, box in enumerate(table.boxes_fraction.tolist()):
        video = table.video_ids[table.video_index[row]]
        seconds = float(table.timestamps_seconds[row]) - videos.start_seconds
        if math.isnan(box[0]):
            labels.empty_keyframes.append((video, seconds))
            continue
        fraction = box_fraction(box, *_UNIT, f"{shown(path)}, box {row + 1}")
        labels.people.append(LabelledPerson(video, seconds, fraction, ()))
    return labels


def _read_annotations(path: Path, entries: list[Any] | tuple[Any, ...], videos: VideoLookup) -> ToolLabels:
    labels = ToolLabels()
    ids: dict[str, int] = {}
    for number, entry in enumerate(entries):
        where = f"{shown(path)}, entry {number}"
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: an annotation is a dictionary, got a {type(entry).__name__}")
        ann = entry.get("ann")
        if not isinstance(ann, dict) or "gt_bboxes" not in ann:
            raise FormatError(
                f"{where}: no boxes (ann, gt_bboxes), only {shown(', '.join(map(str, entry)))[:120]}; labels of whole "
                "clips are read by `ava-detect train` as a list of clips"
            )
        video = str(entry.get("video_id", entry.get("frame_dir", "")))
        seconds = finite_number(entry.get("timestamp"), "timestamp", where) - videos.start_seconds
        boxes = _array(ann["gt_bboxes"], 4, "gt_bboxes", where)
        hot = _hot_labels(ann.get("gt_labels"), len(boxes), where)
        people = _people(ann.get("entity_ids"), len(boxes), where)
        if not len(boxes):
            labels.empty_keyframes.append((video, seconds))
        for box, row, person in zip(boxes.tolist(), hot, people, strict=True):
            action_ids = np.flatnonzero(row).tolist()
            ids.update((placeholder(action_id), action_id) for action_id in action_ids)
            names = tuple(placeholder(action_id) for action_id in action_ids)
            labels.people.append(LabelledPerson(video, seconds, box_fraction(box, *_UNIT, where), names, person))
    labels.action_ids = ids
    return labels


def _hot_labels(value: Any, count: int, where: str) -> npt.NDArray[np.float64]:
    """Return zeros and ones ``[N, C]``; where there are no labels, ``[N, 0]``."""
    if value is None or not count:
        return np.zeros((count, 0))
    hot = _array(value, None, "gt_labels", where)
    if len(hot) != count or hot.shape[1] > GREATEST_ACTION_ID or not np.isin(hot, (0, 1)).all():
        raise FormatError(
            f"{where}: gt_labels is a row of zeros and ones for each of the {count} boxes, got an array of shape "
            f"{list(hot.shape)}"
        )
    return hot


def _people(value: Any, count: int, where: str) -> list[str | None]:
    if value is None or not count:
        return [None] * count
    ids = np.asarray(value).reshape(-1).tolist()
    if len(ids) != count or not all(isinstance(one, int | float) and float(one).is_integer() for one in ids):
        raise FormatError(f"{where}: entity_ids has a whole number for each of the {count} boxes, got {ids!r:.80}")
    return [str(int(one)) if one >= 0 else None for one in ids]


def _array(value: Any, columns: int | None, name: str, where: str) -> npt.NDArray[np.float64]:
    """Return a value as numbers ``[N, columns]``."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.full(1, np.nan)
    if array.size == 0:
        return np.empty((0, columns or 0))
    if array.ndim != 2 or (columns is not None and array.shape[1] != columns) or not np.isfinite(array).all():
        wanted = f"rows of {columns} finite numbers" if columns else "rows of finite numbers"
        raise FormatError(f"{where}: {name} is {wanted}, got {shown(repr(value))[:80]}")
    return array


def _read_tubes(path: Path, content: Mapping[str, Any], videos: VideoLookup) -> ToolLabels:
    names = content.get("labels")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"{shown(path)}: labels is a list of the names of actions, got {shown(repr(names))[:80]}")
    sizes = content.get("resolution")
    labels = ToolLabels(action_names=tuple(names))
    number = 0
    for video_name, by_label in content["gttubes"].items():
        where = f"{shown(path)}, video {shown(video_name)[:60]!r}"
        video = videos.get(str(video_name), where=where, need="frame numbers become times")
        multiples = set(videos.frames_of_multiples(video))
        width, height = _resolution(sizes, video_name, where) or video.decoded_size
        for action, tube in _tubes(by_label, names, where):
            number += 1
            for frame, *corners in tube.tolist():
                index = int(frame) - 1
                if not 0 <= index < video.num_frames:
                    labels.dropped["boxes on frames after the end of the video"] += 1
                elif videos.every_seconds is None or index in multiples:
                    box: Box = box_fraction(corners, width, height, where)
                    seconds = float(video.frame_times[index])
                    labels.people.append(LabelledPerson(video.video_id, seconds, box, (action,), str(number)))
    return labels


def _resolution(sizes: Any, video: Any, where: str) -> tuple[float, float] | None:
    """Return width and height; the file has height and width."""
    size = sizes.get(video) if isinstance(sizes, dict) else None
    if size is None:
        return None
    if not isinstance(size, list | tuple | np.ndarray) or len(size) != 2:
        raise FormatError(f"{where}: resolution is height and width, got {shown(repr(size))[:60]}")
    height, width = (finite_number(np.asarray(side).item(), "resolution", where) for side in size)
    return width, height


def _tubes(by_label: Any, names: list[str] | tuple[str, ...], where: str) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if not isinstance(by_label, dict):
        raise FormatError(f"{where}: its tubes are a dictionary of label -> arrays, got {shown(repr(by_label))[:60]}")
    for index, tubes in by_label.items():
        if not isinstance(index, int) or not 0 <= index < len(names):
            raise FormatError(f"{where}: a label is a number below {len(names)}, got {shown(repr(index))[:40]}")
        for tube in tubes if isinstance(tubes, list | tuple) else [tubes]:
            yield names[index], _array(tube, 5, "a tube", where)
