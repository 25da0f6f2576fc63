"""Charades: videos of daily life at home, 157 actions, several at once, each with its start and end.

Two kinds of list are read: the official ``Charades_v1_train.csv``, whose column ``actions`` holds
``c092 11.90 21.20;c147 0.00 12.60`` (class, start and end in seconds), and PySlowFast's frame list with one line per
frame, ``original_vido_id video_id frame_id path labels``, where labels are ``"1,5"``. As in PySlowFast, a training clip
has the labels of the actions that take place during it, and a test clip has all labels of its video.

Shapes: F frames of a list, E entries (one label of one frame), L actions of all videos.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.datasets.classification import MAX_LIST_BYTES, TimedLabels
from ava_detect.datasets.packed import PackedLists
from ava_detect.errors import FormatError, require_file

_ACTION = re.compile(r"c(?P<column>\d{3}) (?P<start>\d+(?:\.\d+)?) (?P<end>\d+(?:\.\d+)?)")
_FRAME_LIST_HEADER = "original_vido_id"  # spelt so in PySlowFast's files


class _Actions(NamedTuple):
    """The actions ``[L]`` of a list, sorted by video: index of the video, label column, start and end in seconds."""

    video: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    start_seconds: npt.NDArray[np.float64]
    end_seconds: npt.NDArray[np.float64]


def read_charades(path: str | Path, num_classes: int, *, frames_per_second: float) -> tuple[list[str], TimedLabels]:
    """Read an official list or a frame list of Charades.

    Args:
        path: The list.
        num_classes: Number of label columns; class c000 is column 0.
        frames_per_second: Rate of the frames of a frame list; unused for an official list.

    Returns:
        The ids of the videos, in the list's order, and their actions.

    Raises:
        FormatError: If the list cannot be read or is empty, or a class has no column; names the file, and the line or
            the video.
    """
    try:
        require_file(path, max_bytes=MAX_LIST_BYTES)
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            if file.readline().startswith(_FRAME_LIST_HEADER):
                video_ids, actions = _read_frame_list(path, frames_per_second)
            else:
                file.seek(0)
                video_ids, actions = _read_official(csv.DictReader(file), path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: the list cannot be read ({error}); give a csv of Charades") from error
    if not video_ids:
        raise FormatError(f"{path}: the list is empty; give a csv of Charades")
    if len(actions.column) and not 0 <= actions.column.min() <= actions.column.max() < num_classes:
        worst = int(np.argmax((actions.column < 0) | (actions.column >= num_classes)))
        raise FormatError(
            f"{path}: video {video_ids[actions.video[worst]]!r} has the class {actions.column[worst]}, but classes are "
            f"numbered from 0 to {num_classes - 1} (model.head.num_classes is {num_classes})"
        )
    columns = PackedLists.of(actions.column.astype(np.int16), np.bincount(actions.video, minlength=len(video_ids)))
    starts, ends = torch.from_numpy(actions.start_seconds), torch.from_numpy(actions.end_seconds)
    return video_ids, TimedLabels(columns, starts, ends, num_classes)


def _read_official(rows: csv.DictReader[str], path: str | Path) -> tuple[list[str], _Actions]:
    """Read one video per row, with its actions in the column ``actions``."""
    if not {"id", "actions"} <= set(rows.fieldnames or ()):
        raise FormatError(
            f"{path}, line 1: the header must name the columns id and actions, as Charades_v1_train.csv does, or begin "
            f"with {_FRAME_LIST_HEADER}, got {', '.join(rows.fieldnames or ())!r:.120}"
        )
    video_ids: list[str] = []
    actions: list[tuple[int, int, float, float]] = []
    for row in rows:
        texts = [text for text in (row["actions"] or "").split(";") if text]
        for text in texts:
            match = _ACTION.fullmatch(text.strip())
            if match is None:
                raise FormatError(
                    f"{path}, line {rows.line_num}: an action is 'c092 11.90 21.20' (class, start and end in seconds), "
                    f"got {text!r:.60}"
                )
            actions.append((len(video_ids), int(match["column"]), float(match["start"]), float(match["end"])))
        video_ids.append(row["id"])
    table = np.array(actions, np.float64).reshape(-1, 4)  # [L, 4], also where L is 0
    return video_ids, _Actions(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2].copy(), table[:, 3].copy())


def _read_frame_list(path: str | Path, frames_per_second: float) -> tuple[list[str], _Actions]:
    """Read one frame per line; consecutive frames with a label are one action, from the first to the last of them."""
    import pandas as pd

    names = ["video", "number", "frame", "path", "labels"]
    try:
        rows = pd.read_csv(path, sep=" ", skiprows=1, names=names, usecols=[0, 4], dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise FormatError(f"{path}: {str(error).strip()}; a line has 5 cells: {' '.join(names)}") from error
    # Number the videos in the order of the list, and the frames of each video from 0.
    video, video_ids = pd.factorize(rows["video"])  # [F]
    frame = rows.groupby("video", sort=False).cumcount().to_numpy()  # [F]
    # Parse each distinct label cell once; there are far fewer of them than frames.
    text_of_frame, texts = pd.factorize(rows["labels"])  # [F]
    lists = [_frame_labels(text, path) for text in texts]
    # One entry per label of a frame.
    lengths = np.array([len(labels) for labels in lists], np.int64)[text_of_frame]  # [F]
    column = np.concatenate([np.zeros(0, np.int64), *(lists[number] for number in text_of_frame.tolist())])  # [E]
    video, frame = np.repeat(video, lengths), np.repeat(frame, lengths)  # [E]
    # Sort by video, label and frame, so that an action is a run of consecutive frames.
    order = np.lexsort((frame, column, video))
    video, frame, column = video[order], frame[order], column[order]
    continues = (np.diff(video) == 0) & (np.diff(column) == 0) & (np.diff(frame) == 1)  # [E - 1]
    # The ends of the runs; an empty list has none.
    first = np.concatenate([np.ones(min(1, len(video)), np.bool_), ~continues])  # [E]
    last = np.concatenate([~continues, np.ones(min(1, len(video)), np.bool_)])  # [E]
    seconds = frame / frames_per_second
    return list(video_ids), _Actions(video[first], column[first], seconds[first], seconds[last])


def _frame_labels(text: str, path: str | Path) -> npt.NDArray[np.int64]:
    """Parse the labels of one frame, such as ``1,5``: sorted, each once."""
    cells = [cell for cell in text.split(",") if cell]
    if not all(cell.isdecimal() for cell in cells):
        raise FormatError(
            f'{path}: the labels of a frame are numbers with commas between, such as "1,5", got {text!r:.60}'
        )
    return np.array(sorted({int(cell) for cell in cells}), np.int64)
