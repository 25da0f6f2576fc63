"""Names of classes in other tools: unique, legal, and never one of the tool's own attributes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.structures.labels import Action, LabelMap


def named(*names: str, **options: object) -> list[str]:
    actions = [Action(number, name) for number, name in enumerate(names, start=1)]
    return list(tool_names(actions, **options).values())  # type: ignore[arg-type]


def test_ava_keeps_its_names() -> None:
    assert tool_names(tuple(LabelMap.ava()), clean=for_xml, max_length=64) == {a.id: a.name for a in LabelMap.ava()}


def test_names_that_tools_use_themselves_and_equal_ones_get_their_ids() -> None:
    assert named("score", "walk", "Label", "track_id") == ["score (1)", "walk", "Label (3)", "track_id (4)"]
    assert named("walk", "run", "walk", "Walk") == ["walk (1)", "run", "walk (3)", "Walk (4)"]
    assert named("walk", "walk", "walk (1)") == ["walk (1)'", "walk (2)", "walk (1)"]
    assert named("", " ") == ["action (1)", "action (2)"]


def test_names_are_cut_where_a_tool_has_a_limit() -> None:
    first, second = named("x" * 70, "x" * 80, max_length=64)
    assert first != second and {len(first), len(second)} == {64} and first.endswith(" (1)")


def test_what_xml_cannot_hold_is_left_out() -> None:
    assert for_xml("a\0b\x1b c\n d\ud800é") == "ab c dé"


@given(names=st.lists(st.text(max_size=6) | st.sampled_from(["score", "a", "A", "a (1)", "a (2)"]), max_size=6))
def test_any_names_become_distinct_ones(names: list[str]) -> None:
    found = named(*names, clean=for_xml, max_length=10)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(0 < len(name) <= 10 and name.casefold() not in ("score", "label") for name in found)
