"""The whole path, frames to scores, against PySlowFast's test path written out step by step in plain numpy.

``peer_scores`` follows PySlowFast's ``ava_dataset.py`` (test split, cv2 backend) and ``video_model_builder.py`` rule by
rule, with nothing of ``ava_detect`` but the network's layers, whose parity ``tests/models/test_parity.py`` shows. Its
pixels come from ``resize``, whose bits ``tests/video/test_parity_of_pixels.py`` ties to OpenCV's.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fixed_detector import FixedDetector
from networks import lively_model
from tolerances import FP32_SCORES
from torchvision.ops import roi_align
from videos import write_numbered_video

from ava_detect.inference.pipeline import Pipeline
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import resize

FRACTIONS = np.array(
    [[0.1, 0.2, 0.5, 0.9], [0, 0, 1, 1], [0.333, 0.111, 0.35, 0.999], [0.7, 0.6, 1, 0.8], [0.5, 0.5, 0.502, 0.502]]
)


def peer_scores(model, frames: list[np.ndarray], second: float) -> np.ndarray:
    """``frames``: all of a 30 fps video, uint8 RGB at full size."""
    settings = model.clip_settings
    height, width = frames[0].shape[:2]
    # utils.get_sequence
    centre, half = int(second * 30), settings.num_frames * settings.sampling_rate // 2
    sequence = [min(max(i, 0), len(frames) - 1) for i in range(centre - half, centre + half, settings.sampling_rate)]
    # clip_boxes_to_image, scale, scale_boxes, clip_boxes_to_image
    boxes = FRACTIONS * [width, height, width, height]
    boxes = np.clip(boxes, 0, [width - 1, height - 1] * 2)
    size = settings.short_side
    new_width, new_height = width, height
    if min(width, height) != size:
        if width < height:
            new_width, new_height = size, math.floor(height / width * size)
            boxes = boxes * (new_height / height)
        else:
            new_width, new_height = math.floor(width / height * size), size
            boxes = boxes * (new_width / width)
    boxes = np.clip(boxes, 0, [new_width - 1, new_height - 1] * 2)
    images, _ = resize(np.stack([frames[i] for i in sequence]), np.zeros((0, 4), np.float32), new_width, new_height)
    # / 255, color_normalization, HWC to CHW, concatenate
    pixels = (images.astype(np.float32) / np.float32(255) - np.float32(0.45)) / np.float32(0.225)
    clip = torch.from_numpy(pixels.transpose(3, 0, 1, 2))[None]
    # pack_pathway_output
    alpha = model.backbone.alpha
    slow = clip.index_select(2, torch.linspace(0, clip.shape[2] - 1, clip.shape[2] // alpha).long())
    with torch.inference_mode():
        features = model.backbone.forward_pathways([slow, clip])
        # ResNetRoIHead: average over time, RoIAlign, greatest of the bins, concatenate, project, sigmoid
        rois = torch.tensor(np.concatenate([np.zeros((len(boxes), 1)), boxes], axis=1), dtype=torch.float32)
        pooled = [
            roi_align(x.mean(2), rois, 7, spatial_scale=1 / 16, sampling_ratio=0, aligned=True).amax((2, 3))
            for x in features
        ]
        scores: np.ndarray = model.head.projection(torch.cat(pooled, dim=1)).sigmoid().numpy()
    return scores


@pytest.mark.parametrize(
    ("size", "short_side"),
    [((340, 256), 128), ((96, 170), 64), ((128, 128), 64), ((64, 48), 96), ((90, 64), 64)],
    ids=["landscape", "portrait", "halved", "enlarged", "as it is"],
)
def test_frames_to_scores_is_their_path(tmp_path, size, short_side):
    clip = {"num_frames": 8, "sampling_rate": 4, "short_side": short_side}
    model = lively_model(clip=clip)
    path = write_numbered_video(tmp_path / "a.mp4", [i / 30 for i in range(75)], width=size[0], height=size[1])
    frames = [frame.image for frame in VideoReader(path)]
    keyframes = list(Pipeline(FixedDetector(*FRACTIONS, scores=[1] * len(FRACTIONS), needs_images=False), model)(path))
    assert [keyframe.timestamp_seconds for keyframe in keyframes] == [0, 1, 2]
    for keyframe in keyframes:
        expected = peer_scores(model, frames, keyframe.timestamp_seconds)
        np.testing.assert_allclose(keyframe.action_scores, expected, atol=FP32_SCORES)
    assert np.ptp(expected, axis=0).max() > 0.01


def pipeline(**clip):
    clip = {"num_frames": 8, "sampling_rate": 4, "short_side": 48, **clip}
    return Pipeline(FixedDetector(*FRACTIONS, scores=[1] * len(FRACTIONS), needs_images=False), lively_model(clip=clip))


def test_swscale_differs_by_its_resize_alone(tmp_path):
    # Needs no resize: nothing is left to differ.
    path = write_numbered_video(tmp_path / "a.mp4", [i / 30 for i in range(40)], width=80, height=48)
    ways = [list(pipeline(resize=way)(path)) for way in ("swscale", "opencv")]
    for swscale, opencv in zip(*ways, strict=True):
        np.testing.assert_array_equal(swscale.action_scores, opencv.action_scores)


def test_a_file_of_another_rate_is_scored_their_way_by_number(tmp_path):
    """At 25 fps their clip spans more time than ours; ``sampling="frames"`` is theirs."""
    model = lively_model(clip={"num_frames": 8, "sampling_rate": 4, "short_side": 48})
    path = write_numbered_video(tmp_path / "a.mp4", [i / 25 for i in range(80)], rate=25, width=80, height=48)
    frames = [frame.image for frame in VideoReader(path)]
    by_number = list(pipeline(sampling="frames")(path))
    by_time = list(pipeline()(path))
    # peer_scores counts 30 frames a second; frame 50 is this file's second 2.
    expected = peer_scores(model, frames, 50 / 30)
    np.testing.assert_allclose(by_number[2].action_scores, expected, atol=FP32_SCORES)
    assert np.abs(by_time[2].action_scores - expected).max() > 1e-3
