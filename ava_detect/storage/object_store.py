"""Files below one address, on this machine or in a bucket: requests with retries, atomic writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ava_detect.errors import require_file
from ava_detect.storage.addresses import Address
from ava_detect.storage.local_files import TEMPORARY_MARK, atomic_path
from ava_detect.storage.retry import with_retries

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MAX_SMALL_BYTES = 1 << 28
_KEYS_PER_PAGE = 1000  # the maximum of S3's ListObjectsV2
# Schemes whose uploads are atomic: an object exists only once it is complete. Elsewhere an upload goes to a temporary
# name and is renamed.
_ATOMIC_UPLOAD = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oss", "oci", "memory", "r2", "tos"}


@dataclass(frozen=True)
class Store:
    """The files below an address, by their names relative to it (``rows/a.parquet``).

    Requests are retried when the store fails (``retry``); ``StoreError`` is raised when every attempt failed. Permanent
    errors (``PermissionError``, ``FileNotFoundError`` of a bucket, ...) are raised unchanged. A ``Store`` can be
    pickled; its connection is opened again in the other process.

    Attributes:
        address: The folder or the prefix in a bucket.
    """

    address: Address

    @cached_property
    def connection(self) -> tuple[AbstractFileSystem, str]:
        """The file system and the path of the address on it, connected on first use."""
        files, root = self.address.open()
        return files, root.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        # Connections and their threads cannot be pickled.
        return {"address": self.address}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def exists(self, name: str) -> bool:
        """Check whether a file exists.

        Args:
            name: The file's name relative to the address.

        Returns:
            True if there is a file or folder of this name.

        Raises:
            StoreError: If the store does not answer.
        """
        files, root = self.connection
        return with_retries(lambda: _exists(files, f"{root}/{name}"), self.address / name)

    def list_infos(self, folder: str) -> list[Mapping[str, Any]]:
        """List a folder with the store's metadata.

        Args:
            folder: The folder's name relative to the address.

        Returns:
            One entry per file or folder as fsspec lists it (``name``, ``type``, ``size``, ...), sorted by name; an
            empty list if there is no such folder.

        Raises:
            StoreError: If the store does not answer.
        """
        files, root = self.connection

        def list_folder() -> list[Mapping[str, Any]]:
            try:
                return sorted(files.ls(f"{root}/{folder}", detail=True), key=lambda info: str(info["name"]))
            except FileNotFoundError:
                return []

        return with_retries(list_folder, self.address)

    def names(self, folder: str) -> list[str]:
        """List the names in a folder, without the temporary files of running uploads.

        Args:
            folder: The folder's name relative to the address.

        Returns:
            The last parts of the names, sorted; an empty list if there is no such folder.

        Raises:
            StoreError: If the store does not answer.
        """
        return [
            name
            for info in self.list_infos(folder)
            if not (name := PurePosixPath(str(info["name"]).rstrip("/")).name).startswith(TEMPORARY_MARK)
        ]

    def read(self, name: str) -> bytes | None:
        """Read a small file.

        Args:
            name: The file's name relative to the address.

        Returns:
            The content; None if there is no such file.

        Raises:
            StoreError: If the store does not answer.
        """
        files, root = self.connection
        data: bytes | None = None
        with suppress(FileNotFoundError):
            _require_file(files, f"{root}/{name}", max_bytes=_MAX_SMALL_BYTES)
            data = with_retries(lambda: files.cat_file(f"{root}/{name}"), self.address / name)
        return data

    def fetch(self, name: str, target: Path) -> bool:
        """Download a file atomically; its length is checked against the store's metadata.

        Args:
            name: The file's name relative to the address.
            target: The path on this machine.

        Returns:
            False if there is no such file, else True.

        Raises:
            StoreError: If the store does not answer or keeps sending too few bytes.
        """
        files, root = self.connection
        try:
            _copy(files, f"{root}/{name}", target, self.address / name)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a small file atomically; an existing one is replaced.

        Args:
            name: The file's name relative to the address.
            content: The file's bytes.

        Raises:
            StoreError: If the store does not answer.
        """
        self._put(name, lambda files, target: files.pipe_file(target, content))

    def put_file(self, path: Path, name: str) -> None:
        """Upload a file of this machine atomically; an existing one is replaced.

        Args:
            path: The file on this machine.
            name: The file's name relative to the address.

        Raises:
            StoreError: If the store does not answer.
        """
        self._put(name, lambda files, target: files.put_file(str(path), target))

    def create(self, name: str, content: bytes) -> None:
        """Write a small file unless it exists already.

        When several processes create the same file, exactly one succeeds on local disks and in stores with conditional
        writes; in other stores the last one replaces the file.

        Args:
            name: The file's name relative to the address.
            content: The file's bytes.

        Raises:
            StoreError: If the store does not answer.
        """
        files, root = self.connection
        target = f"{root}/{name}"
        with suppress(FileExistsError):
            if _scheme(files) == "file":
                _link_new(Path(target), content)
            elif _scheme(files) in _ATOMIC_UPLOAD:
                with_retries(lambda: files.pipe_file(target, content, mode="create"), self.address)
            else:
                self.write(name, content)

    def remove(self, name: str) -> None:
        """Remove a file if it exists.

        Args:
            name: The file's name relative to the address.

        Raises:
            StoreError: If the store does not answer.
        """
        files, root = self.connection
        path = f"{root}/{name}"
        with suppress(FileNotFoundError):
            with_retries(lambda: files.rm_file(path) if _exists(files, path) else None, self.address / name)

    def _put(self, name: str, upload: Callable[[AbstractFileSystem, str], None]) -> None:
        """Write a file atomically: ``upload`` gets the file system and the path to write to."""
        files, root = self.connection
        target = f"{root}/{name}"
        parent, _, last = target.rpartition("/")

        def put() -> None:
            if _scheme(files) == "file":
                with atomic_path(target) as temporary:
                    upload(files, str(temporary))
            elif _scheme(files) in _ATOMIC_UPLOAD:
                upload(files, target)
            else:
                files.makedirs(parent, exist_ok=True)
                temporary_path = f"{parent}/{TEMPORARY_MARK}{uuid4().hex}-{last}"
                upload(files, temporary_path)
                files.mv(temporary_path, target)

        with_retries(put, self.address / name)


