"""The last line of a command: what can be done next, as a command line that can be copied.

Not printed with ``--quiet`` or ``--json``.
"""

from __future__ import annotations

import os
import shlex

from ava_detect.cli.console import running_words, say

PROGRAM = "ava-detect"


def say_next(purpose: str, *words: object) -> None:
    """Print the next command.

    Args:
        purpose: What it is for: ``"Look at the results"``.
        words: The words after ``ava-detect``; files that look like options get a ``./``.
    """
    say(f"{purpose}: {command_line(*words)}")


def say_again(purpose: str, *words: object) -> None:
    """Print the call that is running with further words, as ``say_next`` does."""
    say(f"{purpose}: {command_line(*running_words(), *words)}")


def command_line(*words: object) -> str:
    """Return a call of the program as a shell reads it.

    Args:
        words: The words after ``ava-detect``.

    Returns:
        One line without control characters.
    """
    return " ".join([PROGRAM, *(_quoted(str(word)) for word in words)])


def file_word(path: str | os.PathLike[str]) -> str:
    """Return a path as a command takes it: one that begins with a hyphen would be an option."""
    text = os.fspath(path)
    return f"./{text}" if text.startswith("-") else text


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # Bytes as escapes inside $'...', which bash, zsh and ksh read.
    escaped = "".join(
        {"'": "\\'", "\\": "\\\\"}.get(character, character)
        if character.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
        for character in word
    )
    return f"$'{escaped}'"
