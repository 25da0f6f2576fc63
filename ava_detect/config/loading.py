"""Config files: find them by path or name, and read them with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from ava_detect.config.document import cut, parse, read_text
from ava_detect.config.model import SECTION_OF_MARK
from ava_detect.config.schema import Config
from ava_detect.config.section import Section
from ava_detect.config.slowfast import BY_PATHWAY, FOR_ALL
from ava_detect.environment import resource_dir
from ava_detect.errors import ConfigError, shown, suggestion

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S", bound=Section)
_MAX_PROBLEMS = 5
# What to try, by the type of pydantic's error.
_ADVICE = {
    "string_type": "put it in quotes",
    "int_type": "write it in digits, without quotes and without a point",
    "float_type": "write it as 0.5, without quotes",
    "bool_type": "write true or false",
}


def config_names() -> list[str]:
    """List the configs that the package contains.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in resource_dir("configs").glob("*.yaml"))


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and validate it.

    Args:
        name_or_path: Path of a config file, or the name of one in ``configs/``.
        overrides: ``section.key=value`` each, the value as YAML; they replace the file's values, and later ones earlier
            ones.

    Returns:
        The config.

    Raises:
        ConfigError: The file cannot be found or read, a key is repeated, a value does not fit the schema, or an
            override has no effect. The message gives the value, what is allowed, and the file and line or the override.

    Example:
        >>> load_config("slowfast_r50_32x2", ["clip.short_side=224"]).clip.short_side
        224
    """
    path = _find(name_or_path)
    document = parse(read_text(path), shown(path))
    content = {} if document.values is None else document.values
    if not isinstance(content, dict):
        raise ConfigError(
            f"{shown(path)}: a config is a mapping of {', '.join(Config.model_fields)}, got {_kind_of(content)}"
        )
    overridden = {_apply_override(content, text): text for text in overrides}

    def in_file(location: tuple[str, ...]) -> str:
        return f"{shown(path)}, line {document.line_of(location)}"

    config = _validated(Config, content, lambda problem: _origin(problem, in_file, overridden))
    return _without_idle_overrides(config, overridden)


def from_values(kind: type[S], values: Any, origin: str) -> S:
    """Validate a config, or a section of one, that is no file, such as the config inside a weights file.

    Args:
        kind: ``Config``, or the class of a section.
        values: Nested plain values.
        origin: Where they come from, for messages.

    Returns:
        The config or section.

    Raises:
        ConfigError: A value does not fit the schema. The message gives the origin, the key, the value and what is
            allowed.
    """
    return _validated(kind, values, lambda problem: origin)


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Return a config with other values.

    Args:
        config: The config.
        overrides: As for ``load_config``.

    Returns:
        A changed copy; ``config`` itself where there are no overrides.

    Raises:
        ConfigError: A value does not fit the schema, or an override has no effect.
    """
    if not overrides:
        return config
    values = config.model_dump(mode="json")
    overridden = {_apply_override(values, text): text for text in overrides}
    changed = _validated(Config, values, lambda problem: _origin(problem, lambda location: "the config", overridden))
    return _without_idle_overrides(changed, overridden)


def _validated(kind: type[S], values: Any, origin_of: Callable[[ErrorDetails], str]) -> S:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        texts = [_explain(kind, problem, origin_of(problem)) for problem in problems[:_MAX_PROBLEMS]]
        if len(problems) > _MAX_PROBLEMS:
            texts.append(f"and {len(problems) - _MAX_PROBLEMS} more problems")
        raise ConfigError("; ".join(texts)) from error


def _apply_override(content: dict[str, Any], text: str) -> tuple[str, ...]:
    """Enter one ``section.key=value`` into ``content``; return the keys that lead to the value."""
    name, equals, value = text.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"an override is section.key=value, for example train.epochs=10; got {_quoted(text)}")
    section = content
    for depth, key in enumerate(keys[:-1], 1):
        inner = section.setdefault(key, {})
        if inner is None:
            inner = section[key] = {}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"the override {_quoted(text)}: {'.'.join(keys[:depth])} is {_in_yaml(inner)}, which has no keys; set "
                "it as a whole, such as clip.mean=[0.45, 0.45, 0.45]"
            )
        section = inner
    section[keys[-1]] = parse(value, f"the value of {_quoted(text)}", with_lines=False).values
    return keys


