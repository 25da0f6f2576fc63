"""A short movie, and a real browser whose windows may not complain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import LIMIT_SECONDS, running_browser, until
from page_data import write_movie
from reviews import RUN


@pytest.fixture(scope="session")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "walk.mp4")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def window(browser) -> Iterator:
    """Opens an address in a browser of its own; at the end nothing but refused requests may be on the console."""
    contexts, troubles, requests = [], [], []

    def call(address: str, *, width: int = 1280, height: int = 1000, scheme: str = "light", context=None, **options):
        if context is None:
            size = {"width": width, "height": height}
            context = browser.new_context(viewport=size, color_scheme=scheme, **options)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * LIMIT_SECONDS)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        if "video.html" in address:
            until(page, f"AvaPage.viewer?.isReady && {RUN}.k !== null")
        return page

    yield call
    for context in contexts:
        context.close()
    # A conflict, and a server that is gone, are on the console whatever a page does.
    assert [text for text in troubles if "Failed to load resource" not in text] == []
    assert [url for url in requests if not url.startswith("http://127.0.0.1:")] == []
