"""From files of results to the scripts of the page: people, verdicts, pieces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page_data import AVA, HAND_WAVE, STAND, WALK, keyframe, movie_keyframes
from tolerances import FLOAT32_SCORES

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import AvaTable, write_ava_csv
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.formats.parquet import write_parquet
from ava_detect.results.people_table import PeopleTable
from ava_detect.results.results_file import name_actions, open_results
from ava_detect.structures.labels import NO_ACTION, Action, ActionKind, LabelMap
from ava_detect.visualization.page.packing import VideoContent, describe, pieces, script
from ava_detect.visualization.page.truth import judge


def table_of(*keyframes) -> PeopleTable:
    return PeopleTable.from_keyframes(keyframes, len(AVA))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_every_format_gives_the_same_people(tmp_path, suffix):
    path = tmp_path / f"walk.{suffix}"
    if suffix == "jsonl":
        write_jsonl(path, movie_keyframes("walk"), AVA)
    elif suffix == "parquet":
        write_parquet(path, movie_keyframes("walk"), AVA)
    else:
        write_ava_csv(path, movie_keyframes("walk"), start_seconds=900)
    results = open_results(path, start_seconds=900)
    assert results.video_ids == ("walk",)
    assert set(results.action_names) == set(AVA.ids)
    people = results.people("walk", AVA).linked()
    expected = table_of(*movie_keyframes("walk"))
    assert people.timestamps_seconds.tolist() == expected.timestamps_seconds.tolist()
    assert people.counts.tolist() == [1, 1, 2, 2, 2, 2, 1, 1]
    # Rows of one keyframe may stand in another order.
    order, wanted = (np.lexsort((t.boxes_fraction[:, 0], t.keyframe_of)) for t in (people, expected))
    np.testing.assert_allclose(people.boxes_fraction[order], expected.boxes_fraction[wanted])
    np.testing.assert_array_equal(people.action_scores[order], expected.action_scores[wanted])
    assert (people.person_scores is None) == (suffix == "csv")
    if suffix != "csv":
        np.testing.assert_array_equal(people.track_ids[order], expected.track_ids[wanted])


def test_ground_truth_keeps_keyframes_without_people():
    rows = AvaTable.from_columns(
        ["v"] * 4,
        [902, 903, 903, 904],
        [[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.5], [np.nan] * 4],
        [WALK, WALK, STAND, NO_ACTION],
        person_ids=[7, 7, 7, -1],
    )
    people = PeopleTable.from_rows(rows, AVA, start_seconds=900)
    assert people.timestamps_seconds.tolist() == [2, 3, 4]
    assert people.counts.tolist() == [1, 1, 0]
    assert people.action_scores[:, [STAND - 1, WALK - 1]].tolist() == [[0, 1], [1, 1]]
    assert people.track_ids.tolist() == [7, 7]


def test_names_are_the_files_or_the_label_maps():
    ours, unknown = name_actions({12: "", 80: "watch (a person)", 99: "juggle"}, None)
    assert [(a.id, a.name, a.kind) for a in ours] == [
        (12, "stand", ActionKind.POSE),
        (80, "watch (a person)", ActionKind.PERSON),
        (99, "juggle", ActionKind.UNKNOWN),
    ]
    assert unknown == ()
    given_map = LabelMap((Action(12, "be upright"),))
    theirs, unknown = name_actions({12: "stand", 99: "juggle"}, given_map)
    assert [a.name for a in theirs] == ["be upright", "action 99"]
    assert unknown == (99,)


def test_files_that_are_no_results(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"video_id": "v", "timestamp_seconds": 0, "people": []}\n{"video_id": "v"}\n')
    with pytest.raises(FormatError, match=r"bad\.jsonl, line 2: not a keyframe as `ava-detect annotate` writes it"):
        open_results(bad)
    percent = tmp_path / "percent.csv"
    percent.write_text("v,0902,0,0,1,1,12,97\n")
    with pytest.raises(FormatError, match=r"percent\.csv, line 1: scores lie in 0\.\.1, got 97 in v at 902 s"):
        open_results(percent)
    with pytest.raises(FormatError, match="there is no such file of results"):
        open_results(tmp_path / "none.csv")


def test_verdicts_by_hand():
    predicted = table_of(
        keyframe("v", 0.0, [(1, [0, 0, 100, 100], 0.9, {WALK: 0.9})]),  # no ground truth here
        keyframe(
            "v",
            1.0,
            [
                (1, [0, 0, 100, 100], 0.9, {WALK: 0.9, STAND: 0.4}),
                (2, [0, 0, 100, 60], 0.8, {WALK: 0.8}),  # IoU 0.6 with the first true person, who is 1's
                (3, [400, 0, 500, 100], 0.7, {HAND_WAVE: 0.3}),  # IoU 0.25 / 1.75 = 1/7 with the second
            ],
        ),
    )
    true = table_of(
        keyframe(
            "v",
            1.0,
            [
                (8, [0, 0, 100, 100], 1, {WALK: 1, HAND_WAVE: 1}),
                (9, [475, 0, 575, 100], 1, {STAND: 1}),
            ],
        ),
        keyframe("v", 5.0, [(8, [0, 0, 100, 100], 1, {WALK: 1})]),  # no prediction here
    )
    verdicts = judge(predicted, true)
    assert verdicts.judged.tolist() == [False, True, True, True]
    assert verdicts.found.tolist() == [False, True, False, False]
    assert verdicts.right[:, [STAND - 1, WALK - 1]].tolist() == [[0, 0], [0, 1], [0, 0], [0, 0]]
    assert verdicts.partner.tolist() == [1, -1, -1]
    np.testing.assert_allclose(verdicts.partner_scores[:, WALK - 1], [0.9, 0, 0], atol=FLOAT32_SCORES)


def test_pairs_have_the_greatest_iou_in_sum():
    """Greedy matching would give the first true person the box that only the second can have."""
    predicted = table_of(
        keyframe("v", 0.0, [(1, [0, 0, 100, 100], 1, {}), (2, [30, 0, 130, 100], 1, {})]),
    )
    true = table_of(keyframe("v", 0.0, [(1, [20, 0, 120, 100], 1, {}), (2, [55, 0, 155, 100], 1, {})]))
    assert judge(predicted, true).partner.tolist() == [0, 1]


def content_of(*keyframes, truth=None, min_score=0.1) -> VideoContent:
    people = table_of(*keyframes)
    return VideoContent(people, AVA, min_score, truth, None if truth is None else judge(people, truth))


def test_pieces_by_hand():
    truth = table_of(keyframe("v", 1.0, [(4, [64, 36, 128, 72], 1, {WALK: 1, HAND_WAVE: 1})]))
    content = content_of(
        keyframe("v", 0.0, []),
        keyframe("v", 1.0, [(5, [64, 36, 128, 72], 0.75, {STAND: 0.3, WALK: 0.9, HAND_WAVE: 0.05})]),
        truth=truth,
    )
    found = dict(pieces(content))
    assert found["people-0"] == {
        "counts": [0, 1],
        "track": [5],
        "box": [1000, 1000, 2000, 2000],
        "actionCount": [2],
        "action": [WALK - 1, STAND - 1],
        "actionScore": [900, 300],
        "found": [1],
        "score": [750],
        "mark": [1, 0],
    }
    assert found["truth-0"]["action"] == [WALK - 1, HAND_WAVE - 1]
    assert found["truth-0"]["mark"] == [900, 50]  # how far they were believed, also below the page's least score
    assert found[f"action-{WALK - 1}"] == {
        "step": [1],
        "track": [5],
        "score": [900],
        "mark": [1],
        "truth": {"step": [0], "track": [5], "believed": [900]},
    }
    meta = describe(content)
    assert meta["tracks"] == [[5, 1, 1, 1]]
    walk = meta["actions"][WALK - 1]
    assert (walk["name"], walk["kind"], walk["histogram"]) == ("walk", "pose", [1] * 19 + [0, 0])
    assert meta["actions"][HAND_WAVE - 1]["histogram"] == [0] * 21


@settings(max_examples=30)
@example([[(1, 0.0185)]])  # in float32 a little above the middle of two thousandths
@given(st.lists(st.lists(st.tuples(st.integers(1, 5), st.floats(0.01, 1)), max_size=4), min_size=1, max_size=150))
def test_no_person_and_no_action_is_lost(people_of_keyframes):
    keyframes = [
        keyframe("v", float(k), [(track, [0, 0, 64, 36], 0.5, {track: score}) for track, score in people])
        for k, people in enumerate(people_of_keyframes)
    ]
    content = content_of(*keyframes, min_score=0.0)
    found = dict(pieces(content))
    parts = [found[f"people-{number}"] for number in range(-(-len(keyframes) // 64))]
    flat = [(track, score) for people in people_of_keyframes for track, score in people]

    def joined(name: str) -> list[int]:
        return [value for part in parts for value in part[name]]

    assert joined("counts") == [len(people) for people in people_of_keyframes]
    assert joined("track") == [track for track, _ in flat]
    assert joined("actionScore") == [round(1000 * float(np.float32(s))) for _, s in flat]
    for action_id in range(1, 6):
        listed = found[f"action-{action_id - 1}"]
        where = [k for k, people in enumerate(people_of_keyframes) for track, _ in people if track == action_id]
        assert np.cumsum(listed["step"]).tolist() == where
        assert len(listed["track"]) == describe(content)["actions"][action_id - 1]["histogram"][0]


def test_a_script_is_ascii_and_holds_anything():
    text = script("0001/meta", {"id": "</script>\u2028\"'\\הליכה"})
    assert text.isascii()
    assert json.loads(text.partition(", ")[2].removesuffix(");\n")) == {"id": "</script>\u2028\"'\\הליכה"}
