"""Where the files that travel with the package lie: label maps, exclusion lists, configs.

``annotations/`` and ``configs/`` stand at the top of a checkout, where people look for them, and are
installed as folders of the package (``setup.cfg``, ``package_dir``). This is the one place that knows both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``name`` (``"configs"`` or ``"annotations"``), installed or in the checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
