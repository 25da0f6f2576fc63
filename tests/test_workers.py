"""How many processes, and what share of the cores each takes."""

from __future__ import annotations

import os

import pytest
import torch

from ava_detect import workers
from ava_detect.workers import sensible_workers

GIB = 1 << 30


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is asked for by sysconf")
@pytest.mark.parametrize(
    ("cores", "gib", "videos", "device", "expected"),
    [
        (8, 64, 100, "cpu", 8),  # a core each
        (8, 10, 100, "cpu", 3),  # 3 GB each
        (8, 64, 5, "cpu", 5),  # no more than videos
        (2, 1, 5, "cpu", 1),  # at least one
        (16, 64, 100, "cuda", 4),  # to decode for one GPU
        (64, 64, 100, "cuda", 4),
        (8, 2, 100, "cuda", 2),
        (2, 64, 100, "cuda", 1),
    ],
)
def test_as_many_processes_as_cores_memory_and_videos_warrant(monkeypatch, cores, gib, videos, device, expected):
    sizes = {"SC_PHYS_PAGES": gib * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert sensible_workers(videos, device) == expected


@pytest.mark.parametrize(("cores", "processes", "share"), [(8, 2, 4), (2, 2, 1), (2, 3, 1), (7, 2, 3)])
def test_network_and_detector_share_the_cores_with_the_other_processes(monkeypatch, cores, processes, share):
    started, detectors = [], []
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    monkeypatch.setattr(workers, "_pooled", lambda settings, videos, out, count, threads: started.append(threads) or [])
    monkeypatch.setattr(workers, "_end_with_parent", lambda: None)
    monkeypatch.setattr(workers, "_annotator", None, raising=False)
    monkeypatch.setattr(workers, "Annotator", lambda settings, num_threads: detectors.append(num_threads))
    before = torch.get_num_threads()
    list(workers.annotate_in_processes(None, [], None, processes))
    try:
        workers._start_worker(None, started[0])
        assert started == detectors == [torch.get_num_threads()] == [share]
    finally:
        torch.set_num_threads(before)
