"""What is installed is what is here."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_folder_with_code_and_data_is_installed(tmp_path):
    """What a wheel would hold, as setuptools finds it."""
    script = (
        "import sys, setuptools, runpy\n"
        "sys.argv = ['setup.py', '--quiet', 'egg_info', '--egg-base', sys.argv[1]]\n"
        "setuptools.setup = lambda build=setuptools.setup, **options: print(*build(**options).packages)\n"
        "runpy.run_path('setup.py')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "ava_detect").rglob("*.py")}
    assert set(done.stdout.split()) == code | {"ava_detect.annotations", "ava_detect.configs", "ava_detect.docs"}


def test_the_annotations_have_the_hashes_that_are_listed():
    readme = (ROOT / "annotations" / "README.md").read_text()
    told = dict(re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    files = {path.name: path for path in (ROOT / "annotations").iterdir() if path.name != "README.md"}
    assert set(told) == set(files)
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told[name]


def test_the_version_has_its_changes():
    from ava_detect import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
