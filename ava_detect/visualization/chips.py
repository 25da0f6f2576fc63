"""Label chips, banner, time stamp and legend: small images that are rendered once and pasted onto frames.

A chip starts with a tab in the person's colour with their track id. Then follows a row per action: the glyph of the
action's kind (``kind_marks``: a disc for a pose, a square for an object, a triangle for another person), the action's
name, and its score as a bar. With ground truth a row ends in a tick (right), a cross (wrong) or a ring (missed: true
but not predicted). Sizes follow the frame, so that chips look alike from 240p to 4K.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ava_detect.structures.labels import ActionKind
from ava_detect.visualization.kind_marks import KIND_MARKS

RGBImage = npt.NDArray[np.uint8]  # [H, W, 3]
Colour = tuple[int, int, int]

# The palette of Okabe and Ito, which people with the common forms of colour blindness can tell apart
# (https://jfly.uni-koeln.de/color/), without black, in an order in which neighbours differ much.
TRACK_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermillion
    (0, 114, 178),  # blue
)
DARK: Colour = (18, 18, 22)
_BACKGROUND = (*DARK, 205)  # RGBA, as are the next three
_TEXT = (255, 255, 255, 255)
_EMPTY_BAR = (92, 92, 98, 255)
_BANNER_BACKGROUND = (150, 20, 20, 225)
# Glyphs are drawn this many times larger and then reduced, for smooth edges.
_GLYPH_OVERSAMPLING = 8


def track_colour(track_id: int) -> Colour:
    """Return the colour of a track.

    Args:
        track_id: The id, counted from 1.

    Returns:
        RGB, always the same for the same id; colours repeat after seven ids.
    """
    return TRACK_COLOURS[(track_id - 1) % len(TRACK_COLOURS)]


@dataclass(frozen=True)
class Style:
    """Sizes of all drawn parts, derived from the size of the frame.

    Attributes:
        frame_width: Width of the frame, pixels.
        frame_height: Height of the frame, pixels.
    """

    frame_width: int
    frame_height: int

    @property
    def font(self) -> int:
        """Font size (height of the em square), pixels; at least 11, below which words run together."""
        return max(11, round(min(self.frame_width, self.frame_height) * 0.025))

    @property
    def line(self) -> int:
        """Thickness of the outline of a box, pixels."""
        return max(2, round(min(self.frame_width, self.frame_height) / 270))

    @property
    def pad(self) -> int:
        """Space around and between the parts of a chip, pixels."""
        return max(2, round(self.font * 0.3))

    @property
    def row(self) -> int:
        """Height of a row of a chip, pixels."""
        return round(self.font * 1.3)

    @property
    def longest_text(self) -> int:
        """Width above which an action's name is cut and ends in an ellipsis, pixels."""
        return round(self.frame_width * 0.42)


class Verdict(StrEnum):
    """How a predicted action compares with the ground truth; ``NONE`` without ground truth."""

    NONE = "none"
    RIGHT = "right"
    WRONG = "wrong"
    MISSED = "missed"


# From the palette of Okabe and Ito as well; each verdict also has a shape of its own.
_VERDICT_COLOURS: dict[Verdict, Colour] = {
    Verdict.RIGHT: (60, 205, 150),
    Verdict.WRONG: (255, 120, 60),
    Verdict.MISSED: (240, 228, 66),
}


class ChipRow(NamedTuple):
    """One action on a chip.

    Attributes:
        name: The action's name.
        kind: The action's kind, which selects glyph and colour.
        score: The score in 0..1, drawn as a bar.
        verdict: The comparison with the ground truth.
    """

    name: str
    kind: ActionKind
    score: float
    verdict: Verdict = Verdict.NONE


class Patch:
    """A small image with transparency, stored premultiplied so that pasting is fast.

    Args:
        image: The image, of any Pillow mode.

    Attributes:
        height: Height, pixels.
        width: Width, pixels.
    """

    def __init__(self, image: Image.Image) -> None:
        rgba = np.asarray(image.convert("RGBA"), np.uint16)  # [h, w, 4]
        self._colour = rgba[..., :3] * rgba[..., 3:]  # [h, w, 3], colour times alpha, at most 255 * 255
        self._keep = 255 - rgba[..., 3:]  # [h, w, 1], weight of the image below
        self.height, self.width = rgba.shape[:2]

    def paste(self, image: RGBImage, x: int, y: int) -> None:
        """Blend the patch into an image in place.

        Args:
            image: uint8 RGB ``[H, W, 3]``, changed in place.
            x: Left edge of the patch in the image, 0 or more; what lies outside the image is cut off.
            y: Top edge of the patch in the image, 0 or more.
        """
        region = image[y : y + self.height, x : x + self.width]  # a view [rows, columns, 3]
        rows, columns = region.shape[:2]
        blended = self._colour[:rows, :columns] + region * self._keep[:rows, :columns]
        region[...] = (blended + 127) // 255  # rounded to the nearest integer


