"""The review server in this process: what it answers, what it refuses, and what it saves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_data import AVA, READ, STAND, WALK, write_movie, write_results

from ava_detect.errors import ConfigError, MissingDependencyError
from ava_detect.results.corrections import log as log_module
from ava_detect.results.corrections.folder import read_corrections
from ava_detect.results.corrections.order import review_order
from ava_detect.results.saved import ReadOptions, read_saved_results
from ava_detect.review.app import build_app
from ava_detect.review.page_files import write_page_files
from ava_detect.review.review import Review
from ava_detect.review.serve import ReviewOptions, review_server

testclient = pytest.importorskip("starlette.testclient", reason="starlette and httpx are not installed")

TOKEN = "secret-token"
ORIGIN = "http://127.0.0.1:8571"
EVENTS = f"/{TOKEN}/api/videos/0001/events"


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "walk.mp4", seconds=2)


@pytest.fixture
def results(movie, tmp_path) -> Path:
    return write_results(tmp_path / "results", {"walk": movie})


@pytest.fixture
def review(results, tmp_path):
    with_lock = Review(results, tmp_path / "corrections")
    yield with_lock
    with_lock.close()


@pytest.fixture
def client(review):
    page, _ = write_page_files(review.run, review.folder, "results", review.options)
    app = build_app(review, page, token=TOKEN, host="127.0.0.1", port=8571)
    return testclient.TestClient(app, base_url=ORIGIN)


@pytest.fixture
def post(client) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Posts an event of the keyframe at a time: (status, answer)."""
    calls = iter(range(1, 1000))

    def call(kind: str, seconds: float, *, seen: int = 0, session: str = "a", number: int = 0, **details: object):
        body = {"session": session, "call": number or next(calls), "seen": seen, "seconds": seconds, "kind": kind}
        answer = client.post(EVENTS, json={**body, **details}, headers={"origin": ORIGIN})
        return answer.status_code, answer.json()

    return call


def test_events_are_saved_at_once_and_the_results_stay_as_they_are(client, post, results, tmp_path):
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    status, added = post("add", 2.0, box=[0.1, 0.1, 0.2, 0.3])
    assert (status, added["event"], added["person"], added["seen"]) == (200, 1, 3, 1), "a new person gets a new id"
    status, ticked = post("actions", 2.0, seen=1, person=3, ids=[WALK, STAND])
    others = [[track, *_person(client, 2, track)] for track in (1, 2)]
    assert ticked["keyframes"] == [[2, 2.0, False, [*others, [3, [0.1, 0.1, 0.2, 0.3], [STAND, WALK]]]]]
    assert post("accept", 2.0, seen=2)[1]["progress"] == [1, 8]
    # What another process reads now is all of it.
    saved = read_corrections(tmp_path / "corrections").videos["walk"]
    assert (saved.last_event, saved.num_accepted) == (3, 1)
    assert saved.keyframes[2.0].people[3].actions == (STAND, WALK)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before
    overview = client.get(f"/{TOKEN}/api/review").json()
    assert overview["videos"] == {"0001": [1, 8, 8]}
    assert len(overview["actions"]) == len(AVA)


def _person(client, keyframe: int, track: int) -> list[Any]:
    state = client.get(f"/{TOKEN}/api/videos/0001?session=a").json()
    return next([box, ids] for number, box, ids in state["keyframes"][keyframe][3] if number == track)


def test_a_second_window_is_told_what_the_first_has_changed(post):
    assert post("actions", 3.0, person=2, ids=[])[0] == 200
    status, refused = post("move", 3.0, session="b", person=2, box=[0, 0, 0.5, 0.5])
    assert status == 409
    assert "changed in another window" in refused["reason"]
    (keyframe,) = refused["keyframes"]
    assert (keyframe[0], refused["seen"], refused["undo"]) == (3, 1, None)
    assert [ids for track, _, ids in keyframe[3] if track == 2] == [[]]
    assert post("move", 3.0, session="b", seen=1, person=2, box=[0, 0, 0.5, 0.5])[0] == 200


def test_a_call_that_arrives_twice_counts_once(post):
    first = post("copy", 0.0, number=77, to_seconds=1.0)
    again = post("copy", 0.0, number=77, to_seconds=1.0)
    assert (first[0], again[0]) == (200, 200)
    assert again[1]["event"] == first[1]["event"] == again[1]["seen"] == 1


