"""A program: runs every command of the ``ava-detect`` that is installed here, once, on small inputs.

    python every_command.py TOOLS FOLDER

TOOLS is the checkout's ``tools/``, which knows a good call of every command; nothing else of the checkout is used. All
calls are made in this process, which loads PyTorch once. What was run is printed as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

# A download, and the rendering of whole movies: other tests run these.
LEFT_OUT = ("weights get", "demo")


def main() -> None:
    """Run the cheapest good call of each command."""
    sys.path.insert(0, sys.argv[1])
    from fuzz.calls import CALLS, Call
    from fuzz.cases import make_good_case
    from fuzz.good_inputs import GoodInputs
    from fuzz.mutate_options import all_commands

    import ava_detect
    from ava_detect.cli.app import main as ava_detect_main

    folder = Path(sys.argv[2])
    good = GoodInputs(folder / "good", 3)
    chosen: dict[str, Call] = {}
    for call in sorted(CALLS, key=lambda call: call.cost):
        if call.code == 0 and not call.changes:  # what it continues would have to be made first
            chosen.setdefault(call.command, call)
    codes = {}
    for number, command in enumerate(all_commands()):
        if command in LEFT_OUT:
            continue
        if command in chosen:
            case = make_good_case(chosen[command], folder / str(number), good)
            os.chdir(case.folder)
            words = case.command_line
        else:
            words = [*command.split(), "--help"]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                ava_detect_main(words)
                code: object = 0
            except SystemExit as end:
                code = end.code or 0
        codes[command] = [code, "" if code == 0 else said.getvalue()]
    json.dump({"package": ava_detect.__file__, "codes": codes}, sys.stdout)


if __name__ == "__main__":
    main()
