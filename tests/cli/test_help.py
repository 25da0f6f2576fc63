"""The pages of --help, the shell's completion, and the sentences that refuse a call."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from ava_detect.cli import completion
from ava_detect.cli.app import whole_command
from ava_detect.cli.options import PANELS


def commands(command=None, words=()):
    """(words, parsed command) of every command and every group."""
    command = command or whole_command()
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


COMMANDS = dict(commands())
EXPLAINED_BY_TYPER = {"help", "install_completion", "show_completion"}


def options_of(command):
    return [
        p for p in command.params if p.param_type_name == "option" and p.name not in EXPLAINED_BY_TYPER and not p.hidden
    ]


@pytest.mark.parametrize("columns", [60, 200])
def test_every_page_fits_the_terminal_and_names_no_types_of_python(columns, run_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for words in COMMANDS:
        code, page, err = run_cli(*words, "-h")
        assert (code, err) == (0, ""), words
        assert max(map(cell_len, page.split("\n"))) <= min(columns, 100), words
        assert not re.search(r"<(bool|str|int|float|list|path)", page), words
        assert "\x1b" not in page


def test_the_long_spelling_gives_the_same_page(run_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in [(), ("annotate",), ("data",), ("data", "check")]:
        assert run_cli(*words, "--help") == run_cli(*words, "-h")


def test_every_option_has_a_help_text_a_panel_and_a_value():
    for words, command in COMMANDS.items():
        for option in options_of(command):
            place = (*words, option.opts[0])
            assert option.help and option.help.endswith((".", ").")), place
            assert option.rich_help_panel in PANELS or place == ("--version",), place
            assert option.is_flag or option.metavar, place
        for parameter in command.params:
            assert parameter.help, (*words, parameter.name)


def test_a_short_option_means_the_same_everywhere():
    meanings = {}
    for command in COMMANDS.values():
        for option in options_of(command):
            for name in option.opts:
                if not name.startswith("--"):
                    meanings.setdefault(name, set()).add(option.opts[0])
    parallel = meanings.pop("-j")
    assert parallel == {"--workers", "--threads", "--processes"}  # how much runs in parallel
    assert meanings == {
        "-o": {"--out"},
        "-w": {"--weights"},
        "-c": {"--config"},
        "-d": {"--detector"},
        "-f": {"--format"},
        "-g": {"--ground-truth"},
        "-q": {"--quiet"},
        "-V": {"--version"},
    }


def test_out_weights_config_and_quiet_have_their_short_forms_wherever_they_are():
    short = {"--out": "-o", "--weights": "-w", "--config": "-c", "--detector": "-d", "--quiet": "-q"}
    for words, command in COMMANDS.items():
        for option in options_of(command):
            if option.opts[0] in short:
                assert option.opts[1:] == [short[option.opts[0]]], words


def test_the_first_page_leads_to_the_three_commands(run_cli):
    page = run_cli("--help")[1]
    first = page.partition("Start here")[2].partition("Go on")[0]
    assert re.findall(r"^│ (\S+)", first, re.MULTILINE) == ["annotate", "visualize", "evaluate"]
    for name in ("annotate", "visualize", "evaluate"):
        assert f"   ava-detect {name} " in page.partition("Start here")[0]


def test_without_a_command_the_page_is_shown(run_cli):
    code, page, _ = run_cli()
    assert (code, page.rstrip()) == (2, run_cli("--help")[1].rstrip())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["anotate"], "no command is called 'anotate' (did you mean 'annotate'?); `ava-detect --help` lists them"),
        (["data", "chek"], "no command is called 'chek' (did you mean 'check'?); `ava-detect data --help` lists them"),
        (
            ["tubes", "x", "--minscore", "1"],
            "there is no option --minscore (did you mean '--min-score'?); `ava-detect tubes --help` shows all options",
        ),
        (
            ["--versoin"],
            "there is no option --versoin (did you mean '--version'?); `ava-detect --help` shows all options",
        ),
        (["tubes", "x", "--zzz"], "there is no option --zzz; `ava-detect tubes --help` shows all options"),
        (
            ["tubes", "x"],
            "--out FILE is missing: A .parquet, .csv or .jsonl file; - for csv on the standard output; "
            "`ava-detect tubes --help` shows all options",
        ),
        (
            ["doctor", "x"],
            "got unexpected extra argument(s) (x); `ava-detect doctor --help` shows all options",
        ),
        (
            ["tubes", "x", "-oout.csv"],
            "-oout.csv looks like an option, and --help lists none of that name; write -o out.csv with a space, or for "
            "a file write ./-oout.csv",
        ),
        (
            ["tubes", "x", "-o=y"],
            "-o=y looks like an option, and --help lists none of that name; write -o y with a space, or for a file "
            "write ./-o=y",
        ),
        (
            ["annotate", "-qIELREHX_js.mp4"],
            "-qIELREHX_js.mp4 looks like an option, and --help lists none of that name; give -q by itself, or for a "
            "file write ./-qIELREHX_js.mp4",
        ),
        (
            ["tubes", "x", "-out", "y"],
            "-out looks like an option, and --help lists none of that name (did you mean '--out'?); for a file write "
            "./-out",
        ),
    ],
)
def test_a_refused_call_is_one_sentence_with_what_was_meant(words, sentence, run_cli):
    assert run_cli(*words) == (2, "", f"ava-detect: {sentence}\n")


def complete(monkeypatch, capsys, line):
    """What bash offers for the last word of ``line``."""
    words = line.split(" ")
    monkeypatch.setenv("_AVA_DETECT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    from ava_detect.cli.app import main

    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ava-detect anno", ["annotate"]),
        ("ava-detect weights li", ["list"]),
        ("ava-detect annotate --precision ", ["auto", "fp32", "bf16", "fast"]),
        ("ava-detect annotate -w ra", ["random"]),
        ("ava-detect annotate --detector bu", ["builtin"]),
        ("ava-detect annotate --format csv,p", ["csv,parquet"]),
        ("ava-detect train -c dem", ["demo", "demo_vit"]),
        ("ava-detect weights show slow_r50_4x16_ava22_p", ["slow_r50_4x16_ava22_ptv"]),
        ("ava-detect hand-over r --to c", ["coco", "cvat"]),
        ("ava-detect annotate --min-pe", ["--min-person-score"]),
    ],
)
def test_the_shell_completes_names(line, offered, monkeypatch, capsys):
    assert complete(monkeypatch, capsys, line) == offered


def test_a_list_is_completed_with_what_is_not_in_it_yet():
    assert completion.of_list("csv", "jsonl")("csv,") == ["csv,jsonl"]
