"""What must hold of every call, good or bad: see ``problems_of``."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.drafts import Case
from fuzz.mutate_outputs import MINE
from fuzz.processes import Outcome

# 0 all well, 1 the work or a part of it failed, 2 the call was wrong: the head of ava_detect/cli/app.py.
EXIT_CODES = (0, 1, 2)
_INTERNAL_FAULT = 70
_CRASHES = ("Traceback (most recent call last)", "Fatal Python error", "Segmentation fault", "Exception ignored in",
            "Error in sys.excepthook")  # fmt: skip
# onnxruntime's own.
_NOT_OURS = ("tmp/.ses",)
_SAYS_NOTHING = ("", "Aborted.")  # the latter is typer's answer to an EOFError from anywhere
_TEMPORARY_MARK = ".unfinished-"
_MOST_HASHED = 10**8

Snapshot = Mapping[str, "Entry"]


@dataclass(frozen=True)
class Entry:
    """A path as it stands.

    Attributes:
        mode: Its type and permissions.
        content: Hash of a file, target of a link; empty for all else.
        foreign: Whether it is a file that the fuzzer put where a command writes.
    """

    mode: int
    content: str = ""
    foreign: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)


def snapshot(root: Path) -> Snapshot:
    """Every path below a case's folder, but for its home and what the call printed."""
    return dict(_entries(root, root))


def problems_of(case: Case, outcome: Outcome, before: Snapshot, after: Snapshot) -> list[tuple[str, str]]:
    """What is wrong with a call's end: pairs of the kind of fault and the place.

    Args:
        case: The case.
        outcome: How its call ended.
        before: The case's folder before it.
        after: The case's folder after it.

    Returns:
        No pair where all is well.
    """
    files: Iterable[tuple[str, str]] = _of_the_files(case, before, after)
    if outcome.stopped:  # a killed process cannot tidy up
        files = (problem for problem in files if problem[0] != "temporary file left")
    return [*_of_the_end(case, outcome), *_of_the_message(case, outcome), *files]


def _of_the_end(case: Case, outcome: Outcome) -> Iterator[tuple[str, str]]:
    text = outcome.stdout + outcome.stderr
    for mark in _CRASHES:
        if mark in text:
            last = text.rstrip().splitlines()[-1] if mark.startswith("Traceback") else mark
            yield "traceback", last[:300]
            break
    if outcome.stopped:
        yield outcome.stopped, f"after {outcome.seconds:.0f} s, {outcome.peak_bytes / 1e9:.1f} GB"
        return
    if outcome.code < 0 or outcome.code > 128:
        yield "signal", str(outcome.code)
    elif outcome.code == _INTERNAL_FAULT:
        yield "fault of ours", _last_line(outcome)
    elif outcome.code not in EXIT_CODES:
        yield "undocumented exit code", str(outcome.code)
    if outcome.orphans:
        yield "processes left running", str(outcome.orphans)
    if case.kind == "good" and case.call.code not in (None, outcome.code):
        yield "good call failed", f"exit code {outcome.code}: {_last_line(outcome)}"


def _of_the_message(case: Case, outcome: Outcome) -> Iterator[tuple[str, str]]:
    if outcome.stopped or outcome.code not in EXIT_CODES:
        return
    text = outcome.stdout + outcome.stderr
    # A file that the command goes on with, as the official scripts do, is named in a warning.
    is_warned = any(name in outcome.stderr for name in case.named)
    if outcome.code == 0 and case.must_fail and not is_warned:
        yield "accepted in silence", case.what
    elif outcome.code and text.strip() in _SAYS_NOTHING:
        yield "no message", f"exit code {outcome.code}"
    elif outcome.code and case.call.code == 0 and case.named and not any(name in text for name in case.named):
        yield "not named", f"{' or '.join(case.named[:3])[:200]} in {_last_line(outcome)!r}"


def _of_the_files(case: Case, before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    writable = [
        str(Path(os.path.normpath(path)).relative_to(case.root)) for path in case.writable if _below(path, case.root)
    ]
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        allowed = any(path == place or path.startswith(f"{place}/") for place in writable)
        if Path(path).name.startswith(_TEMPORARY_MARK) and old is None:
            yield "temporary file left", path
        elif old is None and new is not None:
            made_for_output = stat.S_ISDIR(new.mode) and any(place.startswith(f"{path}/") for place in writable)
            if not allowed and not made_for_output:
                yield "written outside --out", path
        elif old is not None and new != old:
            kept = not old.is_plain or (old.foreign and path not in writable)
            if kept or not allowed:
                yield (
                    ("foreign file changed" if old.foreign else "input changed"),
                    path + (" is gone" if new is None else ""),
                )


def _below(path: Path, root: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(root)


def _last_line(outcome: Outcome) -> str:
    lines: Sequence[str] = (outcome.stderr.strip() or outcome.stdout.strip()).splitlines()
    return lines[-1][:300] if lines else ""


def _entries(folder: Path, root: Path) -> Iterator[tuple[str, Entry]]:
    for found in os.scandir(folder):
        path = Path(found.path)
        name = str(path.relative_to(root))
        if name == "home" or name in _NOT_OURS or path.name in ("stdout.txt", "stderr.txt"):
            continue
        status = found.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            yield name, Entry(status.st_mode, os.readlink(path))  # noqa: PTH115
        elif stat.S_ISDIR(status.st_mode):
            yield name, Entry(status.st_mode)
            yield from _entries(path, root)
        elif stat.S_ISREG(status.st_mode):
            yield name, _file_entry(path, status)
        else:
            yield name, Entry(status.st_mode)


def _file_entry(path: Path, status: os.stat_result) -> Entry:
    if status.st_size > _MOST_HASHED:
        return Entry(status.st_mode, f"{status.st_size} bytes of {status.st_mtime_ns}")
    content = path.read_bytes()
    return Entry(status.st_mode, hashlib.sha256(content).hexdigest(), content == MINE.encode())
