"""``ava-detect train``: parse, call one function, print."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import completion, options
from ava_detect.cli.console import complain, say
from ava_detect.cli.next_step import file_word, say_next
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError, DivergedError, counted, shown

if TYPE_CHECKING:
    from ava_detect import training


def train(
    out: Annotated[
        str, options.out_option("DIR|ADDRESS", "Where weights, checkpoints and logs go: a folder, or s3://...")
    ],
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE|NAME",
            help="The network's config: a file, or the name of one that ships; default: that of train.initialise, with "
            "a short recipe to train it further.",
            autocompletion=completion.config_names,
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Learn from the keyframes that were accepted in 'ava-detect review'.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    overrides: options.Overrides = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the checkpoint in --out, if there is one.", rich_help_panel=options.FILES
        ),
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a config's network on its data, or weights further on corrections."""
    from ava_detect.config import load_config
    from ava_detect.config.fine_tuning import fine_tuning_config

    texts = list(overrides or ())
    if corrections is not None:
        # In quotes of YAML, which are those of JSON.
        texts.append(f"data.corrections.folder={json.dumps(str(corrections))}")
    settings = fine_tuning_config(texts) if config is None else load_config(config, texts)
    if not settings.data.has_training_data:
        named = f"{shown(config)}: the config has" if config is not None else "there is"
        raise ConfigError(
            f"{named} no data.train, so there is nothing to train on; give its annotations and videos, or `corrections`"
        )
    try:
        with progress_bar(show=not quiet) as on_progress:
            show_stage(on_progress, "loading PyTorch")  # which a wrong config need not wait for
            from ava_detect.training import train as learn

            result = learn(settings, out, resume=resume, on_progress=on_progress)
    except DivergedError as error:  # The call was right; it is the work that failed.
        complain(str(error))
        raise typer.Exit(1) from error
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes
        return
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    elif not quiet:
        _print_result(result)


def _print_result(result: training.TrainResult) -> None:
    for note in result.notes:
        say(f"Note: {note}.")
    steps, epochs = counted(result.steps, "step"), counted(result.epochs, "epoch")
    say(f"{steps} in {epochs}, {result.seconds:.0f} s; loss {result.loss:.4f}")
    if result.score is not None:
        say(f"{result.metric} {100 * result.score:.2f} on the validation split, the best, in epoch {result.best_epoch}")
    say(f"Weights:  {result.weights}")
    say(f"History:  {result.out}/log.csv, {result.out}/validation.csv")
    say_next("Use them", "annotate", "video.mp4", "--weights", file_word(result.weights))
