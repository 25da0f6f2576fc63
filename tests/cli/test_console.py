"""The library names parameters, the command line says its flags."""

from __future__ import annotations

import pytest

from ava_detect.cli.app import whole_command
from ava_detect.cli.console import complain, say, with_flags


def command(*names: str):
    """The parsed command of that name."""
    found = whole_command()
    for name in names:
        found = found.commands[name]
    return found


@pytest.mark.parametrize(
    ("names", "message", "expected"),
    [
        (["annotate"], "`min_score` is a score", "--min-score is a score"),
        (["annotate"], "`every_seconds` and `formats`", "--every and --format"),
        (["annotate"], "try `weights=random` or `engine=ray`", "try --weights random or --engine ray"),
        (["annotate"], "`resume=False` does every video again", "--restart does every video again"),
        (["annotate"], "`sources` are files", "SOURCE... are files"),
        (["train"], "go on with `resume=True`", "go on with --resume"),
        (["visualize"], "`placing` is link", "--videos-by is link"),
        (["data", "check"], "`start_seconds` is 900", "--start-seconds is 900"),
        (["annotate"], "what `ava-detect weights list` shows", "what `ava-detect weights list` shows"),
        (["annotate"], "`no_such_parameter` stays", "`no_such_parameter` stays"),
    ],
)
def test_parameters_become_flags(names, message, expected):
    assert with_flags(message, command(*names)) == expected


def test_an_error_of_the_library_is_told_in_flags(run_cli, tmp_path):
    code, _, err = run_cli("annotate", tmp_path, "--out", tmp_path / "out", "--weights", "random", "--engine", "rai")
    assert (code, err) == (2, "ava-detect: --engine is local or ray, got 'rai' (did you mean 'ray'?)\n")


def test_a_name_that_looks_like_an_emoji_is_shown_as_it_is(capsys):
    say("a:x:b")
    complain("c:smile:d")
    assert capsys.readouterr() == ("a:x:b\n", "ava-detect: c:smile:d\n")
