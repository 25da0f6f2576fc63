"""Public checkpoints by name: their addresses, the figures that their authors published, and a cache of the files.

Addresses and figures are quoted from PySlowFast's MODEL_ZOO.md (commit 287ec007) and pytorchvideo's
docs/source/model_zoo.md (commit f3142bb); none of them was measured here. Neither page lists hashes. So the SHA-256 of
a file's first download is recorded in the cache's ``hashes.json``, and a file that differs from it later is refused.

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
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from ava_detect.errors import WeightsError, shown, suggestion
from ava_detect.models.file_kind import container_of
from ava_detect.models.zoo_table import ZOO, ZooEntry
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.cache import CACHE_VARIABLE, cache_dir, cache_lock, cached_copy
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.progress import OnProgress, Progress

# Weights in the package, trained on the synthetic world; the folder also has the log of the training.
SHIPPED = {"demo": Path(__file__).parent / "shipped" / "demo.safetensors"}
RANDOM_WEIGHTS = "random"  # instead of a weights file: the network as ``build_model`` returns it
UNTRAINED_NOTE = "untrained network (random weights): the action scores mean nothing"
DEMO_NOTE = "demo weights, trained on rendered figures: the action scores mean nothing on real people"

# As weights files are usually called; any other name is taken as well.
WEIGHTS_SUFFIXES = (".pyth", ".pth", ".pt", ".pkl", ".safetensors", ".ckpt", ".bin")
_MAX_LISTED = 2000  # files of a folder, in search of a similar name

_HASHES = "hashes.json"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0
# Consecutive attempts without a new byte.
_MAX_IDLE_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0


class DownloadError(WeightsError):
    """A checkpoint of the zoo that is not in the cache and cannot be downloaded."""


def cached_path(entry: ZooEntry) -> Path:
    """Return the path of an entry's file in the cache, whether or not it is there.

    Args:
        entry: The checkpoint.

    Returns:
        The path.
    """
    return cache_dir() / f"{entry.name}{Path(entry.address).suffix}"


def find_entry(name: str) -> ZooEntry:
    """Return the zoo's entry of that name.

    Args:
        name: Name of a checkpoint.

    Returns:
        The entry.

    Raises:
        WeightsError: The zoo has no such name; the message suggests the nearest one.
    """
    if name in ZOO:
        return ZOO[name]
    if name in SHIPPED:
        raise WeightsError(f"{name!r} come with the package, in {SHIPPED[name]}: they have no row in the zoo")
    if name == RANDOM_WEIGHTS:
        raise WeightsError(
            f"{name!r} stands for the network as `build_model` returns it, and no file; give a weights file or a name "
            "of the zoo"
        )
    path = Path(name)
    if path.is_dir():
        container_of(path)  # which refuses a folder
    hint = suggestion(name, [*ZOO, *SHIPPED, RANDOM_WEIGHTS]) or suggestion(name, map(str, _files_near(path)))
    if len(path.parts) > 1 or path.suffix in WEIGHTS_SUFFIXES:
        raise WeightsError(f"{shown(name)}: there is no such weights file{hint}")
    raise WeightsError(
        f"no weights file and no weights of the zoo are called {shown(name)!r}{hint}; ava-detect weights list shows "
        "the names"
    )


def _files_near(path: Path) -> list[Path]:
    """The weights files in the folder of a missing path, or in the folder whose name is nearest to a missing one."""
    folder = path.parent
    try:
        if not folder.is_dir():
            others = [str(other) for other in islice(folder.parent.iterdir(), _MAX_LISTED) if other.is_dir()]
            near = get_close_matches(str(folder), others, n=1)
            folder = Path(near[0]) if near else folder
        files = islice(folder.iterdir(), _MAX_LISTED)
        return [file for file in files if file.suffix in WEIGHTS_SUFFIXES and file.is_file()]
    except (OSError, ValueError):  # no folder, or one that cannot be listed; a ValueError for a NUL
        return []


def resolve(name_or_path: str | Path, on_progress: OnProgress | None = None) -> Path:
    """Return the local path of weights, downloading them into the cache if they are not there.

    Args:
        name_or_path: An existing path (returned unchanged), an address, the name of weights in the package
            (``SHIPPED``), or a name of the zoo.
        on_progress: Called with the number of bytes while a download runs.

    Returns:
        A local path.

    Raises:
        WeightsError: The name is unknown, the file cannot be downloaded, its hash differs from the known one, or its
            first bytes are not those of a weights file.
        AvaDetectError: The file at an address cannot be read.
    """
    if is_file(name_or_path) or is_address(name_or_path):
        is_local = is_file(name_or_path)
        path = (
            SHIPPED.get(str(name_or_path), Path(name_or_path)) if is_local else cached_copy(Address(str(name_or_path)))
        )
        container_of(path)
        return path
    return obtain(find_entry(str(name_or_path)), on_progress)


def weights_file(weights: str | Path | None, on_progress: OnProgress | None = None) -> Path | None:
    """Return the local path of the weights of a network that is to run.

    Args:
        weights: As for ``resolve``; ``"random"`` or None for an untrained network.
        on_progress: As for ``resolve``.

    Returns:
        A local path; None for an untrained network.

    Raises:
        DownloadError: They cannot be downloaded; the message says what can be done instead.
        WeightsError: As for ``resolve``.
        AvaDetectError: As for ``resolve``.
    """
    if weights is None or str(weights) == RANDOM_WEIGHTS:
        return None
    try:
        return resolve(weights, on_progress)
    except DownloadError as error:
        raise DownloadError(
            f"{error}, or give it as `weights=FILE`; `weights=demo`, and the command `ava-detect demo`, show the "
            "software without a download"
        ) from error


def is_file(name_or_path: str | Path) -> bool:
    """Return whether the weights are local: an existing path, or the name of weights in the package.

    Args:
        name_or_path: A path, an address or a name.

    Returns:
        True if no download is needed.
    """
    return str(name_or_path) in SHIPPED or Path(name_or_path).is_file()


def describe(entry: ZooEntry) -> str:
    """Describe a checkpoint before it is used: figure, size, licence and origin.

    Args:
        entry: The checkpoint.

    Returns:
        A part of a sentence.
    """
    path = cached_path(entry)
    figure = "" if entry.published is None else f"{entry.published:g} {entry.metric} on {entry.data} "
    place = f"in the cache: {path}" if path.is_file() else f"downloaded once into {path.parent}"
    return (
        f"{figure}(quoted from {entry.source}, not measured here), about {entry.about_megabytes} MB, {entry.licence}, "
        f"from {entry.address}, {place}"
    )


def note_on_weights(weights: str | Path | None) -> str:
    """Return the warning that every output of these weights must contain.

    Args:
        weights: A weights file or ``"random"``.

    Returns:
        One sentence, or an empty string where no warning applies.
    """
    return {RANDOM_WEIGHTS: UNTRAINED_NOTE, str(SHIPPED["demo"]): DEMO_NOTE}.get(str(weights), "")


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
    origin = "its published hash" if entry.sha256 else f"the one recorded in {hashes}"
    expected = entry.sha256 or recorded
    if expected is not None and found != expected:
        raise WeightsError(
            f"{target}: the file of {entry.name} has the SHA-256 {found[:12]}..., which is not {origin}, "
            f"{expected[:12]}...; delete it (if you trust the new one, its line in {hashes.name} too) and get it again"
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
        raise DownloadError(_advice(entry, f"answers with a web page ({kind}), perhaps a login"))


def _advice(entry: ZooEntry, trouble: str) -> str:
    """The message of a failed download: the reason, and how to get the file by other means."""
    path = cached_path(entry)
    return (
        f"{entry.name} is not in the cache, and {entry.address} {trouble}; download that address by other means, and "
        f"put the file at {path}, in the folder that {CACHE_VARIABLE} can change"
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _version_file(part: Path) -> Path:
    return part.with_name(part.name + "-version")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
