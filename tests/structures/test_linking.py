"""Track ids: similarities by hand, walks, gaps, and that the order of the people does not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import BOX_FRACTIONS

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections
from ava_detect.structures.linking import Linker, max_gap_seconds, similarities

Box = tuple[float, float, float, float]


def keyframe(
    time: float, boxes: Sequence[Box], video: str = "v", scores: Sequence[float] | None = None
) -> ActionDetections:
    scores = [0.9] * len(boxes) if scores is None else scores
    return ActionDetections(
        video, time, np.array(boxes, np.float32), np.array(scores, np.float32), np.zeros((len(boxes), 3), np.float32)
    )


def person(x: float, y: float = 0.3, width: float = 0.1, height: float = 0.5) -> Box:
    """A box whose top left corner is at ``x, y``."""
    return (x, y, x + width, y + height)


def link(linker: Linker, time: float, *boxes: Box, video: str = "v") -> list[int]:
    track_ids = linker.update(keyframe(time, boxes, video)).track_ids
    assert track_ids is not None
    return track_ids.tolist()


@pytest.mark.parametrize(
    ("other", "elapsed", "expected"),
    [
        # One width aside of two: IoU 4/12; half a side away: exp(-0.25 / (2 * 2.56)) = 0.952345; same size.
        ((1, 0, 3, 4), 1.0, (1 / 3 + 0.952345) / 2),
        # The same after four seconds: exp(-0.25 / (2 * 2.56 * 4)) = 0.987867.
        ((1, 0, 3, 4), 4.0, (1 / 3 + 0.987867) / 2),
        # Half as wide: IoU 0.5; 0.5 away at a mean width of 1.5: exp(-(1/9) / 5.12) = 0.978532; likeness 0.5.
        ((0, 0, 1, 4), 1.0, (0.5 + 0.978532 * 0.5) / 2),
        ((0, 0, 2, 4), 1.0, 1.0),
    ],
)
def test_similarity_by_hand(other: Box, elapsed: float, expected: float) -> None:
    result = similarities(np.array([[0.0, 0, 2, 4]]), np.array([other], np.float64), np.array([elapsed]))
    np.testing.assert_allclose(result, [[expected]], atol=1e-6)  # six digits are typed in


def test_a_box_without_area_has_a_finite_similarity() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.3, 0.3]])
    assert np.isfinite(similarities(boxes, boxes, np.ones(2))).all()


def test_ids_count_from_one_left_to_right_and_the_rest_is_kept() -> None:
    given_ = keyframe(3.0, [person(0.7), person(0.1), person(0.4)])
    linked = Linker().update(given_)
    assert linked.track_ids is not None and linked.track_ids.tolist() == [3, 1, 2]
    assert linked.boxes_fraction is given_.boxes_fraction and linked.timestamp_seconds == 3.0
    assert given_.track_ids is None


@pytest.mark.parametrize("step", [0.06, 0.15, 0.24])
def test_a_walk_of_more_than_half_a_width_per_keyframe_keeps_the_id(step: float) -> None:
    linker = Linker()
    xs = np.arange(0, 0.9, step)
    assert [link(linker, t, person(x)) for t, x in enumerate(xs)] == [[1]] * len(xs)


@pytest.mark.parametrize(("sides", "expected"), [(2.4, [1]), (2.6, [2])])
def test_how_far_a_person_may_jump_in_a_second(sides: float, expected: list[int]) -> None:
    linker = Linker()
    link(linker, 0, person(0.1))
    assert link(linker, 1, person(0.1 + 0.1 * sides)) == expected


def test_a_box_of_another_size_is_another_person() -> None:
    linker = Linker()
    link(linker, 0, (0.4, 0.4, 0.5, 0.5))
    assert link(linker, 1, (0.3, 0.3, 0.6, 0.6)) == [2]


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_two_people_walk_towards_and_past_each_other(offset: float) -> None:
    """0.15 a second is one and a half of their widths; both heights are alike, so only motion tells."""
    linker = Linker()
    for t in range(6):
        left, right = person(0.05 + 0.15 * t), person(0.8 + offset - 0.15 * t)
        assert link(linker, t, left, right) == [1, 2], f"at {t} s"


def test_a_person_missing_on_one_keyframe_returns_with_the_id() -> None:
    linker = Linker()
    assert link(linker, 0, person(0.2), person(0.6)) == [1, 2]
    assert link(linker, 1, person(0.6)) == [2]
    assert link(linker, 2, person(0.2), person(0.6)) == [1, 2]


@pytest.mark.parametrize(("back_at", "expected"), [(2.5, [1]), (2.6, [2])])
def test_after_the_gap_a_person_is_new(back_at: float, expected: list[int]) -> None:
    linker = Linker(max_gap_seconds=2.5)
    link(linker, 0, person(0.2))
    link(linker, 1)
    assert link(linker, back_at, person(0.2)) == expected


def test_who_was_there_just_now_goes_before_who_was_missing() -> None:
    """One box is left, 0.06 from where either stood; for the missing one more time has passed."""
    linker = Linker()
    link(linker, 0, person(0.30), person(0.42))
    assert link(linker, 1, person(0.42)) == [2]
    assert link(linker, 2, person(0.36)) == [2]


def test_a_better_fit_outweighs_having_been_missing() -> None:
    linker = Linker()
    link(linker, 0, person(0.30), person(0.42))
    link(linker, 1, person(0.42))
    assert link(linker, 2, person(0.31)) == [1]


def test_memory_holds_the_recent_only() -> None:
    linker = Linker(max_gap_seconds=2.5)
    for t in range(200):
        link(linker, t, person(0.1 if t % 2 else 0.8))
    assert len(linker._tracks) <= 3


def test_each_video_counts_from_one() -> None:
    linker = Linker()
    assert link(linker, 5, person(0.2), person(0.6)) == [1, 2]
    assert link(linker, 0, person(0.6), video="w") == [1]


@pytest.mark.parametrize("time", [1.0, 0.5])
def test_keyframes_out_of_order_are_refused(time: float) -> None:
    linker = Linker()
    link(linker, 1.0, person(0.2))
    with pytest.raises(AvaDetectError, match=rf"v: keyframe at {time:g} s after the one at 1 s; link the keyframes"):
        link(linker, time, person(0.2))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"max_gap_seconds": 0.0}, "max_gap_seconds must be above 0, got 0"),
        ({"min_similarity": 1.5}, "got 1.5"),
        ({"start_score": 30.0}, "start_score is a person score from 0 to 1, got 30.0"),
    ],
)
def test_settings_out_of_range(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(AvaDetectError, match=message):
        Linker(**settings_)


grid = st.integers(0, 20)
side = st.integers(1, 12)
crowds = st.lists(
    st.lists(st.tuples(grid, grid, side, side), max_size=5, unique=True), min_size=1, max_size=5
)  # keyframes of boxes on a grid of 1/32, so that equal similarities do occur


def to_boxes(crowd: list[tuple[int, int, int, int]]) -> list[Box]:
    return [(x / 32, y / 32, (x + w) / 32, (y + h) / 32) for x, y, w, h in crowd]


@settings(max_examples=80, deadline=None)
@given(crowds, st.randoms(use_true_random=False))
def test_ids_are_distinct_and_follow_the_people_when_these_are_permuted(
    video: list[list[tuple[int, int, int, int]]], random: object
) -> None:
    straight, permuted = Linker(), Linker()
    for t, crowd in enumerate(video):
        order = list(range(len(crowd)))
        random.shuffle(order)  # type: ignore[attr-defined]
        boxes = to_boxes(crowd)
        ids = link(straight, t, *boxes)
        assert len(set(ids)) == len(ids) and all(i >= 1 for i in ids)
        assert link(permuted, t, *(boxes[i] for i in order)) == [ids[i] for i in order]


@settings(max_examples=80, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.3, 3), st.floats(0.3, 3))
def test_far_or_unlike_is_never_the_same_person(dx: float, dy: float, width: float, height: float) -> None:
    linker = Linker()
    link(linker, 0, (0.5, 0.5, 0.6, 0.7))
    w, h = 0.1 * width, 0.2 * height
    x, y = 0.55 + dx - w / 2, 0.6 + dy - h / 2
    far = np.hypot(dx / ((0.1 + w) / 2), dy / ((0.2 + h) / 2)) > 2.6
    unlike = min(width, 1 / width) * min(height, 1 / height) < 0.1
    apart = abs(dx) > (0.1 + w) / 2 or abs(dy) > (0.2 + h) / 2
    same = link(linker, 1, (x, y, x + w, y + h)) == [1]
    if (far and apart) or unlike:
        assert not same


def unsure(linker: Linker, time: float, *people: tuple[Box, float]) -> list[int]:
    """The ids of those who are kept."""
    boxes, scores = zip(*people, strict=True)
    track_ids = linker.update(keyframe(time, boxes, scores=scores)).track_ids
    assert track_ids is not None
    return track_ids.tolist()


def test_a_box_with_a_low_score_continues_a_track_and_begins_none() -> None:
    linker = Linker(start_score=0.6)
    assert unsure(linker, 0, (person(0.2), 0.9), (person(0.7), 0.59)) == [1]
    assert unsure(linker, 1, (person(0.22), 0.31), (person(0.7), 0.59)) == [1]
    assert unsure(linker, 2, (person(0.24), 0.9), (person(0.7), 0.6)) == [1, 2]
    kept = linker.update(keyframe(3, [person(0.45), person(0.26), person(0.7)], scores=[0.3, 0.3, 0.3]))
    assert kept.track_ids is not None and kept.track_ids.tolist() == [1, 2]
    np.testing.assert_allclose(kept.boxes_fraction[:, 0], [0.26, 0.7], atol=BOX_FRACTIONS)
    assert Linker().update(keyframe(0, [person(0.7)], scores=[0.0])).track_ids is not None, "by default all are kept"


def test_a_sure_box_goes_before_an_unsure_one_that_fits_better() -> None:
    """The unsure box lies where the person was; the sure one, a fifth of a width aside, is who they are."""
    for scores, expected in (([0.5, 0.9], [1]), ([0.9, 0.9], [1, 2])):
        linker = Linker(start_score=0.6)
        unsure(linker, 0, (person(0.2), 0.9))
        linked = linker.update(keyframe(1, [person(0.2), person(0.22)], scores=scores))
        assert linked.track_ids is not None and linked.track_ids.tolist() == expected
        assert linked.boxes_fraction[0, 0] == pytest.approx(0.22 if expected == [1] else 0.2)


def test_no_track_continues_across_a_cut() -> None:
    linker = Linker()
    frames = [(0, 0), (1, 0), (2, 1), (3, 1)]
    ids = [linker.update(keyframe(t, [person(0.2)]), shot=shot).track_ids for t, shot in frames]
    assert [i.tolist() for i in ids if i is not None] == [[1], [1], [2], [2]]


def test_back_in_an_earlier_shot_people_are_known_again() -> None:
    """A flash on the keyframe at 1 s is a shot of its own; behind it the first one goes on."""
    linker = Linker()
    ids = [linker.update(keyframe(t, [person(0.2)]), shot=shot).track_ids for t, shot in [(0, 0), (1, 1), (2, 0)]]
    assert [i.tolist() for i in ids if i is not None] == [[1], [2], [1]]


def test_the_gap_bridges_one_keyframe_without_the_person() -> None:
    """At two and a half intervals, two keyframes around a missed one link, and three around two missed ones do not."""
    assert max_gap_seconds(1.0) == 2.5
    assert 2 * 0.2 < max_gap_seconds(0.2) < 3 * 0.2


def test_thousands_of_people_are_linked_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where people do not overlap, the nearest pairs are those of the greatest total similarity."""
    chance = np.random.default_rng(0)
    places = [(0.02 * column, 0.02 * row) for column in range(12) for row in range(10)]
    moved = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(places, chance.uniform(0, 0.004, (120, 2)), strict=True)]
    frames = [[person(x, y, 0.01, 0.015) for x, y in where] for where in (places, moved, moved[5:], places)]

    def ids() -> list[list[int]]:
        linker = Linker(start_score=0.5)
        scores = [chance.permutation([0.9] * (len(frame) - 9) + [0.2] * 9).tolist() for frame in frames]
        linked = [linker.update(keyframe(t, frame, scores=scores[t])) for t, frame in enumerate(frames)]
        return [found.track_ids.tolist() for found in linked if found.track_ids is not None]

    state = chance.bit_generator.state
    expected = ids()
    monkeypatch.setattr("ava_detect.structures.linking._MAX_PAIRS", 0)
    chance.bit_generator.state = state
    assert ids() == expected


def test_a_crowd_takes_no_time_that_grows_with_its_third_power() -> None:
    """Twenty thousand people would take hours and 20 GB where every pair is compared."""
    linker = Linker()
    corners = np.random.default_rng(0).random((2500, 2)) * 0.9
    boxes = [person(x, y, 0.05, 0.05) for x, y in corners]
    first = link(linker, 0, *boxes)
    assert link(linker, 1, *boxes) == first
