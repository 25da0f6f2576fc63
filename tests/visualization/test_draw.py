"""Drawn pictures, pixel by pixel, and drawn videos, decoded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import detections
from scipy import ndimage

from ava_detect.errors import AvaDetectError, VideoError
from ava_detect.structures import ActionDetections, Frame
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.visualization.chips import TRACK_COLOURS, RGBImage, Style, banner_strip
from ava_detect.visualization.draw import DrawOptions, draw_detections, draw_video

AVA = LabelMap.ava()
ORANGE, SKY = TRACK_COLOURS[:2]


def noise(width: int, height: int) -> RGBImage:
    return np.random.default_rng(0).integers(60, 200, (height, width, 3), dtype=np.uint8)


def people(
    *boxes: tuple[float, ...], time: float = 0.0, track_ids: list[int] | None = None, score: float = 0.9
) -> ActionDetections:
    """Each person stands (12) with ``score`` and watches a person (80) a little less."""
    numbers = range(1, len(boxes) + 1) if track_ids is None else track_ids
    actions = len(boxes) * [{12: score, 80: score * 0.8}]
    return detections(boxes, actions, seconds=time, person_scores=score, track_ids=numbers)


def without_stamp(changed: np.ndarray, width: int, height: int) -> np.ndarray:
    """The mask of changed pixels but for the corner that the time stamp may take."""
    style = Style(width, height)
    changed = changed.copy()
    changed[height - style.row - 2 * style.pad :, width - 4 * style.font :] = False
    return changed


def test_box_edges_by_hand() -> None:
    """[0.25, 0.2, 0.75, 0.8] of 200 x 100 is [50, 20, 150, 80]; the edge is 2 pixels and a dark one within."""
    image = noise(200, 100)
    drawn = draw_detections(image, people((0.25, 0.2, 0.75, 0.8)), AVA, min_score=0.95)
    for y, x in ((20, 50), (21, 100), (79, 149), (78, 60), (50, 50), (50, 51), (50, 148), (50, 149)):
        assert tuple(drawn[y, x]) == ORANGE, (y, x)
    for y, x in ((22, 100), (77, 100), (50, 52), (50, 147)):
        assert tuple(drawn[y, x]) == (18, 18, 22), (y, x)
    expected = np.zeros((100, 200), bool)
    expected[20:80, 50:150] = True
    expected[23:77, 53:147] = False
    np.testing.assert_array_equal(without_stamp((drawn != image).any(axis=2), 200, 100), expected)


def test_the_given_image_is_left_alone() -> None:
    image = noise(200, 100)
    image.flags.writeable = False
    drawn = draw_detections(image, people((0.2, 0.2, 0.8, 0.8)), AVA)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8 and drawn is not image


def test_outside_boxes_chips_and_stamp_nothing_changes() -> None:
    """Two people, two chips of the announced size, apart from each other."""
    image, pair = noise(1280, 720), people((0.1, 0.4, 0.25, 0.9), (0.3, 0.4, 0.45, 0.9))
    boxes_only = draw_detections(image, pair, AVA, min_score=0.99)
    changed = (draw_detections(image, pair, AVA) != boxes_only).any(axis=2)
    labels, count = ndimage.label(ndimage.binary_closing(changed, iterations=2))
    assert count == 2
    for rows, columns in ndimage.find_objects(labels):
        assert rows.stop <= 0.4 * 720 + 1 and rows.stop - rows.start == pytest.approx(2 * 23 + 2 * 5, abs=2)
        assert columns.stop - columns.start < 250
    box_mask = np.zeros((720, 1280), bool)
    box_mask[288:648, 128:320] = box_mask[288:648, 384:576] = True
    rest = without_stamp((boxes_only != image).any(axis=2), 1280, 720)
    assert not (rest & ~box_mask).any()


def test_without_people_only_the_time_is_drawn() -> None:
    image = noise(320, 240)
    drawn = draw_detections(image, ActionDetections.empty("v", 1.0), AVA)
    changed = (drawn != image).any(axis=2)
    assert changed.any() and not without_stamp(changed, 320, 240).any()


def test_the_banner_lies_across_the_top_and_over_the_boxes() -> None:
    image, everything = noise(640, 360), people((0, 0, 1, 1))
    drawn = draw_detections(image, everything, AVA, banner="UNTRAINED WEIGHTS: actions are random")
    strip = banner_strip("x", Style(640, 360)).height
    red_over_blue = drawn[:strip, :, 0].astype(int) - drawn[:strip, :, 2]
    assert np.median(red_over_blue) > 80
    assert ORANGE not in set(map(tuple, drawn[:strip].reshape(-1, 3)))
    assert tuple(drawn[strip + 5, 0]) == ORANGE


def test_a_track_has_one_colour_in_whatever_order_people_come() -> None:
    image = noise(640, 360)
    left, right = (0.1, 0.5, 0.2, 0.9), (0.6, 0.5, 0.7, 0.9)
    one = draw_detections(image, people(left, right, track_ids=[1, 2]), AVA)
    other = draw_detections(image, people(right, left, track_ids=[2, 1]), AVA)
    np.testing.assert_array_equal(one, other)
    assert tuple(one[200, 64]) == ORANGE and tuple(one[200, 384]) == SKY


def test_without_track_ids_colours_differ_and_no_number_is_claimed() -> None:
    image, tracked = noise(640, 360), people((0.1, 0.5, 0.2, 0.9), (0.6, 0.5, 0.7, 0.9), track_ids=[12, 34])
    untracked = replace(tracked, track_ids=None)
    drawn = draw_detections(image, untracked, AVA)
    assert tuple(drawn[200, 64]) == ORANGE and tuple(drawn[200, 384]) == SKY
    chips = [
        (draw_detections(image, p, AVA) != draw_detections(image, p, AVA, max_actions=0)).any(axis=2).sum()
        for p in (tracked, untracked)
    ]
    assert chips[1] < chips[0] - 2 * 2 * 11 * 5, "each chip is narrower by the two digits"


def test_fewer_actions_make_a_smaller_chip_and_none_no_chip() -> None:
    image, one = noise(640, 360), people((0.3, 0.5, 0.6, 0.9))
    plain = draw_detections(image, one, AVA, max_actions=0)
    areas = [(draw_detections(image, one, AVA, max_actions=n) != plain).any(axis=2).sum() for n in (1, 2, 3)]
    assert 0 < areas[0] < areas[1] == areas[2], "only two actions reach 0.3"
    np.testing.assert_array_equal(plain, draw_detections(image, one, AVA, min_score=0.95))


def test_boxes_off_the_frame_or_without_area_draw_nothing() -> None:
    image = noise(320, 240)
    drawn = draw_detections(image, people((1.2, 0.1, 1.5, 0.6), (0.4, 0.4, 0.4, 0.8), (0.8, 0.5, 0.3, 0.9)), AVA)
    assert not without_stamp((drawn != image).any(axis=2), 320, 240).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-0.3, 1.3)] * 4), max_size=4),
    st.sampled_from([(1, 1), (40, 30), (96, 72), (333, 241), (240, 426)]),
)
def test_any_boxes_on_any_frame_draw_without_error(boxes: list[tuple[float, ...]], size: tuple[int, int]) -> None:
    image = noise(*size)
    assert draw_detections(image, people(*boxes), AVA, banner="random weights").shape == image.shape


@pytest.mark.parametrize("name", ['say "<b>&lt;"', "話す 🙂 говорить", "\n", "x" * 300])
def test_names_of_any_kind(name: str) -> None:
    label_map = LabelMap((Action(12, name), Action(80, "b")))
    assert draw_detections(noise(320, 240), people((0.2, 0.5, 0.5, 0.9)), label_map, banner=name).shape == (240, 320, 3)


def test_an_action_that_the_label_map_lacks() -> None:
    with pytest.raises(
        AvaDetectError, match=r"hold action 80, and the label map has 1 others; draw with the label map"
    ):
        draw_detections(noise(320, 240), people((0.2, 0.5, 0.5, 0.9)), AVA.subset([12]))


def test_an_image_of_the_wrong_kind_and_a_negative_count() -> None:
    with pytest.raises(AvaDetectError, match=r"image must be uint8 RGB \[H, W, 3\], got float64 \[4, 4\]"):
        draw_detections(np.zeros((4, 4)), people(), AVA)  # type: ignore[arg-type]
    with pytest.raises(AvaDetectError, match="max_actions must be 0 or more, got -1"):
        draw_detections(noise(8, 8), people(), AVA, max_actions=-1)


# --- videos ---


def grey_frames(times: list[float], width: int = 640, height: int = 360) -> Iterator[Frame]:
    for t in times:
        yield Frame(np.full((height, width, 3), 128, np.uint8), t, "v")


def decode(path: Path) -> list[RGBImage]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def left_edge(image: RGBImage, row: int) -> int:
    """The first column that is no longer grey."""
    return int(np.flatnonzero(np.abs(image[row].astype(int) - 128).max(axis=1) > 40)[0])


def test_a_drawn_video_moves_the_box_from_keyframe_to_keyframe(tmp_path: Path) -> None:
    """0.1 to 0.5 of 640 pixels in a second: 64, at half time 192, 320."""
    keyframes = [people((0.1, 0.5, 0.3, 0.9), time=0.0), people((0.5, 0.5, 0.7, 0.9), time=1.0)]
    path = tmp_path / "drawn.mp4"
    times = [i / 10 for i in range(11)]
    assert draw_video(grey_frames(times), keyframes, path, 10, AVA, DrawOptions(max_actions=0)) == 11
    images = decode(path)
    assert len(images) == 11 and images[0].shape == (360, 640, 3)
    assert [left_edge(images[i], 252) for i in (0, 5, 10)] == pytest.approx([64, 192, 320], abs=2)


def test_people_without_track_ids_are_linked(tmp_path: Path) -> None:
    plain = [
        ActionDetections("v", k.timestamp_seconds, k.boxes_fraction, k.person_scores, k.action_scores)
        for k in (people((0.1, 0.5, 0.3, 0.9), time=0.0), people((0.3, 0.5, 0.5, 0.9), time=1.0))
    ]
    draw_video(grey_frames([0, 0.25, 0.5, 0.75, 1]), plain, tmp_path / "x.mp4", 4, AVA, DrawOptions(max_actions=0))
    assert left_edge(decode(tmp_path / "x.mp4")[2], 252) == pytest.approx(128, abs=2)


def test_odd_sizes_and_variable_frame_times_play_at_the_right_speed(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.7, 0.75, 0.8, 1.5]
    count = draw_video(grey_frames(times, 333, 241), [people((0, 0, 1, 1), time=1.0)], tmp_path / "x.mp4", 20, AVA)
    images = decode(tmp_path / "x.mp4")
    assert count == len(images) == 31, "1.5 seconds and the last frame's tick"
    assert images[0].shape == (240, 332, 3)


def test_a_drawn_video_has_at_most_60_frames_per_second(tmp_path: Path) -> None:
    count = draw_video(grey_frames([i / 120 for i in range(121)], 64, 64), [], tmp_path / "x.mp4", 120, AVA)
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.streams.video[0].average_rate == 60
    assert count == 61


def test_a_repeated_frame_is_drawn_afresh_and_the_source_left_alone(tmp_path: Path) -> None:
    """One frame on screen for a second while the keyframes say that the box moved on."""
    source = list(grey_frames([0.0, 1.0]))
    keyframes = [people((0.1, 0.5, 0.3, 0.9), time=0.0), people((0.5, 0.5, 0.7, 0.9), time=1.0)]
    draw_video(source, keyframes, tmp_path / "x.mp4", 4, AVA, DrawOptions(max_actions=0))
    assert all((frame.image == 128).all() for frame in source)
    edges = [left_edge(image, 252) for image in decode(tmp_path / "x.mp4")]
    assert edges == pytest.approx([64, 128, 192, 256, 320], abs=2)


def test_a_chip_keeps_its_side_while_the_person_moves(tmp_path: Path) -> None:
    """At first there is no room above the box, so the chip hangs below; it stays there when there is."""
    keyframes = [people((0.4, 0.0, 0.7, 0.4), time=0.0), people((0.4, 0.4, 0.7, 0.8), time=1.0)]
    draw_video(grey_frames([i / 10 for i in range(11)]), keyframes, tmp_path / "x.mp4", 10, AVA)
    last = np.abs(decode(tmp_path / "x.mp4")[10].astype(int) - 128).max(axis=2)
    assert last[: 144 - 8].max() < 40, "nothing above the box, which begins at 0.4 * 360"
    assert last[290:330, 256:400].max() > 60, "the chip below the box, which ends at 0.8 * 360"
    still = draw_detections(np.full((360, 640, 3), 128, np.uint8), keyframes[1], AVA)
    assert (still[100:140] != 128).any(), "a single picture has the chip above"


def test_streams_are_read_as_they_are_needed(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []

    def frames() -> Iterator[Frame]:
        for frame in grey_frames([0, 1, 2, 3], 64, 64):
            seen.append(("frame", frame.timestamp_seconds))
            yield frame

    def keyframes() -> Iterator[ActionDetections]:
        for t in range(4):
            seen.append(("keyframe", t))
            yield people(time=t)

    draw_video(frames(), keyframes(), tmp_path / "x.mp4", 1, AVA)
    ahead = [t - max([s for kind, s in seen[:i] if kind == "frame"], default=0) for i, (_, t) in enumerate(seen)]
    assert max(ahead) <= 1


@pytest.mark.parametrize(
    ("times", "settings_", "error", "message"),
    [
        ([], {}, VideoError, "x.mp4: there is no frame to draw on; check that the file has a video stream"),
        ([1.0, 0.5], {}, AvaDetectError, "v: frame at 0.5 s after the one at 1 s"),
        ([0.0], {"keyframe_seconds": 0.0}, AvaDetectError, "keyframe_seconds must be above 0, got 0"),
    ],
)
def test_faults_leave_no_file(
    tmp_path: Path, times: list[float], settings_: dict[str, float], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        draw_video(grey_frames(times), [], tmp_path / "x.mp4", 10, AVA, DrawOptions(**settings_))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_real_video_with_variable_frame_rate(shared: Path, tmp_path: Path) -> None:
    with av.open(str(shared / "videos" / "odd_vfr.mp4")) as container:
        frames = [Frame(f.to_ndarray(format="rgb24"), float(f.time), "vfr") for f in container.decode(video=0)]
    seconds = frames[-1].timestamp_seconds - frames[0].timestamp_seconds
    path = tmp_path / "drawn.mp4"
    keyframes = [people((0.2, 0.2, 0.6, 0.9), time=float(t)) for t in range(int(seconds) + 1)]
    count = draw_video(frames, keyframes, path, 25, AVA, DrawOptions(banner="UNTRAINED WEIGHTS: actions are random"))
    assert count == round(seconds * 25) + 1
    assert len(decode(path)) == count
