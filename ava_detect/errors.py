"""Exception types of the public interface, and helpers for the text of their messages.

Each message states what was given, what is allowed and what to try. Errors caused by the caller's input are
``ValueError``s, so code that catches ``ValueError`` around a call into this package catches them too.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


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


class DeprecatedWarning(AvaDetectWarning):
    """Something that works as before, and will be gone in a later version; the message says what to write instead."""


class ChoiceWarning(AvaDetectWarning):
    """Something that the caller did not name, such as the weights; the message says what was chosen and why."""


class PassedOverWarning(AvaDetectWarning):
    """Files of a folder or pattern that were left out; the message says which and why."""


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


_ADVICE = {
    errno.ENOSPC: "make room on that disk, or choose another place",
    errno.EDQUOT: "make room in your quota, or choose another place",
    errno.EFBIG: "choose a place that takes files of this size",
    errno.EACCES: "check the permissions, or choose another place",
    errno.EPERM: "check the permissions, or choose another place",
    errno.EROFS: "that disk takes no writing; choose another place",
    errno.EISDIR: "it is a folder, and a file is needed",
    errno.ENOTDIR: "a part of the path is a file, and a folder is needed",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle; give the file itself",
    errno.ENOENT: "check the path",
    errno.EEXIST: "choose another name",
    errno.EIO: "the disk or the network behind it fails; copy the file elsewhere and try again",
    errno.ESTALE: "the network disk behind it fails; try again",
    errno.ETIMEDOUT: "the network disk behind it fails; try again",
    errno.EBUSY: "something else holds it; try again, or choose another place",
    errno.EMFILE: "this process has too many files open; raise `ulimit -n`",
    errno.ENFILE: "this machine has too many files open",
}


def os_error_message(error: OSError) -> str:
    """Return a sentence for an error of the operating system.

    Args:
        error: The error.

    Returns:
        The file, where the error names one, the reason, and what to try.
    """
    names = [shown(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    place = f"{names[0]}: " if names else ""
    advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
    return f"{place}{shown(error.strerror or error)}; {advice}"


def shown(text: object) -> str:
    """Return text for a message: printable as it is, control characters and line breaks as escapes.

    Args:
        text: Text that comes from a file, or an object whose ``str`` may contain such text.

    Returns:
        One line without control characters.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def counted(number: int | None, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the singular or the plural: ``1 video``, ``2 videos``, ``? people``.

    Args:
        number: The number; None where it is unknown.
        noun: The singular.
        plural: The plural, where it is not the singular with an ``s``.

    Returns:
        The number, with commas between thousands, and the noun.
    """
    text = "?" if number is None else f"{number:,}"
    return f"{text} {noun if number == 1 else plural or noun + 's'}"


def suggestion(got: str, allowed: Iterable[str]) -> str:
    """Return a hint with the allowed name that is most similar to ``got``; capitals make no difference.

    Args:
        got: The unknown name.
        allowed: The known names.

    Returns:
        ``" (did you mean 'builtin'?)"``, or an empty string when no name is similar.
    """
    by_lower_case: dict[str, str] = {}
    for name in allowed:
        by_lower_case.setdefault(name.lower(), name)
    # Nothing is nearer than the same letters in another order: "rstp" is "rtsp", not "rtp".
    same_letters = [name for name in by_lower_case if sorted(name) == sorted(got.lower())]
    near = same_letters or get_close_matches(got.lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[near[0]]!r}?)" if near else ""


def special_file(path: str | os.PathLike[str]) -> str:
    """Return the kind of a special file, which cannot be read twice and may never end.

    Args:
        path: A path of this machine.

    Returns:
        ``pipe``, ``socket`` or ``device``; empty for a file or a folder.

    Raises:
        OSError: There is nothing there, or it cannot be looked at.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"


def require_file(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> None:
    """Refuse a pipe, a socket or a device as an input, before it is opened: a pipe waits for its writer for ever.

    Args:
        path: A path of this machine.
        max_bytes: The most bytes that a file of the kind may have, which is then read as a whole; None for no limit.

    Raises:
        OSError: It is one of these, or larger; or there is nothing there, or it cannot be looked at.
    """
    if kind := special_file(path):
        reason = f"it is a {kind}, not a file, and would be read more than once; save it to a file"
        raise OSError(errno.EINVAL, reason, str(path))
    if max_bytes is not None and (size := Path(path).stat().st_size) > max_bytes:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and such a file has at most {max_bytes:,}", str(path))
