"""Hard cuts: by hand-made thumbnails, in spliced videos, and none in real ones that have none."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from ava_detect.structures import ClipSettings
from ava_detect.structures.clip import keyframe_times
from ava_detect.video.clip_sampler import ClipSampler
from ava_detect.video.cuts import ShotCounter, Thumbnail
from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter


def scene(luma: int, blue: int = 128, red: int = 128, seed: int = 0) -> Thumbnail:
    """Flat colours with a little grain."""
    grain = np.random.default_rng(seed).integers(-2, 3, (3, 36, 64))
    return (np.array([luma, blue, red])[:, None, None] + grain).astype(np.uint8)


def shots(thumbnails: list[Thumbnail], fps: float = 25) -> tuple[list[int], list[float]]:
    counter = ShotCounter()
    numbers = [counter.update(thumbnail, i / fps) for i, thumbnail in enumerate(thumbnails)]
    return numbers, counter.cuts_seconds


def test_another_scene_is_another_shot() -> None:
    thumbnails = [scene(80, seed=i) for i in range(5)] + [scene(120, 140, 100, seed=i) for i in range(5)]
    assert shots(thumbnails) == ([0] * 5 + [1] * 5, [0.2])


def test_a_flash_cuts_nothing() -> None:
    """Two white frames; after them the scene is the old one again."""
    thumbnails = [scene(80, seed=i) for i in range(5)] + [scene(235)] * 2 + [scene(80, seed=i) for i in range(5)]
    numbers, cuts = shots(thumbnails)
    assert numbers == [0] * 5 + [1] * 2 + [0] * 5 and cuts == []


def test_a_scene_that_comes_back_after_a_second_is_a_new_shot() -> None:
    thumbnails = [scene(80)] * 5 + [scene(200)] * 25 + [scene(80)] * 5
    numbers, cuts = shots(thumbnails)
    assert numbers == [0] * 5 + [1] * 25 + [2] * 5 and cuts == [0.2, 1.2]


def test_a_swinging_camera_is_no_cut() -> None:
    """Stripes that move by half their width from frame to frame: great differences, the same colours."""
    stripes = np.broadcast_to((np.arange(640) // 16 % 2 * 120 + 60).astype(np.uint8), (3, 36, 640))
    assert set(shots([stripes[:, :, 8 * i : 8 * i + 64] for i in range(60)])[0]) == {0}


def panorama(seed: int, width: int = 800) -> Thumbnail:
    """A wide picture of coloured patches, past which a camera may move."""
    patches = np.random.default_rng(seed).integers(40, 216, (3, 6, width // 8), dtype=np.uint8)
    return patches.repeat(6, axis=1).repeat(8, axis=2)


def test_a_cut_from_a_camera_that_follows_a_person_is_found() -> None:
    """From frame to frame all patches move by more than their width: as great a difference as the cut's."""
    first, second = panorama(1), panorama(2)
    moving = [first[:, :, 10 * i : 10 * i + 64] for i in range(20)]
    assert shots([*moving, *(second[:, :, 10 * i : 10 * i + 64] for i in range(20))])[1] == [0.8]
    assert set(shots(moving)[0]) == {0}


def test_a_fade_is_no_cut_and_neither_is_grain() -> None:
    assert set(shots([scene(20 + 3 * i, seed=i) for i in range(60)])[0]) == {0}


def test_a_cut_in_the_midst_of_motion_is_found() -> None:
    first = [scene(80 + 5 * (i % 2)) for i in range(10)]
    assert shots([*first, *(scene(190, 100, 150) for _ in range(4))])[1] == [0.4]


def write_scenes(path: Path, lengths: list[int], fps: int = 10) -> Path:
    """One image of coloured noise for each scene, repeated for its number of frames."""
    with VideoWriter(path, fps) as writer:
        for index, length in enumerate(lengths):
            rng = np.random.default_rng(index)
            base = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
            for _ in range(length):
                writer.write(base)
    return path


def test_keyframes_know_their_shot(tmp_path: Path) -> None:
    """Cuts at 1.5 and at 3.0 s: the keyframe at 3 shows the first frame of the third shot."""
    video = VideoReader(write_scenes(tmp_path / "x.mp4", [15, 15, 15]))
    sampler = ClipSampler(video, ClipSettings(num_frames=2, sampling_rate=1, short_side=32), find_shots=True)
    found = [(k.timestamp_seconds, k.shot) for k in sampler.sample(keyframe_times(1))]
    assert found == [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2)]
    assert sampler.cuts_seconds == pytest.approx((1.5, 3.0))
    assert [k.shot for k in sampler.sample([2.0, 3.0])] == [0, 1], "each pass counts afresh, from where it begins"


def test_shots_are_looked_for_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ava_detect.video.reader.DecodedFrame.thumbnail", lambda self: pytest.fail("costs time"))
    video = VideoReader(write_scenes(tmp_path / "x.mp4", [15, 15]))
    sampler = ClipSampler(video, ClipSettings(num_frames=2, sampling_rate=1, short_side=32))
    assert [k.shot for k in sampler.sample(keyframe_times(1))] == [0, 0, 0] and sampler.cuts_seconds == ()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le", "rgb24", "gray"])
def test_thumbnails_of_other_pixel_formats_show_the_same(pixel_format: str, tmp_path: Path) -> None:
    """A picture that is dark at the left and light at the right, stored losslessly in each format."""
    picture = np.broadcast_to(np.linspace(16, 235, 128).astype(np.uint8)[None, :, None], (72, 128, 3))
    path = tmp_path / "x.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo" if pixel_format in ("rgb24", "gray") else "ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 72, pixel_format
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())
    thumbnail = next(VideoReader(path).decode()).thumbnail()
    assert thumbnail.shape == (3, 36, 64) and thumbnail.dtype == np.uint8
    luma = thumbnail[0].mean(axis=0)
    assert (np.diff(luma) >= 0).all() and luma[0] < 60 < 200 < luma[-1]
    assert np.abs(thumbnail[1:].astype(int) - 128).max() <= 3


@pytest.mark.parametrize("name", ["intel_onebyone.mp4", "mm_skeleton.mp4", "mm_test.mp4", "tc_h265_10bits.mp4"])
def test_real_videos_of_one_shot_have_no_cut(shared: Path, name: str) -> None:
    counter = ShotCounter()
    for frame in VideoReader(shared / "videos" / name).decode():
        counter.update(frame.thumbnail(), frame.timestamp_seconds)
    assert counter.cuts_seconds == []


@pytest.mark.parametrize("name", ["mm_demo.mp4", "odd_vfr.mp4", "mm_test.avi", "odd_nots.h264", "dc_unordered.mov"])
def test_frame_times_without_decoding_are_those_of_the_decoded_frames(shared: Path, name: str) -> None:
    video = VideoReader(shared / "videos" / name)
    decoded = [frame.timestamp_seconds for frame in video.decode()]
    np.testing.assert_allclose(video.frame_times(), decoded, atol=1e-9)
