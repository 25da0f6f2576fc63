"""The page in a real browser, from disk: what is drawn when, finding, keys, screen readers, phones, troubles."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import LIMIT_SECONDS, running_browser, until
from page_data import (
    SECONDS,
    WIDTH,
    keyframe,
    movie_keyframes,
    record,
    walker_box,
    write_ground_truth,
    write_manifest,
    write_movie,
    write_results,
)
from PIL import Image, ImageColor
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.structures.labels import Action, ActionKind, LabelMap
from ava_detect.visualization import page as page_package
from ava_detect.visualization.kind_marks import KIND_MARKS
from ava_detect.visualization.motion import TrackInterpolator
from ava_detect.visualization.page.write_page import visualize

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

ORANGE = (230, 159, 0)  # person 1
NASTY = 'הליכה <b>"q"<img src=x onerror=alert(1)>'
NASTY_ACTION = '</script><script>alert(2)</script> & "wave"'


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "walk.mp4")


@pytest.fixture(scope="module")
def site(movie, tmp_path_factory) -> Path:
    """A page of several videos: 1 whole, 2 without people, 3 missing, 4 with HTML in its names, 5 failed."""
    folder = tmp_path_factory.mktemp("site")
    results = write_results(folder / "results", {"walk": movie})
    write_jsonl(results / "nobody.jsonl", [keyframe("nobody", float(s), []) for s in range(SECONDS)], LabelMap.ava())
    write_jsonl(results / "gone.jsonl", movie_keyframes("gone"), LabelMap.ava())
    nasty = LabelMap((Action(69, NASTY_ACTION, ActionKind.PERSON), *(a for a in LabelMap.ava() if a.id != 69)))
    write_jsonl(results / f"{NASTY}.jsonl", movie_keyframes(NASTY), nasty)
    records = [
        record("walk", movie),
        record("nobody", movie),
        record("gone", folder / "gone.mp4"),
        record(NASTY, movie, outputs=[f"{NASTY}.jsonl"]),
        record("broken", folder / "broken.mp4", outputs=[], message="broken.mp4 is no video", status="failed"),
    ]
    write_manifest(results, records)
    visualize(results, folder / "page")
    return folder / "page"


@pytest.fixture(scope="module")
def judged_site(movie, tmp_path_factory) -> Path:
    """A page of one video with ground truth."""
    folder = tmp_path_factory.mktemp("judged")
    results = write_results(folder / "results", {"walk": movie})
    visualize(results, folder / "page", ground_truth=write_ground_truth(folder / "truth.csv", "walk"))
    return folder / "page"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser, site) -> Iterator:
    """Opens a page of the site; at the end nothing may be on the console, and nothing may have left the folder."""
    contexts, troubles, requests = [], [], []

    def call(
        name: str = "video.html#v=0001", *, width: int = 1280, height: int = 900, scheme: str = "light", folder=site
    ):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * LIMIT_SECONDS)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{folder.as_uri()}/{name}")
        if name.startswith("video"):
            until(page, "AvaPage.viewer?.isReady")
        return page

    yield call
    for context in contexts:
        context.close()
    assert troubles == []
    assert [url for url in requests if not url.startswith("file://")] == []


def wait_for_frame(page, seconds: float) -> None:
    """Until the overlay shows the frame of a moment."""
    until(
        page,
        "s => Math.abs(AvaPage.viewer.shownAt - s) < 0.06 && !document.getElementById('video').seeking",
        seconds,
    )


def pixels(page) -> np.ndarray:
    """A screenshot of the stage, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB"))


def settled(page) -> np.ndarray:
    """A screenshot once it does not change any more: on a busy machine the screen lags behind the page."""
    image = pixels(page)
    for _ in range(100):
        page.wait_for_timeout(150)
        before, image = image, pixels(page)
        if np.array_equal(before, image):
            return image
    raise AssertionError("the screen never stopped changing")


def extent(mask: np.ndarray) -> tuple[int, int]:
    """The first and the last column of a mask that have something in them."""
    columns = np.flatnonzero(mask.sum(axis=0) > 20)
    return int(columns[0]), int(columns[-1]) + 1


def is_orange(image: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - ORANGE).max(axis=2) < 40


