"""The kinds of commands: how they parse, how they refuse a call, and their pages of help.

A refused call is one sentence on stderr, as the library's own refusals are, with the name that was meant.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ava_detect.cli.console import be_quiet, begin_command
from ava_detect.cli.help_page import print_help
from ava_detect.errors import ConfigError, shown, suggestion

# Of every refusal by Typer: unknown options, missing values.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Command(TyperCommand):
    """A command whose errors and problems are told in its own flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of a call, after which this is the command that runs."""
        begin_command(self, [*ctx.command_path.split(" ")[1:], *args])
        self._refuse_doubtful_words(args)
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if type(error) is not typer.BadParameter or error.param is None:
                raise
            # In one line, as the library's own refusals.
            raise ConfigError(f"{error.param.opts[0]}: {error.message}") from error
        # This also silences ``ChoiceWarning``.
        be_quiet(bool(ctx.params.get("quiet")))
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page of help."""
        print_help(self, ctx)

    def _refuse_doubtful_words(self, args: Sequence[str]) -> None:
        """Say of a file such as ``-5KQ66BBWC4.mp4`` how it is named, and of an option that it lacks its value.

        An empty value, of a variable of the shell that is not set, would be read as the folder where one stands.
        """
        options = {option: p for p in self.params for option in (*p.opts, *p.secondary_opts) if option.startswith("-")}
        needs_value = ""
        for arg in args:
            if not arg or (arg.endswith("=") and arg[:-1] in options):
                raise ConfigError(f"{needs_value or arg[:-1] or 'an argument'} is empty; give a value, or leave it out")
            if needs_value:
                if arg in options:
                    raise ConfigError(
                        f"{needs_value} needs a value, and the next word is the option {arg}; for a file of that name "
                        f"write ./{arg}"
                    )
                needs_value = ""
            elif (name := arg.partition("=")[0]) in options and (name == arg or name.startswith("--")):
                needs_value = "" if name != arg or getattr(options[arg], "is_flag", False) else arg
            elif arg.startswith("-") and arg not in ("-", "-h"):
                if arg.startswith("--") and not os.path.lexists(arg):
                    return  # an unknown option, or the end of all options
                raise ConfigError(_no_option(arg, options))


def _no_option(arg: str, options: dict[str, Any]) -> str:
    """Suggest the option or file meant by ``-oDIR``, ``-out`` or ``-5KQ66BBWC4.mp4``; each may be a file's name."""
    text = f"{shown(arg)} looks like an option, and --help lists none of that name"
    known = options.get(arg[:2])
    if known is None or f"-{arg}" in options:
        return f"{text}{suggestion(f'-{arg}', options)}; for a file write ./{shown(arg)}"
    if getattr(known, "is_flag", False):
        meant = f"give {arg[:2]} by itself"
    else:
        meant = f"write {arg[:2]} {shown(arg[2:].removeprefix('='))} with a space"
    return f"{text}; {meant}, or for a file write ./{shown(arg)}"


class Group(TyperGroup):
    """A group of commands. ``examples``: calls that its page of help shows."""

    examples: Sequence[str] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments up to the command; without any, print the page of help."""
        if not args and not ctx.resilient_parsing:
            print_help(self, ctx)
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of the first word."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise ConfigError(
                f"no command is called {shown(args[0])!r}{suggestion(args[0], self.commands)}; "
                f"`{ctx.command_path} --help` lists them"
            )
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page of help."""
        print_help(self, ctx)


def refusal(error: Any) -> str:
    """Describe the error of a call in one sentence.

    Args:
        error: A ``UsageError``.

    Returns:
        What is missing or unknown, and where the names are listed.
    """
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    where = f"; `{context.command_path} --help` shows all options" if context is not None else ""
    if (unknown := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        names = [name for p in context.command.params for name in (*p.opts, *p.secondary_opts)] if context else []
        return f"there is no option {shown(unknown)}{suggestion(unknown, names)}{where}"
    if parameter is not None and parameter.required and type(error) is not typer.BadParameter:
        name = parameter.metavar if parameter.param_type_name == "argument" else _with_value(parameter)
        return f"{name} is missing: {(parameter.help or '').rstrip('.')}{where}"
    message = error.message if type(error) is typer.BadParameter else error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    return f"{shown(message)}{where}"


def _with_value(option: Any) -> str:
    return str(option.opts[0] if option.is_flag else f"{option.opts[0]} {option.metavar}")
