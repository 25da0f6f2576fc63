"""Folders of extracted frames, read as videos are: the clips are those of training, and those of the video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import write_frames

from ava_detect.datasets.clip_sources import FrameClips
from ava_detect.errors import VideoError
from ava_detect.structures import Clip, ClipSettings
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.frame_folder import FrameFolder
from ava_detect.video.reader import VideoReader

FPS, NUM_FRAMES = 25, 30
SETTINGS = ClipSettings(num_frames=4, sampling_rate=3, sampling_fps=FPS, short_side=32)
#: Every frame, so that clips are padded at both ends.
TIMES = [number / FPS for number in range(NUM_FRAMES)]


def pictures(number: int = NUM_FRAMES) -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (number, 50, 70, 3), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``movie.mov`` without loss and in RGB, and its frames in ``movie/``, numbered from 1."""
    folder = tmp_path_factory.mktemp("frames")
    write_frames(folder / "movie.mov", pictures(), codec="png", pixel_format="rgb24", rate=FPS)
    (folder / "movie").mkdir()
    for number, image in enumerate(pictures(), start=1):
        Image.fromarray(image).save(folder / f"movie/img_{number:05d}.png")
    return folder


def facts_of(clip: Clip) -> tuple[object, ...]:
    return clip.timestamp_seconds, clip.keyframe_index, clip.num_padded, clip.source_size


@pytest.mark.parametrize("sampling", ["time", "frames"])
@pytest.mark.parametrize("resize", ["opencv", "swscale"])
def test_clips_are_those_of_training_and_of_the_video(folder, sampling, resize):
    settings = replace(SETTINGS, sampling=sampling, resize=resize)
    of_training = FrameClips(folder, ["movie"])
    sources = (FrameFolder(folder / "movie", FPS), VideoReader(folder / "movie.mov"))
    of_frames, of_video = (list(ClipSampler(one, settings, find_shots=True).sample(TIMES)) for one in sources)
    assert len(of_frames) == len(of_video) == NUM_FRAMES
    for time, one, other in zip(TIMES, of_frames, of_video, strict=True):
        trained = of_training.clip(0, time, settings)
        for clip in (trained, other.clip):
            np.testing.assert_array_equal(one.clip.frames, clip.frames)
            assert facts_of(one.clip) == facts_of(clip)
        np.testing.assert_array_equal(one.image, other.image)
        assert one.shot == other.shot


def test_it_describes_itself_as_a_video_does(folder):
    frames, video = FrameFolder(folder / "movie", FPS), VideoReader(folder / "movie.mov")
    assert replace(frames.info, container="", codec="") == replace(video.info, container="", codec="")
    assert (frames.num_frames, frames.end_seconds) == (NUM_FRAMES, NUM_FRAMES / FPS)
    assert (frames.damaged_packets, frames.damage(), frames.time_jumps()) == (0, "", "")
    later = [frame.timestamp_seconds for frame in frames.decode(1.0)]
    assert later == [frame.timestamp_seconds for frame in video.decode(1.0)]


def test_frames_that_no_clip_shows_are_not_read(folder, tmp_path):
    for number, image in enumerate(pictures(), start=1):
        Image.fromarray(image).save(tmp_path / f"{number:03d}.png")
    (tmp_path / "002.png").write_bytes(b"")
    settings = replace(SETTINGS, num_frames=2)
    sampler = ClipSampler(FrameFolder(tmp_path, FPS), settings, keyframe_images=False)
    (keyframe,) = sampler.sample([3 / FPS])  # frames 1 and 4 of the folder
    np.testing.assert_array_equal(keyframe.clip.frames, FrameClips(folder, ["movie"]).clip(0, 3 / FPS, settings).frames)
    with pytest.raises(VideoError, match=r"002\.png: the frame cannot be read .*; extract it again"):
        list(sampler.sample([4 / FPS]))


def test_a_picture_of_another_size_is_named(folder, tmp_path):
    for number, image in enumerate(pictures(3), start=1):
        Image.fromarray(image[: 50 - number // 3]).save(tmp_path / f"{number:03d}.png")
    message = r"003\.png: 70x49 pixels, and 001\.png has 70x50; the frames of a video have one size: extract them again"
    with pytest.raises(VideoError, match=message):
        list(ClipSampler(FrameFolder(tmp_path, FPS), SETTINGS).sample([0]))
