"""Mutations of text files: csv, json and JSON lines, yaml, label maps, lists of videos. See ``mutate_bytes``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

from fuzz.mutate_bytes import ANY, Mutation

# Numbers that are none, or that no reader expects.
NUMBERS = ("nan", "inf", "-inf", "1e999", "1e300", "-1", "0", "-0.0", "1e-320", "1_000", "0x10", "١٢", "9" * 30,
           "1.5", "abc",
           "", " ", "1,5", "None", "2001-01-01", "true", "𝟙", "+1", "1e3")  # fmt: skip
# The numbers that are in no range at all.
NO_NUMBERS = ("nan", "inf", "-inf", "1e999", "abc")
# Texts as names of videos, people, classes and files.
TEXTS = ("", " ", "../../escaped", "/escaped", "..", ".", "a/b", "a\\b", "-dash", "x" * 300, "é", "e\u0301",
         "👍🏽", "a\u202eb",
         "[red]bold[/red]", "\x1b[31m", "nan", "null", "CON", "{}", "%d", "=1+1", "score", "track_id", "label",
         "#", "a,b",
         "?x=1", "a\nb", "s p a c e", "\ufeff", "\x7f", "0")  # fmt: skip
_HEADERS = (
    "video_id,timestamp,x1,y1,x2,y2,action_id,score", "video_name,frame_idx,x1,y1,x2,y2,action_id,score",
    "video,time,x,y,w,h,label,score", "video,time,cx,cy,w,h,label,score",
    "video,time,xmin,xmax,ymin,ymax,action,person",
    "video,time,ymin,xmin,ymax,xmax,action,score", "video,time,x1,y1,x2,y2,track_id,label",
    "视频,时间,x1,y1,x2,y2,动作,分数",
    "a,b,c,d,e,f,g,h", "video_id;timestamp;x1;y1;x2;y2;action_id;score", "video_id,video_id,video_id",
)  # fmt: skip
_MANY_ROWS, _LONG, _DEEP = 20_000, 1_000_000, 100_000


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def encoded_otherwise(content: bytes, rng: Random) -> bytes:
    """The same text in another encoding, with another end of lines, or with bytes that are no UTF-8."""
    text = _text(content)
    place = rng.randrange(len(content) + 1)
    return rng.choice((
        text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + content, b"\xef\xbb\xbf\xef\xbb\xbf" + content,
        content.replace(b"\n", b"\r\n"), content.replace(b"\n", b"\r"),
        content[:place] + b"\xff\xfe\xe9" + content[place:],
        content[:place] + b"\0" + content[place:], content[:place] + b"\xed\xa0\x80" + content[place:],
        content + b"\x1a",
    ))  # fmt: skip


def lines_changed(content: bytes, rng: Random) -> bytes:
    """Lines missing, doubled, in another order, very long, or blank."""
    lines = _text(content).split("\n")
    place = rng.randrange(len(lines))
    change = rng.choice(("drop", "double", "shuffle", "long", "blank", "many"))
    if change == "drop":
        del lines[place]
    elif change == "double":
        lines.insert(place, lines[place])
    elif change == "shuffle":
        rng.shuffle(lines)
    elif change == "long":
        lines[place] += "x" * _LONG
    elif change == "blank":
        lines[place] = rng.choice(("", " ", "\t", ","))
    else:
        lines += [lines[0]] * _MANY_ROWS
    return _bytes("\n".join(lines))


def cell_changed(content: bytes, rng: Random) -> bytes:
    """A cell of a csv, or all of its column."""
    rows = [line.split(",") for line in _text(content).splitlines()]
    place, value = rng.randrange(len(rows)), rng.choice(NUMBERS + TEXTS)
    column = rng.randrange(len(rows[place]))
    whole = rng.random() < 0.3
    for number, row in enumerate(rows):
        if (whole or number == place) and column < len(row):
            row[column] = f'"{value}"' if rng.random() < 0.2 else value
    return _joined(rows)


def box_no_number(content: bytes, rng: Random) -> bytes:
    """A coordinate of a box that is no number; other files stay as they are."""
    rows = [line.split(",") for line in _text(content).splitlines()]
    boxes = [row for row in rows if len(row) > 6]
    if not boxes:
        return content
    rng.choice(boxes)[rng.randrange(2, 6)] = rng.choice(NO_NUMBERS)
    return _joined(rows)


def score_out_of_range(content: bytes, rng: Random) -> bytes:
    """A score that is none; files whose last column holds no scores, but people or nothing, stay as they are."""
    rows = [line.split(",") for line in _text(content).splitlines()]
    scored = [row for row in rows if len(row) == 8 and "." in row[7]]
    if not scored:
        return content
    rng.choice(scored)[7] = rng.choice((*NO_NUMBERS, "-0.5", "1.5", "7"))
    return _joined(rows)


def columns_changed(content: bytes, rng: Random) -> bytes:
    """Columns missing, too many, in another order, or parted by something else."""
    rows = [line.split(",") for line in _text(content).splitlines()]
    change = rng.choice(("drop", "add", "swap", "semicolon", "tab", "quote", "ragged"))
    first = rng.randrange(len(rows[0]))
    if change in ("semicolon", "tab"):
        return content.replace(b",", b";" if change == "semicolon" else b"\t")
    if change == "quote":
        return content + b'"movie_000,0001'
    if change == "ragged":
        rows[rng.randrange(len(rows))].append("5")
    for row in rows:
        if change == "drop":
            del row[min(first, len(row) - 1)]
        elif change == "add":
            row.insert(first, rng.choice(NUMBERS))
        elif change == "swap":
            row[0], row[-1] = row[-1], row[0]
    return _joined(rows)


def boxes_otherwise(content: bytes, rng: Random) -> bytes:
    """Boxes in pixels, with their sides reversed, or as width and height."""
    rows = [line.split(",") for line in _text(content).splitlines()]
    change = rng.choice(("pixels", "reversed", "empty"))
    for row in rows:
        try:
            box = [float(value) for value in row[2:6]]
        except ValueError:
            continue
        if len(box) == 4:
            x1, y1, x2, y2 = box
            new = {"pixels": [x * 320 for x in box], "reversed": [x2, y2, x1, y1], "empty": [x1, y1, x1, y1]}[change]
            row[2:6] = [f"{value:g}" for value in new]
    return _joined(rows)


def header_added(content: bytes, rng: Random) -> bytes:
    """A header, right or wrong."""
    return _bytes(rng.choice(_HEADERS) + "\n") + content


def _joined(rows: list[list[str]]) -> bytes:
    return _bytes("\n".join(map(",".join, rows)) + "\n")


def value_changed(content: bytes, rng: Random) -> bytes:
    """A value anywhere in a json document or in one of its lines: another type, another range, gone, or twice."""
    try:
        documents = [json.loads(content)]
    except ValueError:
        try:
            documents = [json.loads(line) for line in content.splitlines()]
        except ValueError:
            return truncated_structure(content, rng)
    place = rng.randrange(len(documents))
    documents[place] = _changed(documents[place], rng)
    texts = [json.dumps(document, ensure_ascii=rng.random() < 0.5) for document in documents]
    return _bytes("\n".join(texts).replace('"@huge@"', "9" * 400).replace('"@exponent@"', "1e400") + "\n")


def _changed(value: Any, rng: Random) -> Any:
    """``value`` with a change somewhere inside."""
    bad: tuple[Any, ...] = (
        None, [], {}, "", True, -1, 0, 1e300, float("nan"), float("-inf"), 10**30, "@huge@", "@exponent@", [[]],
        {"a": 1},
        "\ud800", [None], 2**63, *TEXTS,
    )  # fmt: skip
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(bad)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [*value[:place], _changed(value[place], rng), *value[place + 1 :]]
    key = rng.choice(list(value))
    change = rng.random()
    if change < 0.1:
        return {name: held for name, held in value.items() if name != key}
    if change < 0.15:
        return {(rng.choice(TEXTS) if name == key else name): held for name, held in value.items()}
    return value | {key: _changed(value[key], rng)}


def cut_document(content: bytes, rng: Random) -> bytes:
    """A json document without its last bracket or more; JSON lines stay as they are."""
    whole = content.rstrip()
    return whole[: rng.randrange(1, len(whole))] if b"\n{" not in whole else content


def truncated_structure(content: bytes, rng: Random) -> bytes:
    """A structure that never ends, goes very deep, or is followed by something."""
    place = rng.randrange(len(content) + 1)
    return rng.choice((
        content[:place], b"[" * _DEEP, b'{"a":' * _DEEP, b"[" * _DEEP + b"]" * _DEEP, content[:place] + b"[" * _DEEP,
        content + b"}", content + content, b"null", b"[]", b"{}", b'""', b"5", b"NaN",
        content[:place] + b'"' + content[place:],
    ))  # fmt: skip


_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [" + ",".join([f"*{old}"] * 9) + "]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip
_YAML_VALUES = (*NUMBERS, ".nan", ".inf", "-.inf", "null", "[]", "{}", "[.nan, 1]", "1000000000", "1000000",
                "[1000000]",
                "!!python/object/apply:os.system ['touch pwned']", "!!binary aGk=", "!!set {a}", "&x [*x]",
                "*nobody", "@a", "`",
                "'", "[" * 2000, "{a: 1, a: 2}", "2001-01-01 10:00:00", "0o17", "1:30", "~", "yes", "|\n  text", "? x",
                "[1, 2, 3, 4, 5, 6, 7, 8, 9]", "in/truth.csv", "random", "x" * 5000)  # fmt: skip


def setting_changed(content: bytes, rng: Random) -> bytes:
    """A setting of a yaml file with another value, or gone, or twice, or under another name."""
    lines = _text(content).split("\n")
    settings = [number for number, line in enumerate(lines) if re.match(r"\s*[\w.]+:", line)]
    place = rng.choice(settings)
    change = rng.choice(("value",) * 6 + ("drop", "double", "rename", "indent", "merge"))
    key, _, value = lines[place].partition(":")
    if change == "value":
        lines[place] = f"{key}: {rng.choice(_YAML_VALUES)}"
    elif change == "drop":
        del lines[place]
    elif change == "double":
        lines.append(f"{key}:{value or ' {}'}")
    elif change == "rename":
        lines[place] = f"{key.rstrip()}{rng.choice(('s', '_', '.x', ' x'))}:{value}"
    elif change == "indent":
        lines[place] = rng.choice((" ", "\t", "- ")) + lines[place]
    else:
        lines.insert(
            place, rng.choice(("<<: 5", "<<: {a: 1}", "? [1, 2]", "5: 6", "null: 1", "[1]: 2", "---", "...", "%YAML 9"))
        )
    return _bytes("\n".join(lines))


def repeated_key(content: bytes, rng: Random) -> bytes:
    """A setting twice, of which a careless reader takes the last."""
    lines = _text(content).split("\n")
    place = rng.choice([number for number, line in enumerate(lines) if re.match(r"\s*\w+: \S", line)])
    lines.insert(place, lines[place])
    return _bytes("\n".join(lines))


def unknown_key(content: bytes, rng: Random) -> bytes:
    """A setting that there is none of."""
    lines = _text(content).split("\n")
    place = rng.choice([number for number, line in enumerate(lines) if re.match(r"\s*\w+: \S", line)])
    indent = re.match(r"\s*", lines[place])
    lines.insert(place, f"{indent[0] if indent else ''}no_such_setting: 1")
    return _bytes("\n".join(lines))


def yaml_bomb(content: bytes, rng: Random) -> bytes:
    """Yaml that is small and becomes very large, very deep, or contains itself."""
    return rng.choice((
        _bytes(_BOMB), content + _bytes(_BOMB), b"[" * 5000, b"&a [*a]", b"model: &a {model: *a}", b"- " * 5000,
        b"{a: " * 3000, b"model:\n  backbone:\n    depths: &d [*d]\n", b"x: !!python/name:os.system\n",
    ))  # fmt: skip


def label_map_changed(content: bytes, rng: Random) -> bytes:
    """A label map with other ids, names, quotes, escapes or braces."""
    text = _text(content)
    names, ids = re.findall(r'name: "[^"]*"', text), re.findall(r"label_id: \d+", text)
    change = rng.choice(("id", "id", "name", "name", "brace", "quotes", "field", "twice", "plain", "deep", "single"))
    if change == "id":
        value = rng.choice((*NUMBERS, "-1", "2147483648", "9" * 20, "1000000000", '"1"', "017"))
        return _bytes(text.replace(rng.choice(ids), f"label_id: {value}", 1))
    if change == "name":
        value = rng.choice((*TEXTS, r"\"", r"\n", r"\303\251", r"\x41", r"\u00e9", "\\", r"\q", '"'))
        return _bytes(text.replace(rng.choice(names), f'name: "{value}"', 1))
    if change == "brace":
        brace = rng.choice("{}")
        return _bytes(text.replace(brace, rng.choice(("", brace * 2, "<")), 1))
    if change == "quotes":
        return _bytes(text + 'label { name: "' + '\\"' * 200_000)
    if change == "field":
        return _bytes(text.replace("label_id", rng.choice(("id", "item_id", "labelid", "label_id: 3 label_id")), 1))
    if change == "twice":
        return content + content
    if change == "plain":
        return b"1: walk\n2: run\n"
    if change == "single":
        return _bytes(text.replace('"', "'"))
    return _bytes("label {" * 20_000)


def cut_label(content: bytes, rng: Random) -> bytes:
    """A label map that ends inside a label."""
    return content[: rng.choice([match.end() for match in re.finditer(rb"name: \"|label_id:|\{", content)])]


def list_changed(content: bytes, rng: Random) -> bytes:
    """A list of files or ids, one of which is something else."""
    lines = _text(content).splitlines()
    lines[rng.randrange(len(lines))] = rng.choice((
        *TEXTS, "videos", "list.txt", "list.csv", ".", "/dev/null", "videos/*", "file://videos/movie_000.mp4", "nope://x/y.mp4",
        "file:///absent/x.mp4",
    ))  # fmt: skip
    return _bytes("\n".join(lines) + "\n")


_TEXT: Mapping[str, Mutation] = {**ANY, "encoded_otherwise": encoded_otherwise, "lines_changed": lines_changed}
CSV: Mapping[str, Mutation] = {
    **_TEXT, "cell_changed": cell_changed, "columns_changed": columns_changed, "boxes_otherwise": boxes_otherwise,
    "header_added": header_added, "box_no_number": box_no_number, "score_out_of_range": score_out_of_range,
}  # fmt: skip
JSON: Mapping[str, Mutation] = {
    **_TEXT, "value_changed": value_changed, "truncated_structure": truncated_structure,
    "cut_document": cut_document,
}  # fmt: skip
YAML: Mapping[str, Mutation] = {
    **_TEXT, "setting_changed": setting_changed, "yaml_bomb": yaml_bomb,
    "repeated_key": repeated_key, "unknown_key": unknown_key,
}  # fmt: skip
PBTXT: Mapping[str, Mutation] = {**_TEXT, "label_map_changed": label_map_changed, "cut_label": cut_label}
LIST: Mapping[str, Mutation] = {**_TEXT, "list_changed": list_changed}
