"""A headless Chromium: pages are opened in it, waited for, and measured."""

from __future__ import annotations

import shutil
import time

from playwright.sync_api import Browser, CDPSession, Page

TIMEOUT_MS = 60_000
NO_CHROMIUM = "there is no chromium to open the page in"


def chromium() -> str | None:
    """Find the browser.

    Returns:
        The path of its program; None where there is none.
    """
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def open_page(browser: Browser, address: str) -> Page:
    """Open the page of a video, and wait until its viewer has drawn a frame.

    Args:
        browser: The browser.
        address: Address of the page.

    Returns:
        The page.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address, wait_until="commit", timeout=TIMEOUT_MS)
    wait(page, "typeof AvaPage !== 'undefined' && AvaPage.viewer?.isReady && AvaPage.viewer.frames > 0")
    return page


def wait(page: Page, expression: str, argument: object = None) -> None:
    """Wait until a JavaScript expression is true.

    Args:
        page: The page.
        expression: The expression, or a function of ``argument``.
        argument: A value for it.

    Raises:
        TimeoutError: It has not become true for a minute.
    """
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not page.evaluate(expression, argument):
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came true: {expression}")
        page.wait_for_timeout(10)


def cpu_metrics(session: CDPSession) -> dict[str, float]:
    """Return what the page's main thread has spent so far.

    Args:
        session: A session in which ``Performance`` is enabled with ``threadTicks``.

    Returns:
        CPU seconds by activity.
    """
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in metrics if metric["name"].endswith("Duration")}


def heap_megabytes(page: Page) -> float:
    """Return the memory of the page's script.

    Args:
        page: The page.

    Returns:
        What is used after a garbage collection, MB.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return float(metrics["JSHeapUsedSize"]) / 1e6