def _without_idle_overrides(config: Config, overridden: Mapping[tuple[str, ...], str]) -> Config:
    """The config; ``ConfigError`` for an override that another setting leaves without effect."""
    text = overridden.get(("clip", "sampling_rate"))
    if text is not None and config.clip.frame_offsets is not None:
        raise ConfigError(
            f"the override {_quoted(text)} has no effect, because clip.frame_offsets names each frame; change that, or "
            "add clip.frame_offsets=null"
        )
    return config


def _origin(
    problem: ErrorDetails, elsewhere: Callable[[tuple[str, ...]], str], overridden: Mapping[tuple[str, ...], str]
) -> str:
    """The override that a validation error comes from, or the place of its location elsewhere, for a message."""
    location = _location(problem)
    if problem["type"] == "missing":
        # The missing key has no line; its section has one.
        location = location[:-1]
    for keys, text in overridden.items():
        # The override set the value itself, a section around it or a value inside it.
        related = location[: len(keys)] == keys or keys[: len(location)] == location
        # A contradiction between sections has no location; its message names the keys.
        if related if location else ".".join(keys) in problem["msg"]:
            return f"the override {_quoted(text)}"
    return elsewhere(location)


def _location(problem: ErrorDetails) -> tuple[str, ...]:
    """The keys and list indices that lead to the value, without the marks of unions and of mapping keys."""
    marks = (FOR_ALL, BY_PATHWAY, "[key]", *SECTION_OF_MARK)
    return tuple(str(part) for part in problem["loc"] if part not in marks)


def _section_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The class of the section that a place in a validation error leads to."""
    section = kind
    for key in map(str, place):
        if key in SECTION_OF_MARK:
            section = SECTION_OF_MARK[key]
        else:
            annotation = section.model_fields[key].annotation
            # After a field of several sections comes the mark of one.
            section = next((kind for kind in (annotation, *get_args(annotation)) if _is_section(kind)), section)
    return section


def _find(name_or_path: str | Path) -> Path:
    """The path of a config file, given by path or name."""
    path, name = Path(name_or_path), str(name_or_path)
    try:
        if path.is_file():
            return path
        if path.is_dir() and (name.endswith(("/", ".")) or name not in config_names()):
            raise ConfigError(f"{_quoted(name)} is a folder; name a config file in it, or a config that ships")
        named = resource_dir("configs") / f"{name}.yaml"
        if named.is_file():
            return named
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        # No file can have such a name.
        raise ConfigError(f"{_quoted(name)} is no name of a config file ({error})") from error
    names = config_names()
    raise ConfigError(
        f"{_quoted(name)} is neither a config file nor one of the configs {', '.join(names)}{suggestion(name, names)}"
    )


def _explain(kind: type[BaseModel], problem: ErrorDetails, origin: str) -> str:
    """A validation error of a ``kind`` as one sentence; ``origin`` is the override or the file and line."""
    location = _location(problem)
    name = cut(".".join(location))
    if problem["type"] == "extra_forbidden":
        valid = list(_section_at(kind, problem["loc"][:-1]).model_fields)
        hint = suggestion(location[-1], valid)
        return f"{origin}: unknown key {name!r}{hint}; known here: {', '.join(valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    got = "" if isinstance(problem["input"], dict) else f", got {_in_yaml(problem['input'])}"
    advice = f"; {_ADVICE[problem['type']]}" if problem["type"] in _ADVICE else ""
    return f"{origin}: {name + ': ' if name else ''}{message[:1].lower() + message[1:]}{got}{advice}"


def _kind_of(content: Any) -> str:
    return (
        "a list" if isinstance(content, list) else "text" if isinstance(content, str) else "a number or a truth value"
    )


def _in_yaml(value: Any) -> str:
    """A value as it is written in YAML, not too long."""
    words = {True: "true", False: "false"}
    return words[value] if isinstance(value, bool) else "null" if value is None else cut(repr(value))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _quoted(text: str) -> str:
    return f"'{cut(text)}'"
