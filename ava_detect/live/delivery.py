"""Messages to other programs, in a thread of their own: tried again, bounded in number, never in the way of rows."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ava_detect.errors import shown
from ava_detect.storage.addresses import without_secrets

_MOST_WAITING = 1000
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 60.0

# Sends one message; raises ``RefusedError`` where another try would fail, too, and any other error where not.
Send = Callable[[dict[str, Any]], None]


class RefusedError(Exception):
    """A message that the receiver refuses; the message has the reason."""


class Delivery:
    """Sends messages in their order.

    A message that cannot be sent is tried again, after a wait that doubles up to a minute. When a thousand wait, the
    oldest is left out. Problems are told once, until a message has been delivered again.

    Args:
        what: What receives, for messages, such as ``webhook``.
        send: Sends one message.
        complain: Told of problems, without passwords.
        most_waiting: Number of messages that may wait.
        first_wait_seconds: The wait before the second try.

    Attributes:
        num_sent: Number of messages sent.
        num_lost: Number of messages that were refused or left out.
    """

    def __init__(
        self,
        what: str,
        send: Send,
        complain: Callable[[str], None],
        *,
        most_waiting: int = _MOST_WAITING,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self.num_sent = self.num_lost = 0
        self._what, self._send, self._complain = what, send, complain
        self._waiting: deque[dict[str, Any]] = deque()
        self._most_waiting, self._first_wait = most_waiting, first_wait_seconds
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._has_problem = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"ava-detect {what}")
        self._thread.start()

    def put(self, message: dict[str, Any]) -> None:
        """Have a message sent; returns at once.

        Args:
            message: A JSON value.
        """
        with self._changed:
            if len(self._waiting) >= self._most_waiting:
                self._waiting.popleft()
                self.num_lost += 1
            self._waiting.append(message)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Send what waits, for a limited time, and end.

        Args:
            seconds: The longest time.
        """
        with self._changed:
            self._deadline = time.monotonic() + seconds
            self._changed.notify_all()
        self._thread.join(seconds + 0.5)
        with self._changed:
            self.num_lost += len(self._waiting)
            self._waiting.clear()

    def _run(self) -> None:
        wait = self._first_wait
        while (message := self._next()) is not None:
            try:
                self._send(message)
            except RefusedError as error:
                self._tell(f"refuses a message ({error})")
                self._done(message, is_sent=False)
            except Exception as error:  # Each library has its own errors for a broken connection.
                self._tell(f"cannot be reached ({type(error).__name__}: {error}); it is tried again")
                if self._pause(random.uniform(wait / 2, wait)):
                    return
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            else:
                wait, self._has_problem = self._first_wait, False
                self._done(message, is_sent=True)

    def _next(self) -> dict[str, Any] | None:
        """The oldest message, which stays until it is sent; None at the end."""
        with self._changed:
            while not self._waiting:
                if self._deadline is not None:
                    return None
                self._changed.wait()
            is_over = self._deadline is not None and time.monotonic() >= self._deadline
            return None if is_over else self._waiting[0]

    def _done(self, message: dict[str, Any], *, is_sent: bool) -> None:
        with self._changed:
            self.num_sent += is_sent
            self.num_lost += not is_sent
            # It may have been left out meanwhile.
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()

    def _pause(self, seconds: float) -> bool:
        """Wait before the next try; return whether the time is over."""
        until = time.monotonic() + seconds
        with self._changed:
            while (now := time.monotonic()) < until:
                if self._deadline is not None and now >= self._deadline:
                    return True
                ends = until if self._deadline is None else min(until, self._deadline)
                self._changed.wait(max(0.0, ends - now))
        return False

    def _tell(self, problem: str) -> None:
        if not self._has_problem:
            self._has_problem = True
            self._complain(f"the {self._what} {shown(without_secrets(problem))}")
