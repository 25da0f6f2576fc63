"""The live page in a real browser: boxes that fit moving pictures, a lost source shown as lost, no outside request."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from chromium import LIMIT_SECONDS, running_browser, until
from concurrency import wait_until
from live_keyframes import LABELS, NOON, live_keyframe

from ava_detect.errors import ConfigError
from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.pipeline import Pipeline
from ava_detect.live import page_state
from ava_detect.live.events import LiveEvent
from ava_detect.live.live import run_live
from ava_detect.live.page import live_page
from ava_detect.live.page_state import PageState
from ava_detect.live.settings import LiveSettings
from ava_detect.structures import ClipSettings, PersonBoxes
from ava_detect.video.live.previews import Previews
from ava_detect.video.live.source import live_sources

WIDTH, HEIGHT, SIDE, MOVES_SECONDS = 320, 96, 24, 20.0


class Picture:
    def __init__(self, seconds: float) -> None:
        self.timestamp_seconds = seconds

    def image(self, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), round(self.timestamp_seconds) % 256, np.uint8)


class Info:
    width, height = WIDTH, HEIGHT


def state_of(previews: Previews) -> PageState:
    return PageState(["cam"], LABELS, 1.0, "a note", list, [previews])


def test_a_picture_is_shown_when_the_rows_around_it_are_known(monkeypatch):
    """Rows come 3 s late, and the next ones a second later: the picture of 6 s is shown at 10 s."""
    now = [0.0]
    monkeypatch.setattr(page_state, "time", SimpleNamespace(monotonic=lambda: now[0]))
    previews = SimpleNamespace(newest_seconds=0.0, now_seconds=0.0, at=lambda seconds: seconds)
    state = state_of(previews)
    shown = []
    for tenth in range(101):
        now[0] = previews.newest_seconds = previews.now_seconds = tenth / 10
        if tenth % 10 == 0 and tenth >= 30:
            state.keyframe(0, live_keyframe(tenth / 10 - 3, {1: (0.9, 0, 0, 0)}))
        shown.append(state.picture(0))
    assert shown[-1] == pytest.approx(6.0)
    # It gets there without a step back.
    assert all(later >= earlier for earlier, later in pairwise(shown))


def test_the_state_has_spans_that_begin_and_end():
    state = PageState(["cam"], LABELS, 1.0, "", list, [Previews(5.0)])
    details = {"track_id": 3, "action": "hand wave", "start_seconds": 1.0}
    state.event(LiveEvent("action", "begins", "cam", NOON, "", details))
    source = state._sources[0]
    assert [(span["start"], span["end"], span["text"]) for span in source.value()["spans"]] == [
        (1.0, None, "hand wave")
    ]
    state.event(LiveEvent("action", "ends", "cam", NOON, "", details | {"end_seconds": 4.0}))
    assert [span["end"] for span in source.value()["spans"]] == [4.0]


def test_the_server_answers_its_own_page_only():
    previews = Previews(5.0)
    previews.add(Picture(1.0), Info())
    with live_page(state_of(previews), 0) as address:
        parts = urlsplit(address)

        def get(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
            connection = HTTPConnection(parts.hostname, parts.port, timeout=LIMIT_SECONDS)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

        status, headers, body = get(f"{parts.path}api/picture/0")
        assert (status, headers["x-seconds"], body[:2]) == (200, "1.000", b"\xff\xd8")
        assert get(f"{parts.path}api/picture/0?after=1.000")[0] == 204
        assert get(f"{parts.path}api/picture/7")[0] == 404
        assert json.loads(get(f"{parts.path}api/fixed")[2])["note"] == "a note"
        assert get(f"{parts.path}live.js")[0] == 200
        assert get(f"{parts.path}../settings.py")[0] == 404
        assert get("/api/fixed")[0] == 404
        assert get(f"{parts.path}api/fixed", Host="evil.example")[0] == 421
        assert get(f"{parts.path}api/fixed", Origin="http://evil.example")[0] == 403
        assert "connect-src 'self'" in get(parts.path)[1]["content-security-policy"]
        with pytest.raises(ConfigError, match="taken"), live_page(state_of(previews), parts.port):
            pass


def square_at(seconds: float) -> int:
    """Left edge of the white square: 12 pixels a second."""
    return round(10 + 12 * min(MOVES_SECONDS, seconds))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """A white square that moves to the right for twenty seconds, then stays."""
    path = tmp_path_factory.mktemp("page") / "movie.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(40 * 25):
            image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            left = square_at(number / 25)
            image[30 : 30 + SIDE, left : left + SIDE] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


class FindsTheSquare:
    name, needs_images = "square", True

    def __call__(self, frames):
        found = []
        for frame in frames:
            rows, columns = np.nonzero(frame.image[..., 0] > 150)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(PersonBoxes(np.float32([box]), np.float32([0.9])))
        return found


class Waves:
    """Scores the third action alone."""

    clip_settings = ClipSettings(num_frames=4, sampling_rate=3, short_side=32)
    num_actions, clips_per_batch, calls_at_once = 4, 1, 1

    def start_thread(self) -> None: ...

    def score(self, clips, people):
        return [np.float32([[0, 0, 0.8, 0]] * len(found)) for found in people]


def test_in_a_browser_pictures_move_boxes_fit_and_a_lost_source_is_lost(movie, monkeypatch):
    stops = []

    @contextmanager
    def note_stop(stop):
        stops.append(stop)
        yield

    monkeypatch.setattr("ava_detect.live.live.stopped_by_signals", note_stop)
    pipeline = Pipeline(FindsTheSquare(), Waves(), label_map=LABELS, every_seconds=0.5, note="only a test")
    said: list[str] = []
    sources = live_sources([movie, "gone=rtsp://me:hunter2@127.0.0.1:9/s"])
    settings = LiveSettings(print_lines=False, when=("hand wave > 0.5",), page_port=0)
    options = LiveOptions(max_seconds=4 * LIMIT_SECONDS)
    thread = threading.Thread(target=run_live, args=(pipeline, sources, options, settings, said.append), daemon=True)
    with running_browser() as browser:
        thread.start()
        wait_until(lambda: any("browser" in text for text in said))
        address = next(text for text in said if "browser" in text).rpartition(" ")[2]
        page = browser.new_page(viewport={"width": 390, "height": 844})
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        pane = "document.querySelectorAll('.pane')[{}]"
        until(page, f"{pane.format(0)}?.dataset.seconds > 0")
        fitting: dict[str, float] = {}
        deadline = time.monotonic() + LIMIT_SECONDS
        while len(fitting) < 3:
            assert time.monotonic() < deadline, "the boxes never fit the pictures"
            seconds, boxes = page.evaluate(f"[{pane.format(0)}.dataset.seconds, {pane.format(0)}.dataset.boxes]")
            for track, left, top, _, _ in json.loads(boxes):
                assert track == 1
                assert top * HEIGHT == pytest.approx(30, abs=2)
                # Within 0.4 s of the picture that is shown: a box that is not delayed with it would be off by 0.7 s.
                if float(seconds) < MOVES_SECONDS and abs(left * WIDTH - square_at(float(seconds))) < 5:
                    fitting[seconds] = left
            page.wait_for_timeout(40)
        assert len(set(fitting.values())) > 1
        until(page, f"{pane.format(0)}.querySelector('.past').dataset.rows?.includes('hand wave')")
        # The picture is there, with the square in it.
        until(page, f"{pane.format(0)}.querySelector('.picture').width === {WIDTH}")
        # The other source is shown as lost, and nothing of its password.
        until(page, f"{pane.format(1)}.dataset.state === 'lost'")
        assert "lost" in page.inner_text(".pane:nth-child(2)")
        text = page.inner_text("body")
        assert "Only a test." in text
        assert "hunter2" not in page.content() + text + json.dumps(said)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert all(url.startswith(address) or url.endswith("/favicon.ico") for url in asked)
        assert errors == []
        # When the program has ended, the page says so.
        stops[0]()
        thread.join()
        until(page, "document.getElementById('notices').textContent.includes('has ended')")
