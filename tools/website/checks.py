"""What must be true of a built site: every link leads somewhere, and no page asks another machine for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements and the attributes by which a browser loads something without a click.
_LOADS = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "form": ("action",),
}
_LOADING_RELS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
_OF_CSS = re.compile(r"""(?:@import\s+|url\()\s*["']?(https?:)?//[^"')\s]+""")


@dataclass
class _Page(HTMLParser):
    """The ids of a page, its links, and what it loads."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and set(found.get("rel", "").split()) & _LOADING_RELS:
            self.loads.append(found.get("href", ""))
        self.loads += [found[name] for name in _LOADS.get(tag, ()) if name in found]


def problems(site: Path) -> list[str]:
    """Return what is wrong with a built site.

    Args:
        site: Its folder.

    Returns:
        A sentence each: links to files or anchors that are not there, and requests to other machines.
    """
    found = [problem for path in sorted(site.rglob("*.html")) for problem in _of_page(path, site)]
    styles = {path: _OF_CSS.search(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.css"))}
    return [*found, *(f"{path.relative_to(site)} loads {outside[0]}" for path, outside in styles.items() if outside)]


@cache
def _parsed(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _of_page(path: Path, site: Path) -> Iterator[str]:
    name = path.relative_to(site).as_posix()
    page = _parsed(path)
    for address in page.loads:
        if urlsplit(address).netloc:
            yield f"{name} loads {address} of another machine"
    for address in [*page.links, *page.loads]:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        if name == "404.html":
            # Its links are absolute: it is shown at any address.
            target = site / unquote(parts.path).lstrip("/")
        else:
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"{name} links to {address}, which is not there"
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in _parsed(target).ids:
            yield f"{name} links to {address}, and {target.name} has no such anchor"
