"""``ava-detect docs``: print or open a page of the documentation that ships with the package."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.console import err, print_markdown, say, say_table
from ava_detect.errors import AvaDetectError


def docs(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOPIC]",
            help="The page, such as start or detectors; without one, the list of pages.",
            autocompletion=completion.doc_pages,
        ),
    ] = None,
    names_only: Annotated[
        bool, typer.Option("--list", help="Print the names of all pages only.", rich_help_panel=options.FILES)
    ] = False,
    in_browser: Annotated[
        bool,
        typer.Option(
            "--open", help="Open the page in a browser, or page through it here.", rich_help_panel=options.COMMON
        ),
    ] = False,
) -> None:
    """Read the documentation: it comes with the package."""
    from ava_detect.cli.doc_pages import INDEX, doc_pages, find_page, text_of

    page = find_page(topic or INDEX)
    if names_only:
        say("\n".join(page.name for page in doc_pages()))
    elif in_browser:
        _open(page.name)
    elif topic is None:
        rows = [(listed.name, listed.part, listed.summary) for listed in doc_pages() if listed.name != INDEX]
        say_table(("page", "part", "content"), rows, left=(0, 1, 2))
        err.print("A page: ava-detect docs PAGE. In a browser: ava-detect docs PAGE --open", markup=False)
    else:
        print_markdown(text_of(page))


def _open(name: str) -> None:
    """Open a page in a browser; where there is none, page through it in the terminal."""
    from ava_detect.cli.doc_pages import find_page, text_of, write_html
    from ava_detect.environment import installed_version
    from ava_detect.storage.cache import cache_dir

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        if print_markdown(text_of(find_page(name)), paged=True):
            return
        raise AvaDetectError("`in_browser` needs a browser or a terminal; without it the page is printed") from None
    file = write_html(cache_dir() / "docs" / installed_version())[name]
    say(str(file))
    browser.open(file.as_uri())
