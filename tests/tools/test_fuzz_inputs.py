"""The fuzzer finds the faults that are planted, repeats itself, knows every command, and finds none in the program."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

_TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.append(str(_TOOLS))

from fuzz.calls import CALLS, Call  # noqa: E402
from fuzz.campaign import Campaign, shown_failure, shown_tally  # noqa: E402
from fuzz.cases import KINDS, make_case, make_good_case  # noqa: E402
from fuzz.drafts import Case  # noqa: E402
from fuzz.good_inputs import GoodInputs  # noqa: E402
from fuzz.mutate_options import all_commands  # noqa: E402
from fuzz.processes import FreshRunner, Limits, WarmRunner  # noqa: E402

# A program in the place of ava-detect, which does what its first argument says.
_PLANTED = """
import os, pathlib, signal, subprocess, sys, time
fault = sys.argv[2]  # after the command
there = pathlib.Path("in/truth.csv")
if fault == "traceback":
    raise KeyError("truth")
if fault == "thread":
    print("Exception ignored in: <function>", file=sys.stderr)
if fault == "input":
    there.write_text("another")
if fault == "mode":
    there.chmod(0o600)
if fault == "deleted":
    there.unlink()
if fault == "beside":
    pathlib.Path("../../escaped.csv").write_text("escaped")
if fault == "temporary":
    pathlib.Path("out/.unfinished-1-1-found.csv").write_text("cut")
if fault == "asleep":
    time.sleep(60)
if fault == "busy":
    while True:
        pass
if fault == "memory":
    held = bytearray(b"x" * 300_000_000)
    time.sleep(10)
if fault == "orphan":
    subprocess.Popen(["sleep", "60"])
if fault == "signal":
    os.kill(os.getpid(), signal.SIGSEGV)
if fault == "silence":
    sys.exit(1)
if fault == "unnamed":
    print("something is wrong", file=sys.stderr)
    sys.exit(2)
if fault.isdigit():
    print("in/truth.csv is wrong", file=sys.stderr)
    sys.exit(int(fault))
