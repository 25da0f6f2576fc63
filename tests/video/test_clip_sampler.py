from __future__ import annotations

from fractions import Fraction
from itertools import islice

import av
import av.filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.errors import VideoError
from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler, clip_grid_points, grid_point, sample_clip
from ava_detect.video.reader import VideoReader

SMALL = ClipSettings(num_frames=8, sampling_rate=4, short_side=32)
EVERY_FRAME = ClipSettings(num_frames=1, sampling_rate=1, short_side=32)


def numbers(clip) -> list[int]:
    return [frame_number(image) for image in clip.frames]


def test_grid_points_by_hand():
    # PySlowFast get_sequence(center=90, half=32, rate=2): 58, 60, ..., 120.
    points = clip_grid_points(3.0, ClipSettings(num_frames=32, sampling_rate=2))
    assert points == list(range(58, 122, 2))
    assert points[16] == 90
    # Slow 4x16: half the span is 32, four frames 16 apart.
    assert clip_grid_points(3.0, ClipSettings(num_frames=4, sampling_rate=16)) == [58, 74, 90, 106]
    assert clip_grid_points(0.0, ClipSettings(num_frames=4, sampling_rate=2)) == [-4, -2, 0, 2]


def test_half_steps_round_up_in_spite_of_rounding_errors():
    assert [grid_point(i / 60, 30.0) for i in range(8)] == [0, 1, 1, 2, 2, 3, 3, 4]


def test_a_30_fps_video_gives_its_own_frames(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(100, 30))
    clip = sample_clip(path, 2.0, SMALL)
    assert numbers(clip) == [44, 48, 52, 56, 60, 64, 68, 72]
    assert numbers(clip)[clip.keyframe_index] == 60
    assert clip.num_padded == 0


def test_edges_repeat_the_end_frames(tmp_path):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(31, 30))
    first, last = sample_clip(path, 0.0, SMALL), sample_clip(path, 1.0, SMALL)
    assert (numbers(first), first.num_padded) == ([0, 0, 0, 0, 0, 4, 8, 12], 4)
    assert (numbers(last), last.num_padded) == ([14, 18, 22, 26, 30, 30, 30, 30], 3)


def test_a_clip_longer_than_the_video_repeats_both_ends(tmp_path):
    path = write_numbered_video(tmp_path / "one.mp4", [0.0])
    clip = sample_clip(path, 0.0, SMALL)
    assert (numbers(clip), clip.num_padded) == ([0] * 8, 7)


@pytest.mark.parametrize("fps", [10, 24, 25, Fraction(30000, 1001), 50, Fraction(60000, 1001), 60, 120])
def test_the_grid_is_that_of_ffmpegs_fps_filter(tmp_path, fps):
    """The frames of the field's training sets were cut by FFmpeg at 30 fps; ours must be the same ones."""
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(90, fps), rate=Fraction(fps))
    assert_same_grid(path, 89 / fps)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_the_grid_is_that_of_ffmpegs_fps_filter_at_any_rate(tmp_path_factory, gaps_ms):
    times = np.cumsum([0, *gaps_ms]) / 1000
    path = write_numbered_video(tmp_path_factory.mktemp("vfr") / "a.mkv", times.tolist(), rate=1000)
    assert_same_grid(path, times[-1])


def assert_same_grid(path, last_seconds):
    ours, theirs = our_grid(path), grid_of_ffmpeg(path)
    # The two may differ in how long the last frame stays, and in nothing before.
    length = grid_point(float(last_seconds), 30.0)
    assert min(len(ours), len(theirs)) >= length
    assert ours[:length] == theirs[:length]


def our_grid(path) -> list[int]:
    sampler = ClipSampler(VideoReader(path), EVERY_FRAME, keyframe_images=False)
    return [frame_number(keyframe.clip.frames[0]) for keyframe in sampler.sample(i / 30 for i in range(10**6))]


