"""Clips of any frame offsets, from videos whose every frame carries its number, and from real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler, clip_grid_points, grid_point, sample_clip
from ava_detect.video.reader import VideoReader

SPAN_300 = (-132, -94, -57, -19, 18, 56, 93, 131)
UMT = ClipSettings(num_frames=8, sampling_fps=25, short_side=32, frame_offsets=tuple(range(-29, 28, 8)))
VIDEOMAE = ClipSettings(num_frames=16, sampling_fps=25, short_side=32, frame_offsets=tuple(range(-31, 30, 4)))
IRREGULAR = replace(UMT, frame_offsets=SPAN_300)
FAMILIES = pytest.mark.parametrize("clip_settings", [UMT, VIDEOMAE, IRREGULAR], ids=["umt", "videomae", "span 300"])


def numbers(clip) -> list[int]:
    return [frame_number(image) for image in clip.frames]


def test_frames_of_a_25_fps_video_by_hand(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(320, 25), rate=25)
    # Second 6 is frame 150.
    assert clip_grid_points(6.0, UMT) == [121, 129, 137, 145, 153, 161, 169, 177]
    umt = sample_clip(path, 6.0, UMT)
    assert (numbers(umt), umt.keyframe_index, umt.num_padded) == ([121, 129, 137, 145, 153, 161, 169, 177], 4, 0)
    videomae = sample_clip(path, 6.0, VIDEOMAE)
    assert (numbers(videomae), videomae.keyframe_index) == ([*range(119, 180, 4)], 8)
    irregular = sample_clip(path, 6.0, IRREGULAR)
    assert numbers(irregular) == [18, 56, 93, 131, 168, 206, 243, 281]
    assert numbers(irregular)[irregular.keyframe_index] == 168


def test_beyond_the_ends_the_first_and_the_last_frame_repeat(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(160, 25), rate=25)
    clip = sample_clip(path, 3.0, IRREGULAR)  # frame 75 of 0 to 159
    assert (numbers(clip), clip.num_padded) == ([0, 0, 18, 56, 93, 131, 159, 159], 4)


@FAMILIES
@pytest.mark.parametrize("fps", [24, 25, 30, 60])
def test_a_pass_gives_the_frame_on_display_at_each_point(tmp_path, clip_settings, fps):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(12 * fps, fps), rate=fps)
    keyframes = list(ClipSampler(VideoReader(path), clip_settings).sample(keyframe_times(0.7)))
    assert len(keyframes) == 18
    # The first grid point at which each frame is on display.
    shown_from = [grid_point(number / fps, 25.0) for number in range(12 * fps)]
    for keyframe in keyframes:
        centre = grid_point(keyframe.timestamp_seconds, 25.0)
        expected = [
            max((n for n, first in enumerate(shown_from) if first <= centre + offset), default=0)
            for offset in clip_settings.offsets
        ]
        assert numbers(keyframe.clip) == expected
        assert frame_number(keyframe.image) == max(n for n, first in enumerate(shown_from) if first <= centre)


@settings(max_examples=20, deadline=None)
@given(
    offsets=st.sets(st.integers(-60, 60), min_size=1, max_size=12).filter(lambda s: min(s) <= 0 <= max(s)),
    seconds=st.floats(0, 3.9),
)
def test_any_offsets_give_the_frames_at_these_distances(video_of_100_frames, offsets, seconds):
    clip_settings = replace(UMT, num_frames=len(offsets), frame_offsets=tuple(sorted(offsets)))
    clip = sample_clip(video_of_100_frames, seconds, clip_settings)
    centre = grid_point(seconds, 25.0)
    assert numbers(clip) == [min(max(centre + offset, 0), 99) for offset in sorted(offsets)]
    assert clip.num_padded == sum(not 0 <= centre + offset <= 99 for offset in offsets)


@pytest.fixture(scope="module")
def video_of_100_frames(tmp_path_factory):
    path = tmp_path_factory.mktemp("offsets") / "a.mp4"
    return write_numbered_video(path, constant_rate(100, 25), rate=25)


@pytest.mark.parametrize("name", ["sam2_05_default_juggle.mp4", "odd_vfr.mp4", "mm_demo.mp4"])
@FAMILIES
def test_real_videos_give_the_frames_of_their_times(shared, name, clip_settings):
    """Each clip against the frames themselves: the last whose time, on the grid of 25, is not after the point."""
    video = VideoReader(shared / "videos" / name)
    clip_settings = replace(clip_settings, short_side=min(video.info.width, video.info.height))  # nothing is resized
    frames = [(grid_point(frame.timestamp_seconds, 25.0), frame.image) for frame in video]
    firsts = np.array([first for first, _ in frames])
    seconds = [0.0, video.end_seconds / 2, video.end_seconds - 0.05]
    keyframes = list(ClipSampler(video, clip_settings, keyframe_images=False).sample(seconds))
    assert len(keyframes) == 3
    for second, keyframe in zip(seconds, keyframes, strict=True):
        points = grid_point(second, 25.0) + np.array(clip_settings.offsets)
        for point, image in zip(points, keyframe.clip.frames, strict=True):
            number = max(0, np.searchsorted(firsts, point, "right") - 1)
            np.testing.assert_array_equal(image, frames[number][1])
        assert keyframe.clip.keyframe_index == clip_settings.keyframe_index
