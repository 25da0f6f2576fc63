"""Mutations of a file as a whole: Parquet tables, what stands in a file's place, its name; and the table of all kinds.

``spoil`` applies one that the random generator chooses, and says which.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fuzz import mutate_bytes, mutate_text
from fuzz.mutate_bytes import Mutation

_SPARSE_BYTES = 5 * 10**9
_LONG_NAME = 234
_NAMES: tuple[str | bytes, ...] = (
    "10:30", "-5KQ66BBWC4", "._clip", "e\u0301te\u0301", "[red]", "a[0-9]b", "*", "?x=1&y=2", "a#b", "100%",
    "%d", "{0}", "a b",
    " lead", "trail ", "new\nline", "tab\tname", "x" * _LONG_NAME, "👍", "a\u202eb", "'quote'", 'dou"ble',
    "back\\slash", "@list",
    "a,b", "a=b", "nan", "~", "$HOME", "file:", "http:", b"\xe9t\xe9", ".hidden", "con.", "a.b.c",
    "\x1b[31mred", "0", "--help",
)  # fmt: skip


@dataclass(frozen=True)
class Spoiled:
    """What was done to an input.

    Attributes:
        what: The name of the mutation.
        path: Where the input is now.
        surely_bad: Whether nothing can read it, so that a call that ends well has overlooked it.
        nameless: Whether messages may show another name than the file's.
    """

    what: str
    path: Path
    surely_bad: bool = False
    nameless: bool = False


def _table_changed(content: bytes, rng: Random) -> bytes:
    """A Parquet table with other columns, types, values or metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    name = rng.choice(table.column_names)
    place = table.column_names.index(name)
    rows = len(table)
    change = rng.choice(
        ("drop", "rename", "values", "values", "nulls", "type", "metadata", "empty", "double", "foreign")
    )
    columns: Mapping[str, Callable[[], Any]] = {
        "drop": lambda: table.drop_columns([name]),
        "rename": lambda: table.rename_columns([f"{old}x" if old == name else old for old in table.column_names]),
        "nulls": lambda: table.set_column(place, name, pa.nulls(rows, table.schema.field(name).type)),
        "values": lambda: table.set_column(place, name, _values(table.schema.field(name).type, rows, rng)),
        "type": lambda: table.set_column(place, name, rng.choice((
            pa.array(["x"] * rows), pa.array([[1.0]] * rows), pa.array([{"a": 1}] * rows), pa.array([1] * rows,
            pa.int8()),
            pa.array([True] * rows), pa.array([b"\xff"] * rows), pa.array([0] * rows, pa.timestamp("ns")),
            pa.nulls(rows),
            pa.array(["x"] * rows).dictionary_encode(),
        ))),
        "metadata": lambda: table.replace_schema_metadata(rng.choice((
            None, {}, {b"ava_detect.record": b"[" * 100_000}, {b"ava_detect.record": b"\xff\xfe"},
            {b"ava_detect.record": b"{}"},
            {**(table.schema.metadata or {}), b"ava_detect.start_seconds": rng.choice((b"nan", b"", b"1e999", b"x"))},
            {**(table.schema.metadata or {}), b"ava_detect.note": b"\xff[red]\x1b[31m"},
        ))),
        "empty": lambda: table.slice(0, 0),
        "double": lambda: pa.concat_tables([table] * 3),
        "foreign": lambda: pa.table({"a": [1, 2], "b": ["x", "y"]}),
    }  # fmt: skip
    buffer = io.BytesIO()
    pq.write_table(columns[change](), buffer)
    return buffer.getvalue()


