"""The mark of each kind of action: its shape and colours. Drawn video, the page, plots and reports all use these.

Each kind has a shape beside its colour, so that kinds differ without colour. The hues follow Okabe & Ito, "Color
Universal Design" (2008), which people with any colour vision can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from ava_detect.structures.labels import ActionKind


@dataclass(frozen=True)
class KindMark:
    """The mark of a kind of action.

    Attributes:
        glyph: The shape as a character, in text.
        marker: The shape as a matplotlib marker.
        corners: The shape in a unit square, x to the right and y down; empty for a disc.
        on_light: Colour on a light background, ``#rrggbb``.
        on_dark: Colour on a dark background.
        on_chip: Colour on the chips of a drawn frame: paler, because there the background shines through.
    """

    glyph: str
    marker: str
    corners: tuple[tuple[float, float], ...]
    on_light: str
    on_dark: str
    on_chip: str


KIND_MARKS: dict[ActionKind, KindMark] = {
    ActionKind.POSE: KindMark("●", "o", (), "#0072b2", "#56b4e9", "#96d7ff"),
    ActionKind.OBJECT: KindMark(
        "■", "s", ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)), "#c65200", "#f08c4a", "#ffd078"
    ),
    ActionKind.PERSON: KindMark("▲", "^", ((0.5, 0.14), (0.9, 0.84), (0.1, 0.84)), "#00805d", "#33c29a", "#7ae6bd"),
    ActionKind.UNKNOWN: KindMark(
        "◆", "D", ((0.5, 0.12), (0.88, 0.5), (0.5, 0.88), (0.12, 0.5)), "#6b6b6b", "#a5a5a5", "#e1e1e1"
    ),
}


def css_variables(*, dark: bool) -> str:
    """Return the colours as CSS variables, named as the kinds.

    Args:
        dark: Whether they are for a dark background.

    Returns:
        Declarations, such as ``--pose: #0072b2; --object: ...``.
    """
    return " ".join(f"--{kind}: {mark.on_dark if dark else mark.on_light};" for kind, mark in KIND_MARKS.items())


def page_values() -> dict[str, dict[str, str]]:
    """Return the marks as the scripts of a page take them (``useKinds`` of ``core.js``): kind -> glyph and colours."""
    return {
        str(kind): {
            "glyph": mark.glyph,
            "onLight": mark.on_light,
            "onDark": mark.on_dark,
            "onChip": mark.on_chip,
        }
        for kind, mark in KIND_MARKS.items()
    }