pathlib.Path("out/found.csv").write_text("well")
"""


@pytest.fixture
def planted(tmp_path):
    program = tmp_path / "planted.py"
    program.write_text(_PLANTED)
    return FreshRunner([sys.executable, "-I", "-S", str(program)])


def _case(root, fault, must_fail):
    """A case of a program that reads ``in/truth.csv``, a spoiled file, and writes ``out/found.csv``."""
    work = root / "a" / "b" / "work"
    for path in (work / "in", work / "out", root / "tmp", root / "home"):
        path.mkdir(parents=True)
    (work / "in" / "truth.csv").write_text("spoiled")
    call = Call("evaluate", "{truth.csv} {>found.csv}")
    return Case(0, "csv", call, "spoiled", root, [fault], [work / "out" / "found.csv"], ["truth.csv"], must_fail)


def _found(planted, tmp_path, fault, *, must_fail=False):
    campaign = Campaign(0, tmp_path, limits=Limits(0.5, 200_000_000))
    _, problems = campaign.check(_case(tmp_path / "case", fault, must_fail), planted)
    return [kind for kind, _ in problems]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("traceback", "traceback"),
        ("thread", "traceback"),
        ("input", "input changed"),
        ("mode", "input changed"),
        ("deleted", "input changed"),
        ("beside", "written outside --out"),
        ("temporary", "temporary file left"),
        ("asleep", "hang"),
        ("busy", "hang"),
        ("memory", "memory"),
        ("signal", "signal"),
        ("silence", "no message"),
        ("unnamed", "not named"),
        ("70", "fault of ours"),
        ("3", "undocumented exit code"),
    ],
)
def test_a_planted_fault_is_found(planted, tmp_path, fault, kind):
    assert kind in _found(planted, tmp_path, fault)


def test_a_process_left_running_is_found_and_ended(planted, tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.processes._GRACE_SECONDS", 0.2)
    assert _found(planted, tmp_path, "orphan") == ["processes left running"]


def test_a_call_that_overlooks_what_nothing_can_read_is_found(planted, tmp_path):
    assert _found(planted, tmp_path, "well", must_fail=True) == ["accepted in silence"]


@pytest.mark.parametrize("fault", ["well", "1", "2"])
def test_a_right_answer_and_a_sentence_are_no_faults(planted, tmp_path, fault):
    assert _found(planted, tmp_path, fault) == []


def test_python_keeps_no_cut_bytecode_of_a_call_on_a_full_disk(tmp_path):
    program = tmp_path / "imports.py"
    program.write_text("import large\n")
    (tmp_path / "large.py").write_text("VALUES = " + repr(list(range(9000))) + "\n")
    case = replace(_case(tmp_path / "case", "well", False), file_size=6000)
    outcome, _ = Campaign(0, tmp_path).check(case, FreshRunner([sys.executable, str(program)]))
    assert outcome.code == 0, outcome.stderr
    assert not list(tmp_path.glob("__pycache__/*"))


def test_every_command_has_good_calls():
    assert {call.command for call in CALLS} == set(all_commands())


def _hashes(case):
    files = sorted(path for path in case.root.rglob("*") if path.is_file() and path.stat().st_size < 10**8)
    return {str(path.relative_to(case.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_case_is_the_same_every_time(tmp_path):
    only = ["data synthesize", "weights list", "doctor", "export", "weights convert", "option", "output"]
    made = []
    for folder in (tmp_path / "first", tmp_path / "second of another length"):
        good = GoodInputs(folder / "good", 5)
        cases = [make_case(5, number, folder / f"case-{number}", good, only) for number in range(12)]
        made.append([(case.kind, case.what, case.command_line, case.must_fail, _hashes(case)) for case in cases])
    assert made[0] == made[1]
    assert len({what for _, what, *_ in made[0]}) > 6


def test_a_failure_is_printed_with_the_command_that_repeats_it_and_exits_with_1(tmp_path):
    program = tmp_path / "broken.py"
    program.write_text("raise KeyError('planted')\n")
    done = subprocess.run(
        [sys.executable, _TOOLS / "fuzz_inputs.py", "--seed", "3", "--count", "2", "--only", "weights list",
         "--keep", tmp_path / "kept", "--program", f"{sys.executable} -S {program}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "traceback: KeyError: 'planted'" in done.stdout
    assert "again: python tools/fuzz_inputs.py --seed 3 --case 1 --only 'weights list'" in done.stdout
    assert "2 failures in 2 cases" in done.stdout
    assert (tmp_path / "kept" / "seed-3-case-1" / "a" / "b" / "stderr.txt").read_text().startswith("Traceback")


@pytest.fixture(scope="module")
def warm():
    runner = WarmRunner()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    # Few calls load a network here: the whole suite has to fit in ten minutes.
    cheap = sorted({call.command for call in CALLS if call.cost <= 1})
    return Campaign(11, tmp_path_factory.mktemp("fuzz"), [*cheap, "data check", *KINDS])


@pytest.mark.slow
def test_good_calls_are_answered_well(campaign, warm):
    good = GoodInputs(campaign.folder / "good", campaign.seed)
    wrong = {}
    for number, call in enumerate(CALLS):
        if call.cost <= 1:
            case = make_good_case(call, campaign.folder / f"good-{number}", good)
            wrong[call.command, call.arguments] = campaign.check(case, warm)[1]
    assert {call: problems for call, problems in wrong.items() if problems} == {}


@pytest.mark.slow
def test_bad_inputs_are_answered_by_a_sentence(campaign, warm):
    told = []
    tally = campaign.run(range(12), [warm], lambda failure: told.append(shown_failure(failure, campaign, ["--warm"])))
    assert sum(tally.cases.values()) == 12
    assert not tally.failures, "\n".join([*told, shown_tally(tally)])