def test_undo_and_redo_are_offered_to_the_window_that_made_the_change(post):
    assert post("delete", 5.0, person=1)[1]["undo"] == [1, 5]
    status, undone = post("undo", 5.0, seen=1, event=1)
    assert (status, undone["undo"], undone["redo"]) == (200, None, [1, 5])
    assert [person[0] for person in undone["keyframes"][0][3]] == [1, 2]
    assert post("accept", 0.0, seen=2, session="b")[1]["redo"] is None


def test_the_next_keyframe_is_the_first_of_the_order_that_is_not_accepted(client, post):
    for number, seconds in enumerate((0.0, 1.0, 3.0)):
        post("accept", seconds, seen=number)
    following = [client.get(f"/{TOKEN}/api/next?video=0001&keyframe={k}").json()["seconds"] for k in (0, 2, 7)]
    assert following == [2.0, 4.0, 2.0]
    for number, seconds in enumerate((2.0, 4.0, 5.0, 6.0, 7.0)):
        post("accept", seconds, seen=3 + number)
    assert client.get(f"/{TOKEN}/api/next").json() == {"video": None}


def test_a_budget_of_useful_keyframes_is_reviewed_first_to_last(results, tmp_path):
    (saved,) = read_saved_results(results)
    expected = [seconds for _, seconds in review_order({"walk": saved.keyframes}, 3)]
    review = Review(results, tmp_path / "few", order="useful", budget=3)
    here, seen = None, []
    for number in range(3):
        _, seconds = review.following(here)
        body = {"session": "a", "call": number + 1, "seen": number, "seconds": seconds, "kind": "accept"}
        assert review.submit(0, body)[1]["progress"] == [number + 1, 3]
        here = (0, int(seconds))
        seen.append(seconds)
    assert seen == expected
    assert review.following(here) is None
    # Another keyframe may be corrected too; it does not count.
    other = next(float(s) for s in range(8) if s not in seen)
    body = {"session": "a", "call": 9, "seen": 3, "seconds": other, "kind": "accept"}
    assert review.submit(0, body)[1]["progress"] == [3, 3]
    review.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "explode"}, "kind is one of add, move"),
        ({"kind": "move", "person": 1}, "box is missing"),
        ({"kind": "move", "person": 1, "box": [0, 0, 1, "1"]}, "box is a number"),
        ({"kind": "move", "person": 1, "box": [0.4, 0, 0.4, 1]}, "x1 < x2"),
        ({"kind": "move", "person": True, "box": [0, 0, 1, 1]}, "person is a whole number"),
        ({"kind": "accept", "id": 7}, "id is given by the server"),
        ({"kind": "accept", "video": "other"}, "it is of the video 'other', and this is 'walk'"),
        ({"kind": "accept", "session": ""}, "session has 1 to 100 characters"),
        ({"kind": "accept", "call": 10**30}, "call is a whole number"),
        ({"kind": "accept", "seen": -1}, "seen is a whole number"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(client, review, change, told):
    body = {"session": "a", "call": 1, "seen": 0, "seconds": 0.0}
    answer = client.post(EVENTS, json=body | change, headers={"origin": ORIGIN})
    assert answer.status_code == 400
    assert told in answer.json()["reason"]
    for text in ("[1]", "{", "NaN", "[" * 60_000):
        answer = client.post(EVENTS, content=text, headers={"origin": ORIGIN, "content-type": "application/json"})
        assert answer.status_code == 400
    assert not list(review.folder.glob("*.jsonl"))


def test_a_full_disk_is_told_and_nothing_changes(client, post, monkeypatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(log_module.os, "write", full)
        status, answer = post("accept", 0.0, number=5)
    assert status == 507
    assert "No space left on device; make room on that disk" in answer["reason"]
    assert client.get(f"/{TOKEN}/api/review").json()["progress"] == [0, 8]
    assert post("accept", 0.0, number=5)[1]["progress"] == [1, 8], "the same call works once there is room"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/video.html", {}, 404),
        ("GET", "/wrong-token/video.html", {}, 404),
        ("GET", f"/{TOKEN}x/video.html", {}, 404),
        ("GET", f"/{TOKEN}/video.html", {"host": "evil.example:8571"}, 421),
        ("GET", f"/{TOKEN}/video.html", {"host": "127.0.0.1:80"}, 421),
        ("GET", f"/{TOKEN}/api/review", {"origin": "http://evil.example"}, 403),
        ("GET", f"/{TOKEN}/api/review", {"origin": "null"}, 403),
        ("GET", f"/{TOKEN}/core.js", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("POST", EVENTS, {"origin": "http://127.0.0.1:9999"}, 403),
        ("POST", EVENTS, {}, 403),
        ("POST", EVENTS, {"origin": ORIGIN, "sec-fetch-site": "same-site"}, 403),
        ("POST", EVENTS, {"origin": ORIGIN, "content-type": "text/plain"}, 415),
        ("POST", f"/{TOKEN}/api/review", {"origin": ORIGIN}, 405),
        ("OPTIONS", EVENTS, {"origin": ORIGIN, "access-control-request-method": "POST"}, 405),
        ("DELETE", EVENTS, {"origin": ORIGIN}, 405),
        ("POST", f"/{TOKEN}/api/videos/0002/events", {"origin": ORIGIN}, 404),
        ("POST", f"/{TOKEN}/api/videos/1/events", {"origin": ORIGIN}, 404),
        ("GET", f"/{TOKEN}/api/videos/0002", {}, 404),
        ("GET", f"/{TOKEN}/api/videos/0001?seen=x", {}, 400),
        ("GET", f"/{TOKEN}/page-data/../../corrections.json", {}, 404),
        ("GET", f"/{TOKEN}/page-data/%2e%2e/%2e%2e/corrections.json", {}, 404),
        ("GET", f"/{TOKEN}/page-data/0001%2f..%2f..%2f..%2fcorrections.json", {}, 404),
        ("GET", f"/{TOKEN}/page-media/..%2f..%2fcorrections.json", {}, 404),
        ("GET", f"/{TOKEN}/page-media//etc/passwd", {}, 404),
        ("GET", f"/{TOKEN}/%2e%2e%2f%2e%2e%2fcorrections.json", {}, 404),
        ("GET", f"/{TOKEN}/page-media/0001.mp4%00.jpg", {}, 404),
        ("GET", f"/{TOKEN}/video.html", {}, 200),
        ("GET", f"/{TOKEN}/video.html", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ("GET", f"/{TOKEN}/video.html", {"host": "localhost:8571"}, 200),
    ],
)
def test_only_the_page_itself_is_answered(client, method, path, headers, status):
    body = (
        {"json": {"session": "a", "call": 1, "seen": 0, "seconds": 0.0, "kind": "accept"}} if method == "POST" else {}
    )
    answer = client.request(method, path, headers=headers, **body)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_large_request_is_refused_without_being_read(client):
    def never_read():
        raise AssertionError("the body was read")
        yield b""

    headers = {"origin": ORIGIN, "content-type": "application/json"}
    large = client.post(EVENTS, content=never_read(), headers={**headers, "content-length": str(1 << 30)})
    assert (large.status_code, large.headers["connection"]) == (413, "close")
    assert client.post(EVENTS, content=never_read(), headers=headers).status_code == 411
    assert client.post(EVENTS, content=b"x" * 65_537, headers=headers).status_code == 413
    assert client.request("GET", f"/{TOKEN}/", content=b"x").status_code == 400


def test_videos_are_sent_in_parts(client, movie):
    path = f"/{TOKEN}/page-media/0001.mp4"
    content = movie.read_bytes()
    part = client.get(path, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert part.headers["content-type"] == "video/mp4"
    assert client.get(path, headers={"range": "bytes=-50"}).content == content[-50:]
    assert client.get(path, headers={"range": f"bytes={len(content)}-"}).status_code == 416
    assert client.head(path).headers["content-length"] == str(len(content))


def test_the_page_has_the_scripts_of_the_edit_mode_and_no_policy_of_its_own(client):
    assert client.get(f"/{TOKEN}").url.path == f"/{TOKEN}/"
    for name in ("", "index.html", "video.html"):
        text = client.get(f"/{TOKEN}/{name}").text
        assert "Content-Security-Policy" not in text
        scripts = [part.split('"')[0] for part in text.split('src="')[1:]]
        assert scripts[0] == "core.js" and scripts[-1] in ("list.js", "viewer.js")
        assert "connection.js" in scripts
        for file in (*scripts, "page.css", "review.css"):
            assert client.get(f"/{TOKEN}/{file}").status_code == 200
    assert client.get(f"/{TOKEN}/page-data/list.js").text.startswith('AvaPage.register("list"')


def test_the_page_is_written_again_only_when_something_has_changed(review, results, tmp_path):
    page, said = write_page_files(review.run, review.folder, "results", review.options)
    script = page / "page-data" / "list.js"
    script.write_text("kept")
    assert write_page_files(review.run, review.folder, "results", review.options) == (page, said)
    assert script.read_text() == "kept"
    label_map = tmp_path / "names.pbtxt"
    label_map.write_text(AVA.to_pbtxt())
    write_page_files(review.run, review.folder, "results", ReadOptions(label_map=label_map))
    assert script.read_text() != "kept"


def test_a_review_goes_on_where_it_ended(results, tmp_path):
    out = tmp_path / "corrections"
    first = Review(results, out, min_score=0.3)
    body = {"session": "a", "call": 1, "seen": 0, "seconds": 2.0, "kind": "accept"}
    assert first.submit(0, body)[0] == 200
    with pytest.raises(ConfigError, match="is being reviewed by another process"):
        Review(results, out)
    first.close()
    with (out / "walk.jsonl").open("ab") as file:
        file.write(b'{"id":2,')
    names = tmp_path / "more.pbtxt"
    names.write_text(AVA.to_pbtxt() + 'label { name: "juggle" label_id: 200 }\n')
    second = Review(results, out, ReadOptions(label_map=names))
    assert "the last line is torn (8 bytes)" in second.notices[0]
    assert (second.info.id, second.info.min_score) == (first.info.id, 0.3)
    assert second.info.label_map.name(200) == "juggle"
    assert second.state(0, "a")["undo"] == [1, 2]
    tick = {"session": "b", "call": 2, "seen": 1, "seconds": 2.0, "kind": "actions", "person": 2, "ids": [200, READ]}
    assert second.submit(0, tick)[0] == 200
    second.close()
    assert read_corrections(out).videos["walk"].last_event == 2
    # Other results under the same name.
    (results / "walk.jsonl").write_text((results / "walk.jsonl").read_text().replace("0.9", "0.8"))
    with pytest.raises(ConfigError, match="corrections of other results of walk"):
        Review(results, out)


def test_folders_that_hold_something_else_are_refused(results, tmp_path):
    for out, told in ((results, "is also an input"), (tmp_path / "mine", "holds .jsonl files that are no corrections")):
        if out != results:
            out.mkdir()
            (out / "notes.jsonl").write_text("{}\n")
        before = sorted(out.iterdir())
        with pytest.raises(ConfigError, match=told):
            Review(results, out)
        assert sorted(out.iterdir()) == before


def test_many_threads_number_their_events_without_gaps(review):
    def work(session: str) -> None:
        for call in range(1, 9):
            body = {"session": session, "call": call, "seen": 10_000, "seconds": float(call - 1), "kind": "accept"}
            assert review.submit(0, body)[0] == 200

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (review.folder / "walk.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["id"] for line in lines] == list(range(1, 33))


def test_it_says_which_libraries_are_missing(results, tmp_path, monkeypatch):
    monkeypatch.setattr("ava_detect.review.loopback.find_spec", lambda name: None)
    with (
        pytest.raises(MissingDependencyError, match=r"needs starlette and uvicorn, .*\[review\]"),
        review_server(results, tmp_path / "out"),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"order": "random"}, "`order` is useful or time, got 'random'"),
        ({"budget": 0}, "`budget` is a number of keyframes from 1"),
        ({"port": 70_000}, "`port` is a number from 0 to 65535"),
    ],
)
def test_wrong_settings_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        ReviewOptions(**settings)


def test_a_port_that_is_taken_and_a_foreign_address_are_refused(results, tmp_path):
    with review_server(results, tmp_path / "a", ReviewOptions(port=0)) as server:
        port = int(server.address.split(":")[2].split("/")[0])
        assert server.address.startswith("http://127.0.0.1:")
        assert len(server.address.split("/")[3]) >= 40
        with (
            pytest.raises(ConfigError, match=f"`port` {port} is taken"),
            review_server(results, tmp_path / "b", ReviewOptions(port=port)),
        ):
            pass
    with (
        pytest.raises(ConfigError, match=r"`host` 192\.0\.2\.1 cannot be listened on"),
        review_server(results, tmp_path / "b", ReviewOptions(host="192.0.2.1")),
    ):
        pass
