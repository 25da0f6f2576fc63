"""Measure the page of `ava-detect review` in a real browser.

    python tools/benchmark_review.py corrections [--count 1000] [--seed 0]
    python tools/benchmark_review.py long [--keyframes 28800] [--hours 2] [--people 3] [--moves 40] [--keep DIR]

`corrections` makes corrections at random with the mouse and keys on a minute of video: boxes dragged, resized and moved
by keys, actions ticked, people drawn, deleted, split, joined and copied, keyframes accepted, undo and redo. Each must
become one event; at the end the log is replayed by another process and compared with the page, and with the page once
it is loaded anew. A difference ends with exit code 1. `long` opens a long video, goes from keyframe to keyframe, and
corrects. Both print the memory of the page's script and of the server. Needs the packages of `[test]` and a chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pages.browser import NO_CHROMIUM, TIMEOUT_MS, chromium, cpu_metrics, heap_megabytes, open_page, wait
from pages.corrections import KEYFRAMES_JS, Corrector, keyframes_of_log
from pages.long_video import write_long_video, write_results
from pages.review_server import EDITOR, ReviewServer, at_keyframe, review_server, settle
from playwright.sync_api import Browser, Page, sync_playwright

VIDEO_ID = "long"
MINUTE_HOURS, MINUTE_FPS, MINUTE_PEOPLE = 1 / 60, 10, 3
LONG_FPS = 30
PERCENTILE = 95
_REQUESTS_JS = """performance.getEntriesByType("resource").filter(one => one.name.endsWith("/events"))
  .map(one => one.duration)"""


def measure_corrections(browser: Browser, folder: Path, count: int, seed: int) -> list[str]:
    """Make corrections on a minute of video, and print what they took.

    Args:
        browser: The browser.
        folder: An empty folder.
        count: Number of corrections.
        seed: Seed of what is done.

    Returns:
        What was lost or differs, a sentence each; empty where all is right.
    """
    results = _write(folder, MINUTE_HOURS, MINUTE_FPS, MINUTE_PEOPLE, 1.0)
    out = folder / "corrections"
    with review_server(results, out, "--videos", str(folder)) as server:
        page = open_page(browser, server.video(seconds=5))
        page.evaluate("performance.setResourceTimingBufferSize(100000)")
        at_keyframe(page, 5)
        began = _memory(page, server)
        done = Corrector(page, seed).correct(count)
        settle(page)
        shown = page.evaluate(KEYFRAMES_JS)
        requests = page.evaluate(_REQUESTS_JS)
        ended = _memory(page, server)
        page.reload()
        wait(page, f"AvaPage.viewer?.isReady && {EDITOR}.k !== null")
        loaded = page.evaluate(KEYFRAMES_JS)
    replayed = keyframes_of_log(out, VIDEO_ID)
    events = len((out / f"{VIDEO_ID}.jsonl").read_bytes().splitlines()) - 1
    print(f"{count} corrections: {', '.join(f'{n} {kind}' for kind, n in sorted(done.kinds.items()))}")
    print(f"events in the log: {events}")
    _print("a correction, made by a script, until it is saved, s", done.seconds)
    _print("from sending an event until it is on the disk, ms", requests)
    print(f"memory of the page's script, MB: {began[0]:.1f} at the beginning, {ended[0]:.1f} at the end")
    print(f"memory of the server, MB: {began[1]:.0f} at the beginning, {ended[1]:.0f} at the end")
    faults = [] if events == count else [f"{count} corrections, and {events} events in the log"]
    for name, keyframes in (("shows", shown), ("shows once it is loaded anew", loaded)):
        different = [a[0] for a, b in zip(replayed, keyframes, strict=True) if a != b]
        faults += [f"what the page {name} at {seconds:g} s is not what the log says" for seconds in different]
    return faults


def measure_long(browser: Browser, folder: Path, arguments: argparse.Namespace) -> None:
    """Open a long video, go from keyframe to keyframe, correct; print what each took.

    Args:
        browser: The browser.
        folder: An empty folder.
        arguments: The arguments of the command line.
    """
    every = arguments.hours * 3600 / arguments.keyframes
    results = _write(folder, arguments.hours, LONG_FPS, arguments.people, every)
    out = folder / "corrections"
    shutil.rmtree(out, ignore_errors=True)
    for name in ("first", "second"):
        began = time.perf_counter()
        with review_server(results, out, "--videos", str(folder)) as server:
            took = f"{time.perf_counter() - began:.1f}, CPU {server.cpu_seconds():.1f}"
            print(f"starting the server, the {name} time, s: {took}")
            if name == "second":
                _measure_page(browser, server, arguments)


def _measure_page(browser: Browser, server: ReviewServer, arguments: argparse.Namespace) -> None:
    began, before = time.perf_counter(), server.cpu_seconds()
    middle = arguments.keyframes // 2
    page = open_page(browser, server.video(seconds=round(arguments.hours * 1800, 6)))
    at_keyframe(page, middle)
    took = f"{time.perf_counter() - began:.2f}, CPU of the server {server.cpu_seconds() - before:.2f}"
    print(f"opening the video until a keyframe in its middle is shown, s: {took}")
    # When a key was pressed, by the page's clock.
    page.evaluate("addEventListener('keydown', () => { window.pressed = performance.now(); }, true)")
    k = middle

    def forward() -> None:
        nonlocal k
        k += 1
        page.keyboard.press("j")

    def tick() -> None:
        page.keyboard.press("1")

    is_there = f"k => {EDITOR}.k === k && !{EDITOR}.moment.isSeeking && {EDITOR}.saving.connection.isIdle"
    _measure_keys(page, "to the next keyframe", arguments.moves, forward, is_there, lambda: k)
    page.keyboard.press("b")
    page.keyboard.press("j")
    k += 1
    at_keyframe(page, k)
    page.keyboard.press("b")
    _measure_keys(page, "to the next keyframe, with a person selected", arguments.moves, forward, is_there, lambda: k)
    page.keyboard.press("b")
    _measure_keys(page, "an action ticked until it is saved", arguments.moves, tick, is_there, lambda: k)
    print(f"memory, MB: {heap_megabytes(page):.1f} of the page's script, {server.megabytes():.0f} of the server")


def _measure_keys(
    page: Page, name: str, count: int, press: Callable[[], None], until: str, argument: Callable[[], int]
) -> None:
    """Press keys, and print the time until what they do is there, and the CPU time of the page's thread."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before, waited = cpu_metrics(session), []
    for _ in range(count):
        press()
        wait(page, until, argument())
        waited.append(page.evaluate("performance.now() - window.pressed"))
        page.wait_for_timeout(300)  # what follows later is part of the cost
    spent = {metric: 1000 * (value - before[metric]) / count for metric, value in cpu_metrics(session).items()}
    session.detach()
    _print(f"{name}, ms", waited)
    print(
        f"  CPU of the page's thread, ms: {spent['TaskDuration']:.1f}, of this scripts {spent['ScriptDuration']:.1f}, "
        f"style and layout {spent['LayoutDuration'] + spent['RecalcStyleDuration']:.1f}"
    )


