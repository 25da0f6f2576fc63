"""The optional libraries of detectors, and how to get them."""

from __future__ import annotations

from importlib.util import find_spec

from ava_detect.environment import pip_line
from ava_detect.errors import MissingDependencyError, shown

# What pip installs for each library. Ultralytics is under AGPL-3.0, the others under Apache-2.0.
_SOURCES = {
    "detectron2": "git+https://github.com/facebookresearch/detectron2.git",  # no index has it
    "transformers": "transformers",
    "ultralytics": "ultralytics",
}


def install_command(name: str) -> str:
    """Return the command that installs a library.

    Args:
        name: ``"detectron2"``, ``"transformers"`` or ``"ultralytics"``.
    """
    return pip_line(_SOURCES[name])


def is_installed(name: str) -> bool:
    """Return whether a library is installed; it is not imported.

    Args:
        name: The library.

    Returns:
        Whether it is.
    """
    try:
        return find_spec(name) is not None
    except ValueError:  # a module without a spec: one that the caller made
        return True


def require_library(name: str) -> None:
    """Refuse a detector whose library is not installed; nothing is imported.

    Args:
        name: The library, as for ``install_command``.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if not is_installed(name):
        raise MissingDependencyError(
            f"the detectors {name}:... need the library {name}, which is not installed; "
            f"install it with: {install_command(name)}"
        )


def not_importable(name: str, error: ImportError) -> MissingDependencyError:
    """Return the error for an optional library whose import failed.

    Args:
        name: The library, as for ``install_command``.
        error: The error of the import.

    Returns:
        An error whose message has the reason and the line that installs the library.
    """
    return MissingDependencyError(
        f"{name} cannot be imported ({shown(error)}); install it with: {install_command(name)}"
    )
