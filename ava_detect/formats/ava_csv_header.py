"""The columns of an AVA csv: the standard order, or the order in which the file's header line names them.

A header is read by its names, in any order. Each name must be a known name of a column. Any other name (a frame
number, a box as x, y, width and height, pixels, a language that this module does not know) is refused, because in the
standard order the rows would then silently mean something else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from ava_detect.errors import shown

LastColumn = Literal["score", "person_id"]

#: The columns of rows in the standard order; column 8 is a score or a person id.
COLUMNS = ("video_id", "timestamp", "x1", "y1", "x2", "y2", "action_id")
NUM_KEYFRAME_COLUMNS, NUM_BOX_COLUMNS = 2, 6  # rows that only list a keyframe; rows of a box without an action
_CORNERS = COLUMNS[2:6]
_KNOWN_ORDERS = (*COLUMNS, "score or person_id")
_MAX_NAME_SHOWN = 40

# Names are compared in lower case, without blanks and punctuation: "X Min" and "x_min" are "xmin".
_SYNONYMS = {
    "video_id": "video videoid videoname vid vidid movie movieid moviename clip clipid clipname youtubeid",
    "timestamp": (
        "timestamp timestamps time times t second seconds sec secs s timesec timesecs timesecond timeseconds "
        "timestampsec timestampsecs timestampsecond timestampseconds timeinseconds timestampinseconds "
        "middleframetimestamp middletimestamp keyframetimestamp keyframetime frametimestamp frametime"
    ),
    "x1": "x1 xmin minx left xleft leftx xtl tlx",
    "y1": "y1 ymin miny top ytop topy ytl tly",
    "x2": "x2 xmax maxx right xright rightx xbr brx",
    "y2": "y2 ymax maxy bottom ybottom bottomy ybr bry",
    "action_id": "action actionid actionlabel actionclass label labelid class classid category categoryid",
    "score": (
        "score scores conf confidence prob probability actionscore detectionscore detscore personscore boxscore "
        "confidencescore"
    ),
    "person_id": (
        "person personid personids pid track trackid tracks identity identityid entityid objectid instanceid trackletid"
    ),
}
_COLUMN_OF_NAME = {name: column for column, names in _SYNONYMS.items() for name in names.split()}
_FROM_ZERO = {"x0": "x1", "y0": "y1", "x1": "x2", "y1": "y2"}
# Words around the name of a corner that do not change its meaning, such as "bbox_x1" and "x1_norm".
_BOX_PREFIX = re.compile(r"^(?:boundingbox|bbox|box|bb|normalized|normalised|norm|rel)")
_FRACTION_SUFFIX = re.compile(r"(?:norm|normalized|normalised|rel|relative|frac|fraction)$")

_IS_FRAME = "a frame number, not a time; the timestamp is in seconds: divide the number by the video's frame rate"
_IS_OTHER_UNIT = "not in seconds, and the timestamp is in seconds"
_IS_CENTRE = "the centre of a box, and boxes are given by their corners: x1 = cx - w / 2, x2 = cx + w / 2"
_IS_SIZE = "the size of a box, and boxes are given by their corners: x2 = x + width, y2 = y + height"
_IS_X_OR_Y = "a point of a box given by its size, and boxes are given by their corners: x1 = x, x2 = x + width"
_IS_PIXELS = "in pixels, and corners are fractions of the frame: divide x by its width and y by its height"
_OTHER_MEANINGS = {
    name: meaning
    for meaning, names in {
        _IS_FRAME: "idx index imageid imgid image img fid fno",
        _IS_OTHER_UNIT: "ms msec msecs timems timestampms milliseconds us timeus timestampus ns timens minutes pts",
        _IS_CENTRE: "cx cy xc yc xcenter ycenter xcentre ycentre centerx centery centrex centrey xctr yctr xmid ymid",
        _IS_SIZE: "w h width height bw bh wbox hbox",
        _IS_X_OR_Y: "x y",
    }.items()
    for name in names.split()
}
_PIXEL_SUFFIX = re.compile(r"(?:px|pix|pixel|pixels|abs|absolute)$")


def standard_columns(last_column: LastColumn) -> dict[int, tuple[str, ...]]:
    """Return the columns of a file without a header.

    Args:
        last_column: The meaning of column 8.

    Returns:
        Number of cells of a row -> the columns that they are.
    """
    columns = (*COLUMNS, last_column)
    return {width: columns[:width] for width in (NUM_KEYFRAME_COLUMNS, NUM_BOX_COLUMNS, len(COLUMNS), len(columns))}


def looks_like_header(cells: Sequence[str]) -> bool:
    """Check whether a line is a header: no cell after the first one is, or begins like, a number.

    Cells that number the columns of a box from 0 are a header too, which pandas writes; no row has such a box.

    Args:
        cells: The cells of the first line that is not blank.

    Returns:
        True for a header in any language, with known names or others.
    """
    if len(cells) >= NUM_BOX_COLUMNS and list(cells) == [str(number) for number in range(len(cells))]:
        return True
    names = [cell.strip() for cell in cells[1:]]
    return any(names) and not any(name and _begins_like_number(name) for name in names)


def header_columns(cells: Sequence[str], last_column: LastColumn) -> dict[int, tuple[str, ...]]:
    """Find the columns that a header names.

    Args:
        cells: The cells of the header.
        last_column: The column that the caller needs in addition to ``COLUMNS``, if the file has it.

    Returns:
        Number of cells of a row -> the columns that they are, as ``standard_columns``; an empty name for a column that
        is not used. A header in the standard order also allows rows with fewer cells, any order allows rows of video
        and timestamp alone if it begins with these.

    Raises:
        ValueError: A name is unknown, names something else or a column that another one names too; or a column is
            missing. The message names the column, but neither file nor line.
    """
    compact = [compact_name(cell) for cell in cells]
    # x0,y0,x1,y1: here x1 is the right side.
    from_zero = _FROM_ZERO if {"x0", "y0"} <= {_corner(name) for name in compact} else {}
    columns = [_column(compact[i], cell, i + 1, from_zero) for i, cell in enumerate(cells)]
    _check(columns, cells, last_column)
    # Of score and person id only the one that the caller needs is used.
    used = tuple(column if column in (*COLUMNS, last_column) else "" for column in columns)
    standard = standard_columns(last_column)
    if used == standard[max(standard)][: len(used)]:
        return {width: standard[width] for width in standard if width <= len(used)} | {len(used): used}
    widths = {len(used): used}
    if used[:NUM_KEYFRAME_COLUMNS] == COLUMNS[:NUM_KEYFRAME_COLUMNS]:
        widths[NUM_KEYFRAME_COLUMNS] = COLUMNS[:NUM_KEYFRAME_COLUMNS]
    return widths


def compact_name(cell: str) -> str:
    """Return the form of a column's name in which names are compared.

    Args:
        cell: The name, as a header has it.

    Returns:
        It in lower case, in the characters that every spelling of it has: letters and digits.
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", cell).casefold())


