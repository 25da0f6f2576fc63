"""The process that ``tools/benchmark_first_row.py`` times: ``ava-detect annotate`` until the first keyframe is written.

Run as a script, it imports nothing but the standard library by itself. Functions are timed by wrapping them as soon as
their module has been imported, so any checkout of the package can be measured without a change to it.
"""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

# Stage -> the functions that are timed for it, those of earlier checkouts too; the first call of a stage counts.
STAGES = {
    "config chosen": ("config.choice.config_of",),
    "weights checked and read": ("models.weights.reading.read_weights_file",),
    "their checksums": ("models.weights.torch_files._check_zip",),
    "SHA-256 of the weights": ("annotation.preflight.sha256_of", "storage.file_hashes.sha256_of"),
    "network built": ("config.build._detector", "config.build._network"),
    "weights put into the network": ("config.build.load_file",),
    "network folded": ("inference.scorer.prepare",),
    "detector built": ("detectors.specs.build_detector",),
    "video opened": ("video.reader.VideoReader.__init__",),
    "first keyframe detected": ("inference.pipeline.Pipeline.detect",),
    "first clip scored": ("inference.scorer.Scorer.score",),
    "kernels' weight order": ("models.fused.conv.FusedConv._pack",),
}
# Decoding is a generator, so its time is that of the first ``next``.
GENERATORS = {"first clip decoded": ("inference.pipeline._Stages._decoded", "inference.stages.Stages._decoded")}
# Stages whose calls are added up.
SUMMED = ("kernels' weight order",)
LIBRARIES = ("torch", "onnxruntime", "av", "cv2", "numpy", "scipy", "pandas", "pyarrow", "fsspec", "pydantic", "typer")

_start = float(os.environ["FIRST_ROW_STARTED"])
_rows: dict[str, list[float | str]] = {}
_lock = threading.Lock()
_imports = threading.local()


def record(stage: str, begin: float, cpu: float) -> None:
    """Add a call to the rows: its thread, begin and end in seconds since the start, its thread's CPU seconds."""
    end, cpu = time.monotonic() - _start, time.thread_time() - cpu
    with _lock:
        if stage in SUMMED and stage in _rows:
            thread, first, last, before = _rows[stage]
            _rows[stage] = [thread, first, float(last) + end - begin, float(before) + cpu]
        else:
            _rows.setdefault(stage, [threading.current_thread().name, begin, end, cpu])


def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its calls recorded."""

    def wrapper(*args: Any, **options: Any) -> Any:
        begin, cpu = time.monotonic() - _start, time.thread_time()
        try:
            return call(*args, **options)
        finally:
            record(stage, begin, cpu)

    return wrapper


def timed_generator(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the generator function with the time of its first item recorded."""

    def wrapper(*args: Any, **options: Any) -> Any:
        items = call(*args, **options)
        begin, cpu = time.monotonic() - _start, time.thread_time()
        try:
            first = next(items)
        except StopIteration:
            return
        record(stage, begin, cpu)
        yield first
        yield from items

    return wrapper


class Finder(importlib.abc.MetaPathFinder):
    """Wraps the functions of ``STAGES`` when their modules have been imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Find the module as Python does; wrap its loader if it is one of the package's."""
        if not name.startswith("ava_detect."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                wrap(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def wrap(module: ModuleType) -> None:
    """Wrap the functions of a module that are timed."""
    for kind, how in ((STAGES, timed), (GENERATORS, timed_generator)):
        for stage, names in kind.items():
            for name in names:
                holder: Any = module
                home, _, attribute = f"ava_detect.{name}".rpartition(".")
                if home.rpartition(".")[0] == module.__name__:
                    holder = getattr(module, home.rpartition(".")[2], None)
                elif home != module.__name__:
                    continue
                if hasattr(holder, attribute):
                    setattr(holder, attribute, how(stage, getattr(holder, attribute)))


def time_imports() -> None:
    """Record the outermost import of each library, and the sum of all imports of each thread."""
    plain = builtins.__import__

    def timed_import(name: str, *args: Any, **options: Any) -> Any:
        depth = getattr(_imports, "depth", 0)
        library = name.partition(".")[0]
        is_new = library in LIBRARIES and library not in sys.modules and not getattr(_imports, "library", "")
        if depth and not is_new:
            return plain(name, *args, **options)
        begin, cpu = time.monotonic() - _start, time.thread_time()
        _imports.depth = depth + 1
        if is_new:
            _imports.library = library
        try:
            return plain(name, *args, **options)
        finally:
            _imports.depth = depth
            if is_new:
                _imports.library = ""
                record(f"import {library}", begin, cpu)
            if not depth:
                add_import(time.monotonic() - _start - begin, time.thread_time() - cpu)

    builtins.__import__ = timed_import


def add_import(wall: float, cpu: float) -> None:
    """Add an outermost import to the sum of its thread."""
    name = threading.current_thread().name
    stage = "all imports" if name == "MainThread" else f"all imports of {name}"
    with _lock:
        _, begin, end, before = _rows.get(stage, [name, 0.0, 0.0, 0.0])
        _rows[stage] = [name, begin, float(end) + wall, float(before) + cpu]


def finish(progress: Any) -> None:
    """End the process at the first keyframe, with the rows as JSON on the standard output."""
    if not progress.name or progress.position_seconds is None or "first clip scored" not in _rows:
        return
    _rows["first row"] = ["MainThread", 0.0, time.monotonic() - _start, time.process_time()]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    modules = len(sys.modules)
    os.write(1, json.dumps({"rows": _rows, "peak_mib": peak, "modules": modules}).encode())
    os._exit(0)


def main() -> None:
    """Run ``ava-detect`` with the arguments of this process."""
    _rows["interpreter"] = ["MainThread", 0.0, time.monotonic() - _start, time.process_time()]
    time_imports()
    sys.meta_path.insert(0, Finder())
    from ava_detect.annotation import annotate
    from ava_detect.cli import app

    plain = annotate.annotate_videos
    annotate.annotate_videos = lambda *args, **options: plain(*args, **{**options, "on_progress": finish})
    app.main(sys.argv[1:])


if __name__ == "__main__":
    main()
