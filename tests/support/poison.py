"""Videos that break the process that reads them.

No real file breaks a decoder reliably, so the file's name decides. A process with ``plugin(...)`` on its ``PYTHONPATH``
dies by a signal over a video whose name holds ``segfaults``, hangs over ``hangs``, and gets keyframes without end from
``never-ends``.
"""

from __future__ import annotations

from pathlib import Path

_PLUGIN = '''
import importlib.abc, importlib.util, os, signal, sys, time


class Endless:
    """A run over a video whose last keyframe comes again and again."""

    def __init__(self, run):
        self._run = run

    def __getattr__(self, name):
        return getattr(self._run, name)

    def __iter__(self):
        for keyframe in self._run:
            yield keyframe
        while True:
            yield keyframe
            time.sleep(0.2)


def poison(pipeline):
    call = pipeline.Pipeline.__call__

    def poisoned(self, source, **more):
        if "segfaults" in str(source):
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hangs" in str(source):
            time.sleep(100_000)
        run = call(self, source, **more)
        return Endless(run) if "never-ends" in str(source) else run

    pipeline.Pipeline.__call__ = poisoned


class WhenImported(importlib.abc.MetaPathFinder):
    """Importing the pipeline here would slow down every process."""

    def find_spec(self, name, path=None, target=None):
        if name != "ava_detect.inference.pipeline":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            poison(module)

        spec.loader.exec_module = exec_module
        return spec


loaded = sys.modules.get("ava_detect.inference.pipeline")
if loaded:
    poison(loaded)
else:
    sys.meta_path.insert(0, WhenImported())
'''


def plugin(folder: Path) -> Path:
    """The folder for the front of ``PYTHONPATH``."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_PLUGIN)
    return folder
