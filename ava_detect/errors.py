"""Exception types of the public interface, and helpers for the text of their messages.

Each message states what was given, what is allowed and what to try. Errors caused by the caller's input are
``ValueError``s, so code that catches ``ValueError`` around a call into this package catches them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AvaDetectError(ValueError):
    """Input that cannot be used as given; the message is one sentence that says how to correct it."""


class ConfigError(AvaDetectError):
    """A config file, config name or setting that does not fit the schema."""


class FormatError(AvaDetectError):
    """A results, annotation or label-map file that cannot be read; the message names the file and the line."""


class VideoError(AvaDetectError):
    """A video that cannot be opened or has no decodable frame; the message names the file."""


class StoreError(AvaDetectError):
    """A file store that did not answer; the message names the address. A later attempt may succeed."""


class EngineError(AvaDetectError):
    """Worker processes that cannot be started or kept running; no video caused it. The message has the last reason."""


class WeightsError(AvaDetectError):
    """A file that does not fit the model or is not a weights file; the message names the file and the tensors."""


class DetectorError(AvaDetectError):
    """A detector that cannot be built from its spec, or whose output has an unexpected form."""


class TrainingError(AvaDetectError):
    """A training run that cannot be started or resumed with its settings; the message names the folder or the file."""


class DivergedError(TrainingError):
    """A training run whose loss became NaN or infinite; the message names the step and what to try."""


class AvaDetectWarning(UserWarning):
    """Something that was done otherwise than asked; the message is a sentence that says what and why."""


class MissingDependencyError(ImportError):
    """An optional library that is not installed; the message contains the command that installs it."""


def message_of(error: BaseException) -> str:
    """Return an error's message, preceded by the error type unless the message is a sentence for the user.

    Args:
        error: Any exception. The messages of ``ValueError`` and ``MissingDependencyError`` are returned unchanged.

    Returns:
        The message, or ``"OSError: message"`` for every other type.
    """
    return str(error) if isinstance(error, ValueError | MissingDependencyError) else f"{type(error).__name__}: {error}"


def shown(text: object) -> str:
    """Return text for a message: printable as it is, control characters and line breaks as escapes.

    Args:
        text: Text that comes from a file, or an object whose ``str`` may contain such text.

    Returns:
        One line without control characters.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def suggestion(got: str, allowed: Iterable[str]) -> str:
    """Return a hint with the allowed name that is most similar to ``got``.

    Args:
        got: The unknown name.
        allowed: The known names.

    Returns:
        ``" (did you mean 'builtin'?)"``, or an empty string when no name is similar.
    """
    near = get_close_matches(got, list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
