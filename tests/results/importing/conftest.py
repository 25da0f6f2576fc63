"""A small movie, and imports of files that are written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from round_trip import Row, rows_of
from videos import constant_rate, write_numbered_video

from ava_detect.results.importing.import_labels import ImportSummary, import_labels


@pytest.fixture(scope="session")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``movie.mp4``: five seconds, ten frames a second, 320 x 240."""
    folder = tmp_path_factory.mktemp("movies")
    write_numbered_video(folder / "movie.mp4", constant_rate(50, 10), rate=10, width=320, height=240)
    return folder


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., tuple[ImportSummary, list[Row]]]:
    """Writes a text or bytes into a file, by default ``labels``, and imports it: the summary and the rows."""

    def call(content: str | bytes, *, name: str = "labels", **settings: object) -> tuple[ImportSummary, list[Row]]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        summary = import_labels(path, tmp_path / "gt.csv", overwrite=True, **settings)
        return summary, rows_of(tmp_path / "gt.csv")

    return call
