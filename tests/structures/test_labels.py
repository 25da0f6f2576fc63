from __future__ import annotations

from collections import Counter

import pytest

from ava_detect.errors import FormatError
from ava_detect.structures.labels import Action, ActionKind, LabelMap


def test_ava_has_80_actions_in_three_kinds_of_which_60_are_evaluated():
    everything, evaluated = LabelMap.ava(), LabelMap.ava_evaluated()
    assert everything.ids == tuple(range(1, 81))
    # The counts of the AVA paper, table 1: 14 poses, 49 with objects, 17 with people.
    assert Counter(action.kind for action in everything) == {"pose": 14, "object": 49, "person": 17}
    assert len(evaluated) == 60
    assert all(everything.by_id(action.id) == action for action in evaluated)
    assert everything.name(69) == "hand wave"
    assert 2 in everything
    assert 2 not in evaluated


def test_both_spellings_are_read(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text(
        '# mine\nitem {\n  id: 7\n  name: "say \\"hello\\""\n}\n'
        'label { name: "sit" label_id: 11 label_type: PERSON_MOVEMENT }\n'
    )
    assert list(LabelMap.from_pbtxt(path)) == [Action(7, 'say "hello"'), Action(11, "sit", ActionKind.POSE)]


def test_a_map_survives_writing_and_reading(tmp_path):
    path = tmp_path / "map.pbtxt"
    original = LabelMap((Action(3, 'a "b" \\ c'), *LabelMap.ava().subset([70, 12])))
    path.write_text(original.to_pbtxt())
    assert LabelMap.from_pbtxt(path) == original


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('item { name: "a" id: 1 }\nitem { name: "b" id: 1 }', "id 1 is given twice"),
        ('item { name: "a" }', "line 1: every entry needs a name and a whole-number id"),
        ('\n\nitem { name: "a" id: x }', "line 3: every entry needs"),
        ("video,1,2", "line 1: a label map is a list of"),
        ("item (", "line 1: expected '{', got '('"),
        ("item [", "line 1: the label map ends in the middle of an entry"),
        ('item { name: "a"', "ends in the middle of an entry"),
        ("", "is empty"),
    ],
)
def test_a_bad_map_is_refused_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "bad.pbtxt"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"bad\.pbtxt") as error:
        LabelMap.from_pbtxt(path)
    assert message in str(error.value)


def test_a_missing_map_is_a_sentence(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        LabelMap.from_pbtxt(tmp_path / "none.pbtxt")


def test_an_unknown_id_names_the_known_ones():
    with pytest.raises(KeyError, match=r"no action has id 81; this label map has 80 ids: 1 to 80"):
        LabelMap.ava().by_id(81)
