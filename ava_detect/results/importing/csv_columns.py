"""The columns of csv files of boxes: AVA's under their many names, and those that other habits put in their place."""

from __future__ import annotations

from collections.abc import Sequence

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv_header import COLUMNS, compact_name, known_columns, looks_like_header

_OTHERS = {
    name: column
    for column, names in {
        "frame": (
            "frame frames frameid frameidx frameindex frameno framenum framenumber frameframe fid fno keyframe "
            "keyframeid middleframe"
        ),
        "milliseconds": "ms msec timems timestampms milliseconds millisecond timemilliseconds",
        "x": "x xleft bboxx boxx bbx",
        "y": "y ytop bboxy boxy bby",
        "width": "w width bw bboxw bboxwidth boxw boxwidth wbox bbwidth",
        "height": "h height bh bboxh bboxheight boxh boxheight hbox bbheight",
        "cx": "cx xc xcenter xcentre centerx centrex xctr xmid bboxcx",
        "cy": "cy yc ycenter ycentre centery centrey yctr ymid bboxcy",
        "frame_width": "imagewidth imgwidth imgw imagew framewidth framew videowidth videow",
        "frame_height": "imageheight imgheight imgh imageh frameheight frameh videoheight videoh",
        "image": "image img imagename imgname imagefile imagepath imageid imgid filename filepath file framefile",
        "action_name": (
            "actionname labelname classname categoryname activity activityname behavior behaviour behaviorname "
            "behaviourname actions labels activities behaviors behaviours verb eventname"
        ),
    }.items()
    for name in names.split()
}
_CORNERS = COLUMNS[2:6]
_NO_HEADER = (*COLUMNS, "person_id")


def named_columns(cells: Sequence[str]) -> list[str]:
    """Return the columns that a header names.

    Args:
        cells: The cells of the header.

    Returns:
        For each cell a column of ``COLUMNS``, with ``_px`` where it is a corner in pixels; ``person_id``, ``score``,
        ``frame``, ``milliseconds``, ``x``, ``y``, ``width``, ``height``, ``cx``, ``cy``, ``frame_width``,
        ``frame_height``, ``image`` or ``action_name``; empty for another name.
    """
    known = known_columns(cells)
    columns = [_OTHERS.get(compact_name(cell)) or known[i] or "" for i, cell in enumerate(cells)]
    if "x_px" not in columns and columns.count("action_name") and "action_id" not in columns:
        columns[columns.index("action_name")] = "action_id"
    return columns


def columns_of(cells: Sequence[str]) -> tuple[list[str], bool] | None:
    """Return the columns of a file by its first line.

    Args:
        cells: The cells of the line.

    Returns:
        The columns, and whether the line is a header; None where they are no columns of boxes.
    """
    if looks_like_header(cells):
        columns = named_columns(cells)
        return (columns, True) if not missing(columns) else None
    columns = list(_NO_HEADER[: len(cells)])
    if len(cells) not in (2, 6, 7, 8) or not all(_is_number(cell) for cell in cells[2:6]):
        return None
    return (columns, False) if len(cells) > 2 else None


def missing(columns: Sequence[str]) -> str:
    """Say what a header lacks.

    Args:
        columns: Its columns.

    Returns:
        A clause; empty where nothing is missing.
    """
    found = set(columns)
    corners = {name.removesuffix("_px") for name in found}
    has_size = {"width", "height"} <= found
    if not (corners.issuperset(_CORNERS) or (has_size and ({"x", "y"} <= found or {"cx", "cy"} <= found))):
        has_left = {"x1", "y1"} <= corners and has_size
        if not has_left:
            return "a box: x1,y1,x2,y2, or x,y,width,height, or cx,cy,width,height"
    if not found & {"timestamp", "frame", "milliseconds", "image"}:
        return "a time: timestamp, frame, ms or image"
    return ""


def check_header(cells: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Refuse a header that names a column twice, or lacks one.

    Args:
        cells: The cells of the header.
        columns: Their columns.
        where: The file and the line, for the message.

    Raises:
        FormatError: So it is.
    """
    for number, column in enumerate(columns):
        first = list(columns).index(column)
        if column and first < number:
            raise FormatError(
                f"{where}: the header calls columns {first + 1} and {number + 1} {shown(cells[first])!r} and "
                f"{shown(cells[number])!r}, and both mean {column}; leave one of them"
            )
    if lacks := missing(columns):
        raise FormatError(f"{where}: the header {shown(','.join(cells))[:120]} does not name {lacks}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
