"""What is pasted onto a frame: label chips, the banner and the time, rendered once and kept as patches.

A chip says who (a tab in the person's colour with their track id) and what they do: a row per action with
the mark of its kind (one disc: a pose; a square: an object is handled; two discs: another person is
involved), its name and its score as a bar. Beside ground truth a row ends in a tick (right), a cross (wrong) or a ring
(missed: true, and not found). Sizes follow the frame, so that chips read alike from 240p to 4K.
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

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito's set, which people with any common colour blindness can tell apart
# (https://jfly.uni-koeln.de/color/), without black and with neighbours far from each other.
TRACK_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermillion
    (0, 114, 178),  # blue
)
SHADE: Colour = (18, 18, 22)
_GROUND = (*SHADE, 205)
_TEXT = (255, 255, 255, 255)
_TROUGH = (92, 92, 98, 255)
_BANNER_GROUND = (150, 20, 20, 225)
_KIND_COLOURS: dict[ActionKind, Colour] = {
    ActionKind.POSE: (150, 215, 255),
    ActionKind.OBJECT: (255, 208, 120),
    ActionKind.PERSON: (255, 170, 215),
    ActionKind.UNKNOWN: (225, 225, 225),
}
_GLYPH_OVERSAMPLING = 8


def track_colour(track_id: int) -> Colour:
    """The colour of a track: the same for the same id, always; ids count from 1."""
    return TRACK_COLOURS[(track_id - 1) % len(TRACK_COLOURS)]


@dataclass(frozen=True)
class Style:
    """The sizes of everything drawn, in pixels of one frame."""

    frame_width: int
    frame_height: int

    @property
    def font(self) -> int:
        """Height of the letters' em square; below 11 pixels words run together."""
        return max(11, round(min(self.frame_width, self.frame_height) * 0.025))

    @property
    def line(self) -> int:
        """Thickness of a box's edge."""
        return max(2, round(min(self.frame_width, self.frame_height) / 270))

    @property
    def pad(self) -> int:
        """Space around and between the parts of a chip."""
        return max(2, round(self.font * 0.3))

    @property
    def row(self) -> int:
        """Height of one line of a chip."""
        return round(self.font * 1.3)

    @property
    def longest_text(self) -> int:
        """Names wider than this are cut with an ellipsis."""
        return round(self.frame_width * 0.42)


class Verdict(StrEnum):
    """What ground truth says of an action, or that there is none."""

    NONE = "none"
    RIGHT = "right"
    WRONG = "wrong"
    MISSED = "missed"


# Of Okabe and Ito's set too: apart for the colour-blind, and each with a shape of its own.
_VERDICT_COLOURS: dict[Verdict, Colour] = {
    Verdict.RIGHT: (60, 205, 150),
    Verdict.WRONG: (255, 120, 60),
    Verdict.MISSED: (240, 228, 66),
}


class ChipRow(NamedTuple):
    """One action on a chip; ``score`` in 0..1."""

    name: str
    kind: ActionKind
    score: float
    verdict: Verdict = Verdict.NONE


class Patch:
    """A picture with transparency, kept in the form that pastes fastest."""

    def __init__(self, picture: Image.Image) -> None:
        rgba = np.asarray(picture.convert("RGBA"), np.uint16)
        self._colour = rgba[..., :3] * rgba[..., 3:]
        self._keep = 255 - rgba[..., 3:]
        self.height, self.width = rgba.shape[:2]

    def paste(self, image: Picture, x: int, y: int) -> None:
        """Blend into ``image`` with the top left corner at ``x, y >= 0``; what lies outside is cut."""
        region = image[y : y + self.height, x : x + self.width]
        rows, columns = region.shape[:2]
        blended = self._colour[:rows, :columns] + region * self._keep[:rows, :columns]
        region[...] = (blended + 127) // 255


def short_name(name: str) -> str:
    """An action's name without its lists of examples and without brackets, on one line.

    ``talk to (e.g., self, a person, a group)`` becomes ``talk to``; ``hug (a person)`` ``hug a person``.
    """
    without_examples = re.sub(r"\(e\.g\.[^)]*\)", " ", name)
    return " ".join(re.sub(r"[()]", " ", without_examples).split())


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font in its own layout, so that a drawing looks alike on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "with a size given, Pillow loads its FreeType font"
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """``text``, or as much of it as fits into ``width`` pixels with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    length = next((n for n in range(len(text) - 1, 0, -1) if font.getlength(text[:n] + "…") <= width), 0)
    return text[:length].rstrip() + "…"


@lru_cache(maxsize=16)
def _glyph(kind: ActionKind, size: int) -> Image.Image:
    """The mark of a kind: an anti-aliased mask of ``size`` by ``size`` pixels."""
    full = size * _GLYPH_OVERSAMPLING
    mask = Image.new("L", (full, full))
    draw = ImageDraw.Draw(mask)
    if kind is ActionKind.POSE:
        draw.ellipse((0.18 * full, 0.18 * full, 0.82 * full, 0.82 * full), fill=255)
    elif kind is ActionKind.OBJECT:
        draw.rectangle((0.2 * full, 0.2 * full, 0.8 * full, 0.8 * full), fill=255)
    elif kind is ActionKind.PERSON:
        draw.ellipse((0.03 * full, 0.28 * full, 0.47 * full, 0.72 * full), fill=255)
        draw.ellipse((0.53 * full, 0.28 * full, 0.97 * full, 0.72 * full), fill=255)
    else:
        draw.rectangle((0.2 * full, 0.42 * full, 0.8 * full, 0.58 * full), fill=255)
    return mask.resize((size, size), Image.Resampling.LANCZOS)


@lru_cache(maxsize=16)
def _verdict_mark(verdict: Verdict, size: int) -> Image.Image:
    """A tick, a cross or a ring: an anti-aliased mask of ``size`` by ``size`` pixels."""
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
    """Black or white, whichever is easier to read on ``colour`` (ITU-R BT.601 luma)."""
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return (0, 0, 0) if luma > 125 else (255, 255, 255)


@dataclass(frozen=True)
class Chip:
    """The label of one person, before it is rendered.

    ``rows``: their actions, at least one. ``number``: what the tab in ``colour`` says, "" for a plain strip.
    """

    rows: tuple[ChipRow, ...]
    colour: Colour
    number: str
    style: Style

    def shortened(self) -> list[Chip]:
        """The chip itself, then with ever fewer rows down to one."""
        return [replace(self, rows=self.rows[:count]) for count in range(len(self.rows), 0, -1)]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return _columns(self).width, 2 * self.style.pad + len(self.rows) * self.style.row


class _Columns(NamedTuple):
    """Where a chip's parts begin, in pixels from its left; a glyph, the bar and a verdict are 1, 2 and 1 em wide."""

    names: tuple[str, ...]
    glyph: int
    name: int
    bar: int
    verdict: int
    width: int


