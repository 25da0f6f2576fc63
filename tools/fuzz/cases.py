"""Cases: one bad call each, determined by the seed and the case's number alone, and the folder that it runs in.

The folder of a case holds, three levels down so that a path that climbs out of ``--out`` is still seen:

    a/b/work        the working directory of the call
    a/b/work/in     its inputs, of which one may be spoiled
    a/b/work/out    where its outputs belong
    tmp             TMPDIR
    home            HOME, with the cache; alone in not being looked at afterwards
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from fuzz.calls import CALLS, Call
from fuzz.drafts import WORK, Case, Draft
from fuzz.good_inputs import HERE, GoodInputs
from fuzz.mutate_files import FILE_KINDS, kind_of, renamed, spoil
from fuzz.mutate_options import bad_option, bad_setting
from fuzz.mutate_outputs import bad_output

_FOLDER_KINDS = {
    "videos": {"video"},
    "frames": {"video"},
    "results": {"csv", "json", "parquet"},
    "dataset": {"json", "parquet"},
    "run": {"pickle", "csv"},
}
_WEIGHTS = {
    "video": 4, "csv": 5, "json": 4, "yaml": 4, "pbtxt": 2, "list": 1, "parquet": 2, "pickle": 3, "onnx": 1, "xml": 2,
    "name": 2, "option": 6, "output": 6,
}  # fmt: skip
# Files that a command writes beside its output.
_BESIDE = {"import": ("label_map.pbtxt", "excluded.csv")}
KINDS = (*FILE_KINDS, "name", "option", "output")


def chosen_kinds(only: Sequence[str]) -> list[str]:
    """The kinds that ``--only`` leaves."""
    kinds = [kind for kind in KINDS if kind in only]
    return kinds or list(KINDS)


def chosen_calls(only: Sequence[str]) -> list[Call]:
    """The calls that ``--only`` leaves."""
    calls = [call for call in CALLS if call.command in only or call.command.split()[0] in only]
    return calls or list(CALLS)


def make_case(seed: int, number: int, root: Path, good: GoodInputs, only: Sequence[str] = ()) -> Case:
    """Make a case and its folder.

    Args:
        seed: The seed.
        number: The case's number, from 0.
        root: The folder; it must not exist.
        good: The good inputs of the same seed.
        only: Kinds and commands that are wanted; all where it is empty.

    Returns:
        The case.
    """
    rng = Random(f"{seed}/{number}")
    calls = chosen_calls(only)
    kinds = [kind for kind in chosen_kinds(only) if any(_can(call, kind) for call in calls)]
    kind = rng.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
    fitting = [call for call in calls if _can(call, kind)]
    commands = sorted({call.command for call in fitting})
    cheapest = [min(call.cost for call in fitting if call.command == command) for command in commands]
    command = rng.choices(commands, [cost**-0.7 for cost in cheapest])[0]
    call = rng.choice([call for call in fitting if call.command == command])
    draft = _good_draft(call, root, good)
    what = _BREAK.get(kind, _break_file)(draft, kind, rng)
    return _finished(draft, number, kind, what, root)


def make_good_case(call: Call, root: Path, good: GoodInputs) -> Case:
    """Make the case of a good call, in which nothing is bad."""
    return _finished(_good_draft(call, root, good), 0, "good", "nothing", root)


def _can(call: Call, kind: str) -> bool:
    if kind == "option":
        return True
    if kind == "output":
        return bool(call.outputs)
    kinds = set().union(*(_kinds_of_input(name) for name in call.inputs)) if call.inputs else set()
    return bool(kinds) if kind == "name" else kind in kinds


def _kinds_of_input(name: str) -> set[str]:
    kind = kind_of(Path(name))
    return _FOLDER_KINDS.get(name, {kind} if kind else set())


def _good_draft(call: Call, root: Path, good: GoodInputs) -> Draft:
    folder = root / WORK
    for path in (folder / "in", folder / "out", root / "tmp", root / "home"):
        path.mkdir(parents=True)
    for name in call.inputs:
        source, target = good.part(name), folder / "in" / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    places = {name: f"in/{name}" for name in call.inputs} | {f">{name}": f"out/{name}" for name in call.outputs}
    draft = Draft(call, folder, [], places)
    draft.fill()
    return draft


def _finished(draft: Draft, number: int, kind: str, what: str, root: Path) -> Case:
    for path in (draft.folder / "in").rglob("*"):
        if path.suffix in (".json", ".jsonl") and path.is_file() and not path.is_symlink():
            content = path.read_bytes() if path.stat().st_size < 10**8 else b""
            if HERE.encode() in content:
                path.write_bytes(content.replace(HERE.encode(), os.fsencode(draft.folder / "in")))
    outputs = [draft.folder / path for name, path in draft.places.items() if name.startswith(">") and path]
    outputs += [path.with_name(name) for path in outputs for name in _BESIDE.get(draft.call.command, ())]
    changed = [draft.folder / "in" / name for name in draft.call.changes]
    return Case(
        number, kind, draft.call, what, root, draft.words, [*outputs, *changed, *draft.writable], draft.named,
        draft.must_fail, draft.file_size,
    )  # fmt: skip


def _break_file(draft: Draft, kind: str, rng: Random) -> str:
    """Spoil one of the files of a kind; a config also by ``--set``."""
    if kind == "yaml" and "--config" in draft.words and draft.call.command in _SETTERS and rng.random() < 0.5:
        return bad_setting(draft, rng)
    files = _files(draft, lambda path: kind_of(path) == kind)
    target = rng.choice(files)
    done = spoil(target, kind, rng)
    # What a list names is told by its own name, and a config with a --set may be wrong in both.
    draft.named = [] if kind == "list" and not done.surely_bad else _names(target)
    if "--set" in draft.words and draft.named:
        draft.named.append("override")
    # A bad file beside good ones in a folder may be passed over with a word.
    draft.must_fail = done.surely_bad and target.parent == draft.folder / "in"
    return f"{target.relative_to(draft.folder)}: {done.what}"


def _break_name(draft: Draft, kind: str, rng: Random) -> str:
    """Give one of the inputs an odd name, in ``in`` or in the working directory itself."""
    target = rng.choice(_files(draft, lambda path: kind_of(path) is not None))
    place = next((name for name in draft.call.inputs if target == draft.folder / "in" / name), None)
    if place is not None and rng.random() < 0.5:
        target = target.rename(draft.folder / target.name)
    done = renamed(target, rng)
    if place is not None:
        draft.places[place] = str(done.path.relative_to(draft.folder))
        draft.fill()
    return f"{target.relative_to(draft.folder)}: {done.what}"


def _files(draft: Draft, wanted: Callable[[Path], bool]) -> list[Path]:
    found = (draft.folder / "in").rglob("*")
    return sorted(path for path in found if path.is_file() and wanted(path))


def _names(path: Path) -> list[str]:
    """What a message may call a file: its name, or a video's id."""
    return [path.name, path.stem] if path.suffix != ".json" else [path.name]


_SETTERS = {call.command for call in CALLS if call.command in ("train", "benchmark", "data check")}
_BREAK: dict[str, Callable[[Draft, str, Random], str]] = {
    "name": _break_name,
    "option": lambda draft, kind, rng: bad_option(draft, rng),
    "output": lambda draft, kind, rng: bad_output(draft, rng),
}
