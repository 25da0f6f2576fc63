"""The engine that was asked for, with as many workers as fit; contradictory settings are refused."""

from __future__ import annotations

import pytest

from ava_detect.annotation.engines import settings as engine_settings
from ava_detect.annotation.engines.base import Limits, Outcome, Servers
from ava_detect.annotation.engines.local import LocalEngine
from ava_detect.annotation.engines.settings import ClusterSettings, build_engine, cluster_of
from ava_detect.errors import ConfigError
from ava_detect.results.manifest import VideoRecord


@pytest.fixture
def sixteen_cores(monkeypatch):
    monkeypatch.setattr(engine_settings, "usable_cores", lambda: 16)


@pytest.mark.parametrize(
    ("cluster", "device", "workers"),
    [
        (ClusterSettings(models=1), "cuda", 15),
        (ClusterSettings(models=2, model_cores=3), "cuda", 10),
        (ClusterSettings(models=4, model_cores=2, cores=3), "cpu", 2),
        (ClusterSettings(models=20), "cpu", 1),
    ],
)
def test_workers_get_the_cores_that_models_leave(sixteen_cores, cluster, device, workers):
    engine = build_engine("local", "auto", cluster, None, device)
    assert isinstance(engine, LocalEngine)
    assert engine.workers == workers
    assert engine.servers == Servers(cluster.models, cluster.model_cores)


def test_without_models_every_worker_has_its_own(sixteen_cores):
    assert build_engine("local", 3, None, Limits(), "cpu").servers is None
    assert cluster_of(cores=None, gpus=None, address=None) is None
    assert cluster_of(cores=2, gpus=None, address=None, models=1, model_cores=4) == ClusterSettings(
        2, models=1, model_cores=4
    )


def test_gpus_are_those_of_the_models_where_there_are_any():
    pytest.importorskip("ray", reason="Ray is not installed (the extra [ray])")
    engine = build_engine("ray", None, ClusterSettings(gpus=0.5, models=2), None, "auto")
    assert engine.servers == Servers(2, 1, 0.5)
    assert build_engine("ray", None, ClusterSettings(models=2), None, "cpu").servers == Servers(2, 1, 0.0)


@pytest.mark.parametrize(
    ("name", "workers", "settings", "message"),
    [
        ("local", None, {"models": 0}, "`models` is at least 1, each with at least 1 core, got 0 and 1"),
        (
            "local",
            None,
            {"models": 2, "model_cores": 0},
            "`models` is at least 1, each with at least 1 core, got 2 and 0",
        ),
        ("local", None, {"model_cores": 2}, "`model_cores=2` is for `models`, of which there are none"),
        ("local", 2, {"models": 3}, "`models=3` for 2 workers: each of them asks one at a time"),
        ("ray", 1, {"models": 2}, "`models=2` for 1 workers"),
        ("local", None, {"models": 1, "gpus": 1.0}, "`address` and `gpus` are for `engine=ray`"),
    ],
)
def test_contradictory_settings_are_refused(name, workers, settings, message):
    with pytest.raises(ConfigError, match=message):
        build_engine(name, workers, ClusterSettings(**settings), None, "cpu")


def test_what_a_video_adds_to_rays_counters():
    record = VideoRecord("a", "a.mp4", "done", num_keyframes=4, num_people=3, num_boxes=9, seconds={"decode": 1.5})
    assert engine_settings._counter_amounts(Outcome("a", record)) == {
        "ava_detect_videos_done": 1.0,
        "ava_detect_keyframes": 4,
        "ava_detect_people": 3,
        "ava_detect_boxes": 9,
        "ava_detect_decode_seconds": 1.5,
    }
    assert engine_settings._counter_amounts(Outcome("a", None, "it broke")) == {"ava_detect_videos_failed": 1.0}
