"""The zoo against a server on the loopback that supports ranges, breaks off, lies, and asks for a login."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from concurrency import run_at_once, wait_until
from web_server import serving

from ava_detect.errors import WeightsError
from ava_detect.models import zoo, zoo_download
from ava_detect.models.zoo_table import ZOO
from ava_detect.storage.cache import CACHE_VARIABLE

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()


class Server(ThreadingHTTPServer):
    """Serves ``content`` at every address; each attribute makes it misbehave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.cut_after: list[int] = []  # number of bytes after which each connection is cut, until the list is empty
        self.status: list[int] = []  # status codes of the answers before the real one
        self.kind = "application/octet-stream"
        self.ranges = True
        self.shift = 0  # answers ranges from elsewhere
        self.pause_after: int | None = None  # bytes of a connection, after which it waits for ``go_on``
        self.go_on = threading.Event()
        self.requests: list[str | None] = []
        self.sent = 0

    def handle_error(self, request, client_address):
        """A client that was killed is no fault of the server."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.status:
            self.send_error(server.status.pop(0))
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-")) + server.shift
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(server.content) - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        end = start + server.cut_after.pop(0) if server.cut_after else len(server.content)
        if server.pause_after is not None:
            self.wfile.write(server.content[start : start + server.pause_after])
            start += server.pause_after
            server.go_on.wait(120)
        self.wfile.write(server.content[start:end])
        server.sent += len(server.content[start:end])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(zoo_download, "_PAUSE_SECONDS", 0.0)
    running = Server()
    with serving(running):
        yield running


@pytest.fixture
def entry(server, cache, monkeypatch):
    made = replace(ZOO["slowfast_r101_nl_32x2_ava22"], address=f"http://127.0.0.1:{server.server_port}/a/B.pkl")
    monkeypatch.setitem(ZOO, made.name, made)
    return made


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


def test_a_download_is_whole_noted_and_used_again_offline(entry, server, cache):
    seen = []
    path = zoo.resolve(entry.name, lambda at: seen.append((at.done, at.total)))
    assert path == cache / "slowfast_r101_nl_32x2_ava22.pkl"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert names_in(cache) == ["hashes.json", path.name]
    assert json.loads((cache / "hashes.json").read_text()) == {path.name: hashlib.sha256(CONTENT).hexdigest()}
    server.status = [500] * 9
    assert zoo.resolve(entry.name) == path
    assert len(server.requests) == 1


def test_a_path_is_itself(tmp_path):
    file = tmp_path / "mine.pyth"
    file.write_bytes(b"PK\x03\x04")
    assert zoo.resolve(file) == file
    assert zoo.resolve(str(file)) == file
    file.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"mine\.pyth is not a weights file: it is of an unknown kind"):
        zoo.resolve(file)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(WeightsError, match=r"'slowfast_r101_nl_32x2_ava23' \(did you mean 'slowfast_r101_nl_32x2_"):
        zoo.resolve("slowfast_r101_nl_32x2_ava23")


def test_cut_connections_go_on_where_they_stopped(entry, server):
    server.cut_after = [1_000_000, 700_000, 5]
    assert zoo.resolve(entry.name).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000000-", "bytes=1700000-", "bytes=1700005-"]
    assert server.sent == len(CONTENT)


def test_a_later_run_goes_on_where_an_earlier_one_stopped(entry, server, cache):
    server.cut_after = [2_000_000, 0, 0, 0]
    with pytest.raises(WeightsError, match=r"cannot be read: the connection was interrupted \(2,000,000 bytes are"):
        zoo.resolve(entry.name)
    assert names_in(cache) == [f"{entry.name}.pkl.part", f"{entry.name}.pkl.part-version"]
    server.requests.clear()
    assert zoo.resolve(entry.name).read_bytes() == CONTENT
    assert server.requests == ["bytes=2000000-"]


def test_another_version_on_the_server_is_not_spliced(entry, server):
    server.cut_after = [1_000_000, 0, 0, 0]
    with pytest.raises(WeightsError):
        zoo.resolve(entry.name)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert zoo.resolve(entry.name).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("without", ["etag", "ranges"])
def test_a_server_that_cannot_resume_is_asked_for_all(entry, server, without):
    setattr(server, without, None)
    server.cut_after = [1_000_000]
    assert zoo.resolve(entry.name).read_bytes() == CONTENT
    assert server.sent == len(CONTENT) + 1_000_000


def test_a_part_that_is_whole_already_is_taken(entry, server, cache):
    cache.mkdir()
    (cache / f"{entry.name}.pkl.part").write_bytes(CONTENT)
    (cache / f"{entry.name}.pkl.part-version").write_text('"one"')
    assert zoo.resolve(entry.name).read_bytes() == CONTENT
    assert server.sent == 0


def test_a_part_that_is_too_long_is_thrown_away(entry, server, cache):
    cache.mkdir()
    (cache / f"{entry.name}.pkl.part").write_bytes(CONTENT + b"more")
    (cache / f"{entry.name}.pkl.part-version").write_text('"one"')
    assert zoo.resolve(entry.name).read_bytes() == CONTENT


def test_bytes_from_elsewhere_are_refused(entry, server):
    server.cut_after, server.shift = [1_000_000], 7
    with pytest.raises(WeightsError, match=r"answers with other bytes than those requested \(from 1000000\)"):
        zoo.resolve(entry.name)


def test_a_busy_server_is_asked_again(entry, server):
    server.status = [503, 500]
    assert zoo.resolve(entry.name).read_bytes() == CONTENT


def test_a_missing_file_says_what_to_do(entry, server, cache):
    server.status = [404]
    with pytest.raises(WeightsError) as caught:
        zoo.resolve(entry.name)
    assert str(caught.value) == (
        f"slowfast_r101_nl_32x2_ava22 is not in the cache, and {entry.address} answers 404 Not Found; download that "
        f"address by other means, and put the file at {cache / 'slowfast_r101_nl_32x2_ava22.pkl'}, in the folder that "
        "AVA_DETECT_CACHE can change"
    )
    assert len(server.requests) == 1
    assert names_in(cache) == []


def test_a_login_page_is_no_weights_file(entry, server, cache):
    server.content, server.kind = b"<!DOCTYPE html><title>Log in</title>", "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match=r"answers with a web page \(text/html\), perhaps a login"):
        zoo.resolve(entry.name)
    assert names_in(cache) == []


def test_without_a_network_the_error_says_what_to_download_where(entry, server, cache, monkeypatch):
    unreachable = replace(entry, address="http://127.0.0.1:9/a/B.pkl")
    monkeypatch.setitem(ZOO, entry.name, unreachable)
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9/a/B\.pkl cannot be read: .*refused.* put the file at "):
        zoo.resolve(entry.name)
    # As told: put there by hand, it is used, and noted.
    cache.mkdir(exist_ok=True)
    (cache / f"{entry.name}.pkl").write_bytes(b"by hand")
    assert zoo.resolve(entry.name).read_bytes() == b"by hand"
    assert (cache / "hashes.json").is_file()


def test_a_file_that_changed_in_the_cache_is_refused(entry, cache):
    path = zoo.resolve(entry.name)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=r"has the SHA-256 .*, which is not the one recorded in .*hashes\.json"):
        zoo.resolve(entry.name)


def test_a_new_file_under_an_old_name_is_refused(entry, server, cache):
    zoo.resolve(entry.name).unlink()
    server.content, server.etag = CONTENT[:1000], '"two"'
    with pytest.raises(WeightsError, match="which is not the one recorded in"):
        zoo.resolve(entry.name)
    assert names_in(cache) == ["hashes.json"]


def test_a_published_hash_is_held_to(entry, server, cache):
    wrong = replace(entry, sha256=64 * "0")
    with pytest.raises(WeightsError, match=r"which is not its published hash, 000000000000\.\.\."):
        zoo_download.obtain(wrong)
    assert names_in(cache) == []
    assert zoo_download.obtain(replace(entry, sha256=hashlib.sha256(CONTENT).hexdigest())).is_file()


def test_the_first_digits_of_a_published_hash_are_held_to(entry, server, cache):
    found = hashlib.sha256(CONTENT).hexdigest()
    assert found[:8] != "3dafab75"
    with pytest.raises(WeightsError) as caught:
        zoo_download.obtain(replace(entry, sha256="3dafab75"))
    assert str(caught.value) == (
        f"{cache / entry.name}.pkl: the file of {entry.name} has the SHA-256 {found[:12]}..., which is not its "
        "published hash, 3dafab75...; it was not kept"
    )
    assert names_in(cache) == []
    path = zoo_download.obtain(replace(entry, sha256=found[:8]))
    # A file that was put there by hand is compared, too.
    path.write_bytes(CONTENT[1:])
    with pytest.raises(WeightsError, match=rf"not its published hash, {found[:8]}\.\.\.; delete it and get it again"):
        zoo_download.obtain(replace(entry, sha256=found[:8]))


def test_a_page_of_google_drive_says_to_download_by_hand(entry, server, cache, monkeypatch):
    server.content, server.kind = b"<!DOCTYPE html><title>Virus scan warning</title>", "text/html; charset=utf-8"
    monkeypatch.setattr(zoo_download, "_DRIVE", f"127.0.0.1:{server.server_port}")
    address = f"http://127.0.0.1:{server.server_port}/uc?export=download&id=1gFJ8Nn"
    with pytest.raises(WeightsError) as caught:
        zoo_download.obtain(replace(entry, address=address))
    assert str(caught.value) == (
        f"{entry.name} is not in the cache, and {address} answers with a web page (text/html), as Google Drive does "
        f"before a large file; download it by hand, in a browser, from https://127.0.0.1:{server.server_port}/file/d/"
        f"1gFJ8Nn/view, and put the file at {cache / entry.name}.pth, in the folder that AVA_DETECT_CACHE can change"
    )
    assert names_in(cache) == []


def test_what_is_known_about_an_address_is_said_where_it_fails(entry, server):
    server.status = [404]
    moved = replace(entry, note="the authors moved their files to elsewhere.example")
    with pytest.raises(WeightsError, match=r"by other means \(the authors moved their files to elsewhere\.example\), "):
        zoo_download.obtain(moved)


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}'])
def test_a_broken_lock_file_is_named(entry, cache, text):
    zoo.resolve(entry.name)
    (cache / "hashes.json").write_text(text)
    with pytest.raises(WeightsError, match=r"hashes\.json .*repair or delete it"):
        zoo.resolve(entry.name)


@pytest.mark.parametrize("etag", ['"one"', None])
def test_several_at_once_end_with_one_whole_file(entry, server, etag):
    server.etag = etag
    found = []
    run_at_once(4 * [lambda: found.append(zoo.resolve(entry.name))])
    assert len(found) == 4
    assert found[0].read_bytes() == CONTENT


OF_ANOTHER_PROCESS = """
import hashlib, sys
from dataclasses import replace
from ava_detect.models import zoo
name, address = sys.argv[1:]
zoo.ZOO[name] = replace(zoo.ZOO[name], address=address)
print("asks", flush=True)
print(hashlib.sha256(zoo.resolve(name).read_bytes()).hexdigest())
"""


def other_process(entry):
    call = [sys.executable, "-c", OF_ANOTHER_PROCESS, entry.name, entry.address]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "asks\n"
    return process


def test_two_processes_at_once_fetch_it_once(entry, server, cache):
    server.pause_after = 1_000_000
    processes = [other_process(entry) for _ in range(2)]
    time.sleep(0.5)  # for the second to ask the server, if it does
    server.go_on.set()
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == 2 * [hashlib.sha256(CONTENT).hexdigest() + "\n"]
    assert server.requests == [None]
    assert names_in(cache) == ["hashes.json", f"{entry.name}.pkl"]


def test_a_killed_process_leaves_its_bytes_and_no_lock(entry, server, cache):
    server.pause_after = 1_000_000
    part = cache / f"{entry.name}.pkl.part"
    process = other_process(entry)
    wait_until(lambda: part.is_file() and part.stat().st_size == 1_000_000)
    process.kill()
    process.wait()
    server.pause_after = None
    assert zoo.resolve(entry.name).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000000-"]
    server.go_on.set()


def test_hashes_noted_at_once_are_all_kept(entry, cache, monkeypatch):
    """Each waits between reading and writing the hashes, so that another could write at the same time."""
    cache.mkdir()
    entries = [replace(entry, name=f"weights_{number}") for number in range(4)]
    for made in entries:
        zoo_download.cached_path(made).write_bytes(made.name.encode())
    read = zoo_download._read_hashes

    def slowly(path):
        content = read(path)
        time.sleep(0.02)
        return content

    monkeypatch.setattr(zoo_download, "_read_hashes", slowly)
    run_at_once(partial(zoo_download.obtain, made) for made in entries)
    assert sorted(json.loads((cache / "hashes.json").read_text())) == [f"weights_{n}.pkl" for n in range(4)]


def test_a_cache_that_cannot_be_written_is_named(entry, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(
        WeightsError, match=r"the cache .*file/cache cannot be used \(Not a directory\); set AVA_DETECT_"
    ):
        zoo.resolve(entry.name)


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '{"a": 1}', "[]"], ids=["cut", "deep", "number", "list"])
def test_recorded_hashes_that_were_edited_are_named(entry, cache, content):
    cache.mkdir()
    zoo_download.cached_path(entry).write_bytes(CONTENT)
    (cache / "hashes.json").write_text(content)
    with pytest.raises(WeightsError, match=r"hashes\.json .*repair or delete it"):
        zoo_download.obtain(entry)
