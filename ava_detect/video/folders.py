"""Finding the video files of folders and globs, and saying what is passed over."""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ava_detect.errors import PassedOverWarning, VideoError, shown
from ava_detect.storage.file_names import is_drawn_copy, is_page_copy

_SUFFIXES = (
    "mp4 m4v mov qt f4v mkv webm avi divx mpg mpeg mpe m1v m2v mpv m2p ts mts m2t m2ts trp vob wmv asf flv ogv ogm "
    "3gp 3g2 rm rmvb dv mjpg mjpeg nut wtv h264 264 hevc 265 y4m mxf"
)
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
_FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
# macOS writes these beside the files of other file systems and into archives: ._NAME for each NAME, or in a folder.
_MACOS_DATA_PREFIX, _MACOS_DATA_FOLDER = "._", "__MACOSX"


class PassedOver:
    """Counts the files of a source that are left out, to say so in one warning.

    Args:
        source: Name of the source for the warning.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._first: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, reason: str, name: str) -> None:
        """Count one more.

        Args:
            reason: What it is, with ``{files}`` for "3 files" or ``{folders}`` for "3 folders".
            name: The file or folder.
        """
        self._counts[reason] += 1
        self._first.setdefault(reason, name)

    def is_macos_data(self, name: str) -> bool:
        """Tell whether a file or folder holds no video but macOS's own data about one, and count it if so.

        Args:
            name: The path of the file or folder.

        Returns:
            True for ``._NAME`` and ``__MACOSX``.
        """
        is_data = _is_macos_data(name)
        if is_data:
            self.add("{files} of macOS's own data", name)
        return is_data

    def is_drawn(self, path: Path) -> bool:
        """Tell whether a file of this machine is a copy of a video that an earlier run drew, and count it if so.

        Args:
            path: The file.

        Returns:
            True for such a copy, in the folder of any run.
        """
        is_copy = is_drawn_copy(path)
        if is_copy:
            self.add("{files} drawn by an earlier run", str(path))
        return is_copy

    def is_of_page(self, path: Path) -> bool:
        """Tell whether a file of this machine is a page's own copy of a video, and count it if so.

        Args:
            path: The file.

        Returns:
            True for a file in the folder ``page-media`` of a page.
        """
        is_copy = is_page_copy(path)
        if is_copy:
            self.add("{files} of a page", str(path))
        return is_copy

    def is_output(self, is_inside: bool, name: str) -> bool:
        """Count a file that lies in the run's output folder.

        Args:
            is_inside: Whether it does.
            name: The path of the file.

        Returns:
            ``is_inside``.
        """
        if is_inside:
            self.add("{files} inside `out`, where results are written", name)
        return is_inside

    def warn(self) -> None:
        """Warn about the files counted so far, if any."""
        parts = []
        for reason, count in self._counts.items():
            files, folders = ("1 file", "1 folder") if count == 1 else (f"{count} files", f"{count} folders")
            first = f"{'first ' if count > 1 else ''}{shown(self._first[reason])}"
            parts.append(f"{reason.format(files=files, folders=folders)} ({first})")
        if parts:
            warnings.warn(f"{self._source}: passed over {' and '.join(parts)}", PassedOverWarning, stacklevel=2)
        self._counts.clear()


def _is_macos_data(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and (parts[-1].startswith(_MACOS_DATA_PREFIX) or _MACOS_DATA_FOLDER in parts)


def videos_below(folder: Path, passed_over: PassedOver) -> Iterator[list[Path]]:
    """Find the video files below a local folder, by suffix; linked folders are followed, each folder is read once.

    Args:
        folder: The folder.
        passed_over: Receives the skipped paths: macOS's own data, copies of videos that earlier runs drew or that pages
            have, folders that cannot be listed, and links to a folder that was read already.

    Yields:
        The paths of one folder after the other, sorted; also files that turn out not to be readable.
    """
    read: set[tuple[int, int]] = set()

    def note_unreadable(error: OSError) -> None:
        passed_over.add("{folders} that cannot be listed", f"{error.filename}: {error.strerror}")

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=note_unreadable):
        try:
            state = Path(parent).stat()
        except OSError as error:
            note_unreadable(error)
            continue
        if (state.st_dev, state.st_ino) in read:
            passed_over.add("{folders} linked to one read already", parent)
            folders.clear()
            continue
        read.add((state.st_dev, state.st_ino))
        # os.walk visits the folders in the order of this list.
        folders[:] = sorted(name for name in folders if not passed_over.is_macos_data(name))
        yield [
            Path(parent) / name
            for name in sorted(names)
            if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
            and not passed_over.is_macos_data(name)
            and not passed_over.is_drawn(Path(parent) / name)
            and not passed_over.is_of_page(Path(parent) / name)
        ]


def real_path(path: str | Path) -> str:
    """Follow the links of a path.

    Args:
        path: Any path; it need not exist.

    Returns:
        The absolute path; links that lead in a circle stay as they are.
    """
    try:
        return os.path.realpath(path)
    except ValueError:  # a NUL, which no path can hold
        return str(path)


def local_files_of(pattern: str, passed_over: PassedOver) -> list[Path]:
    """Find the files that match a glob of this machine.

    Args:
        pattern: The glob. A part that exists as it is written, brackets included, is taken literally.
        passed_over: Gets macOS's own data and copies of videos that earlier runs drew or that pages have; they are left
            out.

    Returns:
        The paths, sorted; also links that lead nowhere.
    """
    found = glob.glob(escape_existing(pattern, os.path.lexists), recursive=True)  # noqa: PTH207
    files = [Path(p) for p in sorted(found) if not os.path.isdir(p) and not passed_over.is_macos_data(p)]  # noqa: PTH112
    return [path for path in files if not passed_over.is_drawn(path) and not passed_over.is_of_page(path)]


def escape_existing(pattern: str, exists: Callable[[str], bool]) -> str:
    """Escape the parts of a glob that exist as they are written, such as a folder ``take[1]``.

    Args:
        pattern: The glob, with ``/`` between its parts.
        exists: Tells whether a path exists.

    Returns:
        The glob, in which these parts match only themselves.
    """
    literal, escaped, is_literal = "", "", True
    for number, part in enumerate(pattern.split("/")):
        separator = "/" if number else ""
        literal += separator + part
        is_literal = is_literal and (not glob.has_magic(part) or exists(literal))
        escaped += separator + (glob.escape(part) if is_literal else part)
    return escaped


def no_video(source: str, folder: Path | None = None) -> VideoError:
    """Build the error for a source without videos.

    Args:
        source: What was searched: ``the folder in``.
        folder: The folder that was searched; None for an address or a pattern.

    Returns:
        The error, which lists the suffixes of videos, or says where extracted frames are read.
    """
    if folder is not None and _has_frames(folder):
        return VideoError(
            f"{shown(source)} holds no video but pictures; extracted frames are read by `train` and `benchmark` "
            "(`data.train.frames`, `data.val.frames`), and elsewhere as a video made of them (ffmpeg)"
        )
    return VideoError(f"{shown(source)} holds no video; looked for {' '.join(sorted(VIDEO_SUFFIXES))}")


def _has_frames(folder: Path) -> bool:
    """Whether a picture lies in a folder, or in one of the folders in it."""
    return _has_picture(folder) or any(_has_picture(path) for path in folder.iterdir() if path.is_dir())


def _has_picture(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(_FRAME_SUFFIXES) for entry in entries)
    return False
