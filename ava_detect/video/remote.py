"""Videos at an address: read where they lie, block by block, as the container asks for them.

A video of some gigabytes costs the blocks that are decoded, and 64 MiB of memory. A server that cannot send a part of
a file (no range requests) is the exception: there the file is copied to the local disk first, if it is not too large,
and the copy is removed on ``close``.
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

from ava_detect.errors import StoreError, VideoError
from ava_detect.storage.addresses import Address, is_address, without_secrets
from ava_detect.storage.retry import with_retries
from ava_detect.storage.scratch import room_for, scratch_folder

_BLOCK_BYTES, _MAX_BLOCKS = 4 << 20, 16
_MAX_SCRATCH_BYTES = 32 << 30
_READ_FROM_SCRATCH = 1 << 20
T = TypeVar("T")


class RemoteVideo:
    """A video file at an address. It stands where a ``Path`` stands; what was read is kept until ``close``.

    ``failure``: why the store stopped answering, once it has; a decoder may take that for the end of the file.
    """

    def __init__(self, address: str | Address, *, scratch_bytes: int = _MAX_SCRATCH_BYTES) -> None:
        """``scratch_bytes``: the largest file that is copied to the local disk."""
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
        """The file, readable at any place. ``VideoError`` where there is none; ``StoreError`` where nobody answers."""
        if self._scratch is not None:
            return self._scratch.open("rb")
        if self._cache is None:
            files, path = self.address.open()
            size = self._size(files, path)
            if size is None:
                return self._copied(files, path).open("rb")
            self._cache = BackgroundBlockCache(_BLOCK_BYTES, self._fetcher(files, path, size), size, _MAX_BLOCKS)
        return _Window(self._cache, self.name)

    def close(self) -> None:
        """Forget what was read, and remove what was copied."""
        if self._cache is not None:
            self._cache.close()
        self._scratch_folder.close()
        self._cache = self._scratch = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _size(self, files: AbstractFileSystem, path: str) -> int | None:
        """Bytes, or None where parts of the file cannot be had."""
        info = self._patiently(lambda: files.info(path))
        if info.get("type") == "directory":
            raise VideoError(f"{self} is a folder, not a video file")
        size = info.get("size")
        # fsspec says "partial" of a web server that announces range requests, and nothing of one that does not.
        in_parts = info.get("partial") or not self.address.url.lower().startswith(("http://", "https://"))
        return int(size) if in_parts and size is not None else None

    def _fetcher(self, files: AbstractFileSystem, path: str, size: int) -> Callable[[int, int], bytes]:
        def fetch(start: int, end: int) -> bytes:
            end = min(end, size)
            if start >= end:
                return b""

            def read() -> bytes:
                self.requests += 1
                data: bytes = files.cat_file(path, start=start, end=end)
                if len(data) != end - start:
                    raise OSError(f"{len(data)} bytes came of the {end - start} at {start}")
                return data

            return self._patiently(read)

        return fetch

    def _copied(self, files: AbstractFileSystem, path: str) -> Path:
        """The whole file on the local disk."""
        target = self._scratch_folder.enter_context(scratch_folder(self)) / f"video{self.address.suffix}"

        def copy() -> None:
            left = self._scratch_bytes
            # A full disk is nothing that asking the store again could mend.
            with room_for(self), files.open(path, "rb", block_size=0) as source, target.open("wb") as file:
                while piece := source.read(_READ_FROM_SCRATCH):
                    left -= len(piece)
                    if left < 0:
                        raise VideoError(
                            f"{self}: the server sends no parts of files, and the whole is more than the "
                            f"{self._scratch_bytes >> 20} MiB that may be copied; put it where range requests work"
                        )
                    file.write(piece)

        self._patiently(copy)
        self._scratch = target
        return target

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Its result; ``failure`` is kept where the store does not answer."""
        try:
            return with_retries(attempt, self)
        except StoreError as error:
            self.failure = error
            raise
        except FileNotFoundError:
            raise VideoError(f"{self}: there is no such file") from None
        except (OSError, ImportError, NotImplementedError) as error:
            reason = without_secrets(str(error)) or "access is refused"
            raise VideoError(f"{self} cannot be read ({type(error).__name__}: {reason})") from None


class _Window(io.RawIOBase):
    """A place in the cached blocks."""

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
        data: bytes = self._cache._fetch(self._position, self._position + len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def as_video_file(source: str | Path | Address | RemoteVideo) -> Path | RemoteVideo:
    """Where a video is read from: an address by blocks, all else as a file of this machine."""
    if isinstance(source, RemoteVideo | Path):
        return source
    return RemoteVideo(source) if isinstance(source, Address) or is_address(source) else Path(source)
