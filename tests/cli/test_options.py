"""Numbers on the command line: every option that takes one refuses what is no plain number in its range."""

from __future__ import annotations

from itertools import cycle
from typing import get_args, get_type_hints

import pytest
import typer

from ava_detect.cli.app import app
from ava_detect.cli.options import number


def options(group, names=()):
    """(words of the command, annotation without None, what typer is told) of every parameter of every command."""
    for command in group.registered_commands:
        words = (*names, command.name or command.callback.__name__)
        for parameter, hint in get_type_hints(command.callback, include_extras=True).items():
            if parameter == "return":
                continue
            kinds = hint.__args__ if not hasattr(hint, "__metadata__") else (hint,)
            for kind in kinds:
                if hasattr(kind, "__metadata__"):
                    yield words, parameter, kind.__origin__, kind.__metadata__[0]
    for inner in group.registered_groups:
        yield from options(inner.typer_instance, (inner.typer_instance.info.name,))


OPTIONS = list(options(app))


def flag_of(parameter, info):
    named = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    return named[0] if named else f"--{parameter.replace('_', '-')}"


PARSED = [(words, flag_of(parameter, info), info) for words, parameter, _, info in OPTIONS if info.parser is not None]


def test_no_option_takes_a_number_that_is_not_checked():
    """``float`` and ``int`` take nan, infinity, 1_000 and Arabic digits, and have no limits."""
    unchecked = [
        (*words, parameter)
        for words, parameter, kind, info in OPTIONS
        if info.parser is None and {int, float} & {kind, *get_args(kind)}
    ]
    assert unchecked == []
    assert len(PARSED) > 40


NO_NUMBERS = ("nan", "inf", "-1", "1e999", "9" * 30, "1_0", "\u0663", "0x10", "two")


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_every_parser_refuses_what_is_no_number_of_its_range(text):
    for _, _, info in PARSED:
        with pytest.raises(typer.BadParameter, match=r"^expected a "):
            info.parser(text)


def test_every_number_is_checked_before_any_work(run_cli):
    """Nothing else of the command is given: no file is looked for, and nothing is written."""
    for (words, flag, _), text in zip(PARSED, cycle(NO_NUMBERS)):
        code, out, err = run_cli(*words, f"{flag}={text}")
        assert (code, out) == (2, ""), (words, flag)
        assert err.startswith(f"ava-detect: {flag}: expected a "), (words, flag, err)
        assert f"got '{text}'" in err
        assert err.count("\n") == 1


def parsed(text, *args, **settings):
    return number(*args, **settings)(text)


def test_a_number_of_the_range_is_read_as_it_is_written():
    assert [parsed(text, 0, 1) for text in ("0", "1", ".5", "5e-1", "+1.", 0.25)] == [0, 1, 0.5, 0.5, 1, 0.25]
    assert [parsed(text, 1, 9, whole=True) for text in ("1", "9", "+3", 4)] == [1, 9, 3, 4]
    assert parsed("auto", 1, 9, whole=True, words=("auto",)) == "auto"
    assert parsed("0.001", 0, 1, above=True) == 0.001


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("nan", {}, "expected a number from 0 to 9, got 'nan'"),
        ("9.5", {}, "expected a number from 0 to 9, got '9.5'"),
        ("0", {"above": True}, "expected a number above 0, at most 9, got '0'"),
        ("1.5", {"whole": True}, "expected a whole number from 0 to 9, got '1.5'"),
        ("many", {"whole": True, "words": ("auto",)}, "expected a whole number from 0 to 9, or auto, got 'many'"),
        ("\x1b[2J", {}, "expected a number from 0 to 9, got '\\x1b[2J'"),
        ("8" * 9000, {}, "expected a number from 0 to 9, got '" + "8" * 40 + "...'"),
    ],
)
def test_a_refusal_says_what_is_allowed_and_what_was_got(text, settings, message):
    with pytest.raises(typer.BadParameter) as error:
        parsed(text, 0, 9, **settings)
    assert error.value.message == message
