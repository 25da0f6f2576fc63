"""The pixels and places of clips, against numbers that PySlowFast and OpenCV gave for the same input.

The tables were made with PySlowFast's own ``cv2_transform.py`` (commit 287ec007) and OpenCV 4.12.0 (5.0.0 gives the
same bits), on ``pattern`` below; no line of either is needed to run this. ``docs/parity.md`` tells the rules.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import NORMALISED_PIXELS
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.errors import VideoError
from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler, clip_grid_points, sample_clip
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import normalize, resize, short_side_size

SMALL = ClipSettings(num_frames=8, sampling_rate=4, short_side=32)
NO_BOXES = np.zeros((0, 4), np.float32)
# (width, height), short side -> (width, height), sha256 of the bytes, their sum after normalisation.
RESIZED = [
    ((340, 256), 224, (297, 224), "3c6ea5bbaeba58a8", 41409.467665606644),
    ((340, 256), 256, (340, 256), "25bd62b322b83335", 54671.36283139605),
    ((1280, 720), 256, (455, 256), "2e7efc540a3de1df", 72440.33272266388),
    ((720, 1280), 256, (256, 455), "b2b8c921f1ac9876", 72195.67912151664),
    # 854 * 224 / 784 is 244, but floor(854 / 784 * 224) is 243 in floating point, and that is what they do.
    ((854, 784), 224, (243, 224), "45bba937a3e02795", 33502.60550902877),
    ((64, 48), 96, (128, 96), "559a7bd73ab1c989", 7967.969040940981),
    # Half the size is a mean of four pixels, not bilinear.
    ((512, 512), 256, (256, 256), "e383cbe91e29dc70", 41691.76897806674),
    ((640, 480), 224, (298, 224), "ed96972f1c29873d", 41338.02547823638),
]


def pattern(width: int, height: int) -> np.ndarray:
    """A picture with every kind of gradient and edge, by arithmetic."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(x * 7 + y * 3) % 256, (x * x + 5 * y) % 256, (x * y + 11 * x) % 256], -1).astype(np.uint8)


@pytest.mark.parametrize(("size", "short_side", "expected", "digest", "total"), RESIZED)
def test_resized_frames_have_the_bits_of_opencv(size, short_side, expected, digest, total):
    assert short_side_size(*size, short_side) == expected
    frames, _ = resize(pattern(*size)[None], NO_BOXES, *expected)
    assert frames.shape == (1, expected[1], expected[0], 3)
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == digest
    # Normalised, they differ by the order of rounding: three times in float32 there, twice here.
    values = normalize(frames, (0.45,) * 3, (0.225,) * 3)
    assert values.double().sum().item() == pytest.approx(total, abs=3e-7 * values.numel())


def test_normalisation_is_theirs_within_two_roundings():
    levels = np.arange(256, dtype=np.float32)
    theirs = (levels / np.float32(255) - np.float32(0.45)) / np.float32(0.225)
    ours = normalize(np.arange(256, dtype=np.uint8)[None, None, :, None].repeat(3, axis=3), (0.45,) * 3, (0.225,) * 3)
    assert np.abs(ours[0, 0, 0].numpy() - theirs).max() <= NORMALISED_PIXELS


def test_resizing_by_hand_in_fixed_point():
    # 3 -> 2 pixels: centres at 0.25 and 1.75, weights 1536:512 and 512:1536 of 2048; one row, so 2048:0 down.
    # 10 * 1536 + 21 * 512 = 26112 -> >> 4 = 1632 -> * 2048 >> 16 = 51 -> (51 + 2) >> 2 = 13 (12.75).
    row = np.array([10, 21, 250], np.uint8)[None, None, :, None].repeat(3, axis=3)
    assert resize(row, NO_BOXES, 2, 1)[0][0, 0, :, 0].tolist() == [13, 193]


@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from([112, 128, 224, 240, 256, 320]))
def test_the_short_side_rule_is_their_formula(width, height, short_side):
    if width < height:
        expected = (short_side, math.floor((float(height) / width) * short_side))
    else:
        expected = (math.floor((float(width) / height) * short_side), short_side)
    if min(width, height) == short_side:
        expected = (width, height)
    assert short_side_size(width, height, short_side) == expected