def known_columns(cells: Sequence[str]) -> list[str | None]:
    """Tell which columns of this format a header names, for readers that know further ones.

    Args:
        cells: The cells of the header.

    Returns:
        For each cell ``COLUMNS``, ``score`` or ``person_id``, with ``_px`` after a corner in pixels; None for others.
    """
    compact = [compact_name(cell) for cell in cells]
    from_zero = _FROM_ZERO if {"x0", "y0"} <= {_corner(name) for name in compact} else {}
    found: list[str | None] = []
    for name in compact:
        corner = _corner(name)
        bare = _PIXEL_SUFFIX.sub("", _BOX_PREFIX.sub("", name))
        column = from_zero.get(corner) or _COLUMN_OF_NAME.get(name) or _COLUMN_OF_NAME.get(corner)
        if column is None and _COLUMN_OF_NAME.get(bare) in _CORNERS:
            column = f"{from_zero.get(bare) or _COLUMN_OF_NAME[bare]}_px"
        is_known = column is not None and (column in _CORNERS or column.endswith("_px") or name in _COLUMN_OF_NAME)
        found.append(column if is_known or corner in from_zero else None)
    return found


def _check(columns: Sequence[str], cells: Sequence[str], last_column: LastColumn) -> None:
    """Refuse columns that are named twice or missing, and a person id where a score is expected or the reverse."""
    number_of: dict[str, int] = {}
    for number, column in enumerate(columns, 1):
        if column in number_of:
            first = number_of[column]
            names = f"{_name(cells[first - 1])} and {_name(cells[number - 1])}"
            raise ValueError(
                f"the header calls columns {first} and {number} {names}, and both mean {column}; leave one of them"
            )
        number_of[column] = number
    other = "person_id" if last_column == "score" else "score"
    if other in number_of and last_column not in number_of:
        raise ValueError(
            f"the header calls column {number_of[other]} {_name(cells[number_of[other] - 1])} where {last_column!r} is "
            "expected: detections have a score there and ground truth a person id (`last_column`)"
        )
    has_box = not number_of.keys().isdisjoint({*_CORNERS, "action_id", "score", "person_id"})
    required = COLUMNS[: NUM_BOX_COLUMNS if has_box else NUM_KEYFRAME_COLUMNS]
    if missing := [column for column in required if column not in number_of]:
        raise ValueError(f"the header names no column {', '.join(missing)}; it needs {','.join(required)}")


def _column(name: str, cell: str, number: int, from_zero: Mapping[str, str]) -> str:
    """Return the column of one compact name of a header; ``cell`` and ``number`` are for the message."""
    corner = _corner(name)
    column = from_zero.get(corner) or _COLUMN_OF_NAME.get(name)
    if column is None and _COLUMN_OF_NAME.get(corner) in _CORNERS:
        column = _COLUMN_OF_NAME[corner]
    if column is not None:
        return column
    if meaning := _other_meaning(name):
        raise ValueError(f"the header calls column {number} {_name(cell)}, which is {meaning}")
    what = _name(cell) if name else "nothing at all"
    raise ValueError(
        f"the header calls column {number} {what}, which is the name of no known column; name the columns "
        f"{', '.join(_KNOWN_ORDERS)} in any order, or leave the header out where they are in this order"
    )


def _corner(name: str) -> str:
    """Return a compact name without the words around a corner's name: ``bboxx1`` and ``x1norm`` are ``x1``."""
    return _FRACTION_SUFFIX.sub("", _BOX_PREFIX.sub("", name))


def _other_meaning(name: str) -> str | None:
    """Return what a compact name means if it is known and no column of this format."""
    bare = _BOX_PREFIX.sub("", name)
    if _COLUMN_OF_NAME.get(_PIXEL_SUFFIX.sub("", bare)) in _CORNERS:
        return _IS_PIXELS
    if "frame" in name:
        return _IS_FRAME
    return _OTHER_MEANINGS.get(name) or _OTHER_MEANINGS.get(_corner(name))


def _name(cell: str) -> str:
    """Quote a name of the header for a message."""
    name = shown(cell.strip("\ufeff \t"))
    return repr(name if len(name) <= _MAX_NAME_SHOWN else name[:_MAX_NAME_SHOWN] + "...")


def _begins_like_number(text: str) -> bool:
    """Check whether a cell is a number, or begins with a digit, a sign or a point."""
    if text[0].isdigit() or text[0] in "+-.":
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
