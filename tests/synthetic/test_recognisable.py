"""The figures look enough like people for the detector that comes with the package to find them."""

from itertools import islice

import numpy as np
import pytest

from ava_detect import boxes
from ava_detect.detectors.builtin import BuiltinDetector
from ava_detect.synthetic.world import film_frames


def count(seeds: range) -> tuple[int, int, int]:
    """Figures found, figures, and detections that touch no figure, on a frame every two seconds of 8-second movies."""
    detector = BuiltinDetector(min_score=0.3, num_threads=1)
    found = total = strays = 0
    for seed in seeds:
        # at half a frame a second every second frame is a keyframe of the ground truth
        for _, image, people in islice(film_frames(seed=seed, seconds=8, fps=1), 0, None, 2):
            (detected,) = detector([image])
            truth = np.array([person.box_xyxy for person in people]).reshape(-1, 4)
            overlap = boxes.iou(truth, detected.boxes_xyxy.astype(float))
            found += int((overlap >= 0.5).any(axis=1).sum())
            strays += int((overlap < 0.1).all(axis=0).sum())
            total += len(truth)
    return found, total, strays


def test_the_builtin_detector_finds_the_figures_and_little_else() -> None:
    found, total, strays = count(range(100, 108))
    assert total >= 40
    assert found / total >= 0.95
    assert strays <= 1


@pytest.mark.slow
def test_it_finds_them_in_many_movies() -> None:
    found, total, strays = count(range(200, 250))
    assert total >= 300
    assert found / total >= 0.97
    assert strays <= 0.01 * total
