"""The edit mode in a real browser, from a real server: every correction, undo, two windows, crashes, keys, phones."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import LIMIT_SECONDS, until
from page_data import AVA, GUEST_BOX, HEIGHT, STAND, WALK, WIDTH, walker_box, write_results
from reviews import RUN, Served, at_keyframe, box_of, drag, press, served, settle
from videos import write_numbered_video
from web_server import serve_folder, serving

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.corrections.folder import base_of
from ava_detect.results.saved import read_saved_results
from ava_detect.structures.labels import Action, ActionKind, LabelMap

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

NASTY_ACTION = '</script><script>alert(2)</script> & "wave"'


def test_each_correction_is_saved_undone_and_redone(window, movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    with served(results, tmp_path / "out") as server:
        page = window(f"{server.address}video.html#v=0001&t=3")
        at_keyframe(page, 3)
        walker = walker_box(3)
        middle = (walker[0] + 40, 180)

        # Move and resize with the mouse, then by keys.
        drag(page, middle, (middle[0] + 64, 144))
        page.mouse.up()
        settle(page)
        moved = walker + np.array([64, -36, 64, -36])
        assert box_of(server.saved().keyframes[3.0], 1) == pytest.approx(moved.tolist(), abs=1.5)
        drag(page, (moved[2], moved[3]), (moved[2] + 32, moved[3] + 18))
        page.mouse.up()
        settle(page)
        resized = moved + np.array([0, 0, 32, 18])
        assert box_of(server.saved().keyframes[3.0], 1) == pytest.approx(resized.tolist(), abs=1.5)
        step = WIDTH / page.locator("#stage").bounding_box()["width"]
        # At once: on a busy machine the driver's keys come so slowly that they would be several changes.
        page.evaluate(
            "keys => { for (const [key, shiftKey] of keys) document.activeElement.dispatchEvent("
            "new KeyboardEvent('keydown', { key, shiftKey, bubbles: true, cancelable: true })); }",
            [["ArrowLeft", False], ["ArrowLeft", False], ["ArrowDown", False], ["ArrowRight", True], ["ArrowUp", True]],
        )
        settle(page)
        stepped = resized + step * np.array([-2, 1, -1, 0])
        assert box_of(server.saved().keyframes[3.0], 1) == pytest.approx(stepped.tolist(), abs=1.5)
        assert server.saved().last_event == 3, "five keys in a row are one change"

        # Actions: by digit, by mouse, and by finding one that the network never said.
        assert server.saved().keyframes[3.0].people[1].actions == (WALK, 69)
        digit = 1 + page.locator("#review-actions .name").all_inner_texts().index("walk")
        press(page, str(digit))
        page.locator("#review-actions label", has_text="stand").first.click()
        page.keyboard.press("a")
        page.keyboard.type("martial")
        page.locator("#review-actions li:visible input").check()
        page.keyboard.press("Escape")
        settle(page)
        assert server.saved().keyframes[3.0].people[1].actions == (9, STAND, 69)

        # A new person, drawn; another in the middle of the frame by keys, deleted again.
        page.click("#review-add")
        drag(page, (500, 100), (600, 300))
        page.mouse.up()
        until(page, f"{RUN}.selected === 3")
        settle(page)
        assert box_of(server.saved().keyframes[3.0], 3) == pytest.approx([500, 100, 600, 300], abs=1.5)
        page.keyboard.press("i")
        page.keyboard.press("Enter")
        until(page, f"{RUN}.selected === 4")
        press(page, "Delete")
        assert sorted(server.saved().keyframes[3.0].people) == [1, 2, 3]

        # Copy the new person to the next keyframe, which comes on the screen.
        page.click("[data-who='3']")
        page.keyboard.press("c")
        at_keyframe(page, 4)
        assert sorted(server.saved().keyframes[4.0].people) == [1, 2, 3]

        # The guest is another person from here on; then the new person turns out to be the guest.
        page.click("[data-who='2']")
        page.keyboard.press("s")
        until(page, f"{RUN}.selected === 5")
        tracks = [sorted(keyframe.people) for keyframe in server.saved().keyframes.values()]
        assert tracks == [[1], [1], [1, 2], [1, 2, 3], [1, 3, 5], [1, 5], [1], [1]]
        page.select_option("#review-partner", "2")
        page.click("#review-join")
        until(page, f"{RUN}.selected === 2")
        assert [sorted(k.people) for k in server.saved().keyframes.values()][4:6] == [[1, 2, 3], [1, 2]]

        # Accept: the next keyframe that is not accepted comes on the screen.
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        at_keyframe(page, 5)
        assert server.saved().keyframes[4.0].is_accepted
        assert page.inner_text("#review-count") == "1 of 8 keyframes accepted"

        # Take back everything, step by step, each on its keyframe; then do it all again.
        done = _state(server)
        steps = 0
        while page.evaluate(f"{RUN}.state.undo !== null"):
            press(page, "z" if steps % 2 else "Control+z")
            steps += 1
        assert steps == 13
        at_keyframe(page, 3)
        assert _state(server) == _fresh(results)
        assert page.is_disabled("#review-undo")
        page.reload()
        until(page, f"AvaPage.viewer?.isReady && {RUN}.state.redo !== null")
        while page.evaluate(f"{RUN}.state.redo !== null"):
            press(page, "Control+Shift+Z")
        assert _state(server) == done
        assert server.saved().last_event == 39

        # A rest: what is drawn is what is saved.
        shown = page.evaluate(f"{RUN}.state.keyframes.map(({{ people }}) => [...people.keys()].sort())")
        assert shown == [sorted(keyframe.people) for keyframe in server.saved().keyframes.values()]
        code, out, err = server.end(signal.SIGINT)
        assert (code, err) == (0, "")
        assert "1 of 8 keyframes accepted. Corrections: " in out
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def _state(server: Served) -> list[Any]:
    return [(k.is_accepted, dict(sorted(k.people.items()))) for k in server.saved().keyframes.values()]


def _fresh(results: Path) -> list[Any]:
    """The keyframes before any correction."""
    (saved,) = read_saved_results(results)
    return [(False, dict(k.people)) for k in base_of(saved, "", 0.5).keyframes.values()]


@pytest.fixture(scope="module")
def server(movie, tmp_path_factory) -> Iterator[Served]:
    """A review of five videos: the actions of the third have HTML in a name, the fourth has gaps, the fifth is gone."""
    folder = tmp_path_factory.mktemp("review")
    times = [t for t in np.arange(0, 8, 0.1).round(3).tolist() if not 2.25 < t < 4.75]
    gaps = write_numbered_video(folder / "gaps.mp4", times, rate=10, width=160, height=96)
    videos = {"walk": movie, "again": movie, "nasty": movie, "gaps": gaps, "gone": folder / "gone.mp4"}
    results = write_results(folder / "results", videos)
    nasty = LabelMap((*(a for a in AVA if a.id != WALK), Action(WALK, NASTY_ACTION, ActionKind.POSE)))
    keyframes = next(one.keyframes for one in read_saved_results(results) if one.video_id == "nasty")
    write_jsonl(results / "nasty.jsonl", keyframes, nasty)
    with served(results, folder / "out") as running:
        yield running


def test_two_windows_do_not_overwrite_each_other(window, server):
    address = f"{server.address}video.html#v=0002&t=2"
    first, second = window(address), window(address)
    for page in (first, second):
        page.keyboard.press("b")
        until(page, f"{RUN}.selected === 1")
    second.route("**/api/videos/0002?*seen=*", lambda route: route.abort())  # what it asks when it gets the focus
    press(first, "1")
    there = server.saved("again").keyframes[2.0].people[1].actions
    # The second window has not heard of it: its change is refused, and it shows what is there now.
    drag(second, tuple(GUEST_BOX[:2] + 20), (500, 200))
    second.mouse.up()
    settle(second)
    assert "changed in another window meanwhile" in second.inner_text("#review-said")
    saved = server.saved("again")
    assert saved.last_event == 1
    assert second.evaluate(f"{RUN}.state.keyframes[2].people.get(1).ids") == list(there)
    drag(second, tuple(GUEST_BOX[:2] + 20), (500, 200))
    second.mouse.up()
    settle(second)
    assert server.saved("again").last_event == 2
    # The first learns of it as soon as it is looked at again.
    first.evaluate("window.dispatchEvent(new Event('focus'))")
    until(first, f"{RUN}.state.seen === 2")
    assert first.evaluate(f"{RUN}.state.keyframes[2].people.get(2).box[0]") == pytest.approx(
        (500 - 20) / WIDTH, abs=0.005
    )
    # Undo in the first takes back its own change only, if nothing was built on it.
    press(first, "z")
    assert "has changed since event 1" in first.inner_text("#review-said")
    assert server.saved("again").last_event == 2


def test_a_killed_server_loses_nothing_and_its_last_change_is_sent_to_the_next_one(window, movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    with served(results, tmp_path / "out") as server:
        page = window(f"{server.address}video.html#v=0001&t=3")
        context = page.context
        at_keyframe(page, 3)
        press(page, "b", "1", "2")
        drag(page, (walker_box(3)[0] + 40, 180), (walker_box(3)[0] + 100, 200))
        server.end(signal.SIGKILL)
        page.mouse.up()
        until(page, "document.getElementById('review-saved').textContent.includes('does not answer')")
        assert server.saved().last_event == 2
        with served(results, tmp_path / "out", server.port) as second:
            assert second.saved().last_event == 2
            until(page, "document.getElementById('review-saved').textContent.includes('started again')")
            fresh = window(f"{second.address}video.html#v=0001&t=3", context=context)
            assert fresh.inner_text("#notices") == "1 change of an earlier window saved."
            saved = second.saved()
            assert saved.last_event == 3
            assert box_of(saved.keyframes[3.0], 1)[:2] == pytest.approx(
                (walker_box(3)[:2] + np.array([60, 20])).tolist(), abs=1.5
            )
            fresh.reload()
            until(fresh, f"AvaPage.viewer?.isReady && {RUN}.k !== null")
            assert fresh.is_hidden("#notices")
            assert second.saved().last_event == 3, "it is sent once"


def test_a_review_is_done_by_keys_alone(window, server):
    page = window(server.address)
    page.wait_for_selector(".go-on")
    assert page.inner_text(".review-overview p").endswith(" of 40 keyframes accepted")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "go-on"
    page.keyboard.press("Enter")
    page.wait_for_url("**/video.html#v=0001&t=0")
    until(page, f"AvaPage.viewer?.isReady && {RUN}.k === 0")
    # Every button of the panel can be reached and has a name.
    reached = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.track"))
    assert {"1", "review-forward", "review-accept", "review-next", "review-add"} <= reached
    press(page, "b", "ArrowRight", "2", "Escape", "Enter")
    at_keyframe(page, 1)
    press(page, "i", "Enter")
    until(page, f"{RUN}.selected !== null")
    press(page, "Shift+ArrowLeft", "1", "c")
    at_keyframe(page, 2)
    press(page, "k", "k")
    at_keyframe(page, 0)
    assert page.inner_text("#review-moment").endswith("accepted")
    press(page, "u")
    saved = server.saved("walk")
    kinds = [json.loads(line)["kind"] for line in (server.out / "walk.jsonl").read_text().splitlines()[1:]]
    assert kinds == ["move", "actions", "accept", "add", "move", "actions", "copy", "unaccept"]
    assert saved.num_accepted == 0
    assert page.evaluate("document.activeElement === document.body")
    press(page, "ArrowRight")
    at_keyframe(page, 1)  # without a selected box the arrows go through time, as ever


@pytest.mark.parametrize("key", ["0004", "0005"])
def test_keyframes_without_a_frame_or_a_video_of_their_own_can_be_corrected(window, server, key):
    page = window(f"{server.address}video.html#v={key}&t=2")
    for number in (2, 3, 4, 5):  # of the fourth video, all but the last show the frame of 2.2 s
        at_keyframe(page, number)
        drawn = page.evaluate(f"AvaPage.viewer.people.shownAt(AvaPage.viewer.shownAt)[0].box[0] * {WIDTH}")
        assert drawn == pytest.approx(walker_box(number)[0], abs=0.1), "boxes are those of the keyframe"
        press(page, "j")
    at_keyframe(page, 6)
    page.keyboard.press(".")
    text = "document.getElementById('review-moment').textContent"
    until(page, f"{text}.startsWith('Between keyframes; the nearest is 7 of 8')")
    assert page.locator("#boxes .box").count() == 0
    press(page, "k")
    at_keyframe(page, 6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_boxes_are_moved_by_touch_and_nothing_stands_in_the_way(window, server, scheme):
    page = window(
        f"{server.address}video.html#v=0003&t=3", width=390, height=844, scheme=scheme, has_touch=True, is_mobile=True
    )
    at_keyframe(page, 3)
    touches = page.context.new_cdp_session(page)
    frame = page.locator("#stage").bounding_box()
    before = server.out.joinpath("nasty.jsonl").read_text().count("\n") if (server.out / "nasty.jsonl").exists() else 0

    def touch(kind: str, x: float = 0.0, y: float = 0.0) -> None:
        point = {"x": frame["x"] + x * frame["width"] / WIDTH, "y": frame["y"] + y * frame["height"] / HEIGHT}
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else [point]})

    guest = GUEST_BOX[:2] + (np.array([30, 50]) if scheme == "light" else np.array([70, 90]))
    touch("touchStart", *guest)
    touch("touchEnd")
    until(page, f"{RUN}.selected === 2")
    touch("touchStart", *guest)
    for share in (0.3, 0.6, 1):
        touch("touchMove", guest[0] + 40 * share, guest[1] + 40 * share)
    touch("touchEnd")
    settle(page)
    moved = GUEST_BOX + (40 if scheme == "light" else 80)
    assert box_of(server.saved("nasty").keyframes[3.0], 2) == pytest.approx(moved.tolist(), abs=3)
    assert server.out.joinpath("nasty.jsonl").read_text().count("\n") == max(before, 1) + 1
    # Names with markup are text, everywhere.
    page.click("[data-who='1']")
    assert page.locator("#review-actions .name").first.inner_text() == NASTY_ACTION
    assert "<script>" in page.locator("#boxes .box").first.get_attribute("aria-label")
    assert page.locator("main script, main img").count() == 0
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found] == []
    page.goto(server.address)
    page.wait_for_selector(".go-on")
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    assert [violation["id"] for violation in found] == []


def test_a_page_of_another_site_that_knows_the_address_can_neither_read_nor_change(browser, server, tmp_path):
    (tmp_path / "evil.html").write_text("<!DOCTYPE html><title>evil</title>")
    body = {"session": "x", "call": 1, "seen": 0, "seconds": 0.0, "kind": "accept"}
    attempt = """async ([address, body]) => {
      const tried = async (path, options) => {
        try { return (await fetch(address + path, options)).status; } catch { return "refused"; }
      };
      const script = await new Promise(done => {
        const element = document.createElement("script");
        element.src = address + "page-data/list.js";
        element.onload = () => done("loaded");
        element.onerror = () => done("refused");
        document.head.append(element);
      });
      const post = { method: "POST", body: JSON.stringify(body) };
      return [script, await tried("api/review", {}), await tried("api/videos/0001/events", post),
        await tried("api/videos/0001/events", { ...post, headers: { "Content-Type": "application/json" } }),
        await tried("api/videos/0001/events", { ...post, mode: "no-cors" })];
    }"""
    events = server.out / "walk.jsonl"
    before = events.read_bytes() if events.exists() else b""
    with serving(serve_folder(tmp_path)) as site:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{site}/evil.html")
        answers = page.evaluate(attempt, [server.address, body])
        context.close()
    assert answers[:4] == ["refused"] * 4
    assert (events.read_bytes() if events.exists() else b"") == before


def test_a_gigabyte_is_refused_before_it_is_sent(server):
    token = server.address.split("/")[3]
    host = f"127.0.0.1:{server.port}"
    head = (
        f"POST /{token}/api/videos/0001/events HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(head.encode() + b"{" * 1000)
        answer = b""
        while part := connection.recv(65536):  # until the server closes the connection
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")
