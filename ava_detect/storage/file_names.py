"""File names made from video ids. Ids are data: they come from results files and lists, and may contain anything.

Every file or folder that is named by an id is named by this module, so that an id such as ``../../x`` never leaves the
folder that is being written to.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from ava_detect.storage.local_files import TEMPORARY_MARK

MANIFEST = "manifest.jsonl"  # the state of a run, in the folder of its results
DRAWN_SUFFIX = "annotated.mp4"  # of the copy of a video in which a run drew its results
# The folders of a page, beside each other: its data, and its own copies of videos or links to them.
PAGE_DATA, PAGE_MEDIA = "page-data", "page-media"  # names that other folders are unlikely to have
# File systems take 255 bytes; the longest suffix of a result, ".annotated.mp4", still fits behind the name.
MAX_STEM_BYTES = 240
_MAX_NAME_LENGTH = 60
_SEPARATORS = frozenset("/\\")
# The end of a name that was changed. An id that looks like one is changed too, so that it cannot meet another's name.
_CHANGED = re.compile(r"~[0-9a-f]{12}", re.IGNORECASE)
# The stem of a run's own file that has the suffix of a result: ``manifest.jsonl``.
_OWN_STEM = "manifest"
_WINDOWS_RESERVED = re.compile(r'[<>:"|?*]|[. ]$|(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


def is_drawn_copy(path: str | os.PathLike[str]) -> bool:
    """Return whether a file of this machine is the drawn copy of a video among the results of a run.

    Args:
        path: The file.

    Returns:
        True for ``NAME.annotated.mp4`` beside a manifest.
    """
    name = os.fspath(path)
    return name.endswith(f".{DRAWN_SUFFIX}") and os.path.isfile(  # noqa: PTH113
        os.path.join(os.path.dirname(name), MANIFEST)  # noqa: PTH118, PTH120
    )


def is_page_copy(path: str | os.PathLike[str]) -> bool:
    """Return whether a file of this machine is a page's own copy of a video, or a link to it.

    Args:
        path: The file.

    Returns:
        True for a file in a folder ``page-media`` beside ``page-data``.
    """
    folder = os.path.dirname(os.fspath(path))  # noqa: PTH120
    return os.path.basename(folder) == PAGE_MEDIA and os.path.isdir(  # noqa: PTH112, PTH119
        os.path.join(os.path.dirname(folder), PAGE_DATA)  # noqa: PTH118, PTH120
    )


def file_stem(video_id: str) -> str:
    """Return the name, without suffix, of the files or the folder of a video.

    Args:
        video_id: Any id.

    Returns:
        The id itself where it is a file name of at most 240 bytes. Else its letters and digits and a hash of the id,
        ``x~1b2c3d4e5f60``: ids with path separators or control characters, only dots, an empty or a very long id,
        one that is not valid Unicode, ``manifest``, and on Windows one with the characters or device names reserved
        there. Different ids have different names, which may differ only in case or Unicode form (``file_stems``).
    """
    return video_id if _is_file_name(video_id) else _changed(video_id)


def valid_id(name: str) -> str:
    r"""Return a video id that every results file can hold.

    Args:
        name: The name of a video file or a part of it; names that are not UTF-8 hold lone surrogates.

    Returns:
        The name itself; with an escape such as ``\udce9`` for each byte that is not UTF-8.
    """
    return name.encode("utf-8", "backslashreplace").decode()


def file_stems(video_ids: Iterable[str]) -> dict[str, str]:
    """Return the names, without suffix, of the files or folders of several videos in one folder.

    Args:
        video_ids: Any ids; repeated ones count once.

    Returns:
        The name of each id, as ``file_stem`` makes it, also distinct where a file system ignores case and Unicode form:
        of ids that differ in nothing else, each gets a hash.
    """
    ids = list(dict.fromkeys(video_ids))
    counts = Counter(_folded(video_id) for video_id in ids)
    return {video_id: file_stem(video_id) if counts[_folded(video_id)] == 1 else _changed(video_id) for video_id in ids}


def safe_name(video_id: str) -> str:
    """Return the part of a video id that any file system and any tool accepts in a file name.

    Args:
        video_id: Any id.

    Returns:
        At most 60 letters, digits, dots, hyphens and underscores; different ids may have the same name.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", video_id)
    # Spark and others treat names that begin with "_" or "." as hidden.
    return plain.strip("._-")[:_MAX_NAME_LENGTH].rstrip("._-") or "video"


def _is_file_name(video_id: str) -> bool:
    if any(c in _SEPARATORS or unicodedata.category(c) in ("Cc", "Cs") for c in video_id):
        return False
    # Names of only dots are folders; files with the mark are removed as unfinished.
    if not video_id.strip(".") or video_id.startswith(TEMPORARY_MARK) or _CHANGED.fullmatch(video_id[-13:]):
        return False
    if video_id.casefold() == _OWN_STEM:
        return False
    if os.name == "nt" and _WINDOWS_RESERVED.search(video_id):
        return False
    return len(video_id.encode()) <= MAX_STEM_BYTES


def _changed(video_id: str) -> str:
    # "surrogatepass": ids from file names that are not UTF-8 hold lone surrogates.
    digest = hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).hexdigest()
    # Without dots: Windows takes "con.x" for a device.
    return f"{safe_name(video_id).replace('.', '_')}~{digest[:12]}"


def _folded(video_id: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", video_id).casefold())
