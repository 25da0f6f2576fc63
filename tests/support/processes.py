"""Python programs and ``ava-detect`` in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

# To go before a program: as on a machine without PyTorch, any attempt to import it fails.
WITHOUT_TORCH = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError("torch is absent here")
sys.meta_path.insert(0, NoTorch())
"""
_RESTORE_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


def ava_detect(*arguments: object) -> list[str]:
    """The command line that runs ``ava-detect`` with these arguments under this Python."""
    return [sys.executable, "-m", "ava_detect", *map(str, arguments)]


def interruptible(command: Sequence[str | Path]) -> list[str]:
    """The same command in a process that Ctrl-C ends.

    A shell starts its background jobs with SIGINT ignored. Every process below them inherits that, and Python then
    raises no KeyboardInterrupt; a shell's ``trap`` cannot take it back.
    """
    return [sys.executable, "-c", _RESTORE_CTRL_C, *map(str, command)]


def run_python(code: str, *arguments: object, check: bool = True, cwd: Path | None = None) -> CompletedProcess[str]:
    """Run a program in a fresh Python; with ``check``, it must end with 0."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0 or not check, done.stderr
    return done


def forking_python(program: str) -> subprocess.Popen[str]:
    """Start a program that forks what it is told by lines of its standard input, and answers by lines."""
    return subprocess.Popen(
        # From Python 3.12 on a warning says that forks of threads may hang.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
