from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ava_detect.errors import FormatError, MissingDependencyError, PassedOverWarning, VideoError
from ava_detect.storage.addresses import Address
from ava_detect.video.source_stream import stream_videos


def damaged_parquet() -> bytes:
    """A Parquet file whose footer is no metadata, which pyarrow tells as an OSError without a number."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"uri": ["a.mp4"]}), sink)
    content = bytearray(sink.getvalue().to_pybytes())
    length = int.from_bytes(content[-8:-4], "little")
    content[-8 - length : -8] = b"\xff" * length
    return bytes(content)


@pytest.fixture
def store(tmp_path):
    files = fsspec.filesystem("memory")
    yield lambda name, content=b"": files.pipe_file(f"/{tmp_path.name}/{name}", content)
    files.rm(f"/{tmp_path.name}", recursive=True)


def ids(*sources, **more) -> list[str]:
    return [video.video_id for video in stream_videos(sources, **more)]


def test_a_folder_here_and_the_same_at_an_address_give_the_same_ids(tmp_path, store):
    names = ["b.mp4", "a.mkv", "a.MP4", "deep/er/c.avi", "deep/b.mp4", "notes.txt", "out/drawn.mp4"]
    for name in names:
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).touch()
        store(f"v/{name}")
    there = f"memory://{tmp_path.name}/v"
    expected = ["a.MP4", "a.mkv", "b", "deep/b", "deep/er/c", "out/drawn"]
    assert ids(tmp_path / "v") == ids(there) == expected
    with pytest.warns(PassedOverWarning, match=r"passed over 1 file inside `out`, .*out/drawn\.mp4\)"):
        assert ids(tmp_path / "v", inside_out=Address(f"file://{tmp_path / 'v' / 'out'}")) == expected[:-1]
    with pytest.warns(PassedOverWarning, match=r"passed over 1 file inside `out`, .*out/drawn\.mp4\)"):
        assert ids(there, inside_out=Address(f"{there}/out/")) == expected[:-1]
    assert ids(f"{there}/*.mp4") == ["b"]
    assert ids(tmp_path / "v" / "deep" / "*.mp4", f"{there}/a.mkv", tmp_path / "gone.mp4") == ["b", "a", "gone"]
    video = next(stream_videos([there]))
    assert str(video.path).endswith(f"{tmp_path.name}/v/a.MP4")
    assert video.modified is not None


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_a_list_says_what_its_videos_are_called_and_where_they_start(tmp_path, kind):
    rows = [("x", "s3://bucket/a.mp4", 900.0), ("../../y", "sub/b.mp4", None), (None, "/abs/c.mp4", 1.5)]
    path = tmp_path / f"list.{kind}"
    if kind == "parquet":
        ids_, uris, starts = zip(*rows, strict=True)
        pq.write_table(pa.table({"video_id": ids_, "uri": uris, "start_seconds": starts, "more": [1, 2, 3]}), path)
    else:
        lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
        text = "\n".join(["video_id,uri,start_seconds", *lines, ""]).encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    videos = list(stream_videos([path]))
    assert [video.video_id for video in videos] == ["x", "../../y", "c"]
    assert [video.path for video in videos] == [
        Address("s3://bucket/a.mp4"),
        tmp_path / "sub/b.mp4",
        Path("/abs/c.mp4"),
    ]
    assert [video.start_seconds for video in videos] == [900.0, None, 1.5]
    assert not any(video.problem for video in videos)


def test_a_list_at_an_address_finds_what_lies_beside_it(tmp_path, store):
    store("lists/all.txt", b"# ours\n\nfirst.mp4\nhttps://host/second.mp4?sig=abc\n")
    first, second = stream_videos([f"memory://{tmp_path.name}/lists/all.txt"])
    assert first.path == Address(f"memory://{tmp_path.name}/lists/first.mp4")
    assert (first.video_id, second.video_id, str(second.path)) == ("first", "second", "https://host/second.mp4?...")


def test_a_bad_row_is_named_and_the_others_come(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"video_id,uri,start_seconds\nn\0ul,a.mp4,\nlong"
        + 2000 * b"g"
        + b",a.mp4,\nx,,\nx,b.mp4,soon\nfine,c.mp4,3\nnan,d.mp4,nan\n"
    )
    videos = list(stream_videos([path]))
    assert [video.problem.removeprefix(f"{path}, ") for video in videos] == [
        r"line 2: the video_id 'n\x00ul' holds control characters",
        "line 3: the video_id is 2004 letters long, and at most 1024 are taken",
        "line 4: there is no uri",
        "line 5: start_seconds is a number, got 'soon'",
        "",
        "line 7: start_seconds is a number, got 'nan'",
    ]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("l.csv", b"id,where\n1,2\n", FormatError, r"l\.csv: no column uri; .* this one has id, where"),
        ("l.parquet", b"nonsense", FormatError, "cannot be read as a list of videos"),
        ("l.parquet", damaged_parquet(), FormatError, r"l\.parquet cannot be read as a list of videos"),
        (
            "l.txt.gz",
            gzip.compress(b"a.mp4\n" * 9, mtime=0)[:-12],
            FormatError,
            r"l\.txt\.gz cannot be read as a list of videos",
        ),
        ("l.txt", b"\xff\xfe\x00", FormatError, "cannot be read as a list of videos"),
        ("l.txt", b"a.mp4\n" + bytes(1 << 21), FormatError, r"l\.txt, line 2: more than 1,048,576 letters without a"),
        ("l.csv", b"uri\n" + b"a" * (1 << 21), FormatError, r"l\.csv, line 2: more than 1,048,576 letters without a"),
        ("l.txt", b"# nothing\n", VideoError, "lists no video"),
        ("l.csv", None, VideoError, "there is no such list of videos"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        list(stream_videos([tmp_path / name]))


def test_folders_without_videos_are_refused(tmp_path, store):
    store("empty/readme.md")
    for source in (tmp_path, f"memory://{tmp_path.name}/empty", f"memory://{tmp_path.name}/empty/*.mp4"):
        with pytest.raises(VideoError, match="holds no video"):
            list(stream_videos([source]))


def test_a_store_whose_package_is_missing_says_which(monkeypatch):
    def missing(*args, **more):
        raise ImportError("no such module")

    monkeypatch.setattr("fsspec.url_to_fs", missing)
    with pytest.raises(MissingDependencyError, match=r"gs:// is not installed \(.*pip install gcsfs\)"):
        list(stream_videos(["gs://bucket/videos"]))


@pytest.mark.slow
def test_a_long_list_is_never_held(tmp_path):
    path = tmp_path / "list.parquet"
    with pq.ParquetWriter(path, pa.schema([("video_id", pa.string()), ("uri", pa.string())])) as writer:
        for start in range(0, 60_000, 10_000):
            numbers = range(start, start + 10_000)
            names = [f"v{n}" for n in numbers]
            writer.write_table(pa.table({"video_id": names, "uri": [f"s3://bucket/{n}.mp4" for n in names]}))
    tracemalloc.start()
    count = sum(1 for _ in stream_videos([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    # All of them are some 21 MiB.
    assert peak < 10 << 20
