"""Charades: videos of home life, 157 actions, several at once, each with its beginning and end.

Two lists are read: the official ``Charades_v1_train.csv``, whose column ``actions`` says
``c092 11.90 21.20;c147 0.00 12.60`` (class, seconds), and PySlowFast's frame list, one line a frame:
``original_vido_id video_id frame_id path labels``, labels as ``"1,5"``. As in PySlowFast a training clip has the labels
of the actions that go on during it, and in the test a video has all of its own.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ava_detect.datasets.classification import TimedLabels
from ava_detect.datasets.packed import PackedLists
from ava_detect.errors import FormatError

_ACTION = re.compile(r"c(?P<column>\d{3}) (?P<start>\d+(?:\.\d+)?) (?P<end>\d+(?:\.\d+)?)")
_FRAME_LIST_HEADER = "original_vido_id"  # their spelling


class _Actions(NamedTuple):
    """The actions of a list, sorted by video; L of them."""

    video: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    start_seconds: npt.NDArray[np.float64]
    end_seconds: npt.NDArray[np.float64]


def read_charades(path: str | Path, num_classes: int, *, frames_per_second: float) -> tuple[list[str], TimedLabels]:
    """The ids of a list's videos, and their actions; class c000 is column 0.

    ``frames_per_second``: how many frames of a frame list are a second. Raises ``FormatError`` naming the file, and the
    line or the video.
    """
    try:
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
    table = np.array(actions, np.float64).reshape(-1, 4)
    return video_ids, _Actions(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2].copy(), table[:, 3].copy())


def _read_frame_list(path: str | Path, frames_per_second: float) -> tuple[list[str], _Actions]:
    """Each run of neighbouring frames with a label as one action, from the first to the last of them."""
    names = ["video", "number", "frame", "path", "labels"]
    try:
        rows = pd.read_csv(path, sep=" ", skiprows=1, names=names, usecols=[0, 4], dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise FormatError(f"{path}: {str(error).strip()}; a line has 5 cells: {' '.join(names)}") from error
    video, video_ids = pd.factorize(rows["video"])
    place = rows.groupby("video", sort=False).cumcount().to_numpy()
    which, texts = pd.factorize(rows["labels"])
    lists = [_frame_labels(text, path) for text in texts]
    lengths = np.array([len(labels) for labels in lists], np.int64)[which]
    column = np.concatenate([np.zeros(0, np.int64), *(lists[number] for number in which.tolist())])
    video, place = np.repeat(video, lengths), np.repeat(place, lengths)
    order = np.lexsort((place, column, video))
    video, place, column = video[order], place[order], column[order]
    goes_on = (np.diff(video) == 0) & (np.diff(column) == 0) & (np.diff(place) == 1)
    first = np.concatenate([np.ones(min(1, len(video)), np.bool_), ~goes_on])
    last = np.concatenate([~goes_on, np.ones(min(1, len(video)), np.bool_)])
    seconds = place / frames_per_second
    return list(video_ids), _Actions(video[first], column[first], seconds[first], seconds[last])


def _frame_labels(text: str, path: str | Path) -> npt.NDArray[np.int64]:
    cells = [cell for cell in text.split(",") if cell]
    if not all(cell.isdecimal() for cell in cells):
        raise FormatError(
            f'{path}: the labels of a frame are numbers with commas between, such as "1,5", got {text!r:.60}'
        )
    return np.array(sorted({int(cell) for cell in cells}), np.int64)
