"""Measure the page of `ava-detect visualize` on a long video: time to the first paint, and the frame rate of its boxes.

    python tools/benchmark_page.py [--boxes 50000] [--hours 2] [--seconds 10] [--keep DIR]

The script writes a synthetic movie at 60 frames per second, results with `--boxes` boxes of tracked people and about
five actions each, and the page. It then opens the page from disk in a headless chromium, a new browser with an empty
cache for each run. Beside the frame rate it prints the cost of a frame, which explains a low rate: our script, the
browser's style and layout, everything on the page's thread, and the frames that the browser itself dropped. Needs the
packages of `[test]` and a chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from pages.browser import NO_CHROMIUM, TIMEOUT_MS, chromium, cpu_metrics, open_page, wait
from pages.long_video import write_long_video, write_results
from playwright.sync_api import Page, sync_playwright

from ava_detect.results.saved import ReadOptions
from ava_detect.visualization.page.write_page import visualize

PERCENTILE = 95


def measure_start(page: Page) -> dict[str, float]:
    """Measure the time to the first contentful paint, milliseconds."""
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    wait(page, f"{paint} > 0")
    return {"first contentful paint, ms": page.evaluate(paint)}


def measure_playing(page: Page, seconds: float) -> dict[str, float]:
    """Play for ``seconds``; measure the frame rates, and the cost of a frame in wall time and in CPU time."""
    page.evaluate("AvaPage.viewer.player.seek(3600 - 0.999)")
    page.wait_for_timeout(1500)
    page.keyboard.press("Space")
    page.wait_for_timeout(1000)
    page.evaluate("""() => {
      const { player } = AvaPage.viewer, { onFrame } = player, video = document.getElementById("video");
      window.costs = [];
      player.onFrame = seconds => {
        const began = performance.now();
        onFrame(seconds);
        costs.push(performance.now() - began);
      };
      const quality = video.getVideoPlaybackQuality();
      window.before = { now: performance.now(), shown: quality.totalVideoFrames, dropped: quality.droppedVideoFrames };
      window.repaints = [];
      const tick = now => { window.repaints.push(now); requestAnimationFrame(tick); };
      requestAnimationFrame(tick);
    }""")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    metrics = cpu_metrics(session)
    page.wait_for_timeout(1000 * seconds)
    found = page.evaluate("""() => {
      const { before } = window, quality = document.getElementById("video").getVideoPlaybackQuality();
      return { seconds: (performance.now() - before.now) / 1000, costs, repaints,
        shown: quality.totalVideoFrames - before.shown, dropped: quality.droppedVideoFrames - before.dropped };
    }""")
    spent = {name: value - metrics[name] for name, value in cpu_metrics(session).items()}
    gaps, costs = np.diff(found["repaints"]), np.array(found["costs"])
    frames = max(len(costs), 1)
    return {
        "overlay frames a second": len(costs) / found["seconds"],
        "video frames decoded a second": found["shown"] / found["seconds"],
        "of these dropped by the browser": found["dropped"] / found["seconds"],
        "repaints a second": len(gaps) / found["seconds"],
        f"between repaints, ms ({PERCENTILE}th percentile)": float(np.percentile(gaps, PERCENTILE)),
        "our script per frame, ms by the clock (median)": float(np.median(costs)),
        f"our script per frame, ms by the clock ({PERCENTILE}th)": float(np.percentile(costs, PERCENTILE)),
        "scripts per frame, ms of CPU (mean)": 1000 * spent["ScriptDuration"] / frames,
        "style and layout per frame, ms of CPU (mean)": 1000
        * (spent["LayoutDuration"] + spent["RecalcStyleDuration"])
        / frames,
        "the page's thread per frame, ms of CPU (mean)": 1000 * spent["TaskDuration"] / frames,
    }


def measure_search(page: Page) -> dict[str, float]:
    """Measure the time from the input of a search to its list of hits, milliseconds."""
    page.evaluate("""() => {
      window.began = performance.now();
      const query = document.getElementById("query");
      query.value = "stand";
      query.dispatchEvent(new Event("input"));
    }""")
    wait(page, "document.querySelectorAll('#hits button').length > 0")
    return {"a search until its list is there, ms": page.evaluate("performance.now() - window.began")}


def main() -> None:
    """Parse the arguments, write the movie, the results and the page, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=50_000)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to play")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="leave the page in this folder")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="benchmark_page-"))
    folder.mkdir(parents=True, exist_ok=True)
    video, results = folder / "long.mp4", folder / "long.jsonl"
    write_long_video(video, arguments.hours)
    write_results(results, "long", arguments.boxes, arguments.hours)
    began = time.perf_counter()
    index = visualize(results, folder / "page", ReadOptions(folder)).index
    scripts = sum(path.stat().st_size for path in (index.parent / "page-data").rglob("*.js"))
    print(f"writing the page: {time.perf_counter() - began:.1f} s; its data: {scripts / 1e6:.1f} MB")
    program = chromium()
    if program is None:
        parser.error(NO_CHROMIUM)
    runs: list[dict[str, float]] = []
    with sync_playwright() as driver:
        for _ in range(arguments.repeat):
            browser = driver.chromium.launch(executable_path=program, timeout=TIMEOUT_MS)
            page = open_page(browser, f"{(index.parent / 'video.html').as_uri()}#v=0001")
            runs.append(measure_start(page) | measure_playing(page, arguments.seconds) | measure_search(page))
            browser.close()
    for name in runs[0]:
        print(f"{name:<55}", *(f"{run[name]:9.2f}" for run in runs))
    if arguments.keep is None:
        shutil.rmtree(folder)
    else:
        (folder / "figures.json").write_text(json.dumps(runs, indent=2))


if __name__ == "__main__":
    main()