def walker_on(image: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Left and right edge of person 1: in the frame, and of the box drawn over it."""
    white = (image > 235).all(axis=2)
    middle = slice(round(0.3 * len(image)), round(0.7 * len(image)))  # no chips here
    return extent(white[middle]), extent(is_orange(image)[middle])


def assert_box_is_on_walker(page) -> None:
    """What the overlay draws, what the video shows and what is true must be one and the same, to the pixel or two."""
    image = settled(page)
    (white_left, white_right), (left, right) = walker_on(image)
    x1, _, x2, _ = walker_box(page.evaluate("AvaPage.viewer.shownAt")) * image.shape[1] / WIDTH
    assert (left, right) == (pytest.approx(x1, abs=2), pytest.approx(x2, abs=2))
    # The outline lies inside the box: as much of it on the left of what is left of the white as on the right.
    assert 3 <= white_left - left <= 7
    assert 3 <= right - white_right <= 7


def test_the_box_is_on_the_person_of_the_same_frame(open_page):
    page = open_page()
    for seconds in (2.0, 3.5, 5.7):  # on a keyframe, between two, and nearer to the second
        page.evaluate("s => AvaPage.viewer.player.seek(s + 0.001)", seconds)
        wait_for_frame(page, seconds)
        assert_box_is_on_walker(page)
    page.evaluate("AvaPage.viewer.player.seek(1)")  # far from the last keyframe, behind which boxes are only held
    wait_for_frame(page, 1.0)
    page.click("#play")
    until(page, "AvaPage.viewer.shownAt > 1.2")
    page.click("#play")
    until(page, "document.getElementById('video').paused")
    assert_box_is_on_walker(page)


@pytest.mark.parametrize("cuts", [[], [2.3, 4.1, 4.35, 7.75]])
def test_people_move_between_keyframes_as_in_the_drawn_video(open_page, movie, tmp_path, cuts):
    random = np.random.default_rng(5)
    times = np.cumsum(random.choice([0.5, 1.0, 1.0, 2.5], 10)).tolist()
    keyframes = [
        keyframe(
            "v",
            time,
            [
                (track, [x, 50, x + 90, 200], 0.9, {12: 0.5})
                for track, x in enumerate(random.uniform(0, 500, 4).tolist(), start=1)
                if random.random() < 0.6
            ],
        )
        for time in times
    ]
    results = tmp_path / "results"
    write_manifest(results, [record("v", tmp_path / "v.mp4", cuts_seconds=cuts)])
    write_jsonl(results / "v.jsonl", keyframes, LabelMap.ava())
    visualize(results, tmp_path / "page")
    page = open_page(folder=tmp_path / "page")
    spacing = float(np.median(np.diff(times)))
    interpolator = TrackInterpolator(keyframes, spacing, cuts)
    for moment in np.arange(0, times[-1] + 2, 0.17).tolist():
        until(page, "s => AvaPage.viewer.people.shownAt(s) !== undefined", moment)
        shown = page.evaluate("s => AvaPage.viewer.people.shownAt(s).map(p => [p.track, ...p.box])", moment)
        expected = interpolator.at(moment)
        rows = [] if expected is None else np.column_stack([expected.track_ids, expected.boxes_fraction]).tolist()
        assert [row[0] for row in shown] == [row[0] for row in rows], moment
        np.testing.assert_allclose(shown, rows, atol=2e-4)


def test_it_plays_with_the_space_bar_and_the_button(open_page):
    page = open_page()
    page.keyboard.press("Space")
    until(page, "AvaPage.viewer.frames > 6 && AvaPage.viewer.shownAt > 0.5")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press("Space")
    until(page, "document.getElementById('video').paused")
    assert page.inner_text("#play") == "Play"
    page.click("#stage", position={"x": 20, "y": 20})
    until(page, "!document.getElementById('video').paused")


def test_keys_go_by_seconds_frames_and_occurrences(open_page):
    page = open_page("video.html#v=0001&q=hand%20wave")
    page.wait_for_selector("#hits button")

    def press(key: str) -> float:
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        until(page, "!document.getElementById('video').seeking")
        return round(page.evaluate("AvaPage.viewer.player.time"), 1)

    assert [press(key) for key in ("ArrowRight", "ArrowRight", "ArrowLeft", ".", ",")] == [1.0, 2.0, 1.0, 1.1, 1.0]
    assert [press(key) for key in ("n", "n", "n", "p", "p")] == [3.0, 7.0, 7.0, 3.0, 3.0]
    assert press("Shift+ArrowLeft") == 0.0


def test_a_search_lists_every_second(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("hand wave")
    page.wait_for_selector("#hits button")
    assert page.inner_text("#hits-status") == "3 seconds in 2 stretches"
    assert page.locator("#hits .time").all_inner_texts() == ["0:03 – 0:04", "0:07"]
    page.locator("#hits button").nth(1).click()
    wait_for_frame(page, 7.0)
    assert page.locator("#hits button[aria-current=true] .time").all_inner_texts() == ["0:07"]
    # Lower the score and the weak guesses of the other seconds are there, too.
    page.locator("#score").fill("0.2")
    assert page.inner_text("#hits-status") == "8 seconds in 1 stretch"
    page.fill("#query", "moonwalk")
    assert page.inner_text("#hits-status") == "Nowhere in this video."
    assert "No action of this video is called “moonwalk”." in page.inner_text("#actions")
    page.click("#reset")
    assert page.input_value("#query") == ""


def test_filters_by_action_person_score_and_kind(open_page):
    page = open_page("video.html#v=0001&t=3")
    wait_for_frame(page, 3.0)

    def on_screen() -> dict[str, list[str]]:
        people = page.locator("#people > li")
        return {
            people.nth(i).locator("button").inner_text(): people.nth(i).locator("ul .name").all_inner_texts()
            for i in range(people.count())
        }

    everything = {"Person 1": ["walk", "hand wave", "stand"], "Person 2": ["read"]}
    assert on_screen() == everything
    page.uncheck("#kinds input[value=pose]")
    assert on_screen() == {"Person 1": ["hand wave"], "Person 2": ["read"]}
    page.check("#kinds input[value=pose]")
    page.locator("#score").fill("0.65")
    assert on_screen() == {"Person 1": ["walk", "hand wave"], "Person 2": []}
    page.locator("#score").fill("0.3")
    page.select_option("#person", "2")
    assert on_screen() == {"Person 2": ["read"]}
    page.wait_for_selector("#hits button")
    assert page.locator("#hits .time").all_inner_texts() == ["0:02 – 0:05"]
    page.select_option("#person", "")
    page.locator("#actions label", has_text="read").click()
    assert on_screen() == {"Person 2": ["read"]}
    # Who does something else is drawn faint.
    assert is_orange(settled(page)).sum() < 50
    page.click("#reset")
    assert on_screen() == everything


def test_a_click_on_the_timeline_jumps_and_zooming_keeps_the_moment(open_page):
    page = open_page()
    for canvas in ("#overview", "#lanes"):
        box = page.locator(canvas).bounding_box()
        gutter = page.evaluate("AvaPage.viewer.timeline.gutter")
        x = gutter + (box["width"] - gutter) * (5.2 if canvas == "#lanes" else 2.4) / SECONDS
        page.locator(canvas).click(position={"x": x, "y": 12})
        wait_for_frame(page, 5.2 if canvas == "#lanes" else 2.4)
    page.keyboard.press("+")
    stretch = page.evaluate("[AvaPage.viewer.timeline.from, AvaPage.viewer.timeline.to]")
    assert stretch[1] - stretch[0] == pytest.approx(4)
    assert stretch[0] < 5.2 < stretch[1]
    assert page.inner_text("#times-status").endswith("of 0:08")
    page.keyboard.press("0")
    assert page.inner_text("#times-status") == "0:00 to 0:08"


def test_ground_truth_that_is_given_is_shown_at_once_and_its_switch_says_so(open_page, judged_site):
    page = open_page("video.html#v=0001&t=4", folder=judged_site)
    assert page.is_visible("#truth-switch") and page.is_checked("#truth")
    assert page.is_visible("#legend") and page.is_visible("#errors-switch")
    page.uncheck("#truth")
    assert not page.is_visible("#legend")
    page.click("#query")
    page.keyboard.type("walk")
    page.click("#reset")
    assert not page.is_checked("#truth") and not page.is_visible("#legend"), "what was switched off stays off"


def test_without_ground_truth_there_is_no_switch(open_page):
    page = open_page()
    assert not page.is_visible("#truth-switch") and not page.is_visible("#legend")
    page.keyboard.press("g")
    assert not page.is_visible("#legend")


def test_a_kind_has_the_mark_of_drawn_videos(open_page):
    page = open_page()
    marks = page.locator("#kinds .kind").all_inner_texts()
    assert marks == [KIND_MARKS[kind].glyph for kind in (ActionKind.POSE, ActionKind.OBJECT, ActionKind.PERSON)]
    colours = page.locator("#kinds .kind").evaluate_all("marks => marks.map(mark => getComputedStyle(mark).color)")
    rgb = ImageColor.getrgb(KIND_MARKS[ActionKind.PERSON].on_light)
    assert colours[2] == f"rgb{rgb}"


def test_ground_truth_marks_what_is_right_wrong_and_missed(open_page, judged_site):
    page = open_page("video.html#v=0001&t=4&q=hand%20wave", folder=judged_site)
    page.wait_for_selector("#hits button")
    facts = page.locator("#hits button").all_inner_texts()
    assert [" ".join(text.split()) for text in facts] == [
        "0:03 hand wave person 1 80% ✓ right",
        "0:04 hand wave person 1 80% ✗ wrong",
        "0:05 hand wave person 1 missed",
        "0:07 hand wave person 1 80% ✗ wrong",
    ]
    page.check("#errors")
    assert page.inner_text("#hits-status") == "3 seconds in 3 stretches"
    page.click("#reset")
    until(page, "document.getElementById('people').innerText.includes('nobody there')")
    people = page.locator("#people > li")
    assert "✗ nobody there" in people.nth(1).inner_text()
    assert "nobody there" not in people.nth(0).inner_text()
    assert people.nth(0).locator("li", has_text="walk").locator(".right").inner_text() == "✓"
    # The person at 6 s was not found: the true box is drawn, dotted white and black.
    before = settled(page)
    page.evaluate("AvaPage.viewer.player.seek(6.001)")
    wait_for_frame(page, 6.0)
    scale = before.shape[1] / WIDTH
    corner = settled(page)[round(10 * scale) : round(14 * scale), round(10 * scale) : round(80 * scale)]
    assert (corner > 230).all(axis=2).any()
    assert (before[round(10 * scale) : round(14 * scale), round(10 * scale) : round(80 * scale)] < 80).all()


def test_the_list_counts_sorts_and_searches(open_page):
    page = open_page("index.html")
    page.wait_for_selector(".card")
    names = page.locator(".card h2")
    assert names.all_inner_texts() == ["walk", "nobody", "gone", NASTY, "broken"]
    assert page.locator(".card .facts").first.inner_text() == "0:08 · 2 people · 12 boxes"
    assert page.locator(".card img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 384
    page.select_option("#order", "boxes")
    assert names.all_inner_texts()[-2:] == ["nobody", "broken"]
    page.fill("#query", "hand wave")
    assert page.inner_text("#status") == "2 of 5 videos"
    page.locator(".card a").first.click()
    page.wait_for_selector("#hits button")
    assert page.inner_text("#hits-status") == "3 seconds in 2 stretches"
    page.click("#back")
    page.wait_for_selector(".card")


def test_names_are_text(open_page):
    page = open_page("video.html#v=0004&t=3")
    wait_for_frame(page, 3.0)
    assert page.inner_text("h1") == NASTY
    assert page.title() == f"{NASTY}: people and actions"
    page.fill("#query", "alert")
    page.wait_for_selector("#hits button")
    for places in ("#actions .name", "#people ul .name"):
        assert page.locator(places).all_inner_texts() == [NASTY_ACTION]
    assert page.locator("#hits .what").first.inner_text().startswith("</script><script>alert")  # without the brackets
    page.fill("#query", NASTY)
    assert page.locator("#actions").inner_text() == f"No action of this video is called “{NASTY}”."
    assert page.locator("main img, main b, main script").count() == 0
    assert open_page("index.html").locator("h2", has_text="onerror").inner_text() == NASTY


def test_no_script_of_the_page_writes_markup():
    """What the test above sees in some places holds in all: nothing but text and elements is ever put in."""
    static = Path(page_package.__file__).parent / "static"
    writers = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|eval\("
    )
    found = [(script.name, writers.findall(script.read_text(encoding="utf-8"))) for script in static.glob("*.js")]
    assert len(found) >= 8 and [name for name, uses in found if uses] == []


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("index.html", "dark"),
        ("video.html#v=0001&q=wave", "light"),
        ("video.html#v=0001&q=wave", "dark"),
        ("video.html#v=0003", "light"),
    ],
)
def test_nothing_stands_in_the_way_of_a_screen_reader_nor_of_a_phone(open_page, name, scheme):
    page = open_page(name, width=390, height=844, scheme=scheme)
    page.wait_for_load_state("load")
    if name.endswith("wave"):
        page.keyboard.press("g")
        page.wait_for_selector("#hits button")
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found] == []


def test_every_control_can_be_reached_by_tab(open_page, judged_site):
    page = open_page(folder=judged_site)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"seek", "play", "previous", "next", "truth", "rate", "zoom-in", "query", "score", "person"} <= set(reached)
    page.focus("#play")
    page.keyboard.press("Space")
    until(page, "!document.getElementById('video').paused")


def test_without_the_video_boxes_play_on_a_clock_of_their_own(open_page):
    page = open_page("video.html#v=0003")
    assert "gone.mp4 is not there any more" in page.inner_text("#notices")
    assert page.inner_text("#stage-note") == "No picture: the video is not here"
    page.keyboard.press("Space")
    until(page, "AvaPage.viewer.shownAt > 0.7")
    page.keyboard.press("Space")
    image = settled(page)
    moment = page.evaluate("AvaPage.viewer.shownAt")
    left, right = extent(is_orange(image))
    x1, _, x2, _ = walker_box(moment) * image.shape[1] / WIDTH
    assert (left, right) == (pytest.approx(x1, abs=3), pytest.approx(x2, abs=3))


def test_a_video_taken_from_the_page_later_and_a_lost_piece_are_sentences(browser, movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    visualize(results, tmp_path / "page")
    (tmp_path / "page" / "page-media" / "0001.mp4").unlink()
    (tmp_path / "page" / "page-data" / "0001" / "people-0.js").write_text("")
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "page" / "index.html").as_uri())  # with one video it is the video's page
    until(page, "document.querySelectorAll('#notices li').length === 2")
    said = page.inner_text("#notices")
    assert "The video page-media/0001.mp4 cannot be played: it was moved or deleted" in said
    assert "The file page-data/0001/people-0.js of this page is missing or damaged: write the page again." in said
    context.close()


def test_another_video_in_its_place_is_noticed(open_page, movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    visualize(results, tmp_path / "page", placing="copy")
    write_movie(tmp_path / "page" / "page-media" / "0001.mp4", seconds=5)
    page = open_page(folder=tmp_path / "page")
    page.wait_for_selector("#notices li")
    assert "The video is 0:05.0 long where 0:08.0 was expected" in page.inner_text("#notices")


def test_an_empty_result_says_so(open_page):
    page = open_page("video.html#v=0002")
    assert page.locator("#notices li").first.inner_text() == "No person was found in this video."
    assert page.inner_text("#people") == "Nobody at this moment."


def test_dark_and_light_follow_the_system_until_the_reader_chooses(open_page):
    page = open_page(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert (dark, light) == ("rgb(20, 23, 27)", "rgb(255, 255, 255)")
    page.reload()
    assert page.evaluate(ground) == light


def test_a_video_that_browsers_cannot_play_has_a_copy_that_plays(open_page, tmp_path):
    source = write_numbered_video(tmp_path / "old.mkv", constant_rate(80, 10), rate=10, width=160, height=96)
    visualize(write_results(tmp_path / "results", {"old": source}), tmp_path / "page")
    page = open_page(folder=tmp_path / "page")
    assert "a copy made for the page" in page.inner_text("#notices")
    page.evaluate("AvaPage.viewer.player.seek(4.301)")
    wait_for_frame(page, 4.3)
    page.evaluate("document.getElementById('overlay').style.display = 'none'")
    assert frame_number(settled(page)) == 43
