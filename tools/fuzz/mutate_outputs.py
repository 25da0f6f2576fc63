"""Bad outputs: what stands where an output belongs, outputs that are inputs, names that are too long, full disks."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

from fuzz.drafts import Draft

_NULL, _FULL = os.makedev(1, 3), os.makedev(1, 7)
MINE = "This file is mine.\n"
# Names that commands give to files inside their output folder.
_KNOWN_NAMES = (
    "ground_truth.csv", "label_map.pbtxt", "excluded.csv", "index.html", "movie_000.csv", "movie_000.jsonl",
    "summary.json",
    "manifest.jsonl", "result.json", "detections.csv", "instances.json", "model.safetensors", "last.pt",
    "log.csv", "report.html",
    "movie_000.gif", "plots.html", "movie_000.zip", "movie_000.xml", "videos/movie_000.mp4", "run.json", "page.css",
)  # fmt: skip


def bad_output(draft: Draft, rng: Random) -> str:
    """Make an output of a call bad; returns what was done."""
    place = rng.choice([name for name in draft.places if name.startswith(">")])
    change = rng.choice(list(_CHANGES))
    path = draft.folder / draft.places[place]
    draft.named = [path.name, place[1:]]
    told = _CHANGES[change](draft, path, rng)
    if told is not None:
        draft.places[place] = told
        # A message may name the folder that cannot be made, or the option.
        folder = Path(told).parent.name
        draft.named = [told, Path(told).name, *([folder] if folder else []), "--out", "--json", "--report", "OUT"]
        draft.fill()
    return f"{place[1:]}: {change}"


def _is_file(path: Path) -> bool:
    """Whether an output of this name is a file, not a folder."""
    return bool(path.suffix) or path.name == "converted"


def _existing_folder(draft: Draft, path: Path, rng: Random) -> None:
    (path / "below").mkdir(parents=True)
    (path / "below" / "mine.txt").write_text(MINE)
    draft.must_fail = _is_file(path)


def _existing_file(draft: Draft, path: Path, rng: Random) -> None:
    path.write_text(MINE)
    draft.must_fail = not _is_file(path)


def _foreign_files(draft: Draft, path: Path, rng: Random) -> None:
    if _is_file(path):
        return
    for name in _KNOWN_NAMES:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(MINE)


def _below_a_file(draft: Draft, path: Path, rng: Random) -> str:
    (draft.folder / "out" / "file").write_text(MINE)
    draft.must_fail = True
    return f"out/file/{path.name}"


def _nowhere(draft: Draft, path: Path, rng: Random) -> str:
    draft.must_fail = True
    return f"/proc/ava_detect/{path.name}"


def _long_name(draft: Draft, path: Path, rng: Random) -> str:
    length = rng.choice((230, 250, 300))
    draft.must_fail = length == 300
    return f"out/{'x' * (length - len(path.suffix))}{path.suffix}"


def _loop(draft: Draft, path: Path, rng: Random) -> None:
    path.symlink_to(path.name)


def _dangling(draft: Draft, path: Path, rng: Random) -> None:
    path.symlink_to(f"elsewhere{path.suffix}")
    draft.writable.append(path.with_name(f"elsewhere{path.suffix}"))


def _standard_output(draft: Draft, path: Path, rng: Random) -> None:
    """As ``/dev/stdout``, which as root must not be tried itself: an atomic write puts a file in its place."""
    path.symlink_to("/proc/self/fd/1")
    draft.writable.clear()
    draft.must_fail = not _is_file(path)


def _device(number: int) -> Callable[[Draft, Path, Random], None]:
    def place(draft: Draft, path: Path, rng: Random) -> None:
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, number)
        except OSError:
            path.symlink_to("/dev/null" if number == _NULL else "/dev/full")
        draft.must_fail = not _is_file(path)

    return place


def _dash(draft: Draft, path: Path, rng: Random) -> str:
    return "-"


def _empty(draft: Draft, path: Path, rng: Random) -> str:
    draft.must_fail = True
    return ""


def _roundabout(draft: Draft, path: Path, rng: Random) -> str:
    return rng.choice(
        (f"out/{path.name}/", f"out/../out/{path.name}", f"out/deep/er/{path.name}", f"./out//{path.name}")
    )


def _odd_name(draft: Draft, path: Path, rng: Random) -> str:
    odd = rng.choice(
        ("a b", "[red]", "é", "e\u0301", "%d", "new\nline", "10:30", "\udce9", "-dash", "a#b?c", "{x}", "'", ".hidden")
    )
    return f"out/{odd}{path.suffix}"


def _an_input(draft: Draft, path: Path, rng: Random) -> str:
    """An input itself, or a file of an input folder; under its own name, or by a link."""
    target = rng.choice(_inputs(draft, lambda found: found.is_file()))
    draft.must_fail = True
    if rng.random() < 0.3:
        with suppress(OSError):
            link = path.with_name(f"link{path.suffix}")
            link.symlink_to(target) if rng.random() < 0.5 else link.hardlink_to(target)
            return str(link.relative_to(draft.folder))
    return str(target.relative_to(draft.folder))


def _an_input_folder(draft: Draft, path: Path, rng: Random) -> str | None:
    """An input folder itself, or a new name inside it."""
    folders = _inputs(draft, Path.is_dir)
    if not folders:
        return _an_input(draft, path, rng)
    target = rng.choice(folders)
    if rng.random() < 0.5:
        return str((target / path.name).relative_to(draft.folder))
    draft.must_fail = _is_file(path)
    return str(target.relative_to(draft.folder))


def _inputs(draft: Draft, wanted: Callable[[Path], bool]) -> list[Path]:
    found = sorted(path for path in (draft.folder / "in").rglob("*") if wanted(path))
    if not found:
        mine = draft.folder / "in" / "mine.txt"
        mine.write_text(MINE)
        return [mine] if wanted(mine) else []
    return found


def _full_disk(draft: Draft, path: Path, rng: Random) -> None:
    draft.file_size = rng.choice((6_000, 40_000))
    draft.named = []


_CHANGES: Mapping[str, Callable[[Draft, Path, Random], str | None]] = {
    "an existing folder": _existing_folder,
    "an existing file": _existing_file,
    "a folder of foreign files": _foreign_files,
    "below a file": _below_a_file,
    "where nothing can be written": _nowhere,
    "a long name": _long_name,
    "a symlink loop": _loop,
    "a dangling symlink": _dangling,
    "standard output": _standard_output,
    "a null device": _device(_NULL),
    "a full device": _device(_FULL),
    "a dash": _dash,
    "empty": _empty,
    "a roundabout way": _roundabout,
    "an odd name": _odd_name,
    "an input": _an_input,
    "an input folder": _an_input_folder,
    "a full disk": _full_disk,
}
