"""A checkpoint of a plain ViT in UMT's layout, through the whole product: nothing asks what the backbone is."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from annotate_inputs import BOX, write_boxes
from networks import lively_model
from tolerances import FP32_SCORES
from videos import constant_rate, write_numbered_video

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.explain import explain
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config import Config
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.models.weights.key_map import FAMILIES
from ava_detect.video.clip_sampler import sample_clip
from ava_detect.video.transforms import normalize

CONFIG = Config.model_validate(
    {
        "model": {
            "backbone": {"kind": "vit", "width": 24, "depth": 2, "heads": 3, "tubelet": 1, "grid": [8, 3, 3]},
            "roi": {"aligned": False, "box_rule": "alphaction", "extension": [0.1, 0.05]},
            "head": {"score": "action_x_person"},
        },
        "clip": {
            "num_frames": 8,
            "sampling_fps": 25.0,
            "frame_offsets": [-29, -21, -13, -5, 3, 11, 19, 27],
            "short_side": 40,
        },
    }
)
PERSON_SCORE = 0.9
NUM_SECONDS = 3


@pytest.fixture
def network():
    return lively_model(**CONFIG.model_dump(mode="json", include={"model", "clip"}))


@pytest.fixture
def work(tmp_path, network):
    """Two videos whose sides 16 does not divide, a person on each second, and weights as UMT's trainer writes them."""
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        write_numbered_video(
            tmp_path / "videos" / f"{name}.mp4", constant_rate(30 * NUM_SECONDS, 30), width=94, height=62
        )
    rows = [(name, second, BOX) for name in ("a", "b") for second in range(NUM_SECONDS)]
    write_boxes(tmp_path / "boxes.csv", rows, PERSON_SCORE)
    state = {FAMILIES["videomae"].to_theirs(name): tensor for name, tensor in network.state_dict().items()}
    torch.save({"model": state, "epoch": 3, "args": argparse.Namespace(lr=1e-3)}, tmp_path / "umt.pth")
    return tmp_path


def expected_scores(network, path, second):
    """Of the person on one second, from the network itself and the rules in words."""
    clip = sample_clip(path, second, network.clip_settings)
    width, height = clip.width, clip.height
    x1, y1, x2, y2 = np.array(BOX) * [width, height, width, height]
    rois = torch.tensor([[0, x1, y1, x2, y2]], dtype=torch.float32)
    inputs = normalize(clip.frames, network.clip_settings.mean, network.clip_settings.std)[None]
    with torch.inference_mode():
        return network(inputs, rois).sigmoid().numpy()[0] * PERSON_SCORE


@pytest.mark.parametrize("workers", [None, 2])
def test_annotate_gives_the_network_s_scores_times_the_person_s(work, network, workers):
    annotate_videos(
        work / "videos",
        work / "out",
        config=CONFIG,
        weights=work / "umt.pth",
        boxes=work / "boxes.csv",
        workers=workers,
        min_score=0.0,
        formats=("csv",),
    )
    for name in ("a", "b"):
        table = read_ava_csv(work / "out" / f"{name}.csv")
        assert sorted({*table.timestamps_seconds}) == [0, 1, 2]
        for second in range(NUM_SECONDS):
            of_second = np.flatnonzero(table.timestamps_seconds == second)
            by_action = of_second[np.argsort(table.action_ids[of_second])]
            assert table.action_ids[by_action].tolist() == list(range(1, 81))
            expected = expected_scores(network, work / "videos" / f"{name}.mp4", second)
            np.testing.assert_allclose(table.scores[by_action], expected, atol=FP32_SCORES)


def test_explain_shows_every_time_step(work):
    settings = AnnotateSettings(CONFIG, str(work / "umt.pth"), f"boxes:{work / 'boxes.csv'}")
    found = explain(work / "videos" / "a.mp4", 1, work / "cam.png", settings)
    (tokens,) = found.attention.pathways
    assert (tokens.pathway, tokens.frames) == ("tokens", tuple(range(8)))
    assert tokens.heat.shape == (8, 3, 4)
    assert found.attention.logit == pytest.approx(tokens.contribution + found.attention.bias, abs=1e-4)
    assert found.score == pytest.approx(PERSON_SCORE * found.attention.score, abs=FP32_SCORES)
