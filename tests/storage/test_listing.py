"""Directories of any size, page by page."""

from __future__ import annotations

import gc
import sys
from itertools import islice

import fsspec
from moto_server import connect, s3_server

from ava_detect.storage import object_store as listing
from ava_detect.video.source_stream import stream_videos


class Pages:
    """A store with so many videos under one prefix that each page of the listing is made on request."""

    def __init__(self, num_videos: int) -> None:
        self.req_kw: dict[str, str] = {}
        self.num_videos = num_videos
        self.requests: list[dict[str, str]] = []

    def split_path(self, path: str) -> tuple[str, str, None]:
        return *path.partition("/")[::2], None

    def unstrip_protocol(self, name: str) -> str:
        return f"s3://{name}"

    def isdir(self, path: str) -> bool:
        return True

    def call_s3(self, method: str, **request: str) -> dict:
        assert method == "list_objects_v2"
        self.requests.append(request)
        first = int(request.get("ContinuationToken", 0))
        numbers = range(first, min(first + int(request["MaxKeys"]), self.num_videos))
        contents = [{"Key": f"{request['Prefix']}{n:08}.mp4", "Size": 1, "ETag": "x" * 32} for n in numbers]
        more = numbers.stop < self.num_videos
        return {"Contents": contents, "IsTruncated": more, "NextContinuationToken": str(numbers.stop)}


def test_a_prefix_of_any_size_is_never_held(monkeypatch):
    store = Pages(20_000)
    monkeypatch.setattr("fsspec.url_to_fs", lambda url, **more: (store, "bucket/videos"))
    videos = stream_videos(["s3://bucket/videos"])
    assert [video.video_id for video in islice(videos, 3)] == ["00000000", "00000001", "00000002"]
    assert len(store.requests) == 1
    gc.collect()
    before = sys.getallocatedblocks()
    blocks = [sys.getallocatedblocks() - before for number, _ in enumerate(videos) if number % 100 == 0]
    assert len(store.requests) == 20
    assert len(blocks) == 200
    # A video is six objects, and a page of 1,000 may be held. All of them would be 120,000, and their names 20,000.
    assert max(blocks) < 10_000


NAMES = ("a.avi", "a.b.mp4", "a.mkv", "a.mp4", "b.mp4", "c/d.mp4", "c/e/f.mp4", "c.mp4", "notes.txt", "z.webm")
IDS = ["a.avi", "a.b", "a.mkv", "a.mp4", "b", "c", "z", "c/d", "c/e/f"]


def test_names_that_differ_in_their_suffix_alone_keep_it(tmp_path):
    files = fsspec.filesystem("memory")
    for name in NAMES:
        files.pipe_file(f"/{tmp_path.name}/{name}", b"")
    assert [video.video_id for video in stream_videos([f"memory://{tmp_path.name}"])] == IDS


def test_s3_sends_the_same_page_by_page(monkeypatch):
    with s3_server() as url:
        files = connect(monkeypatch, url)
        files.mkdir("many")
        for name in NAMES:
            files.pipe_file(f"many/videos/{name}", b"x")
        # Some tools leave an empty object for a folder.
        files.call_s3("put_object", Bucket="many", Key="videos/", Body=b"")
        for keys_per_page in (1, 3, 1000):
            monkeypatch.setattr(listing, "_KEYS_PER_PAGE", keys_per_page)
            found = list(stream_videos(["s3://many/videos/"]))
            assert [video.video_id for video in found] == IDS
            assert [str(video.path) for video in found[-2:]] == [
                "s3://many/videos/c/d.mp4",
                "s3://many/videos/c/e/f.mp4",
            ]
            assert all(video.modified for video in found)
        assert [info["name"] for info in listing.directory(files, "many")] == ["many/videos"]
