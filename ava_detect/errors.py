"""The exception types that people meet. Each message says what was got, what is allowed and what to try.

All of them are ``ValueError``s where the caller's input was at fault, so that code which catches
``ValueError`` around a call into this package keeps working.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AvaDetectError(ValueError):
    """Input that cannot be used as given; the message is one sentence that a person can act on."""


class ConfigError(AvaDetectError):
    """A config file, name or setting that does not fit the schema."""


class FormatError(AvaDetectError):
    """A results, annotation or label-map file that cannot be read; names the file and the line."""


class VideoError(AvaDetectError):
    """A video that cannot be opened or holds no picture; names the file."""


class StoreError(AvaDetectError):
    """A place for files that did not answer; names the address. Another try, later or elsewhere, may well succeed."""


class EngineError(AvaDetectError):
    """Workers that cannot be started or kept, which is no video's fault; names the last reason."""


class WeightsError(AvaDetectError):
    """A weights file that does not fit the model, or is no weights file; names file and tensors."""


class DetectorError(AvaDetectError):
    """A detector that cannot be built from its spec, or whose output cannot be understood."""


class TrainingError(AvaDetectError):
    """A training that cannot be started or resumed as it was called; names the folder or the file."""


class DivergedError(TrainingError):
    """A training whose loss is no number any more; names the step and what to try."""


class MissingDependencyError(ImportError):
    """An optional library that is not installed; the message holds the line that installs it."""


def sentence_of(error: BaseException) -> str:
    """What it says, where that is a sentence for people; anything else needs its kind to be understood."""
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
    """``" (did you mean 'builtin'?)"`` for the nearest of ``allowed``, or nothing when none is near."""
    near = get_close_matches(got, list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
