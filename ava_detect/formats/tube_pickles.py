"""The pickles of MultiSports, UCF101-24 and JHMDB: labelled tubes, detected boxes and detected tubes.

The layouts are those of ACT and MOC (``src/datasets/dataset/base_dataset.py`` of github.com/MCG-NJU/MOC-Detector) and
of MultiSports' ``evaluate_multisports.py``. Pickles are read without running them (``storage.numpy_pickle``).

* Ground truth: ``labels``, ``gttubes`` ``{video: {label: [float [n, 5]: frame, x1, y1, x2, y2]}}``, ``nframes``
  ``{video: n}``, ``train_videos`` and ``test_videos`` (a list for each split), ``resolution`` ``{video: (h, w)}``.
* Detected boxes: one array ``[n, 8]`` of video index, frame, label, score, x1, y1, x2, y2; the index counts in the
  ``test_videos`` of the split.
* Detected tubes: ``{label: [(video, score, float [n, 5 or more]: frame, x1, y1, x2, y2, ...)]}``.

Frames count from 1, labels from 0, boxes are in pixels.
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.errors import ConfigError, FormatError, require_file, shown
from ava_detect.formats.ava_table import AvaTable
from ava_detect.storage.local_files import atomic_path
from ava_detect.storage.numpy_pickle import NumpyPickle
from ava_detect.storage.pickles import PickleRefusedError
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

_MAX_BYTES = 8 << 30
_KEYS = ("labels", "gttubes", "nframes", "train_videos", "test_videos", "resolution")
_TRUTH_FORM = f"a dictionary of {', '.join(_KEYS)}"
_DETECTIONS_FORM = (
    "an array of rows video index, frame, label, score, x1, y1, x2, y2, or a dictionary of label to a list of (video, "
    "score, rows of frame, x1, y1, x2, y2)"
)


class _TubePickle(NumpyPickle):
    # MultiSports' detections hold some 10 operations a tube.
    max_opcodes = 50_000_000

    def odd_key(self, key: Any) -> Any:
        """Take a number of numpy, such as a label, as a key.

        Args:
            key: The key.

        Returns:
            The plain number.

        Raises:
            PickleRefusedError: It is no number.
        """
        return key.item() if isinstance(key, np.ndarray) and not key.ndim else super().odd_key(key)


@dataclass(frozen=True, eq=False)
class TubeAnnotations:
    """The ground truth of a data set of tubes.

    Attributes:
        label_map: The actions; their ids count from 0 in the order of the file.
        tubes: The tubes of each video, by video id.
        num_frames: Number of frames of each video.
        train_splits: Ids of the videos to train with, for each split.
        test_splits: Ids of the videos to measure on, for each split, in the order that detections count.
        resolutions: Height and width of each video in pixels.
    """

    label_map: LabelMap
    tubes: Mapping[str, tuple[FrameTube, ...]]
    num_frames: Mapping[str, int]
    train_splits: tuple[tuple[str, ...], ...]
    test_splits: tuple[tuple[str, ...], ...]
    resolutions: Mapping[str, tuple[int, int]]

    @property
    def actions(self) -> LabelMap:
        """The same actions with ids from 1, as label maps and AVA's csv count: label i is action i + 1."""
        return LabelMap(tuple(Action(action.id + 1, action.name) for action in self.label_map))

    def test_videos(self, split: int = 1) -> tuple[str, ...]:
        """Return the ids of the videos to measure on.

        Args:
            split: Number of the split, from 1.

        Returns:
            The ids, in the order that detections count.

        Raises:
            ConfigError: There is no such split.
        """
        return _of_split(self.test_splits, split)

    def train_videos(self, split: int = 1) -> tuple[str, ...]:
        """Return the ids of the videos to train with.

        Args:
            split: Number of the split, from 1.

        Returns:
            The ids.

        Raises:
            ConfigError: There is no such split.
        """
        return _of_split(self.train_splits, split)

    def tubes_of(self, video_ids: Iterable[str]) -> list[FrameTube]:
        """Return the tubes of some videos.

        Args:
            video_ids: The ids; videos without tubes are allowed.

        Returns:
            Their tubes, in this order.
        """
        return [tube for video_id in video_ids for tube in self.tubes.get(video_id, ())]


