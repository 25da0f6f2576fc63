"""``ava-detect demo``: a run of ``annotate`` over a rendered movie whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.annotate import complain_of, print_summary
from ava_detect.cli.console import say
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar


def demo(
    out: Annotated[Path, options.out_option("DIR", "Folder for the movie and its results.")] = Path("demo_results"),
    quiet: options.Quiet = False,
) -> None:
    """Try it on a rendered movie, without any download."""
    with progress_bar(show=not quiet) as on_progress:
        from ava_detect.annotation.demo import run_demo

        result = run_demo(out, on_progress=on_progress)
    if not quiet:
        print_summary(result.summary)
        share = result.num_found / result.num_people if result.num_people else 0.0
        say(
            f"The detector found {result.num_found} of the movie's {result.num_people} people ({share:.0%}, IoU 0.5), "
            f"and {result.num_false} boxes that match no person, or a person with a box already."
        )
        say(f"What they do: {result.score.summary()}")
        say(f"Movie and its truth:  {result.world}")
        say(f"Results:              {result.results}")
        for video in result.summary.videos:
            for name in video.outputs:
                say(f"                      {result.results / name}")
    complain_of(result.summary)
    if not quiet:
        say_next("Look at them", "visualize", file_word(result.results))
    if not result.summary.all_well:
        raise typer.Exit(1)