def page_colours() -> list[str]:
    """Return the colours of tracks as style sheets have them."""
    return [f"rgb({red} {green} {blue})" for red, green, blue in TRACK_COLOURS]


def short_name(name: str) -> str:
    """Return an action's name without its lists of examples and without brackets, on one line.

    Args:
        name: The name as in the label map.

    Returns:
        The short name: ``talk to (e.g., self, a person, a group)`` becomes ``talk to``, and ``hug (a person)`` becomes
        ``hug a person``.
    """
    without_examples = re.sub(r"\(e\.g\.[^)]*\)", " ", name)
    return " ".join(re.sub(r"[()]", " ", without_examples).split())


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's built-in font with its basic layout engine, so that drawings are equal on all machines."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "with a size given, Pillow loads its FreeType font"
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return ``text``, cut and ended with an ellipsis where it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    length = next((n for n in range(len(text) - 1, 0, -1) if font.getlength(text[:n] + "…") <= width), 0)
    return text[:length].rstrip() + "…"


@lru_cache(maxsize=16)
def _glyph(kind: ActionKind, size: int) -> Image.Image:
    """Return the glyph of a kind as an anti-aliased mask of ``size`` by ``size`` pixels."""
    full = size * _GLYPH_OVERSAMPLING
    mask = Image.new("L", (full, full))
    draw = ImageDraw.Draw(mask)
    corners = KIND_MARKS[kind].corners
    if corners:
        draw.polygon([(x * full, y * full) for x, y in corners], fill=255)
    else:
        draw.ellipse((0.18 * full, 0.18 * full, 0.82 * full, 0.82 * full), fill=255)
    return mask.resize((size, size), Image.Resampling.LANCZOS)


@lru_cache(maxsize=16)
def _verdict_mark(verdict: Verdict, size: int) -> Image.Image:
    """Return a tick, a cross or a ring as an anti-aliased mask of ``size`` by ``size`` pixels."""
    full = size * _GLYPH_OVERSAMPLING
    mask = Image.new("L", (full, full))
    draw = ImageDraw.Draw(mask)
    pen = round(0.13 * full)
    if verdict is Verdict.RIGHT:
        corners = [(0.16, 0.52), (0.4, 0.76), (0.86, 0.24)]
        draw.line([(x * full, y * full) for x, y in corners], fill=255, width=pen, joint="curve")
    elif verdict is Verdict.WRONG:
        for y in (0.2, 0.8):
            draw.line((0.2 * full, y * full, 0.8 * full, (1 - y) * full), fill=255, width=pen)
    elif verdict is Verdict.MISSED:
        draw.ellipse((0.18 * full, 0.18 * full, 0.82 * full, 0.82 * full), outline=255, width=pen)
    return mask.resize((size, size), Image.Resampling.LANCZOS)


def _text_colour_on(colour: Colour) -> Colour:
    """Return black or white, the one with more contrast to ``colour`` (ITU-R BT.601 luma)."""
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (0, 0, 0) if luma > 125 else (255, 255, 255)


@dataclass(frozen=True)
class Chip:
    """The label of one person, before it is rendered.

    Attributes:
        rows: The person's actions, at least one, best first.
        colour: RGB of the tab.
        tab: Text of the tab, such as the track id; empty for a plain strip.
        style: Sizes for the frame.
    """

    rows: tuple[ChipRow, ...]
    colour: Colour
    tab: str
    style: Style

    def versions(self) -> list[Chip]:
        """Return the chip with all of its rows, then with one row less each time, down to one row."""
        return [replace(self, rows=self.rows[:count]) for count in range(len(self.rows), 0, -1)]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return _columns(self).width, 2 * self.style.pad + len(self.rows) * self.style.row


class _Columns(NamedTuple):
    """Layout of a chip's columns, pixels from its left.

    Attributes:
        names: Names as drawn, cut where they are too long.
        glyph: Left edge of the glyphs, 1 em wide.
        name: Left edge of the names.
        bar: Left edge of the score bars, 2 em wide.
        verdict: Left edge of the verdict marks, 1 em wide.
        width: Width of the chip.
    """

    names: tuple[str, ...]
    glyph: int
    name: int
    bar: int
    verdict: int
    width: int


@lru_cache(maxsize=512)
def _columns(chip: Chip) -> _Columns:
    """Lay out: tab | glyph | name | bar | verdict mark, where there is one."""
    font, pad, em = _font(chip.style.font), chip.style.pad, chip.style.font
    names = tuple(_fit(row.name, font, chip.style.longest_text) for row in chip.rows)
    # The tab ends one pad before the glyphs: text with a pad on either side, or a plain strip one pad wide.
    glyph = round(font.getlength(chip.tab)) + 3 * pad if chip.tab else 2 * pad
    name = glyph + em + pad
    bar = name + round(max(font.getlength(text) for text in names)) + 2 * pad
    verdict = bar + 2 * em + 2 * pad
    is_judged = any(row.verdict is not Verdict.NONE for row in chip.rows)
    return _Columns(names, glyph, name, bar, verdict, verdict + is_judged * (em + pad))


