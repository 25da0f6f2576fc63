"""Manifests, summaries and files of results that are cut, no text, or hold other values: an error names the file."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ava_detect.errors import ConfigError, FormatError
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.manifest import MANIFEST, SUMMARY, Manifest, VideoRecord, read_manifest, read_summary
from ava_detect.results.results_file import open_results
from ava_detect.storage.addresses import Address, address_of

RECORD = VideoRecord(
    "a", "/in/ä.mp4", "done", "", 2, 3, 4, {"network": 1.5}, ("a.csv",), 5, 6.0, 25.0, 12.5, cuts_seconds=(1.5, 7)
)
SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def manifest_with(folder: Path, *entries: Any) -> None:
    lines = [json.dumps(entry) for entry in ({"settings": {"every": 1.0}}, *entries)]
    (folder / MANIFEST).write_text("".join(f"{line}\n" for line in lines))


def summary_with(folder: Path, content: Any) -> None:
    (folder / SUMMARY).write_text(json.dumps(content))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    manifest_with(tmp_path, asdict(RECORD))
    summary_with(tmp_path, {"note": "untrained network", "videos": [asdict(RECORD)]})
    content = read_manifest(tmp_path)
    assert content is not None and content.settings == {"every": 1.0} and content.records == {"a": RECORD}
    assert read_summary(tmp_path) == ("untrained network", (RECORD,))


@given(cut=st.integers(min_value=1))
@SAME_FOLDER
def test_of_a_cut_last_line_the_lines_before_it_are_kept(tmp_path: Path, cut: int) -> None:
    last = json.dumps({**asdict(RECORD), "video_id": "b"})
    manifest_with(tmp_path, asdict(RECORD))
    with (tmp_path / MANIFEST).open("a") as file:
        file.write(last[: cut % (len(last) + 1)])
    content = read_manifest(tmp_path)
    assert content is not None and content.records == {"a": RECORD}


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from([field.name for field in fields(VideoRecord)]), value=plain_values)
@SAME_FOLDER
def test_any_value_in_any_field_is_read_as_its_type_or_refused_with_the_file(
    tmp_path: Path, name: str, value: Any
) -> None:
    entry = {**asdict(RECORD), name: value}
    manifest_with(tmp_path, entry)
    summary_with(tmp_path, {"note": "", "videos": [entry]})
    for read, file in ((read_manifest, MANIFEST), (read_summary, SUMMARY)):
        try:
            found = read(tmp_path)
        except FormatError as error:
            assert str(tmp_path / file) in str(error)
            assert str(error).isprintable()
        else:
            records = found[1] if isinstance(found, tuple) else tuple(found.records.values())  # type: ignore[union-attr]
            (record,) = records
            assert type(getattr(record, name)) in {type(getattr(RECORD, name)), int}
            json.dumps(asdict(record))


@given(content=plain_values)
@SAME_FOLDER
def test_any_content_is_read_or_refused_with_the_file(tmp_path: Path, content: Any) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(content) + "\n" + json.dumps(content) + "\n")
    summary_with(tmp_path, content)
    for read, file in ((read_manifest, MANIFEST), (read_summary, SUMMARY)):
        try:
            read(tmp_path)
        except FormatError as error:
            assert str(tmp_path / file) in str(error)


@pytest.mark.parametrize("name", ["video_id", "source", "status", "outputs", "num_rows", "cuts_seconds", "seconds"])
def test_null_is_no_value(tmp_path: Path, name: str) -> None:
    manifest_with(tmp_path, {**asdict(RECORD), name: None})
    with pytest.raises(FormatError, match=r"manifest\.jsonl cannot be read \((TypeError|ValueError): "):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe{}\n", b'{"settings": {"a": "\xe9"}}\n', b"[" * 100_000 + b"\n"])
def test_bytes_that_are_no_json_are_refused_with_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    (tmp_path / SUMMARY).write_bytes(content)
    with pytest.raises(FormatError, match=r"manifest\.jsonl cannot be read .*`resume=False` does every video again"):
        Manifest(tmp_path, {}, resume=True)
    with pytest.raises(FormatError, match=r"summary\.json cannot be read .*; delete it, or annotate"):
        read_summary(tmp_path)


def test_names_and_settings_of_a_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    manifest_with(tmp_path, {**asdict(RECORD), "\x1b[2J": 1})
    with pytest.raises(FormatError, match=r"unexpected keyword argument '\\x1b\[2J'"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"settings": {"\x1b[2J": "\u202e"}}) + "\n")
    with pytest.raises(ConfigError, match=r"\(\\x1b\[2J was '\\u202e', now None\)"):
        Manifest(tmp_path, {}, resume=True)


@pytest.mark.parametrize("text", ["[]", '{"settings": null}', '{"settings": []}', "{", "\xff"])
def test_a_dataset_whose_run_file_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(FormatError, match=r"run\.json is no record of a run"):
        ResultsDataset(address_of(tmp_path)).about()


def test_damaged_notes_of_a_dataset_are_named(tmp_path: Path) -> None:
    results = ResultsDataset(Address(f"file://{tmp_path}"))
    for folder, name in (("progress", "r1.json"), ("problems", "failed-0.json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("[]")
    with pytest.raises(FormatError, match=r"progress/r1\.json is no progress of a run"):
        results.progress()
    with pytest.raises(FormatError, match=r"problems/failed-0\.json is no record of a video"):
        results.problem("failed", "0")


@pytest.mark.parametrize(
    "line",
    [
        b'{"video_id": null, "people": []}',
        b'{"video_id": "a", "people": null}',
        b'{"video_id": "a", "people": [{"actions": [{"id": "1", "name": "x"}]}]}',
        b'{"video_id": "\xe9", "people": []}',
        b"[1]",
    ],
)
def test_a_line_of_results_that_is_no_keyframe_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"video_id": "a", "people": []}\n' + line + b"\n")
    with pytest.raises(FormatError, match=r"a\.jsonl, line 2: not a keyframe as"):
        open_results(tmp_path / "a.jsonl")
