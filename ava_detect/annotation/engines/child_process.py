"""The child's side of a ``WatchedProcess``: its work is made once, and then done for one item after another."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from ava_detect.annotation.engines import messages
from ava_detect.annotation.engines.base import WorkFactory
from ava_detect.errors import AvaDetectError, MissingDependencyError, message_of

_MIN_SECONDS_BETWEEN_HEARTBEATS = 0.2


def run(pipe: Connection, work_factory: WorkFactory[Any, Any]) -> None:
    """Make the work and do one item after another, until this process is killed or its parent ends.

    Args:
        pipe: The connection to the ``WatchedProcess``.
        work_factory: Makes the work.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sending, asking = threading.Lock(), threading.Lock()
    last_heartbeat = 0.0

    def send(kind: str, value: Any) -> None:
        with sending:
            messages.send(pipe, (kind, value))

    def heartbeat(value: Any) -> None:
        nonlocal last_heartbeat
        if time.monotonic() - last_heartbeat >= _MIN_SECONDS_BETWEEN_HEARTBEATS:
            last_heartbeat = time.monotonic()
            send("heartbeat", value)

    def ask(request: Any) -> Any:
        with asking:
            send("ask", request)
            kind, reply = messages.receive(pipe)
        if kind == "error":
            raise reply
        return reply

    try:
        work = work_factory(ask)
    except Exception as error:  # Raised again in the parent.
        send("error", _portable(error))
        return
    send("ready", None)
    while True:
        _, item = messages.receive(pipe)
        try:
            send("result", work(item, heartbeat))
        except Exception as error:  # One item must not end the worker; the parent decides.
            send("error", _portable(error))


def _portable(error: Exception) -> Exception:
    """The error itself, or one with the same text that pickles."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # An error of any library, with any constructor.
        return RuntimeError(f"{type(error).__name__}: {error}")
    # Its cause may not pickle, and may hold secrets.
    is_known = isinstance(error, AvaDetectError | MissingDependencyError | MemoryError)
    return error if is_known else RuntimeError(message_of(error))


def _end_with_parent() -> None:
    """End this process with its parent; a worker whose parent was killed would otherwise wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