def _values(kind: Any, rows: int, rng: Random) -> Any:
    """A column of its own type in which one value or all values are bad."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        bad: Any = rng.choice((float("nan"), float("inf"), -1.0, 1e300 if kind.bit_width == 64 else 1e38))
    elif pa.types.is_integer(kind):
        bad = rng.choice((0, -1, 2 ** (kind.bit_width - 1) - 1))
    else:
        return pa.array([rng.choice(mutate_text.TEXTS)] * rows)
    return pa.array([bad] * rows, kind)


_BY_KIND: Mapping[str, Mapping[str, Mutation]] = {
    "video": mutate_bytes.VIDEO,
    "csv": mutate_text.CSV,
    "json": mutate_text.JSON,
    "yaml": mutate_text.YAML,
    "pbtxt": mutate_text.PBTXT,
    "list": mutate_text.LIST,
    "parquet": {**mutate_bytes.BINARY, "table_changed": _table_changed},
    "pickle": mutate_bytes.PICKLE,
    "onnx": mutate_bytes.BINARY,
    "xml": mutate_bytes.BINARY,
}
_SUFFIXES = {
    "video": ("mp4", "avi", "mkv", "ts", "mov", "h264", "jpg", "wav"),
    "csv": ("csv",),
    "json": ("json", "jsonl", "boris"),
    "yaml": ("yaml",),
    "pbtxt": ("pbtxt",),
    "list": ("txt",),
    "parquet": ("parquet",),
    "pickle": ("pkl", "pyth", "pth", "pt", "safetensors"),
    "onnx": ("onnx",),
    "xml": ("xml", "eaf"),
}
FILE_KINDS = tuple(_BY_KIND)
# Kinds in which a text is another format or a format of one word, so that nothing but emptiness is surely bad.
_LENIENT = {"csv", "list", "yaml", "pbtxt", "json"}
# Mutations after which nothing can read the file, or should: a command that ends well has overlooked them.
_SURE = {
    ("csv", "box_no_number"), ("csv", "score_out_of_range"), ("json", "cut_document"), ("yaml", "repeated_key"),
    ("yaml", "unknown_key"), ("pbtxt", "cut_label"), ("parquet", "truncated"), ("pickle", "truncated"),
    ("pickle", "evil_pickle"),
}  # fmt: skip


def kind_of(path: Path) -> str | None:
    """The kind of a good input by its suffix; None for one that no mutation knows."""
    return next((kind for kind, suffixes in _SUFFIXES.items() if path.suffix[1:] in suffixes), None)


def spoil(path: Path, kind: str, rng: Random) -> Spoiled:
    """Spoil a file's content by a mutation of its kind, or put something else in its place.

    Args:
        path: The file, changed where it stands.
        kind: Its kind.
        rng: Chooses.

    Returns:
        What was done.
    """
    chance = rng.random()
    if chance < 0.1:
        return _replaced(path, rng)
    table = mutate_bytes.SURE if chance < 0.2 else _BY_KIND[kind]
    # The mutations that know the format find more than those that do not.
    name = rng.choices(list(table), [1 if name in mutate_bytes.ANY else 4 for name in table])[0]
    content = path.read_bytes()
    changed = table[name](content, rng)
    path.write_bytes(changed)
    sure = (kind, name) in _SURE or (table is mutate_bytes.SURE and kind not in _LENIENT)
    return Spoiled(name, path, surely_bad=sure and changed != content)


def _replaced(path: Path, rng: Random) -> Spoiled:
    """Something else in a file's place."""
    what = rng.choice(("folder", "fifo", "loop", "dangling", "zeros", "null", "sparse", "memory"))
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "loop":
        path.symlink_to(path.name)
    elif what == "dangling":
        path.symlink_to("absent" + path.suffix)
    elif what == "zeros":
        path.symlink_to("/dev/zero")
    elif what == "null":
        path.symlink_to("/dev/null")
    elif what == "sparse":
        with path.open("wb") as file:
            file.truncate(_SPARSE_BYTES)
    else:
        path.symlink_to("/proc/self/mem")
    return Spoiled(f"replaced by {what}", path, surely_bad=what != "null")


def renamed(path: Path, rng: Random) -> Spoiled:
    """Give a good file an odd name."""
    name = rng.choice(_NAMES)
    stem = os.fsencode(name) if isinstance(name, str) else name
    suffix = os.fsencode(rng.choice((path.suffix, path.suffix, path.suffix.upper(), ".asf", "")))
    target = Path(os.fsdecode(os.path.join(os.fsencode(path.parent), stem[: 250 - len(suffix)] + suffix)))  # noqa: PTH118
    shutil.move(path, target)
    return Spoiled(f"name {name!r}", target, nameless=True)
