"""Chips: names, sizes, cuts; that a person's colour and a kind's mark are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageColor

from ava_detect.structures.labels import ActionKind, LabelMap
from ava_detect.visualization.chips import (
    TRACK_COLOURS,
    Chip,
    ChipRow,
    Patch,
    Style,
    banner_strip,
    format_time,
    render_chip,
    short_name,
    track_colour,
)
from ava_detect.visualization.kind_marks import KIND_MARKS

HD = Style(1280, 720)
GREY = 128


def pasted(patch: Patch) -> np.ndarray:
    image = np.full((patch.height, patch.width, 3), GREY, np.uint8)
    patch.paste(image, 0, 0)
    return image


def chip(*names: str, number: str = "3", style: Style = HD, kind: ActionKind = ActionKind.POSE, score: float = 0.5):
    return Chip(tuple(ChipRow(name, kind, score) for name in names), TRACK_COLOURS[0], number, style)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("talk to (e.g., self, a person, a group)", "talk to"),
        ("hug (a person)", "hug a person"),
        ("give/serve (an object) to (a person)", "give/serve an object to a person"),
        ("stand", "stand"),
        ("two\nlines\t(here)", "two lines here"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short


def test_short_names_of_ava_stay_distinct() -> None:
    assert len({short_name(action.name) for action in LabelMap.ava()}) == 80


def test_a_track_keeps_its_colour_and_the_first_seven_differ() -> None:
    assert len({track_colour(i) for i in range(1, 8)}) == 7
    assert track_colour(8) == track_colour(1) == (230, 159, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (7.46, "0:07.5"), (59.96, "1:00.0"), (723, "12:03.0"), (3723.4, "1:02:03.4"), (-1.2, "-0:01.2")],
)
def test_times(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_sizes_follow_the_frame_but_stay_legible() -> None:
    assert [Style(w, h).font for w, h in ((320, 240), (1280, 720), (720, 1280), (3840, 2160))] == [11, 18, 18, 54]
    assert [Style(w, h).line for w, h in ((320, 240), (1280, 720), (1920, 1080), (3840, 2160))] == [2, 3, 4, 8]


def test_a_chip_renders_in_the_size_that_it_announces() -> None:
    for version in chip("stand", "talk to", "watch").versions():
        patch = render_chip(version)
        assert (patch.width, patch.height) == version.size


def test_shortened_chips_keep_the_best_actions() -> None:
    versions = chip("a", "b", "c").versions()
    assert ["".join(row.name for row in version.rows) for version in versions] == ["abc", "ab", "a"]


def test_a_long_name_is_cut_so_that_the_chip_stays_narrow() -> None:
    width, _ = chip("text on/look at a cellphone " * 5, style=Style(340, 256)).size
    assert width < 340 * 0.42 + 6 * 11


def test_the_tab_has_the_tracks_colour_and_the_score_bar_its_length() -> None:
    image = pasted(render_chip(chip("stand", score=0.25)))
    assert tuple(image[2, 1]) == TRACK_COLOURS[0]
    middle = image[HD.pad + HD.row // 2].astype(int)
    filled = (middle == (150, 215, 255)).all(axis=1)
    trough = (middle == (92, 92, 98)).all(axis=1)
    bar = slice(-2 * HD.pad - 2 * HD.font, -2 * HD.pad)
    assert (filled[bar].sum(), trough[bar].sum()) == (9, 27), "a quarter of 36 pixels"


@pytest.mark.parametrize("kind", list(ActionKind))
def test_a_kind_is_drawn_in_its_shape_and_colour(kind: ActionKind) -> None:
    image = pasted(render_chip(chip("a", kind=kind, number="")))
    glyph = image[:, 2 * HD.pad : 2 * HD.pad + HD.font]
    assert (glyph == ImageColor.getrgb(KIND_MARKS[kind].on_chip)).all(axis=2).any()
    widths = (glyph.max(axis=2) > 120).sum(axis=1)  # of the glyph, by row
    rows = widths[widths > 0].astype(int).tolist()
    thirds = rows[0], rows[len(rows) // 2], rows[-1]
    expected = {
        ActionKind.POSE: thirds[0] < thirds[1] > thirds[2],  # a disc
        ActionKind.OBJECT: max(rows[1:-1]) == min(rows[1:-1]),  # a square
        ActionKind.PERSON: thirds[0] < thirds[1] < thirds[2],  # a triangle
        ActionKind.UNKNOWN: thirds[0] < thirds[1] > thirds[2],  # a diamond
    }
    assert expected[kind], rows


def test_kinds_differ_in_shape_not_only_in_colour() -> None:
    masks = set()
    for kind in ActionKind:
        image = pasted(render_chip(chip("a", kind=kind, number="")))
        left = 2 * HD.pad
        masks.add((image[:, left : left + HD.font].max(axis=2) > 120).tobytes())
    assert len(masks) == len(ActionKind)


@pytest.mark.parametrize(
    "name", ["\"quoted\" <b>&amp;</b> 'x'", "говорить 話す 🙂", "", "a" * 500, "\u202eright to left"]
)
def test_strange_names_do_not_crash(name: str) -> None:
    assert render_chip(chip(name)).width <= 1280
    assert banner_strip(name, HD).width == 1280


def test_pasting_blends_by_alpha_and_cuts_at_the_edge() -> None:
    patch = Patch(Image.new("RGBA", (4, 3), (255, 0, 51, 51)))  # alpha 0.2
    image = np.full((5, 6, 3), 101, np.uint8)
    patch.paste(image, 3, 3)
    assert image[3:, 3:].tolist() == [[[132, 81, 91]] * 3] * 2, "80.8 + (51, 0, 10.2), rounded"
    image[3:, 3:] = 101
    assert (image == 101).all()
