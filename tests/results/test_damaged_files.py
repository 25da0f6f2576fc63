"""Manifests, summaries and files of results that are cut, no text, or hold other values: an error names the file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ava_detect.errors import ConfigError, FormatError
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.manifest import (
    MANIFEST,
    SUMMARY,
    Manifest,
    ManifestContent,
    VideoRecord,
    read_manifest,
    read_summary,
)
from ava_detect.results.results_file import open_results
from ava_detect.results.saved import read_saved_results
from ava_detect.results.saved_run import SavedRun, open_run
from ava_detect.results.status import ResultsStatus, results_status
from ava_detect.storage.addresses import Address, address_of
from ava_detect.structures.tubes import action_tubes

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
            # Older records hold no number of people.
            unknown = {type(None)} if name == "num_people" else set()
            assert type(getattr(record, name)) in {type(getattr(RECORD, name)), int} | unknown
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
    with pytest.raises(FormatError, match=rf"manifest\.jsonl, line 2, cannot be read \({name} .*delete this line"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe{}\n", b'{"settings": {"a": "\xe9"}}\n', b"[" * 100_000 + b"\n"])
def test_bytes_that_are_no_json_are_refused_with_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    (tmp_path / SUMMARY).write_bytes(content)
    with pytest.raises(
        FormatError, match=r"manifest\.jsonl, line 1, cannot be read .*; `resume=False` does every video"
    ):
        Manifest(tmp_path, {}, resume=True)
    with pytest.raises(FormatError, match=r"summary\.json cannot be read .*; delete the file, which"):
        read_summary(tmp_path)


def test_names_and_settings_of_a_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    manifest_with(tmp_path, {**asdict(RECORD), "\x1b[2J": 1})
    with pytest.raises(FormatError, match=r"line 2, cannot be read \('\\x1b\[2J' is no field"):
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


PROGRESS = {"state": "running", "started": 1.0, "updated": 2.0, "videos": 7, "before": 0, "done": 1, "failed": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"state": "x"},
        {"state": []},
        {"updated": float("nan")},
        {"updated": 1e300},
        {"updated": 10**30},
        {"videos": -1},
        {"videos": "7"},
        {"videos": 10**30},
    ],
)
def test_progress_that_no_run_has_written_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text('{"settings": {}}')
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "r1.json").write_text(json.dumps(PROGRESS | change))
    with pytest.raises(FormatError, match=r"progress/r1\.json is no progress of a run \(.*\); delete it"):
        results_status(tmp_path)


@pytest.mark.parametrize("name", ["../../x.jsonl", "/etc/x.jsonl", "..", "", "a\0b", "b/../x.jsonl", "..\\\\x"])
def test_outputs_outside_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    manifest_with(tmp_path, {**asdict(RECORD), "outputs": [name]})
    with pytest.raises(FormatError, match=r"manifest\.jsonl, line 2, .*outputs are names of files in the folder"):
        read_manifest(tmp_path)


def test_a_broken_summary_is_not_blamed_on_the_manifest(tmp_path: Path) -> None:
    manifest_with(tmp_path, {**asdict(RECORD), "outputs": ["a.jsonl"]})
    summary_with(tmp_path, {"videos": [asdict(RECORD), {**asdict(RECORD), "num_rows": 10**30}]})
    with pytest.raises(FormatError, match=r"summary\.json, entry 2 of its videos, cannot be read \(num_rows .*delete"):
        open_run(tmp_path)


def test_a_manifest_that_an_editor_saved_is_read_as_before(tmp_path: Path) -> None:
    """With a byte order mark, carriage returns and blank lines."""
    manifest_with(tmp_path, asdict(RECORD))
    head, line = (tmp_path / MANIFEST).read_bytes().splitlines()
    (tmp_path / MANIFEST).write_bytes(b"\xef\xbb\xbf" + head + b"\r\n\r\n" + line + b"\r\n\n")
    content = read_manifest(tmp_path)
    assert content is not None and content.records == {"a": RECORD}


KEYFRAME = {
    "video_id": "a",
    "timestamp_seconds": 1.5,
    "people": [
        {"track_id": 1, "box": [0.1, 0.2, 0.3, 0.4], "score": 0.9, "actions": [{"id": 12, "name": "s", "score": 0.5}]},
        {"track_id": 2, "box": [0.5, 0.2, 1.1, 0.4], "score": 1, "actions": []},
    ],
}
EMPTY = {"video_id": "a", "timestamp_seconds": 0, "people": []}


def changed(
    change: dict[str, Any], *, person: dict[str, Any] | None = None, action: dict[str, Any] | None = None
) -> Any:
    """The keyframe with changes of itself, of its first person, and of that person's action."""
    line = json.loads(json.dumps(KEYFRAME)) | change
    if person or action:
        line["people"][0] |= person or {}
    if action:
        line["people"][0]["actions"][0] |= action
    return line


