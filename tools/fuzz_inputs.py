"""Try bad inputs on every command of ``ava-detect``, and find what is answered by anything but a sentence.

    python tools/fuzz_inputs.py --seed 1 --count 1000 --jobs 2 --keep failures
    python tools/fuzz_inputs.py --seed 1 --case 137                # one case again
    python tools/fuzz_inputs.py --seed 1 --count 200 --warm --only csv --only option

Good inputs are made from the seed; each case spoils one of them, an option, an output or a name, and runs the command
in a process of its own. A case is determined by the seed, its number and ``--only``. What must hold of every call:

    no traceback, no end by a signal, no exit code but those documented (0, 1, 2);
    no more than --time-limit seconds, in which waiting for a busy processor does not count, and than --memory-limit;
    no process left running; every input unchanged, and nothing written but --out;
    where the command fails, the spoiled file or option is named; where nothing can be meant, it does fail.

``--warm`` forks the calls from a process that has loaded everything: about six times as fast, but it hides imports
that fail and modules that a fresh process would load too late. Exit code 0: no failure. 1: failures, each printed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzz.campaign import Campaign, Failure, shown_failure, shown_tally
from fuzz.cases import KINDS
from fuzz.mutate_options import all_commands
from fuzz.processes import FreshRunner, Limits, Runner, WarmRunner


def main() -> int:
    """Run the cases of the command line."""
    arguments = _arguments()
    numbers = arguments.case if arguments.case else range(arguments.count)
    program = shlex.split(arguments.program) if arguments.program else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        limits = Limits(arguments.time_limit, int(arguments.memory_limit * 1e9))
        campaign = Campaign(arguments.seed, Path(folder), arguments.only, limits, arguments.keep)
        runners: list[Runner] = [
            WarmRunner() if arguments.warm else FreshRunner(program) for _ in range(arguments.jobs)
        ]

        def tell(failure: Failure) -> None:
            print(shown_failure(failure, campaign, ["--warm"] if arguments.warm else ()), flush=True)

        try:
            tally = campaign.run(numbers, runners, tell)
        finally:
            for runner in runners:
                runner.close()
    processes = "forked from a process that had loaded the package" if arguments.warm else "fresh processes"
    print(f"\nseed {arguments.seed}, {processes}\n\n{shown_tally(tally)}")
    return 1 if tally.failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the inputs and of the mutations")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="cases, from number 0")
    parser.add_argument(
        "--case", type=int, action="append", metavar="I", help="only the case of this number; repeatable"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="KIND|COMMAND",
        help=f"a kind ({', '.join(KINDS)}) or a command; repeatable",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="calls in parallel")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the inputs of failures here")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="seconds of a call")
    parser.add_argument("--memory-limit", type=float, default=3.0, metavar="GB", help="peak memory of a call")
    parser.add_argument("--warm", action="store_true", help="fork the calls from a process that has loaded the package")
    parser.add_argument("--program", metavar="COMMAND", help="what to run in the place of `python -m ava_detect`")
    arguments = parser.parse_args()
    known = {*KINDS, *all_commands(), *(name.split()[0] for name in all_commands())}
    for name in arguments.only:
        if name not in known:
            parser.error(f"--only {name}: choose from {', '.join(sorted(known))}")
    if arguments.program and arguments.warm:
        parser.error("--warm runs the package itself, and --program something else; give one of them")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
