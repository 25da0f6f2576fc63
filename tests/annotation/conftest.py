"""Workers that start in no time."""

from __future__ import annotations

import multiprocessing

import pytest
from warm_workers import use_warm_workers

from ava_detect.annotation.engines import watched_process


@pytest.fixture(scope="module")
def warm_workers():
    """The workers of this module's runs need not load PyTorch: see ``warm_workers``."""
    with pytest.MonkeyPatch.context() as patch:
        use_warm_workers(patch)
        yield


@pytest.fixture
def cold_workers(warm_workers, monkeypatch):
    """Those of this test start as they do for users all the same."""
    monkeypatch.setattr(watched_process, "multiprocessing", multiprocessing)
