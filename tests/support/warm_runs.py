"""Runs of ``ava-detect`` without the seconds that loading PyTorch takes: forked from a process that has loaded it.

A run does the same otherwise, except that its workers are forked too instead of being started anew.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Sequence
from typing import Self

from processes import forking_python

_LOADED = """
import multiprocessing, os, sys, threading
import pyarrow.parquet, torch
import ava_detect.annotation.annotate, ava_detect.annotation.video_annotator, ava_detect.formats.parquet
from ava_detect.cli.app import main

fork = multiprocessing.get_context("fork")
multiprocessing.get_context = lambda method=None: fork
# Two processes that are forked at once would hold the pipes by which the other sees that its parent has died.
lock, start = threading.Lock(), fork.Process.start


def start_alone(process):
    with lock:
        start(process)


fork.Process.start = start_alone
os.register_at_fork(after_in_child=lock._at_fork_reinit)
print("loaded", flush=True)


def run(arguments):
    os.setpgid(0, 0)
    sys.argv = ["ava-detect", *arguments]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 70
    sys.stderr.flush()
    os._exit(code)


for line in iter(sys.stdin.readline, ""):
    pids = []
    for call in line.rstrip("\\n").split("\\f"):
        pid = os.fork()
        if pid == 0:
            run(call.split("\\t"))
        os.setpgid(pid, pid)
        pids.append(pid)
    print(pids[0], flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(next((code for code in codes if code), 0), flush=True)
"""


class WarmRuns:
    """One run at a time, or several that begin at once, each in a process group of its own.

    Otherwise used as ``subprocess.Popen`` is; of several runs ``pid`` is the first's.
    """

    def __init__(self) -> None:
        self._loaded = forking_python(_LOADED)
        assert self._line(None) == "loaded"
        self.pid = 0

    def start(self, *calls: Sequence[str]) -> Self:
        """Start ``ava-detect`` with these arguments, once for each list of them."""
        assert self._loaded.stdin is not None
        self._loaded.stdin.write("\f".join("\t".join(arguments) for arguments in calls) + "\n")
        self.pid = int(self._line(None))
        return self

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal; ``subprocess.TimeoutExpired`` where it comes later.

        Of several runs it is 0 if all ended with 0, and otherwise the code of the first that did not.
        """
        return int(self._line(timeout))

    def close(self) -> None:
        """End the loaded process."""
        assert self._loaded.stdin is not None
        self._loaded.stdin.close()
        assert self._loaded.wait(60) == 0

    def _line(self, timeout: float | None) -> str:
        assert self._loaded.stdout is not None
        # Every line is answered before the next is written, so none waits in the buffer of the text layer.
        if not select.select([self._loaded.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("ava-detect", timeout or 0.0)
        return self._loaded.stdout.readline().strip()


def group_has_ended(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False