@lru_cache(maxsize=128)
def render_chip(chip: Chip) -> Patch:
    """Render a chip.

    Args:
        chip: The chip; chips that are equal are rendered once.

    Returns:
        A patch of the chip's ``size``.
    """
    style, columns = chip.style, _columns(chip)
    font, em, tab_width = _font(style.font), style.font, columns.glyph - style.pad
    image = Image.new("RGBA", chip.size, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    # The tab is as high as the chip; its text is on the first row.
    draw.rectangle((0, 0, tab_width - 1, image.height), fill=chip.colour)
    draw.text((tab_width / 2, style.pad + style.row // 2), chip.tab, _text_colour_on(chip.colour), font, anchor="mm")
    bar_width, bar_half_height = 2 * em, max(1, round(em * 0.15))
    for index, (row, name) in enumerate(zip(chip.rows, columns.names, strict=True)):
        middle = style.pad + index * style.row + style.row // 2  # of the row, pixels from the top
        kind_colour = KIND_MARKS[row.kind].on_chip
        image.paste(kind_colour, (columns.glyph, middle - em // 2), _glyph(row.kind, em))
        draw.text((columns.name, middle), name, _TEXT, font, anchor="lm")
        if row.verdict is not Verdict.NONE:
            mark = _verdict_mark(row.verdict, em)
            image.paste(_VERDICT_COLOURS[row.verdict], (columns.verdict, middle - em // 2), mark)
        # The empty bar first, then the part that the score fills; a width of 0 would still draw a pixel.
        filled = round(bar_width * min(max(row.score, 0), 1))
        for width, shade in ((bar_width, _EMPTY_BAR), (filled, kind_colour)):
            if width:
                left, right = columns.bar, columns.bar + width - 1
                draw.rectangle((left, middle - bar_half_height, right, middle + bar_half_height), fill=shade)
    return Patch(image)


@lru_cache(maxsize=4)
def banner_strip(text: str, style: Style) -> Patch:
    """Render a line of text as wide as the frame.

    Args:
        text: The text; line breaks become spaces, and what does not fit is cut.
        style: Sizes for the frame.

    Returns:
        The patch.
    """
    font = _font(style.font)
    image = Image.new("RGBA", (style.frame_width, style.row + 2 * style.pad), _BANNER_BACKGROUND)
    shown = _fit(" ".join(text.split()), font, style.frame_width - 2 * style.pad)
    ImageDraw.Draw(image).text((image.width / 2, image.height / 2), shown, _TEXT, font, anchor="mm")
    return Patch(image)


@lru_cache(maxsize=4)
def time_stamp(text: str, style: Style) -> Patch:
    """Render a short text, such as the time, on a dark background.

    Args:
        text: The text.
        style: Sizes for the frame.

    Returns:
        The patch, as wide as the text.
    """
    font = _font(style.font)
    image = Image.new("RGBA", (round(font.getlength(text)) + 2 * style.pad, style.row + style.pad), _BACKGROUND)
    ImageDraw.Draw(image).text((image.width / 2, image.height / 2), text, _TEXT, font, anchor="mm")
    return Patch(image)


@lru_cache(maxsize=4)
def legend(style: Style) -> Patch:
    """Render the legend of the verdict marks.

    Args:
        style: Sizes for the frame.

    Returns:
        The patch: each mark with its word, on one line.
    """
    font, em, pad = _font(style.font), style.font, style.pad
    verdicts = [verdict for verdict in Verdict if verdict is not Verdict.NONE]
    widths = [em + pad + round(font.getlength(verdict)) + 2 * pad for verdict in verdicts]
    image = Image.new("RGBA", (sum(widths) + 2 * pad, style.row + pad), _BACKGROUND)
    draw, x = ImageDraw.Draw(image), 2 * pad
    for verdict, width in zip(verdicts, widths, strict=True):
        image.paste(_VERDICT_COLOURS[verdict], (x, (image.height - em) // 2), _verdict_mark(verdict, em))
        draw.text((x + em + pad, image.height / 2), verdict, _TEXT, font, anchor="lm")
        x += width
    return Patch(image)


def format_time(timestamp_seconds: float) -> str:
    """Format a time as video players do, with tenths of a second.

    Args:
        timestamp_seconds: The time in seconds; may be negative.

    Returns:
        ``0:07.5``, ``12:03.0`` or ``1:02:03.4``.
    """
    sign = "-" if timestamp_seconds < 0 else ""
    minutes, tenths = divmod(round(abs(timestamp_seconds) * 10), 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{clock}:{tenths // 10:02d}.{tenths % 10}"
