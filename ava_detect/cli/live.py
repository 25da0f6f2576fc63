"""``ava-detect live``: parse, run until the end, print."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import complain, err, in_flags, results_beside, say_table
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import ConfigError, shown
from ava_detect.storage.addresses import without_secrets

if TYPE_CHECKING:
    from ava_detect.inference.live.measures import LiveStatus


def live(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Addresses (rtsp://, http://, udp://, srt://), cameras (0, /dev/video0), - for the standard input, or "
            "files, played in real time; NAME=SOURCE gives a name.",
        ),
    ],
    out: Annotated[
        Path | None,
        options.out_option("DIR", "Also write the lines into files here, which rotate; default: print them only."),
    ] = None,
    weights: Annotated[str | None, options.weights_option(default=True)] = None,
    when: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Raise an alarm, such as 'fight > 0.6 for 2s'; repeat it for several.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    save_clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save a drawn clip of each alarm here; without --when, of each event.",
            rich_help_panel=options.COMMON,
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--page",
            help="Serve a page on this machine: pictures with boxes, and the events of the last minutes.",
            rich_help_panel=options.COMMON,
        ),
    ] = False,
    detector: options.Detector = None,
    config: options.Config = None,
    overrides: options.Overrides = None,
    min_person_score: options.MinPersonScore = None,
    new_person_score: Annotated[
        float,
        typer.Option(
            parser=options.SCORE,
            metavar="SCORE",
            help="A box below it never starts a new track, only continues one; 0.6 suits builtin.",
            rich_help_panel=options.PEOPLE,
        ),
    ] = 0.0,
    every_seconds: Annotated[
        float,
        typer.Option(
            "--every",
            parser=options.number(0.02, 3600),
            metavar="SECONDS",
            help="Time between keyframes, at which people are found and scored.",
            rich_help_panel=options.SCORES,
        ),
    ] = 1.0,
    latency: Annotated[
        str,
        typer.Option(
            **options.choice("centred", "now"),
            help="The clip around the keyframe, as trained, half a clip late; or the clip that ends now.",
            rich_help_panel=options.SCORES,
        ),
    ] = "centred",
    min_score: Annotated[float, options.min_score_option("Leave out actions that score less.")] = 0.0,
    thresholds: options.Thresholds = None,
    top: options.Top = None,
    calibration: options.Calibration = None,
    event_score: Annotated[
        float,
        typer.Option(
            parser=options.SCORE,
            metavar="SCORE",
            help="An action that scores as much is an event, until it scores less than 0.6 of it.",
            rich_help_panel=options.SCORES,
        ),
    ] = 0.5,
    clip_before: Annotated[
        float,
        typer.Option(
            parser=options.number(0, 60),
            metavar="SECONDS",
            help="A saved clip shows so much before the event.",
            rich_help_panel=options.SCORES,
        ),
    ] = 5.0,
    clip_after: Annotated[
        float,
        typer.Option(
            parser=options.number(0, 60),
            metavar="SECONDS",
            help="A saved clip shows so much after the event was noticed.",
            rich_help_panel=options.SCORES,
        ),
    ] = 5.0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    execution: options.Execution = "auto",
    transport: Annotated[
        str,
        typer.Option(
            **options.choice("tcp", "udp"),
            help="How RTSP carries pictures; tcp loses none.",
            rich_help_panel=options.MANY,
        ),
    ] = "tcp",
    certificates: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Certificates (PEM) that rtsps://, https://, rtmps:// may have, or any; default: those of the system.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    lost_seconds: Annotated[
        float,
        typer.Option(
            "--lost-after",
            parser=options.number(0.5, 3600),
            metavar="SECONDS",
            help="A source without a picture for so long is lost, and connected to again.",
            rich_help_panel=options.MANY,
        ),
    ] = 10.0,
    max_seconds: Annotated[
        float | None,
        typer.Option(
            parser=options.DURATION,
            metavar="SECONDS",
            help="End after so long; default: at Ctrl-C, or when all sources have ended.",
            rich_help_panel=options.MANY,
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            parser=options.number(0, 1000, above=True),
            metavar="FACTOR",
            help="Play files so many times as fast.",
            rich_help_panel=options.MANY,
        ),
    ] = 1.0,
    port: Annotated[
        int,
        typer.Option(
            parser=options.number(0, 65535, whole=True),
            metavar="N",
            help="Port of the page; 0: any that is free.",
            rich_help_panel=options.MANY,
        ),
    ] = 8572,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="POST each event as JSON; with --when alarms only, and what happens to sources.",
            rich_help_panel=options.FILES,
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Publish keyframes and events: mqtt://USER:PASSWORD@HOST/PREFIX.",
            rich_help_panel=options.FILES,
        ),
    ] = None,
    rotate_mb: Annotated[
        float,
        typer.Option(
            parser=options.number(0.01, 1_000_000),
            metavar="MB",
            help="Size at which a file of --out rotates.",
            rich_help_panel=options.FILES,
        ),
    ] = 100.0,
    keep: Annotated[
        int,
        typer.Option(
            parser=options.number(1, 10_000, whole=True),
            metavar="N",
            help="Keep so many full files of each source.",
            rich_help_panel=options.FILES,
        ),
    ] = 10,
    keep_clips: Annotated[
        int,
        typer.Option(
            parser=options.number(1, 1_000_000, whole=True),
            metavar="N",
            help="Keep so many saved clips of each source.",
            rich_help_panel=options.FILES,
        ),
    ] = 1000,
    quiet: options.Quiet = False,
) -> None:
    """Find the people in cameras and streams and score what each of them does, never behind.

    A keyframe a line of JSON on the standard output, and a line for each event; what happens to the sources on stderr.
    """
    from ava_detect.evaluation.written_scores import ScoreRules, calibration_of, thresholds_of
    from ava_detect.live.clips import ClipOptions
    from ava_detect.live.settings import LiveSettings
    from ava_detect.video.live.source import live_sources

    clips = None if save_clips is None else ClipOptions(save_clips, clip_before, clip_after, keep_clips)
    network = weights or "the default network"
    settings = LiveSettings(
        out,
        not quiet,
        ScoreRules(min_score, thresholds_of(thresholds, network), top, calibration_of(calibration, network)),
        event_score,
        tuple(when or ()),
        webhook,
        mqtt,
        clips,
        rotate_mb,
        keep,
        port if page else None,
    )
    if quiet and not (out or webhook or mqtt or clips or page):
        raise ConfigError(
            "`quiet` prints no lines, so give `out`, `webhook`, `mqtt`, `save_clips` or `page` for the results"
        )
    results_beside(Path("-"))
    with progress_bar(show=not quiet) as on_progress:
        found = live_sources(sources, transport=transport, certificates=certificates)
        from ava_detect.inference.live.options import LiveOptions
        from ava_detect.inference.pipeline import Pipeline
        from ava_detect.live.live import run_live

        run_options = LiveOptions(latency, max_seconds, lost_seconds, speed, transport, certificates)  # type: ignore[arg-type]
        settings.check_rules(weights, config, overrides=overrides or (), device=device, on_progress=on_progress)
        pipeline = Pipeline.from_pretrained(
            weights,
            config=config,
            overrides=overrides or (),
            detector=detector,
            min_person_score=min_person_score,
            new_person_score=new_person_score,
            every_seconds=every_seconds,
            device=device,
            precision=precision,
            execution=execution,
            on_progress=on_progress,
        )

    command = copy_context()  # notices come from the threads of readers, which know of no command

    def say_problem(text: str) -> None:
        err.print(shown(without_secrets(command.copy().run(in_flags, text))), markup=False, highlight=False)

    statuses = run_live(pipeline, found, run_options, settings, say_problem)
    if not quiet:
        _print_statuses(statuses)
    silent = [status for status in statuses if not status.num_frames]
    for status in silent:
        complain(f"{status.name} gave no picture: {status.reason or 'it has not answered so far'}")
    if silent:
        raise typer.Exit(1)


def _print_statuses(statuses: list[LiveStatus]) -> None:
    """Print how each source did, on stderr: stdout has the lines."""
    heading = ("source", "frames", "keyframes", "left out", "lag median", "p99", "connections", "damaged", "")
    rows = [
        (
            status.name,
            f"{status.num_frames:,}",
            f"{status.num_keyframes:,}",
            f"{status.num_dropped:,}",
            _seconds(status.lag_median_seconds),
            _seconds(status.lag_p99_seconds),
            f"{status.num_connections:,}",
            f"{status.damaged_packets:,}",
            status.state,
        )
        for status in statuses
    ]
    say_table(heading, rows, left=(0, 8))


def _seconds(lag: float | None) -> str:
    return "" if lag is None else f"{lag:.2f} s"
