"""One call of ``ava-detect`` in a process of its own, with limits on time, memory, processes and file sizes.

Time is counted so that a busy machine does no harm: a stretch in which the call used the processor counts as much as it
used, and one in which nothing of it was waiting for the processor counts whole.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

_TICK_SECONDS = 0.05
_CEILING = 20.0  # times the time limit, however busy the machine is
_GRACE_SECONDS = 5.0
_MOST_PROCESSES = 48
_LAUNCHER = """
import os, resource, sys
size = int(sys.argv[1])
if size >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Limits:
    """What a call may use.

    Attributes:
        seconds: Time, counted as described above.
        memory_bytes: Resident memory of the call and of its children.
        file_size: Size of a written file in bytes, as if the disk were full beyond it; None for no limit.
    """

    seconds: float = 60.0
    memory_bytes: int = 3 * 10**9
    file_size: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        code: Exit code, negative for a signal.
        stdout: What it printed.
        stderr: What it complained.
        seconds: Time, counted as described above.
        peak_bytes: Greatest resident memory.
        stopped: Why it was stopped from outside: ``"hang"``, ``"memory"``, ``"processes"``; empty where it was not.
        orphans: Number of processes that outlived it.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_bytes: int
    stopped: str = ""
    orphans: int = 0


class Runner(Protocol):
    """Runs calls, one at a time."""

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], limits: Limits) -> Outcome:
        """Run ``ava-detect ARGUMENTS`` in ``folder``."""

    def close(self) -> None:
        """End what the runner keeps running."""


class FreshRunner:
    """Starts a new Python for each call.

    Args:
        program: The command line before the arguments; by default this Python's ``-m ava_detect``.
    """

    def __init__(self, program: Sequence[str] | None = None) -> None:
        self._program = list(program or (sys.executable, "-m", "ava_detect"))

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], limits: Limits) -> Outcome:
        """Run ``ava-detect ARGUMENTS`` in ``folder``."""
        size = -1 if limits.file_size is None else limits.file_size
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(size), *self._program, *arguments]
        stdout, stderr = _outputs(folder)
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
            result: list[tuple[int, int]] = []

            def ended() -> bool:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    # A forked process starts with its parent's peak, which says nothing about the call.
                    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    peak = usage.ru_maxrss if usage.ru_maxrss > inherited else 0
                    result.append((process.returncode, peak))
                return bool(pid)

            watch = _Watch(process.pid, limits)
            watch.until(ended)
        return watch.outcome(*result[0], stdout, stderr)

    def close(self) -> None:
        """End what the runner keeps running: nothing."""


class WarmRunner:
    """Forks each call from a process that has loaded the package: see ``warm_server``."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._buffer = b""
        if self._line() != "loaded":
            raise RuntimeError("the process that forks the calls has died; try without --warm")

    def run(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], limits: Limits) -> Outcome:
        """Run ``ava-detect ARGUMENTS`` in ``folder``."""
        stdout, stderr = _outputs(folder)
        call = {
            "argv": list(arguments),
            "cwd": str(folder),
            "env": environment,
            "stdout": str(stdout),
            "stderr": str(stderr),
            "file_size": limits.file_size,
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(call).encode() + b"\n")
        self._server.stdin.flush()
        watch = _Watch(int(self._line()), limits)
        watch.until(self._has_line)
        code, peak_kilobytes, _ = json.loads(self._line())
        return watch.outcome(code, peak_kilobytes, stdout, stderr)

    def close(self) -> None:
        """End the process that forks the calls."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def _has_line(self) -> bool:
        assert self._server.stdout is not None
        while b"\n" not in self._buffer and select.select([self._server.stdout], [], [], 0)[0]:
            piece = os.read(self._server.stdout.fileno(), 4096)
            if not piece:
                raise RuntimeError("the process that forks the calls has died")
            self._buffer += piece
        return b"\n" in self._buffer

    def _line(self) -> str:
        assert self._server.stdout is not None
        while not self._has_line():
            select.select([self._server.stdout], [], [])
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


class _Watch:
    """Watches one process and its children, and stops them where they pass a limit.

    Args:
        pid: The process, which leads a session.
        limits: What it may use.
    """

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid, self._limits = pid, limits
        self._seconds, self._peak_bytes, self._stopped = 0.0, 0, ""

    def until(self, ended: Callable[[], bool]) -> None:
        """Watch until the process has ended."""
        start = before = time.monotonic()
        used = 0.0
        tick = 0.01
        while not ended():
            time.sleep(tick)
            tick = min(2 * tick, _TICK_SECONDS)
            now = time.monotonic()
            processes = _tree(self._pid)
            cpu, memory, runnable = _usage(processes)
            used, spent = max(used, cpu), max(0.0, cpu - used)
            self._seconds += min(now - before, spent) if spent or runnable else now - before
            before = now
            self._peak_bytes = max(self._peak_bytes, memory)
            if self._peak_bytes > self._limits.memory_bytes:
                self._stop("memory")
            elif len(processes) > _MOST_PROCESSES:
                self._stop("processes")
            elif self._seconds > self._limits.seconds or now - start > _CEILING * self._limits.seconds:
                self._stop("hang")

    def outcome(self, code: int, peak_kilobytes: int, stdout: Path, stderr: Path) -> Outcome:
        """Describe how the process ended, and end what it left running."""
        # Helpers of multiprocessing end by themselves when they see that their process is gone.
        end = time.monotonic() + _GRACE_SECONDS
        while (orphans := _session(self._pid)) and not self._stopped and time.monotonic() < end:
            time.sleep(_TICK_SECONDS)
        for process in orphans:
            with suppress(psutil.Error):
                process.kill()
        peak = max(self._peak_bytes, 1024 * peak_kilobytes)
        out, err = (path.read_text(encoding="utf-8", errors="backslashreplace") for path in (stdout, stderr))
        return Outcome(code, out, err, self._seconds, peak, self._stopped, len(orphans))

    def _stop(self, reason: str) -> None:
        self._stopped = self._stopped or reason
        for process in [*_tree(self._pid), *_session(self._pid)]:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)


def _outputs(folder: Path) -> tuple[Path, Path]:
    """Where a call's stdout and stderr go: beside its folder, in none that the call is told of."""
    return folder.with_name("stdout.txt"), folder.with_name("stderr.txt")


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _usage(processes: Sequence[psutil.Process]) -> tuple[float, int, bool]:
    """Processor seconds, resident bytes, and whether any of them runs or waits for the processor."""
    seconds, memory, runnable = 0.0, 0, False
    for process in processes:
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_info().rss
            runnable |= process.status() == psutil.STATUS_RUNNING
    return seconds, memory, runnable


def _session(leader: int) -> list[psutil.Process]:
    """The living processes of a session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != leader and os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
