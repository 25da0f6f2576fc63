"""Every correction by keys alone, and every one by touch on a screen of 390 pixels: each becomes its event."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import LIMIT_SECONDS, until
from page_data import HEIGHT, WIDTH, walker_box, write_results
from reviews import RUN, Served, at_keyframe, box_of, press, served, settle

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

MARTIAL_ART = 9  # an action that the network never said
EVERYTHING = ["move", "move", "actions", "actions", "actions", "add", "copy", "split", "join", "delete", "undo", "redo"]


@pytest.fixture(scope="module")
def server(movie, tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("inputs")
    results = write_results(folder / "results", {"keys": movie, "touch": movie, "find": movie})
    with served(results, folder / "out") as running:
        yield running


def kinds(out: Path, video: str) -> list[str]:
    return [json.loads(line)["kind"] for line in (out / f"{video}.jsonl").read_text().splitlines()[1:]]


def check(server: Served, video: str) -> None:
    """Both did the same: a new person of 3 s was copied to 4 s, became another one and the same again, and left 3 s."""
    assert kinds(server.out, video) == [*EVERYTHING, "accept", "unaccept"]
    keyframes = server.saved(video).keyframes
    assert [sorted(k.people) for k in list(keyframes.values())[2:6]] == [[1, 2], [1, 2], [1, 2, 3], [1, 2]]
    assert keyframes[3.0].people[1].actions == (MARTIAL_ART, 14, 69)
    assert server.saved(video).num_accepted == 0


def test_every_correction_by_keys_alone(window, server):
    page = window(f"{server.address}video.html#v=0001&t=3")
    at_keyframe(page, 3)
    press(page, "b", "ArrowRight")
    settle(page)
    press(page, "Shift+ArrowDown", "2", "2", "a")
    page.keyboard.type("martial")
    _tab_to(page, "input[type=checkbox]")
    press(page, "Space")
    press(page, "i", "Enter")
    until(page, f"{RUN}.selected === 3")
    press(page, "c")
    at_keyframe(page, 4)
    press(page, "s")
    until(page, f"{RUN}.selected === 4")
    page.keyboard.press("t")
    _tab_to(page, "#review-join")
    press(page, "Enter")
    until(page, f"{RUN}.selected === 3")
    press(page, "k")
    at_keyframe(page, 3)
    press(page, "Delete", "z", "y", "Escape", "Enter")
    at_keyframe(page, 4)
    press(page, "k")
    at_keyframe(page, 3)
    press(page, "u")
    check(server, "keys")
    left, top, right, bottom = walker_box(3)
    step = WIDTH / page.locator("#stage").bounding_box()["width"]
    assert box_of(server.saved("keys").keyframes[3.0], 1) == pytest.approx(
        [left + step, top, right + step, bottom + step], abs=0.1
    )


def test_find_and_the_lanes_show_what_was_corrected(window, server):
    """What was unticked is gone, and what was ticked is there: in numbers, occurrences and lanes; tracks likewise."""
    page = window(f"{server.address}video.html#v=0003&t=5")
    at_keyframe(page, 5)
    assert _found(page) == {"walk": 8, "read": 4, "hand wave": 3}
    press(page, "b", "1")  # the walker of 5 s does not walk
    page.fill("#review-query", "martial")
    page.locator("#review-actions li:visible input").check()
    press(page, "Escape", "b", "b", "s")  # and the guest is another one from here on
    settle(page)
    until(page, "document.getElementById('actions').textContent.includes('martial')")
    assert _found(page) == {"walk": 7, "read": 4, "hand wave": 3, "martial art": 1}
    lanes = page.evaluate("AvaPage.viewer.timeline.actions.map(({ name, data }) => [name, [...data.keyframe]])")
    assert dict(lanes) == {
        "walk": [0, 1, 2, 3, 4, 6, 7],
        "read": [2, 3, 4, 5],
        "hand wave": [3, 4, 7],
        "martial art": [5],
    }
    assert page.is_hidden("#score")
    page.fill("#query", "walk")
    assert page.locator("#hits .time").all_inner_texts() == ["0:00 – 0:04", "0:06 – 0:07"]
    page.select_option("#person", "3")
    page.fill("#query", "read")
    assert page.locator("#hits .time").all_inner_texts() == ["0:05"]
    # What the network found is one switch away, with its scores.
    page.check("#find-found")
    page.select_option("#person", "")
    page.fill("#query", "walk")
    until(page, "document.querySelectorAll('#hits button').length === 1")
    assert page.locator("#hits .time").all_inner_texts() == ["0:00 – 0:07"]
    assert page.is_visible("#score")


def _found(page: Any) -> dict[str, int]:
    """The actions of Find with their numbers."""
    names, counts = (page.locator(f"#actions {part}").all_inner_texts() for part in (".name", ".count"))
    return dict(zip((name.partition(" (")[0] for name in names), map(int, counts), strict=True))


def _tab_to(page: Any, selector: str) -> None:
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_every_correction_by_touch_on_a_small_screen(window, server):
    page = window(f"{server.address}video.html#v=0002&t=3", width=390, height=844, has_touch=True, is_mobile=True)
    at_keyframe(page, 3)
    pull = _fingers(page)

    def tap(*selectors: str) -> None:
        for selector in selectors:
            # As a person does: what came before is saved, and the page stands still.
            settle(page)
            page.wait_for_timeout(300)
            _tap(page, page.locator(selector))
        settle(page)

    left, top, right, bottom = walker_box(3)
    tap(".box[data-track='1']")
    pull((left + 40, 180), (left + 80, 200))
    pull((right + 40, bottom + 20), (right + 60, bottom + 10))
    assert box_of(server.saved("touch").keyframes[3.0], 1) == pytest.approx(
        [left + 40, top + 20, right + 60, bottom + 10], abs=3
    )
    second = page.locator("#review-actions label").nth(1)
    _tap(page, second)
    _tap(page, second)
    _tap(page, page.locator("#review-query"))
    page.keyboard.type("martial")
    _tap(page, page.locator("#review-actions li:visible label"))
    settle(page)
    tap("#review-add")
    pull((500, 100), (600, 300))
    until(page, f"{RUN}.selected === 3")
    tap("#review-copy")
    assert kinds(server.out, "touch")[-2:] == ["add", "copy"]
    at_keyframe(page, 4)
    tap("#review-split")
    until(page, f"{RUN}.selected === 4")
    tap("#review-join")
    until(page, f"{RUN}.selected === 3")
    tap("#review-back")
    at_keyframe(page, 3)
    tap("#review-remove", "#review-undo", "#review-redo", "#review-accept")
    at_keyframe(page, 4)
    tap("#review-back")
    at_keyframe(page, 3)
    tap("#review-accept")
    check(server, "touch")
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]


def _tap(page: Any, locator: Any) -> None:
    """Tap until it is a click: a finger that a busy browser sees leave too late is a long press."""
    element = locator.element_handle()
    element.evaluate("e => e.addEventListener('click', () => { e.wasClicked = true; }, { once: true, capture: true })")
    deadline = time.monotonic() + LIMIT_SECONDS
    while not element.evaluate("e => e.wasClicked === true"):
        assert time.monotonic() < deadline, f"no tap became a click: {locator}"
        element.tap()
        page.wait_for_timeout(200)
    element.evaluate("e => { e.wasClicked = false; }")


def _fingers(page: Any) -> Callable[[tuple[float, float], tuple[float, float]], None]:
    """Returns a function that drags with a finger; points in pixels of the movie."""
    touches = page.context.new_cdp_session(page)

    def pull(start: tuple[float, float], end: tuple[float, float]) -> None:
        page.locator("#stage").scroll_into_view_if_needed()
        frame = page.locator("#stage").bounding_box()
        for kind, share in (("touchStart", 0), ("touchMove", 0.5), ("touchMove", 1), ("touchEnd", 1)):
            x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
            point = {"x": frame["x"] + x * frame["width"] / WIDTH, "y": frame["y"] + y * frame["height"] / HEIGHT}
            points = [] if kind == "touchEnd" else [point]
            touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        settle(page)

    return pull
