"""Config files: find them by path or name, and read them with errors that name the file and the line."""

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
    """List the configs that the package contains.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in resource_dir("configs").glob("*.yaml"))


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and validate it.

    Args:
        name_or_path: Path of a config file, or the name of one in ``configs/``.
        overrides: ``section.key=value`` each, the value as YAML; they replace the file's values.

    Returns:
        The config.

    Raises:
        ConfigError: The file cannot be found or read, or a value does not fit the schema. The message gives the value,
            what is allowed, and the file and line or the override.

    Example:
        >>> load_config("slowfast_r50_32x2", ["clip.short_side=224"]).clip.short_side
        224
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
    overridden = {_apply_override(content, text): text for text in overrides}
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [_explain(problem, _origin(problem, root, path, overridden)) for problem in error.errors()]
        raise ConfigError("; ".join(problems)) from error


def _apply_override(content: dict[str, Any], text: str) -> tuple[str, ...]:
    """Enter one ``section.key=value`` into ``content``; return the keys that lead to the value."""
    name, equals, value = text.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"an override is section.key=value, for example train.epochs=10; got {text!r}")
    section = content
    for key in keys[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = {}
        section = section[key]
    try:
        section[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {text!r} cannot be read as YAML ({' '.join(str(error).split())})") from error
    return keys


def _origin(problem: Any, root: yaml.Node | None, path: Path, overridden: dict[tuple[str, ...], str]) -> str:
    """The override that a validation error comes from, or the file and line, for a message."""
    location = tuple(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        # The missing key has no line; its section has one.
        location = location[:-1]
    for keys, text in overridden.items():
        # The override set the value itself, a section around it or a value inside it.
        if location and (location[: len(keys)] == keys or keys[: len(location)] == location):
            return f"the override {text!r}"
    return f"{path}, line {_line_of(root, list(location))}"


def _find(name_or_path: str | Path) -> Path:
    """The path of a config file, given by path or name."""
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


def _explain(problem: Any, origin: str) -> str:
    """A validation error as one sentence; ``origin`` is the override or the file and line."""
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        section: type[BaseModel] = Config
        for name in location[:-1]:
            annotation = section.model_fields[name].annotation
            (section,) = [kind for kind in (annotation, *get_args(annotation)) if _is_section(kind)]
        valid = list(section.model_fields)
        hint = suggestion(location[-1], valid)
        return f"{origin}: unknown key {'.'.join(location)!r}{hint}; known here: {', '.join(valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    got = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    name = ".".join(location)
    return f"{origin}: {name + ': ' if name else ''}{message[:1].lower() + message[1:]}{got}"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _line_of(node: yaml.Node | None, location: list[str]) -> int:
    """The line (from 1) of the deepest key of ``location`` that the file has."""
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
