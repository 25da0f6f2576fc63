"""The public surface changes only together with the changelog."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))

from public_surface import CHANGELOG, LIST, changes, newest_part, surface, unnamed  # noqa: E402


def test_the_list_is_that_of_the_program():
    removed, added = changes(LIST.read_text(encoding="utf-8").splitlines(), surface())
    what = "\n".join([*(f"- {line}" for line in removed), *(f"+ {line}" for line in added)])
    assert not what, f"name this in CHANGELOG.md, then run `python tools/public_surface.py --write`:\n{what}"


def test_the_list_holds_what_is_promised():
    lines = LIST.read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines)) and len(lines) > 500
    assert {"command annotate --out", "config clip.num_frames = 32", "plug-ins ava_detect.formats"} <= set(lines)
    assert any(line.startswith("python annotate_videos(sources, out, ") for line in lines)
    assert any(line.startswith("python ResultSet: ") and " to_pandas" in line for line in lines)
    assert "parquet action_score: float" in lines


def test_every_change_must_be_named():
    before = ["command annotate --out", "python old(a)", "config clip.size = 3", "parquet score: float"]
    now = ["command annotate --output", "python old(a, b)", "config clip.size = 4", "command live"]
    removed, added = changes(before, now)
    assert removed == ["command annotate --out", "config clip.size = 3", "parquet score: float", "python old(a)"]
    text = newest_part(
        "# Changelog\n\n## 0.2.0\n\n- `--output` takes the place of `--outer`; `old`\n\n## 0.1.0\n\nsize, live\n"
    )
    assert unnamed([*removed, *added], text) == ["--out", "size", "score", "live"]
    assert unnamed(added, text + " size live") == []


def test_the_changelog_has_a_newest_part():
    assert newest_part(CHANGELOG.read_text(encoding="utf-8")).startswith("0.1.0")
