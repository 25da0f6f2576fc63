"""The command: what it prints, and what it prepares without serving. That it serves is shown in a browser."""

from __future__ import annotations

import pytest
from page_data import write_movie, write_results


def test_it_prepares_the_page_and_names_what_is_missing(run_cli, tmp_path):
    movie = write_movie(tmp_path / "walk.mp4", seconds=1)
    results = write_results(tmp_path / "results", {"walk": movie, "gone": tmp_path / "gone.mp4"})
    out = tmp_path / "corrections"
    code, printed, err = run_cli("review", results, "--out", out, "--budget", 5, "--prepare")
    assert code == 0
    assert printed == "0 of 5 keyframes accepted.\n"
    assert "gone.mp4 is not there any more" in err
    assert (out / "page" / "page-media" / "0001.mp4").readlink() == movie
    assert (out / "corrections.json").is_file()
    assert run_cli("review", results, "--out", out, "--prepare", "--quiet")[:2] == (0, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--order", "random"), "--order is useful or time, got 'random'"),
        (("--budget", "0"), "--budget"),
        (("--port", "70000"), "--port"),
        (("--min-score", "2"), "--min-score"),
    ],
)
def test_a_wrong_call_is_refused(run_cli, tmp_path, words, told):
    results = write_results(tmp_path / "results", {})
    code, _, err = run_cli("review", results, "--out", tmp_path / "out", *words)
    assert code == 2
    assert told in err