def directory(files: AbstractFileSystem, path: str) -> Iterator[Mapping[str, Any]]:
    """List one directory of any size.

    Stores opened by s3fs are listed page by page, so memory does not grow with the directory; others in one request.

    Args:
        files: The file system.
        path: The directory's path on it.

    Yields:
        The entries as fsspec shows them (``name``, ``type``, modification time, ...), files in the order of their
        names.

    Raises:
        StoreError: If the store does not answer.
    """
    bucket = path.partition("/")[0]
    # S3's directory buckets (their names end in "--x-s3") do not list in the order of names.
    if hasattr(files, "call_s3") and bucket and not bucket.endswith("--x-s3"):
        yield from _pages(files, path)
    else:
        yield from sorted(with_retries(lambda: files.ls(path, detail=True), path), key=lambda info: str(info["name"]))


def _pages(files: Any, path: str) -> Iterator[Mapping[str, Any]]:
    bucket, key, _ = files.split_path(path)
    request = {"Bucket": bucket, "Delimiter": "/", "MaxKeys": _KEYS_PER_PAGE, **files.req_kw}
    prefix = f"{key}/" if key else ""
    while True:
        page = with_retries(lambda: files.call_s3("list_objects_v2", Prefix=prefix, **request), path)
        for entry in page.get("Contents", []):
            if entry["Key"] != prefix:  # an empty object that some tools write for a folder
                yield {**entry, "name": f"{bucket}/{entry['Key']}", "type": "file"}
        for entry in page.get("CommonPrefixes", []):
            yield {"name": f"{bucket}/{entry['Prefix'].rstrip('/')}", "type": "directory"}
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def file_info(address: Address) -> Mapping[str, Any]:
    """Return a store's metadata of one file.

    Args:
        address: The file.

    Returns:
        The metadata under fsspec's and the store's names (``name``, ``size``, ``ETag``, ...).

    Raises:
        FileNotFoundError: If there is no such file.
        StoreError: If the store does not answer.
    """
    files, path = address.open()
    info: Mapping[str, Any] = with_retries(lambda: files.info(path), address)
    return info


def download(address: Address, target: Path) -> None:
    """Download one file atomically; its length is checked against the store's metadata.

    Args:
        address: The file.
        target: The path on this machine.

    Raises:
        FileNotFoundError: If there is no such file.
        StoreError: If the store does not answer or keeps sending too few bytes.
    """
    files, path = address.open()
    _copy(files, path, target, address)


def _require_file(files: AbstractFileSystem, path: str, max_bytes: int | None = None) -> None:
    """Refuse a pipe, a device or too large a file in a folder of this machine."""
    if "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
        require_file(path, max_bytes=max_bytes)


def _copy(files: AbstractFileSystem, path: str, target: Path, address: Address) -> None:
    _require_file(files, path)

    def copy() -> None:
        size = files.info(path)["size"]
        with atomic_path(target) as temporary:
            files.get_file(path, str(temporary))
            received = temporary.stat().st_size
            if size is not None and received != size:
                raise OSError(f"received {received} of {size} bytes")

    with_retries(copy, address)


def _link_new(target: Path, content: bytes) -> None:
    """Create a local file atomically; ``FileExistsError`` if it exists."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{uuid4().hex}")
    temporary.write_bytes(content)
    try:
        # Unlike a rename, a hard link never replaces an existing file.
        target.hardlink_to(temporary)
    finally:
        temporary.unlink()


def _exists(files: AbstractFileSystem, path: str) -> bool:
    try:
        files.info(path)
    except FileNotFoundError:
        return False
    return True


def _scheme(files: AbstractFileSystem) -> str:
    return files.protocol if isinstance(files.protocol, str) else str(files.protocol[0])
