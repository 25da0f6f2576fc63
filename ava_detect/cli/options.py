"""The options that several commands have, each with one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

# People
MinPersonScore = Annotated[
    float | None, typer.Option(metavar="F", help="Least score of a person; default: the config's, or the detector's.")
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
    float, typer.Option(metavar="S", help="Where in its movie each file starts (900 for trimmed AVA files).")
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
    typer.Option(metavar="S", help="Where in its movie each file starts, for csv files; default: the run's own."),
]
