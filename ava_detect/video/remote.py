"""Reading videos from an address block by block, as the demuxer requests them.

Only the blocks that are decoded are downloaded, and at most 64 MiB of them are kept in memory. If a web server does not
support range requests, the whole file is first copied to the local disk, up to a size limit; ``close`` removes it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from fsspec import AbstractFileSystem
from fsspec.caching import BackgroundBlockCache

from ava_detect.errors import StoreError, VideoError, shown
from ava_detect.storage.addresses import Address, is_address, without_secrets
from ava_detect.storage.retry import with_retries
from ava_detect.storage.scratch import disk_full_as_store_error, scratch_folder

_BLOCK_BYTES, _MAX_BLOCKS = 4 << 20, 16
_MAX_SCRATCH_BYTES = 32 << 30
_COPY_CHUNK_BYTES = 1 << 20
T = TypeVar("T")


class RemoteVideo:
    """A video file at an address, accepted where the ``Path`` of a video file is; a context manager.

    Downloaded blocks are kept until ``close``.

    Args:
        address: The file's address.
        scratch_bytes: Size of the largest file that is copied to the local disk if the server does not support range
            requests.

    Attributes:
        address: The file's address.
        failure: The error of the store once it stopped answering, else None. A decoder may treat such an error as the
            end of the file, so check this after decoding.
        requests: Number of blocks requested so far, retries included.
    """

    def __init__(self, address: str | Address, *, scratch_bytes: int = _MAX_SCRATCH_BYTES) -> None:
        self.address = address if isinstance(address, Address) else Address(address)
        self.failure: StoreError | None = None
        self.requests = 0
        self._scratch_bytes = scratch_bytes
        self._cache: BackgroundBlockCache | None = None
        self._scratch: Path | None = None
        self._scratch_folder = ExitStack()

    def __str__(self) -> str:
        return str(self.address)

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return self.address.stem

    @property
    def name(self) -> str:
        """The file's name."""
        return self.address.name

    def open_file(self) -> io.RawIOBase | BinaryIO:
        """Open the file for reading and seeking; every call returns a new file object over the same blocks.

        Returns:
            The binary file.

        Raises:
            VideoError: If the file does not exist, is a folder, cannot be read, or is too large to copy.
            StoreError: If the store does not answer.
        """
        if self._scratch is not None:
            return self._scratch.open("rb")
        if self._cache is None:
            files, path = self.address.open()
            size = self._size(files, path)
            if size is None:
                return self._copy_to_disk(files, path).open("rb")
            self._cache = BackgroundBlockCache(_BLOCK_BYTES, self._fetcher(files, path, size), size, _MAX_BLOCKS)
        return _CachedFile(self._cache, self.name)

    def close(self) -> None:
        """Discard the downloaded blocks and remove the local copy."""
        # Before fsspec 2026.9 a cache has no end of its own: it ends when it is collected as garbage.
        getattr(self._cache, "close", lambda: None)()
        self._scratch_folder.close()
        self._cache = self._scratch = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _size(self, files: AbstractFileSystem, path: str) -> int | None:
        """Return the file's size in bytes; None if the server does not send parts of the file."""
        info = self._with_retries(lambda: files.info(path))
        if info.get("type") == "directory":
            raise VideoError(f"{shown(self)} is a folder, not a video file")
        size = info.get("size")
        # fsspec sets "partial" for web servers that announce range requests; other stores always send parts.
        sends_parts = info.get("partial") or not self.address.url.lower().startswith(("http://", "https://"))
        return int(size) if sends_parts and size is not None else None

    def _fetcher(self, files: AbstractFileSystem, path: str, size: int) -> Callable[[int, int], bytes]:
        """Build the function that downloads the bytes from ``start`` up to ``end``, as fsspec's cache requires it."""

        def fetch(start: int, end: int) -> bytes:
            end = min(end, size)
            if start >= end:
                return b""

            def read() -> bytes:
                self.requests += 1
                data: bytes = files.cat_file(path, start=start, end=end)
                if len(data) != end - start:
                    raise OSError(f"received {len(data)} of {end - start} bytes at offset {start}")
                return data

            return self._with_retries(read)

        return fetch

    def _copy_to_disk(self, files: AbstractFileSystem, path: str) -> Path:
        """Copy the whole file into a temporary folder and return its path."""
        target = self._scratch_folder.enter_context(scratch_folder(self)) / f"video{self.address.suffix}"

        def copy() -> None:
            left = self._scratch_bytes
            # A full disk becomes an error of its own, which is not retried as a failure of the store.
            with (
                disk_full_as_store_error(self),
                files.open(path, "rb", block_size=0) as source,
                target.open("wb") as file,
            ):
                while chunk := source.read(_COPY_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise VideoError(
                            f"{shown(self)}: the server sends no parts of files, and the whole is more than the "
                            f"{self._scratch_bytes >> 20} MiB that may be copied; put it where range requests work"
                        )
                    file.write(chunk)

        self._with_retries(copy)
        self._scratch = target
        return target

    def _with_retries(self, attempt: Callable[[], T]) -> T:
        """Call a function with retries; convert its errors, and set ``failure`` if the store does not answer."""
        try:
            return with_retries(attempt, self)
        except StoreError as error:
            self.failure = error
            raise
        except FileNotFoundError:
            raise VideoError(f"{shown(self)}: there is no such file") from None
        except (OSError, ImportError, NotImplementedError) as error:
            reason = shown(without_secrets(str(error))) or "access is refused"
            raise VideoError(f"{shown(self)} cannot be read ({type(error).__name__}: {reason})") from None


class _CachedFile(io.RawIOBase):
    """A binary file object with its own position over the cached blocks."""

    def __init__(self, cache: BackgroundBlockCache, name: str) -> None:
        self._cache = cache
        self._position = 0
        self.name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._cache.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # Before fsspec 2026.9 the cache refused blocks beyond the end of the file.
        data: bytes = self._cache._fetch(self._position, min(self._position + len(buffer), self._cache.size))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def as_video_file(source: str | Path | Address | RemoteVideo) -> Path | RemoteVideo:
    """Convert the source of a video to a local path or a remote video.

    Args:
        source: A path, an address, or a remote video.

    Returns:
        A ``RemoteVideo`` for an address, a ``Path`` for a path of this machine; paths and remote videos unchanged.
    """
    if isinstance(source, RemoteVideo | Path):
        return source
    return RemoteVideo(source) if isinstance(source, Address) or is_address(source) else Path(source)
