from __future__ import annotations

import io
import json

import pytest

from ava_detect.errors import FormatError
from ava_detect.formats import json_values
from ava_detect.formats.json_values import iter_whole_lines
from ava_detect.formats.jsonl import iter_lines
from ava_detect.results.manifest import read_manifest
from ava_detect.storage.file_names import MANIFEST


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "_LONGEST_LINE_BYTES", 100)


def test_lines_come_with_their_numbers(short_lines: None) -> None:
    assert list(iter_whole_lines(io.BytesIO(b"a\n\nb"))) == [(1, b"a\n"), (2, b"\n"), (3, b"b")]
    whole = b"x" * 99 + b"\n"
    assert list(iter_whole_lines(io.BytesIO(whole * 2))) == [(1, whole), (2, whole)]


def test_a_line_without_end_is_refused_before_it_is_read(short_lines: None) -> None:
    file = io.BytesIO(b"a\n" + b"\0" * 10_000)
    with pytest.raises(ValueError, match="line 2 has more than 100 bytes"):
        list(iter_whole_lines(file))
    assert file.tell() < 200


def test_results_and_manifests_of_zeros_are_named(tmp_path, short_lines) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\0" * 1000)
    with pytest.raises(FormatError, match=r"a\.jsonl cannot be read \(line 1 has more than 100 bytes\)"):
        list(iter_lines(tmp_path / "a.jsonl"))
    (tmp_path / MANIFEST).write_text(json.dumps({"settings": {}}) + "\n" + "\0" * 1000)
    with pytest.raises(FormatError, match=r"manifest\.jsonl, line .* has more than 100 bytes"):
        read_manifest(tmp_path)
