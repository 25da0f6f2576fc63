"""The documentation as a site: whole, without a broken link, readable on a phone and in the dark, without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import running_browser
from web_server import serve_folder, serving

import ava_detect
from ava_detect.cli.doc_pages import doc_pages
from ava_detect.config import Config, load_config
from ava_detect.models.zoo_table import ZOO

pytest.importorskip("mkdocs", reason="mkdocs-material is not installed (the extra [test])")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed (the extra [test])")

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

from fuzz.mutate_options import all_commands, options_of  # noqa: E402
from website import checks  # noqa: E402
from website.cells import cell  # noqa: E402
from website.layout import settings, slug  # noqa: E402
from website.sources import for_site  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, as ``make docs`` builds it; every warning is an error, and links are checked."""
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, ROOT / "tools" / "build_site.py", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "links checked" in done.stdout
    return out


def ids(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text(encoding="utf-8")))


def test_every_written_page_is_there(site):
    elsewhere = {
        "index": "docs/pages",
        "readme": "index",
        "configs": "configs/index",
        "annotations": "annotations/index",
    }
    elsewhere |= {name: f"project/{name}" for name in ("contributing", "changelog", "security")}
    for page in doc_pages():
        assert (site / f"{elsewhere.get(page.name, f'docs/{page.name}')}.html").is_file(), page.name


def test_a_wrong_address_is_answered_with_the_ways_on(site):
    text = (site / "404.html").read_text(encoding="utf-8")
    assert "This page is not here" in text
    assert 'href="/docs/pages.html"' in text


def test_every_command_has_a_page_with_all_its_options(site):
    for command in all_commands():
        text = (site / "commands" / f"{command.replace(' ', '-')}.html").read_text(encoding="utf-8")
        shown = {option for option in options_of(command) if not getattr(options_of(command)[option], "hidden", False)}
        assert not [option for option in shown - {"--help"} if option not in text]


def test_every_public_name_is_explained(site):
    found = set().union(*(ids(page) for page in (site / "python").glob("*.html")))
    missing = [name for name, home in ava_detect._HOME_OF_NAME.items() if f"ava_detect.{home}.{name}" not in found]
    assert not missing


def test_examples_of_docstrings_are_code(site):
    pages = [page.read_text(encoding="utf-8") for page in (site / "python").glob("*.html")]
    assert not any("<blockquote>" in page for page in pages)
    assert any("Examples:" in page and "language-pycon" in page for page in pages)


def test_every_config_key_is_explained(site):
    text = (site / "reference" / "config.html").read_text(encoding="utf-8")

    def keys(values: dict, path: str = ""):
        for name, value in values.items():
            yield path, name
            if isinstance(value, dict):
                yield from keys(value, f"{path}.{name}".lstrip("."))

    for path, name in keys(load_config("slowfast_r50_32x2").model_dump()):
        assert f"<code>{name}</code>" in text, f"{path}.{name}"
    assert all(f'<h2 id="{section}"' in text for section in ("clip", "detector", "train", "datatrain"))
    assert set(Config.model_fields) <= set(re.findall(r"<code>(\w+)</code>", text))


def test_every_listed_model_has_a_card_and_a_row(site):
    table = (site / "models" / "index.html").read_text(encoding="utf-8")
    for entry in ZOO.values():
        card = (site / "models" / f"{entry.name}.html").read_text(encoding="utf-8")
        assert f'href="{entry.name}.html"' in table
        assert entry.weights_licence in card and "Intended use and limits" in card
        assert entry.published is None or f"{entry.published:g}" in card
    assert "trained on rendered figures" in (site / "models" / "demo.html").read_text(encoding="utf-8")


def test_the_search_knows_commands_keys_and_pages(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["title"] for entry in index["docs"]}
    assert {"ava-detect annotate", "Config keys", "From mmaction2", "Choose a model"} <= titles


