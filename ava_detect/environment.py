"""The machine and the installation: versions, the files that ship with the package, the cores this process may use.

Everything here costs no import of a library: versions come from package metadata.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "numpy", "av", "onnxruntime", "pyarrow", "pandas", "scipy", "pillow", "pydantic")
_PACKAGE = Path(__file__).resolve().parent


def versions() -> dict[str, str | None]:
    """Name -> version of this package, of Python and of the libraries it needs; None: not installed."""
    found: dict[str, str | None] = {"ava_detect": installed_version(), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def installed_version() -> str:
    """The version of this package; ``"unknown"`` in a source tree that was never installed."""
    try:
        return version("ava_detect")
    except PackageNotFoundError:
        return "unknown"


def resource_dir(name: str) -> Path:
    """The folder ``configs`` or ``annotations``: inside the installed package, or at the top of a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def usable_cores() -> int:
    """The cores this process may use; a container or ``taskset`` can leave it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