def read_tube_annotations(path: str | Path) -> TubeAnnotations:
    """Read the ground truth of MultiSports, UCF101-24 or JHMDB.

    Args:
        path: The pickle.

    Returns:
        The ground truth.

    Raises:
        FormatError: The file cannot be read, holds more than arrays of numbers and plain values, or has another form;
            the message names the video.
    """
    content = _load(path, _TRUTH_FORM)
    if not isinstance(content, dict) or not set(_KEYS) <= content.keys():
        missing = ", ".join(key for key in _KEYS if not isinstance(content, dict) or key not in content)
        raise FormatError(
            f"{shown(path)}: the ground truth of a data set of tubes is {_TRUTH_FORM}; it lacks {missing}"
        )
    try:
        label_map = LabelMap(tuple(Action(number, _text(name)) for number, name in enumerate(content["labels"])))
        tubes: dict[str, tuple[FrameTube, ...]] = {}
        for video, by_label in content["gttubes"].items():
            video_id = _text(video)
            tubes[video_id] = tuple(
                _tube(video_id, _label(label, label_map), rows) for label, some in by_label.items() for rows in some
            )
        return TubeAnnotations(
            label_map,
            tubes,
            {_text(video): int(number) for video, number in content["nframes"].items()},
            _splits(content["train_videos"]),
            _splits(content["test_videos"]),
            {_text(video): (int(size[0]), int(size[1])) for video, size in content["resolution"].items()},
        )
    except FormatError as error:
        raise FormatError(f"{shown(path)}: {error}") from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"{shown(path)}: the ground truth of a data set of tubes is {_TRUTH_FORM}; a value in it has another form "
            f"({shown(error)})"
        ) from error


def read_tube_detections(path: str | Path, label_map: LabelMap, videos: Sequence[str]) -> AvaTable | list[FrameTube]:
    """Read a pickle of detected boxes or of detected tubes.

    Args:
        path: The pickle.
        label_map: The actions of the data set.
        videos: The ids that the video indices of detected boxes mean.

    Returns:
        Tubes, or a table of boxes whose timestamps are frame numbers and whose boxes are in pixels.

    Raises:
        FormatError: The file cannot be read, holds more than arrays of numbers and plain values, or has another form.
    """
    content = _load(path, _DETECTIONS_FORM)
    try:
        if isinstance(content, np.ndarray):
            return _boxes(content, label_map, videos)
        if isinstance(content, dict):
            by_action = {_label(label, label_map): found for label, found in content.items()}
            return [
                _tube(_text(video), action_id, rows, float(score))
                for action_id, found in by_action.items()
                for video, score, rows in found
            ]
    except FormatError as error:
        raise FormatError(f"{shown(path)}: {error}") from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"{shown(path)}: detections are {_DETECTIONS_FORM}; a value has another form ({shown(error)})"
        ) from error
    raise FormatError(f"{shown(path)}: detections are {_DETECTIONS_FORM}, got a {type(content).__name__}")


def write_tube_annotations(path: str | Path, annotations: TubeAnnotations) -> None:
    """Write ground truth as the pickle that the evaluators of the data sets read.

    Args:
        path: The file, written atomically.
        annotations: The ground truth; the ids of its actions count from 0.
    """
    by_video: dict[str, dict[int, list[npt.NDArray[np.float64]]]] = {}
    for video_id, tubes in annotations.tubes.items():
        by_label = by_video.setdefault(video_id, {})
        for tube in tubes:
            by_label.setdefault(tube.action_id, []).append(np.column_stack([tube.frames, tube.boxes_xyxy]))
    _dump(
        path,
        {
            "labels": [action.name for action in annotations.label_map],
            "gttubes": by_video,
            "nframes": dict(annotations.num_frames),
            "train_videos": [list(split) for split in annotations.train_splits],
            "test_videos": [list(split) for split in annotations.test_splits],
            "resolution": dict(annotations.resolutions),
        },
    )


def write_detected_tubes(path: str | Path, tubes: Iterable[FrameTube], label_map: LabelMap) -> None:
    """Write detected tubes as the pickle that the evaluators of the data sets read.

    Args:
        path: The file, written atomically.
        tubes: The tubes, each with a score.
        label_map: The actions; each has a list in the pickle, empty where nothing was found.
    """
    by_label: dict[int, list[tuple[str, float, npt.NDArray[np.float64]]]] = {
        action_id: [] for action_id in label_map.ids
    }
    for tube in tubes:
        scores = np.full(len(tube), tube.score)
        rows = np.column_stack([tube.frames, tube.boxes_xyxy, scores])
        by_label[tube.action_id].append((tube.video_id, float(tube.score), rows))
    _dump(path, by_label)


