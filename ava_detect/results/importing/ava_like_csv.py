"""Csv files of boxes like AVA's, as projects write their own: a row per box and action, or per box.

Other habits that are understood: a header with the columns in any order and under many names (``csv_columns``), tabs or
semicolons, boxes in pixels (of the file's own frames, as OpenCV sees them) or by a point and their size, numbers of
frames or milliseconds for seconds, names of images, names of actions for ids, ids that count from 0, several actions in
a cell (``;`` or ``|``), names of people. A file in AVA's own form is read as it is.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv_header import looks_like_header
from ava_detect.formats.ava_table import LARGEST_FRACTION
from ava_detect.results.importing.action_attributes import is_action_name, quoted
from ava_detect.results.importing.action_ids import placeholder
from ava_detect.results.importing.csv_columns import check_header, columns_of, named_columns
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.image_keyframes import Keyframe, keyframes_of_names
from ava_detect.results.importing.labels import LabelledPerson, ToolLabels, box_fraction, finite_number
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.measured_video import MeasuredVideo
from ava_detect.structures.labels import GREATEST_ACTION_ID

_GZIP = b"\x1f\x8b"
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_WHOLE = re.compile(r"\d{1,7}(?:\.0*)?")
_SEVERAL = re.compile(r"[;|]")
_CORNERS = ("x1", "y1", "x2", "y2")
_TIMES = frozenset(("timestamp", "milliseconds", "frame"))
_OF_BOXES = ("x", "y", "cx", "cy", *_CORNERS, *(f"{name}_px" for name in _CORNERS))
_MAX_CELL_SHOWN = 60


def is_ava_like_csv(start: FileStart) -> bool:
    """Tell whether a file is a table of boxes.

    Args:
        start: Its outside.

    Returns:
        True where the first line is a header of boxes and times, or a row of AVA's csv.
    """
    return start.kind == "table" and columns_of(start.names) is not None


def read_ava_like_csv(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read a csv of boxes with actions.

    Args:
        path: The file, plain or gzipped, with commas, tabs or semicolons.
        videos: Finds the videos, whose frame times or sizes are needed where the file has numbers of frames or pixels.

    Returns:
        A person per row; rows of video and time alone are keyframes without people.

    Raises:
        FormatError: A row cannot be read; names the file, the line and the cell.
        VideoError: A video cannot be decoded.
    """
    return _Reader(path, videos).read()


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the file: its line and its cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass
class _Meaning:
    """What the numbers of a file mean, which is seen from all of them.

    Attributes:
        are_pixels: Whether boxes are in pixels.
        are_ids: Whether actions are ids, not names.
        last_is_score: Whether the last column of a file without header has scores, not people.
        last_frames: Name of a video -> the largest number of a frame.
        images: Names of images.
    """

    are_pixels: bool = False
    are_ids: bool = True
    last_is_score: bool = False
    last_frames: dict[str | None, int] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Reads one file twice: first to see what its numbers mean. Rows are not kept, since a file may have millions."""

    def __init__(self, path: Path, videos: VideoLookup) -> None:
        self._path, self._shown_path = path, shown(path)
        self._videos = videos
        self._labels = ToolLabels()
        self._meaning = _Meaning()
        self._unused: dict[int, str] = {}
        # The same texts and actions in many rows are one object.
        self._known: dict[object, Any] = {}

    def read(self) -> ToolLabels:
        self._judge()
        ids: dict[str, int] = {}
        for row in self._rows():
            self._take(row, ids)
        self._labels.action_ids = ids
        return self._labels

    def _where(self, line: int) -> str:
        return f"{self._shown_path}, line {line}"

    def _rows(self, *, counts_unused: bool = False) -> Iterator[_Row]:
        """Yield the rows that are not blank, with their cells under the names of their columns."""
        columns: list[str] = []
        is_named = False
        for line, cells in _Lines(self._path):
            if not columns:
                is_named = looks_like_header(cells)
                columns = (
                    named_columns(cells) if is_named else ["video_id", "timestamp", *_CORNERS, "action_id", "last"]
                )
                if is_named:
                    check_header(cells, columns, self._where(line))
                    self._unused = {i: cell.strip() for i, cell in enumerate(cells) if not columns[i] and cell.strip()}
                    continue
            if not is_named and len(cells) not in (2, 6, 7, 8):
                raise FormatError(
                    f"{self._where(line)}: {len(cells)} columns, expected video_id,timestamp,x1,y1,x2,y2,action_id"
                    "[,person_id], or video_id,timestamp alone; other columns need a header that names them"
                )
            if is_named and len(cells) != len(columns) and len(cells) > 2:
                raise FormatError(f"{self._where(line)}: {len(cells)} cells, and the header names {len(columns)}")
            for column, name in self._unused.items() if counts_unused else ():
                if column < len(cells) and cells[column].strip():
                    self._labels.dropped[f"values of the column {quoted(name)}"] += 1
            yield _Row(line, {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name})

    def _judge(self) -> None:
        """See what the numbers of the file mean: pixels, ids, frames, and the last column of a file without header."""
        meaning = self._meaning
        num_lasts, num_scores, any_broken, all_scores = 0, 0, False, True
        for row in self._rows(counts_unused=True):
            cells = row.cells
            if last := cells.get("last"):
                num_lasts += 1
                any_broken = any_broken or _is_broken(last)
                all_scores = all_scores and _is_score(last)
            num_scores += bool(cells.get("score"))
            if meaning.are_ids:
                meaning.are_ids = all(_WHOLE.fullmatch(action) for action in self._actions(row))
            if any(name.endswith("_px") for name in cells):
                meaning.are_pixels = True
            elif _has_box(row):
                where = self._where(row.line)
                found = [finite_number(cells[n], f"the cell {n}", where) for n in _box_columns(row)]
                meaning.are_pixels = meaning.are_pixels or max(map(abs, found)) > LARGEST_FRACTION
            if (number := cells.get("frame")) and _WHOLE.fullmatch(number):
                video = cells.get("video_id")
                meaning.last_frames[video] = max(meaning.last_frames.get(video, 0), int(float(number)))
            if not (cells.keys() & _TIMES):
                image = cells.get("image", "")
                meaning.images.setdefault(image, image)
        meaning.last_is_score = any_broken and all_scores
        self._labels.dropped["scores"] += num_lasts if meaning.last_is_score else num_scores

    def _take(self, row: _Row, ids: dict[str, int]) -> None:
        where = self._where(row.line)
        video, seconds = self._keyframe(row, where)
        if not _has_box(row):
            if any(row.cells.get(name) for name in ("action_id", "action_name")):
                raise FormatError(f"{where}: an action without a box; give the box, or leave the action empty")
            self._labels.empty_keyframes.append((video, seconds))
            return
        corners = self._corners(row, where)
        width, height = self._frame_size(row, video, where) if self._meaning.are_pixels else (1.0, 1.0)
        box = box_fraction(corners, width, height, where)
        names = []
        for action in self._actions(row):
            if self._meaning.are_ids:
                action_id = int(float(action))
                if action_id > GREATEST_ACTION_ID:
                    raise FormatError(
                        f"{where}: the action is {action_id}; ids are whole numbers up to {GREATEST_ACTION_ID}"
                    )
                name = self._name_beside(row) or placeholder(action_id)
                if ids.setdefault(name, action_id) != action_id:
                    raise FormatError(f"{where}: the action {quoted(name)} has the ids {ids[name]} and {action_id}")
                names.append(name)
            elif is_action_name(action):
                names.append(action)
        same = self._known.setdefault
        actions, person = tuple(names), self._person(row)
        self._labels.people.append(
            LabelledPerson(same(video, video), seconds, box, same(actions, actions), same(person, person))
        )

    def _actions(self, row: _Row) -> list[str]:
        text = row.cells.get("action_id", "")
        return [part.strip() for part in _SEVERAL.split(text) if part.strip() and part.strip() != "-1"]

    def _name_beside(self, row: _Row) -> str:
        """Return the name in the column beside the id, where there is one and it names one action."""
        name = row.cells.get("action_name", "")
        return name if name and len(self._actions(row)) == 1 else ""

    def _person(self, row: _Row) -> str | None:
        text = row.cells.get("person_id", "" if self._meaning.last_is_score else row.cells.get("last", ""))
        whole = re.fullmatch(r"(\d{1,18})\.0*", text)
        return (whole[1] if whole else text) if text and not re.fullmatch(r"-1(?:\.0*)?", text) else None

    def _keyframe(self, row: _Row, where: str) -> tuple[str, float]:
        """Return the video and the time from the first frame."""
        name = row.cells.get("video_id", "")
        if not name and "video_id" not in row.cells and not row.cells.get("image"):
            # A file of one video.
            name = self._path.name.removesuffix(".gz").rpartition(".")[0] or self._path.name
        if (text := row.cells.get("timestamp")) is not None:
            seconds = _seconds(text, where)
        elif (text := row.cells.get("milliseconds")) is not None:
            seconds = finite_number(text, "the time in milliseconds", where) / 1000
        elif (text := row.cells.get("frame")) is not None:
            return self._frame_time(name, text, where)
        else:
            return self._keyframes[row.cells.get("image", "")]
        if not name:
            raise FormatError(f"{where}: the video is empty; give its name")
        return self._videos.id_of(name), seconds - self._videos.start_seconds

    @cached_property
    def _keyframes(self) -> dict[str, Keyframe]:
        """The keyframes of the images by their names, which are understood together."""
        return keyframes_of_names(self._meaning.images, self._videos, self._shown_path)

    def _frame_time(self, name: str, text: str, where: str) -> tuple[str, float]:
        video = self._video(name, where, "frame numbers become times")
        frame = finite_number(text, "the frame", where)
        if not frame.is_integer() or not 0 <= frame <= video.num_frames:
            raise FormatError(f"{where}: the frame is {_cell(text)}, and the video has {video.num_frames} frames")
        # Numbers from 1, where the file has one more than the last frame has from 0.
        index = int(frame) - self._first_frame(name, video.num_frames)
        if index < 0:
            raise FormatError(f"{where}: frame 0, and another row has frame {video.num_frames}, the last one from 1")
        return video.video_id, float(video.frame_times[index])

    def _first_frame(self, name: str, num_frames: int) -> int:
        last = max(self._meaning.last_frames.get(video, 0) for video in (name, None))
        return int(last == num_frames)

    def _video(self, name: str, where: str, need: str) -> MeasuredVideo:
        return self._videos.get(name, where=where, need=need)

    def _frame_size(self, row: _Row, video: str, where: str) -> tuple[float, float]:
        if row.cells.get("frame_width") and row.cells.get("frame_height"):
            return (
                finite_number(row.cells["frame_width"], "the width of the frame", where),
                finite_number(row.cells["frame_height"], "the height of the frame", where),
            )
        return self._video(video, where, "boxes are in its pixels").decoded_size

    def _corners(self, row: _Row, where: str) -> list[float]:
        """Return x1, y1, x2, y2 in the file's unit."""
        names = _box_columns(row)
        a, b, c, d = (finite_number(row.cells[name], f"the cell {name}", where) for name in names)
        if names[2] not in ("width", "height"):
            if a > c or b > d:
                raise FormatError(
                    f"{where}: boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got {a:g}, {b:g}, {c:g}, {d:g}; is it "
                    "x, y, width and height? Then name the columns so"
                )
            return [a, b, c, d]
        if c < 0 or d < 0:
            raise FormatError(f"{where}: the width and the height of a box are at least 0, got {c:g} and {d:g}")
        return [a - c / 2, b - d / 2, a + c / 2, b + d / 2] if names[0] == "cx" else [a, b, a + c, b + d]


