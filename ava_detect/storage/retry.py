"""Retries of store requests: occasional 503 answers and broken connections must not end a run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ava_detect.errors import AvaDetectError, StoreError, shown
from ava_detect.storage.addresses import without_secrets

_TRIES, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 6, 0.2, 10.0
# Errors that another attempt would meet again.
_PERMANENT_ERRORS = (
    AvaDetectError,
    FileExistsError,
    FileNotFoundError,
    ImportError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
    PermissionError,
)
# Missing or incomplete credentials, also permanent; by name, since the libraries that raise them are optional.
_CREDENTIAL_ERRORS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError"}
T = TypeVar("T")


def with_retries(attempt: Callable[[], T], what: object) -> T:
    """Call a function up to six times within about twenty seconds, until it succeeds.

    Permanent errors (no such file, no permission) are raised at once. Before each retry comes a random wait whose upper
    limit doubles from 0.2 s.

    Args:
        attempt: The request; it must be safe to repeat.
        what: The address or file that the error message names.

    Returns:
        The result of ``attempt``.

    Raises:
        StoreError: If all attempts failed, or credentials are missing. Names ``what`` and the last error, without
            secrets.
    """
    wait = _FIRST_WAIT_SECONDS
    for left in reversed(range(_TRIES)):
        try:
            return attempt()
        except _PERMANENT_ERRORS:
            raise
        except Exception as error:  # Each store's client library has its own error types for a broken connection.
            reason = shown(without_secrets(f"{type(error).__name__}: {error}"))
            if type(error).__name__ in _CREDENTIAL_ERRORS:
                raise StoreError(
                    f"{shown(what)}: {reason}; give keys where the store's own tools look for them"
                ) from None
            if left == 0:
                # Not chained: the library's message may contain signatures.
                raise StoreError(f"{shown(what)}: the store did not answer in {_TRIES} tries ({reason})") from None
            time.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
    raise AssertionError("the last try returns or raises")
