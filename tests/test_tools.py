"""Every tool says how it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import run_python

FOLDER = Path(__file__).resolve().parents[1] / "tools"
TOOLS = sorted(FOLDER.glob("*.py"))
# One fresh process for all: most of the time of each would go into loading PyTorch.
HELP = """
import contextlib, io, json, runpy, sys, traceback
sys.path[0] = sys.argv[1]
said = {}
for path in sys.argv[2:]:
    sys.argv = [path, "--help"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            runpy.run_path(path, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    said[path] = code, out.getvalue()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, list]:
    """The exit code and output of each tool's ``--help``."""
    return json.loads(run_python(HELP, FOLDER, *TOOLS).stdout)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: path.stem)
def test_every_tool_says_what_it_takes(said, tool):
    code, output = said[str(tool)]
    assert code == 0, output
    assert "usage" in output.lower()
