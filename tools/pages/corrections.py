"""Corrections as a person makes them: with the mouse and keys, at random, each of which must become one event."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from ava_detect.results.corrections.folder import read_corrections
from pages.browser import wait
from pages.review_server import EDITOR, at_keyframe, settle

KEYFRAMES_JS = f"""{EDITOR}.state.keyframes.map(({{ seconds, accepted, people }}) =>
  [seconds, accepted, [...people.values()].sort((a, b) => a.track - b.track)
    .map(({{ track, box, ids }}) => [track, box, ids])])"""
_STATE_JS = f"""(() => {{
  const {{ state, selected, k, panel }} = {EDITOR}, keyframe = state.keyframes[k];
  return {{ k, selected, seen: state.seen, people: [...keyframe.people.keys()], accepted: keyframe.accepted,
    undo: state.undo !== null, redo: state.redo !== null, last: state.keyframes.length - 1,
    digits: panel.frequent.length }};
}})()"""
_FAR_PIXELS, _NEAR_PIXELS = 60, 8


@dataclass
class Corrected:
    """What a number of corrections took.

    Attributes:
        kinds: How often each was made.
        seconds: Time of each from the first press of a button or key until it is saved, as a script makes it.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Corrector:
    """Makes corrections on the page of a video.

    Args:
        page: The page, on a keyframe.
        seed: Seed of what is done.
    """

    def __init__(self, page: Page, seed: int = 0) -> None:
        self._page = page
        self._random = random.Random(seed)

    def correct(self, count: int) -> Corrected:
        """Make corrections; each must be saved as one event.

        Args:
            count: Number of corrections.

        Returns:
            What was done.

        Raises:
            AssertionError: A correction was not saved, or as more than one event.
        """
        done = Corrected()
        while sum(done.kinds.values()) < count:
            state = self._state()
            if self._random.random() < 0.2:
                self._go(state)
                state = self._state()
            kind = self._random.choice(self._possible(state))
            self._prepare(kind, state)
            before = self._state()["seen"]
            began = time.perf_counter()
            getattr(self, f"_{kind}")(state)
            settle(self._page)
            try:
                wait(self._page, f"seen => {EDITOR}.state.seen > seen", before)
            except TimeoutError as error:
                raise AssertionError(f"{kind} of {state} was not saved") from error
            done.seconds.append(time.perf_counter() - began)
            done.kinds[kind] += 1
            seen = self._page.evaluate(f"{EDITOR}.state.seen")
            assert seen == before + 1, f"{kind}: {seen - before} events were saved, expected 1"
            if kind == "accept":  # the next keyframe comes on the screen
                wait(self._page, f"k => {EDITOR}.k !== k", state["k"])
            wait(self._page, f"{EDITOR}.k !== null && !{EDITOR}.moment.isSeeking")
        return done

    def _state(self) -> dict[str, Any]:
        wait(self._page, f"{EDITOR}.k !== null && !{EDITOR}.moment.isSeeking")
        state: dict[str, Any] = self._page.evaluate(_STATE_JS)
        return state

    def _go(self, state: dict[str, Any]) -> None:
        steps = self._random.choice([step for step in (-2, -1, 1, 2) if 0 <= state["k"] + step <= state["last"]])
        for _ in range(abs(steps)):
            self._page.keyboard.press("j" if steps > 0 else "k")
        at_keyframe(self._page, state["k"] + steps)

    def _possible(self, state: dict[str, Any]) -> list[str]:
        kinds = ["draw", "add", "accept", "unaccept"][: 3 + state["accepted"]]
        if state["accepted"]:
            kinds.remove("accept")
        if state["people"]:
            kinds += ["drag", "resize", "arrows", "digit", "checkbox", "checkbox", "split", "delete"]
            kinds += ["join"] if len(state["people"]) > 1 else []
        if len(state["people"]) > 4:
            kinds += ["delete"] * 3
        kinds += ["copy"] if state["people"] and state["k"] < state["last"] else []
        return kinds + ["undo"] * state["undo"] + ["redo"] * state["redo"]

    def _prepare(self, kind: str, state: dict[str, Any]) -> None:
        """Select somebody where the correction is about a person; nobody where it is about the keyframe."""
        page = self._page
        if kind in ("drag", "resize", "arrows", "digit", "checkbox", "split", "delete", "join", "copy"):
            track = self._random.choice(state["people"])
            if page.evaluate(f"{EDITOR}.selected") != track:
                page.click(f"[data-who='{track}']")
            if kind == "arrows":
                page.focus(f".box[data-track='{track}']")
        page.mouse.move(5, 5)
        page.locator("#stage").scroll_into_view_if_needed()
        settle(page)

    def _point(self) -> tuple[float, float]:
        """A point on the video, away from its edges."""
        frame = self._page.locator("#stage").bounding_box()
        assert frame is not None
        x, y = self._random.uniform(0.1, 0.6), self._random.uniform(0.1, 0.6)
        return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]

    def _pull(self, x: float, y: float, far: int) -> None:
        """Drag from a point, to the right or left, up or down."""
        page = self._page
        dx, dy = (self._random.choice((-1, 1)) * self._random.randint(_NEAR_PIXELS, far) for _ in range(2))
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + dx, y + dy, steps=3)
        page.mouse.up()

    def _drag(self, state: dict[str, Any]) -> None:
        box = self._page.locator(".box[aria-pressed=true]").bounding_box()
        assert box is not None
        self._pull(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, _FAR_PIXELS)

    def _resize(self, state: dict[str, Any]) -> None:
        frame = self._page.locator("#stage").bounding_box()
        assert frame is not None
        corners = []
        for corner in ("nw", "ne", "se", "sw"):
            box = self._page.locator(f".box[aria-pressed=true] .handle.{corner}").bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            if 2 < x - frame["x"] < frame["width"] - 2 and 2 < y - frame["y"] < frame["height"] - 2:
                corners.append((x, y))
        if corners:
            self._pull(*self._random.choice(corners), _FAR_PIXELS // 2)
        else:  # a box as large as the frame
            self._drag(state)

    def _arrows(self, state: dict[str, Any]) -> None:
        for _ in range(self._random.randint(1, 5)):
            shift = self._random.choice(("", "Shift+"))
            self._page.keyboard.press(f"{shift}Arrow{self._random.choice(('Left', 'Right', 'Up', 'Down'))}")

    def _digit(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press(str(self._random.randint(1, state["digits"])))

    def _checkbox(self, state: dict[str, Any]) -> None:
        rows = self._page.locator("#review-actions li:visible input")
        rows.nth(self._random.randrange(rows.count())).click()

    def _draw(self, state: dict[str, Any]) -> None:
        self._page.click("#review-add")
        (x, y), page = self._point(), self._page
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + self._random.randint(20, 150), y + self._random.randint(20, 150), steps=3)
        page.mouse.up()

    def _add(self, state: dict[str, Any]) -> None:
        self._blur()
        self._page.keyboard.press("i")
        self._page.keyboard.press("Enter")

    def _accept(self, state: dict[str, Any]) -> None:
        if self._random.random() < 0.5:
            self._page.click("#review-accept")
        else:
            self._blur()
            self._page.keyboard.press("Enter")

    def _unaccept(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("u")

    def _split(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("s")

    def _delete(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("Delete")

    def _join(self, state: dict[str, Any]) -> None:
        partners = self._page.evaluate(f"[...{EDITOR}.panel.partner.options].map(one => one.value)")
        if not partners:  # everybody is on one keyframe together with this person
            self._split(state)
            return
        self._page.select_option("#review-partner", self._random.choice(partners))
        self._page.click("#review-join")

    def _copy(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("c")

    def _undo(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("z")

    def _redo(self, state: dict[str, Any]) -> None:
        self._page.keyboard.press("y")

    def _blur(self) -> None:
        self._page.evaluate("document.activeElement?.blur()")


def keyframes_of_log(folder: Path, video_id: str) -> list[Any]:
    """Replay the log of a video.

    Args:
        folder: The folder of corrections.
        video_id: Id of the video.

    Returns:
        For each keyframe its time, whether it is accepted, and its people, as ``KEYFRAMES_JS`` has them.
    """
    video = read_corrections(folder).videos[video_id]
    return [
        [t, k.is_accepted, [[track, list(p.box_fraction), list(p.actions)] for track, p in sorted(k.people.items())]]
        for t, k in video.keyframes.items()
    ]
