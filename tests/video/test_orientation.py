from __future__ import annotations

import av
import numpy as np
import pytest
from videos import write_frames

from ava_detect.video.orientation import Orientation
from ava_detect.video.reader import VideoReader

# Display matrix (a, b, c, d) -> what FFmpeg's own program makes of the frame (autorotate, FFmpeg 9.0): the same
# picture as each of these, and (rotation_degrees, is_mirrored).
ORIENTATIONS = {
    (1, 0, 0, 1): (lambda image: image, (0, False)),
    (0, 1, -1, 0): (lambda image: np.rot90(image, -1), (-90, False)),
    (-1, 0, 0, -1): (lambda image: np.rot90(image, 2), (-180, False)),
    (0, -1, 1, 0): (lambda image: np.rot90(image), (90, False)),
    (-1, 0, 0, 1): (np.fliplr, (0, True)),
    (1, 0, 0, -1): (np.flipud, (-180, True)),
    (0, 1, 1, 0): (lambda image: np.transpose(image, (1, 0, 2)), (90, True)),
    (0, -1, -1, 0): (lambda image: np.rot90(np.transpose(image, (1, 0, 2)), 2), (-90, True)),
}


@pytest.fixture(scope="module")
def picture():
    """Blocks of random colours without any symmetry."""
    colours = np.random.default_rng(0).integers(0, 255, (3, 4, 3), np.uint8)
    return np.kron(colours, np.ones((16, 16, 1), np.uint8))


@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_frames_are_turned_and_mirrored_as_the_display_matrix_says(tmp_path, picture, matrix):
    make_upright, (degrees, is_mirrored) = ORIENTATIONS[matrix]
    path = tmp_path / "a.mp4"
    write_frames(path, [picture], [0.0], codec="libx264rgb", pixel_format="rgb24", display_matrix=matrix)
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    video = VideoReader(path)
    image = next(iter(video)).image
    np.testing.assert_array_equal(image, make_upright(stored))
    assert (video.info.height, video.info.width) == image.shape[:2]
    assert (video.info.rotation_degrees, video.info.is_mirrored) == (degrees, is_mirrored)
    assert image.flags.c_contiguous


def test_a_matrix_that_scales_or_is_slightly_off_gives_the_nearest_turn(tmp_path, picture):
    path = write_frames(tmp_path / "a.mp4", [picture], [0.0], display_matrix=(0, 2, -3, 0))
    assert VideoReader(path).info.rotation_degrees == -90


def test_a_mirrored_recording_is_shown_as_it_was(shared):
    folder = shared / "cases/faults/mirrored_display_matrix"
    upright, *others = (
        next(iter(VideoReader(folder / f"{name}.mp4"))).image.astype(int)
        for name in ("two_men", "selfie", "flipped_sensor")
    )
    for image in others:
        assert np.abs(image - upright).mean() < 6
        for wrong in (np.rot90(image, 2), np.fliplr(image), np.flipud(image)):
            assert np.abs(wrong - upright).mean() > 30


def test_no_orientation_copies_nothing():
    image = np.zeros((4, 6, 3), np.uint8)
    assert np.shares_memory(Orientation().upright(image), image)
