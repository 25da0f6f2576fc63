"""``explain``: the image that it writes, the choice of person and action, and errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from annotate_inputs import write_boxes
from networks import small_config_file
from PIL import Image
from tolerances import FP32_SCORES
from videos import constant_rate, write_numbered_video

from ava_detect.annotation.explain import explain
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.config import HeadConfig, load_config
from ava_detect.errors import AvaDetectError


@pytest.fixture
def settings(tmp_path: Path) -> AnnotateSettings:
    """A video of a second with two people in a box file, and a small untrained network."""
    write_numbered_video(tmp_path / "v.mp4", constant_rate(30, 30), width=160, height=96)
    boxes = [(0.6, 0.1, 0.9, 0.9), (0.1, 0.1, 0.4, 0.9)]
    write_boxes(tmp_path / "boxes.csv", [("v", 0, box) for box in boxes], scores=[0.9, 0.8])
    config = load_config(small_config_file(tmp_path))
    return AnnotateSettings(config, "random", f"boxes:{tmp_path / 'boxes.csv'}")


def test_a_person_and_an_action_by_name(settings: AnnotateSettings, tmp_path: Path) -> None:
    out = tmp_path / "cam.png"
    found = explain(tmp_path / "v.mp4", 0, out, settings, person=2, action="Hand Wave")
    assert (found.action.id, found.person, found.num_people) == (69, 2, 2)
    shares = sum(pathway.contribution for pathway in found.attention.pathways)
    assert found.attention.logit == pytest.approx(shares + found.attention.bias)
    with Image.open(out) as picture:
        assert picture.width == 8 * (240 + 3) + 3


def test_the_likeliest_action_of_the_surest_person_is_the_default(settings: AnnotateSettings, tmp_path: Path) -> None:
    found = explain(tmp_path / "v.mp4", 0, tmp_path / "cam.png", settings)
    others = [
        explain(tmp_path / "v.mp4", 0, tmp_path / "x.png", settings, person=n, action=str(found.action.id))
        for n in (1, 2)
    ]
    assert found.attention.score == max(other.attention.score for other in others)
    assert found.score == pytest.approx(found.attention.score, abs=FP32_SCORES)


def test_the_score_is_the_one_that_is_written(settings: AnnotateSettings, tmp_path: Path) -> None:
    product = settings.config.model_copy(
        update={"model": settings.config.model.model_copy(update={"head": HeadConfig(score="action_x_person")})}
    )
    found = explain(tmp_path / "v.mp4", 0, tmp_path / "cam.png", replace(settings, config=product), person=2)
    # Left to right, the second person is the first of the file, whose score is 0.9.
    assert found.score == pytest.approx(0.9 * found.attention.score, abs=FP32_SCORES)


@pytest.mark.parametrize(
    ("at", "choice", "message"),
    [
        (0, {"person": 3}, "`person` counts from 1, left to right, to 2 here; got 3"),
        (0, {"action": "hand wav"}, r"got 'hand wav' \(did you mean 'hand wave'\?\)"),
        (0, {"action": "no such"}, r"got 'no such'; it has bend.*, crouch.* and others$"),
        (9, {}, "second 9 lies outside the video"),
        (0.5, {}, r"the detector boxes:.* finds no person at 0\.5 s"),
    ],
)
def test_faults(settings: AnnotateSettings, tmp_path: Path, at: float, choice: dict, message: str) -> None:
    with pytest.raises(AvaDetectError, match=message):
        explain(tmp_path / "v.mp4", at, tmp_path / "cam.png", settings, **choice)
    assert not (tmp_path / "cam.png").exists()
