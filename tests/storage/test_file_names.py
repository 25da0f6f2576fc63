"""The files of a video stay in the output folder and never collide with those of another, for any video id."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ava_detect.formats.writers import result_path
from ava_detect.storage import file_names
from ava_detect.storage.file_names import MAX_STEM_BYTES, file_stem, file_stems, valid_id
from ava_detect.storage.local_files import TEMPORARY_MARK
from ava_detect.video.source_stream import stream_videos
from ava_detect.video.sources import find_videos

# Of the kinds that are no names of files, most of them real attacks or accidents.
NO_NAMES = (
    "", ".", "..", "...", "../../x", "/etc/passwd", "a/b", "a/../../b", "..\\..\\x", "C:\\x", "\\\\server\\share",
    "a\0b", "a\nb", "\x1b[31m",
    "\udcff", "x" * 241, "é" * 121, "日" * 300, f"{TEMPORARY_MARK}1-x", "manifest", "Manifest",
)  # fmt: skip
NAMES = (
    "a", "a.b", "-5KQ66BBWC4", ".hidden", "10:30", "caf\u00e9", "cafe\u0301", "日本 é", "a~b", "x" * 240, "a b ",
    "#", "%2e", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "[a]*?", "manifest.1",
)  # fmt: skip


@pytest.mark.parametrize("video_id", NAMES)
def test_an_id_that_is_a_file_name_is_kept(video_id):
    assert file_stem(video_id) == video_id
    assert file_stems([video_id]) == {video_id: video_id}


@pytest.mark.parametrize("video_id", NO_NAMES)
def test_any_other_id_becomes_one(tmp_path, video_id):
    path = result_path(tmp_path / "out", video_id, "annotated.mp4")
    path.parent.mkdir()
    path.write_text("")
    assert path.resolve().parent == tmp_path / "out"
    (tmp_path / "folders" / file_stem(video_id)).mkdir(parents=True)
    assert [p.name for p in (tmp_path / "folders").iterdir()] == [file_stem(video_id)]


def test_the_changed_names_say_which_id_it_was():
    assert file_stem("../../talk show") == f"talk_show~{hashlib.sha256(b'../../talk show').hexdigest()[:12]}"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(), max_size=300), max_size=5))
def test_names_are_single_parts_of_a_path_and_distinct(video_ids):
    stems = file_stems([*video_ids, *map(file_stem, video_ids), "A", "a"])
    for stem in stems.values():
        assert PurePosixPath(stem).name == stem
        assert PureWindowsPath(f"C{stem.replace(':', '_')}").parts == (f"C{stem.replace(':', '_')}",)
        assert 0 < len(stem.encode()) <= MAX_STEM_BYTES
    folded = {unicodedata.normalize("NFC", stem).casefold() for stem in stems.values()}
    assert len(folded) == len(stems)


def test_a_name_that_is_not_utf_8_gives_an_id_that_is(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    (tmp_path / os.fsdecode(b"caf\xe8.mp4")).touch()
    ids = sorted(video.video_id for video in find_videos([tmp_path]))
    assert ids == [r"caf\udce8", r"caf\udce9"] == sorted(video.video_id for video in stream_videos([tmp_path]))
    assert valid_id("日本 é") == "日本 é"
    assert "\\" not in "".join(map(file_stem, ids))


def test_ids_that_differ_in_case_or_unicode_form_alone_do_not_meet():
    stems = file_stems(["A", "a", "caf\u00e9", "cafe\u0301", "b"])
    assert stems["b"] == "b"
    assert stems["A"] == file_stems(["A", "a"])["A"] != "A"
    assert len({stem.casefold() for stem in stems.values()}) == 5


def test_an_id_cannot_take_the_name_that_another_was_given():
    assert file_stem(file_stem("../x")) != file_stem("../x")


@pytest.mark.parametrize("video_id", ["10:30", "con", "CON.x", "lpt1", "a?", "a.", "a ", 'a"', "a|b", "<a>"])
def test_on_windows_its_reserved_names_are_changed_too(monkeypatch, video_id):
    monkeypatch.setattr(file_names.os, "name", "nt")
    stem = file_stem(video_id)
    monkeypatch.undo()
    assert stem != video_id
    assert stem[:-13].replace("_", "").isalnum()


def test_results_of_a_long_name_have_one_stem_in_every_format():
    stems = {result_path(Path(), "x" * 251, suffix).name.removesuffix(f".{suffix}") for suffix in ("csv", "jsonl")}
    assert len(stems) == 1
