#!/usr/bin/env python
"""Build the documentation as a site: the pages of docs/, and a reference that is made from the program itself.

    python tools/build_site.py --out site

Every warning of MkDocs is an error; afterwards all links are checked, and that no page asks another machine for
anything. Nothing is downloaded. With AVA_DETECT_HOME, the address of the repository, links to source files are kept;
without it their text alone is. Needs the extra [test]: mkdocs-material and mkdocstrings.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from website import checks
from website.command_pages import command_pages
from website.config_page import config_page
from website.layout import navigation, settings
from website.model_pages import model_pages
from website.python_pages import python_pages
from website.sources import ROOT, assets, for_site, written_pages

STYLE = Path(__file__).resolve().parent / "website" / "site.css"


def main() -> None:
    """Parse the arguments, build, check, and end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the site; it is replaced")
    out = parser.parse_args().out.resolve()
    build(out)
    if found := checks.problems(out):
        sys.exit("\n".join(["the site has faults:", *found]))
    print(f"{out / 'index.html'}: {sum(1 for _ in out.rglob('*.html'))} pages, links checked")


def build(out: Path) -> None:
    """Build the site.

    Args:
        out: Its folder, which is replaced.

    Raises:
        SystemExit: MkDocs warned of something; it has printed what.
    """
    from mkdocs.commands.build import build as build_pages
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "pages"
        nav = write_sources(sources)
        # An empty file: everything is given here.
        (Path(folder) / "mkdocs.yml").write_text("site_name: ''\n")
        try:
            build_pages(load_config(str(Path(folder) / "mkdocs.yml"), **settings(sources, out, nav)))
        except Abort as error:
            sys.exit(f"the site was not built: {error}")


def write_sources(folder: Path) -> list[dict[str, object]]:
    """Write all pages as MkDocs reads them.

    Args:
        folder: An empty folder.

    Returns:
        The navigation.
    """
    home = os.environ.get("AVA_DETECT_HOME", "").rstrip("/")
    commands, names, models = command_pages(), python_pages(), model_pages()
    made = {
        **{f"commands/{name}.md": text for name, text in commands.items()},
        **{f"python/{name}.md": text for name, text in names.items()},
        **{f"models/{name}.md": text for name, text in models.items()},
        "reference/config.md": config_page(),
    }
    # Pages that are made link as if they lay in a folder of the checkout.
    written, files = written_pages(), assets()
    places = {**written, **files, **{ROOT / name: name for name in made}}
    for source, place in written.items():
        _write(folder / place, for_site(source.read_text(encoding="utf-8"), source, places, home))
    for name, text in made.items():
        _write(folder / name, for_site(text, ROOT / name, places, home))
    for source, place in {**files, STYLE: "site.css"}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
    return navigation(commands, names)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