def _write(folder: Path, hours: float, fps: int, people: int, every_seconds: float) -> Path:
    """Write a video and its results, unless they are there; return the folder of the results."""
    results = folder / "results"
    if results.is_dir():
        return results
    results.mkdir(parents=True)
    write_long_video(folder / f"{VIDEO_ID}.mp4", hours, fps)
    num_boxes = people * round(hours * 3600 / every_seconds)
    write_results(results / f"{VIDEO_ID}.jsonl", VIDEO_ID, num_boxes, hours, every_seconds)
    return results


def _memory(page: Page, server: ReviewServer) -> tuple[float, float]:
    return heap_megabytes(page), server.megabytes()


def _print(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    late = ordered[min(len(ordered) * PERCENTILE // 100, len(ordered) - 1)]
    print(f"{name}: median {statistics.median(values):.3g}, {PERCENTILE}th percentile {late:.3g}")


def main() -> None:
    """Parse the arguments, write the video and its results, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    corrections = modes.add_parser("corrections", help="make corrections at random, and compare page and log")
    corrections.add_argument("--count", type=int, default=1000)
    corrections.add_argument("--seed", type=int, default=0)
    long = modes.add_parser("long", help="open a long video, and go through it")
    long.add_argument("--keyframes", type=int, default=28_800)
    long.add_argument("--hours", type=float, default=2.0)
    long.add_argument("--people", type=int, default=3)
    long.add_argument("--moves", type=int, default=40)
    long.add_argument("--keep", type=Path, help="leave video and results in this folder, and take those that are there")
    arguments = parser.parse_args()
    program = chromium()
    if program is None:
        parser.error(NO_CHROMIUM)
    with tempfile.TemporaryDirectory(prefix="benchmark_review-") as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, timeout=TIMEOUT_MS)
        faults: list[str] = []
        if arguments.mode == "corrections":
            faults = measure_corrections(browser, Path(folder), arguments.count, arguments.seed)
        else:
            measure_long(browser, arguments.keep or Path(folder), arguments)
        browser.close()
    for fault in faults:
        print(fault)
    parser.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
