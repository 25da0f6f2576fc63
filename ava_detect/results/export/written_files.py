"""Which files of an export are still as it wrote them: a record of their checksums, ``hand_over.json``, beside them.

Programs such as CVAT begin their files otherwise than the exports do, so that a file which a person has saved is known
by its first bytes. Tables, subtitles and projects that are edited elsewhere begin as before: only the whole content
tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ava_detect.formats.json_values import MALFORMED, parse_json
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.local_files import write_text_atomic

RECORD_FILE = "hand_over.json"
_NOTE = "The files of an export as they were written. A changed one is not replaced by the next export."
START = json.dumps({"note": _NOTE}, indent=1)[:-2].encode()
_LARGEST_BYTES = 1 << 28


def record_files(folder: Path, files: Iterable[Path]) -> None:
    """Record the files of an export; those that another export into the same folder recorded stay in the record.

    Args:
        folder: The folder of the export.
        files: Files in it.
    """
    known = _recorded(folder) | {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    content = {"note": _NOTE, "sha256": dict(sorted(known.items()))}
    write_text_atomic(folder / RECORD_FILE, json.dumps(content, indent=1) + "\n")


def unchanged_in(folder: Path) -> Callable[[Path], bool]:
    """Return an ``is_own`` of ``storage.outputs`` that knows the recorded files of a folder by their checksums.

    Args:
        folder: The folder of the export.

    Returns:
        A function that is true of a file that is still as an export wrote it.
    """
    recorded = _recorded(folder)

    def is_unchanged(path: Path) -> bool:
        checksum = recorded.get(path.relative_to(folder).as_posix())
        return checksum is not None and checksum == sha256_of(path)

    return is_unchanged


def _recorded(folder: Path) -> dict[str, str]:
    """Read the record of a folder; one that is missing or damaged is empty, so that no file counts as unchanged."""
    path = folder / RECORD_FILE
    with suppress(OSError, *MALFORMED):
        if path.is_file() and path.stat().st_size <= _LARGEST_BYTES:
            checksums = parse_json(path.read_bytes())["sha256"]
            return {str(name): str(checksum) for name, checksum in checksums.items()}
    return {}
