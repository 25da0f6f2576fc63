"""Workers without the seconds that each spends on loading PyTorch: forked from a process that has loaded it.

As with ``multiprocessing``'s method "spawn", they share nothing with the test's process, are given its environment of
the moment, and die alone.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import site
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from types import SimpleNamespace
from typing import Any

import pytest

from ava_detect.annotation.engines import watched_process

_LOADED = [
    "torch",
    "pyarrow.parquet",
    "ava_detect.annotation.video_worker",
    "ava_detect.annotation.model_server",
    "ava_detect.annotation.video_annotator",
]


def _process(*, target: Callable[..., None], **more: Any) -> ForkServerProcess:
    return ForkServerProcess(target=functools.partial(_run, dict(os.environ), target), **more)


def _run(environment: Mapping[str, str], target: Callable[..., None], *arguments: Any) -> None:
    """What Python does at its start with these variables, then the target."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    added = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in before]
    if added:
        sys.path[:0] = added
        sys.modules.pop("sitecustomize", None)
        site.execsitecustomize()
    target(*arguments)


def use_warm_workers(patch: pytest.MonkeyPatch) -> None:
    """Start the workers and servers of runs on this machine as such forks."""
    multiprocessing.set_forkserver_preload(_LOADED)
    context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=_process)
    ours = SimpleNamespace(**{**vars(multiprocessing), "get_context": lambda method: context})
    patch.setattr(watched_process, "multiprocessing", ours)
