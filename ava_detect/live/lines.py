"""JSON lines of a live run: on the standard output, and in files that rotate; each is flushed at once.

``NAME.jsonl`` has the keyframes of a source in the format of ``annotate``, with ``time``, ``lag_seconds`` and
``num_dropped``; ``events.jsonl`` has the events of all sources. A file that has grown to its limit becomes
``NAME.1.jsonl``, that one ``NAME.2.jsonl``, and the oldest is removed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from ava_detect.errors import ConfigError, shown
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.outputs import check_output_folder, first_bytes

EVENTS = "events"
_SUFFIX = ".jsonl"
_OWN_START = re.compile(rb'\{"(video_id|event)": ')


def line_of(value: dict[str, Any]) -> str:
    """Return a JSON value as a line, without its end.

    Args:
        value: The value.
    """
    return json.dumps(value, ensure_ascii=False)


def print_line(value: dict[str, Any]) -> None:
    """Print a line on the standard output at once.

    Args:
        value: The value.

    Raises:
        OSError: It cannot be written.
    """
    sys.stdout.write(line_of(value) + "\n")
    sys.stdout.flush()


class _RotatingFile(RotatingFileHandler):
    """A file of lines; errors are raised instead of printed."""

    def __init__(self, path: Path, max_bytes: int, num_kept: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=num_kept, encoding="utf-8", delay=True)
        self._path = path

    def rotation_filename(self, default_name: str) -> str:
        # NAME.1.jsonl in the place of NAME.jsonl.1, which no program would know for JSON lines.
        stem, _, number = default_name.rpartition(".")
        return f"{stem.removesuffix(_SUFFIX)}.{number}{_SUFFIX}"

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        assert error is not None, "it is called while an error is handled"
        raise error

    def write(self, line: str) -> None:
        self.emit(logging.LogRecord("", 0, "", 0, line, (), None))


class LineFiles:
    """The files of one run, in one folder; a context manager. One thread at a time may write.

    Files of an earlier run are kept: they rotate before the first line.

    Args:
        folder: The folder, made where it is not there.
        sources: Names of the sources.
        max_bytes: Size at which a file rotates.
        num_kept: Number of files of each source that are kept beside the one that is written.
        inputs: What the run reads, by the names of the caller's parameters; no file of it is written to.

    Raises:
        ConfigError: The folder cannot be written to, or has files of another kind under these names.
        OSError: The folder cannot be made.
    """

    def __init__(
        self, folder: Path, sources: Iterable[str], max_bytes: int, num_kept: int, inputs: dict[str, Any]
    ) -> None:
        names = list(sources)
        stems = file_stems([*names, EVENTS])
        if EVENTS in names:
            raise ConfigError(f"a source cannot be called {EVENTS!r}, as the file of events is; give NAME=SOURCE")
        check_output_folder(folder, [f"{stem}{_SUFFIX}" for stem in stems.values()], inputs, is_own=_is_own)
        folder.mkdir(parents=True, exist_ok=True)
        self.paths = {name: folder / f"{stem}{_SUFFIX}" for name, stem in stems.items()}
        self._files = {name: _RotatingFile(path, max_bytes, num_kept) for name, path in self.paths.items()}
        for name, path in self.paths.items():
            if path.is_file() and path.stat().st_size:
                self._files[name].doRollover()

    def __enter__(self) -> LineFiles:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Append a line.

        Args:
            name: Name of a source, or ``events``.
            value: The value.

        Raises:
            OSError: It cannot be written.
        """
        self._files[name].write(line_of(value))


def _is_own(path: Path) -> bool:
    head = first_bytes(path, 64)
    return not head or _OWN_START.match(head) is not None


def check_rotation(rotate_mb: float, keep: int) -> None:
    """Refuse limits of files at which they could not be written.

    Args:
        rotate_mb: Size at which a file rotates, in MB.
        keep: Number of files that are kept.

    Raises:
        ConfigError: One is out of range.
    """
    if not 0.01 <= rotate_mb <= 1e6:
        raise ConfigError(f"`rotate_mb` is a size in MB from 0.01 to 1,000,000, got {shown(rotate_mb)}")
    if not 1 <= keep <= 10_000:
        raise ConfigError(f"`keep` is a number of files from 1 to 10,000, got {shown(keep)}")
