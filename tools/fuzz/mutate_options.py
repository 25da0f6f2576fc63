"""Bad options: values out of every range, of another type, empty, in other scripts; options missing, twice or unknown.

The options are those that the program itself declares, so that new ones are tried without a word here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fuzz.drafts import Draft
from fuzz.mutate_text import NO_NUMBERS, NUMBERS, TEXTS

_OUTPUTS = ("--out", "--json", "--report")
_KEPT = ("--prepare",)  # without it `review` serves until Ctrl-C
_HUGE = ("1000000000", "9" * 18, "9" * 30, "-1000000000", "1e-7", "1e18")
_SPECS = ("onnx:", "onnx:in/absent.onnx", "boxes:", "boxes:in/truth.csv?start_seconds=nan", "boxes:in",
          "detectron2:x", "?", ":",
          "builtin?min_score=nan", "builtin?min_score=1e999", "builtin?x=1", "builtin:x", "builtin?min_score",
          "torchvision:",
          "torchvision:absent", "onnx:in/truth.csv?layout=yolox", "onnx:in/movie_000.mp4?layout=yolov8&size=0",
          "builtin?&&=")  # fmt: skip
_CHOICES = ("auto", "AUTO", "cuda", "cuda:99", "meta", "mps", "xla", "fp16", "local", "official,pyslowfast")
_LISTS = ("0", "-1", "128,,", ",", "nan", "1000000", "1e9", "128;144", "128," * 1000)
_PATHS = (
    *(text for text in TEXTS if not text.startswith("/")),
    "in",
    "in/absent",
    "/",
    "/dev/null",
    "/proc/self/mem",
    "\0x",
)
_WEIGHTS = ("", "absent", "in", "in/truth.csv", "random ", "DEMO", "slowfast", "s3:", "file://", "file:///absent", "nope://x/y",
            *_PATHS)  # fmt: skip


@cache
def options_of(command: str) -> dict[str, Any]:
    """The options of a command by their longest flag, with their types."""
    from ava_detect.cli.app import whole_command

    found: Any = whole_command()
    for word in command.split():
        found = found.commands[word]
    return {
        max(parameter.opts, key=len): parameter for parameter in found.params if parameter.param_type_name == "option"
    }


@cache
def all_commands() -> tuple[str, ...]:
    """Every command of the program, sub-commands with their command."""
    from ava_detect.cli.app import whole_command

    names: list[str] = []
    root: Any = whole_command()
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        names += [name] if inner is None else [f"{name} {sub}" for sub in inner]
    return tuple(names)


def bad_option(draft: Draft, rng: Random) -> str:
    """Make an option of a call bad; returns what was done."""
    options = options_of(draft.call.command)
    change = rng.random()
    if change < 0.06:
        extra = rng.choice(("--nonsense", "--", "-x", "surplus", "--Out", "--help=5", "\ud800".encode("utf-8",
        "surrogatepass")
                            .decode("utf-8", "surrogateescape")))  # fmt: skip
        draft.words.append(extra)
        return f"additional {extra!r}"
    present = [word for word in draft.words if word in options and word not in _KEPT]
    if change < 0.16 and present:
        flag = rng.choice(present)
        _without(draft, flag)
        if flag == "--out":
            draft.writable += _default_outputs(draft)
        return f"without {flag}"
    flags = [flag for flag in options if flag not in _OUTPUTS and f"{flag}" != "--resume"]
    if not flags:
        draft.words.append("--nonsense")
        return "additional '--nonsense'"
    flag = rng.choice(flags)
    if _is_flag(options[flag]):
        draft.words.append(flag + rng.choice(("", "", "=5", "=")))
        return f"{draft.words[-1]}"
    value, sure = _bad_value(flag, _type(options[flag]), rng)
    if "\0" in value:
        value = value.replace("\0", "")
    # An option that the good call lacks may contradict another, and a message may tell that one.
    others = [] if flag in draft.words else [word for word in draft.words if word.startswith("--")]
    _without(draft, flag)
    draft.words += [f"{flag}={value}"] if rng.random() < 0.5 else [flag, value]
    escaped = value.encode("unicode_escape", "surrogatepass").decode()
    target = value.rpartition(":")[2].partition("?")[0] if flag == "--detector" else ""
    # A value of one character, or none, is told by its flag or not at all.
    draft.named = [flag, *(name for name in (value, escaped, target) if name), *others] if len(value) > 1 else []
    draft.must_fail = sure
    return f"{flag} {value[:60]!r}"


def _default_outputs(draft: Draft) -> list[Path]:
    """Where a command writes if the call does not say it, as its help has it."""
    if draft.call.command == "visualize":
        results = draft.folder / draft.words[0]
        return [results / "page" if results.is_dir() else results.with_name(f"{results.name}.page")]
    names = {"annotate": "ava_results", "demo": "demo_results"}
    return [draft.folder / names[draft.call.command]] if draft.call.command in names else []


def bad_setting(draft: Draft, rng: Random) -> str:
    """Add a bad ``--set``; returns what was done."""
    from ava_detect.config.schema import Config

    settings = sorted(_settings(Config))
    name = rng.choice(settings)
    value = rng.choice((
        *NUMBERS, ".nan", ".inf", "null", "[]", "{}", "[.nan]", "[1000000000]", "1000000000", "[1, 2, 3]", "'",
        "[", "*x", "true",
        "random", "in/truth.csv", "{a: 1}", "!!python/name:os.system",
    ))  # fmt: skip
    text = rng.choice(
        (f"{name}={value}",) * 8 + (name, f"{name}.x={value}", f"={value}", f"{name}s={value}", f".{name}=1")
    )
    draft.words += ["--set", text]
    draft.named = [text, name, name.rpartition(".")[2], "--set"]
    return f"--set {text[:60]!r}"


def _settings(section: Any) -> list[str]:
    names = []
    for name, field in section.model_fields.items():
        inner = [
            kind
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if hasattr(kind, "model_fields")
        ]
        names += [f"{name}.{deeper}" for deeper in _settings(inner[0])] if inner else [name]
    return names


def _bad_value(flag: str, kind: str, rng: Random) -> tuple[str, bool]:
    """A bad value for an option, and whether nothing can be meant by it."""
    if kind == "float":
        value = rng.choice((*NUMBERS, *_HUGE))
        return value, value in ("nan", "abc", "", " ", "None", "1,5")
    if kind == "int":
        value = rng.choice((*NUMBERS, *_HUGE))
        return value, value in (*NO_NUMBERS, "", " ", "None", "1,5", "1.5", "1e300")
    if flag == "--detector":
        return rng.choice((*_SPECS, *TEXTS)), False
    if flag == "--scales":
        return rng.choice(_LISTS), False
    if flag in ("--workers", "--person", "--action"):
        return rng.choice((*NUMBERS, *_HUGE)), False
    if flag in ("--device", "--precision", "--execution", "--dialect", "--to", "--format", "--videos-by", "--engine",
                "--repertoire"):  # fmt: skip
        return rng.choice((*_CHOICES, *TEXTS)), False
    if flag in ("--weights", "--config"):
        return rng.choice(_WEIGHTS), False
    return rng.choice(_PATHS), False


def _type(parameter: Any) -> str:
    """``"float"``, ``"int"`` or ``"text"``."""
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    text = str(annotation or getattr(parameter, "type", "")).lower()
    return (
        "float" if "float" in text else "int" if "'int'" in text or "list[int]" in text or "integer" in text else "text"
    )


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _without(draft: Draft, flag: str) -> None:
    """Take an option and its value out of the words, wherever it is."""
    takes_value = not _is_flag(options_of(draft.call.command)[flag])
    while flag in draft.words:
        place = draft.words.index(flag)
        del draft.words[place : place + 1 + takes_value]
