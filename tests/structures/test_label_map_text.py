"""Label maps as people write them: protobuf's text format in all its spellings, and plain lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import FormatError
from ava_detect.structures.label_map_text import parse_label_map
from ava_detect.structures.labels import Action, ActionKind, LabelMap


def parsed(text: str) -> list[tuple[int, str]]:
    return [(entry.id, entry.name) for entry in parse_label_map(text, "map.pbtxt")]


@pytest.mark.parametrize(
    "text",
    [
        "item { name: 'walk' id: 3 } item { name: 'run' id: 0 }",
        'item { name: "walk", id: 3 }, item { name: "run"; id: 0; };',
        'item: { name: "walk" id: 3 } item: < name: "run" id: 0 >',
        'item [{ name: "walk" id: 3 }, { id: 0 name: "run" }]',
        'item { # the first\n  name: "wa" "lk" # in two parts\n  id: 0x3 }\nlabel { label_id: 00 name: \'r\'"un" }',
        'item { id: 03 name: "\\x77\\141lk" } item { id: +0 name: "\\u0072\\U00000075n" }',
        'item { id: 3 display_name: "walk" ids: [1, 2] more { a: "}" b < c: 1 > } } item { id: 0 name: run }',
        'item { id: 3 name: "walk" [my.type/x]: { y: 1 } }\r\nitem { id: 0 name: "run" }\r\n',
        "3: walk\n0: run\n",
        "# mine\n\n3,walk\n0,run",
        '3\twalk\n  0\t"run"',
        "3 walk\n0 run",
        "3; walk\n0; 'run'",
        'id,name\n3,walk\n0,"run"\n',
        "Name,ID\nwalk,3\nrun,0\n",
        "label_id,label_name,label_type\n3,walk,PERSON_MOVEMENT\n0,run,PERSON_MOVEMENT\n",
    ],
)
def test_every_spelling_gives_the_same_actions(text):
    assert parsed(text) == [(3, "walk"), (0, "run")]


def test_names_keep_what_is_in_them():
    assert parsed('1: bend/bow (at the waist)\n2: talk to (e.g., self, a person): loudly\n3,"a, b"') == [
        (1, "bend/bow (at the waist)"),
        (2, "talk to (e.g., self, a person): loudly"),
        (3, "a, b"),
    ]
    assert parsed(r"item { id: 1 name: 'what\?' }") == [(1, "what?")]
    assert parsed(r"""item { id: 1 name: 'it\'s "caf\303\251" \xe8\xb5\xb0 \ud83d\ude00 #1' }""") == [
        (1, 'it\'s "café" 走 😀 #1')
    ]


def test_the_kinds_of_avas_csv_are_read():
    table = "label_id,label_name,label_type\n11,sit,PERSON_MOVEMENT\n17,carry/hold (an object),OBJECT_MANIPULATION\n"
    assert list(LabelMap.from_text(table, "list.csv")) == [
        Action(11, "sit", ActionKind.POSE),
        Action(17, "carry/hold (an object)", ActionKind.OBJECT),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item { name: 'a' id: 1 }\nitem { name: 'b' id: 1 }", "id 1 is given twice, in line 1 and in line 2"),
        ("1: a\n\n2: b\n3: a", "ids 1 (line 1) and 3 (line 4) are both called 'a'"),
        ("\nitem { name: 'a' id: -1 }", "line 2: an id is a whole number from 0 to 1000000, got '-1'"),
        ("0: a\n1000001: b", "line 2: an id is a whole number from 0 to 1000000, got '1000001'"),
        (f"item {{ name: 'a' id: {'9' * 9000} }}", "line 1: an id is a whole number from 0 to 1000000, got '999"),
        ("1_0: a", "line 1: an id is a whole number from 0 to 1000000, got '1_0'"),
        ("item { name: 'a' id: 08 }", "line 1: every entry needs a name and a whole-number id"),
        ("item { name: 'a' id: \u0663 }", "line 1: every entry needs a name and a whole-number id"),
        ("item { name: 'a' id: 1.0 }", "line 1: every entry needs a name and a whole-number id"),
        ("item { name: '' id: 1 }", "line 1: the name of id 1 is empty"),
        (r"item { name: 'a\nb' id: 1 }", r"line 1: the name of id 1 has a line end or control character: 'a\nb'"),
        (r"item { name: '\033[2J' id: 1 }", r"the name of id 1 has a line end or control character"),
        ("item { name: 'a' name: 'b' id: 1 }", "line 1: the entry has 'name' twice"),
        ("item { name: 'a' id: 1 label_id: 2 }", "line 1: the entry has the ids '1' and '2'"),
        ("item {\n name: 'a\n' id: 1 }", "line 2: the string that begins with \"'a"),
        (r"item { name: 'a\q' id: 1 }", r"line 1: a string has the unknown escape '\\q'"),
        (r"item { name: '\377' id: 1 }", "line 1: the escapes of"),
        (r"item { name: '\ud800' id: 1 }", "line 1: the escapes of"),
        (r"item { name: '\777' id: 1 }", "which is no character"),
        ("item { name 'a' id: 1 }", "line 1: expected ':' after 'name'"),
        ("item { name: , id: 1 }", "line 1: expected a value of 'name', got ','"),
        ("item { 'name': 'a' }", "line 1: expected the name of a field or '}', got 'name'"),
        ("item { name: 'a' id: 1 >", "line 1: expected the name of a field or '}', got '>'"),
        ("item { x { y: 1 >", "line 1: '>' closes nothing"),
        ("item { x {\n\n y: 1", "line 1: the label map ends in the middle of an entry: '}' is missing"),
        ('{"walk": 1}', "a label map is a list of 'item { name: \"...\" id: 1 }', or of lines '1: name', got '{'"),
        ("walk\nrun\n", "or of lines '1: name', got 'walk'"),
        ("1: walk\nrun\n", "line 2: expected '1: name' as in the lines before, got 'run'"),
        ("1,walk, slowly", "line 1: 3 cells where id,name are expected, got '1,walk, slowly'; put quotes around"),
        ("id,name\n1", "line 2: 1 cells where id,name are expected"),
        ('id,name\n1,"a', "line 2: the line is no csv"),
    ],
)
def test_what_is_no_label_map_is_refused_with_its_line(text, message):
    with pytest.raises(FormatError) as error:
        parse_label_map(text, "map.pbtxt")
    assert str(error.value).startswith("map.pbtxt")
    assert message in str(error.value)


def test_too_many_actions_and_too_long_files_are_refused(tmp_path):
    with pytest.raises(FormatError, match="at most 32,767 actions; line 32768"):
        parse_label_map("".join(f"{i}: a{i}\n" for i in range(32_768)), "list.txt")
    path = tmp_path / "map.pbtxt"
    path.write_bytes(b" " * ((16 << 20) + 1))
    with pytest.raises(FormatError, match=r"map\.pbtxt: more than 16,777,216 characters are no label map"):
        LabelMap.from_pbtxt(path)


@pytest.mark.parametrize(
    "piece", ['\\"', '"', "'", "\n", "item{", "{", "a ", "[", "#\n", "\\"], ids=lambda piece: repr(piece)
)
def test_a_long_text_is_refused_in_linear_time(piece):
    """In quadratic time, each of these texts would take an hour."""
    with pytest.raises(FormatError):
        parse_label_map('item { id: 1 name: "' + piece * 500_000, "map.pbtxt")


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip)


@given(st.dictionaries(st.integers(0, 1_000_000), NAMES, min_size=1, max_size=5))
def test_any_names_survive_writing_and_reading(names):
    if len(set(names.values())) == len(names):
        label_map = LabelMap(tuple(Action(action_id, name) for action_id, name in names.items()))
        assert parsed(label_map.to_pbtxt()) == list(names.items())


@given(st.text(st.sampled_from("item {}[]<>:;,\"'\\\n#name:id:label_1_x07u"), max_size=60))
def test_any_text_is_a_map_or_a_sentence(text):
    try:
        parse_label_map(text, "map.pbtxt")
    except FormatError as error:
        assert str(error).startswith("map.pbtxt")


PIECES = st.sampled_from(
    (
        "a",
        "é",
        "走",
        '\\"',
        "\\'",
        "\\\\",
        "\\x41",
        "\\x4",
        "\\101",
        "\\60",
        "\\303\\251",
        "\\xc3\\xa9",
        "b\\tc",
        "\\u00e9",
        *"😀 #{",
    )
)


@given(st.lists(PIECES, min_size=1, max_size=8).map("".join), st.sampled_from("\"'"))
def test_strings_are_decoded_as_by_protobuf(body, quote):
    struct = pytest.importorskip("google.protobuf.struct_pb2", reason="protobuf is not installed")
    text_format = pytest.importorskip("google.protobuf.text_format")
    expected = text_format.Parse(f"string_value: {quote}{body}{quote}", struct.Value()).string_value
    try:
        entries = parse_label_map(f"item {{ id: 1 name: {quote}{body}{quote} }}", "map.pbtxt")
    except FormatError as error:  # protobuf has no rule against names with tabs or of blanks alone
        assert "control character" in str(error) or "is empty" in str(error)
    else:
        assert [entry.name for entry in entries] == [expected]
