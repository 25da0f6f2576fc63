"""Download checkpoints of the zoo into a cache, and compare their hashes.

Where the publisher gives the SHA-256 of a file, or its first digits (mmaction2's file names end in eight), another file
is refused. The SHA-256 of a file's first download is recorded in the cache's ``hashes.json``, and a file that differs
from it later is refused.

An interrupted download resumes where it stopped (HTTP ``Range``, tied to one version of the file by ``If-Range``).
When several processes or threads need the same file, one downloads it and the others wait (file locks of the operating
system in ``.locks``, released when the process that holds them ends).
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ava_detect.errors import WeightsError, shown
from ava_detect.models.zoo_table import ZooEntry
from ava_detect.storage.cache import CACHE_VARIABLE, cache_dir, cache_lock
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.progress import OnProgress, Progress

_HASHES = "hashes.json"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0
# Consecutive attempts without a new byte.
_MAX_IDLE_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_DRIVE = "drive.google.com"


class DownloadError(WeightsError):
    """A checkpoint of the zoo that is not in the cache and cannot be downloaded."""


def cached_path(entry: ZooEntry) -> Path:
    """Return the path of an entry's file in the cache, whether or not it is there.

    Args:
        entry: The checkpoint.

    Returns:
        The path.
    """
    # An address of Google Drive ends in an id.
    return cache_dir() / f"{entry.name}{Path(urlsplit(entry.address).path).suffix or '.pth'}"


def obtain(entry: ZooEntry, on_progress: OnProgress | None = None) -> Path:
    """Return an entry's file, from the cache or else downloaded; its hash is verified in both cases.

    Args:
        entry: The checkpoint.
        on_progress: Called with the number of bytes while a download runs.

    Returns:
        Path of the file in the cache.

    Raises:
        WeightsError: The file cannot be downloaded, its hash differs from the known one, or the cache cannot be used.
    """
    try:
        return _obtain(entry, on_progress)
    except OSError as error:
        raise WeightsError(
            f"the cache {cache_dir()} cannot be used ({error.strerror}); set {CACHE_VARIABLE} to a folder that can be "
            "written"
        ) from error


def _obtain(entry: ZooEntry, on_progress: OnProgress | None) -> Path:
    path = cached_path(entry)
    if not path.is_file():
        with cache_lock(path):
            # Another process may have downloaded it in the meantime.
            if not path.is_file():
                _fetch(entry, path, on_progress)
                return path
    _verify(entry, path, path)
    return path


def _fetch(entry: ZooEntry, path: Path, on_progress: OnProgress | None) -> None:
    """Download the file beside ``path``, verify it and move it there."""
    part = path.with_name(path.name + ".part")
    _download(entry, part, on_progress)
    try:
        _verify(entry, part, path)
        part.replace(path)
    finally:
        _discard(part)


def _verify(entry: ZooEntry, path: Path, target: Path) -> None:
    """Compare the hash of ``path`` with the known one; record it where none is known.

    ``target``: path of the file in the cache after the download; its name is the key in ``hashes.json``.
    """
    found = sha256_of(path)
    hashes = target.with_name(_HASHES)
    recorded = _read_hashes(hashes).get(target.name)
    for expected, origin in ((entry.sha256, "its published hash"), (recorded, f"the one recorded in {hashes}")):
        if expected and not found.startswith(expected):
            another = expected == recorded  # which may be a new version of the file
            trusted = f" (if you trust the new one, its line in {hashes.name} too)" if another else ""
            kept = f"delete it{trusted} and get it again"
            not_kept = f"it was not kept{f'; if you trust it, delete its line in {hashes.name}' if another else ''}"
            raise WeightsError(
                f"{target}: the file of {entry.name} has the SHA-256 {found[:12]}..., which is not {origin}, "
                f"{expected[:12]}...; {kept if path == target else not_kept}"
            )
    if recorded is None:
        with cache_lock(hashes):
            updated = {**_read_hashes(hashes), target.name: found}
            write_text_atomic(hashes, json.dumps(updated, indent=2, sort_keys=True) + "\n")


def _read_hashes(path: Path) -> dict[str, str]:
    """The recorded hashes by file name."""
    if not path.is_file():
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # a RecursionError for lists and mappings nested too deeply
        raise WeightsError(f"{shown(path)} is not readable JSON ({shown(error)}); repair or delete it") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise WeightsError(f"{path} must map file names to SHA-256 hashes; repair or delete it")
    return content


def _download(entry: ZooEntry, part: Path, on_progress: OnProgress | None) -> None:
    """Download ``part`` over one or more connections; give up after several without a new byte."""
    idle = 0
    while True:
        before = _size(part)
        try:
            if _fetch_rest(entry, part, on_progress):
                return
            reason: object = "the connection was interrupted"
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise DownloadError(_advice(entry, f"answers {error.code} {error.reason}")) from error
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        idle = 0 if _size(part) > before else idle + 1
        if idle == _MAX_IDLE_ATTEMPTS:
            kept = _size(part)
            resume = f" ({kept:,} bytes are kept; the next try resumes there)" if kept else ""
            raise DownloadError(_advice(entry, f"cannot be read: {reason}{resume}"))
        time.sleep(_PAUSE_SECONDS * idle)


def _fetch_rest(entry: ZooEntry, part: Path, on_progress: OnProgress | None) -> bool:
    """Download the missing bytes over one connection; return whether the file is complete."""
    offset, version = _size(part), _version_file(part)
    request = urllib.request.Request(entry.address, headers={"User-Agent": "ava-detect", "Accept-Encoding": "identity"})
    if offset and version.is_file():
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", version.read_text(encoding="utf-8"))
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Either the file is already complete, or the bytes here are not the beginning of it.
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(offset):
            return True
        _discard(part)
        return False
    with response:
        _refuse_web_page(entry, response)
        if response.status != http.client.PARTIAL_CONTENT:
            offset = 0
            _record_version(response, part)
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise DownloadError(_advice(entry, f"answers with other bytes than those requested (from {offset})"))
        length = response.headers.get("Content-Length")
        total = None if length is None else offset + int(length)
        position = _write(response, part, offset, total, on_progress)
    return total is None or position == total


def _record_version(response: http.client.HTTPResponse, part: Path) -> None:
    """Store the tag of the server's version of the file, for ``If-Range``; discard the bytes of another version.

    Without a tag from the server the whole file is requested each time.
    """
    tag = response.headers.get("ETag", "")
    if tag.startswith("W/") or not tag:
        tag = response.headers.get("Last-Modified", "")
    version = _version_file(part)
    if tag and not (version.is_file() and version.read_text(encoding="utf-8") == tag):
        _discard(part)
        version.write_text(tag, encoding="utf-8")


def _write(
    response: http.client.HTTPResponse, part: Path, offset: int, total: int | None, on_progress: OnProgress | None
) -> int:
    """Copy the response into ``part`` from ``offset`` on; return the position after the last byte."""
    part.touch()
    with part.open("r+b") as file:
        file.seek(offset)
        while chunk := response.read1(_CHUNK_BYTES):
            file.write(chunk)
            if on_progress is not None:
                on_progress(Progress("bytes", file.tell(), total, part.name.removesuffix(".part")))
        if total is None or file.tell() == total:
            file.truncate()
        return file.tell()


def _refuse_web_page(entry: ZooEntry, response: http.client.HTTPResponse) -> None:
    """Refuse a login or error page, which servers send with status 200."""
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        asks = ", as Google Drive does before a large file" if _DRIVE in entry.address else ", perhaps a login"
        raise DownloadError(_advice(entry, f"answers with a web page ({kind}){asks}"))


def _advice(entry: ZooEntry, trouble: str) -> str:
    """The message of a failed download: the reason, and how to get the file by other means."""
    path, parts = cached_path(entry), urlsplit(entry.address)
    how = "download that address by other means"
    if _DRIVE in parts.netloc:
        how = f"download it by hand, in a browser, from https://{_DRIVE}/file/d/{parse_qs(parts.query)['id'][0]}/view"
    elif entry.note:
        how += f" ({entry.note})"
    return (
        f"{entry.name} is not in the cache, and {entry.address} {trouble}; {how}, and put the file at {path}, in the "
        f"folder that {CACHE_VARIABLE} can change"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _version_file(part: Path) -> Path:
    return part.with_name(part.name + "-version")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