@given(st.integers(0, 900), st.sampled_from([(32, 2), (64, 2), (4, 16), (8, 8), (16, 8)]), st.integers(1, 2000))
def test_clip_indices_are_their_sequence(second, frames_and_rate, num_frames):
    num, rate = frames_and_rate
    centre, half = 30 * second, num * rate // 2
    theirs = [min(max(i, 0), num_frames - 1) for i in range(centre - half, centre + half, rate)]
    points = clip_grid_points(float(second), ClipSettings(num_frames=num, sampling_rate=rate))
    assert [min(max(i, 0), num_frames - 1) for i in points] == theirs


def test_opencv_resize_of_a_video_is_that_of_its_full_frames(shared):
    path = shared / "videos" / "sam2_04_coffee.mp4"
    settings = ClipSettings(num_frames=4, sampling_rate=4, short_side=256)
    frames = [frame.image for frame in VideoReader(path)]
    clip = sample_clip(path, 1.0, settings)
    sampler = ClipSampler(VideoReader(path), replace(settings, sampling="frames"))
    by_number = next(sampler.sample([1.0])).clip
    fps = VideoReader(path).info.average_fps
    picked = [frames[round(fps) - 8 + 4 * i] for i in range(4)]
    expected, _ = resize(np.stack(picked), NO_BOXES, *short_side_size(1280, 720, 256))
    np.testing.assert_array_equal(by_number.frames, expected)
    assert clip.frames.shape == (4, 256, 455, 3)
    assert clip.source_size == (1280, 720)
    # The two ways differ visibly: this is why the switch is there.
    by_swscale = sample_clip(path, 1.0, replace(settings, resize="swscale"))
    assert 0.5 < np.abs(by_swscale.frames.astype(int) - clip.frames).mean() < 3


def numbers(clip) -> list[int]:
    return [frame_number(image) for image in clip.frames]


def test_frames_are_taken_by_number_at_any_rate(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(100, 25), rate=25)
    by_number = sample_clip(path, 2.0, replace(SMALL, sampling="frames"))
    assert numbers(by_number) == [34, 38, 42, 46, 50, 54, 58, 62]
    # By time the same eight pictures span 28/30 s, not 28/25 s.
    assert numbers(sample_clip(path, 2.0, SMALL)) == [37, 40, 43, 47, 50, 53, 57, 60]


def test_frames_by_number_ignore_the_times(tmp_path):
    # 40 frames of 20 a second, then 40 of 60: 30 a second on average, and the container says so.
    times = [i / 20 for i in range(40)] + [2 + i / 60 for i in range(40)]
    video = VideoReader(write_numbered_video(tmp_path / "a.mkv", times, rate=1000))
    keyframes = list(ClipSampler(video, replace(SMALL, sampling="frames")).sample(keyframe_times(1.0)))
    fps = video.info.average_fps
    for keyframe in keyframes:
        centre = round(keyframe.timestamp_seconds * fps)
        expected = [min(max(centre - 16 + 4 * i, 0), 79) for i in range(8)]
        assert numbers(keyframe.clip) == expected
        assert frame_number(keyframe.image) == centre
    assert len(keyframes) == 1 + int(79 / fps)


def test_at_30_fps_the_two_ways_are_one(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(95, 30))
    by_time, by_number = (
        list(ClipSampler(VideoReader(path), replace(SMALL, sampling=way)).sample(keyframe_times(0.5)))
        for way in ("time", "frames")
    )
    assert len(by_time) == len(by_number) == 7
    for a, b in zip(by_time, by_number, strict=True):
        np.testing.assert_array_equal(a.clip.frames, b.clip.frames)
        np.testing.assert_array_equal(a.image, b.image)
        assert a.clip.num_padded == b.clip.num_padded


def test_by_number_a_time_outside_the_video_is_refused(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(50, 25), rate=25)
    assert numbers(sample_clip(path, 1.96, replace(SMALL, sampling="frames")))[4] == 49
    with pytest.raises(VideoError, match=r"second 2 lies outside the video, which ends at 2\.00 s"):
        sample_clip(path, 2.0, replace(SMALL, sampling="frames"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sampling": "fps"}, "sampling is 'time' or 'frames', got 'fps'"),
        ({"resize": "pil"}, "resize is 'swscale' or 'opencv', got 'pil'"),
    ],
)
def test_the_switches_have_two_positions(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SMALL, **wrong)
