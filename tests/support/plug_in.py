"""Packages with plug-ins, installed into a folder that a test puts on its path."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin"


def install_example(folder: Path) -> Path:
    """Install ``examples/plugin`` as pip does, without a network connection; return the folder for ``sys.path``."""
    source, target = folder / "source", folder / "installed"
    # The build writes beside its sources.
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def lay_out_example(folder: Path) -> Path:
    """Lay ``examples/plugin`` out in the folder as if it were installed, without pip; return the folder."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"].replace("-", "_")
    groups = {
        group.removeprefix("ava_detect."): "\n".join(f"{left} = {right}" for left, right in points.items())
        for group, points in project["entry-points"].items()
    }
    write_package(folder, name, groups)
    (folder / f"{name}.py").unlink()
    shutil.copytree(
        EXAMPLE / "src" / "ava_detect_example",
        folder / "ava_detect_example",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return folder


def write_package(folder: Path, name: str, entry_points: Mapping[str, str], code: str = "") -> Path:
    """Write an installed package by hand: ``entry_points`` are lines by group, ``code`` is that of its module."""
    metadata = folder / f"{name}-0.5.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.5\n")
    groups = [f"[ava_detect.{group}]\n{lines}\n" for group, lines in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    (folder / f"{name}.py").write_text(code)
    return folder
