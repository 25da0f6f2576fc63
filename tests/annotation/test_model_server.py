"""Networks in other processes than the decoders: bit for bit the rows of workers with networks of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from annotate_inputs import objects_of_run, write_inputs
from networks import lively_model, save_pyslowfast

from ava_detect.annotation.engines.settings import ClusterSettings
from ava_detect.annotation.model_server import ModelServer, RemoteScorer
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config import load_config
from ava_detect.errors import ConfigError
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures import Clip, PersonBoxes

pytestmark = pytest.mark.usefixtures("warm_workers")
SECONDS = {"one": 3.2, "two": 1.0, "three": 2.5}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three short videos, no person on their second keyframe, and a network whose scores depend on what it sees."""
    folder = write_inputs(tmp_path_factory.mktemp("apart"), SECONDS, empty_seconds=[1])
    save_pyslowfast(lively_model(), folder / "lively.pth")
    return folder


@pytest.fixture(scope="module")
def expected(place):
    """Of one worker with its own network."""
    found = objects_of_run(place, place / "own", workers=1)
    rows = pd.read_parquet(place / "own" / "rows")
    assert rows.groupby(["video_id", "timestamp_seconds"])["action_score"].first().nunique() == 3, "clips score alike"
    return found


def test_a_shared_network_gives_the_objects_of_own_ones(place, expected, tmp_path):
    assert objects_of_run(place, tmp_path / "out", workers=2, cluster=ClusterSettings(models=1)) == expected


class _Asked:
    """What ``ModelServer`` answers, and what it was asked."""

    def __init__(self, service):
        self.requests = []
        self._service = service

    def __call__(self, request):
        self.requests.append(request)
        return self._service(request)


@pytest.fixture(scope="module")
def settings(place):
    return AnnotateSettings(
        config=load_config(place / "small.yaml"),
        weights=str(place / "lively.pth"),
        detector=None,
        min_person_score=None,
        device="cpu",
        precision="auto",
        every_seconds=1.0,
        min_score=0.0,
        start_seconds=0.0,
        formats=(),
        draw=False,
    )


def test_clips_without_people_are_not_sent(settings, place):
    ask = _Asked(ModelServer(settings, sha256_of(place / "lively.pth"), 1)(0))
    scorer = RemoteScorer(ask)
    assert (scorer.num_actions, scorer.clips_per_batch, scorer.clip_settings.short_side) == (80, 1, 32)
    clips = [Clip(np.full((8, 32, 40, 3), 50 * i, np.uint8), float(i), 4) for i in range(3)]
    people = PersonBoxes([[2, 3, 20, 30], [5, 0, 40, 32]], [0.9, 0.8])
    scores = scorer.score(clips, [PersonBoxes.empty(), people, PersonBoxes.empty()])
    assert [part.shape for part in scores] == [(0, 80), (2, 80), (0, 80)]
    assert [[clip.timestamp_seconds for clip in request[0]] for request in ask.requests[1:]] == [[1.0]]
    assert [part.shape for part in scorer.score(clips[:1], [PersonBoxes.empty()])] == [(0, 80)]
    assert len(ask.requests) == 2


def test_other_weights_than_those_of_the_run_are_refused(settings):
    with pytest.raises(ConfigError, match="is another file than where the run was started"):
        ModelServer(settings, "0" * 64, 1)(0)
