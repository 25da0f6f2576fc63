"""A real browser, driven by playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LIMIT_SECONDS = 90  # generous, for a busy machine


@contextmanager
def running_browser() -> Iterator[Any]:
    """Chromium without a window; the test is skipped where it or playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium to load the page in")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, timeout=1000 * LIMIT_SECONDS)
        yield running
        running.close()


def until(page: Any, expression: str, argument: object = None) -> None:
    """Wait for a condition on the page; playwright's own wait needs an `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not page.evaluate(expression, argument):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(40)
