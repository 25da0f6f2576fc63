"""The corrections log: events, undo and redo, two windows, crashes, damaged files."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from page_data import AVA, GUEST_BOX, HEIGHT, READ, STAND, WALK, WIDTH, write_movie, write_results

from ava_detect.errors import FormatError
from ava_detect.results.corrections import log as log_module
from ava_detect.results.corrections.events import Event
from ava_detect.results.corrections.folder import base_of, read_corrections, read_info, write_info
from ava_detect.results.corrections.keyframes import ConflictError, CorrectedKeyframe, CorrectedPerson, VideoCorrections
from ava_detect.results.corrections.log import Base, LogWriter, read_log
from ava_detect.results.saved import read_saved_results

BOX = (0.1, 0.2, 0.3, 0.4)
OTHER_BOX = (0.5, 0.5, 0.75, 1.0)
WALKER = CorrectedPerson(BOX, (12,))
GUEST = CorrectedPerson(OTHER_BOX, ())


def base() -> Base:
    """Person 1 is on four keyframes, person 2 on the second and third."""
    people = [{1: WALKER}, {1: WALKER, 2: GUEST}, {1: WALKER, 2: GUEST}, {1: WALKER}]
    return Base("v", "0" * 64, 0.5, {float(s): CorrectedKeyframe(p) for s, p in enumerate(people)})


def event(number: int, seconds: float, kind: str, *, session: str = "a", **details: object) -> Event:
    value = {"id": number, "session": session, "call": number, "time": "2026-11-30T00:00:00Z", "video": "v"}
    return Event.from_json({**value, "seconds": seconds, "kind": kind, **details})


def corrected(*events: Event) -> VideoCorrections:
    start = base()
    video = VideoCorrections(start.video_id, start.keyframes, range(1, 81))
    for one in events:
        video.apply(one)
    return video


def state(video: VideoCorrections) -> list[tuple[bool, dict[int, CorrectedPerson]]]:
    return [(keyframe.is_accepted, dict(keyframe.people)) for keyframe in video.keyframes.values()]


def tracks(video: VideoCorrections) -> list[list[int]]:
    return [sorted(keyframe.people) for keyframe in video.keyframes.values()]


def test_each_kind_of_event_changes_what_it_says():
    box = [0.25, 0.25, 0.5, 0.5]
    video = corrected(
        event(1, 0, "add", person=5, box=box),
        event(2, 0, "actions", person=5, ids=[80, 1, 80]),
        event(3, 1, "move", person=1, box=box),
        event(4, 2, "delete", person=2),
        event(5, 0, "accept"),
        event(6, 3, "accept"),
        event(7, 3, "unaccept"),
    )
    moved = CorrectedPerson((0.25, 0.25, 0.5, 0.5), (12,))
    assert state(video) == [
        (True, {1: WALKER, 5: CorrectedPerson((0.25, 0.25, 0.5, 0.5), (1, 80))}),
        (False, {1: moved, 2: GUEST}),
        (False, {1: WALKER}),
        (False, {1: WALKER}),
    ]
    assert (video.last_event, video.num_accepted, video.new_track) == (7, 1, 6)
    assert video.changed_since(4) == [0.0, 3.0]


def test_tracks_are_split_joined_and_copied():
    assert tracks(corrected(event(1, 2, "split", person=1, into=7))) == [[1], [1, 2], [2, 7], [7]]
    split = [event(1, 2, "split", person=1, into=7), event(2, 1, "join", person=1, into=7)]
    assert tracks(corrected(*split)) == [[7], [2, 7], [2, 7], [7]]
    copied = corrected(event(1, 3, "accept"), event(2, 2, "copy", to_seconds=3))
    assert state(copied)[3] == (False, {1: WALKER, 2: GUEST}), "a copy has not been looked at yet"
    assert tracks(corrected(event(1, 1, "copy", to_seconds=0, person=2)))[0] == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("move", {"person": 2, "box": list(BOX)}), "person 2 is not on the keyframe at 0 s"),
        (("add", {"person": 1, "box": list(BOX)}), "person 1 is on the keyframe at 0 s already"),
        (("actions", {"person": 1, "ids": [81]}), "there is no action 81"),
        (("join", {"person": 1, "into": 2}), "persons 1 and 2 are both on the keyframe at 1 s"),
        (("join", {"person": 1, "into": 9}), "there is no person 9 in the video"),
        (("split", {"person": 1, "into": 2}), "persons 1 and 2 are both on the keyframe at 1 s"),
        (("copy", {"to_seconds": 0.5}), "there is no other keyframe at 0.5 s"),
        (("undo", {"event": 4}), "there is no event 4"),
    ],
)
def test_an_event_that_does_not_fit_is_refused_and_changes_nothing(wrong, told):
    video = corrected()
    with pytest.raises(ConflictError, match=told):
        video.apply(event(1, 0, wrong[0], **wrong[1]))
    assert state(video) == state(corrected())
    assert video.last_event == 0


def test_undo_and_redo_go_back_and_forth_step_by_step():
    video = corrected()
    seen = [state(video)]
    steps = [
        (0, "move", {"person": 1, "box": list(OTHER_BOX)}),
        (1, "split", {"person": 1, "into": 3}),
        (1, "delete", {"person": 3}),
        (2, "copy", {"to_seconds": 1}),
        (1, "accept", {}),
    ]
    for number, (seconds, kind, details) in enumerate(steps, start=1):
        video.apply(event(number, seconds, kind, **details))
        seen.append(state(video))
    number = len(steps)
    for kind, states in (("undo", seen[-2::-1]), ("redo", seen[1:]), ("undo", seen[-2::-1])):
        for expected in states:
            target = video.undoable("a") if kind == "undo" else video.redoable("a")
            number += 1
            video.apply(event(number, video.seconds_of(target), kind, event=target))
            assert state(video) == expected
    assert video.undoable("a") is None and video.redoable("a") == 1
    video.apply(event(number + 1, 3, "accept"))
    assert video.redoable("a") is None, "a new event ends what could be redone"


def test_a_change_of_another_window_is_not_overwritten():
    video = corrected(event(1, 1, "move", person=1, box=list(OTHER_BOX)))
    late = event(2, 1, "move", person=2, box=list(BOX), session="b")
    with pytest.raises(ConflictError, match="changed in another window"):
        video.changes(late, seen=0)
    assert video.changes(late, seen=1)
    assert video.changes(event(2, 2, "delete", person=2, session="b"), seen=0), "another keyframe is no conflict"
    with pytest.raises(ConflictError, match="changed in another window"):
        video.changes(event(2, 1, "copy", to_seconds=2, session="b"), seen=0)  # what is copied has changed
    with pytest.raises(ConflictError, match="changed in another window"):
        video.changes(event(2, 0, "split", person=1, into=9, session="b"), seen=0)  # reaches the changed keyframe
    # Each window undoes its own events only, and none on which another window has built.
    assert (video.undoable("a"), video.undoable("b")) == (1, None)
    video.apply(late)
    with pytest.raises(ConflictError, match="has changed since event 1"):
        video.apply(event(3, 1, "undo", event=1))


def random_events(count: int, seed: int) -> list[Event]:
    """Events of two windows as they can be made, with undo and redo among them."""
    chance, video = random.Random(seed), corrected()
    made: list[Event] = []
    while len(made) < count:
        session, seconds = chance.choice("ab"), float(chance.randrange(4))
        kind = chance.choice(["add", "move", "delete", "actions", "split", "join", "copy", "accept", "undo", "redo"])
        people = sorted(video.keyframes[seconds].people) or [1]
        corner = chance.uniform(0, 0.5)
        details = {
            "person": video.new_track if kind == "add" else chance.choice(people),
            "into": video.new_track if kind == "split" else chance.choice([1, 2, 3]),
            "box": [corner, corner, corner + 0.25, corner + 0.4],
            "ids": chance.sample(range(1, 81), 3),
            "to_seconds": float(chance.randrange(4)),
            "event": (video.undoable if kind == "undo" else video.redoable)(session),
        }
        wanted = {"add": "person box", "move": "person box", "delete": "person", "actions": "person ids",
                  "split": "person into", "join": "person into", "copy": "to_seconds", "accept": "",
                  "undo": "event", "redo": "event"}[kind].split()  # fmt: skip
        if "event" in wanted and details["event"] is None:
            continue
        one = event(len(made) + 1, seconds, kind, session=session, **{name: details[name] for name in wanted})
        try:
            video.apply(one)
        except ConflictError:
            continue
        made.append(one)
    return made


def test_a_log_of_a_thousand_corrections_gives_the_same_keyframes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module.os, "fsync", lambda descriptor: None)  # a thousand of them take seconds
    events = random_events(1000, seed=3)
    kinds = {one.kind for one in events}
    assert {"split", "join", "copy", "undo", "redo"} <= kinds
    writer = LogWriter(tmp_path / "v.jsonl", base())
    for one in events:
        writer.append(one)
    read = read_log(tmp_path / "v.jsonl", range(1, 81))
    live = corrected(*events)
    assert state(read.video) == state(live)
    assert (read.video.last_event, read.torn_bytes) == (1000, 0)
    assert read.num_bytes == (tmp_path / "v.jsonl").stat().st_size
    assert [read.video.undoable(s) for s in "ab"] == [live.undoable(s) for s in "ab"]


def test_a_log_cut_at_any_byte_holds_every_event_before_the_cut(tmp_path):
    path = tmp_path / "v.jsonl"
    writer = LogWriter(path, base())
    sizes = []
    for number in range(1, 4):
        writer.append(event(number, number - 1, "accept"))
        sizes.append(path.stat().st_size)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for cut in {*range(start, len(whole), 5), *sizes, *(size - 1 for size in sizes)}:
        path.write_bytes(whole[:cut])
        read = read_log(path, range(1, 81))
        survived = sum(size <= cut for size in sizes)
        assert read.video.last_event == survived
        assert read.num_bytes + read.torn_bytes == cut
    path.write_bytes(whole[: start - 1])
    assert read_log(path, range(1, 81)) is None, "a base that was never complete"


def test_the_next_event_after_a_torn_line_takes_its_place(tmp_path):
    path = tmp_path / "v.jsonl"
    LogWriter(path, base()).append(event(1, 0, "accept"))
    with path.open("ab") as file:
        file.write(b'{"id":2,"session":"a","ca')
    read = read_log(path, range(1, 81))
    assert read.torn_bytes == 25
    LogWriter(path, read.base, read.num_bytes).append(event(2, 1, "accept"))
    again = read_log(path, range(1, 81))
    assert (again.video.num_accepted, again.torn_bytes) == (2, 0)


def test_an_event_that_cannot_be_written_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "v.jsonl"
    writer = LogWriter(path, base())
    writer.append(event(1, 0, "accept"))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(log_module.os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as raised:
            writer.append(event(2, 1, "accept"))
    assert raised.value.filename == str(path)
    assert path.read_bytes() == before
    writer.append(event(2, 1, "accept"))
    assert read_log(path, range(1, 81)).video.num_accepted == 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{}", "id is missing"),
        (b"not json", "no JSON"),
        (b'{"id":1,"session":"a","call":1,"time":"t","video":"v","seconds":0,"kind":"explode"}', "kind is one of add"),
        (
            b'{"id":1,"session":"a","call":1,"time":"t","video":"v","seconds":0,"kind":"accept","x":1}',
            "an event of the kind accept has no 'x'",
        ),
        (b'{"id":1,"session":"a","call":1,"time":"t","video":"w","seconds":0,"kind":"accept"}', "is of the video 'w'"),
        (b'{"id":1,"session":"a","call":1,"time":"t","video":"v","seconds":9,"kind":"accept"}', "no keyframe at 9 s"),
        (
            b'{"id":1,"session":"a","call":1,"time":"t","video":"v","seconds":0,"kind":"add","person":3,'
            b'"box":[0.5,0,0.5,1]}',
            "x1 < x2",
        ),
        (
            b'{"id":1,"session":"a","call":1,"time":"t","video":"v","seconds":0,"kind":"add","person":3,'
            b'"box":[0,0,NaN,1]}',
            "NaN",
        ),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_a_damaged_line_is_named_with_its_file_and_number(tmp_path, line, told):
    path = tmp_path / "v.jsonl"
    LogWriter(path, base()).append(event(1, 0, "accept"))
    first = path.read_bytes().split(b"\n")[0]
    path.write_bytes(first + b"\n" + line + b"\n")
    with pytest.raises(FormatError, match=r"v\.jsonl, line 2: ") as raised:
        read_log(path, range(1, 81))
    assert told in str(raised.value)


@pytest.fixture
def results(tmp_path) -> Path:
    return write_results(tmp_path / "results", {"walk": write_movie(tmp_path / "walk.mp4", seconds=1)})


def test_a_folder_of_corrections_is_read_without_the_results(results, tmp_path):
    folder = tmp_path / "corrections"
    info = write_info(folder, str(results), 0.5, AVA)
    assert read_info(folder) == info
    (saved,) = read_saved_results(results)
    start = base_of(saved, "0" * 64, 0.5)
    # What scores at least a half is ticked: the walker's weaker actions are not.
    assert [person.actions for person in start.keyframes[2.0].people.values()] == [(WALK,), (READ,)]
    assert start.keyframes[2.0].people[2].box_fraction == pytest.approx(
        (GUEST_BOX / (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist(), abs=1e-6
    )
    writer = LogWriter(folder / "walk.jsonl", start)
    value = {"session": "a", "time": "t", "video": "walk", "seconds": 2.0}
    writer.append(Event.from_json(value | {"id": 1, "call": 1, "kind": "actions", "person": 1, "ids": [STAND, WALK]}))
    writer.append(Event.from_json(value | {"id": 2, "call": 2, "kind": "accept"}))
    with (folder / "walk.jsonl").open("ab") as file:
        file.write(b'{"id":3')
    results.rename(tmp_path / "elsewhere")
    corrections = read_corrections(folder)
    assert list(corrections.videos) == ["walk"]
    assert corrections.notices == (
        "walk.jsonl: the last line is torn (7 bytes), as a crash leaves it; that change was not saved, all before it "
        "were",
    )
    keyframes = corrections.videos["walk"].keyframes
    assert [seconds for seconds, keyframe in keyframes.items() if keyframe.is_accepted] == [2.0]
    found = keyframes[2.0].to_detections("walk", 2.0, corrections.info.label_map)
    assert found.track_ids.tolist() == [1, 2]
    assert found.action_ids[np.flatnonzero(found.action_scores[0])].tolist() == [STAND, WALK]
    np.testing.assert_allclose(
        found.boxes_fraction, np.stack([k.boxes_fraction for k in saved.keyframes][2]), atol=1e-6
    )


def test_folders_that_hold_no_corrections_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"holds no corrections\.json"):
        read_corrections(tmp_path)
    write_info(tmp_path, "results", 0.5, AVA)
    content = json.loads((tmp_path / "corrections.json").read_text())
    for name, value in (("version", 2), ("actions", [{"id": 1, "name": "x", "kind": "y"}]), ("min_score", "high")):
        (tmp_path / "corrections.json").write_text(json.dumps(content | {name: value}))
        with pytest.raises(FormatError, match=r"corrections\.json is not as"):
            read_corrections(tmp_path)
    (tmp_path / "corrections.json").write_text(json.dumps(content))
    LogWriter(tmp_path / "v.jsonl", base()).append(event(1, 0, "accept"))
    os.link(tmp_path / "v.jsonl", tmp_path / "v (copy).jsonl")
    with pytest.raises(FormatError, match="both logs of v"):
        read_corrections(tmp_path)
