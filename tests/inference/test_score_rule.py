"""``head.score``: the score of a detection is its action's, that times the person's, or a softmax over the actions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fixed_detector import FixedDetector
from hypothesis import given
from hypothesis import strategies as st
from networks import SMALL_CONFIG, lively_model
from tolerances import AVERAGED_SCORES, FLOAT32_SCORES
from videos import constant_rate, write_numbered_video

from ava_detect.config import Config, HeadConfig
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.models.heads import detection_scores
from ava_detect.structures import Clip, PersonBoxes

PEOPLE = ((0.1, 0.2, 0.5, 0.9), (0.4, 0.1, 0.9, 0.8), (0, 0, 1, 1))
PERSON_SCORES = (0.9, 0.45, 0.3)
PRODUCT = {"model": SMALL_CONFIG["model"] | {"head": {"score": "action_x_person"}}}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("rule") / "a.mp4"
    return write_numbered_video(path, constant_rate(80, 30), width=96, height=64)


def test_both_rules_by_hand():
    # The sigmoid of 0 is 1/2, of log(3) it is 3/4.
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
    people = torch.tensor([0.8, 1.0])
    action = detection_scores(logits, people, "action")
    torch.testing.assert_close(action, torch.tensor([[0.5, 0.75], [0.75, 0.5]]))
    product = detection_scores(logits, people, "action_x_person")
    torch.testing.assert_close(product, torch.tensor([[0.4, 0.6], [0.75, 0.5]]))


def test_a_softmax_by_hand_in_the_pipeline(video):
    # exp(0), exp(log 3): 1/4 and 3/4, whoever the person is.
    logits = torch.tensor([[0.0, math.log(3)]])
    scores = detection_scores(logits, torch.tensor([0.5]), "softmax")
    torch.testing.assert_close(scores, torch.tensor([[0.25, 0.75]]))
    model = {"model": SMALL_CONFIG["model"] | {"head": {"score": "softmax"}}}
    action, softmax = scores_of(video, lively_model()), scores_of(video, lively_model(**model))
    np.testing.assert_allclose(softmax.sum(axis=2), 1, atol=1e-5)
    odds = action.astype(np.float64) / (1 - action)  # the sigmoid's, exp(logit)
    np.testing.assert_allclose(softmax, odds / odds.sum(axis=2, keepdims=True), rtol=1e-3)


def test_the_background_takes_its_share_of_the_softmax():
    # exp(0) of the background, exp(log 3) and exp(0): 1/5 is left out, and so a person may do nothing.
    logits = torch.tensor([[math.log(3), 0.0], [-30.0, -30.0]])
    scores = detection_scores(logits, torch.tensor([0.5, 0.5]), "softmax_with_background")
    torch.testing.assert_close(scores, torch.tensor([[0.6, 0.2], [0.0, 0.0]]))


@given(st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 1)), max_size=5))
def test_a_product_is_at_most_either_factor(pairs):
    logits = torch.tensor([[logit] for logit, _ in pairs]).reshape(-1, 1)
    people = torch.tensor([person for _, person in pairs])
    product = detection_scores(logits, people, "action_x_person")
    assert product.shape == logits.shape
    assert bool((product <= logits.sigmoid()).all() and (product <= people[:, None]).all())


def scores_of(video, model, scores=PERSON_SCORES, *, scales=(), flip=False, clips_per_batch=1):
    scorer = Scorer(model, flip=flip, clips_per_batch=clips_per_batch)
    pipeline = Pipeline(FixedDetector(*PEOPLE, scores=scores), scorer, scales=scales)
    keyframes = list(pipeline(video))
    assert len(keyframes) == 3
    for keyframe in keyframes:
        np.testing.assert_array_equal(keyframe.person_scores, np.float32(scores))
    return np.stack([keyframe.action_scores for keyframe in keyframes])  # [3 keyframes, 3 people, 80]


@pytest.mark.parametrize(
    "run",
    [{}, {"flip": True}, {"scales": (32, 48)}, {"flip": True, "scales": (32, 48)}, {"clips_per_batch": 3}],
    ids=["one view", "flip", "scales", "flip and scales", "batch"],
)
def test_the_product_is_of_each_person_in_every_way_of_running(video, run):
    action, product = (scores_of(video, lively_model(**changes), **run) for changes in ({}, PRODUCT))
    expected = action * np.float32(PERSON_SCORES)[None, :, None]
    np.testing.assert_allclose(product, expected, atol=AVERAGED_SCORES)
    assert np.abs(product - action).max() > 0.1


def test_a_box_without_a_score_counts_as_it_is(video, tmp_path):
    rows = [f"a,1,{','.join(map(str, box))}" for box in PEOPLE]
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "truth.csv").write_text("\n".join(f"{row},12,{n}" for n, row in enumerate(rows)) + "\n")
    for people in (
        PrecomputedBoxes(tmp_path / "boxes.csv"),
        PrecomputedBoxes(tmp_path / "truth.csv", last_column="person_id"),
    ):
        found = [
            next(iter(Pipeline(people, lively_model(**changes))(video, at_seconds=[1.0]))) for changes in ({}, PRODUCT)
        ]
        assert found[0].person_scores.tolist() == [1, 1, 1]
        np.testing.assert_array_equal(found[0].action_scores, found[1].action_scores)


def test_people_of_several_clips_keep_their_own_scores():
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), dtype=np.uint8)
    clips = [Clip(np.roll(frames, shift, axis=2), float(shift), 4) for shift in range(3)]
    boxes = np.array([[2, 3, 20, 30], [5, 0, 40, 32]], np.float32)
    people = [PersonBoxes(boxes, [0.5, 1.0]), PersonBoxes.empty(), PersonBoxes(boxes[:1], [0.25])]
    action, product = (
        Scorer(lively_model(**changes), clips_per_batch=2).score(clips, people) for changes in ({}, PRODUCT)
    )
    for plain, times, of in zip(action, product, people, strict=True):
        np.testing.assert_allclose(times, plain * of.scores[:, None], atol=FLOAT32_SCORES)


def test_the_rule_travels_with_the_network_and_is_no_classifiers():
    assert lively_model().head.score == "action"
    assert lively_model(**PRODUCT).head.score == "action_x_person"
    with pytest.raises(ValueError, match="score belongs to detection heads: a clip has no person"):
        Config.model_validate({"model": {"task": "classification", "head": {"score": "action_x_person"}}})
    with pytest.raises(ValueError, match="'action', 'action_x_person', 'softmax' or 'softmax_with_background'"):
        HeadConfig(score="product")
