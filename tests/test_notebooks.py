"""The notebooks of ``examples/`` run as they stand, without a network connection, and hold what they gave."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (the extra [test])")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (the extra [test])")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (the extra [test])")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
# A reader of the repository downloads their pictures, too.
MAX_BYTES = 200_000
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["1_annotate_and_look", "2_measure", "3_own_data"]


@each_notebook
def test_the_outputs_are_stored_and_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < MAX_BYTES
    assert "/tmp/" not in text
    assert "\x1b" not in text.encode().decode("unicode_escape", "ignore")
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert len(outputs) >= 5
    assert not [output for output in outputs if output.output_type == "error"]
    # The measuring one has numbers only.
    assert ("data:image/jpeg;base64," in text) == (path.stem != "2_measure")


@pytest.mark.slow
@each_notebook
def test_it_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name in ("http_proxy", "https_proxy"):
        # A request to another machine would fail.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    notebook = nbformat.read(path, as_version=4)
    stored = [[output.output_type for output in cell.outputs] for cell in code_cells(path)]
    work = tmp_path / "work"
    work.mkdir()
    # An error in any cell is raised here.
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(work)}}
    ).execute()
    found = [[output.output_type for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]
    assert [set(kinds) for kinds in found] == [set(kinds) for kinds in stored]
