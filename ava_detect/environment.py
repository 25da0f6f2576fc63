"""What is installed: read from package metadata, so that asking costs no import."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import ava_detect

LIBRARIES = ("torch", "torchvision", "numpy", "av", "onnxruntime", "pyarrow", "pandas", "scipy", "pillow", "pydantic")


def versions() -> dict[str, str | None]:
    """Name -> version of this package, of Python and of every library it stands on; None: not installed."""
    found: dict[str, str | None] = {"ava_detect": ava_detect.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
