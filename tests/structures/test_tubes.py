"""Action tubes: edges, smoothing and scores by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import BOX_FRACTIONS, FLOAT32_SCORES

from ava_detect.errors import AvaDetectError
from ava_detect.structures import ActionDetections
from ava_detect.structures.tubes import ActionTube, action_tubes, smooth


def keyframes(scores: Sequence[float | None], *, every: float = 1.0, video: str = "v") -> list[ActionDetections]:
    """Person 7 with one action (id 1) of these scores; None: not there."""
    out = []
    for k, score in enumerate(scores):
        n = 0 if score is None else 1
        box = np.array([[0.1 * k, 0, 0.5, 1]] * n, np.float32).reshape(-1, 4)
        action_scores = np.full((n, 1), score or 0, np.float32)
        ids = np.full(n, 7, np.int64)
        out.append(ActionDetections(video, k * every, box, np.ones(n), action_scores, track_ids=ids))
    return out


def spans(tubes: Sequence[ActionTube]) -> list[tuple[float, float]]:
    return [(tube.start_seconds, tube.end_seconds) for tube in tubes]


def plain(scores: Sequence[float | None], **settings) -> list[ActionTube]:
    return list(action_tubes(keyframes(scores), smoothing_seconds=0, **settings))


def test_a_tube_reaches_from_low_to_low_and_must_peak() -> None:
    """0.3 holds a tube, 0.5 makes one: seconds 1 to 3 are one, 5 and 6 never peak."""
    tubes = plain([0.1, 0.35, 0.9, 0.4, 0.1, 0.4, 0.45, 0.0])
    assert spans(tubes) == [(0.5, 3.5)]
    tube = tubes[0]
    assert (tube.video_id, tube.track_id, tube.action_id) == ("v", 7, 1)
    assert tube.mean_score == pytest.approx((0.35 + 0.9 + 0.4) / 3) and tube.max_score == pytest.approx(0.9)
    assert tube.timestamps_seconds.tolist() == [1, 2, 3]
    np.testing.assert_allclose(tube.boxes_fraction[:, 0], [0.1, 0.2, 0.3], atol=BOX_FRACTIONS)
    assert repr(tube) == "ActionTube('v', track=7, action=1, 0.5-3.5s, mean=0.55)"


def test_time_begins_at_zero_and_a_dip_divides() -> None:
    assert spans(plain([0.9, 0.8, 0.2, 0.9])) == [(0, 1.5), (2.5, 3.5)]


def test_a_keyframe_without_the_person_does_not_end_the_tube() -> None:
    assert spans(plain([0.9, None, 0.9])) == [(0, 2.5)]


def test_a_thin_spacing_gives_thin_edges() -> None:
    tubes = list(action_tubes(keyframes([0.1, 0.9, 0.1], every=0.5), smoothing_seconds=0))
    assert spans(tubes) == [(0.25, 0.75)]


def test_smoothing_by_hand() -> None:
    """Weight of a neighbour a second away at 0.6 s: exp(-1 / 0.72) = 0.249352; two away: 0.003866."""
    w, v = np.exp(-1 / 0.72), np.exp(-4 / 0.72)
    smoothed = smooth(np.arange(3.0), np.array([[0.9], [0.0], [0.9]], np.float32), 0.6)
    expected = [(0.9 + v * 0.9) / (1 + w + v), 2 * w * 0.9 / (1 + 2 * w), (0.9 + v * 0.9) / (1 + w + v)]
    np.testing.assert_allclose(smoothed[:, 0], expected, atol=FLOAT32_SCORES)
    assert expected[1] == pytest.approx(0.2995, abs=1e-4)


def test_a_flicker_bridges_no_gap_and_a_short_dip_breaks_no_tube() -> None:
    dip = list(action_tubes(keyframes([0.9, 0.9, 0.05, 0.9, 0.9])))
    assert spans(dip) == [(0, 4.5)]
    assert spans(list(action_tubes(keyframes([0.0, 0.0, 0.6, 0.0, 0.0])))) == []


def test_two_people_two_actions_two_videos_in_order() -> None:
    boxes, ids = np.array([[0, 0, 0.4, 1], [0.5, 0, 0.9, 1]], np.float32), np.array([4, 2], np.int64)
    scores = np.array([[0.9, 0.0], [0.9, 0.8]], np.float32)
    frames = [
        ActionDetections(video, float(t), boxes, np.ones(2), scores, np.array([12, 80]), ids)
        for video in ("a", "b")
        for t in range(2)
    ]
    found = [(t.video_id, t.track_id, t.action_id) for t in action_tubes(frames, smoothing_seconds=0)]
    assert found == [("a", 2, 12), ("a", 2, 80), ("a", 4, 12), ("b", 2, 12), ("b", 2, 80), ("b", 4, 12)]


scores_of = st.lists(st.one_of(st.none(), st.integers(0, 10).map(lambda n: n / 10)), min_size=1, max_size=12)


@given(scores_of)
def test_tubes_of_one_action_lie_apart_and_hold_what_they_promise(scores: list[float | None]) -> None:
    tubes = plain(scores)
    for tube in tubes:
        assert tube.start_seconds < tube.end_seconds and tube.max_score >= 0.5 and (tube.scores >= 0.299).all()
    assert all(a.end_seconds <= b.start_seconds for a, b in pairwise(tubes))
    covered = {t for tube in tubes for t in tube.timestamps_seconds.tolist()}
    assert covered >= {float(k) for k, score in enumerate(scores) if score is not None and score >= 0.5}


def test_faults() -> None:
    with pytest.raises(AvaDetectError, match=r"`min_peak` from `min_score` to 1, got 0.6 and 0.5"):
        list(action_tubes([], min_score=0.6))
    with pytest.raises(AvaDetectError, match="`smoothing_seconds` must be 0 or more, got -1"):
        list(action_tubes([], smoothing_seconds=-1))
    unlinked = ActionDetections.empty("v", 3.0)
    with pytest.raises(AvaDetectError, match="v, second 3: the people have no track ids; link the keyframes first"):
        list(action_tubes([unlinked]))
