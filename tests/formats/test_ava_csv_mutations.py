"""Good files of csv with mistakes in them: the rows as a person would read them, or a sentence with file and line.

The expected rows come from a plain reader of this module, line by line with one pattern for a number.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.ava_csv_header import LastColumn

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?([nN][aA][nN]|[iI][nN][fF](inity)?)")
# What a mutation puts in: parts of numbers, separators, other digits and signs, and bytes that are no text.
PIECES = [
    *(b"0", b"7", b".", b",", b"-", b"+", b"e", b"_", b" ", b"\t", b"\n", b"\r\n", b";", b"\0", b"x", b"#", b"1e999"),
    *(text.encode() for text in ("é", "١", "５", "\u00a0", "\ufeff", "−", "nan", "inf", "-1", "1e5", "1_000", "0x1F")),
    b"\xff",
    b"",
]

Row = tuple[str, float, list[float], int, float, int]


class BadLineError(Exception):
    """The lines of which a reader must name one."""

    def __init__(self, *lines: int) -> None:
        super().__init__(*lines)
        self.lines = lines


def number(cell: str, line: int) -> float:
    cell = cell.strip(" \t")
    if not NUMBER.fullmatch(cell):
        raise BadLineError(line)
    return float(cell)


def plain_row(cells: list[str], line: int, last_column: LastColumn) -> Row:
    video, timestamp = cells[0].removeprefix("\ufeff"), number(cells[1], line)
    if not video.strip() or "\0" in video or not math.isfinite(timestamp):
        raise BadLineError(line)
    if len(cells) == 2:
        return video, timestamp, [math.nan] * 4, -1, math.nan, -1
    box = [number(cell, line) for cell in cells[2:6]]
    action = -1.0
    if len(cells) > 6 and cells[6].strip(" \t"):
        action = number(cells[6], line)
        if not action.is_integer() or not 0 <= action <= 1_000_000:
            raise BadLineError(line)
    score, person = math.nan, -1
    if len(cells) == 8 and last_column == "score":
        score = number(cells[7], line)
        if math.isnan(score):
            raise BadLineError(line)
    elif len(cells) == 8:
        text = cells[7].strip()
        if "\0" in text:
            raise BadLineError(line)
        # The numbers of ids that are text are compared below -1 only.
        person = int(float(text)) if re.fullmatch(r"[0-9]{1,15}(\.0*)?|-1(\.0*)?", text) else -2 if text else -1
    return video, timestamp, box, int(action), score, person


def plain_rows(content: bytes, last_column: LastColumn) -> list[Row]:
    """Read a file without quotes and without a header, or raise ``BadLineError``."""
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        # The lines before it may be read first, or not.
        try:
            plain_rows(content[: content.rfind(b"\n", 0, error.start) + 1], last_column)
        except BadLineError as before:
            raise BadLineError(*before.lines, content.count(b"\n", 0, error.start) + 1) from None
        raise BadLineError(content.count(b"\n", 0, error.start) + 1) from None
    rows: list[Row] = []
    is_box_only: bool | None = None
    for line, cells in enumerate((line.split(",") for line in re.split(r"\r\n|\n|\r", text)), 1):
        if not "".join(cells).strip() and len(cells) == 1:
            continue
        if len(cells) not in (2, 6, 7, 8):
            raise BadLineError(line)
        if len(cells) > 2:
            if is_box_only not in (None, len(cells) == 6):
                raise BadLineError(line)
            is_box_only = len(cells) == 6
        rows.append(plain_row(cells, line, last_column))
    return rows


def check_rows(table: AvaTable, expected: list[Row]) -> None:
    assert [table.video_ids[i] for i in table.video_index] == [row[0] for row in expected]
    columns = zip(*(row[1:] for row in expected), strict=True) if expected else ((),) * 5
    timestamps, boxes, actions, scores, persons = columns
    assert table.timestamps_seconds.tolist() == list(timestamps)
    np.testing.assert_array_equal(table.boxes_fraction, np.reshape(boxes, (-1, 4)))
    assert table.action_ids.tolist() == list(actions)
    np.testing.assert_array_equal(table.scores, scores)
    assert np.maximum(table.person_ids, -2).tolist() == list(persons)


corners = st.integers(0, 1000).map(lambda thousandths: f"{thousandths / 1000:.3f}")


@st.composite
def good_files(draw: st.DrawFn) -> bytes:
    """Rows of one width, as detections, ground truth, proposals or keyframes have them; some of them begin alike."""
    width = draw(st.sampled_from([2, 6, 7, 8]))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        head = [draw(st.sampled_from(["v", "-5KQ66BBWC4", "é 1"])), draw(st.sampled_from(["0902", "902.5", "0"]))]
        head += [draw(corners) for _ in range(4)]
        for _ in range(draw(st.integers(1, 3))):
            tail = [str(draw(st.integers(0, 80))), draw(st.sampled_from(["0.5", "0.012345678901234567", "1", "0"]))]
            rows.append(",".join([*head, *tail][:width]))
    return "\n".join([*rows, ""]).encode()


def mutated(content: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Replace ``length`` bytes from ``place`` on by other ones, for each (place, length, bytes)."""
    for place, length, piece in mutations:
        start = place % (len(content) + 1)
        content = content[:start] + piece + content[start + length :]
    return content


mutations = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from([0, 0, 1, 1, 2, 9]), st.sampled_from(PIECES)), max_size=3
)


@settings(max_examples=400, deadline=None)
@given(content=good_files(), mutations=mutations, last_column=st.sampled_from(["score", "person_id"]))
def test_a_file_with_a_mistake_is_read_as_it_is_written_or_refused_by_its_line(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    mutations: list[tuple[int, int, bytes]],
    last_column: LastColumn,
) -> None:
    content = mutated(content, mutations)
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    path.write_bytes(content)
    try:
        expected = plain_rows(content, last_column)
    except BadLineError as bad:
        with pytest.raises(FormatError) as error:
            read_ava_csv(path, last_column=last_column)
        message = str(error.value)
        assert message.startswith(tuple(f"{path}, line {line}: " for line in bad.lines)) and "\n" not in message
    else:
        check_rows(read_ava_csv(path, last_column=last_column), expected)


@settings(max_examples=150, deadline=None)
@given(
    content=good_files(),
    header=st.sampled_from(
        ["video_id,timestamp,x1,y1,x2,y2,action_id,score", "time,video,top,left,bottom,right", "a,b"]
    ),
    mutations=mutations,
    quotes=st.lists(st.integers(0, 400), max_size=2),
)
def test_headers_and_quotes_with_mistakes_give_rows_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    header: str,
    mutations: list[tuple[int, int, bytes]],
    quotes: list[int],
) -> None:
    content = mutated(f"{header}\n".encode() + content, [*mutations, *((place, 0, b'"') for place in quotes)])
    path = tmp_path_factory.getbasetemp() / "mutated_header.csv"
    path.write_bytes(content)
    try:
        table = read_ava_csv(path)
    except FormatError as error:
        assert re.match(rf"{re.escape(str(path))}, line [1-9][0-9]*: ", str(error))
        assert "\n" not in str(error)
    else:
        assert np.isfinite(table.timestamps_seconds).all()
        assert all(video_id.strip() and "\0" not in video_id for video_id in table.video_ids)
        assert ((table.action_ids >= -1) & (table.action_ids <= 1_000_000)).all()
        assert len(table) <= content.count(b"\n") + content.count(b"\r") + 1
