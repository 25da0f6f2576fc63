"""The progress bar: stages, seconds inside videos, rates and times left; in a terminal alone."""

from __future__ import annotations

import io
import re

import pytest
from annotate_inputs import options, write_inputs
from processes import ava_detect
from rich.cells import cell_len
from rich.console import Console
from terminals import lines_shown, run_in_terminal

from ava_detect.cli import progress as bars
from ava_detect.structures.progress import Progress, report_stage


class Bar:
    """A bar in a terminal of some columns, at a time that the test says."""

    def __init__(self, columns: int) -> None:
        self.now = 0.0
        self.console = Console(file=io.StringIO(), force_terminal=True, width=columns, height=30, color_system=None)
        self.bar = bars.make_bar(self.console, clock=lambda: self.now)
        self.lines = bars.Lines(self.bar, self.console, clock=lambda: self.now)

    def report(self, at: float, *args, **kwargs) -> None:
        self.now = at
        self.lines.update(Progress(*args, **kwargs))

    def shown(self) -> list[str]:
        """The lines as they stand, without the bars."""
        with self.console.capture() as captured:
            self.console.print(self.bar.get_renderable())
        lines = captured.get().splitlines()
        assert all(cell_len(line) <= self.console.width for line in lines)
        return [re.sub(r"\s*[\u2501\u2578\u257a]+\s*", " | ", line).strip() for line in lines]


def test_a_stage_is_shown_with_its_time_until_something_is_counted():
    bar = Bar(80)
    assert bar.shown() == ["starting |"]
    report_stage(bar.lines.update, "loading the network")
    bar.now = 1
    assert bar.shown() == ["loading the network |"]
    bar.now = 12
    assert bar.shown() == ["loading the network | 12 s"]
    bar.report(13, "steps", 1, 4, figures={"loss": 0.5})
    assert bar.shown() == ["steps | 1/4, loss 0.5"]
    report_stage(bar.lines.update, "validating")
    assert bar.shown() == ["steps | 1/4, loss 0.5", "validating |"]


def test_one_video_has_a_line_of_its_seconds():
    bar = Bar(80)
    bar.report(0, "videos", 0, 1, "movie", stage="opening")
    assert bar.shown() == ["opening movie |"]
    for second in range(0, 50, 10):
        bar.report(1 + second / 2, "videos", 0, 1, "movie", float(second), 120.0)
    assert bar.shown() == ["movie | 40/120 s, 2x real time, 0:40 left"]
    bar.report(30, "videos", 0, 1, "movie", 30.0, 120.0, stage="drawing")
    assert bar.shown() == ["drawing movie | 30/120 s"]
    bar.report(31, "videos", 1, 1, "movie", result=object())
    assert bar.shown() == []


def test_workers_have_a_line_each_below_the_number_of_videos_done():
    bar = Bar(60)
    bar.report(0, "videos", 2, 4, "before", result=object(), done_before=2)
    for at in range(11):
        bar.report(float(at), "videos", 2, 4, "one", 2.0 * at, 40.0, done_before=2)
        bar.report(float(at), "videos", 2, 4, "two", 1.0 * at, None, done_before=2, failed=1)
    assert bar.shown() == [
        # Half a video in 10 s, and one and a half are left.
        "videos | 2/4, 1 failed, 0:30 left",
        "one | 20/40 s, 2x, 0:10 left",
        "two | 10 s, 1x",
    ]
    bar.report(20, "videos", 3, 4, "one", result=object(), done_before=2)
    assert bar.shown() == ["videos | 3/4, 3/min, 0:20 left", "two | 10 s, 1x"]


def test_hundreds_of_workers_have_few_lines():
    bar = Bar(80)
    for number in range(200):
        bar.report(1, "videos", 0, None, f"video {number}", 1.0, 9.0)
    assert len(bar.shown()) == 9
    for number in range(200):
        bar.report(3, "videos", number + 1, None, f"video {number}", result=object())
    assert bar.shown() == ["videos | 200/?, 100/s"]


def test_without_results_a_video_ends_where_the_next_begins():
    bar = Bar(80)
    bar.report(0, "videos", 0, 2, "one", 5.0)
    bar.report(1, "videos", 1, 2, "two", 3.0)
    assert bar.shown() == ["videos | 1/2", "two | 3 s"]


def test_bytes_are_named_by_their_file():
    bar = Bar(80)
    bar.report(0, "bytes", 0, 200_000_000, "r50.pyth")
    bar.report(10, "bytes", 50_000_000, 200_000_000, "r50.pyth")
    assert bar.shown() == ["r50.pyth | 50.0/200.0 MB, 5.0 MB/s, 0:30 left"]


@pytest.mark.parametrize("columns", [30, 60])
def test_a_long_name_does_not_push_the_numbers_out(columns):
    bar = Bar(columns)
    for at in (1, 2, 3):
        bar.report(at, "videos", 0, 1, "a very long name of a video, \x1b[2J with control characters", at, 9.0)
    (line,) = bar.shown()
    assert "3/9 s" in line and "\x1b" not in line


def test_a_terminal_tells_from_the_first_second_what_is_done_and_at_the_end_what_is_next(tmp_path):
    write_inputs(tmp_path, {"one": 3.2, "two": 1.0})
    command = ava_detect("annotate", tmp_path / "videos", "-o", tmp_path / "it's out", *options(tmp_path))
    code, written = run_in_terminal(command, 60)
    lines = lines_shown(written)
    assert code == 0
    for stage in ("starting", "loading PyTorch"):
        assert any(line.startswith(f"{stage} ") for line in lines), stage
    assert any(re.fullmatch(r"videos .* [01]/2(, .*)?", line) for line in lines)
    assert lines[-1].replace("\n", "").endswith("out'") and "visualize" in written[-200:]
    # The bar is gone at the end, and the cursor is there again.
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")
    code, written = run_in_terminal([*command, "--quiet"], 80)
    assert (code, written) == (0, "")
