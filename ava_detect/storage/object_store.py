"""The files below one address, here or in a bucket: read with patience, put in place whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from fsspec import AbstractFileSystem

from ava_detect.storage.addresses import Address
from ava_detect.storage.local_files import TEMPORARY_MARK, atomic_path
from ava_detect.storage.retry import with_retries

_KEYS_PER_PAGE = 1000  # the most that S3 sends
# Where an upload appears whole by nature; elsewhere it is renamed into place.
_WHOLE_BY_NATURE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oss", "oci", "memory", "r2", "tos"}


@dataclass(frozen=True)
class Store:
    """The files below ``address``, by their names there (``rows/a.parquet``). It travels without its connection.

    Every request is made again for a while when the store fails (``patience``): then ``StoreError``; what another try
    would not change is raised as it is (``PermissionError``, ``FileNotFoundError`` of a bucket, ...).
    """

    address: Address

    @cached_property
    def place(self) -> tuple[AbstractFileSystem, str]:
        """The file system, and the path on it."""
        files, root = self.address.open()
        return files, root.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        # Connections and their threads do not travel.
        return {"address": self.address}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def is_there(self, name: str) -> bool:
        """Whether there is such a file."""
        files, root = self.place
        return with_retries(lambda: _is_there(files, f"{root}/{name}"), self.address / name)

    def infos(self, folder: str) -> list[Mapping[str, Any]]:
        """What a folder holds, as fsspec lists it, by name; nothing where there is no such folder."""
        files, root = self.place

        def look() -> list[Mapping[str, Any]]:
            try:
                return sorted(files.ls(f"{root}/{folder}", detail=True), key=lambda info: str(info["name"]))
            except FileNotFoundError:
                return []

        return with_retries(look, self.address)

    def names(self, folder: str) -> list[str]:
        """The names in a folder, without what somebody is still writing."""
        return [
            name
            for info in self.infos(folder)
            if not (name := PurePosixPath(str(info["name"]).rstrip("/")).name).startswith(TEMPORARY_MARK)
        ]

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        files, root = self.place
        data: bytes | None = None
        with suppress(FileNotFoundError):
            data = with_retries(lambda: files.cat_file(f"{root}/{name}"), self.address / name)
        return data

    def fetch(self, name: str, target: Path) -> bool:
        """Copy a file to this machine; whether there is one. What came is as long as the store says that it is."""
        files, root = self.place
        try:
            _copy(files, f"{root}/{name}", target, self.address / name)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Put a small file in place."""
        self._put(name, lambda files, target: files.pipe_file(target, content))

    def put_file(self, path: Path, name: str) -> None:
        """Put a file of this machine in place."""
        self._put(name, lambda files, target: files.put_file(str(path), target))

    def create(self, name: str, content: bytes) -> None:
        """Write a file unless it is there: where the store can tell, even when somebody else does so just now."""
        files, root = self.place
        target = f"{root}/{name}"
        with suppress(FileExistsError):
            if _scheme(files) == "file":
                _link_new(Path(target), content)
            elif _scheme(files) in _WHOLE_BY_NATURE:
                with_retries(lambda: files.pipe_file(target, content, mode="create"), self.address)
            else:
                self.write(name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        files, root = self.place
        path = f"{root}/{name}"
        with suppress(FileNotFoundError):
            with_retries(lambda: files.rm_file(path) if _is_there(files, path) else None, self.address / name)

    def _put(self, name: str, upload: Callable[[AbstractFileSystem, str], None]) -> None:
        """Have a file in its place, where it appears whole or not at all."""
        files, root = self.place
        target = f"{root}/{name}"
        parent, _, last = target.rpartition("/")

        def put() -> None:
            if _scheme(files) == "file":
                with atomic_path(target) as temporary:
                    upload(files, str(temporary))
            elif _scheme(files) in _WHOLE_BY_NATURE:
                upload(files, target)
            else:
                files.makedirs(parent, exist_ok=True)
                moved_from = f"{parent}/{TEMPORARY_MARK}{uuid4().hex}-{last}"
                upload(files, moved_from)
                files.mv(moved_from, target)

        with_retries(put, self.address / name)


def directory(files: AbstractFileSystem, place: str) -> Iterator[Mapping[str, Any]]:
    """The entries of a directory as fsspec shows them (``name``, ``type``, when it changed), the files in the order of
    their names.

    Stores that s3fs opens send them page by page; of others a directory is listed in one.
    """
    bucket = place.partition("/")[0]
    # What S3 calls a directory bucket ("--x-s3") lists in no order.
    if hasattr(files, "call_s3") and bucket and not bucket.endswith("--x-s3"):
        yield from _pages(files, place)
    else:
        yield from sorted(with_retries(lambda: files.ls(place, detail=True), place), key=lambda info: str(info["name"]))


def _pages(files: Any, place: str) -> Iterator[Mapping[str, Any]]:
    bucket, key, _ = files.split_path(place)
    request = {"Bucket": bucket, "Delimiter": "/", "MaxKeys": _KEYS_PER_PAGE, **files.req_kw}
    prefix = f"{key}/" if key else ""
    while True:
        page = with_retries(lambda: files.call_s3("list_objects_v2", Prefix=prefix, **request), place)
        for entry in page.get("Contents", []):
            if entry["Key"] != prefix:  # the mark that some tools leave for a folder
                yield {**entry, "name": f"{bucket}/{entry['Key']}", "type": "file"}
        for entry in page.get("CommonPrefixes", []):
            yield {"name": f"{bucket}/{entry['Prefix'].rstrip('/')}", "type": "directory"}
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def info_of(address: Address) -> Mapping[str, Any]:
    """What its store says of one file, in fsspec's words (``size``, ...). ``FileNotFoundError``, ``StoreError``."""
    files, path = address.open()
    info: Mapping[str, Any] = with_retries(lambda: files.info(path), address)
    return info


def copy_here(address: Address, target: Path) -> None:
    """Copy one file to this machine, whole or not at all. ``FileNotFoundError``, ``StoreError``."""
    files, path = address.open()
    _copy(files, path, target, address)


def _copy(files: AbstractFileSystem, path: str, target: Path, address: Address) -> None:
    def copy() -> None:
        size = files.info(path)["size"]
        with atomic_path(target) as temporary:
            files.get_file(path, str(temporary))
            came = temporary.stat().st_size
            if size is not None and came != size:
                raise OSError(f"{came} bytes came of {size}")

    with_retries(copy, address)


def _link_new(target: Path, content: bytes) -> None:
    """A new local file, whole from the first moment; ``FileExistsError`` where there is one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{uuid4().hex}")
    temporary.write_bytes(content)
    try:
        # Unlike a rename, a link never takes the place of what is there.
        target.hardlink_to(temporary)
    finally:
        temporary.unlink()


def _is_there(files: AbstractFileSystem, path: str) -> bool:
    try:
        files.info(path)
    except FileNotFoundError:
        return False
    return True


def _scheme(files: AbstractFileSystem) -> str:
    return files.protocol if isinstance(files.protocol, str) else str(files.protocol[0])
