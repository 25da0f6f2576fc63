"""No error ends a command with a traceback: each is one sentence with an exit code, and the unexpected has a report."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from pathlib import Path

import pytest
from processes import ava_detect

from ava_detect.errors import ConfigError, StoreError, os_error_message

FAULTS = {
    "a fault of ours": (ZeroDivisionError("division by zero"), 70, "a fault in ava_detect itself"),
    "a bug that says nothing": (AssertionError(), 70, "AssertionError"),
    "a message of many lines": (TypeError("one\ntwo\nthree"), 70, "(TypeError: one)"),
    "a message of any length": (TypeError("x" * 100_000), 70, "xxx"),
    "memory": (MemoryError(), 1, "not enough memory"),
    "torch's memory": (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 TB"), 1, "not enough memory"),
    "deep": (RecursionError("maximum recursion depth exceeded"), 1, "nested too deeply"),
    "large": (OverflowError("Python int too large to convert to C long"), 1, "too large"),
    "encoding": (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 1, "save it as UTF-8"),
    "a library's OSError": (OSError("cannot identify image file"), 1, "cannot identify image file"),
}


@pytest.fixture
def failing(monkeypatch, tmp_path, cache):
    """Makes ``evaluate`` raise an error."""

    def fail_with(error):
        def evaluate_runs(*_, **__):
            raise error

        monkeypatch.setattr("ava_detect.evaluation.runs.evaluate_runs", evaluate_runs)
        return ("evaluate", "--ground-truth", tmp_path / "gt.csv", "--detections", tmp_path / "det.csv")

    return fail_with


@pytest.mark.parametrize("name", list(FAULTS))
def test_the_unexpected_is_a_sentence_and_a_report(run_cli, failing, cache, name):
    error, expected, message = FAULTS[name]
    code, out, err = run_cli(*failing(error))
    assert (code, out) == (expected, "")
    assert message in err
    assert "Traceback" not in err
    assert err.startswith("ava-detect: ")
    assert err.count("\n") == 1
    assert len(err) < 1000
    report = Path(re.search(r"the full report is in (\S+)", err)[1])
    assert report.parent == cache / "reports"
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text()
    assert "Traceback" in text
    assert "evaluate --ground-truth" in text
    assert '"torch"' in text


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (ConfigError("`label_map` is wrong; mend it"), 2, "--label-map is wrong; mend it"),
        (StoreError("the store is away"), 1, "the store is away"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/a.csv"),
            1,
            "/x/a.csv: No space left on device; make room",
        ),
        (RuntimeError("Symlink loop from '/a/b'"), 1, "/a/b: Too many levels of symbolic links; its symbolic"),
        (
            PermissionError(errno.EACCES, "Permission denied", "a\nb"),
            1,
            r"a\nb: Permission denied; check the permissions",
        ),
    ],
)
def test_the_expected_has_no_report(run_cli, failing, cache, error, expected, message):
    code, _, err = run_cli(*failing(error))
    assert (code, err.count("\n")) == (expected, 1)
    assert message in err
    assert not (cache / "reports").exists()


@pytest.mark.parametrize("error", [ConfigError("wrong"), ZeroDivisionError("x")])
def test_the_traceback_is_shown_where_it_is_asked_for(run_cli, failing, monkeypatch, error):
    monkeypatch.setenv("AVA_DETECT_DEBUG", "1")
    _, _, err = run_cli(*failing(error))
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("ava-detect: ")


def test_secrets_do_not_get_into_the_report(run_cli, failing, cache, monkeypatch):
    monkeypatch.setenv("MY_SECRET_TOKEN", "geheimnis123")
    run_cli(*failing(RuntimeError("https://user:pass@host/x?sig=abc geheimnis123")))
    (report,) = (cache / "reports").iterdir()
    for secret in ("geheimnis123", "pass@", "sig=abc"):
        assert secret not in report.read_text()


def test_a_report_that_cannot_be_written_is_no_second_fault(run_cli, failing, cache, monkeypatch, tmp_path):
    cache.write_text("a file where the cache should be")
    code, _, err = run_cli(*failing(ZeroDivisionError("x")))
    assert code == 70
    assert re.search(r"the full report is in \S*/fault-\S+\.txt", err)
    monkeypatch.setattr("tempfile.tempdir", str(cache))
    code, _, err = run_cli(*failing(ZeroDivisionError("x")))
    assert code == 70
    assert "AVA_DETECT_DEBUG=1 shows it" in err


def test_every_error_of_the_system_has_a_reason_and_an_advice():
    for number in errno.errorcode:
        message = os_error_message(OSError(number, os.strerror(number), "file"))
        assert re.fullmatch(r"file: .+; .+", message)
    assert os_error_message(OSError(errno.EIO, "Input/output error", b"\xff")).startswith(r"\udcff: Input/output error")


def test_names_that_no_terminal_can_show_are_printed(run_cli, tmp_path):
    name = os.fsdecode(b"caf\xe9\n\x1b[31m.csv")
    code, _, err = run_cli("evaluate", "--ground-truth", tmp_path / name, "--detections", tmp_path / "x.csv")
    assert code == 2
    assert r"caf\udce9\n\x1b[31m.csv" in err


# What a shell does to a command: each in a fresh process, on a command that needs no torch.
def _run(*arguments, **options):
    return subprocess.run(
        ava_detect(*arguments), stderr=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL, **options
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = _run("--version", stdout=full)
    assert done.returncode == 1
    assert "the standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    done = _run("weights", "list", stdout=writer)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_a_terminal_of_few_letters():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = _run("evaluate", "--ground-truth", "日本.csv", "--detections", "x", stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 2
    assert r"\u65e5\u672c.csv" in done.stderr
