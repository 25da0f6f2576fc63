"""Query the environment: installed versions, data files shipped with the package, usable CPU cores.

Versions are read from package metadata, so that no library, such as torch, has to be imported.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Required libraries by their distribution names (as in `pip install`), which can differ from their import names.
LIBRARIES = ("torch", "torchvision", "numpy", "av", "onnxruntime", "pyarrow", "pandas", "scipy", "pillow", "pydantic")
_PACKAGE = Path(__file__).resolve().parent


def versions() -> dict[str, str | None]:
    """Return the versions of this package, of Python and of the required libraries.

    Returns:
        Version by distribution name, ``"ava_detect"`` and ``"python"`` included; None for a library that is not
        installed.
    """
    found: dict[str, str | None] = {"ava_detect": installed_version(), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def installed_version() -> str:
    """Return the version of this package.

    Returns:
        The version; ``"unknown"`` in a source tree that was never installed.
    """
    try:
        return version("ava_detect")
    except PackageNotFoundError:
        return "unknown"


def resource_dir(name: str) -> Path:
    """Return the path of a data folder that ships with the package.

    Args:
        name: ``"configs"`` or ``"annotations"``.

    Returns:
        The folder inside the installed package, or at the top of a source checkout.
    """
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def usable_cores() -> int:
    """Return the number of CPU cores this process may use.

    Returns:
        The size of the process's CPU affinity set where the operating system supports it (``taskset`` or a container
        can make it smaller than the machine's core count), else the machine's core count; at least 1. CPU quotas of a
        container (cgroups) are not taken into account.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
