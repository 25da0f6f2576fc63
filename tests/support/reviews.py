"""A review on a server of its own, and what a person does on its page in a browser."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import LIMIT_SECONDS, until
from page_data import HEIGHT, WIDTH
from processes import ava_detect, interruptible

from ava_detect.results.corrections.folder import read_corrections
from ava_detect.results.corrections.keyframes import CorrectedKeyframe, VideoCorrections

RUN = "AvaPage.viewer.editor"


class Served:
    """A running ``ava-detect review``."""

    def __init__(self, results: Path, out: Path, port: int = 0) -> None:
        self.out = out
        command = ava_detect("review", results, "--out", out, "--port", port)
        self.process = subprocess.Popen(
            interruptible(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.address = next(line.split("browser: ")[1].strip() for line in lines if "browser: " in line)
        self.port = int(self.address.split(":")[2].split("/")[0])

    def end(self, how: signal.Signals) -> tuple[int, str, str]:
        """End the process by a signal: exit code and output."""
        os.kill(self.process.pid, how)
        out, err = self.process.communicate(timeout=LIMIT_SECONDS)
        return self.process.returncode, out, err

    def saved(self, video: str = "walk") -> VideoCorrections:
        """The corrected keyframes as another program reads them."""
        return read_corrections(self.out).videos[video]


@contextmanager
def served(results: Path, out: Path, port: int = 0) -> Iterator[Served]:
    """A review that runs while the block does; port 0: any that is free."""
    server = Served(results, out, port)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


def settle(page: Any) -> None:
    """Until the server has every change."""
    until(page, f"{RUN}.saving.connection.isIdle && !{RUN}.commands.moving")


def press(page: Any, *keys: str) -> None:
    """Press keys one after another, and wait until what they do is saved."""
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def at_keyframe(page: Any, number: int) -> None:
    """Until the page shows a keyframe."""
    until(page, f"k => {RUN}.k === k && !document.getElementById('video').seeking", number)


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag with the mouse; points in pixels of the movie."""
    frame = page.locator("#stage").bounding_box()
    points = [
        (frame["x"] + x * frame["width"] / WIDTH, frame["y"] + y * frame["height"] / HEIGHT) for x, y in (start, end)
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)


def box_of(keyframe: CorrectedKeyframe, track: int) -> list[float]:
    """A box in pixels of the movie."""
    return [
        corner * side for corner, side in zip(keyframe.people[track].box_fraction, (WIDTH, HEIGHT) * 2, strict=True)
    ]
