"""Events are those of action tubes without smoothing; alarms need a person, a score and a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_keyframes import LABELS, NOON, live_keyframe

from ava_detect.errors import ConfigError
from ava_detect.live.alarms import AlarmRule, Alarms
from ava_detect.live.events import ActionEvents
from ava_detect.structures.tubes import action_tubes


def action_events() -> ActionEvents:
    return ActionEvents(LABELS, 1.0, min_peak=0.5, min_score=0.3)


def test_an_event_is_told_at_its_peak_and_at_its_end():
    """The wave begins at 1 s, where it scores 0.4, is one from 2 s on, and ends after 4 s."""
    finder = action_events()
    told = []
    for second, wave in enumerate([0.1, 0.4, 0.6, 0.9, 0.35, 0.2]):
        told += [(second, event) for event in finder.update(live_keyframe(second, {3: (0, 0, wave, 0)}))]
    (first, begins), (last, ends) = told
    assert (first, begins.state, last, ends.state) == (2, "begins", 5, "ends")
    assert begins.text.startswith("hand wave by 3 from ")
    value = ends.to_dict()
    assert (value["start_seconds"], value["end_seconds"]) == (0.5, 4.5)
    assert (value["start_time"], value["end_time"]) == ("2026-11-30T12:00:00.500Z", "2026-11-30T12:00:04.500Z")
    assert (value["action"], value["track_id"], value["max_score"]) == ("hand wave", 3, 0.9)
    assert {"event": "action", "state": "ends", "source": "cam"}.items() <= value.items()


def test_a_person_who_is_missed_once_goes_on_and_one_who_is_gone_ends():
    finder = action_events()
    finder.update(live_keyframe(0, {1: (0.9, 0, 0, 0)}))
    assert finder.update(live_keyframe(1, {})) == []
    assert finder.update(live_keyframe(2, {1: (0.9, 0, 0, 0)})) == []
    assert finder.update(live_keyframe(3, {})) == finder.update(live_keyframe(4, {})) == []
    (ends,) = finder.update(live_keyframe(5, {}))
    assert ends.to_dict()["end_seconds"] == 2.5


def test_what_goes_on_ends_with_the_source():
    finder = action_events()
    finder.update(live_keyframe(0, {1: (0.9, 0, 0, 0)}))
    assert [event.state for event in finder.finish("cam", NOON)] == ["ends"]
    assert finder.finish("cam", NOON) == []


scores = st.sampled_from([0.0, 0.2, 0.3, 0.45, 0.5, 0.8])
people = st.dictionaries(st.integers(1, 3), st.tuples(scores, scores, scores, scores), max_size=3)


@given(st.lists(people, min_size=1, max_size=12))
def test_events_are_the_action_tubes_without_smoothing(seconds):
    """Of people who stay: tubes bridge any absence, events only one that tracks are linked over."""
    present = sorted({track for people in seconds for track in people})
    nothing = (0.0,) * 4
    keyframes = [
        live_keyframe(second, {track: people.get(track, nothing) for track in present})
        for second, people in enumerate(seconds)
    ]
    finder, found = action_events(), []
    for keyframe in keyframes:
        found += finder.update(keyframe)
    found += finder.finish("cam", NOON)
    spans = sorted(
        (
            event.details["start_seconds"],
            event.details["end_seconds"],
            event.details["track_id"],
            event.details["action"],
        )
        for event in found
        if event.state == "ends"
    )
    names = {action.id: action.name for action in LABELS}
    tubes = action_tubes(keyframes, smoothing_seconds=0)
    expected = sorted((tube.start_seconds, tube.end_seconds, tube.track_id, names[tube.action_id]) for tube in tubes)
    assert spans == expected
    assert sum(event.state == "begins" for event in found) == len(spans)


@pytest.mark.parametrize(
    ("text", "column", "score", "is_above", "seconds"),
    [
        ("fight > 0.6 for 2s", 1, 0.6, True, 2),
        ("  hand wave>=.5 ", 2, 0.5, False, 0),
        ("1 > 0", 0, 0, True, 0),
        ("Fight/Hit (a person) > 0.9 for 1.5 min", 1, 0.9, True, 90),
        ("clap > 0.5 for 3", 3, 0.5, True, 3),
    ],
)
def test_rules(text, column, score, is_above, seconds):
    rule = AlarmRule.parse(text, LABELS)
    assert (rule.column, rule.score, rule.is_above, rule.seconds) == (column, score, is_above, seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fight", "a rule such as"),
        ("fight < 0.5", "a rule such as"),
        ("fight > 1.5", "from 0 to 1"),
        ("hand > 0.5", "2 actions are called so .hand wave, hand clap."),
        ("hand wvae > 0.5", "did you mean 'hand wave'"),
        ("77 > 0.5", "no action has the id 77"),
        ("fight > 0.5 for 100h", "at most 24 h"),
    ],
)
def test_what_is_no_rule_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        AlarmRule.parse(text, LABELS)


def states(alarms: Alarms, fights: list[dict[int, float]]) -> list[list[str]]:
    """States of the alarms that each keyframe, a second apart, begins and ends: track id -> score of fighting."""
    keyframes = [
        live_keyframe(second, {track: (0, score, 0, 0) for track, score in people.items()})
        for second, people in enumerate(fights)
    ]
    return [[event.state for event in alarms.update(keyframe)] for keyframe in keyframes]


def test_an_alarm_begins_after_its_time_and_ends_when_it_no_longer_holds():
    alarms = Alarms([AlarmRule.parse("fight > 0.6 for 2s", LABELS)], 1.0)
    found = states(alarms, [{1: 0.7}, {1: 0.7}, {1: 0.6}, {1: 0.7}, {1: 0.9}, {1: 0.8}, {1: 0.8}, {1: 0.1}])
    assert found == [[], [], [], [], [], ["begins"], [], ["ends"]]


def test_the_time_is_that_of_one_person():
    alarms = Alarms([AlarmRule.parse("fight > 0.6 for 2s", LABELS)], 1.0)
    assert states(alarms, [{1: 0.7}, {2: 0.7}, {3: 0.7}, {4: 0.7}]) == [[], [], [], []]


def test_an_alarm_goes_on_while_another_person_meets_it_and_ends_with_the_source():
    alarms = Alarms([AlarmRule.parse("fight >= 0.5", LABELS), AlarmRule.parse("stand > 0.9", LABELS)], 1.0)
    assert states(alarms, [{1: 0.5, 2: 0.5}, {1: 0.1, 2: 0.5}, {2: 0.5}]) == [["begins"], [], []]
    (ended,) = alarms.finish("cam", NOON)
    assert (ended.state, ended.details["rule"]) == ("ends", "fight >= 0.5")
    assert alarms.finish("cam", NOON) == []
