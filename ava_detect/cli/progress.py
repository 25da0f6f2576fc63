"""The progress bar of every command, on stderr."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ava_detect.cli.console import err
from ava_detect.structures.progress import OnProgress
from ava_detect.structures.progress import Progress as Report


@contextmanager
def progress_bar(*, show: bool) -> Iterator[OnProgress | None]:
    """Yield what a long call reports to: a line for each unit of work, where stderr is a terminal; None elsewhere."""
    # A notebook asks for colours (FORCE_COLOR), for which Rich takes it for a terminal; a moving line it cannot show.
    if not (show and err.is_terminal and err.file.isatty()):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn())
    now = TextColumn("{task.fields[now]}", markup=False)
    with Progress(*columns, TimeRemainingColumn(), now, console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}
        # Reports come from any thread.
        lock = threading.Lock()

        def update(report: Report) -> None:
            with lock:
                if report.unit not in tasks:
                    tasks[report.unit] = bar.add_task(report.unit, total=None, count="", now="")
            bar.update(
                tasks[report.unit],
                total=report.total,
                completed=report.done,
                count=_count(report),
                now=", ".join(filter(None, _now(report))),
            )

        yield update


def _count(report: Report) -> str:
    if report.unit == "bytes":
        return "/".join(f"{number / 1e6:.1f}" for number in (report.done, report.total) if number is not None) + " MB"
    return f"{report.done}/{'?' if report.total is None else report.total}"


def _now(report: Report) -> Iterator[str]:
    """What is being worked on, how far that is, how fast the whole goes, and what failed so far."""
    if report.elapsed_seconds:
        num_new = report.done - report.done_before
        yield f"{60 * num_new / report.elapsed_seconds:.1f} a minute"
        if num_new and report.total is not None:
            left = (report.total - report.done) * report.elapsed_seconds / num_new
            yield f"{timedelta(seconds=round(left))} left"
    elif report.result is None:
        end = "" if report.duration_seconds is None else f" of {report.duration_seconds:.0f}"
        yield report.name + (f": second {report.position_seconds:.0f}{end}" if report.position_seconds else "")
    if report.failed:
        yield f"{report.failed} failed"
    for name, value in report.figures.items():
        yield f"{name.replace('_', ' ')} {value:.4g}"
