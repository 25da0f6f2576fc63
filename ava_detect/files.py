"""Files that appear whole or not at all: write to a temporary name beside the target, then rename."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_MARK = ".unfinished-"


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path in ``target``'s folder; rename it to ``target`` if the block ends well.

    The temporary name keeps the target's suffix (muxers go by it) and holds the process id, so that two
    processes never share one. When the block raises, the temporary file is removed and an older
    ``target`` stays as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_MARK}{os.getpid()}-{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(target: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 in one atomic step."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
