"""Asking a store again: object storage answers 503 now and then, connections break, and neither is worth a stop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ava_detect.errors import AvaDetectError, StoreError
from ava_detect.storage.addresses import without_secrets

_TRIES, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 6, 0.2, 10.0
# Trying again changes nothing about these.
_FINAL = (
    AvaDetectError,
    FileExistsError,
    FileNotFoundError,
    ImportError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
    PermissionError,
)
# Nor about these, of libraries that need not be installed: there are no keys, or not all of them.
_WITHOUT_KEYS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError"}
T = TypeVar("T")


def with_retries(attempt: Callable[[], T], what: object) -> T:
    """The result of ``attempt``, tried up to six times within about twenty seconds.

    Errors that stay (no such file, no permission) are raised at once. ``StoreError`` names ``what`` and the last error,
    without secrets, when all tries failed, or none can do because there are no keys.
    """
    wait = _FIRST_WAIT_SECONDS
    for left in reversed(range(_TRIES)):
        try:
            return attempt()
        except _FINAL:
            raise
        except Exception as error:  # Every store's library has errors of its own for a connection that broke.
            reason = without_secrets(f"{type(error).__name__}: {error}")
            if type(error).__name__ in _WITHOUT_KEYS:
                raise StoreError(f"{what}: {reason}; give keys where the store's own tools look for them") from None
            if left == 0:
                # Not chained: what the libraries say may hold signatures.
                raise StoreError(f"{what}: the store did not answer in {_TRIES} tries ({reason})") from None
            time.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
    raise AssertionError("the last try returns or raises")
