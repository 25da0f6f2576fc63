"""Pages of the public names, each room's on one page; mkdocstrings fills them from the docstrings."""

from __future__ import annotations

from collections import defaultdict

import ava_detect

# What the names of a room are for, in the order of the index.
ROOMS = {
    "inference": "one video: pipeline and scores",
    "annotation": "many videos, into files or a dataset",
    "visualization": "results as tables and pictures",
    "structures": "the values that travel through the package",
    "detectors": "person detectors",
    "models": "networks and weights",
    "config": "configs and what is built from them",
    "evaluation": "frame-mAP, video-mAP, calibration, thresholds",
    "benchmark": "the score of a network on a split",
    "formats": "AVA csv and the pickles of tubes",
    "results": "labels imported from other tools; records of runs",
    "video": "frames, times and clips",
    "storage": "addresses",
    "errors": "errors and warnings",
}


def python_pages() -> dict[str, str]:
    """Return the pages of the public names.

    Returns:
        Name of the page to its Markdown, in the order of ``ROOMS``; ``index`` lists all names.

    Raises:
        KeyError: A room has public names and no line in ``ROOMS``.
    """
    modules: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for module, names in ava_detect._NAMES.items():
        modules[module.partition(".")[0]] += [(name, f"ava_detect.{module}.{name}") for name in names]
    if unknown := set(modules) - set(ROOMS):
        raise KeyError(f"give ROOMS a line for {', '.join(sorted(unknown))}")
    return {"index": _index(modules), **{room: _page(room, sorted(modules[room])) for room in ROOMS}}


def _index(modules: dict[str, list[tuple[str, str]]]) -> str:
    lines = [
        "# Python names",
        "",
        "The public names are imported from `ava_detect` itself: `from ava_detect import Pipeline`. They are loaded on "
        "first use. [What is stable](../docs/stability.md).",
        "",
        "| page | names |",
        "| --- | --- |",
    ]
    for room, purpose in ROOMS.items():
        names = ", ".join(f"[`{name}`]({room}.md#{path})" for name, path in sorted(modules[room]))
        lines.append(f"| [{purpose}]({room}.md) | {names} |")
    return "\n".join([*lines, ""])


def _page(room: str, names: list[tuple[str, str]]) -> str:
    title = ROOMS[room]
    parts = [f"# {title[:1].upper()}{title[1:]}\n"]
    parts += [f"::: {path}\n" for _, path in names]
    return "\n".join(parts)
