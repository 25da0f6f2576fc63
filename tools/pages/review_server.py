"""A running ``ava-detect review``, and what its page knows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from pages.browser import wait

EDITOR = "AvaPage.viewer.editor"
_MEMORY = re.compile(r"VmRSS:\s+(\d+) kB")


@dataclass(frozen=True)
class ReviewServer:
    """A server of a review.

    Attributes:
        address: Its address, with the token.
        process: Its process.
    """

    address: str
    process: subprocess.Popen[str]

    def megabytes(self) -> float:
        """Return the memory of the server.

        Returns:
            The resident memory, MB; 0 where the system does not tell.
        """
        status = Path(f"/proc/{self.process.pid}/status")
        found = _MEMORY.search(status.read_text()) if status.is_file() else None
        return int(found[1]) / 1e3 if found else 0.0

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has taken.

        Returns:
            Seconds of all its threads; 0 where the system does not tell.
        """
        status = Path(f"/proc/{self.process.pid}/stat")
        if not status.is_file():
            return 0.0
        user, system = status.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def video(self, key: str = "0001", seconds: float = 0.0) -> str:
        """Return the address of the page of a video.

        Args:
            key: Key of the video.
            seconds: Time to begin with.

        Returns:
            The address.
        """
        return f"{self.address}video.html#v={key}&t={seconds:g}"


@contextmanager
def review_server(results: Path, out: Path, *options: str) -> Iterator[ReviewServer]:
    """Run a review on a free port while the block does.

    Args:
        results: The results.
        out: The folder of the corrections.
        *options: Further options of the command.

    Yields:
        The server.
    """
    command = [sys.executable, "-m", "ava_detect", "review", str(results), "--out", str(out), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        address = next((line.split("browser: ")[1].strip() for line in lines if "browser: " in line), None)
        if address is None:
            raise RuntimeError(f"the review did not start: {' '.join(command)}")
        yield ReviewServer(address, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def at_keyframe(page: Page, number: int) -> None:
    """Wait until the page shows a keyframe.

    Args:
        page: The page of a video.
        number: Index of the keyframe.
    """
    wait(page, f"k => {EDITOR}.k === k && !{EDITOR}.moment.isSeeking", number)


def settle(page: Page) -> None:
    """Wait until the server has every change of the page.

    Args:
        page: The page of a video.
    """
    wait(page, f"{EDITOR}.saving.connection.isIdle && !{EDITOR}.commands.moving")