# Ratios of contrast of text to what it stands on, as WCAG 2 defines them, of the first element of each selector.
CONTRASTS = """selectors => {
    const numbers = color => color.match(/[\\d.]+/g).map(Number);
    const over = (front, back) => back.map((value, i) => front[i] * (front[3] ?? 1) + value * (1 - (front[3] ?? 1)));
    const light = color => color.map(value => value / 255)
        .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
        .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
    return selectors.map(selector => {
        const element = document.querySelector(selector), style = getComputedStyle(element);
        let back = [255, 255, 255];
        for (let at = element, layers = []; ; at = at.parentElement) {
            if (at) { layers.push(numbers(getComputedStyle(at).backgroundColor)); continue; }
            back = layers.reverse().reduce((below, layer) => over(layer, below), back);
            break;
        }
        const color = numbers(style.color);
        const text = over([...color.slice(0, 3), (color[3] ?? 1) * style.opacity], back);
        const [a, b] = [light(text), light(back)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(site, scheme):
    selectors = ["article p", "article p a", "article p code", "article pre .o", ".md-tabs__link", ".md-header__title"]
    with serving(serve_folder(site)) as base, running_browser() as chromium:
        page = chromium.new_context(viewport={"width": 1280, "height": 844}, color_scheme=scheme).new_page()
        page.goto(f"{base}/docs/benchmark.html")
        found = dict(zip(selectors, page.evaluate(CONTRASTS, selectors), strict=True))
    assert {selector: ratio for selector, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_fit_the_screen_and_ask_nothing_of_other_machines(site, width, scheme):
    with serving(serve_folder(site)) as base, running_browser() as chromium:
        context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "models/index", "commands/annotate", "python/inference", "reference/config"):
            page.goto(f"{base}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[scheme]
        page.goto(f"{base}/index.html?q=thresholds")
        page.wait_for_selector(".md-search-result__item a[href*='calibration']", state="attached")
        assert not [url for url in asked if not url.startswith((base, "data:", "blob:"))]


def test_a_warning_stops_the_build(tmp_path):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config as load_settings
    from mkdocs.exceptions import Abort

    (tmp_path / "pages").mkdir()
    (tmp_path / "mkdocs.yml").write_text("site_name: ''\n")
    (tmp_path / "pages" / "index.md").write_text("# Home\n\n[gone](gone.md)\n")
    with pytest.raises(Abort, match="1 warnings"):
        build(
            load_settings(str(tmp_path / "mkdocs.yml"), **settings(tmp_path / "pages", tmp_path / "out", ["index.md"]))
        )


def test_the_check_of_the_built_pages_finds_what_is_wrong(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">1</a><a href="b.html#there">2</a><a href="https://host.example/">3</a>'
        '<a href="gone.html">4</a><a href="b.html#absent">5</a><a href="#nowhere">6</a>'
        '<img src="//host.example/a.png"><link rel="stylesheet" href="https://host.example/a.css">'
        '<script src="https://host.example/a.js"></script>'
    )
    (tmp_path / "b.html").write_text('<a id="there"></a>')
    (tmp_path / "a.css").write_text(
        "@import url(https://host.example/b.css); a { background: url(data:image/png;base64,A) }"
    )
    assert checks.problems(tmp_path) == [
        "a.html loads //host.example/a.png of another machine",
        "a.html loads https://host.example/a.css of another machine",
        "a.html loads https://host.example/a.js of another machine",
        "a.html links to gone.html, which is not there",
        "a.html links to b.html#absent, and b.html has no such anchor",
        "a.html links to #nowhere, and a.html has no such anchor",
        "a.css loads url(https://host.example/b.css",
    ]


def test_links_are_rewritten_for_the_site():
    readme, start = ROOT / "README.md", ROOT / "docs" / "start.md"
    places = {readme: "index.md", start: "docs/start.md"}
    text = (
        "[first](docs/start.md#1-install), [code](setup.py), [docs/start.md](docs/start.md)\n```\n[x](setup.py)\n```\n"
    )
    assert for_site(text, start.parent.parent / "README.md", places, "").endswith(
        "[first](docs/start.md#1-install), code, [First steps](docs/start.md)\n```\n[x](setup.py)\n```\n"
    )
    with_home = for_site(
        "[up](../README.md) [code](../setup.py) [all](../tools)\n- item", start, places, "https://h.example/o/r"
    )
    assert with_home == (
        "[up](../index.md) [code](https://h.example/o/r/blob/main/setup.py) [all](https://h.example/o/r/tree/main/tools)"
        "\n\n- item"
    )


def test_anchors_and_cells():
    assert slug("1. Install: `pip`, or not?") == "1-install-pip-or-not"
    assert cell("``a|b`` or <c>\n|d") == "<code>a&#124;b</code> or &lt;c> &#124;d"