@lru_cache(maxsize=512)
def _columns(chip: Chip) -> _Columns:
    font, pad, em = _font(chip.style.font), chip.style.pad, chip.style.font
    names = tuple(_fit(row.name, font, chip.style.longest_text) for row in chip.rows)
    glyph = round(font.getlength(chip.number)) + 3 * pad if chip.number else 2 * pad
    name = glyph + em + pad
    bar = name + round(max(font.getlength(text) for text in names)) + 2 * pad
    verdict = bar + 2 * em + 2 * pad
    is_judged = any(row.verdict is not Verdict.NONE for row in chip.rows)
    return _Columns(names, glyph, name, bar, verdict, verdict + is_judged * (em + pad))


@lru_cache(maxsize=128)
def render_chip(chip: Chip) -> Patch:
    """The chip as a patch of its ``size``."""
    style, columns = chip.style, _columns(chip)
    font, em, tab = _font(style.font), style.font, columns.glyph - style.pad
    picture = Image.new("RGBA", chip.size, _GROUND)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, tab - 1, picture.height), fill=chip.colour)
    draw.text((tab / 2, style.pad + style.row // 2), chip.number, _text_colour_on(chip.colour), font, anchor="mm")
    bar_width, bar_half_height = 2 * em, max(1, round(em * 0.15))
    for index, (row, name) in enumerate(zip(chip.rows, columns.names, strict=True)):
        middle = style.pad + index * style.row + style.row // 2
        kind_colour = _KIND_COLOURS[row.kind]
        picture.paste(kind_colour, (columns.glyph, middle - em // 2), _glyph(row.kind, em))
        draw.text((columns.name, middle), name, _TEXT, font, anchor="lm")
        if row.verdict is not Verdict.NONE:
            mark = _verdict_mark(row.verdict, em)
            picture.paste(_VERDICT_COLOURS[row.verdict], (columns.verdict, middle - em // 2), mark)
        filled = round(bar_width * min(max(row.score, 0), 1))
        for width, shade in ((bar_width, _TROUGH), (filled, kind_colour)):
            if width:
                left, right = columns.bar, columns.bar + width - 1
                draw.rectangle((left, middle - bar_half_height, right, middle + bar_half_height), fill=shade)
    return Patch(picture)


@lru_cache(maxsize=4)
def banner_strip(text: str, style: Style) -> Patch:
    """A line across the whole width of the frame."""
    font = _font(style.font)
    picture = Image.new("RGBA", (style.frame_width, style.row + 2 * style.pad), _BANNER_GROUND)
    shown = _fit(" ".join(text.split()), font, style.frame_width - 2 * style.pad)
    ImageDraw.Draw(picture).text((picture.width / 2, picture.height / 2), shown, _TEXT, font, anchor="mm")
    return Patch(picture)


@lru_cache(maxsize=4)
def time_stamp(text: str, style: Style) -> Patch:
    """A small sign with the time."""
    font = _font(style.font)
    picture = Image.new("RGBA", (round(font.getlength(text)) + 2 * style.pad, style.row + style.pad), _GROUND)
    ImageDraw.Draw(picture).text((picture.width / 2, picture.height / 2), text, _TEXT, font, anchor="mm")
    return Patch(picture)


@lru_cache(maxsize=4)
def legend(style: Style) -> Patch:
    """A small sign that explains the marks of a drawing with ground truth."""
    font, em, pad = _font(style.font), style.font, style.pad
    words = [verdict for verdict in Verdict if verdict is not Verdict.NONE]
    widths = [em + pad + round(font.getlength(word)) + 2 * pad for word in words]
    picture = Image.new("RGBA", (sum(widths) + 2 * pad, style.row + pad), _GROUND)
    draw, x = ImageDraw.Draw(picture), 2 * pad
    for word, width in zip(words, widths, strict=True):
        picture.paste(_VERDICT_COLOURS[word], (x, (picture.height - em) // 2), _verdict_mark(word, em))
        draw.text((x + em + pad, picture.height / 2), word, _TEXT, font, anchor="lm")
        x += width
    return Patch(picture)


def format_time(timestamp_seconds: float) -> str:
    """``0:07.5``, ``12:03.0`` or ``1:02:03.4``: a time as players show it, with tenths."""
    sign = "-" if timestamp_seconds < 0 else ""
    minutes, tenths = divmod(round(abs(timestamp_seconds) * 10), 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{clock}:{tenths // 10:02d}.{tenths % 10}"
