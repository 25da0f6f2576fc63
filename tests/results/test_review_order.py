"""Order of review: worked out by hand, and properties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from corrections import People, write_corrections
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import ConfigError
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.corrections.order import KeyframesByVideo, review_order, usefulness
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

Person = tuple[int, Sequence[float]] | tuple[int, Sequence[float], float]  # track, action scores, person score


def keyframe(video_id: str, seconds: float, *people: Person) -> ActionDetections:
    """A keyframe of people, all with the same box."""
    return ActionDetections(
        video_id,
        seconds,
        np.tile(np.array([0.1, 0.1, 0.4, 0.9], np.float32), (len(people), 1)),
        np.array([person[2] if len(person) == 3 else 1.0 for person in people], np.float32),
        np.array([person[1] for person in people], np.float32).reshape(len(people), -1)
        if people
        else np.zeros((0, 2), np.float32),
        np.array([12, 80]),
        np.array([person[0] for person in people], np.int64),
    )


def video(video_id: str, *frames: Sequence[Person]) -> dict[str, list[ActionDetections]]:
    """A video with a keyframe each second."""
    return {video_id: [keyframe(video_id, float(second), *people) for second, people in enumerate(frames)]}


SURE, DOUBTFUL = (1.0, 0.0), (0.5, 0.0)


def test_time_is_one_video_after_another_up_to_the_budget() -> None:
    found = video("b", [], []) | video("a", [], [])
    assert review_order(found, kind="time") == [("b", 0.0), ("b", 1.0), ("a", 0.0), ("a", 1.0)]
    assert review_order(found, 3, "time") == [("b", 0.0), ("b", 1.0), ("a", 0.0)]
    assert review_order(found, kind="time", reviewed=[("b", 0.0)])[0] == ("b", 1.0)


def test_doubtful_actions_count_by_their_entropy() -> None:
    # Tracks differ, so nothing is said about changes; person scores of 1 say nothing, either. What remains is the
    # entropy: 1 bit at 0.5, 0 at 0 and 1, 0.811278 bits at 0.25; its mean over the four keyframes is 0.452820.
    found = video("v", [(1, (0.5, 0.0))], [(2, (1.0, 0.0))], [(3, (0.25, 0.0))], [])
    # The weight of the one action that matters cancels against the mean.
    expected = 0.05 + np.array([1, 0, 0.8112781, 0]) / 0.4528195
    np.testing.assert_allclose(usefulness(found)["v"], expected, rtol=1e-6)


def test_a_rare_action_counts_more_by_the_inverse_root_of_its_frequency() -> None:
    # Action 12 is expected 8.5 times and action 80 0.5 times: the mean is 4.5, the weights are the roots of 5.5 / 9.5
    # and of 5.5 / 1.5, their ratio is the root of 9.5 / 1.5.
    found = video("v", *[[(track, SURE)] for track in range(8)], [(8, (0.5, 0.0))], [(9, (0.0, 0.5))])
    common, rare = usefulness(found)["v"][8:] - 0.05
    assert rare / common == pytest.approx(np.sqrt(9.5 / 1.5))


def test_a_person_whose_scores_change_on_one_keyframe_stands_out() -> None:
    # The same track all along: only second 2 differs, by 1 bit from both neighbours; seconds 1 and 3 differ from one of
    # their two neighbours, so by half a bit.
    other = (0.0, 1.0)
    found = video("v", [(1, SURE)], [(1, SURE)], [(1, other)], [(1, SURE)], [(1, SURE)])
    values = usefulness(found)["v"] - 0.05
    assert values[2] == pytest.approx(2 * values[1])
    assert values[1] == pytest.approx(values[3])
    assert values[0] == values[4] == 0


def test_doubtful_and_missing_people_count_by_the_bit() -> None:
    # Second 1 lacks a person who is there before and after (1 bit), second 3 has one of whom the detector is unsure
    # (1 bit at 0.5), and the gap from second 3 to 6 is too long to say anything.
    sure: Person = (1, SURE, 1.0)
    found = video("v", [sure], [], [sure], [(1, SURE, 0.5)], [], [], [sure])
    np.testing.assert_allclose(usefulness(found)["v"] - 0.05, np.array([0, 1, 0, 1, 0, 0, 0]) * 7 / 2, rtol=1e-6)


def test_near_duplicates_are_not_taken_together() -> None:
    # All six keyframes are equally useful. Of the first video's, second 0 comes first; what is most unlike it is the
    # last one, second 4. Second 4 shows another person than second 5, which is as good as new beside it.
    doubt: list[list[Person]] = [[(1, DOUBTFUL)]] * 5 + [[(2, DOUBTFUL)]]
    order = [seconds for _, seconds in review_order(video("v", *doubt))]
    assert order[:3] == [0.0, 5.0, 4.0]
    assert order[3] == 2.0  # the middle of what is left
    assert sorted(order) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_the_budget_is_spread_over_videos() -> None:
    found = video("a", *[[(track, DOUBTFUL)] for track in range(10)])
    found |= video("b", *[[(track, DOUBTFUL)] for track in range(10)])
    chosen = [video_id for video_id, _ in review_order(found, 8)]
    assert chosen.count("a") == chosen.count("b") == 4


def test_a_video_of_more_doubt_gets_more_of_the_budget_but_not_all() -> None:
    # Entropies 1 and 0.811 bits: of 20 keyframes the first video has more than half.
    found = video("a", *[[(track, (0.25, 0.0))] for track in range(40)])
    found |= video("b", *[[(track, (0.5, 0.0))] for track in range(40)])
    chosen = [video_id for video_id, _ in review_order(found, 20)]
    assert 5 <= chosen.count("a") < 10


def test_what_is_like_reviewed_keyframes_waits() -> None:
    found = video("v", *[[(1, DOUBTFUL)]] * 9)
    order = review_order(found, reviewed=[("v", 4.0000001)])
    assert ("v", 4.0) not in order
    assert [seconds for _, seconds in order[:4]] == [0.0, 8.0, 2.0, 6.0]


@pytest.mark.parametrize(("budget", "kind", "said"), [(0, "useful", "at least 1, got 0"), (1, "best", "got 'best'")])
def test_what_is_no_order_is_named(budget: int, kind: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        review_order({}, budget, kind)


def test_results_without_people_are_spread_over_time_too() -> None:
    order = review_order(video("v", *[[]] * 9), 3)
    assert [seconds for _, seconds in order] == [0.0, 8.0, 4.0]
    assert review_order({}) == review_order({"v": []}) == []


people = st.lists(
    st.tuples(st.integers(1, 4), st.tuples(*[st.floats(0, 1, width=32)] * 2), st.floats(0, 1, width=32)),
    max_size=3,
    unique_by=lambda person: person[0],
)
worlds = st.dictionaries(st.sampled_from("abc"), st.lists(people, max_size=7), max_size=3)


def world_of(frames: dict[str, list[list[Person]]]) -> KeyframesByVideo:
    """The keyframes of some videos."""
    return {name: video(name, *keyframes)[name] for name, keyframes in frames.items()}


@given(worlds, st.integers(1, 30))
def test_each_keyframe_comes_once_and_a_budget_is_the_beginning_of_a_greater_one(
    frames: dict[str, list[list[Person]]], budget: int
) -> None:
    found = world_of(frames)
    for kind in ("useful", "time"):
        whole = review_order(found, None, kind)
        assert sorted(whole) == sorted((name, float(s)) for name, of in frames.items() for s in range(len(of)))
        assert review_order(found, budget, kind) == whole[:budget]


@given(worlds)
def test_a_review_that_is_continued_takes_what_it_would_have_taken(frames: dict[str, list[list[Person]]]) -> None:
    found = world_of(frames)
    whole = review_order(found)
    half = len(whole) // 2
    assert review_order(found, reviewed=whole[:half]) == whole[half:]


@given(worlds)
def test_usefulness_is_finite_and_positive(frames: dict[str, list[list[Person]]]) -> None:
    for name, values in usefulness(world_of(frames)).items():
        assert len(values) == len(frames[name])
        assert np.isfinite(values).all()
        assert (values >= 0.05).all()


def test_the_order_of_results_is_listed_without_what_is_accepted(tmp_path, run_cli):
    results = tmp_path / "results.jsonl"
    found = video("walk, 1", *[[(track, DOUBTFUL)] for track in range(3)])
    write_jsonl(results, found["walk, 1"], LabelMap.ava().subset([12, 80]))
    code, printed, _ = run_cli("review", results, "--list", "--order", "useful", "--budget", 2)
    assert (code, printed) == (0, '"walk, 1",0\n"walk, 1",1\n')
    base: dict[str, dict[float, People]] = {"walk, 1": {second: {} for second in (0.0, 1.0, 2.0)}}
    out = write_corrections(tmp_path / "corrections", LabelMap.ava(), base, {"walk, 1": [(0.0, "accept")]})
    code, printed, _ = run_cli("review", results, "--list", "--order", "time", "--out", out)
    assert (code, printed) == (0, '"walk, 1",1\n"walk, 1",2\n')
    assert run_cli("review", results, "--list", "--out", tmp_path / "none")[1].count("\n") == 3


def test_a_review_needs_a_folder_for_the_corrections(tmp_path, run_cli):
    code, _, told = run_cli("review", tmp_path / "results.jsonl")
    assert code == 2
    assert "--out is missing; give the folder for the corrections, or --list to see what to review" in told
