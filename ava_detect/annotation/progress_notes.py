"""Keep the note on a run's progress up to date beside its results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ava_detect.errors import AvaDetectError, StoreError
from ava_detect.results.progress_note import NoteState, ProgressNote

_SECONDS_BETWEEN_NOTES = 15.0


class NotedRun(Protocol):
    """A run that can tell how far it has come.

    Attributes:
        interrupted: Whether Ctrl-C ended it.
    """

    interrupted: bool

    def note(self, state: NoteState) -> ProgressNote:
        """Return the note of the run.

        Args:
            state: The state of the run.

        Returns:
            How far it has come.
        """


@contextmanager
def progress_notes(put: Callable[[ProgressNote], None], run: NotedRun) -> Iterator[None]:
    """Write the run's note at its beginning, every few seconds and at its end.

    Args:
        put: Writes a note, replacing the earlier one.
        run: The run.
    """
    over = threading.Event()
    put(run.note("running"))

    def keep_writing() -> None:
        while not over.wait(_SECONDS_BETWEEN_NOTES):
            try:
                put(run.note("running"))
            except (AvaDetectError, OSError):
                # A late note is no reason to end the run; results that cannot be written raise by themselves.
                continue

    thread = threading.Thread(target=keep_writing, daemon=True)
    thread.start()
    state: NoteState = "failed"
    try:
        yield
        state = "interrupted" if run.interrupted else "finished"
    finally:
        over.set()
        thread.join()
        try:
            put(run.note(state))
        except (StoreError, OSError):
            if state == "finished":
                raise
