"""A process that has loaded ``ava_detect`` and forks one for each call: ``--warm`` of ``tools/fuzz_inputs.py``.

A call is a line of JSON on stdin: ``argv``, ``cwd``, ``env``, ``stdout``, ``stderr``, ``file_size``. Answers, a line
each: the process id when it has started, then its status, peak memory in kB and processor time in seconds.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import tempfile
import threading
from typing import Any

_PRELOADED = (
    "torch",
    "torchvision",
    "onnxruntime",
    "pyarrow.parquet",
    "av",
    "matplotlib.figure",
    "ava_detect.annotation.annotate",
    "ava_detect.annotation.video_annotator",
    "ava_detect.benchmark.run",
    "ava_detect.datasets.checks.check_data",
    "ava_detect.datasets.synthetic.world",
    "ava_detect.inference.proposals",
    "ava_detect.training.loop",
    "ava_detect.models.weights",
    "ava_detect.visualization.page.write_page",
    "ava_detect.cli.app",
)


def _load() -> None:
    for name in _PRELOADED:
        try:
            __import__(name)
        except ImportError:  # an optional library, or a module that has moved: the call loads it itself
            continue


def _become(call: dict[str, Any]) -> None:
    """Turn the forked process into one that was started for the call."""
    os.setsid()
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    tempfile.tempdir = None
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    for number, name in ((0, os.devnull), (1, call["stdout"]), (2, call["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    if call["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (call["file_size"], call["file_size"]))
    sys.argv = ["ava-detect", *call["argv"]]


def _serve() -> bool:
    """Answer calls; True in the forked process of a call, False when there are no more."""
    print("loaded", flush=True)
    for line in iter(sys.stdin.readline, ""):
        call = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(call)
            return True
        print(pid, flush=True)
        _, status, usage = os.wait4(pid, 0)
        answer = [os.waitstatus_to_exitcode(status), usage.ru_maxrss, usage.ru_utime + usage.ru_stime]
        print(json.dumps(answer), flush=True)
    return False


def _call() -> None:
    """Make the call and end the process: threads are waited for, but no library is unloaded, as forks cannot be."""
    from ava_detect.cli.app import main

    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    getattr(threading, "_shutdown")()  # noqa: B009
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    _load()
    gc.freeze()
    if _serve():
        _call()
