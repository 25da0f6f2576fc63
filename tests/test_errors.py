"""Text from files and arguments cannot break a message into lines or control the terminal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.errors import AvaDetectError, FormatError, require_file, shown, special_file
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.coco_json import read_coco_json
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.formats.writers import parse_formats
from ava_detect.storage.addresses import Address
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker
from ava_detect.structures.tubes import action_tubes
from ava_detect.video.clip_sampler import sample_clip
from ava_detect.video.reader import VideoReader
from ava_detect.video.source_stream import stream_videos
from ava_detect.video.sources import find_videos

HOSTILE = "a\nb\x1b[31m\u202e"
ESCAPED = r"a\nb\x1b[31m\u202e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("movie.mp4", "movie.mp4"),
        ("C:\\new folder\\it's.mp4", "C:\\new folder\\it's.mp4"),
        ("日本 é.mp4", "日本 é.mp4"),
        (Path("/videos/one.mp4"), "/videos/one.mp4"),
        (HOSTILE, ESCAPED),
        ("\udcff", r"\udcff"),
        ("", ""),
    ],
)
def test_printable_text_is_shown_as_it_is_and_the_rest_as_escapes(text: object, expected: str) -> None:
    assert shown(text) == expected


@settings(deadline=None)
@given(st.text(st.characters()))
def test_what_is_shown_is_always_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)
    assert shown(text).encode().decode() == shown(text)


def keyframe(second: float) -> ActionDetections:
    return ActionDetections(HOSTILE, second, np.array([[0, 0, 1, 1]]), np.ones(1), np.ones((1, 1)))


def linked_twice() -> None:
    linker = Linker()
    for _ in range(2):
        linker.update(keyframe(1))


def written(folder: Path, content: str) -> Path:
    path = folder / HOSTILE
    path.write_text(content)
    return path


FAULTS = {
    "csv": lambda folder: read_ava_csv(written(folder, "v,x\n")),
    "missing csv": lambda folder: read_ava_csv(folder / HOSTILE),
    "jsonl": lambda folder: list(read_jsonl(written(folder, "{}\n"), LabelMap.ava())),
    "json": lambda folder: read_coco_json(written(folder, '{"images": [1]}')),
    "parquet": lambda folder: list(iter_parquet(written(folder, "x"))),
    "labels": lambda folder: LabelMap.from_pbtxt(written(folder, "x")),
    "formats": lambda folder: parse_formats(HOSTILE),
    "address": lambda folder: Address(f"foo://{HOSTILE}").open(),
    "linker": lambda folder: linked_twice(),
    "tubes": lambda folder: list(action_tubes([keyframe(1)])),
    "detections": lambda folder: ActionDetections(HOSTILE, np.inf, [[0, 0, np.nan, 1]], [1], [[1]]),
    "video": lambda folder: VideoReader(written(folder, "x")),
    "missing video": lambda folder: sample_clip(folder / HOSTILE, 1),
    "videos": lambda folder: find_videos([folder / HOSTILE]),
    "video list": lambda folder: list(stream_videos([folder / f"{HOSTILE}.csv"])),
    "missing folder": lambda folder: list(stream_videos([folder / f"{HOSTILE}*"])),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_foreign_text_in_errors_is_escaped(tmp_path: Path, fault: str) -> None:
    with pytest.raises(ValueError) as error:
        FAULTS[fault](tmp_path)
    assert isinstance(error.value, AvaDetectError | FormatError) or fault == "detections"
    assert ESCAPED in str(error.value)
    assert str(error.value).isprintable()


def test_pipes_devices_and_sockets_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may be no longer than about 100 letters
    Path("file").touch()
    os.mkfifo("pipe")
    Path("linked").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    paths = ["file", ".", "pipe", "linked", "/dev/null", "socket"]
    assert [special_file(path) for path in paths] == ["", "", "pipe", "pipe", "device", "socket"]
    require_file("file")
    with pytest.raises(OSError, match=r"it is a pipe, not a file, and would be read more than once; .*: 'linked'"):
        require_file("linked")
    with pytest.raises(FileNotFoundError):
        require_file("gone")


def test_a_file_beyond_the_limit_is_refused(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1001)
    require_file(tmp_path / "large", max_bytes=1001)
    with pytest.raises(OSError, match=r"it has 1,001 bytes, and such a file has at most 1,000: '.*large'"):
        require_file(tmp_path / "large", max_bytes=1000)
