"""A pseudo-terminal for programs, and the lines that a person sees in it one after another."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run_in_terminal(command: Sequence[str | Path], columns: int) -> tuple[int, str]:
    """Run a command whose standard streams are a terminal.

    Args:
        command: The command.
        columns: Width of the terminal.

    Returns:
        The exit code, and everything that was written, control sequences included.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env={**environment, "TERM": "xterm"})
    os.close(its)
    written = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not data:
            break
        written += data
    os.close(ours)
    return process.wait(), written.decode()


def lines_shown(written: str) -> list[str]:
    """Return each line that stood in the terminal at some time, in order, without control sequences."""
    lines: list[str] = []
    for line in re.split(r"\x1b\[2K|[\r\n]+", written):
        text = _ESCAPES.sub("", line).rstrip()
        if text and text not in lines[-1:]:
            lines.append(text)
    return lines