NO_KEYFRAMES: dict[str, tuple[Any, str]] = {
    "no object": ([1], "the line holds"),
    "id null": (changed({"video_id": None}), "video_id is text, got None"),
    "half a character": (changed({"video_id": "a\ud800"}), "video_id holds half a character"),
    "people null": (changed({"people": None}), "people holds None"),
    "no time": ({"video_id": "a", "people": []}, "timestamp_seconds is missing"),
    "time null": (changed({"timestamp_seconds": None}), "timestamp_seconds is a number, got None"),
    "time NaN": (changed({"timestamp_seconds": float("nan")}), "NaN, which is no number"),
    "time 1e300": (changed({"timestamp_seconds": 1e300}), "timestamp_seconds is a number from 0 to 1e"),
    "time before 0": (changed({"timestamp_seconds": -1}), "timestamp_seconds is a number from 0"),
    "time of 30 digits": (changed({"timestamp_seconds": 10**30}), "timestamp_seconds is a number from 0"),
    "time true": (changed({"timestamp_seconds": True}), "timestamp_seconds is a number, got True"),
    "track 1.5": (changed({}, person={"track_id": 1.5}), "track_id is a whole number"),
    "track of 30 digits": (changed({}, person={"track_id": 10**30}), "track_id is a whole number from 0 to"),
    "track -1": (changed({}, person={"track_id": -1}), "track_id is a whole number from 0"),
    "track twice": (changed({}, person={"track_id": 2}), "track_id 2 is given twice"),
    "one track null": (changed({}, person={"track_id": None}), "track_id is null for some people of a"),
    "box of 3": (changed({}, person={"box": [0, 0, 1]}), "box has 3 numbers"),
    "box of text": (changed({}, person={"box": ["0", "0", "1", "1"]}), "box is a number, got '0'"),
    "box in pixels": (changed({}, person={"box": [10, 20, 300, 400]}), "box is a number from -1.5 to 1.5"),
    "box reversed": (changed({}, person={"box": [0.9, 0, 0.1, 1]}), "box ends before it begins"),
    "box infinite": (changed({}, person={"box": [0, 0, float("inf"), 1]}), "Infinity, which is no number"),
    "person score 2": (changed({}, person={"score": 2}), "score is a number from 0 to 1, got 2"),
    "action null": (changed({}, action={"id": None}), "id is a whole number, got None"),
    "action -1": (changed({}, action={"id": -1}), "id is a whole number from 0"),
    "action 1000001": (changed({}, action={"id": 1000001}), "id is a whole number from 0 to 1000000, got 1000001"),
    "action of 30 digits": (changed({}, action={"id": 10**30}), "id is a whole number from 0 to"),
    "action score 1e300": (changed({}, action={"score": 1e300}), "score is a number from 0 to 1"),
    "name null": (changed({}, action={"name": None}), "name holds None"),
    "twice": (EMPTY, "a already has a keyframe at 0 s"),
}


