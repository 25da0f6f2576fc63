"""The user's cache folder, a lock for each file in it, and local copies of files from object stores.

Weights and detectors must be files of this machine. A file at an address (``s3://`` ...) is copied into the cache once
per version; the store's metadata (size, tag, modification time) identifies the version.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from filelock import FileLock

from ava_detect.errors import AvaDetectError, shown
from ava_detect.storage.addresses import Address, without_secrets
from ava_detect.storage.object_store import download, file_info

CACHE_VARIABLE = "AVA_DETECT_CACHE"
_COPIES, _LOCKS = "copies", ".locks"
# Metadata that identifies a version of a file, as the stores name it. Other metadata (time of the last access, owner)
# can change while the content does not.
_VERSION_FIELDS = ("size", "ETag", "etag", "LastModified", "Last-Modified", "mtime", "updated", "generation", "blob_id")


def cache_dir() -> Path:
    """Return the folder for downloaded files, which need not exist yet.

    Returns:
        ``$AVA_DETECT_CACHE`` where it is set, else ``ava_detect`` in this system's cache folder of the user.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "ava_detect"


def cache_lock(path: Path) -> FileLock:
    """Create a lock for a file of the cache, held by at most one thread of one process at a time.

    Args:
        path: The file; it need not exist. The lock file is written into ``.locks`` beside it.

    Returns:
        The lock, not yet acquired; a context manager.
    """
    folder = path.parent / _LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{path.name}.lock")


def cached_copy(address: Address) -> Path:
    """Return a local copy of a remote file; download it if the cache lacks this version.

    Args:
        address: The file.

    Returns:
        The path of the copy in the cache; its file name is that of the address.

    Raises:
        AvaDetectError: If there is no such file or the cache cannot be written.
        StoreError: If the store does not answer.
    """
    try:
        info = file_info(address)
        version = json.dumps([address.identity, {name: str(info[name]) for name in _VERSION_FIELDS if name in info}])
        path = cache_dir() / _COPIES / hashlib.sha256(version.encode()).hexdigest()[:16] / address.name
        if not path.is_file():
            with cache_lock(path):
                # Another process may have downloaded it while this one waited for the lock.
                if not path.is_file():
                    download(address, path)
    except FileNotFoundError as error:
        # fsspec also raises FileNotFoundError for a web server that cannot be reached; only the cause tells them apart.
        reason = f" ({shown(without_secrets(str(error.__cause__)))})" if error.__cause__ else ""
        raise AvaDetectError(f"{shown(address)}: there is no such file{reason}") from error
    except OSError as error:
        reason = shown(without_secrets(error.strerror or str(error)))
        raise AvaDetectError(
            f"{shown(address)} cannot be copied into the cache {shown(cache_dir())} ({reason}); "
            f"set {CACHE_VARIABLE} to a folder that can be written, and check that the file may be read"
        ) from error
    return path
