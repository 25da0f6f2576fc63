"""The options that several commands have, each with one meaning."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ava_detect.cli import completion
from ava_detect.errors import shown

# The panels of --help, in this order on every page. Each option names its own (``rich_help_panel``).
COMMON = "Common"  # what most calls give; also whatever is required
PEOPLE = "People"  # the detector and its boxes
SCORES = "Times and scores"  # keyframe times, thresholds
TRUTH = "Ground truth"  # labels, matching
NETWORK = "Network"  # config and settings of what scores the actions
SPEED = "Speed"  # device, precision, processes on this machine
MANY = "Many videos"  # clusters, shared networks, limits of a video
FILES = "Files and printing"  # outputs, overwriting, amount of printing
PANELS = (COMMON, PEOPLE, SCORES, TRUTH, NETWORK, SPEED, MANY, FILES)

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


def choice(*words: str) -> dict[str, Any]:
    """Return the arguments of ``typer.Option`` for an option that takes one of a few words.

    Args:
        words: The words; the library checks them.

    Returns:
        The metavar that lists them, and their completion.
    """
    return {"metavar": "|".join(words), "autocompletion": completion.of_words(*words)}


def out_option(metavar: str, text: str) -> Any:
    """Return the option --out of a command.

    Args:
        metavar: What it takes, such as ``DIR``.
        text: Its help.

    Returns:
        For ``Annotated``.
    """
    return typer.Option("--out", "-o", metavar=metavar, help=text, rich_help_panel=COMMON)


def weights_option(*, random: bool = True, default: bool = False) -> Any:
    """Return the option --weights of a command.

    Args:
        random: Whether an untrained network is allowed.
        default: Whether the zoo's weights for the device are used where none are given.

    Returns:
        For ``Annotated``.
    """
    text = "Trained weights: a file, its address, or a name from `ava-detect weights list`"
    text += "; default: the zoo's for this machine" if default else ""
    return typer.Option(
        "--weights",
        "-w",
        metavar="FILE|NAME",
        help=f"{text}; 'random' tries the machinery." if random else f"{text}.",
        autocompletion=completion.weights_names if random else completion.listed_weights,
        rich_help_panel=COMMON,
    )


def detector_option(default: str = "the config's") -> Any:
    """Return the option --detector of a command.

    Args:
        default: What its help says of the default.

    Returns:
        For ``Annotated``.
    """
    return typer.Option(
        "--detector",
        "-d",
        metavar="SPEC",
        help=(
            "What finds the people: builtin, ultralytics:yolo11n, transformers:OWNER/NAME, onnx:FILE, torchvision:NAME "
            f"(docs/detectors.md); 'SPEC?classes=dog' for other actors; default: {default}."
        ),
        autocompletion=completion.detector_specs,
        rich_help_panel=PEOPLE,
    )


def min_score_option(text: str) -> Any:
    """Return the option --min-score of a command, for actions.

    Args:
        text: Its help.

    Returns:
        For ``Annotated``.
    """
    return typer.Option(parser=SCORE, metavar="SCORE", help=text, rich_help_panel=SCORES)


def config_option(*, required: bool = True) -> Any:
    """Return the option --config of a command.

    Args:
        required: Whether the command needs one; otherwise the default is the weights' own.

    Returns:
        For ``Annotated``.
    """
    text = "The network's config: a file, or the name of one that ships"
    return typer.Option(
        "--config",
        "-c",
        metavar="FILE|NAME",
        help=f"{text}." if required else f"{text}; default: that of the weights.",
        autocompletion=completion.config_names,
        rich_help_panel=COMMON if required else NETWORK,
    )


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=FILES)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.", rich_help_panel=FILES)]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace files that are not from an earlier run.", rich_help_panel=FILES),
]
Resume = Annotated[
    bool,
    typer.Option("--resume/--restart", help="Keep what is done, or do everything again.", rich_help_panel=FILES),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change one setting of the config; repeat it for several.",
        rich_help_panel=NETWORK,
    ),
]

# The network
Config = Annotated[str | None, config_option(required=False)]
Device = Annotated[
    str,
    typer.Option(**choice("auto", "cpu", "cuda"), help="Where the network runs.", rich_help_panel=SPEED),
]
Precision = Annotated[
    str,
    typer.Option(
        **choice("auto", "fp32", "bf16", "fast"),
        help="Arithmetic of the network; auto is fp32, bf16 less exact, fast is bf16 where that is faster.",
        rich_help_panel=SPEED,
    ),
]
Execution = Annotated[
    str,
    typer.Option(
        **choice("auto", "eager", "fused"),
        help="How the network is run; auto is the fastest that is exact.",
        rich_help_panel=SPEED,
    ),
]

# People
Detector = Annotated[str | None, detector_option()]
MinPersonScore = Annotated[
    float | None,
    typer.Option(
        parser=SCORE,
        metavar="SCORE",
        help="Leave out people whose box scores less; default: the config's, or the detector's.",
        rich_help_panel=PEOPLE,
    ),
]
Boxes = Annotated[
    str | None,
    typer.Option(
        metavar="CSV",
        help="Use these boxes of people instead of a detector: an AVA csv or COCO json, or its address.",
        rich_help_panel=PEOPLE,
    ),
]

# Which scores are written, and as what
Thresholds = Annotated[
    str | None,
    typer.Option(
        metavar="SCORE|FILE",
        help="Leave out actions below their class's threshold: a number for all, or a file (`calibrate`).",
        rich_help_panel=SCORES,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        parser=number(1, 1_000_000, whole=True),
        metavar="K",
        help="Only the K best actions of each person.",
        rich_help_panel=SCORES,
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write probabilities in the place of scores, by a file of `calibrate`.",
        rich_help_panel=SCORES,
    ),
]

# Ground truth
GroundTruth = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="What is true, an AVA csv: errors are then marked.", rich_help_panel=TRUTH),
]
Exclude = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="Leave out these keyframes (rows of video,timestamp).", rich_help_panel=TRUTH),
]
Subset = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Only these videos: a text file, one id a line.", rich_help_panel=TRUTH),
]
START_HELP = "Where in its movie each file starts: 900 for trimmed AVA files"
StartSeconds = Annotated[
    float,
    typer.Option(parser=SECONDS, metavar="SECONDS", help=f"{START_HELP}.", rich_help_panel=SCORES),
]
Fps = Annotated[
    float | None,
    typer.Option(
        parser=number(0, 1000, above=True),
        metavar="N",
        help="Frames (of a csv: labelled frames) a second, to turn seconds into frames; default: as recorded.",
        rich_help_panel=TRUTH,
    ),
]
Dialect = Annotated[
    str | None,
    typer.Option(
        **choice("official", "pyslowfast", "multisports", "act"),
        help="Whose rules: the first two for AVA (default: official), the others for tubes (multisports).",
        rich_help_panel=TRUTH,
    ),
]

# Saved results
Results = Annotated[
    Path,
    typer.Argument(metavar="RESULTS", help="The folder that `annotate` wrote (its --out), or one file of results."),
]
Videos = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the videos are, if they have moved since they were annotated.",
        rich_help_panel=COMMON,
    ),
]
LabelMap = Annotated[
    Path | None,
    typer.Option(
        metavar="PBTXT",
        help="Names of the actions; default: those in the results, or AVA's.",
        rich_help_panel=SCORES,
    ),
]
ParquetStart = Annotated[
    float | None,
    typer.Option(
        parser=SECONDS,
        metavar="SECONDS",
        help="Added to the times of Parquet files, which count from the video's start; default: the run's own.",
        rich_help_panel=SCORES,
    ),
]
ResultsStart = Annotated[
    float | None,
    typer.Option(
        parser=SECONDS,
        metavar="SECONDS",
        help="For csv files: where in its movie each file starts; default: the run's own.",
        rich_help_panel=SCORES,
    ),
]
