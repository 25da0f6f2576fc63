"""The ground truth of a data set of tubes as a folder of text files, which hold all that its pickle holds.

* ``ground_truth.csv``: AVA's columns; the person id is the number of the tube in its video (``formats.tube_tables``)
* ``label_map.pbtxt``: the actions
* ``videos.csv``: ``video_id,num_frames,width,height``
* ``split1_train.txt``, ``split1_test.txt``, ``split2_train.txt``, ...: ids of the videos of each split, one a line
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import FormatError, require_file, shown
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import write_ava_table
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.labels import LabelMap

GROUND_TRUTH, LABEL_MAP, VIDEOS = "ground_truth.csv", "label_map.pbtxt", "videos.csv"
HEADING = ("video_id", "num_frames", "width", "height")
_MAX_BYTES = 1 << 28
_GREATEST_SIZE, _MOST_FRAMES = 1 << 16, 1 << 31


@dataclass(frozen=True)
class VideoSizes:
    """Length and size of videos.

    Attributes:
        num_frames: Number of frames of each video, by video id.
        resolutions: Height and width of each in pixels.
    """

    num_frames: Mapping[str, int]
    resolutions: Mapping[str, tuple[int, int]]


def split_files(num_splits: int) -> list[tuple[str, str]]:
    """Name the lists of the splits.

    Args:
        num_splits: Number of splits.

    Returns:
        The files of each split: videos to train with, videos to measure on.
    """
    return [(f"split{number}_train.txt", f"split{number}_test.txt") for number in range(1, num_splits + 1)]


def is_tube_folder(path: Path) -> bool:
    """Tell whether a folder is one that ``write_tube_folder`` wrote.

    Args:
        path: The folder.

    Returns:
        Whether it has the csv and the sizes of the videos.
    """
    return (path / GROUND_TRUTH).is_file() and (path / VIDEOS).is_file()


def write_tube_folder(folder: Path, annotations: TubeAnnotations, rows: AvaTable, label_map: LabelMap) -> list[Path]:
    """Write ground truth as text files, each atomically.

    Args:
        folder: The folder.
        annotations: The ground truth, of which sizes and splits are written.
        rows: Its tubes as rows of an AVA csv.
        label_map: The actions of these rows.

    Returns:
        The files.

    Raises:
        FormatError: A video has no size, or its id has a line break, which no list can hold.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADING)
    for video_id, number in annotations.num_frames.items():
        if video_id not in annotations.resolutions:
            raise FormatError(f"video {shown(video_id)!r}: its height and width are unknown")
        if "\n" in video_id or "\r" in video_id:
            raise FormatError(f"video {shown(video_id)!r}: an id with a line break fits no list of videos")
        height, width = annotations.resolutions[video_id]
        writer.writerow([video_id, number, width, height])
    files = [folder / VIDEOS]
    write_text_atomic(files[0], text.getvalue())
    splits = zip(annotations.train_splits, annotations.test_splits, strict=True)
    names = split_files(len(annotations.test_splits))
    for pair, lists in zip(names, splits, strict=True):
        for name, video_ids in zip(pair, lists, strict=True):
            files.append(folder / name)
            write_text_atomic(files[-1], "".join(f"{video_id}\n" for video_id in video_ids))
    files.append(folder / LABEL_MAP)
    write_text_atomic(files[-1], label_map.to_pbtxt())
    files.append(folder / GROUND_TRUTH)
    write_ava_table(files[-1], rows)
    return files


@dataclass(frozen=True)
class TubeFolder:
    """The content of a folder of ``write_tube_folder``.

    Attributes:
        rows: The rows of ``ground_truth.csv``.
        label_map: The actions.
        sizes: Length and size of each video.
        train_splits: Ids of the videos to train with, for each split.
        test_splits: Ids of the videos to measure on, for each split.
    """

    rows: AvaTable
    label_map: LabelMap
    sizes: VideoSizes
    train_splits: tuple[tuple[str, ...], ...]
    test_splits: tuple[tuple[str, ...], ...]


def read_tube_folder(folder: Path) -> TubeFolder:
    """Read a folder of ``write_tube_folder``.

    Args:
        folder: The folder.

    Returns:
        Its content.

    Raises:
        FormatError: A file is missing or cannot be read; names the file and the line.
    """
    splits: list[tuple[str, str]] = []
    while (folder / split_files(len(splits) + 1)[-1][1]).is_file():
        splits.append(split_files(len(splits) + 1)[-1])
    return TubeFolder(
        read_ground_truth(folder / GROUND_TRUTH),
        LabelMap.from_pbtxt(folder / LABEL_MAP),
        read_video_sizes(folder / VIDEOS),
        tuple(_video_ids(folder / train) for train, _ in splits),
        tuple(_video_ids(folder / test) for _, test in splits),
    )


def read_video_sizes(path: str | Path) -> VideoSizes:
    """Read a csv of ``video_id,num_frames,width,height`` with this heading.

    Args:
        path: The file.

    Returns:
        The sizes.

    Raises:
        FormatError: The file cannot be read, or a line has another form; names the line.
    """
    num_frames: dict[str, int] = {}
    resolutions: dict[str, tuple[int, int]] = {}
    lines = csv.reader(io.StringIO(_text(path)))
    try:
        for line in lines:
            if lines.line_num == 1:
                if tuple(line) != HEADING:
                    raise FormatError(f"{shown(path)}, line 1: the heading is {','.join(HEADING)}")
                continue
            video_id, *numbers = line
            frames, width, height = map(int, numbers)
            if not (0 <= frames < _MOST_FRAMES and 0 < width < _GREATEST_SIZE and 0 < height < _GREATEST_SIZE):
                raise ValueError
            if video_id in num_frames:
                raise FormatError(f"{shown(path)}, line {lines.line_num}: {shown(video_id)!r} is given twice")
            num_frames[video_id], resolutions[video_id] = frames, (height, width)
    except (ValueError, csv.Error) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"{shown(path)}, line {lines.line_num}: expected a video id and three whole numbers, {','.join(HEADING)}"
        ) from error
    return VideoSizes(num_frames, resolutions)


def _video_ids(path: Path) -> tuple[str, ...]:
    return tuple(line for line in _text(path).splitlines() if line)


def _text(path: str | Path) -> str:
    try:
        require_file(path, max_bytes=_MAX_BYTES)
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{shown(path)} cannot be read ({shown(error)})") from error
