"""Memory that was freed goes back to the system, and not at every clip."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from networks import lively_model
from processes import run_python

from ava_detect.inference import freed_memory
from ava_detect.inference.freed_memory import INTERVAL_SECONDS, FreedMemory
from ava_detect.inference.scorer import Scorer
from ava_detect.structures import Clip, PersonBoxes

# 200 MB in blocks that the C library takes from its heap, with one at the end that keeps the others below it.
HELD = """
import numpy as np
from ava_detect.inference import freed_memory

def resident_mib():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

freed_memory.INTERVAL_SECONDS = 0
memory = freed_memory.FreedMemory()
blocks = [np.ones(8000) for _ in range(3200)]
del blocks[:-1]
before = resident_mib()
assert memory.give_back()
print(before - resident_mib())
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(freed_memory.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the resident size is read from /proc")
@pytest.mark.skipif(freed_memory._malloc_trim() is None, reason="this C library has no malloc_trim")
def test_holes_in_the_heap_are_given_back():
    assert float(run_python(HELD).stdout) > 150


def test_it_is_done_now_and_then(clock, monkeypatch):
    calls = []
    monkeypatch.setattr(freed_memory, "_malloc_trim", lambda: lambda pad: calls.append(clock[0]))
    memory = FreedMemory()
    for _ in range(7):
        clock[0] += INTERVAL_SECONDS / 2
        memory.give_back()
    assert calls == [100 + INTERVAL_SECONDS * number for number in (1, 2, 3)]


def test_other_systems_are_left_alone(clock, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    memory = FreedMemory()
    clock[0] += INTERVAL_SECONDS
    assert not memory.give_back()


def test_a_scorer_gives_back_after_each_call(monkeypatch):
    calls = []
    monkeypatch.setattr(FreedMemory, "give_back", lambda self: calls.append(1))
    scorer = Scorer(lively_model())
    clip = Clip(np.zeros((8, 32, 48, 3), np.uint8), 1.0, 4)
    people = PersonBoxes(np.array([[2, 2, 20, 30]], np.float32), np.ones(1, np.float32))
    for _ in range(2):
        scorer.score([clip], [people])
    assert len(calls) == 2
