"""The page of every key of a config: type, limits and default from the schema, its meaning from the docstring."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from griffe import Docstring, DocstringSectionKind
from pydantic import BaseModel

from ava_detect.config import Config

from .cells import cell

_HEAD = """# Config keys

A config holds only what differs from these defaults. It is a YAML file with the sections below, or a name of
[the shipped ones](../configs/README.md); on the command line one key is changed by `--set SECTION.KEY=VALUE`, in Python
by `load_config(name, ["SECTION.KEY=VALUE"])`. An unknown key, or a value of another type or beyond its limits, is an
error that names the file and the line. How training uses them: [training.md](../docs/training.md).
"""


def config_page() -> str:
    """Return the page.

    Returns:
        Its Markdown.
    """
    parts = [_HEAD]
    for path, section, remark in _sections("", Config, ""):
        parts.append(f"## {path or 'At the top'}{remark}\n\n{_introduction(section)}\n{_table(path, section)}")
    return "\n".join(parts)


def config_keys() -> list[str]:
    """Return every key with its default, for those who compare versions.

    Returns:
        Lines such as ``clip.num_frames = 32``, sorted; keys of one kind of backbone name it.
    """
    return sorted(
        f"{path}{remark}{'.' * bool(path)}{name} = {json.dumps(_default(schema))}"
        for path, section, remark in _sections("", Config, "")
        for name, schema in section.model_json_schema()["properties"].items()
    )


def _sections(path: str, section: type[BaseModel], remark: str) -> Iterator[tuple[str, type[BaseModel], str]]:
    """Dotted path and class of each section, with a remark where the key takes one of several."""
    yield path, section, remark
    for name, field in section.model_fields.items():
        classes = [one for one in _leaves(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        for inner in classes:
            kind = f" (kind: {inner.model_fields['kind'].default})" if len(classes) > 1 else ""
            yield from _sections(f"{path}.{name}".lstrip("."), inner, kind)


def _leaves(annotation: Any) -> Iterator[Any]:
    parts = get_args(annotation)
    if not parts:
        yield annotation
    for part in parts:
        yield from _leaves(part)


def _introduction(section: type[BaseModel]) -> str:
    first = Docstring(section.__doc__ or "").parse("google")[0]
    return f"{first.value}\n" if first.kind is DocstringSectionKind.text else ""


def _meanings(section: type[BaseModel]) -> Mapping[str, str]:
    parsed = Docstring(section.__doc__ or "", lineno=1).parse("google", warnings=False)
    lists = [part.value for part in parsed if part.kind is DocstringSectionKind.attributes]
    return {attribute.name: attribute.description for attributes in lists for attribute in attributes}


def _table(path: str, section: type[BaseModel]) -> str:
    document = section.model_json_schema()
    meanings = _meanings(section)
    lines = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for name, schema in document["properties"].items():
        values, default = _values(schema, document.get("$defs", {})), _shown_default(schema, document)
        lines.append(f"| `{name}` | {values} | {default} | {cell(meanings[name])} |")
    return "\n".join([*lines, ""])


def _values(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a key takes, in words."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _values(target, definitions) if target.get("type") != "object" else "a section"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_values(one, definitions) for one in schema[several]))
    if "allOf" in schema:
        return _values(schema["allOf"][0], definitions)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return _list(schema, definitions)
    if kind in ("integer", "number"):
        return {"integer": "a whole number", "number": "a number"}[kind] + _limits(schema)
    names = {"string": "text", "boolean": "`true`, `false`", "null": "`null`", "object": "a section"}
    return names.get(str(kind), "any value")


def _list(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        inner = dict.fromkeys(_values(one, definitions) for one in schema["prefixItems"])
        return f"a list of {len(schema['prefixItems'])}: {', '.join(inner)}"
    return f"a list of: {_values(schema.get('items', {}), definitions)}"


def _limits(schema: Mapping[str, Any]) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    words = []
    if low is not None or above is not None:
        words.append(f"from {low:,g}" if low is not None else f"above {above:,g}")
    if high is not None or below is not None:
        words.append(f"to {high:,.10g}" if high is not None else f"below {below:,g}")
    return f" {' '.join(words)}" if words else ""


def _default(schema: Mapping[str, Any]) -> Any:
    return "..." if "default" not in schema else "section" if isinstance(schema["default"], dict) else schema["default"]


def _shown_default(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    default = _default(schema)
    if default in ("...", "section"):
        return "must be given" if default == "..." else "its own"
    return f"`{json.dumps(default)}`"