def write_detected_boxes(path: str | Path, boxes: AvaTable, videos: Sequence[str]) -> None:
    """Write detected boxes of single frames as the array that the evaluators of the data sets read.

    Args:
        path: The file, written atomically.
        boxes: The boxes: timestamps are frame numbers, boxes are in pixels.
        videos: The ids of the split's videos, in the order that indices count.

    Raises:
        FormatError: A video is not among ``videos``.
    """
    numbers = {video_id: number for number, video_id in enumerate(videos)}
    unknown = [video_id for video_id in boxes.video_ids if video_id not in numbers]
    if unknown:
        raise FormatError(f"video {shown(unknown[0])!r} is not among the {len(videos)} videos of the split")
    of_table = np.array([numbers[video_id] for video_id in boxes.video_ids], np.float64)
    columns = (of_table[boxes.video_index], boxes.timestamps_seconds, boxes.action_ids, boxes.scores)
    _dump(path, np.column_stack((*columns, boxes.boxes_fraction)).astype(np.float64))


def _load(path: str | Path, form: str) -> Any:
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        with Path(path).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise FormatError(f"{shown(path)} is empty; expected: {form}")
            # A file that is no pickle is refused before it is read. Arrays are views of the mapping, which ends with
            # the last of them.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _TubePickle(data).load()
    except PickleRefusedError as error:
        raise FormatError(
            f"{shown(path)}: this pickle cannot be read ({shown(error)}); nothing in it was run. Expected: {form}"
        ) from error
    except OSError as error:
        raise FormatError(f"{shown(path)} cannot be read ({error.strerror or error})") from error


def _dump(path: str | Path, content: object) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pickle.dump(content, file, protocol=2)  # which the evaluators' Python 2 reads, too


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        raise FormatError(f"a name is text, got {shown(repr(value))[:80]}")
    return value


def _label(value: Any, label_map: LabelMap) -> int:
    label = int(value)
    if label != value or label not in label_map:
        raise FormatError(f"labels count from 0 to {len(label_map) - 1}, got {shown(repr(value))[:80]}")
    return label


def _tube(video_id: str, label: int, rows: Any, score: float = np.nan) -> FrameTube:
    """Build a tube of rows frame, x1, y1, x2, y2, which may be in any order."""
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or values.shape[1] < 5 or not len(values):
        raise FormatError(
            f"video {shown(video_id)!r}, label {label}: a tube is rows of frame, x1, y1, x2, y2, got an array of shape "
            f"{list(values.shape)}"
        )
    frames = values[:, 0]
    if not np.isfinite(values[:, :5]).all() or (frames != np.rint(frames)).any():
        raise FormatError(f"video {shown(video_id)!r}, label {label}: a tube has a value that is no finite number")
    order = np.argsort(frames, kind="stable")
    try:
        return FrameTube(video_id, label, frames[order].astype(np.int64), values[order, 1:5], score)
    except ValueError as error:
        raise FormatError(f"video {shown(video_id)!r}, label {label}: {error}") from error


def _boxes(rows: npt.NDArray[Any], label_map: LabelMap, videos: Sequence[str]) -> AvaTable:
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or values.shape[1] != 8:
        raise FormatError(f"detections are {_DETECTIONS_FORM}, got an array of shape {list(values.shape)}")
    numbers, labels = values[:, 0], values[:, 2]
    known = np.isin(numbers, np.arange(len(videos))) & np.isin(labels, label_map.ids)
    if not known.all():
        row = int((~known).argmax())
        raise FormatError(
            f"row {row} is of video {numbers[row]:g} and label {labels[row]:g}; the split has videos 0 to "
            f"{len(videos) - 1}, and labels count from 0 to {len(label_map) - 1}"
        )
    return AvaTable(
        tuple(videos),
        numbers.astype(np.int32),
        values[:, 1],
        values[:, 4:8],
        labels.astype(np.int32),
        values[:, 3],
        np.full(len(values), -1, np.int64),
    )


def _of_split(splits: Sequence[tuple[str, ...]], split: int) -> tuple[str, ...]:
    if not 1 <= split <= len(splits):
        raise ConfigError(f"`split` is a number from 1 to {len(splits)} for this data set, got {split}")
    return splits[split - 1]


def _splits(value: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(_text, split)) for split in value)
