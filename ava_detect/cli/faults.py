"""What becomes of an error that ends a command: one sentence on stderr, an exit code, and for the unexpected a report.

Exit codes: 1 for what the user or the machine's owner can mend (a full disk, too little memory, a damaged input), 2 for
a wrong call, 70 for a fault of this program. A traceback is shown only where ``AVA_DETECT_DEBUG`` asks for it; that of
an unexpected error is kept in a file.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from ava_detect.cli.console import STANDARD_OUTPUT, complain
from ava_detect.environment import versions
from ava_detect.errors import AvaDetectError, EngineError, MissingDependencyError, StoreError, os_error_message, shown
from ava_detect.storage.addresses import without_secrets
from ava_detect.storage.cache import cache_dir

DEBUG_VARIABLE = "AVA_DETECT_DEBUG"
MENDABLE, WRONG_CALL, OUR_FAULT = 1, 2, 70
_MAX_REASON_LENGTH = 300
# What ``Path.resolve`` raises before Python 3.13, in the place of an OSError.
_LINK_LOOP = "Symlink loop from "
# How libraries say that memory is short, beside MemoryError.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "unable to allocate")


def tell(error: Exception) -> int:
    """Print an error that ended the command.

    Args:
        error: Any exception.

    Returns:
        The exit code.
    """
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error)
    if isinstance(error, AvaDetectError | MissingDependencyError):
        complain(str(error))
        return MENDABLE if isinstance(error, StoreError | EngineError) else WRONG_CALL
    if isinstance(error, RuntimeError) and str(error).startswith(_LINK_LOOP):
        error = OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(error)[len(_LINK_LOOP) :].strip("'"))
    if isinstance(error, OSError) and error.filename is None and _stdout_fails():
        error = OSError(error.errno, error.strerror, STANDARD_OUTPUT)
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        complain(os_error_message(error))
        return MENDABLE
    sentence, code = _sentence(error)
    complain(f"{sentence}; the full report is in {_write_report(error)}")
    return code


def _stdout_fails() -> bool:
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _sentence(error: Exception) -> tuple[str, int]:
    """Return what happened and what to try, and the exit code."""
    reason = shown(str(error).strip().partition("\n")[0])[:_MAX_REASON_LENGTH]
    name = type(error).__name__
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY):
        return f"there is not enough memory ({reason or name}); try a smaller input, or fewer processes", MENDABLE
    if isinstance(error, RecursionError):
        return "an input is nested too deeply to be read (RecursionError); mend or leave out that file", MENDABLE
    if isinstance(error, OverflowError):
        return f"a number in an input or an option is too large ({reason}); mend it", MENDABLE
    if isinstance(error, UnicodeError):
        return f"a text or a name is not valid in its encoding ({reason}); save it as UTF-8", MENDABLE
    if isinstance(error, OSError):
        return f"a file could not be read or written ({reason or name})", MENDABLE
    return f"a fault in ava_detect itself ({name}: {reason}), please report it", OUR_FAULT


def _write_report(error: Exception) -> str:
    """Write the traceback, the versions and the call into a file, and return its path."""
    parts = [
        f"ava-detect {' '.join(sys.argv[1:])}",
        json.dumps(versions(), indent=1),
        "".join(traceback.format_exception(error)),
    ]
    text = without_secrets("\n\n".join(parts))
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (cache_dir() / "reports", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The call may name private files: the report is its owner's alone.
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return shown(folder / name)
    return f"no file, because none can be written; {DEBUG_VARIABLE}=1 shows it"
