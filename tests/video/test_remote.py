"""Videos at addresses: the same frames as from the disk, few bytes, and stores that fail."""

from __future__ import annotations

from collections import Counter

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from videos import constant_rate, frame_number, write_noise_video, write_numbered_video
from web_server import serve_folder, serving

from ava_detect.errors import StoreError, VideoError
from ava_detect.storage import retry
from ava_detect.video import remote
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo


@pytest.fixture
def quick(monkeypatch):
    """Tries follow one another at once."""
    monkeypatch.setattr(retry.time, "sleep", lambda seconds: None)


@pytest.fixture
def in_memory(tmp_path):
    """Puts a file into a store and gives its address."""
    store = fsspec.filesystem("memory")

    def put(name, content):
        store.pipe_file(f"/{tmp_path.name}/{name}", content)
        return f"memory://{tmp_path.name}/{name}"

    yield put
    store.rm(f"/{tmp_path.name}", recursive=True)


@pytest.fixture
def movie(tmp_path):
    return write_numbered_video(tmp_path / "movie.mp4", constant_rate(90, 30))


@pytest.fixture
def heavy(tmp_path):
    return write_noise_video(tmp_path / "heavy.mp4", 60)


def numbers(video) -> list[int]:
    return [frame_number(frame.image) for frame in video]


@pytest.mark.parametrize(
    "name", ["tc_h265_10bits.mp4", "mm_test.avi", "odd_vfr.mp4", "tc_av1_video.mkv", "odd_nots.h264"]
)
def test_frames_are_those_of_the_file(name, shared, in_memory):
    path = shared / "videos" / name
    here, there = VideoReader(path), VideoReader(in_memory(name, path.read_bytes()))
    assert there.info == here.info
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.timestamp_seconds == ours.timestamp_seconds
        np.testing.assert_array_equal(theirs.image, ours.image)
    assert there.damage() == here.damage()
    np.testing.assert_array_equal(there.frame_times(), here.frame_times())


def test_only_the_blocks_that_are_wanted_are_fetched_and_once(heavy, in_memory, monkeypatch):
    monkeypatch.setattr(remote, "_BLOCK_BYTES", 1 << 14)
    fetched = Counter()
    cat_file = MemoryFileSystem.cat_file

    def counting(self, path, start=None, end=None):
        fetched[start, end] += 1
        return cat_file(self, path, start, end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counting)
    content = heavy.read_bytes()
    with RemoteVideo(in_memory("heavy.mp4", content)) as video:
        reader = VideoReader(video)
        first = next(reader.decode())
    assert first.timestamp_seconds == 0
    assert len(fetched) * (1 << 14) < len(content) / 2, "the index at the end and some blocks of pictures"
    assert max(fetched.values()) == 1
    assert all(end - start <= 1 << 14 for start, end in fetched)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", ["error", "cut short"])
def test_a_store_that_fails_now_and_then_loses_no_frame(heavy, in_memory, monkeypatch, fault):
    monkeypatch.setattr(remote, "_BLOCK_BYTES", 1 << 14)
    chance = np.random.default_rng(0)
    cat_file = MemoryFileSystem.cat_file

    def failing(self, path, start=None, end=None):
        if chance.random() < 0.3:
            if fault == "error":
                raise OSError("503 Slow Down")
            end -= 1
        return cat_file(self, path, start, end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", failing)
    got, expected = VideoReader(in_memory("heavy.mp4", heavy.read_bytes())), VideoReader(heavy)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)


@pytest.mark.usefixtures("quick")
def test_a_store_that_falls_silent_is_no_end_of_the_video(heavy, in_memory, monkeypatch):
    monkeypatch.setattr(remote, "_BLOCK_BYTES", 1 << 14)
    monkeypatch.setenv("MY_SECRET", "hush-hush-hush")
    address = in_memory("heavy.mp4", heavy.read_bytes())
    with RemoteVideo(address) as video:
        reader = VideoReader(video)
        frames = iter(reader)
        next(frames)

        def gone(self, path, start=None, end=None):
            raise OSError("refused, signed with hush-hush-hush")

        monkeypatch.setattr(MemoryFileSystem, "cat_file", gone)
        with pytest.raises(StoreError, match=r"did not answer in 6 tries \(OSError: refused, signed with \*\*\*\)"):
            list(frames)
        assert video.failure is not None


def test_a_missing_file_is_an_error_in_one_sentence(in_memory):
    with pytest.raises(VideoError, match=r"memory://nowhere/gone\.mp4: there is no such file"):
        VideoReader("memory://nowhere/gone.mp4")
    address = in_memory("folder/text.mp4", b"no video")
    with pytest.raises(VideoError, match="is a folder, not a video file"):
        VideoReader(address.removesuffix("/text.mp4"))
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        VideoReader(address)
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        VideoReader(in_memory("empty.mp4", b""))


@pytest.fixture
def web(movie):
    with serving(serve_folder(movie.parent)) as url:
        yield url


def test_a_server_without_range_requests_is_copied_from_and_the_copy_removed(web, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with RemoteVideo(f"{web}/movie.mp4?X-Amz-Signature=abcdef") as video:
        assert numbers(VideoReader(video)) == list(range(90))
        assert len(list(tmp_path.glob("ava-detect-*/video.mp4"))) == 1
    assert not list(tmp_path.glob("ava-detect-*"))
    with (
        RemoteVideo(f"{web}/movie.mp4?X-Amz-Signature=abcdef", scratch_bytes=1000) as video,
        pytest.raises(VideoError, match=r"movie\.mp4\?\.\.\.: the server sends no parts of files"),
    ):
        VideoReader(video)
    assert not list(tmp_path.glob("ava-detect-*"))