@pytest.mark.parametrize("case", NO_KEYFRAMES)
def test_a_line_that_is_no_keyframe_is_named_with_what_it_holds(tmp_path: Path, case: str) -> None:
    line, message = NO_KEYFRAMES[case]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in (EMPTY, line)))
    with pytest.raises(FormatError, match=rf"a\.jsonl, line 2: .*{message}"):
        open_results(tmp_path / "a.jsonl")


@pytest.mark.parametrize("line", [b'{"video_id": "\xe9", "people": []}', b"[" * 100_000, b"9" * 5000, b"{", b"\0"])
def test_bytes_that_are_no_line_are_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(json.dumps(EMPTY).encode() + b"\n" + line + b"\n")
    with pytest.raises(FormatError, match=r"a\.jsonl, line 2: not a keyframe as `ava-detect annotate` writes it"):
        open_results(tmp_path / "a.jsonl")


# Characters that change the meaning of JSON and of numbers are more frequent than others.
pieces = st.binary(max_size=3) | st.sampled_from(
    [b"null", b"NaN", b"1e999", b"-1", b"9" * 30, b'"', b"}", b"\n", b"[", b"]"]
)


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """``original`` with up to three pieces replaced, inserted or removed."""
    data = original
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(pieces) + data[start + draw(st.integers(0, 12)) :]
    return data


def read_or_refused(path: Path, read: Callable[[], object], *, by_line: bool) -> object | None:
    """What ``read`` returns; None where it refuses, with the file and, ``by_line``, a line of it."""
    try:
        return read()
    except FormatError as error:
        message = str(error)
        assert str(path) in message and message.isprintable()
        if by_line:
            match = re.search(r", line (\d+)|the file is empty", message)
            assert match, message
            assert not match[1] or 1 <= int(match[1]) <= path.read_bytes().count(b"\n") + 1
        return None


@given(
    data=mutations("".join(f"{json.dumps(x)}\n" for x in ({"settings": {"start_seconds": 9}}, asdict(RECORD))).encode())
)
@SAME_FOLDER
def test_any_mutation_of_a_manifest(tmp_path: Path, data: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(data)
    content = read_or_refused(tmp_path / MANIFEST, lambda: read_manifest(tmp_path), by_line=True)
    if isinstance(content, ManifestContent):
        for record in content.records.values():
            assert VideoRecord.from_json(json.loads(json.dumps(asdict(record), allow_nan=False))) == record
        assert SavedRun((), content.settings).start_seconds(None) == content.settings.get("start_seconds", 0)


@given(data=mutations(json.dumps({"note": "x", "videos": [asdict(RECORD)]}).encode()))
@SAME_FOLDER
def test_any_mutation_of_a_summary(tmp_path: Path, data: bytes) -> None:
    (tmp_path / SUMMARY).write_bytes(data)
    content = read_or_refused(tmp_path / SUMMARY, lambda: read_summary(tmp_path), by_line=False)
    if isinstance(content, tuple):
        json.dumps([asdict(record) for record in content[1]], allow_nan=False)


@given(data=mutations(json.dumps(PROGRESS).encode()))
@SAME_FOLDER
def test_any_mutation_of_progress(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.json").write_text('{"settings": {}}')
    (tmp_path / "progress").mkdir(exist_ok=True)
    path = tmp_path / "progress" / "r1.json"
    path.write_bytes(data)
    status = read_or_refused(path, lambda: results_status(tmp_path), by_line=False)
    if isinstance(status, ResultsStatus):
        json.dumps(asdict(status), allow_nan=False)


@given(data=mutations("".join(f"{json.dumps(line)}\n" for line in (EMPTY, KEYFRAME)).encode()))
@SAME_FOLDER
def test_any_mutation_of_results(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    saved = read_or_refused(path, lambda: list(read_saved_results(path)), by_line=True)
    if isinstance(saved, list):
        for tube in (tube for one in saved for tube in action_tubes(one.keyframes)):
            assert 0 <= tube.start_seconds <= tube.end_seconds < 2e9 and 0 <= tube.max_score <= 1
