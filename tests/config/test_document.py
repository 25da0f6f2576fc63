from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.config import Config, load_config
from ava_detect.config.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, parse, read_text
from ava_detect.errors import ConfigError


def refusal(text, origin="mine.yaml"):
    with pytest.raises(ConfigError) as error:
        parse(text, origin)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "key", "first", "line"),
    [
        ("clip: {std: [1, 1, 1]}\ndata:\n  flip: 0\nclip:\n  mean: [0, 0, 0]\n", "clip", 1, 4),
        ("clip:\n  num_frames: 8\n  'num_frames': 16\n", "clip.num_frames", 2, 3),
        ("clip: {num_frames: 8, num_frames: 8}\n", "clip.num_frames", 1, 1),
        ("a:\n- {b: 1}\n- b: 1\n  c: 2\n  b: 3\n", "a.1.b", 3, 5),
        ("nonlocal_blocks:\n  4: [0]\n  0x4: [1]\n", "nonlocal_blocks.4", 2, 3),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n  <<: {c: 3}\n", "y.<<", 3, 5),
        ("x: &x {a: 1, a: 2}\ny: {<<: *x}\n", "x.a", 1, 1),
        ("y: {<<: {a: 1, a: 2}}\n", "y.a", 1, 1),
    ],
)
def test_a_repeated_key_is_refused_with_both_lines(text, key, first, line):
    message = refusal(text)
    assert message.startswith(f"mine.yaml, line {line}: the key '{key}' is there twice (first in line {first})")


def test_a_mapping_replaces_what_it_merges_and_the_first_merged_mapping_what_the_others_have():
    text = "x: &x {a: 1, b: 1}\ny: &y {a: 2, b: 2, c: 2}\nz:\n  a: 3\n  <<: [*x, *y]\n"
    assert parse(text, "mine.yaml").values["z"] == {"a": 3, "b": 1, "c": 2}


def test_every_value_has_its_line():
    document = parse("a: 1\nb:\n  c: [1,\n    2]\n  d: {e: 3}\n", "mine.yaml")
    lines = {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", "0"): 3, ("b", "c", "1"): 4, ("b", "d", "e"): 5}
    assert {place: document.line_of(place) for place in lines} == lines
    assert (document.line_of(("b", "d", "missing")), document.line_of(())) == (5, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), ("-.5", -0.5), ("1_000", 1000), ("0x10", 16), ("+3", 3), ("0", 0), ("3.", 3.0),
        ("yes", True), ("OFF", False), ("~", None), ("", None), (".inf", math.inf), ("-.INF", -math.inf),
        # YAML 1.1 reads these as 8, 5400 and a date.
        ("010", "010"), ("1:30:00", "1:30:00"), ("2020-01-01", "2020-01-01"), ("'5'", "5"), ("٣", "٣"), ("nan", "nan"),
        ("!!str 5", "5"), ("!!int 5", 5), ("!!float 5.5", 5.5), ("\ufeff5", 5),
    ],
)  # fmt: skip
def test_a_scalar_is_what_it_looks_like(text, value):
    read = parse(text, "mine.yaml").values
    assert read == value
    assert type(read) is type(value)


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((opening * 5000, f"nested deeper than {MAX_DEPTH} lev") for opening in ("[", "{a: ", "- ", "? ", '{"a":[')),
        (ALIASES, f"line 1: the text expands to more than {MAX_VALUES:,} values"),
        (MERGES, f"line 1: the text expands to more than {MAX_VALUES:,} values"),
        ("a: [" + "1," * (MAX_VALUES + 1) + "]", f"there are more than {MAX_VALUES:,} values"),
        *((text, "an alias stands inside the value") for text in ("a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}")),
        ("a: *b", "found undefined alias 'b'"),
        ("a: {<<: 3}", "<< takes a mapping or a list of mappings"),
        ("a: " + "9" * 30, "a whole number has at most 18 digits, got 999"),
        ("a: 0x" + "f" * 9000, "a whole number has at most 18 digits, got 0xff"),
        ("%YAML " + "9" * 9000 + ".1\n---\na: 1", "cannot be read as YAML"),
        (r'a: "\UFFFFFFFF"', "cannot be read as YAML"),
        (r'a: "\ud800"', r"text with characters that no file can hold, got '\ud800'"),
        (r'a: "x\0y"', "text with characters that no file can hold"),
        ("a: \x07", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [ls]", "got the YAML tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!timestamp 2020-01-01", "got the YAML tag tag:yaml.org,2002:timestamp"),
        ("a: !!set {b}", "got the YAML tag"),
        ("a: !!int b", "'b' is no int, as its tag says"),
        ("? [a, b]\n: 1", "a key is a name or a whole number, got a list or mapping"),
        ("true: 1", "a key is a name or a whole number, got 'true'"),
        ("a: 1\n---\nb: 2", "line 2 cannot be read as YAML (expected a single document"),
        ("a: [", "line 1 cannot be read as YAML"),
    ],
)  # fmt: skip
def test_text_that_is_no_plain_mapping_is_refused_at_once(text, message):
    refused = refusal(text)
    assert refused.startswith("mine.yaml")
    assert message in refused
    assert len(refused) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip: {}".encode("utf-16"), "it is UTF-16 or UTF-32; save it as UTF-8 text"),
        (b"description: ok\nlabels: caf\xe9\n", "it is not UTF-8 (byte 0xe9 in line 2); save it as UTF-8 text"),
        (b"PK\x03\x04\0\0", "it is a binary file"),
        (b"#" * (MAX_BYTES + 1), "has more than 1,048,576 bytes"),
        (None, "cannot be read as YAML (Is a directory)"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as error:
        read_text(path)
    assert message in str(error.value)


def leaves(section=Config().model_dump(mode="json"), path=()):  # noqa: B008
    for key, value in section.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


SCALARS = st.one_of(
    st.sampled_from(
        ["", "~", "true", "no", ".nan", "-.inf", "1e999", "-1", "0", "0.5", "3", "9" * 30, "2020-01-01", "1:30", "'5'",
         "*a", "&a x", "<<", "!!int x", "!!set {a}", "[", "{a: 1, a: 2}", '"\\ud800"', "[1, 2, 3, 4]", "[.nan, 1, 1]",
         "{slow: [1, 1, 1, 1], fast: [1]}", "[[[[]]]]", "slow", "{4: [0], 04: [1]}", "1e-4"]
    ),
    st.integers().map(str), st.floats().map(str), st.text(max_size=8),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(sorted(leaves())), SCALARS), max_size=4))
def test_any_values_give_a_config_or_an_error_that_names_the_file(tmp_path_factory, entries):
    lines = [f"{'.'.join(place)}={value}" for place, value in entries]
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    flow = ["{" + ": {".join(place) + f": {value}" + "}" * len(place) for place, value in entries]
    path.write_text("\n".join(flow), encoding="utf-8", errors="surrogatepass")
    for overrides, named in (((), "any.yaml"), (lines, "")):
        try:
            config = load_config(path if not overrides else "demo", overrides)
        except ConfigError as error:
            assert named in str(error)
            assert str(error).isprintable()
        else:
            assert Config.model_validate_json(config.model_dump_json()) == config


@given(st.text(max_size=60))
def test_any_text_gives_a_config_or_an_error_that_names_the_file(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(load_config(path), Config)
    except ConfigError as error:
        assert "any.yaml" in str(error)
        assert str(error).isprintable()
