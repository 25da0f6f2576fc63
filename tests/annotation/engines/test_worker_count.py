"""How many processes, and what share of the cores each takes."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from networks import SMALL_CONFIG

from ava_detect.annotation import folder
from ava_detect.annotation.engines import worker_count as workers
from ava_detect.annotation.engines.base import Limits
from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.annotation.engines.worker_count import sensible_workers
from ava_detect.annotation.preflight import NetworkFacts
from ava_detect.annotation.settings import AnnotateSettings, RunOptions
from ava_detect.config import Config

GIB = 1 << 30


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is asked for by sysconf")
@pytest.mark.parametrize(
    ("cores", "gib", "videos", "device", "expected"),
    [
        (8, 64, 100, "cpu", 8),  # a core each
        (8, 10, 100, "cpu", 8),
        (8, 6, 100, "cpu", 4),  # 3 GB, and 1 GB for each fork
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
    monkeypatch.setattr(workers, "can_fork", lambda: True)
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert sensible_workers(videos, device) == expected


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="memory is asked for by sysconf")
@pytest.mark.parametrize(("gib", "expected"), [(2, 1), (5, 1), (6, 2), (10, 3), (64, 8)])
def test_workers_that_share_no_memory_take_3_gb_each(monkeypatch, gib, expected):
    sizes = {"SC_PHYS_PAGES": gib * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert sensible_workers(100, "cpu") == expected


@pytest.fixture
def asked_for(monkeypatch):
    """Tells what a folder run asks of its engine and its work; nothing is started."""
    asked = {}

    def build(name, number, cluster, limits, device):
        asked.update(number=number, cores=cluster.cores)
        return SimpleNamespace(cores_per_worker=cluster.cores, servers=None)

    def run(num_videos, **options):
        work = folder._engine_work(SETTINGS, Path("out"), num_videos, RunOptions(**options), FACTS)
        return asked | {"threads": work.work.num_threads}

    monkeypatch.setattr(folder, "build_engine", build)
    return run


FACTS = NetworkFacts({"sha256": None}, "cpu", "fp32")


SETTINGS = AnnotateSettings(
    config=Config.model_validate(SMALL_CONFIG), weights="random", detector=None, min_person_score=None, device="cpu",
    precision="auto", every_seconds=1.0, min_score=0.0, start_seconds=0.0, formats=("csv",), draw=False,
)  # fmt: skip


@pytest.mark.parametrize(("cores", "processes", "share"), [(8, 2, 4), (2, 2, 1), (2, 3, 1), (7, 2, 3)])
@pytest.mark.parametrize("num_videos", [1, 100])
def test_a_folders_workers_share_the_cores_however_many_videos_are_left(
    monkeypatch, asked_for, cores, processes, share, num_videos
):
    monkeypatch.setattr(folder, "usable_cores", lambda: cores)
    asked = asked_for(num_videos, workers=processes)
    assert asked == {"number": processes, "cores": share, "threads": share}


def test_one_worker_that_is_watched_has_the_threads_of_one_that_is_not(asked_for):
    watched = asked_for(3, workers=1, limits=Limits())
    assert (watched["number"], watched["threads"]) == (1, None)
    with_cores = asked_for(3, workers=1, cluster=ClusterSettings(cores=3))
    assert (with_cores["cores"], with_cores["threads"]) == (3, 3)
