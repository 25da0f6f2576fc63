"""The progress bar of every command, on stderr: stage, position, rate and time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from ava_detect.cli.console import err
from ava_detect.errors import shown

if TYPE_CHECKING:
    from ava_detect.structures.progress import OnProgress
    from ava_detect.structures.progress import Progress as Report

_MAX_LINES = 8  # of videos in progress; a run may have hundreds of workers
_NARROW = 76  # columns; below, texts are abbreviated
_SECONDS_BEFORE_CLOCK = 2.0
_REFRESHES = 5  # per second
_FIRST_STAGE = "starting"
_UNITS_OF_WORK = "videos"


@contextmanager
def progress_bar(*, show: bool) -> Iterator[OnProgress | None]:
    """Yield what a long call reports to: lines that change in place where stderr is a terminal; None elsewhere.

    Args:
        show: False for none in a terminal either (``--quiet``).
    """
    # A notebook asks for colours (FORCE_COLOR), for which Rich takes it for a terminal; a moving line it cannot show.
    if not (show and err.is_terminal and err.file.isatty()):
        yield None
        return
    with make_bar(err) as bar:
        yield Lines(bar, err).update


def show_stage(on_progress: OnProgress | None, stage: str) -> None:
    """Show what a command does next; see ``report_stage``, which loads NumPy and so waits until it is needed.

    Args:
        on_progress: What ``progress_bar`` yielded.
        stage: What is done, such as ``"loading PyTorch"``.
    """
    if on_progress is not None:
        from ava_detect.structures.progress import report_stage

        report_stage(on_progress, stage)


def make_bar(console: Console, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Return the display of a terminal, without any line.

    Args:
        console: The terminal.
        clock: The time in seconds.

    Returns:
        The display; it is shown while it is entered.
    """
    bar_width = 20 if console.width >= 100 else 10
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width),
        _TextOfLine(table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    return Progress(
        *columns, console=console, transient=True, expand=True, refresh_per_second=_REFRESHES, get_time=clock
    )


class _TextOfLine(ProgressColumn):
    """The numbers of a line; of a stage how long it has taken, which grows without any report."""

    def render(self, task: Task) -> Text:
        """Return the text of a line."""
        text: str | None = task.fields["text"]
        if text is None:
            elapsed = task.elapsed or 0.0
            text = f"{elapsed:.0f} s" if elapsed >= _SECONDS_BEFORE_CLOCK else ""
        return Text(text)


class Lines:
    """The lines of a call: a stage, or a count and below it the videos in progress. Reports come from any thread.

    Args:
        bar: Where the lines are shown.
        console: The terminal, whose width decides how much is said.
        clock: The time in seconds.
    """

    def __init__(self, bar: Progress, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar, self._console, self._clock = bar, console, clock
        self._lock = threading.Lock()
        self._stage: TaskID | None = None
        self._counts: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._videos: dict[str, tuple[TaskID, Report]] = {}
        self._num_done = 0
        self._show_stage(_FIRST_STAGE)

    def update(self, report: Report) -> None:
        """Show a report."""
        with self._lock:
            if report.stage and not report.name:
                self._show_stage(report.stage)
                return
            self._end_stage()
            self._begin_count(report)
            if report.unit == _UNITS_OF_WORK:
                self._update_videos(report)
            self._update_count(report)

    def _show_stage(self, stage: str) -> None:
        self._end_stage()
        self._stage = self._bar.add_task(shown(stage), total=None, text=None)

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._bar.remove_task(self._stage)
            self._stage = None

    def _begin_count(self, report: Report) -> None:
        """Add the line of all units, above those of videos; one video by itself needs none."""
        unit = report.unit
        self._started.setdefault(unit, self._clock())
        if unit not in self._counts and not (unit == _UNITS_OF_WORK and report.total == 1):
            name = shown(report.name) if unit == "bytes" else unit
            self._counts[unit] = self._bar.add_task(name, total=None, text="")

    def _update_count(self, report: Report) -> None:
        unit = report.unit
        if unit not in self._counts:
            return
        begun = sum(_share(video) for _, video in self._videos.values()) if unit == _UNITS_OF_WORK else 0.0
        elapsed = report.elapsed_seconds or self._clock() - self._started[unit]
        self._bar.update(
            self._counts[unit],
            total=report.total,
            completed=report.done + begun,
            text=_count_text(report, begun, elapsed),
        )

    def _update_videos(self, report: Report) -> None:
        """The lines of the videos in progress. A video without a result of its own ends where the next begins."""
        if report.result is not None:
            self._end_video(report.name)
        elif report.done > self._num_done:
            for name in [name for name in self._videos if name != report.name]:
                self._end_video(name)
        self._num_done = report.done
        if report.name and report.result is None:
            self._show_video(report)

    def _end_video(self, name: str) -> None:
        if name in self._videos:
            self._bar.remove_task(self._videos.pop(name)[0])

    def _show_video(self, report: Report) -> None:
        name, position = report.name, report.position_seconds
        line = self._videos.get(name)
        if line is None or line[1].stage != report.stage:  # another pass over the video has a speed of its own
            self._end_video(name)
            description = " ".join(filter(None, (report.stage, shown(name))))
            task = self._bar.add_task(description, total=None, text="", visible=False)
            self._bar.update(task, completed=position)
        else:
            task = line[0]
        self._videos[name] = task, report
        seen = self._bar.tasks[self._bar.task_ids.index(task)]
        is_shown = seen.visible or sum(other.visible for other in self._bar.tasks) < _MAX_LINES + len(self._counts)
        self._bar.update(task, total=report.duration_seconds, completed=position, visible=is_shown)
        if position:
            self._bar.update(task, text=self._video_text(report, seen.speed))

    def _video_text(self, report: Report, speed: float | None) -> str:
        duration = report.duration_seconds
        parts = [f"{report.position_seconds:.0f}{'' if duration is None else f'/{duration:.0f}'} s"]
        if speed:
            is_narrow = self._console.width < _NARROW
            parts.append(f"{speed:.2g}x" if is_narrow else f"{speed:.2g}x real time")
            if duration is not None:
                parts.append(f"{_clock_time((duration - report.position_seconds) / speed)} left")
        return ", ".join(parts)


def _share(video: Report) -> float:
    """How much of a video is done, in 0..1."""
    return min(1.0, video.position_seconds / video.duration_seconds) if video.duration_seconds else 0.0


def _count_text(report: Report, begun: float, elapsed: float) -> str:
    """How many units of all are done, how fast, how long the rest takes, what failed, and further figures."""
    num_new = report.done - report.done_before
    total = "?" if report.total is None else f"{report.total:,}"
    parts = [f"{report.done:,}/{total}"]
    if report.unit == "bytes":
        parts = [
            "/".join(f"{number / 1e6:.1f}" for number in (report.done, report.total) if number is not None) + " MB"
        ]
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if num_new > 0 and elapsed > 1:
        parts.append(_rate(report.unit, num_new / elapsed))
    if report.total is not None and num_new + begun > 0 and elapsed > 1:
        left = max(0.0, report.total - report.done - begun)
        parts.append(f"{_clock_time(left * elapsed / (num_new + begun))} left")
    parts += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in report.figures.items()]
    return ", ".join(parts)


def _rate(unit: str, per_second: float) -> str:
    if unit == "bytes":
        return f"{per_second / 1e6:.1f} MB/s"
    return f"{per_second:.3g}/s" if per_second >= 1 else f"{60 * per_second:.3g}/min"


def _clock_time(seconds: float) -> str:
    """``0:37``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
