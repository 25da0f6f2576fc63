"""An output never costs its caller an input, nor a foreign file."""

from __future__ import annotations

import gzip
import os

import pytest

from ava_detect.errors import ConfigError
from ava_detect.storage.addresses import Address
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.storage.outputs import (
    begins_with,
    check_output,
    check_output_folder,
    first_bytes,
    refuse_inputs_inside,
    refuse_same_address,
)


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "gt.csv").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("gt.csv")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "gt.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAME = ("gt.csv", "./gt.csv", "folder/../gt.csv", "link.csv", "hard.csv", "gt.csv/", "ABSOLUTE")


@pytest.mark.parametrize("out", SAME)
@pytest.mark.parametrize("source", [*SAME, "FILE", "g?.csv", "**/*.csv"])
def test_an_input_is_never_an_output_whatever_its_name(work, out, source):
    path = {"ABSOLUTE": str(work / "gt.csv"), "FILE": f"file://{work / 'gt.csv'}"}
    inputs = {"detections": None, "ground_truth": [path.get(source, source)]}
    with pytest.raises(ConfigError, match=r"`json_file` .* is also an input \(`ground_truth`\)"):
        check_output(path.get(out, out), inputs, parameter="json_file", overwrite=True)


@pytest.mark.parametrize("source", [None, 3, "demo", "s3://b/gt.csv", "x.csv", Address("file:///gt.csv"), "x\0"])
def test_other_inputs_do_not_stand_in_the_way(work, source):
    check_output("gt.csv", {"source": source})
    check_output("new/folder/gt.csv", {"source": source})


def test_a_foreign_file_is_replaced_only_where_that_was_asked_for(work):
    with pytest.raises(ConfigError, match=r"is not from an earlier run of this.*`overwrite=True`"):
        check_output("gt.csv", {}, is_own=begins_with(b"{"))
    with pytest.raises(ConfigError, match=r"choose another name$"):
        check_output("gt.csv", {}, is_own=begins_with(b"{"), overwrite=None)
    check_output("gt.csv", {}, is_own=begins_with(b"{", b"min"))
    check_output("gt.csv", {}, is_own=begins_with(b"{"), overwrite=True)
    check_output("new.csv", {}, is_own=begins_with(b"{"))


def test_the_files_of_a_folder_are_checked_each(work):
    check_output_folder("folder", ["y.csv"], {"videos": "folder"}, is_own=lambda path: False)
    with pytest.raises(ConfigError, match=r"folder/x\.csv exists"):
        check_output_folder("folder", ["y.csv", "x.csv"], {}, is_own=lambda path: False)
    with pytest.raises(ConfigError, match=r"folder/x\.csv is also an input"):
        check_output_folder("folder", ["x.csv"], {"boxes": "folder/x.csv"})
    with pytest.raises(ConfigError, match="it is a file, and a folder is needed"):
        check_output_folder("gt.csv", ["x.csv"], {})


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("folder", "is a folder"),
        ("gt.csv/x.csv", "cannot be written to"),
        ("gt.csv/new/x.csv", "cannot be written to"),
        ("x" * 256, "cannot be written to"),
        ("a\0b", "cannot be written to"),
        ("circle", "cannot be written to"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(work, out, message):
    (work / "circle").symlink_to("circle")
    with pytest.raises(ConfigError, match=message) as error:
        check_output(out, {})
    assert str(error.value).isprintable()


@pytest.mark.parametrize("out", ["-", "/dev/stdout", "/dev/null"])
def test_streams_are_never_refused(work, out):
    check_output(out, {"ground_truth": [out]}, is_own=lambda path: False)


@pytest.mark.parametrize("name", ["a\0b", "x" * 256])
def test_a_name_that_no_file_has_is_an_error_of_the_system(work, name):
    with pytest.raises(OSError) as error:
        write_text_atomic(name, "x")
    assert error.value.filename in (name, str(work / name))


def test_an_input_among_files_to_be_deleted(work):
    with pytest.raises(ConfigError, match=r"x\.csv \(`videos`\) is among the files of an earlier `out`"):
        refuse_inputs_inside(work / "folder", {"videos": ["gt.csv", "folder/x.csv"]})
    (work / "way").symlink_to("folder")
    with pytest.raises(ConfigError, match="is among the files"):
        refuse_inputs_inside(work / "way", {"videos": "folder"})
    refuse_inputs_inside(work / "folder", {"videos": ["gt.csv", "s3://bucket/folder"]})


@pytest.mark.parametrize(
    ("out", "source"),
    [
        ("s3://bucket/videos", "s3://bucket/videos/"),
        ("https://user:secret@host/x?sig=1", "https://host/x?sig=2"),
        ("file:///a/b", "/a/b"),
        ("folder", "./folder/"),
    ],
)
def test_addresses_are_compared_by_what_they_lead_to(work, out, source):
    with pytest.raises(ConfigError, match="is also an input"):
        refuse_same_address(out, {"sources": [source]})
    refuse_same_address(out, {"sources": ["s3://bucket/other", None]})


def test_the_first_bytes_are_those_of_the_content(work):
    (work / "x.gz").write_bytes(gzip.compress(b"content"))
    assert first_bytes(work / "x.gz", 4) == b"cont"
    (work / "x.gz").write_bytes(gzip.compress(b"content")[:12])
    assert first_bytes(work / "x.gz") == b""
    assert first_bytes(work / "absent") == b""
    assert begins_with(b"{")(work / "absent")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_protected_places_are_refused(work):
    (work / "gt.csv").chmod(0o444)
    (work / "folder").chmod(0o555)
    for out in ("gt.csv", "folder/new.csv"):
        with pytest.raises(ConfigError, match="protected from writing"):
            check_output(out, {})
