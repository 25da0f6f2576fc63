"""Files that Datumaro and VIA saved after a change; data/README.md says how they were made."""

from __future__ import annotations

from pathlib import Path

import pytest
from round_trip import TALK, WATCH, Row, rows_of

from ava_detect.results.importing.import_labels import import_labels

DATA = Path(__file__).parent / "data"
STAND, SWIM, WALK = 12, 13, 14
TWO = (0.5, 0.5, 0.9, 0.9)


def one(seconds: float, action: int, person: int = 1) -> Row:
    left = round(0.1 + 0.05 * seconds, 2)
    return Row("movie", seconds, (left, 0.2, round(left + 0.2, 2), 0.8), action, person)


def test_cvat_by_datumaro(movies: Path, tmp_path: Path) -> None:
    """Tracks became images without their ids, with attributes of text; who is outside has no box there."""
    summary = import_labels(DATA / "cvat_datumaro.xml", tmp_path / "gt.csv", videos=movies)
    moved = (0.53125, 0.5, 0.93125, 0.9)
    assert sorted(rows_of(tmp_path / "gt.csv")) == sorted(
        [
            *(one(seconds, STAND, -1) for seconds in (0.0, 1.0, 2.0, 4.0)),
            *(Row("movie", 0.0, TWO, action, -1) for action in (WALK, TALK)),
            *(Row("movie", 1.0, moved, action, -1) for action in (SWIM, TALK)),
        ]
    )
    assert (summary.sources, dict(summary.dropped), summary.new_actions) == (("cvat",), {}, ())


@pytest.mark.parametrize("name", ["via3_saved.json", "via3_export.csv"])
def test_via_in_a_browser(movies: Path, tmp_path: Path, name: str) -> None:
    summary = import_labels(DATA / name, tmp_path / "gt.csv", videos=movies)
    rows = rows_of(tmp_path / "gt.csv")
    drawn = [row for row in rows if row.person == 5]
    assert [(row.seconds, row.action_id) for row in drawn] == [(3.0, TALK), (3.0, WATCH)]
    assert drawn[0].box == pytest.approx((80 / 320, 60 / 240, 240 / 320, 180 / 240), abs=1 / 320)
    assert [row for row in rows if row not in drawn] == [
        one(0.0, STAND),
        *(Row("movie", 0.0, TWO, action, 2) for action in (WALK, TALK)),
        one(1.0, WALK),
        one(2.0, STAND),
        one(4.0, STAND),
    ]
    assert summary.sources == ("via",) and all("timeline" in what for what in summary.dropped)
