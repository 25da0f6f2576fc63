"""The notebooks of ``examples/`` run as they stand, without a network connection, and hold what they gave."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (the extra [test])")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (the extra [test])")
jupyter_client = pytest.importorskip("jupyter_client", reason="jupyter_client comes with nbclient")
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


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One kernel for all of them, in which PyTorch is loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        for name in ("http_proxy", "https_proxy"):
            # A request to another machine would fail.
            patch.setenv(name, "http://127.0.0.1:9")
        manager = jupyter_client.KernelManager(kernel_name="python3")
        manager.start_kernel()
        yield manager
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
@each_notebook
def test_it_runs(path, kernel, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    stored = [[output.output_type for output in cell.outputs] for cell in code_cells(path)]
    fresh = f"%reset -f\n%cd -q {tmp_path}"
    # An error in any cell is raised here.
    for cells in (nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(fresh)]), notebook):
        nbclient.NotebookClient(cells, timeout=600, km=kernel).execute()
    found = [[output.output_type for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]
    assert [set(kinds) for kinds in found] == [set(kinds) for kinds in stored]
