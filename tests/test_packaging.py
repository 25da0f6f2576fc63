"""What is installed is what is here: wheel, source distribution, and the commands of an installed copy."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import yaml

import ava_detect

ROOT = Path(__file__).resolve().parents[1]
EVERY_COMMAND = Path(__file__).resolve().parent / "every_command.py"
HOME = "https://host.example/owner/ava_detect"
# What a checkout gathers, and git ignores.
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", "build", "dist", "site", "demo_results"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the checkout, because a build writes beside its sources."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("checkout") / "ava_detect", ignore=NOT_OURS))


@pytest.fixture(scope="module")
def built(checkout) -> Path:
    """The folder with both distributions: the source distribution, and the wheel that is built from it alone."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(checkout.parent / "dist")]
    environment = {**os.environ, "AVA_DETECT_HOME": f"{HOME}/"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout.parent / "dist"


@pytest.fixture(scope="module")
def wheel(built) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory) -> Path:
    """An environment with the wheel. Its libraries are this environment's, but for the package itself."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # As a plain path: the .pth files there, those of editable installations, are not followed.
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (path,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-compile", path], check=True)
    return folder


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_has_the_package_its_data_and_its_pages_and_nothing_else(checkout, wheel):
    code = files_below(checkout / "ava_detect")
    folders = {
        f"{folder}/{name}" for folder in ("configs", "annotations", "docs") for name in files_below(ROOT / folder)
    }
    pages = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
    (about,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert about == f"ava_detect-{ava_detect.__version__}.dist-info"
    found = {name for name in wheel.namelist() if not name.startswith(f"{about}/")}
    assert found == {f"ava_detect/{name}" for name in code | folders | pages}
    licences = {name for name in wheel.namelist() if "/licenses/" in name}
    assert licences == {
        f"{about}/licenses/LICENSE",
        f"{about}/licenses/ava_detect/detectors/builtin_model/LICENSE.Apache-2.0",
    }


def test_the_source_distribution_is_the_checkout(checkout, built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {"PKG-INFO", *(name for name in names if name.startswith("ava_detect.egg-info/"))}
    here = {name for name in files_below(checkout) if "egg-info/" not in name}
    assert names - made == here


def test_what_the_package_says_of_itself(metadata):
    assert (metadata["Name"], metadata["Version"]) == ("ava_detect", ava_detect.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    classifiers = metadata.get_all("Classifier")
    pythons = {text.rpartition(" ")[2] for text in classifiers if re.search(r":: 3\.\d+$", text)}
    assert pythons == {"3.11", "3.12", "3.13"}
    assert not [text for text in classifiers if text.startswith("License")]  # the expression replaces them
    links = dict(link.split(", ") for link in metadata.get_all("Project-URL"))
    assert set(links) == {"Source", "Changelog", "Documentation", "Issues"}
    assert all(address.startswith(HOME) and "//ava" not in address for address in links.values())
    assert metadata.get_payload().startswith("# ava_detect")


def test_every_extra_is_explained_in_the_documentation(metadata):
    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    assert set(metadata.get_all("Provides-Extra")) == set(re.findall(r'\[([a-z0-9-]+)\]"', text))


@pytest.mark.slow
def test_every_command_of_an_installed_copy_runs(environment, tmp_path):
    """In an empty folder, and without the checkout: only its list of good calls is used."""
    command = [environment / "bin" / "python", EVERY_COMMAND, ROOT / "tools", tmp_path]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["package"]).is_relative_to(environment)
    assert len(told["codes"]) > 20
    assert not {command: told for command, told in told["codes"].items() if told[0] != 0}


def test_the_installed_program_starts(environment, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for words, told in (
        (["--version"], f"ava-detect {ava_detect.__version__}"),
        (["docs", "tasks/own-classes"], "# My"),
    ):
        done = subprocess.run(
            [environment / "bin" / "ava-detect", *words], cwd=tmp_path, env=clean, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(told)


def test_the_annotations_have_the_hashes_that_are_listed():
    readme = (ROOT / "annotations" / "README.md").read_text()
    told = dict(re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    files = {path.name: path for path in (ROOT / "annotations").iterdir() if path.name != "README.md"}
    assert set(told) == set(files)
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told[name]


def test_the_version_has_its_changes_and_is_the_cited_one():
    assert f"## {ava_detect.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == ava_detect.__version__


def test_no_other_file_states_the_version():
    """It stands in ``ava_detect/__init__.py``; what else needs it reads it there, or is compared above."""
    told = {"ava_detect/__init__.py", "CITATION.cff", "CHANGELOG.md"}
    files = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "Makefile", "docker/Dockerfile.cpu")
    assert not [name for name in files if name not in told and ava_detect.__version__ in (ROOT / name).read_text()]
