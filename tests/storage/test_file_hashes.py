"""Files are hashed once in a process, and again when they have changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from ava_detect.storage.file_hashes import sha256_of


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The names of the files that are read."""
    names = []
    digest = hashlib.file_digest

    def counted(file, name):
        names.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def write(path, content, age_seconds=60.0):
    path.write_bytes(content)
    os.utime(path, ns=(0, time.time_ns() - int(age_seconds * 1e9)))
    return path


def test_a_file_is_read_once(tmp_path, reads):
    path = write(tmp_path / "a", b"some weights")
    for other in (path, str(path), tmp_path / "." / "a"):
        assert sha256_of(other) == hashlib.sha256(b"some weights").hexdigest()
    assert reads == ["a"]


@pytest.mark.parametrize("change", ["in place", "renamed over", "in place with its old time"])
def test_a_changed_file_is_read_again(tmp_path, reads, change):
    path = write(tmp_path / "a", b"one")
    old = sha256_of(path)
    times = path.stat()
    if change == "renamed over":
        write(tmp_path / "b", b"two").replace(path)
    else:
        write(path, b"two", age_seconds=30)
        if change == "in place with its old time":
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest() != old
    assert len(reads) == 2


def test_a_file_that_was_just_written_is_not_taken_as_known(tmp_path, reads):
    """It could be written again within one step of the file system's clock, and look the same."""
    path = write(tmp_path / "a", b"one", age_seconds=0)
    assert sha256_of(path) == sha256_of(path)
    assert reads == ["a", "a"]


def test_a_pipe_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe, not a file"):
        sha256_of(tmp_path / "pipe")
