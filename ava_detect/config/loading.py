"""Config files: found by path or name, read with errors that name the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ava_detect.config.schema import Config
from ava_detect.environment import resource_dir
from ava_detect.errors import ConfigError, suggestion


def config_names() -> list[str]:
    """The configs that ship with the package."""
    return sorted(path.stem for path in resource_dir("configs").glob("*.yaml"))


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config by file path, or by the name of one in ``configs/``.

    ``overrides``: ``section.key=value`` each, the value as YAML, in the place of what the file says.
    ``ConfigError`` says what was got, what is allowed, and in which file and line or in which override.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML ({' '.join(str(error).split())})") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: a config is a mapping of {', '.join(Config.model_fields)}, got a {type(content).__name__}"
        )
    places = {_override(content, text): text for text in overrides}
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [_explain(problem, _where(problem, root, path, places)) for problem in error.errors()]
        raise ConfigError("; ".join(problems)) from error


def _override(content: dict[str, Any], text: str) -> tuple[str, ...]:
    """Enter one ``section.key=value`` into ``content``; returns the place it went to."""
    name, equals, value = text.partition("=")
    place = tuple(name.strip().split("."))
    if not equals or not all(place):
        raise ConfigError(f"an override is section.key=value, for example train.epochs=10; got {text!r}")
    section = content
    for key in place[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = {}
        section = section[key]
    try:
        section[place[-1]] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {text!r} cannot be read as YAML ({' '.join(str(error).split())})") from error
    return place


def _where(problem: Any, root: yaml.Node | None, path: Path, places: dict[tuple[str, ...], str]) -> str:
    """The override that a problem comes from, or the file and line."""
    location = tuple(str(part) for part in problem["loc"])
    if problem["type"] == "missing":  # it is the section that somebody has begun
        location = location[:-1]
    for place, text in places.items():
        if location and (location[: len(place)] == place or place[: len(location)] == location):
            return f"the override {text!r}"
    return f"{path}, line {_line_of(root, list(location))}"


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.is_file():
        return path
    named = resource_dir("configs") / f"{name_or_path}.yaml"
    if named.is_file():
        return named
    names = config_names()
    raise ConfigError(
        f"{str(name_or_path)!r} is neither a config file nor one of the configs {', '.join(names)}"
        f"{suggestion(str(name_or_path), names)}"
    )


def _explain(problem: Any, where: str) -> str:
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        section: type[BaseModel] = Config
        for name in location[:-1]:
            annotation = section.model_fields[name].annotation
            (section,) = [kind for kind in (annotation, *get_args(annotation)) if _is_section(kind)]
        valid = list(section.model_fields)
        hint = suggestion(location[-1], valid)
        return f"{where}: unknown key {'.'.join(location)!r}{hint}; known here: {', '.join(valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    got = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    name = ".".join(location)
    return f"{where}: {name + ': ' if name else ''}{message[:1].lower() + message[1:]}{got}"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _line_of(node: yaml.Node | None, location: list[str]) -> int:
    """The line of the deepest key of ``location`` that the file has."""
    line = 1
    for name in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == name:
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line
