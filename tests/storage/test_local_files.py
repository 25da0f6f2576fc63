from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from processes import run_python

from ava_detect.storage.local_files import (
    TEMPORARY_MARK,
    atomic_path,
    is_standard_output,
    remove_stale_temporaries,
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


def test_a_link_stays_and_the_file_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    file, link, link_to_link = tmp_path / "folder" / "file.txt", tmp_path / "link", tmp_path / "link2"
    file.write_text("old")
    link.symlink_to("folder/file.txt")
    link_to_link.symlink_to(link)
    for path in (link, link_to_link):
        write_text_atomic(path, path.name)
        assert file.read_text() == path.name
    assert link.is_symlink()
    assert link_to_link.is_symlink()
    assert list((tmp_path / "folder").iterdir()) == [file]


def test_a_link_to_nothing_gets_its_file(tmp_path):
    (tmp_path / "link").symlink_to("new/file.txt")
    write_text_atomic(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new" / "file.txt").read_text() == "x"


def test_a_replaced_file_passes_on_its_permissions(tmp_path):
    (tmp_path / "secret").touch(mode=0o600)
    write_text_atomic(tmp_path / "secret", "x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="devices are files on POSIX systems only")
def test_a_device_is_written_into_and_stays_a_device(tmp_path):
    # A device of our own where that is allowed: a fault here must not cost the machine its /dev/null.
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
        device.write_bytes(b"")
    except OSError:
        pytest.skip("devices cannot be made here")
    write_text_atomic(device, "x")
    assert device.is_char_device()
    (tmp_path / "link").symlink_to(device)
    write_text_atomic(tmp_path / "link", "x")
    assert device.is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "null"]


def test_a_pipe_is_written_into(tmp_path):
    pipe, received = tmp_path / "pipe.txt", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    with atomic_path(pipe) as temporary:
        assert temporary.suffix == ".txt"
        assert temporary.parent != tmp_path
        temporary.write_text("content")
    reader.join(120)
    assert received == ["content"]
    assert pipe.is_fifo()


DESCRIPTORS = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-", "link")
_WRITE_OUT = """
import sys
from ava_detect.storage.local_files import write_text_atomic, is_standard_output
print("before")
write_text_atomic(sys.argv[1], "content\\n")
assert is_standard_output(sys.argv[1])
print("after")
"""


@pytest.mark.parametrize("path", DESCRIPTORS)
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_standard_output_goes_on_where_it_stands(tmp_path, path, into):
    """Also where a shell has led it into a file, which a rename would take away from the shell."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", _WRITE_OUT, path]
    if into == "pipe":
        text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    else:
        with (tmp_path / "file").open("w") as file:
            file.write("first\n")
            file.flush()
            subprocess.run(command, stdout=file, check=True, cwd=tmp_path)
        text = (tmp_path / "file").read_text().removeprefix("first\n")
    assert text == "before\ncontent\nafter\n"
    assert Path("/dev/stdout").is_symlink()
    assert (tmp_path / "link").is_symlink()


def test_a_descriptor_that_is_open_is_written_into(tmp_path):
    with (tmp_path / "file").open("w") as file:
        write_text_atomic(f"/dev/fd/{file.fileno()}", "x")
    assert (tmp_path / "file").read_text() == "x"
    assert not is_standard_output(tmp_path / "file")


@pytest.mark.parametrize("name", ["x" * 255, "x" * 251 + ".csv", "é" * 127, "a." + "y" * 253, ".csv", "a\nb.csv"])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path, name):
    write_text_atomic(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"
    assert len(list(tmp_path.iterdir())) == 1


def test_names_and_texts_that_are_not_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.json")
    write_text_atomic(path, f'"{path.stem}"')
    assert path.read_bytes() == b'"caf\\udce9"'


def broken_targets(folder):
    (folder / "taken").touch()
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return {
        "a folder": (folder, errno.EISDIR),
        "below a file": (folder / "taken" / "x.csv", errno.ENOTDIR),
        "a circle of links": (folder / "a", errno.ELOOP),
        "below a circle of links": (folder / "a" / "x.csv", errno.ELOOP),
        "too long": (folder / ("x" * 256), errno.ENAMETOOLONG),
    }


@pytest.mark.parametrize(
    "name", ["a folder", "below a file", "a circle of links", "below a circle of links", "too long"]
)
def test_a_target_that_cannot_be_written_is_named_before_the_work(tmp_path, name):
    target, number = broken_targets(tmp_path)[name]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError) as error, atomic_path(target):
        pytest.fail("the work was begun")
    assert error.value.errno == number
    assert TEMPORARY_MARK not in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("how", ["text", "torch"])
def test_a_full_disk_is_said_of_the_target(tmp_path, monkeypatch, how):
    """A limit on the size of files stands for the disk. Torch hides the error behind one of its own."""
    target = tmp_path / "weights.pt"
    target.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*weights\.pt'"), atomic_path(target) as temporary:
            if how == "text":
                temporary.write_text("x" * 100_000)
            else:
                torch = pytest.importorskip("torch")
                with temporary.open("wb") as stream:
                    torch.save({"x": torch.zeros(100_000)}, stream)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_errors_of_other_files_are_left_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as error, atomic_path(tmp_path / "a.txt"):
        (tmp_path / "input.txt").read_text()
    assert error.value.filename == str(tmp_path / "input.txt")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_is_protected_from_writing_is_not_replaced(tmp_path):
    (tmp_path / "a.txt").touch(mode=0o444)
    with pytest.raises(PermissionError, match=r"a\.txt"):
        write_text_atomic(tmp_path / "a.txt", "x")


def test_a_full_disk_is_found_in_the_text_of_a_library_in_rust(tmp_path):
    with pytest.raises(OSError, match="No space left on device") as caught, atomic_path(tmp_path / "w.safetensors"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.filename == str(tmp_path / "w.safetensors")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "w.safetensors"):
        raise RuntimeError("I/O error: no such file (os error 2)")