def grid_of_ffmpeg(path) -> list[int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        source, fps, sink = graph.add_buffer(template=stream), graph.add("fps", "30"), graph.add("buffersink")
        source.link_to(fps)
        fps.link_to(sink)
        graph.configure()
        found = []
        for frame in [*container.decode(stream), None]:
            source.push(frame)
            while True:
                try:
                    found.append(frame_number(sink.pull().to_ndarray(format="rgb24")))
                except (BlockingIOError, EOFError):
                    break
    return found


@pytest.mark.parametrize(
    "name",
    [
        "dc_corrupted.mp4",
        "mm_ntu.avi",
        "mm_demo.mp4",
        "mm_skeleton.mp4",
        "odd_truncfs.mp4",
        "odd_vfr.mp4",
        "odd_nots.h264",
    ],
)
def test_seeking_to_one_clip_gives_the_clip_of_a_whole_pass(shared, name):
    path = shared / "videos" / name
    keyframes = list(ClipSampler(VideoReader(path), SMALL).sample(keyframe_times(1.0)))
    for keyframe in keyframes:
        alone = sample_clip(path, keyframe.timestamp_seconds, SMALL)
        np.testing.assert_array_equal(alone.frames, keyframe.clip.frames)
        assert alone.num_padded == keyframe.clip.num_padded


def test_a_clip_does_not_depend_on_the_other_keyframes(tmp_path):
    video = VideoReader(write_numbered_video(tmp_path / "a.mp4", constant_rate(150, 25), rate=25))
    dense = {k.timestamp_seconds: k for k in ClipSampler(video, SMALL).sample(i / 4 for i in range(24))}
    for sparse in ClipSampler(video, SMALL).sample([0.5, 2.25, 5.75]):
        same = dense[sparse.timestamp_seconds]
        np.testing.assert_array_equal(sparse.clip.frames, same.clip.frames)
        np.testing.assert_array_equal(sparse.image, same.image)


def test_every_whole_second_has_its_keyframe(tmp_path):
    for num_frames, expected in ((1, [0]), (6, [0]), (30, [0]), (31, [0, 1]), (91, [0, 1, 2, 3])):
        video = VideoReader(write_numbered_video(tmp_path / f"{num_frames}.mp4", constant_rate(num_frames, 30)))
        keyframes = list(ClipSampler(video, SMALL).sample(keyframe_times(1.0)))
        assert [keyframe.timestamp_seconds for keyframe in keyframes] == expected
        assert [frame_number(keyframe.image) for keyframe in keyframes] == [30 * second for second in expected]


def test_a_clip_is_handed_out_as_soon_as_its_last_frame_is_in(tmp_path):
    video = VideoReader(write_numbered_video(tmp_path / "a.mp4", constant_rate(300, 30)))
    sampler = ClipSampler(video, SMALL)
    next(islice(sampler.sample(keyframe_times(1.0)), 2, None))
    # The clip at second 2 ends with frame 72, which is over when frame 73 is decoded; one more may be looked at.
    assert video.num_frames <= 75


def test_keyframe_pictures_are_as_large_as_a_detector_can_use(shared):
    video = VideoReader(shared / "videos" / "mm_skeleton.mp4")
    keyframe = next(ClipSampler(video, SMALL).sample([0.0]))
    assert keyframe.image.shape == (750, 1333, 3)
    assert keyframe.clip.frames.shape == (8, 32, 56, 3)
    assert next(ClipSampler(video, SMALL, keyframe_images=False).sample([0.0])).image is None


@pytest.mark.parametrize("seconds", [-1.0, 5.0, 1e9])
def test_a_time_outside_the_video_is_refused(tmp_path, seconds):
    path = write_numbered_video(tmp_path / "a.mp4", constant_rate(60, 30))
    with pytest.raises(VideoError, match=r"a\.mp4: second .* lies outside the video, which ends at 2\.00 s"):
        sample_clip(path, seconds, SMALL)


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_keyframes_must_be_apart(every):
    with pytest.raises(ValueError, match=r"a positive number of seconds apart, got .*; try 1"):
        keyframe_times(every)
