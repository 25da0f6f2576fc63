"""The environment: the line that installs an extra fits how this copy was installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ava_detect import environment
from ava_detect.environment import extras, install_line, libraries_of, pip_line

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "ava_detect").rglob("*.py")]


class FakeDistribution:
    """A copy of the package that came from somewhere else.

    Args:
        origin: The content of ``direct_url.json``; None where it was installed by its name.
        installer: What installed it.
    """

    requires = ("torch>=2", "accelerate>=1; extra == 'train'", "pytest>=8; extra == 'test'")

    def __init__(self, origin: dict | None, installer: str = "pip") -> None:
        self._files = {"direct_url.json": origin and json.dumps(origin), "INSTALLER": f"{installer}\n"}

    def read_text(self, name: str) -> str | None:
        return self._files[name]


@pytest.fixture
def installed_from(monkeypatch):
    """Makes this copy one that was installed from somewhere, by the shell's own pip."""

    def install(origin: dict | None, installer: str = "pip") -> None:
        monkeypatch.setattr(environment, "_distribution", lambda: FakeDistribution(origin, installer))
        monkeypatch.setattr("shutil.which", lambda name: str(Path(sys.executable).parent / name))

    return install


@pytest.mark.parametrize(
    ("editable", "line"), [(True, 'pip install --editable "{0}[train]"'), (False, 'pip install "{0}[train]"')]
)
def test_from_a_checkout_the_line_names_its_folder(editable, line, installed_from, tmp_path):
    installed_from({"url": tmp_path.as_uri(), "dir_info": {"editable": editable}})
    assert install_line("train") == line.format(tmp_path)


def test_from_a_wheel_it_names_the_file_and_without_the_file_the_libraries(installed_from, tmp_path):
    wheel = tmp_path / "a b" / "ava_detect-0.1.0-py3-none-any.whl"
    installed_from({"url": wheel.as_uri(), "archive_info": {}})
    assert install_line("train") == 'pip install "accelerate>=1"', "nothing else can still be named"
    wheel.parent.mkdir()
    wheel.touch()
    assert install_line("train") == f'pip install "{wheel}[train]"'
    assert install_line() == f'pip install --force-reinstall --no-deps "{wheel}"'


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, 'pip install "ava_detect[train]"'),
        (
            {"url": "https://example.com/a.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            'pip install "ava_detect[train] @ git+https://example.com/a.git@12ab"',
        ),
        (
            {"url": "https://example.com/a.whl", "archive_info": {}},
            'pip install "ava_detect[train] @ https://example.com/a.whl"',
        ),
    ],
)
def test_other_origins_are_named_as_pip_takes_them(origin, line, installed_from):
    installed_from(origin)
    assert install_line("train") == line


def test_another_pip_than_the_shells_is_named(installed_from, monkeypatch):
    installed_from(None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert pip_line("--upgrade", "av>=17").endswith('-m pip install --upgrade "av>=17"')
    installed_from(None, installer="uv")
    assert pip_line("av").startswith("uv pip install --python ")


def test_a_shell_reads_the_line_as_it_is_meant(installed_from, tmp_path):
    folder = tmp_path / 'it\'s "$HOME" `x`'
    folder.mkdir()
    installed_from({"url": folder.as_uri(), "dir_info": {}})
    words = subprocess.run(
        ["sh", "-c", install_line("train").replace("pip install", "printf %s", 1)], capture_output=True, text=True
    )
    assert words.stdout == f"{folder}[train]"


def test_an_extra_is_there_when_each_of_its_libraries_is_new_enough(installed_from, monkeypatch):
    installed_from(None)
    assert libraries_of("test") == {"pytest>=8": pytest.__version__}
    monkeypatch.setattr(FakeDistribution, "requires", ("pytest>=999; extra == 'test'", "no_such>=1; extra == 'test'"))
    assert libraries_of("test") == {"pytest>=999": None, "no_such>=1": None}


def test_the_extras_are_those_of_the_metadata():
    assert {"s3", "train", "test"} <= set(extras())


def test_no_text_installs_the_package_from_an_index_that_lacks_it():
    texts = {path: path.read_text().replace('"', "").replace("'", "") for path in TEXTS if path.name != "CHANGELOG.md"}
    assert [path for path, text in texts.items() if "pip install ava_detect" in text] == []
    code = [path for path in texts if path.suffix == ".py" and path != Path(environment.__file__)]
    assert [path for path in code if re.search(r"pip install\b", texts[path])] == [], (
        "`pip_line` and `install_line` know the pip"
    )
