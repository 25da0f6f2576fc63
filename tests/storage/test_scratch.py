"""Scratch folders: gone with their block, gone after a kill, and a full disk said as such."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys

import pytest

from ava_detect.errors import StoreError
from ava_detect.storage.scratch import disk_full_as_store_error, remove_abandoned_folders, scratch_folder

HOLDER = """
import os, time
from ava_detect.storage.scratch import scratch_folder
with scratch_folder("a video") as folder:
    (folder / "half.parquet").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_for_its_block_only_and_others_do_not_touch_it(temporary):
    with scratch_folder("one") as outer, scratch_folder("two") as inner:
        (outer / "deep").mkdir()
        remove_abandoned_folders()
        assert (outer / "deep").is_dir() and inner.is_dir() and outer != inner
        assert outer.parent == temporary
    assert not list(temporary.iterdir())
    with pytest.raises(KeyError), scratch_folder("one"):
        raise KeyError
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_is_removed_and_only_that(temporary):
    (temporary / "ava-detect-mine").mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        left = temporary / holder.stdout.readline().strip()
        remove_abandoned_folders()
        assert (left / "half.parquet").exists(), "its holder lives"
    finally:
        holder.kill()
        holder.communicate()
    assert holder.returncode == -signal.SIGKILL
    with scratch_folder("the next video") as folder:
        assert not left.exists()
        assert folder.is_dir()
    assert [path.name for path in temporary.iterdir()] == ["ava-detect-mine"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_error_of_a_full_disk_names_the_video_and_the_folder_and_advises(temporary, number):
    message = rf"movie\.mp4: the disk of the temporary folder {temporary} is full \(\d+ MiB are free\); make room there"
    with pytest.raises(StoreError, match=message), scratch_folder("movie.mp4"):
        raise OSError(number, "no room")
    assert not list(temporary.iterdir())
    with pytest.raises(PermissionError), disk_full_as_store_error("movie.mp4"):
        raise PermissionError(errno.EACCES, "something else")
