"""What the browser loads: the scripts of the page and of the edit mode, and the data and videos of the results.

Data and videos are written into the folder ``page`` of the corrections, as ``visualize`` does, and are kept for the
next start of the server as long as neither the results nor the videos change. Files are found by the few names that the
page uses, never by a path that a request contains.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from ava_detect.environment import installed_version
from ava_detect.results.saved import ReadOptions, locate
from ava_detect.results.saved_run import SavedRun
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.storage.file_names import PAGE_DATA, PAGE_MEDIA
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.structures.progress import OnProgress
from ava_detect.visualization.page.write_page import PageOptions, write_page

_PAGE_FOLDER = "page"
_FINGERPRINT = "review.txt"
# Below this score the page does not show what the network said of an action.
_LEAST_SHOWN_SCORE = 0.1
_DATA_NAME = re.compile(r"list\.js|\d{4,9}/(meta|(people|action)-\d{1,9})\.js")
_MEDIA_NAME = re.compile(r"\d{4,9}\.(mp4|webm|jpg)")
_POLICY_TAG = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n')
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".mp4": "video/mp4", ".webm": "video/webm"}
_REVIEW_SCRIPTS = {
    "index.html": ("connection.js", "overview.js"),
    "video.html": (
        "connection.js",
        "corrected.js",
        "saving.js",
        "moment.js",
        "boxes.js",
        "panel.js",
        "commands.js",
        "keys.js",
        "editor.js",
    ),
}


def media_type(path: Path) -> str:
    """Return the media type of a file of the page.

    Args:
        path: The file.

    Returns:
        Such as ``text/javascript``.
    """
    return _MEDIA_TYPES.get(path.suffix, "image/jpeg")


def write_page_files(
    run: SavedRun, out: Path, title: str, options: ReadOptions, on_progress: OnProgress | None = None
) -> tuple[Path, tuple[str, ...]]:
    """Write data and videos of the results for the browser, unless they are there from an earlier start.

    Args:
        run: The results.
        out: The folder of the corrections.
        title: Title of the list of videos.
        options: How the results are read.
        on_progress: Told of each video.

    Returns:
        The folder, and sentences on what does not fit, such as missing videos.

    Raises:
        FormatError: A file cannot be read.
        ConfigError: The folder holds something else.
    """
    folder = out / _PAGE_FOLDER
    fingerprint = _fingerprint(run, title, options)
    note = folder / _FINGERPRINT
    if note.is_file():
        known, _, notices = note.read_text(encoding="utf-8").partition("\n")
        if known == fingerprint:
            return folder, tuple(json.loads(notices))
    note.unlink(missing_ok=True)
    page_options = PageOptions(options, min_score=_LEAST_SHOWN_SCORE, placing="symlink")
    summary = write_page(run, folder, title, page_options, on_progress)
    sentences = summary.sentences()
    write_text_atomic(note, f"{fingerprint}\n{json.dumps(sentences)}\n")
    return folder, tuple(sentences)


def _fingerprint(run: SavedRun, title: str, options: ReadOptions) -> str:
    """Hash whatever the page's data depend on."""
    moved = options.moved_videos()
    videos = []
    for video in run.videos:
        path = locate(video.video_id, video.source, moved)
        state = None if path is None else path.stat()
        seen = None if state is None else [str(path), state.st_size, state.st_mtime_ns]
        results = None if video.file is None else sha256_of(video.file)
        videos.append([video.video_id, results, seen, video.cuts_seconds, video.message])
    names = None if options.label_map is None else sha256_of(options.label_map)
    everything = [installed_version(), title, run.note, names, options.start_seconds, videos]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def find_static(name: str) -> Path | None:
    """Return a script or style sheet.

    Args:
        name: Its name, as a request has it.

    Returns:
        The file; None where there is none of this name.
    """
    return _static_files().get(name)


@cache
def _static_files() -> dict[str, Path]:
    found = {}
    for package in ("ava_detect.visualization.page", "ava_detect.review"):
        for file in Path(str(files(package))).joinpath("static").iterdir():
            if file.suffix in (".js", ".css"):
                assert file.name not in found, f"two files are called {file.name}"
                found[file.name] = file
    return found


def find_data(folder: Path, name: str) -> Path | None:
    """Return a data script of the page.

    Args:
        folder: The folder that ``write_page_files`` returned.
        name: Its name below ``page-data``, as a request has it.

    Returns:
        The file; None where it is none of the page's.
    """
    path = folder / PAGE_DATA / name
    return path if _DATA_NAME.fullmatch(name) and path.is_file() else None


def find_media(folder: Path, name: str) -> Path | None:
    """Return a video or a picture of the page.

    Args:
        folder: The folder that ``write_page_files`` returned.
        name: Its name below ``page-media``, as a request has it.

    Returns:
        The file; None where it is none of the page's.
    """
    path = folder / PAGE_MEDIA / name
    return path if _MEDIA_NAME.fullmatch(name) and path.is_file() else None


@cache
def html(name: str) -> str | None:
    """Return one of the two HTML files with the scripts of the edit mode.

    Args:
        name: Its name, as a request has it.

    Returns:
        The text, without a policy of its own, as the server sends one; None where there is none of this name.
    """
    if name not in _REVIEW_SCRIPTS:
        return None
    text = files("ava_detect.visualization.page").joinpath("static", name).read_text(encoding="utf-8")
    scripts = "".join(f'<script src="{script}" defer></script>\n' for script in _REVIEW_SCRIPTS[name])
    text, number = _POLICY_TAG.subn("", text)
    # Deferred scripts run in their order: those of the edit mode come before the one that starts the page.
    start = '<script src="list.js" defer>' if name == "index.html" else '<script src="viewer.js" defer>'
    assert (number, text.count(start)) == (1, 1), f"{name} is not as expected"
    sheet = '<link rel="stylesheet" href="review.css">\n'
    return text.replace(start, f"{scripts}{start}").replace("<script", f"{sheet}<script", 1)
