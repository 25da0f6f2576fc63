"""The order of the site's pages, and the settings of MkDocs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ava_detect.cli.doc_pages import doc_pages

from .sources import ROOT, written_pages

NAME = "ava_detect"
_PARTS = {"Start": "Start", "By task": "By task", "How to": "How to", "Reference": "Reference", "Why": "Background"}
Nav = list[dict[str, Any]]


def navigation(commands: Iterable[str], names: Iterable[str]) -> Nav:
    """Return the navigation: the parts of docs/index.md, and what is made from the program.

    Args:
        commands: Names of the pages of commands, ``index`` first.
        names: Names of the pages of public names, ``index`` first.

    Returns:
        For MkDocs.
    """
    places = written_pages()
    parts: dict[str, list[Any]] = {part: [] for part in _PARTS}
    for page in doc_pages():
        place = places[page.path.resolve()]
        if page.part in parts and place != "index.md":
            parts[page.part].append(place)
    made = [
        {"Commands": [f"commands/{name}.md" for name in commands]},
        {"Python": [f"python/{name}.md" for name in names]},
        "reference/config.md",
    ]
    return [
        {"Home": "index.md"},
        {"Start": [*parts["Start"], "docs/pages.md"]},
        {"By task": parts["By task"]},
        {"How to": parts["How to"]},
        {"Models": ["models/index.md"]},
        {"Reference": [*made, *parts["Reference"]]},
        {"Background": parts["Why"]},
        {"Project": ["project/changelog.md", "project/contributing.md", "project/security.md"]},
    ]


def settings(sources: Path, out: Path, nav: Nav) -> dict[str, Any]:
    """Return the settings of MkDocs.

    Args:
        sources: Folder of the Markdown files.
        out: Folder of the site.
        nav: The navigation.

    Returns:
        For ``mkdocs.config.load_config``. Nothing in a page asks another machine for anything: no fonts, no repository.
    """
    return {
        "site_name": NAME,
        "site_description": "Spatiotemporal action detection on AVA: every person in a video, and what each one does",
        "docs_dir": str(sources),
        "site_dir": str(out),
        "nav": nav,
        "strict": True,
        "use_directory_urls": False,
        "theme": _theme(),
        "extra_css": ["site.css"],
        "extra": {"generator": False},
        "plugins": [
            {"search": {"separator": r"[\s\-_,:!=\[\]()\"`/.]+"}},
            {"mkdocstrings": {"default_handler": "python", "handlers": {"python": _python_handler()}}},
        ],
        "markdown_extensions": _extensions(),
        "validation": {
            "nav": {"omitted_files": "info", "not_found": "warn", "absolute_links": "warn"},
            "links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn", "unrecognized_links": "warn"},
        },
    }


def _theme() -> dict[str, Any]:
    def palette(scheme: str, media: str, icon: str, other: str) -> dict[str, Any]:
        return {
            "scheme": scheme,
            "media": f"(prefers-color-scheme: {media})",
            "primary": "teal",
            "accent": "teal",
            "toggle": {"icon": f"material/{icon}", "name": f"Switch to {other}"},
        }

    return {
        "name": "material",
        "custom_dir": str(Path(__file__).resolve().parent / "theme"),
        "font": False,
        "palette": [
            palette("default", "light", "weather-night", "dark mode"),
            palette("slate", "dark", "weather-sunny", "light mode"),
        ],
        "features": [
            "navigation.tabs",
            "navigation.indexes",
            "navigation.top",
            "navigation.prune",
            "navigation.footer",
            "toc.follow",
            "search.suggest",
            "search.highlight",
            "content.code.copy",
        ],
    }


def _python_handler() -> dict[str, Any]:
    return {
        "paths": [str(ROOT)],
        "options": {
            "extensions": [str(Path(__file__).with_name("examples.py"))],
            "docstring_style": "google",
            "docstring_section_style": "list",
            "heading_level": 2,
            "show_root_heading": True,
            "show_root_full_path": False,
            "show_source": False,
            "show_symbol_type_heading": True,
            "show_symbol_type_toc": True,
            "separate_signature": True,
            "show_signature_annotations": True,
            "merge_init_into_class": True,
            "members_order": "source",
            "show_if_no_docstring": False,
            "show_bases": False,
            "filters": ["!^_"],
            "line_length": 100,
        },
    }


def _extensions() -> Sequence[Any]:
    return [
        "tables",
        "attr_list",
        "md_in_html",
        "sane_lists",
        {"toc": {"permalink": True, "slugify": slug, "toc_depth": 3}},
        {"pymdownx.highlight": {"anchor_linenums": False, "pygments_lang_class": True}},
        "pymdownx.inlinehilite",
        "pymdownx.superfences",
    ]


def slug(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading as GitHub makes it, so that links work in both places.

    Args:
        heading: Its text.
        separator: What stands for a space.

    Returns:
        The anchor.
    """
    text = unicodedata.normalize("NFC", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", separator)
