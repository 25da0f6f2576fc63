"""Where the cache is, and copies of files that lie at addresses."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest
from concurrency import run_at_once
from videos import constant_rate, write_numbered_video

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.errors import AvaDetectError
from ava_detect.models.zoo import SHIPPED, resolve
from ava_detect.storage import cache
from ava_detect.storage import object_store as store
from ava_detect.storage.addresses import Address


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache.cache_dir() == tmp_path / "ava_detect"
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.cache_dir() == Path.home() / "Library" / "Caches" / "ava_detect"
    monkeypatch.setattr(cache.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache.cache_dir() == tmp_path / "local" / "ava_detect"
    monkeypatch.setenv(cache.CACHE_VARIABLE, "~/weights")
    assert cache.cache_dir() == Path.home() / "weights"


def test_a_file_is_copied_once_a_version(tmp_path, monkeypatch):
    source = tmp_path / "a.bin"
    source.write_bytes(b"first")
    address = Address(f"file://{source}")
    copies = []
    monkeypatch.setattr(cache, "download", lambda *where: (copies.append(where), store.download(*where)))
    first = cache.cached_copy(address)
    assert first.name == "a.bin"
    assert first.read_bytes() == b"first"
    assert cache.cached_copy(address) == first
    assert len(copies) == 1
    source.write_bytes(b"other")
    os.utime(source, (1, 1))
    second = cache.cached_copy(address)
    assert second.read_bytes() == b"other"
    assert first.read_bytes() == b"first"  # a process that has it open keeps it


def test_of_many_at_once_one_copies(tmp_path, monkeypatch):
    source = tmp_path / "a.bin"
    source.write_bytes(b"bytes")
    copies, paths = [], []
    monkeypatch.setattr(cache, "download", lambda *where: (copies.append(where), store.download(*where)))
    run_at_once(8 * [lambda: paths.append(cache.cached_copy(Address(f"file://{source}")))])
    assert len(paths) == 8
    assert len(set(paths)) == len(copies) == 1


def test_a_missing_file_and_an_unwritable_cache_are_errors_that_say_so(tmp_path, monkeypatch, folder):
    with pytest.raises(AvaDetectError, match=r"^file:///.*gone.bin: there is no such file$"):
        cache.cached_copy(Address(f"file://{tmp_path}/gone.bin"))
    with pytest.raises(AvaDetectError, match=r"^http://127.0.0.1:9/a.bin\?...: .* \(Cannot connect to host"):
        cache.cached_copy(Address("http://me:secret@127.0.0.1:9/a.bin?sig=secret"))
    (tmp_path / "a.bin").write_bytes(b"x")
    folder.write_text("in the way")
    with pytest.raises(AvaDetectError, match=r"cannot be copied into the cache .* set AVA_DETECT_CACHE"):
        cache.cached_copy(Address(f"file://{tmp_path}/a.bin"))


def test_weights_by_address_are_those_of_the_file():
    with fsspec.open("memory://models/mine.safetensors", "wb") as file:
        file.write(SHIPPED["demo"].read_bytes())
    path = resolve("memory://models/mine.safetensors")
    assert path.name == "mine.safetensors"
    assert path.read_bytes() == SHIPPED["demo"].read_bytes()


def test_weights_and_boxes_at_addresses_give_the_rows_of_files(tmp_path):
    movie = write_numbered_video(tmp_path / "movie.mp4", constant_rate(50, 30))
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("movie,0,0.1,0.1,0.5,0.9,,0.9\nmovie,1,0.1,0.1,0.5,0.9,,0.9\n")
    here = annotate_videos(movie, tmp_path / "here", weights=str(SHIPPED["demo"]), boxes=boxes)
    there = annotate_videos(movie, tmp_path / "there", weights=f"file://{SHIPPED['demo']}", boxes=f"file://{boxes}")
    assert here.totals.boxes == there.totals.boxes > 0
    assert (tmp_path / "here/movie.csv").read_bytes() == (tmp_path / "there/movie.csv").read_bytes()
    assert there.weights == {**here.weights, "source": f"file://{SHIPPED['demo']}"}
    assert there.settings["detector_sha256"] == here.settings["detector_sha256"]
