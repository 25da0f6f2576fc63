"""Many cases: runs them in parallel, collects what is wrong, and tells it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from fuzz.cases import make_case
from fuzz.checks import problems_of, snapshot
from fuzz.drafts import Case
from fuzz.good_inputs import GoodInputs
from fuzz.processes import Limits, Outcome, Runner

_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST_SHOWN = 5
_UNREACHABLE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Failure:
    """A case in which something was wrong.

    Attributes:
        case: The case; its folder is gone.
        outcome: How its call ended.
        problems: Pairs of the kind of fault and the place.
    """

    case: Case
    outcome: Outcome
    problems: Sequence[tuple[str, str]]


@dataclass
class Tally:
    """What came of many cases.

    Attributes:
        cases: Number of cases by command and kind.
        codes: Number of cases by exit code.
        failures: The failures, in the order of their numbers.
    """

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Campaign:
    """How cases are run.

    Attributes:
        seed: The seed.
        folder: Where good inputs and cases are made.
        only: Kinds and commands that are wanted; all where it is empty.
        limits: What a call may use.
        keep: Where the inputs of failures go; None for nowhere.
    """

    seed: int
    folder: Path
    only: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    keep: Path | None = None

    def run(self, numbers: Iterable[int], runners: Sequence[Runner], tell: Callable[[Failure], None]) -> Tally:
        """Run cases.

        Args:
            numbers: The numbers of the cases.
            runners: As many calls are made in parallel.
            tell: Called with each failure as it is found.

        Returns:
            What came of them.
        """
        good = GoodInputs(self.folder / "good", self.seed)
        idle: SimpleQueue[Runner] = SimpleQueue()
        for runner in runners:
            idle.put(runner)

        def run_one(case: Case) -> tuple[Case, Outcome, Sequence[tuple[str, str]]]:
            runner = idle.get()
            try:
                return case, *self.check(case, runner)
            finally:
                idle.put(runner)
                shutil.rmtree(case.root)

        tally = Tally()
        with ThreadPoolExecutor(len(runners)) as pool:
            # Cases are made in this thread alone, because the good inputs are made when they are first needed.
            for case, outcome, problems in _ahead(pool, run_one, self._cases(numbers, good), len(runners) + 1):
                tally.cases[case.call.command, case.kind] += 1
                tally.codes[outcome.code] += 1
                if problems:
                    failure = Failure(case, outcome, problems)
                    tally.failures.append(failure)
                    if self.keep is not None:
                        self._keep(case, outcome, good)
                    tell(failure)
        return tally

    def check(self, case: Case, runner: Runner) -> tuple[Outcome, list[tuple[str, str]]]:
        """Run one case; returns how its call ended and what is wrong."""
        limits = Limits(self.limits.seconds, self.limits.memory_bytes, case.file_size)
        before = snapshot(case.root)
        outcome = runner.run(case.command_line, case.folder, self._environment(case), limits)
        return outcome, problems_of(case, outcome, before, snapshot(case.root))

    def kept_folder(self, number: int) -> Path | None:
        """Where the inputs of a failure are kept."""
        return None if self.keep is None else self.keep / f"seed-{self.seed}-case-{number}"

    def _cases(self, numbers: Iterable[int], good: GoodInputs) -> Iterator[Case]:
        for number in numbers:
            yield make_case(self.seed, number, self.folder / f"case-{number}", good, self.only)

    def _keep(self, case: Case, outcome: Outcome, good: GoodInputs) -> None:
        """Make the case again, as it was before its call."""
        root = self.kept_folder(case.number)
        assert root is not None
        shutil.rmtree(root, ignore_errors=True)
        again = make_case(self.seed, case.number, root, good, self.only)
        (again.folder.parent / "stdout.txt").write_text(outcome.stdout, encoding="utf-8", errors="backslashreplace")
        (again.folder.parent / "stderr.txt").write_text(outcome.stderr, encoding="utf-8", errors="backslashreplace")
        shutil.rmtree(again.root / "home")

    def _environment(self, case: Case) -> dict[str, str]:
        """The environment of a call: no network, its own home and folder of temporary files."""
        passed = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
        # Python itself puts cut bytecode in its cache where the disk is full, and later fails on it.
        no_bytecode = {} if case.file_size is None else {"PYTHONDONTWRITEBYTECODE": "1"}
        return {
            **no_bytecode,
            **{name: os.environ[name] for name in passed if name in os.environ},
            "HOME": str(case.root / "home"),
            "XDG_CACHE_HOME": str(case.root / "home" / "cache"),
            "TMPDIR": str(case.root / "tmp"),
            "MPLCONFIGDIR": str(self.folder / "matplotlib"),  # its list of fonts takes seconds to make
            "TORCHINDUCTOR_CACHE_DIR": str(case.root / "home" / "inductor"),
            "LANG": "C.UTF-8",
            "COLUMNS": "1000",
            "TERMINAL_WIDTH": "1000",
            "OMP_NUM_THREADS": "1",
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _UNREACHABLE),
        }


def shown_failure(failure: Failure, campaign: Campaign, mode: Sequence[str] = ()) -> str:
    """A failure in lines for people, with the command that repeats it."""
    case, outcome = failure.case, failure.outcome
    only = [word for kind in campaign.only for word in ("--only", kind)]
    repeat = [
        "python", "tools/fuzz_inputs.py", "--seed", str(campaign.seed), "--case", str(case.number), *only, *mode,
    ]  # fmt: skip
    lines = [f"case {case.number}: {case.call.command}, {case.kind}, {case.what}"]
    lines += [f"  {fault}: {_printable(place)}" for fault, place in failure.problems[:_MOST_SHOWN]]
    if len(failure.problems) > _MOST_SHOWN:
        lines.append(f"  and {len(failure.problems) - _MOST_SHOWN} more")
    lines += [f"  exit code {outcome.code}, {outcome.seconds:.1f} s, {outcome.peak_bytes / 1e6:.0f} MB"]
    lines += [f"  ava-detect {_printable(shlex.join(case.command_line))[:600]}", f"  again: {shlex.join(repeat)}"]
    kept = campaign.kept_folder(case.number)
    if kept is not None:
        lines.append(f"  kept: cd {shlex.quote(str(kept / case.folder.relative_to(case.root)))}")
    return "\n".join(lines)


def shown_tally(tally: Tally) -> str:
    """The counts by command and kind, and of faults."""
    kinds = sorted({kind for _, kind in tally.cases})
    commands = sorted({command for command, _ in tally.cases})
    rows = [["command", *kinds, "all"]]
    for command in commands:
        counts = [tally.cases[command, kind] for kind in kinds]
        rows.append([command, *(str(count or ".") for count in counts), str(sum(counts))])
    totals = [sum(tally.cases[command, kind] for command in commands) for kind in kinds]
    rows.append(["all", *map(str, totals), str(sum(totals))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(tally.codes.items()))
    lines += ["", f"exit codes: {codes}"]
    faults = Counter(fault for failure in tally.failures for fault in {fault for fault, _ in failure.problems})
    lines += [f"{count:4} {fault}" for fault, count in faults.most_common()]
    lines.append(f"{len(tally.failures)} failures in {sum(totals)} cases")
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Text for a terminal: no escape sequences, no lone surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _ahead(pool: ThreadPoolExecutor, function: Callable[[_T], _R], items: Iterable[_T], depth: int) -> Iterator[_R]:
    """Map in parallel, in order, with at most ``depth`` items taken ahead."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= depth:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()
