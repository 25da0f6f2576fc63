from __future__ import annotations

import hashlib
import os

import pytest
from processes import run_python

from ava_detect.storage.local_files import (
    TEMPORARY_MARK,
    atomic_path,
    remove_stale_temporaries,
    sha256_of,
    write_text_atomic,
)


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.suffix == ".txt"
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    write_text_atomic(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_only_the_leftovers_of_dead_processes_are_removed(tmp_path):
    dead = run_python("import os; print(os.getpid())")
    left = tmp_path / f"{TEMPORARY_MARK}{int(dead.stdout)}-a.csv"
    living = tmp_path / f"{TEMPORARY_MARK}{os.getpid()}-b.csv"
    other = tmp_path / "c.csv"
    for path in (left, living, other):
        path.touch()
    assert remove_stale_temporaries(tmp_path) == [left]
    assert sorted(tmp_path.iterdir()) == [living, other]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
