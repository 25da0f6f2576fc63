"""The options that several commands have, each with one meaning."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ava_detect.errors import shown

_MAX_SHOWN = 40
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number(
    low: float, high: float, *, above: bool = False, whole: bool = False, words: tuple[str, ...] = ()
) -> Callable[[object], Any]:
    """Return the parser of an option that takes a number: plain digits, finite and in a range.

    Args:
        low: Smallest value.
        high: Largest value.
        above: Whether ``low`` itself is too small.
        whole: Whether the number is an integer.
        words: Text that is allowed too, and returned as it is.

    Returns:
        For the argument ``parser`` of ``typer.Option``. It raises ``typer.BadParameter`` with what is allowed.
    """
    kind = "a whole number" if whole else "a number"
    span = f"above {low:,.10g}, at most {high:,.10g}" if above else f"from {low:,.10g} to {high:,.10g}"
    allowed = f"{kind} {span}" + "".join(f", or {word}" for word in words)

    def parse(value: object) -> int | float | str:
        text = str(value)
        if text in words:
            return text
        if (_WHOLE if whole else _DECIMAL).fullmatch(text) and len(text) < 400:
            parsed = int(text) if whole else float(text)
            if low <= parsed <= high and not (above and parsed == low):
                return parsed
        got = shown(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")
        raise typer.BadParameter(f"expected {allowed}, got '{got}'")

    return parse


# Beyond these ranges lie slips of the pen; each is far above what is used.
MAX_SECONDS = 1e7
MAX_WORKERS = 10_000
COUNT = number(0, 10**15, whole=True)  # the library checks the limits of each option
SCORE = number(0, 1)
SECONDS = number(0, MAX_SECONDS)
DURATION = number(0, MAX_SECONDS, above=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print problems only.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are not from an earlier run.")]
Resume = Annotated[bool, typer.Option("--resume/--restart", help="Keep what is done, or begin anew.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting in the place of the config's."),
]

# The network
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the network runs.")]
Precision = Annotated[str, typer.Option(metavar="auto|fp32|bf16", help="auto is fp32.")]
Execution = Annotated[
    str, typer.Option(metavar="auto|eager|fused", help="How the network is run; auto is the fastest that is exact.")
]

Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME",
        help="A checkpoint, its address, or a name (`weights list`); default: the recommended ones for the device.",
    ),
]
WeightsConfig = Annotated[
    str | None, typer.Option(help="A config file or a shipped one's name; default: the one that the weights belong to.")
]

# People
MinPersonScore = Annotated[
    float | None,
    typer.Option(parser=SCORE, metavar="F", help="Least score of a person; default: the config's, or the detector's."),
]
Boxes = Annotated[
    str | None, typer.Option(metavar="CSV", help="People found before (AVA csv or COCO json), or their address.")
]

# Ground truth
GroundTruth = Annotated[
    Path | None, typer.Option(metavar="CSV", help="What is true (an AVA csv): errors are then marked.")
]
Exclude = Annotated[Path | None, typer.Option(metavar="CSV", help="Keyframes (video,timestamp) that are left out.")]
StartSeconds = Annotated[
    float,
    typer.Option(parser=SECONDS, metavar="S", help="Where in its movie each file starts (900 for trimmed AVA files)."),
]
Dialect = Annotated[str, typer.Option(metavar="official|pyslowfast", help="Whose rules: see docs/evaluation.md.")]

# Saved results
Results = Annotated[Path, typer.Argument(metavar="RESULTS", help="The --out of `annotate`, or one file of results.")]
Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the videos are, if not where they were annotated.")
]
LabelMap = Annotated[
    Path | None, typer.Option(metavar="PBTXT", help="Names of the actions; default: those in the results, or AVA's.")
]
ResultsStart = Annotated[
    float | None,
    typer.Option(
        parser=SECONDS, metavar="S", help="Where in its movie each file starts, for csv files; default: the run's own."
    ),
]
