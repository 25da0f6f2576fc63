"""A GPU that runs out of memory: a network that refuses batches above a size stands in for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import lively_model

from ava_detect.errors import AvaDetectWarning, ConfigError
from ava_detect.inference.scorer import Scorer
from ava_detect.structures import Clip, PersonBoxes

PEOPLE = PersonBoxes(np.array([[2, 2, 20, 30], [10, 5, 40, 31]], np.float32), np.ones(2, np.float32))


def clips_of(number: int) -> list[Clip]:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (number, 8, 32, 48, 3), np.uint8)
    return [Clip(clip, 1.0, 4) for clip in frames]


def limited(scorer: Scorer, most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the scorer's network refuse batches of more clips; the list gets the sizes that it was asked for."""
    sizes, consume = [], scorer.network.consume

    def consume_few(clip, rois):
        sizes.append(len(clip[0]))
        if len(clip[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return consume(clip, rois)

    monkeypatch.setattr(scorer.network, "consume", consume_few)
    return sizes


def test_a_batch_is_halved_until_it_fits_and_nothing_is_lost(monkeypatch):
    model, clips = lively_model(), clips_of(7)
    expected = Scorer(model, clips_per_batch=7).score(clips, [PEOPLE] * 7)
    scorer = Scorer(model, clips_per_batch=7)
    sizes = limited(scorer, 2, monkeypatch)
    with pytest.warns(AvaDetectWarning, match="too little free memory for 7 clips at once; going on with `clips_per_"):
        scores = scorer.score(clips, [PEOPLE] * 7)
    assert sizes == [7, 4, 2, 2, 2, 1]
    assert scorer.clips_per_batch == 2
    for one, other in zip(scores, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_clip_that_does_not_fit_is_said(monkeypatch):
    scorer = Scorer(lively_model())
    limited(scorer, 0, monkeypatch)
    with pytest.raises(ConfigError, match="too little free memory for one clip of 8 frames of 48 x 32"):
        scorer.score(clips_of(1), [PEOPLE])
