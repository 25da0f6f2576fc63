"""Iterators that are still open when the interpreter ends: the process ends all the same, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from videos import write_numbered_video

SUPPORT = Path(__file__).resolve().parents[1] / "support"
_ENDLESS = """
import itertools, sys, threading, time
from ava_detect.inference.prefetch import ordered_map, prefetch

def items():
    for number in itertools.count():
        time.sleep(0.01)
        yield number

def passed_on(items):
    yield from items

def slow(number):
    time.sleep(0.02)
    return number
"""
_OPEN = {
    "prefetch": "run = prefetch(items(), 2)",
    "two in a row": "run = prefetch(passed_on(prefetch(items(), 2)), 2)",
    "map": "run = ordered_map(slow, items(), 2, int)",
    "a pipeline's stages": "run = ordered_map(slow, prefetch(passed_on(prefetch(items(), 2)), 1), 2, int)",
}
_WAYS_TO_END = {
    "the loop was left": ("for number in run: break", 0),
    "an error holds the run": ("for number in run: 1 / 0", 1),
    "sys.exit in the loop": ("for number in run: sys.exit(3)", 3),
    "nothing was taken": ("", 0),
    "a thread still takes": ("threading.Thread(target=list, args=(run,), daemon=True).start(); time.sleep(0.1)", 0),
}


def end_of(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program that must end; the limit only ends tests that would hang."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("way", _WAYS_TO_END)
@pytest.mark.parametrize("what", _OPEN)
def test_an_open_iterator_does_not_keep_the_process(what, way):
    loop, code = _WAYS_TO_END[way]
    ended = end_of(f"{_ENDLESS}\n{_OPEN[what]}\n{loop}\nprint('last line')")
    assert ended.returncode == code, ended.stderr
    assert ("last line" in ended.stdout) == (code == 0)
    assert ("ZeroDivisionError" in ended.stderr) == (code == 1)


def test_a_thread_that_takes_items_is_not_told_that_they_ended():
    """A consumer that writes results must not take the end of the interpreter for the end of the video."""
    script = _ENDLESS + (
        "run = prefetch(passed_on(prefetch(items(), 2)), 2)\n"
        "def take():\n"
        "    for number in run: pass\n"
        "    print('complete', flush=True)\n"
        "threading.Thread(target=take, daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    ended = end_of(script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_thread_that_is_no_daemon_goes_on_to_its_end():
    """Python waits for such a thread, in which threads must still start and work."""
    script = _ENDLESS + (
        "from itertools import islice\n"
        "def take():\n"
        "    time.sleep(0.2)\n"
        "    print(len(list(ordered_map(slow, prefetch((n for n in range(9)), 2), 2, int))), flush=True)\n"
        "threading.Thread(target=take).start()\n"
    )
    ended = end_of(script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "9\n", "")


def test_threads_that_do_not_end_are_left_behind():
    script = _ENDLESS + (
        "from ava_detect.inference import background\n"
        "background._EXIT_SECONDS = 0.1\n"
        "def stuck():\n"
        "    yield 1\n"
        "    time.sleep(1000)\n"
        "run = prefetch(stuck(), 1)\n"
        "print(next(run))\n"
        "time.sleep(0.1)\n"
    )
    ended = end_of(script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


def test_a_run_of_a_pipeline_that_was_left_early(tmp_path):
    script = f"""
import sys, torch
sys.path.insert(0, {str(SUPPORT)!r})
from fixed_detector import FixedDetector
from ava_detect.config import load_config
from ava_detect.config.build import build_model, label_map_of
from ava_detect.inference.pipeline import Pipeline

torch.set_num_threads(2)  # so that clips are scored in threads
config = load_config("demo")
detector = FixedDetector([0.1, 0.1, 0.5, 0.9])
pipeline = Pipeline(detector, build_model(config), label_map=label_map_of(config), every_seconds=0.2)
for keyframe in (run := pipeline(sys.argv[1])):
    break
print("last line")
"""
    video = write_numbered_video(tmp_path / "long.mp4", [i / 25 for i in range(250)])
    ended = end_of(script, video)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "last line\n", "")


@pytest.mark.parametrize("shared", [False, True], ids=["own networks", "servers"])
def test_an_engine_whose_run_was_left_early_ends_its_processes(shared, tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(SUPPORT)!r})
from pathlib import Path
from ava_detect.annotation.engines.base import Servers
from ava_detect.annotation.engines.local import LocalEngine
from stub_work import Asking, Squares, Stub

folder = Path(sys.argv[1])
if {shared}:
    run = LocalEngine(2, servers=Servers(2)).run(Asking(), [3, "hangs", 4, 5], None, Squares(folder))
else:
    run = LocalEngine(2).run(Stub(folder), ["item", "hang_1", "hang_2", "hang_3"])
print(next(run).result)
"""
    ended = end_of(script, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "9\n" if shared else "ITEM\n", "")
