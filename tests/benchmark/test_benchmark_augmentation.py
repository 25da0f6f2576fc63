"""Flip and scales: what the network is shown, and that its scores are averaged. Networks whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fixed_detector import FixedDetector
from networks import lively_model
from tolerances import AVERAGED_SCORES, BOX_FRACTIONS
from videos import constant_rate, write_frames, write_numbered_video

from ava_detect.errors import ConfigError
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.structures import ClipSettings
from ava_detect.structures.labels import Action, LabelMap

ONE_ACTION = LabelMap((Action(1, "one"),))
BOX = (0.25, 0.25, 0.5, 0.75)


class Answering(torch.nn.Module):
    """A network whose logit for each person is ``answer(clip, roi)``."""

    def __init__(self, answer):
        super().__init__()
        self.clip_settings = ClipSettings(num_frames=4, sampling_rate=2, short_side=32, mean=(0, 0, 0), std=(1, 1, 1))
        self.head = SimpleNamespace(num_classes=1)
        self.answer = answer

    def forward(self, clips, rois):
        return torch.stack([self.answer(clips[int(roi[0])], roi[1:]) for roi in rois])[:, None]


@pytest.fixture(scope="module")
def half_white(tmp_path_factory):
    """64x48 pixels, black on the left, white on the right."""
    path = tmp_path_factory.mktemp("augmentation") / "half.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:] = 255
    return write_frames(path, 20 * [image])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def score(video, answer, flip=False, **settings):
    pipeline = Pipeline(FixedDetector(BOX), Scorer(Answering(answer), flip=flip), label_map=ONE_ACTION, **settings)
    (keyframe,) = list(pipeline(video, at_seconds=[0.2]))
    np.testing.assert_allclose(keyframe.boxes_fraction, [BOX], atol=BOX_FRACTIONS)
    return float(keyframe.action_scores[0, 0])


def left_edge(clip, roi):
    return roi[0] / 10


def brightness(clip, roi):
    x1, y1, x2, y2 = roi.round().int().tolist()
    return clip[:, :, y1:y2, x1:x2].mean()


def test_boxes_are_mirrored(half_white):
    """At 42x32 the box lies from x 10.5 to 21; mirrored from 21 to 31.5."""
    np.testing.assert_allclose(score(half_white, left_edge), sigmoid(42 / 64 * 16 / 10), atol=AVERAGED_SCORES)
    wanted = (sigmoid(42 / 64 * 16 / 10) + sigmoid(42 / 64 * 32 / 10)) / 2
    np.testing.assert_allclose(score(half_white, left_edge, flip=True), wanted, atol=AVERAGED_SCORES)


def test_frames_are_mirrored_with_the_boxes(half_white):
    """The box lies in the black half; it still does when picture and box are both mirrored."""
    dark = score(half_white, brightness)
    # 0.02: the codec leaves black and white off by a few levels and blurs the edge between them.
    assert dark == pytest.approx(0.5, abs=0.02)
    assert score(half_white, brightness, flip=True) == pytest.approx(dark, abs=0.02)
    # What is at the left of the picture is black, and white in its mirror image.
    wanted = (sigmoid(0) + sigmoid(1)) / 2
    corner = score(half_white, lambda clip, roi: clip[..., :10].mean(), flip=True)
    assert corner == pytest.approx(wanted, abs=0.02)


def test_a_network_that_does_not_know_left_from_right_gives_the_same(half_white):
    def symmetric(clip, roi):
        return clip.mean() + (roi[3] - roi[1]) / 50

    assert score(half_white, symmetric, flip=True) == pytest.approx(score(half_white, symmetric), abs=AVERAGED_SCORES)


def test_every_scale_is_scored_with_its_own_boxes_and_the_mean_counts(half_white):
    """The logit is the clip's height over 100, then the box's height over 100: half of it."""
    heights = np.array([32, 48, 96])
    found = score(half_white, lambda clip, roi: torch.tensor(clip.shape[-2] / 100), scales=[32, 48, 96])
    np.testing.assert_allclose(found, sigmoid(heights / 100).mean(), atol=AVERAGED_SCORES)
    found = score(half_white, lambda clip, roi: (roi[3] - roi[1]) / 100, scales=[48, 96])
    np.testing.assert_allclose(found, sigmoid(np.array([24, 48]) / 100).mean(), atol=1e-4)


def test_scales_and_flip_together_are_all_views(half_white):
    seen = []

    def note(clip, roi):
        seen.append((clip.shape[-2], bool(clip[..., 0].mean() > 0.5)))
        return torch.tensor(0.0)

    score(half_white, note, scales=[32, 48], flip=True)
    assert sorted(seen) == [(32, False), (32, True), (48, False), (48, True)]


def test_the_networks_own_scale_alone_changes_nothing(tmp_path):
    """And several keyframes keep their order through several passes over the video."""
    video = write_numbered_video(tmp_path / "a.mp4", constant_rate(100, 30))
    model = lively_model()
    times = [0.0, 1.0, 2.5]
    plain = list(Pipeline(FixedDetector(BOX), model)(video, at_seconds=times))
    same = list(Pipeline(FixedDetector(BOX), model, scales=[32])(video, at_seconds=times))
    both = list(Pipeline(FixedDetector(BOX), model, scales=[48, 32], keyframes_per_batch=2)(video, at_seconds=times))
    other = list(Pipeline(FixedDetector(BOX), model, scales=[48])(video, at_seconds=times))
    assert [keyframe.timestamp_seconds for keyframe in both] == times
    for one, two, mixed, larger in zip(plain, same, both, other, strict=True):
        np.testing.assert_array_equal(one.action_scores, two.action_scores)
        np.testing.assert_allclose(
            mixed.action_scores, (one.action_scores + larger.action_scores) / 2, atol=AVERAGED_SCORES
        )


@pytest.mark.parametrize("scales", [[16], [224, 224]])
def test_scales_that_are_none_are_refused(scales):
    with pytest.raises(ConfigError, match="`scales` are short sides in pixels, each once and from 32 to 4096, got"):
        Pipeline(FixedDetector(BOX), lively_model(), scales=scales)
