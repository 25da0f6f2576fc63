"""``ava-detect docs``: the pages ship with the package, their links lead on, and a wrong name finds the right one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ava_detect.cli.doc_pages import doc_pages, find_page, text_of, write_html

ROOT = Path(__file__).resolve().parents[2]


def test_every_page_of_the_index_is_listed(run_cli):
    code, out, _ = run_cli("docs", "--list")
    names = out.split()
    assert code == 0
    assert {"index", "readme", "start", "detectors", "notes/scale", "configs", "annotations", "changelog"} <= set(names)
    assert len(names) == len(set(names)) == len([*(ROOT / "docs").rglob("*.md")]) + 6
    listed = run_cli("docs")[1]
    assert all(page.name in listed and page.summary in listed for page in doc_pages()[1:])


@pytest.mark.parametrize("topic", ["detectors", "Detectors", "docs/detectors.md", "detectors.md"])
def test_a_page_is_printed_by_its_name_or_path(topic, run_cli):
    code, out, err = run_cli("docs", topic)
    assert (code, err) == (0, "")
    assert out.startswith("# Person detectors")


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        ("detecters", "(did you mean 'detectors'?)"),
        ("notes/scales", "(did you mean 'notes/scale'?)"),
        ("winograd", "; the word is in notes/performance"),
        ("qqqq", "; `ava-detect docs --list` names all pages"),
    ],
)
def test_an_unknown_name_is_2_and_finds_what_was_meant(topic, hint, run_cli):
    code, out, err = run_cli("docs", topic)
    assert (code, out) == (2, "")
    assert f"there is no page '{topic}'" in err and hint in err


def test_links_between_pages_become_commands_that_print_them(run_cli):
    text = text_of(find_page("index"))
    assert "| `ava-detect docs detectors` |" in text
    commands = {name for page in doc_pages() for name in re.findall(r"`ava-detect docs ([a-z/-]+)`", text_of(page))}
    assert commands <= {page.name for page in doc_pages()} and len(commands) > 20
    assert not [link for page in doc_pages() for link in re.findall(r"\]\((?!https?://)[^)]*\.md", text_of(page))]


def links_of(file: Path) -> list[tuple[Path, str]]:
    """File and anchor of each link and picture of an HTML page that stays on this machine."""
    found = []
    for link in re.findall(r'(?:href|src)="([^"]+)"', file.read_text()):
        parts = urlsplit(link)
        if parts.scheme in ("", "file"):
            path = Path(unquote(parts.path)) if parts.scheme else file.parent / unquote(parts.path)
            found.append((path if parts.path else file, parts.fragment))
    return found


def test_the_pages_as_html_lead_to_each_other(tmp_path):
    files = write_html(tmp_path)
    links = [(file, *link) for file in files.values() for link in links_of(file)]
    assert len(links) > 100
    for file, path, anchor in links:
        assert path.exists(), (file, path)
        assert not anchor or f'id="{anchor}"' in path.read_text(), (file, path, anchor)
    assert (tmp_path / "demo.jpg").is_file()


def test_a_page_is_opened_in_the_browser(run_cli, tmp_path, monkeypatch):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setenv("AVA_DETECT_CACHE", str(tmp_path / "cache"))
    code, out, _ = run_cli("docs", "tracks", "--open")
    monkeypatch.setattr("webbrowser._tryorder", None)
    assert code == 0
    assert opened.read_text().strip() == Path(out.strip()).as_uri()
    assert "<h1" in Path(out.strip()).read_text()


def test_without_browser_and_terminal_opening_is_refused(run_cli, monkeypatch):
    monkeypatch.setattr("webbrowser._tryorder", [])
    code, out, err = run_cli("docs", "tracks", "--open")
    assert (code, out) == (2, "")
    assert "--open needs a browser or a terminal" in err


def test_a_wheel_holds_the_pages_and_their_links_lead_on(tmp_path):
    """What ``pip`` installs, without the checkout around it."""
    built = tmp_path / "built"
    build = [sys.executable, "setup.py", "--quiet", "build", "--build-base", str(tmp_path / "base")]
    subprocess.run([*build, "--build-lib", str(built)], cwd=ROOT, check=True, capture_output=True)
    script = (
        "from pathlib import Path\n"
        "from ava_detect.cli import doc_pages\n"
        "assert Path(doc_pages.__file__).is_relative_to(Path('built').resolve())\n"
        "doc_pages.write_html(Path('html'))\n"
        "print(*(page.name for page in doc_pages.doc_pages()))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(built)}
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [page.name for page in doc_pages()]
    for file in (tmp_path / "html").rglob("*.html"):
        assert [path for path, _ in links_of(file) if not path.exists()] == []
