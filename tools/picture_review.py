"""Take the picture of docs/review.md: the edit mode of `ava-detect review` on results, with a person selected.

    python tools/picture_review.py RESULTS [--out docs/images/review.jpg] [--video 0001] [--at 3] [--width 1280]
        [--height 880] [--dark]

The picture in the documents is of `ava-detect demo --out demo_results`: RESULTS is demo_results/results. Needs the
packages of `[test]` and a chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from ava_detect.review.serve import ReviewOptions, review_server

TIMEOUT_MS = 60_000


def main() -> None:
    """Serve the review, open it, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images/review.jpg"))
    parser.add_argument("--video", default="0001")
    parser.add_argument("--at", type=float, default=3.0)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=880)
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        review_server(arguments.results, folder, ReviewOptions(port=0)) as server,
    ):
        threading.Thread(target=server.run, daemon=True).start()
        take(f"{server.address}video.html#v={arguments.video}&t={arguments.at}", arguments)
    print(arguments.out)


def take(address: str, arguments: argparse.Namespace) -> None:
    """Accept two keyframes, correct a third, and take the picture of it."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program)
        size = {"width": arguments.width, "height": arguments.height}
        context = browser.new_context(
            viewport=size, color_scheme="dark" if arguments.dark else "light", has_touch=arguments.width < 500
        )
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(address)
        page.wait_for_selector("#boxes .box")
        page.wait_for_timeout(1000)
        for keys in (["Enter"], ["Enter"], ["b", "2"]):
            for key in keys:
                page.keyboard.press(key)
            page.wait_for_timeout(1000)
        page.mouse.move(1, 1)
        page.screenshot(path=arguments.out, type="jpeg", quality=85)
        browser.close()


if __name__ == "__main__":
    main()