class _Lines:
    """The lines of a file that are not blank, as cells, with their numbers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        try:
            with self._opened() as file:
                separator = ""
                for line, text in enumerate(file, 1):
                    if not text.strip() or (not separator and text.lstrip().startswith("#")):
                        continue
                    separator = separator or max(",\t;", key=text.count)
                    yield line, next(csv.reader([text.rstrip("\r\n")], delimiter=separator, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise FormatError(
                f"{shown(self._path)}: the csv cannot be read ({shown(error)}); save it as UTF-8"
            ) from error
        except (OSError, EOFError) as error:
            raise FormatError(f"{shown(self._path)} cannot be read ({shown(error)})") from error

    def _opened(self) -> IO[str]:
        with self._path.open("rb") as file:
            is_packed = file.read(2) == _GZIP
        if is_packed:
            return gzip.open(self._path, "rt", encoding="utf-8-sig", newline="")
        return self._path.open(encoding="utf-8-sig", newline="")


def _box_columns(row: _Row) -> tuple[str, str, str, str]:
    """Return the names of the four columns of the box."""
    cells = row.cells
    if "width" in cells and "x2" not in cells and "x2_px" not in cells:
        if "cx" in cells:
            return "cx", "cy", "width", "height"
        left, top = (next(name for name in (f"{a}", f"{a}1", f"{a}1_px") if name in cells) for a in "xy")
        return left, top, "width", "height"
    x1, y1, x2, y2 = (name if name in cells else f"{name}_px" for name in _CORNERS)
    return x1, y1, x2, y2


def _has_box(row: _Row) -> bool:
    """Whether a row has a box: one of video and time alone has none, and neither one whose cells are empty."""
    return any(row.cells.get(name) for name in _OF_BOXES)


def _seconds(text: str, where: str) -> float:
    """Return a time in seconds, or as ``hours:minutes:seconds``."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return finite_number(text, "the timestamp", where)


def _is_score(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_broken(text: str) -> bool:
    try:
        return not math.isnan(float(text)) and not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def _cell(text: str) -> str:
    return repr(shown(text if len(text) <= _MAX_CELL_SHOWN else text[:_MAX_CELL_SHOWN] + "..."))
