"""Query the environment: installed versions, extras and how to install them, shipped files, usable CPU cores.

Versions are read from package metadata, so that no library, such as torch, has to be imported.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

# Required libraries by their distribution names (as in `pip install`), which can differ from their import names.
LIBRARIES = ("torch", "torchvision", "numpy", "av", "onnxruntime", "pyarrow", "pandas", "scipy", "pillow", "pydantic")
# Other distributions of the same library.
_ALSO_FROM = {"ultralytics": ("ultralytics-opencv-headless",)}
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


def libraries_of(extra: str) -> dict[str, str | None]:
    """Return what an extra requires, and what of it is installed.

    Args:
        extra: Name of the extra.

    Returns:
        By requirement, such as ``"accelerate>=1.0"``: the installed version; None where the library is absent or its
        version too low. Empty in a source tree that was never installed.
    """
    from packaging.requirements import Requirement  # only ``doctor`` and errors need it

    found: dict[str, str | None] = {}
    installed = _distribution()
    for requirement in map(Requirement, (None if installed is None else installed.requires) or ()):
        marker, requirement.marker = requirement.marker, None
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        its_version = _version_of(requirement.name) or ""
        is_here = bool(its_version) and requirement.specifier.contains(its_version, prereleases=True)
        found[str(requirement)] = its_version if is_here else None
    return found


def _version_of(name: str) -> str | None:
    """Return the version of a library, which may come under another name; None where it is not installed."""
    for distribution_name in (name, *_ALSO_FROM.get(name, ())):
        try:
            return version(distribution_name)
        except PackageNotFoundError:
            continue
    return None


def extras() -> list[str]:
    """Return the names of the extras, in the order of the package's metadata.

    Returns:
        The names; empty in a source tree that was never installed.
    """
    installed = _distribution()
    return [] if installed is None else installed.metadata.get_all("Provides-Extra") or []


def install_line(extra: str = "") -> str:
    """Return the command that adds an extra to this copy of the package, or installs it again.

    Args:
        extra: Name of the extra, such as ``"train"``; empty to install again what is there already.

    Returns:
        The command: it names the checkout, the wheel or the repository that this copy came from; if that is not there
        any more, the libraries of the extra.
    """
    installed = _distribution()
    origin = None if installed is None else installed.read_text("direct_url.json")
    suffix = f"[{extra}]" if extra else ""
    if installed is None:
        source = [f"{_PACKAGE.parent}{suffix}"]  # a source tree that was never installed
    elif origin is None:
        source = [f"ava_detect{suffix}"]  # installed by its name, which therefore works again
    else:
        source = _source(json.loads(origin), suffix)
    again = [] if extra else ["--force-reinstall", "--no-deps"]
    return pip_line(*again, *(source or libraries_of(extra) or [f"ava_detect{suffix}"]))


def _source(origin: dict[str, Any], suffix: str) -> list[str]:
    """Return pip's arguments for an origin (``direct_url.json``, PEP 610); none where it is not there any more."""
    url = str(origin["url"])
    if "vcs_info" in origin:
        revision = origin["vcs_info"].get("requested_revision") or origin["vcs_info"]["commit_id"]
        return [f"ava_detect{suffix} @ {origin['vcs_info']['vcs']}+{url}@{revision}"]
    if not url.startswith("file:"):
        return [f"ava_detect{suffix} @ {url}"]
    path = Path(url2pathname(urlsplit(url).path))
    if not path.exists():
        return []
    is_editable = origin.get("dir_info", {}).get("editable", False)
    return [*["--editable"] * is_editable, f"{path}{suffix}"]


def pip_line(*arguments: str) -> str:
    """Return a command that installs something beside this copy of the package.

    Args:
        arguments: Arguments of ``pip install``, without quotes.

    Returns:
        The command: by ``pip`` where the shell's own is the one of this Python, else by this Python, or by ``uv`` where
        that installed the package.
    """
    return _pip("install", arguments)


def uninstall_line(package: str) -> str:
    """Return the command that removes a package that lies beside this copy of the package.

    Args:
        package: Its name.

    Returns:
        The command, as in ``pip_line``.
    """
    return _pip("uninstall", [package])


def _pip(command: str, arguments: Sequence[str]) -> str:
    """The line that calls pip's ``command``."""
    words = " ".join(arg if arg.startswith("-") else _quoted(arg) for arg in arguments)
    installed = _distribution()
    installer = "" if installed is None else (installed.read_text("INSTALLER") or "").strip()
    python = _quoted(sys.executable)
    if installer == "uv" or find_spec("pip") is None:
        return f"uv pip {command} --python {python} {words}"
    shells_own = shutil.which("pip")
    is_ours = shells_own is not None and Path(shells_own).parent == Path(sys.executable).parent
    return f"{'pip' if is_ours else f'{python} -m pip'} {command} {words}"


def _quoted(argument: str) -> str:
    """Quote an argument for a shell where it needs it: in double quotes, which all shells know, if they suffice."""
    if shlex.quote(argument) == argument:
        return argument
    return shlex.quote(argument) if set(argument) & set('"$`\\!') and os.name != "nt" else f'"{argument}"'


def _distribution() -> Distribution | None:
    try:
        return distribution("ava_detect")
    except PackageNotFoundError:
        return None


def resource_dir(name: str) -> Path:
    """Return the path of a data folder that ships with the package.

    Args:
        name: ``"configs"``, ``"annotations"`` or ``"docs"``.

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
