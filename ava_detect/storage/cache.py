"""This user's cache: the folder, a lock on each of its files, and copies of files that lie at addresses.

Weights and detectors have to be files of this machine. One that lies at an address (``s3://`` ...) is copied once for
each version of it, as the store tells versions apart (length, tag, time of change), and found there the next time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from filelock import FileLock

from ava_detect.errors import AvaDetectError
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.object_store import copy_here, info_of

CACHE_VARIABLE = "AVA_DETECT_CACHE"
_COPIES, _LOCKS = "copies", ".locks"
# What stores call a version of a file. Whatever else they say (when it was looked at, by whom) changes of itself.
_VERSION = ("size", "ETag", "etag", "LastModified", "Last-Modified", "mtime", "updated", "generation", "blob_id")


def cache_dir() -> Path:
    """Where downloaded files are kept: ``$AVA_DETECT_CACHE``, or the user's cache folder on this system."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ava_detect"


def alone_with(path: Path) -> FileLock:
    """A lock on a file of the cache, held by one thread of one process at a time."""
    folder = path.parent / _LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{path.name}.lock")


def copy_of(address: Address) -> Path:
    """The file at ``address`` as a file of this machine, under its own name; fetched if this version is not here yet.

    ``AvaDetectError`` where there is no such file or the cache cannot be written; ``StoreError`` where the store does
    not answer.
    """
    try:
        info = info_of(address)
        version = json.dumps([address.identity, {name: str(info[name]) for name in _VERSION if name in info}])
        path = cache_dir() / _COPIES / hashlib.sha256(version.encode()).hexdigest()[:16] / address.name
        if not path.is_file():
            with alone_with(path):
                # Another process may have fetched it meanwhile.
                if not path.is_file():
                    copy_here(address, path)
    except FileNotFoundError as error:
        # A web server that cannot be reached is told as a file that is not there.
        reason = f" ({without_secrets(str(error.__cause__))})" if error.__cause__ else ""
        raise AvaDetectError(f"{address}: there is no such file{reason}") from error
    except OSError as error:
        reason = without_secrets(error.strerror or str(error))
        raise AvaDetectError(
            f"{address} cannot be copied into the cache {cache_dir()} ({reason}); "
            f"set {CACHE_VARIABLE} to a folder that can be written, and look whether the file may be read"
        ) from error
    return path
