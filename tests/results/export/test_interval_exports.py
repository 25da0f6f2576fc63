"""ELAN, BORIS, subtitles and the table of intervals: who does what, from when to when, on the clock of the player.

The files were tried with ELAN's schema and with BORIS itself; docs/hand-over.md says which versions and how.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from interval_results import LISTEN, PHONE, STAND, TALK, TALK_NAME, VIDEO_ID, film, keyframes
from videos import constant_rate, write_numbered_video

from ava_detect.errors import ConfigError
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.export.action_intervals import action_intervals, presence, rows_without_overlap
from ava_detect.results.export.annotated_video import AnnotatedVideo
from ava_detect.results.export.boris import COLUMNS, observation_ids, write_boris
from ava_detect.results.export.elan import write_elan
from ava_detect.results.export.hand_over import hand_over
from ava_detect.results.export.intervals import write_intervals
from ava_detect.results.export.srt import write_srt
from ava_detect.results.saved import ReadOptions
from ava_detect.structures.labels import Action, ActionKind, LabelMap
from ava_detect.structures.tubes import action_tubes

AVA = LabelMap.ava()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> AnnotatedVideo:
    found = keyframes()
    tubes = list(action_tubes(found, smoothing_seconds=0))
    path = film(tmp_path_factory.mktemp("films of birds"))
    return AnnotatedVideo(VIDEO_ID, path, 64, 48, np.arange(40) / 10, AVA, found, tubes, min_score=0.5)


# Person, action, start and end in milliseconds.
EXPECTED = {
    ("person 1", "stand", 0, 3500),
    ("person 1", "listen to (a person)", 0, 1500),
    ("person 1", TALK_NAME, 500, 2500),
    ("person 2", "answer phone", 1500, 3500),
}


def late(expected: set[tuple[str, str, int, int]], milliseconds: int) -> set[tuple[str, str, int, int]]:
    return {(person, action, start + milliseconds, end + milliseconds) for person, action, start, end in expected}


def test_intervals_and_presence_end_with_the_video_and_start_with_it(video: AnnotatedVideo) -> None:
    found = [(i.track_id, i.action.id, i.start_ms, i.end_ms) for i in action_intervals(video)]
    assert found == [(1, STAND, 0, 3500), (1, LISTEN, 0, 1500), (1, TALK, 500, 2500), (2, PHONE, 1500, 3500)]
    assert presence(video) == {1: [(0, 3500)], 2: [(0, 500), (1500, 3500)]}
    # The last half second of the spans is not in the file.
    short = replace(video, frame_times=np.arange(31) / 10)
    assert [i.end_ms for i in action_intervals(short)] == [3100, 1500, 2500, 3100]
    assert presence(short)[1] == [(0, 3100)]
    assert [(i.start_ms, i.end_ms) for i in action_intervals(replace(video, start_seconds=0.5))][:2] == [
        (500, 4000),
        (500, 2000),
    ]


def test_keyframes_behind_the_end_of_the_file_have_their_intervals_all_the_same(video: AnnotatedVideo) -> None:
    """Results of a longer version of the film."""
    cut = replace(video, frame_times=np.arange(5) / 10)
    assert [(i.start_ms, i.end_ms) for i in action_intervals(cut)] == [(0, 3500), (0, 1500), (500, 2500), (1500, 3500)]
    assert presence(cut)[2] == [(0, 500), (1500, 3500)]


def test_rows_without_overlap_are_as_few_as_possible(video: AnnotatedVideo) -> None:
    one = action_intervals(video)[0]
    spans = [(0, 10), (5, 15), (10, 20), (12, 13), (15, 30), (20, 25)]
    rows = rows_without_overlap(one._replace(start_ms=start, end_ms=end) for start, end in spans)
    assert [[(i.start_ms, i.end_ms) for i in row] for row in rows] == [
        [(0, 10), (10, 20), (20, 25)],
        [(5, 15), (15, 30)],
        [(12, 13)],
    ]
    assert rows_without_overlap([]) == []


def test_table_of_intervals(video: AnnotatedVideo, tmp_path: Path) -> None:
    (path,) = write_intervals([replace(video, start_seconds=0.25)], tmp_path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {
        (
            row["person"],
            row["action"],
            round(1000 * float(row["start_seconds"])),
            round(1000 * float(row["end_seconds"])),
        )
        for row in rows
    }
    assert found == late(EXPECTED, 250)
    talk = next(row for row in rows if row["action_id"] == str(TALK))
    assert (talk["video_id"], talk["action_kind"]) == ("a b", "person")
    assert (talk["mean_score"], talk["max_score"]) == ("0.8000", "0.9000")


def elan_annotations(path: Path) -> Iterator[tuple[str, str, str, str, int, int]]:
    """Tier, participant, linguistic type, value, start and end of each annotation."""
    root = ElementTree.parse(path).getroot()
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")}
    for tier in root.findall("TIER"):
        of_tier = tuple(tier.get(name, "") for name in ("TIER_ID", "PARTICIPANT", "LINGUISTIC_TYPE_REF"))
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            span = (slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")])
            yield (*of_tier, one.findtext("ANNOTATION_VALUE", ""), *span)


def test_elan_has_a_tier_per_person_and_kind_of_action(video: AnnotatedVideo, tmp_path: Path) -> None:
    (path,) = write_elan([replace(video, start_seconds=0.25)], tmp_path / "out")
    annotations = list(elan_annotations(path))
    actions = {(who, what, start, end) for _, who, kind, what, start, end in annotations if kind != "presence"}
    assert actions == late(EXPECTED, 250)
    tiers = {tier: (who, kind) for tier, who, kind, *_ in annotations}
    assert tiers == {
        "person 1": ("person 1", "presence"),
        "person 1: pose": ("person 1", "pose"),
        "person 1: person-person": ("person 1", "person-person"),
        # Listening and talking overlap, which no tier of ELAN can hold.
        "person 1: person-person 2": ("person 1", "person-person"),
        "person 2": ("person 2", "presence"),
        "person 2: person-object": ("person 2", "person-object"),
    }
    assert [a[3:] for a in annotations if a[0] == "person 2"] == [("present", 250, 750), ("present", 1750, 3750)]
    root = ElementTree.parse(path).getroot()
    names = [tier.get("TIER_ID") for tier in root.findall("TIER")]
    assert names[5:] == ["person 2", "person 2: pose", "person 2: person-object", "person 2: person-person"], (
        "also empty"
    )
    vocabularies = {v.get("CV_ID"): [e.text for e in v.iter("CVE_VALUE")] for v in root.iter("CONTROLLED_VOCABULARY")}
    assert {name: len(values) for name, values in vocabularies.items()} == {
        "pose": 14,
        "person-object": 49,
        "person-person": 17,
    }
    assert vocabularies["person-object"][0] == "answer phone"
    (media,) = root.iter("MEDIA_DESCRIPTOR")
    assert media.get("MEDIA_URL") == f"file://{video.path.resolve()}", "ELAN decodes no %20"
    relative = media.get("RELATIVE_MEDIA_URL", "")
    assert relative.startswith("../") and (path.parent / relative).resolve() == video.path.resolve()
    assert media.get("MIME_TYPE") == "video/mp4"


def test_elan_files_keep_to_the_schema(video: AnnotatedVideo, tmp_path: Path) -> None:
    """The order of the elements, and ids that others refer to, as EAFv3.0.xsd has them."""
    root = ElementTree.parse(write_elan([video], tmp_path)[0]).getroot()
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONTROLLED_VOCABULARY"]
    places = [order.index(element.tag) for element in root]
    assert places == sorted(places) and set(places) == set(range(len(order)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", root.get("DATE", ""))
    types = {
        kind.get("LINGUISTIC_TYPE_ID"): kind.get("CONTROLLED_VOCABULARY_REF") for kind in root.iter("LINGUISTIC_TYPE")
    }
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= set(types)
    entries = {
        v.get("CV_ID"): {e.get("CVE_ID"): e.findtext("CVE_VALUE") for e in v.iter("CV_ENTRY_ML")}
        for v in root.iter("CONTROLLED_VOCABULARY")
    }
    for tier in root.iter("TIER"):
        vocabulary = types[tier.get("LINGUISTIC_TYPE_REF")]
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            expected = "present" if vocabulary is None else entries[vocabulary][one.get("CVE_REF")]
            assert one.findtext("ANNOTATION_VALUE") == expected
    times = [int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")]
    assert times == sorted(times)
    ids = [e.get("ANNOTATION_ID") for e in root.iter("ALIGNABLE_ANNOTATION")]
    assert ids == [f"a{number + 1}" for number in range(len(ids))]
    assert root.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']") == str(len(ids))


def test_pympi_reads_the_elan_file(video: AnnotatedVideo, tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi", reason="pympi-ling is not installed").Elan
    document = elan.Eaf(str(write_elan([video], tmp_path)[0]))
    found = set()
    for tier in document.get_tier_names():
        parameters = document.get_parameters_for_tier(tier)
        if parameters["LINGUISTIC_TYPE_REF"] != "presence":
            found |= {(parameters["PARTICIPANT"], *a[2:3], *a[:2]) for a in document.get_annotation_data_for_tier(tier)}
    assert found == EXPECTED
    assert "person-person" in document.get_controlled_vocabulary_names()


def test_boris_project_has_subjects_an_ethogram_and_paired_events(video: AnnotatedVideo, tmp_path: Path) -> None:
    path, table = write_boris([replace(video, start_seconds=0.25)], tmp_path)
    project = json.loads(path.read_text())
    assert [subject["name"] for subject in project["subjects_conf"].values()] == ["person 1", "person 2"]
    codes = {b["code"]: (b["type"], b["category"]) for b in project["behaviors_conf"].values()}
    assert len(codes) == 80 and codes["answer phone"] == ("State event", "person-object")
    assert {category for _, category in codes.values()} <= set(project["behavioral_categories"])
    keys = [b["key"] for b in project["behaviors_conf"].values()]
    assert keys[:4] == ["b", "c", "r", "d"]  # bend, crawl, crouch, dance
    assert len(set(keys)) == 24 and all(len(key) == 1 and key.isalpha() for key in keys)
    (observation,) = project["observations"].values()
    assert list(project["observations"]) == ["a b"]
    media = str(video.path.resolve())
    assert observation["file"]["1"] == [media] and observation["media_info"]["length"] == {media: 4.25}
    assert observation["media_info"]["hasAudio"] == {media: False}
    events = observation["events"]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    # As BORIS tells them: the events of a subject and a behaviour are a start and an end by turns.
    spans: dict[tuple[str, str], list[int]] = {}
    for seconds, subject, code, *_ in events:
        spans.setdefault((subject, code), []).append(round(1000 * seconds))
    assert {(*who_does_what, *span) for who_does_what, span in spans.items()} == late(EXPECTED, 250)
    talks = [event for event in events if event[2] == TALK_NAME]
    assert [event[3:] for event in talks] == [["", "mean score 0.80", 5], ["", "", 25]], "modifier, comment, frame"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert tuple(rows[0]) == COLUMNS
    by_turns = [(r["Subject"], r["Behavior"], r["Behavior type"], float(r["Time"]), r["Comment"]) for r in rows]
    seen: dict[tuple[str, str], int] = {}
    for row, event in zip(by_turns, events, strict=True):
        count = seen[row[:2]] = seen.get(row[:2], 0) + 1
        assert row == (event[1], event[2], "START" if count % 2 else "STOP", event[0], event[4])


def test_boris_takes_no_bar_in_a_code_and_no_space_around_an_id(video: AnnotatedVideo, tmp_path: Path) -> None:
    label_map = LabelMap((Action(12, "a|b"), Action(13, "a/b"), Action(14, "|")))
    nobody = replace(video, label_map=label_map, keyframes=(), tubes=())
    project = json.loads(write_boris([nobody], tmp_path)[0].read_text())
    behaviours = list(project["behaviors_conf"].values())
    assert [(b["code"], b["key"]) for b in behaviours] == [("a/b (12)", "a"), ("a/b (13)", "b"), ("/", "")]
    assert observation_ids([" a", "a ", "a", "\n", "b\0"]) == {
        " a": "a",
        "a ": "a (2)",
        "a": "a (3)",
        "\n": "video",
        "b\0": "b",
    }


CUE = re.compile(r"(\d+)\n(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n((?:.+\n)+)\n")


def test_subtitles_say_who_does_what_and_change_when_that_does(video: AnnotatedVideo, tmp_path: Path) -> None:
    text = write_srt([replace(video, start_seconds=3599.75)], tmp_path)[0].read_text()
    cues = CUE.findall(text)
    assert "".join(cue.group() for cue in CUE.finditer(text)) == text, "nothing but subtitles"
    assert [(c[0], ":".join(c[1:5]), ":".join(c[5:9])) for c in cues] == [
        ("1", "00:59:59:750", "01:00:00:250"),
        ("2", "01:00:00:250", "01:00:01:250"),
        ("3", "01:00:01:250", "01:00:02:250"),
        ("4", "01:00:02:250", "01:00:03:250"),
    ]
    assert cues[1][9] == f"person 1: stand, listen to (a person), {TALK_NAME}\n"
    assert cues[2][9] == f"person 1: stand, {TALK_NAME}\nperson 2: answer phone\n"


def test_names_cannot_become_tags_or_times_of_subtitles(video: AnnotatedVideo, tmp_path: Path) -> None:
    names = {STAND: "<b>bold --> {\\an8}", LISTEN: "two\n\nlines", TALK: "talk", PHONE: "x"}
    label_map = LabelMap(tuple(Action(number, name) for number, name in names.items()))
    text = write_srt([replace(video, label_map=label_map)], tmp_path)[0].read_text()
    cues = CUE.findall(text)
    assert [cue[9] for cue in cues][:1] == ["person 1: \u2039b\u203abold --\u203a (\\an8), two lines\n"]
    assert text.count("-->") == len(cues) == 4


def test_kinds_that_are_unknown_have_a_tier_of_their_own(video: AnnotatedVideo, tmp_path: Path) -> None:
    label_map = LabelMap((Action(STAND, "hop", ActionKind.POSE), *(Action(n, f"a{n}") for n in (LISTEN, TALK, PHONE))))
    path = write_elan([replace(video, label_map=label_map)], tmp_path)[0]
    assert {a[2] for a in elan_annotations(path)} == {"presence", "pose", "action"}
    assert "person 1: action 2" in {a[0] for a in elan_annotations(path)}


def test_a_video_without_people_has_files_too(video: AnnotatedVideo, tmp_path: Path) -> None:
    nobody = replace(video, keyframes=(), tubes=())
    root = ElementTree.parse(write_elan([nobody], tmp_path)[0]).getroot()
    assert not root.findall("TIER") and len(root.findall("CONTROLLED_VOCABULARY")) == 3
    project, table = write_boris([nobody], tmp_path)
    assert json.loads(project.read_text())["observations"]["a b"]["events"] == []
    assert len(table.read_text().splitlines()) == 1
    assert write_srt([nobody], tmp_path)[0].read_text() == ""
    assert len(write_intervals([nobody], tmp_path)[0].read_text().splitlines()) == 1


EDITED = {"elan": "v.eaf", "boris": "project.boris", "intervals": "intervals.csv", "srt": "v.srt"}


@pytest.mark.parametrize("tool", EDITED)
def test_a_file_that_was_edited_is_not_replaced(video: AnnotatedVideo, tmp_path: Path, tool: str) -> None:
    """Editing a table or subtitles leaves their beginning as it was: the record of checksums tells."""
    results, out = tmp_path / "v.jsonl", tmp_path / "out"
    write_jsonl(results, [replace(keyframe, video_id="v") for keyframe in video.keyframes], AVA)
    write_numbered_video(tmp_path / "v.mp4", constant_rate(40, 10), rate=10, width=64, height=48)
    options = ReadOptions(tmp_path)
    hand_over(results, tool, out, options)
    others = {path: path.read_bytes() for path in out.iterdir() if path.name not in (EDITED[tool], "hand_over.json")}
    hand_over(results, tool, out, options, min_score=0.65)
    again = (out / EDITED[tool]).read_bytes()
    (out / EDITED[tool]).write_bytes(again + b"\n")
    with pytest.raises(ConfigError, match=rf"{EDITED[tool]} exists and is not from an earlier run"):
        hand_over(results, tool, out, options)
    assert (out / EDITED[tool]).read_bytes() == again + b"\n"
    hand_over(results, tool, out, options, overwrite=True)
    assert (out / EDITED[tool]).read_bytes() != again + b"\n"
    for path in others:
        path.write_bytes(path.read_bytes() + b"\n")
        with pytest.raises(ConfigError, match=rf"{path.name} exists"):
            hand_over(results, tool, out, options)
        path.unlink()
    # Without the record, or with another file of its name, no file counts as unchanged.
    (out / "hand_over.json").unlink()
    with pytest.raises(ConfigError, match=rf"{EDITED[tool]} exists"):
        hand_over(results, tool, out, options)
    (out / "hand_over.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"hand_over\.json exists|exists and is not from"):
        hand_over(results, tool, out, options)


def test_two_exports_share_a_folder(video: AnnotatedVideo, tmp_path: Path) -> None:
    results, out = tmp_path / "a b.jsonl", tmp_path / "out"
    write_jsonl(results, list(video.keyframes), AVA)
    options = ReadOptions(video.path.parent)
    for _ in range(2):
        for tool in ("srt", "intervals", "boris", "elan"):
            hand_over(results, tool, out, options)
    names = {"a b.srt", "intervals.csv", "project.boris", "a b.tsv", "a b.eaf", "hand_over.json"}
    assert {path.name for path in out.iterdir()} == names
