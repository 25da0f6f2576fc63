"""Intervals of ELAN, BORIS and tables come back as rows, with the boxes of the results that they were exported from.

``data/README.md`` says which tools saved the files in ``data/`` and how.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interval_results import BOX, LISTEN, OTHER_BOX, PHONE, STAND, TALK, TALK_NAME, VIDEO_ID, keyframes, write_results

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.export.hand_over import hand_over
from ava_detect.results.importing.boris import read_boris
from ava_detect.results.importing.elan import read_elan
from ava_detect.results.importing.import_labels import ImportSummary, import_labels
from ava_detect.results.importing.labels import ToolLabels
from ava_detect.results.importing.recognize import recognize
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.saved import ReadOptions, read_saved_results
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import action_tubes

DATA = Path(__file__).parent / "data"
WALK = 14
# Second, person and action; None is a person without an action.
ROWS = {
    (0, 1, STAND), (0, 1, LISTEN), (0, 2, None),
    (1, 1, STAND), (1, 1, LISTEN), (1, 1, TALK),
    (2, 1, STAND), (2, 1, TALK), (2, 2, PHONE),
    (3, 1, STAND), (3, 2, PHONE),
}  # fmt: skip
CHANGED = {
    (0, 1, STAND), (0, 1, LISTEN), (0, 2, WALK),
    (1, 1, STAND), (1, 1, LISTEN),
    (2, 1, STAND), (2, 1, LISTEN), (2, 2, None),
    (3, 1, STAND), (3, 2, PHONE),
}  # fmt: skip


def rows_of(path: Path) -> set[tuple[float, int | None, int | None]]:
    """Second, person and action of each row; a keyframe without people has neither."""
    found = set()
    with path.open(newline="") as file:
        for row in csv.reader(file):
            person = int(row[7]) if len(row) > 2 else None
            found.add((float(row[1]), person, int(row[6]) if row[6:7] != [""] and person is not None else None))
    return found


@pytest.fixture(params=[0.0, 0.75], ids=["at 0", "late"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run of a film that begins at 0, or after 0.75 s on the clock of a player."""
    return write_results(tmp_path, start_seconds=request.param)


FILES = {"elan": "a b.eaf", "boris": "project.boris", "tabular": "a b.tsv", "intervals": "intervals.csv"}


def handed_over(results: Path, tool: str) -> Path:
    out = results.parent / tool
    hand_over(results, "boris" if tool == "tabular" else tool, out)
    return out / FILES[tool]


def come_back(file: Path, results: Path, **options: object) -> tuple[set, ImportSummary]:
    out = results.parent / "back" / "truth.csv"
    summary = import_labels(file, out, results=results, overwrite=True, **options)  # type: ignore[arg-type]
    return rows_of(out), summary


@pytest.mark.parametrize("tool", FILES)
def test_what_was_handed_over_comes_back_with_the_same_rows(results: Path, tool: str) -> None:
    rows, summary = come_back(handed_over(results, tool), results)
    tubes = {
        (seconds, tube.track_id, tube.action_id)
        for tube in action_tubes_of(results)
        for seconds in tube.timestamps_seconds.tolist()
    }
    assert {row for row in rows if row[2] is not None} == tubes
    assert {row[:2] for row in rows} == {row[:2] for row in ROWS}
    assert summary.dropped == {} and summary.new_actions == ()
    table = read_ava_csv(results.parent / "back" / "truth.csv")
    assert table.video_ids == (VIDEO_ID,)
    boxes = {tuple(round(corner, 4) for corner in box) for box in table.boxes_fraction.tolist()}
    assert boxes == {BOX, OTHER_BOX}


def action_tubes_of(results: Path) -> list:
    return [tube for saved in read_saved_results(results) for tube in action_tubes(saved.keyframes)]


@pytest.mark.parametrize("name", ["pympi_saved.eaf", "boris_saved.boris", "boris_tabular.tsv", "boris_aggregated.csv"])
def test_files_that_the_tools_changed_and_saved(tmp_path: Path, name: str) -> None:
    rows, summary = come_back(DATA / name, write_results(tmp_path))
    assert rows == CHANGED
    assert summary.dropped == {}
    assert summary.sources == ("elan" if name.endswith("eaf") else "boris",)


def test_pympi_changes_and_saves_an_export(results: Path) -> None:
    elan = pytest.importorskip("pympi", reason="pympi-ling is not installed").Elan
    file = handed_over(results, "elan")
    document = elan.Eaf(str(file))
    late = min(start for start, *_ in document.get_annotation_data_for_tier("person 1"))
    document.remove_annotation("person 1: pose", late + 100)
    document.add_annotation("person 1: pose", late + 1000, late + 3000, "walk")
    saved = results.parent / "saved.eaf"
    document.to_file(str(saved))
    rows, summary = come_back(saved, results)
    poses = {row for row in rows if row[2] in (STAND, WALK)}
    assert poses == {(1, 1, WALK), (2, 1, WALK)}, "from 1 s on, and no longer at 3 s"
    assert summary.dropped == {}


def edited(file: Path, change: Callable[[str], str]) -> Path:
    text = file.read_text(encoding="utf-8")
    assert change(text) != text
    file.write_text(change(text), encoding="utf-8")
    return file


def test_a_person_who_was_not_there_has_no_rows(tmp_path: Path) -> None:
    """In ELAN: the first annotation of the tier "person 2" is taken away, then the tiers of person 1."""
    results = write_results(tmp_path)
    file = handed_over(results, "elan")
    presence = re.compile(r'(PARTICIPANT="person 2" TIER_ID="person 2">)\s*<ANNOTATION>.*?</ANNOTATION>', re.DOTALL)
    rows, _ = come_back(edited(file, lambda text: presence.sub(r"\1", text, count=1)), results)
    assert {row[:2] for row in rows} == {(0, 1), (1, 1), (2, 1), (2, 2), (3, 1), (3, 2)}
    of_one = re.compile(r'\s*<TIER [^>]*PARTICIPANT="person 1"[^>]*?(/>|>.*?</TIER>)', re.DOTALL)
    rows, summary = come_back(edited(file, lambda text: of_one.sub("", text)), results)
    assert {row[:2] for row in rows} == {(2, 2), (3, 2)}, "nothing is said about the keyframes at 0 and 1 s"
    assert summary.dropped == {"people of the results whom the file does not name, with their boxes": 1}


def test_a_keyframe_that_holds_nobody_any_more_is_an_empty_one(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    file = handed_over(results, "elan")
    # Both people are there from 1.5 s on only.
    starts = re.compile(r'(PARTICIPANT="(person \d)" TIER_ID="\2">)(.*?)</TIER>', re.DOTALL)

    def without_the_first(match: re.Match[str]) -> str:
        annotations = re.findall(r"<ANNOTATION>.*?</ANNOTATION>", match[3], re.DOTALL)
        return match[1] + "".join(annotations[1:]) + "</TIER>"

    rows, _ = come_back(edited(file, lambda text: starts.sub(without_the_first, text)), results)
    assert {row for row in rows if row[1] is None} == {(0, None, None), (1, None, None)}
    assert {row[:2] for row in rows if row[1] is not None} == {(2, 2), (3, 2)}


def write_table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["video_id,person,action,start_seconds,end_seconds", *rows, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (0, 1, {0}),
        (1, 2, {1}),
        (0.5, 1.5, {1}),
        (1.01, 1.9, {1}),
        (1.02, 1.9, set()),
        (0.2, 1.01, set()),
        (0, 9, {0, 1, 2, 3}),
    ],
)
def test_an_interval_holds_the_keyframe_whose_frame_it_begins_on(
    tmp_path: Path, start: float, end: float, seconds: set[int]
) -> None:
    """The frame of a keyframe at 1 s may be that of 1.0166 s; an end there is not in the interval."""
    results = write_results(tmp_path)
    rows, summary = come_back(write_table(tmp_path / "t.csv", f"a b,person 1,stand,{start},{end}"), results)
    assert {row[0] for row in rows if row[2] == STAND} == seconds
    without_box = "intervals in which the results have no box of the person"
    assert summary.dropped.get(without_box, 0) == (not seconds)


def test_the_last_keyframe_of_a_file_is_within_intervals_that_end_with_it(tmp_path: Path) -> None:
    """Keyframes at 3.9 and 3.99 s: a sixtieth of a second after the second one the film of 4 s has ended."""
    results = write_results(tmp_path)
    for seconds in (3.9, 3.99):
        *others, last = keyframes()
        write_jsonl(results / "a b.jsonl", [*others, replace(last, timestamp_seconds=seconds)], LabelMap.ava())
        for tool in FILES:
            shutil.rmtree(tmp_path / tool, ignore_errors=True)
            shutil.rmtree(tmp_path / "boris", ignore_errors=True)
            rows, summary = come_back(handed_over(results, tool), results)
            assert (seconds, 1, STAND) in rows and (seconds, 2, PHONE) in rows
            assert summary.dropped == {}


def test_without_results_the_intervals_are_counted_and_nothing_is_written(tmp_path: Path) -> None:
    file = handed_over(write_results(tmp_path), "elan")
    with pytest.raises(
        FormatError, match=r"4 intervals, which have no boxes: give the results .*`results`.*nothing was"
    ):
        import_labels(file, tmp_path / "truth.csv")
    assert not (tmp_path / "truth.csv").exists()


def test_the_command_says_what_was_left_out(run_cli: Callable, tmp_path: Path) -> None:
    results = write_results(tmp_path)
    file = handed_over(results, "boris")
    out = tmp_path / "truth.csv"
    code, printed, errors = run_cli("import", file, "--out", out, "--quiet")
    assert (code, printed) == (2, "") and "intervals, which have no boxes" in errors and "(--results)" in errors
    code, printed, errors = run_cli("import", file, "--results", results, "--out", out)
    assert (code, errors) == (0, "") and "boris: 11 rows of 7 boxes on 4 keyframes of 1 video." in printed
    code, _, errors = run_cli("import", file, "--results", results, "--out", results / "a b.jsonl", "--overwrite")
    assert code == 2 and "is also an input (--results)" in errors


def test_what_belongs_to_no_box_is_counted(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    table = write_table(
        tmp_path / "t.csv",
        "a b,person 1,stand,0,1",
        "a b,3,stand,0,1",
        "a b,Anna,stand,0,1",
        "other,person 1,stand,0,1",
        "a b,person 1,walk,0.2,0.3",
        "a b,person 1,walk,2,2",
        "a b,PERSON_2,stand,2,3",
        "a b,track #2,,,",
    )
    rows, summary = come_back(table, results)
    assert {row for row in rows if row[2]} == {(0, 1, STAND), (2, 2, STAND)}
    assert summary.dropped == {
        "intervals of people whom the results do not have": 2,
        "intervals of videos that the results do not have": 1,
        "intervals in which the results have no box of the person": 1,
        "intervals that end where they start, or before": 1,
    }


def test_actions_of_own_label_maps_keep_their_ids(tmp_path: Path) -> None:
    """Two classes of one name, and one called like an attribute: the names that the export gives them."""
    results = write_results(tmp_path)
    own = LabelMap((Action(STAND, "hop"), Action(LISTEN, "score"), Action(TALK, "hop"), Action(PHONE, "x | y")))
    (results / "manifest.jsonl").unlink()
    ids = np.array(own.ids)
    found = [replace(k, action_scores=k.action_scores[:, ids - 1], action_ids=ids) for k in keyframes()]
    write_jsonl(results / "a b.jsonl", found, own)
    for tool in FILES:
        out = tmp_path / tool
        hand_over(results, "boris" if tool == "tabular" else tool, out, ReadOptions(tmp_path))
        rows, summary = come_back(out / FILES[tool], results, videos=tmp_path)
        tubes = {(s, t.track_id, t.action_id) for t in action_tubes_of(results) for s in t.timestamps_seconds.tolist()}
        assert {row for row in rows if row[2] is not None} == tubes, tool
        assert summary.new_actions == ()


def lookup(path: Path) -> VideoLookup:
    return VideoLookup(None, [path])


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="{version}" VERSION="{version}">
  <HEADER MEDIA_FILE="" TIME_UNITS="{unit}"><MEDIA_DESCRIPTOR MEDIA_URL="file:///films/a%20b.mp4" {origin}/></HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="25"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="50"/>
  </TIME_ORDER>
  <TIER TIER_ID="Anna: what she does" LINGUISTIC_TYPE_REF="t">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3" CVE_REF="c1">
      <ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts1">
      <ANNOTATION_VALUE>run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER TIER_ID="how" PARTICIPANT=" Bert " LINGUISTIC_TYPE_REF="r" PARENT_REF="Anna: what she does">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE> fast \n or so</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a6" ANNOTATION_REF="a1" PREVIOUS_ANNOTATION="a5">
      <ANNOTATION_VALUE>slow</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="a7">
      <ANNOTATION_VALUE>slow</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" CONTROLLED_VOCABULARY_REF="v" TIME_ALIGNABLE="true"/>
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="r" CONSTRAINTS="Symbolic_Association" TIME_ALIGNABLE="false"/>
  {vocabulary}
</ANNOTATION_DOCUMENT>
"""
NEW_VOCABULARY = """<CONTROLLED_VOCABULARY CV_ID="v"><DESCRIPTION LANG_REF="und"/>
  <CV_ENTRY_ML CVE_ID="c1"><CVE_VALUE LANG_REF="und">sit  down</CVE_VALUE></CV_ENTRY_ML>
  <CV_ENTRY_ML CVE_ID="c2"><CVE_VALUE LANG_REF="und">run</CVE_VALUE></CV_ENTRY_ML></CONTROLLED_VOCABULARY>"""
OLD_VOCABULARY = """<CONTROLLED_VOCABULARY CV_ID="v" DESCRIPTION="">
  <CV_ENTRY DESCRIPTION="">sit down</CV_ENTRY><CV_ENTRY>run</CV_ENTRY></CONTROLLED_VOCABULARY>"""


def elan_file(path: Path, **values: str) -> Path:
    filled = {"version": "3.0", "unit": "milliseconds", "origin": "", "vocabulary": NEW_VOCABULARY, **values}
    path.write_text(ELAN.format(**filled), encoding="utf-8")
    return path


def test_an_elan_file_from_scratch(tmp_path: Path) -> None:
    """Tiers named by hand, references, empty values, slots without a time."""
    path = elan_file(tmp_path / "session 1.eaf")
    assert recognize(path) == "elan"
    labels = read_elan(path, lookup(path))
    (video,) = labels.intervals
    assert video.names == ("file:///films/a%20b.mp4", "session 1")
    assert video.people["Anna"].actions == [("sit down", 0.025, 0.05)]
    assert video.people["Bert"].actions == [("fast or so", 0.025, 0.05)]
    assert video.people["Anna"].present is None
    assert labels.action_names == ("sit down", "run")
    assert labels.dropped == {
        "annotations without a time": 2,
        "annotations that end where they start, or before": 1,
        "annotations without a value": 1,
        "annotations that divide another one without times of their own": 1,
    }


def test_an_elan_file_with_entities_is_refused(tmp_path: Path) -> None:
    path = elan_file(tmp_path / "x.eaf")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    path.write_text(path.read_text().replace(head, f'{head}<!DOCTYPE x [<!ENTITY a "b">]>'))
    with pytest.raises(FormatError, match=r"x\.eaf: the xml cannot be read \(it has a document type declaration"):
        read_elan(path, lookup(path))


def test_old_elan_files_and_shifted_media(tmp_path: Path) -> None:
    path = elan_file(tmp_path / "old.eaf", version="2.7", unit="PAL-frames", vocabulary=OLD_VOCABULARY)
    labels = read_elan(path, lookup(path))
    assert labels.action_names == ("sit down", "run")
    assert labels.intervals[0].people["Bert"].actions == [("fast or so", 1.0, 2.0)]
    shifted = elan_file(tmp_path / "shifted.eaf", origin='TIME_ORIGIN="2000"')
    assert read_elan(shifted, lookup(shifted)).intervals[0].people["Anna"].actions == [("sit down", 2.025, 2.05)]
    with pytest.raises(FormatError, match=r"TIME_UNITS is milliseconds, PAL-frames, NTSC-frames, got 'hours'"):
        read_elan(elan_file(tmp_path / "x.eaf", unit="hours"), lookup(path))
    with pytest.raises(FormatError, match=r"x\.eaf, MEDIA_DESCRIPTOR: TIME_ORIGIN is a finite number, got"):
        read_elan(elan_file(tmp_path / "x.eaf", origin='TIME_ORIGIN="nan"'), lookup(path))


BORIS_EVENTS = [
    [10.5, "Anna", "sit", "", "", 3],
    [11.0, "Anna", "jump", "", ""],
    [11.5, "", "sit", "", ""],
    [12.5, "", "sit", "", ""],
    [12.0, "Anna", "sit", "", "a comment"],
    [13.0, "Anna", "sit", "slow|None", ""],
    [15.5, "Anna", "sit", "slow|None", ""],
    [16.0, "Bert", "sit", "", ""],
    [16.0, "Bert", "fly", "", ""],
    ["NA", "Bert", "sit", "", ""],
    [17.0, "Carl", "sit", "", ""],
    [17.0, "Carl", "sit", "", ""],
]


def boris_project(**changes: object) -> dict:
    """One observation with a time offset of 10 s and a playlist of two films of 4 and 3 s."""
    observation = {
        "file": {"1": ["/films/one.mp4", "/films/two.mp4"], "2": ["/films/other view.mp4"]},
        "type": "MEDIA",
        "time offset": 10.0,
        "events": BORIS_EVENTS,
        "media_info": {"length": {"/films/one.mp4": 4.0, "/films/two.mp4": 3.0}},
        **changes,
    }
    kinds = {"sit": "State event", "jump": "Point event", "lie": "State event with coding map"}
    return {
        "project_format_version": "7.0",
        "subjects_conf": {"0": {"key": "a", "name": "Anna"}, "1": {"key": "d", "name": "Dora"}},
        "behaviors_conf": {str(i): {"code": code, "type": kind} for i, (code, kind) in enumerate(kinds.items())},
        "observations": {"day 1": observation},
    }


def read_project(path: Path, project: object) -> ToolLabels:
    path.write_text(json.dumps(project))
    return read_boris(path, lookup(path))


def test_a_boris_project_from_scratch(tmp_path: Path) -> None:
    path = tmp_path / "p.boris"
    labels = read_project(path, boris_project())
    assert recognize(path) == "boris"
    assert labels.action_names == ("sit", "lie")
    one, two = labels.intervals
    assert (one.names, two.names) == (("/films/one.mp4",), ("/films/two.mp4",))
    # The second one, from 13 to 15.5 s less 10, goes on in the second film, which starts at 4 s.
    assert one.people["Anna"].actions == [("sit", 0.5, 2.0), ("sit", 3.0, 4.0)]
    assert two.people["Anna"].actions == [("sit", 0.0, 1.5)]
    assert list(one.people) == ["Anna", "Dora"]
    assert labels.dropped == {
        "point events, which last no time": 1,
        "events without a subject": 1,
        "modifiers of events": 1,
        "state events without an end": 1,
        "events of behaviours that the ethogram does not have": 1,
        "events without a time": 1,
        "events that end where they start, or before": 1,
    }


def test_a_boris_project_with_images_that_have_no_time(tmp_path: Path) -> None:
    """BORIS writes NaN for their times, which is no JSON."""
    project = boris_project()
    images = {"type": "IMAGES", "events": [[float("nan"), "Anna", "sit", "", "", 1, "/images/1.jpg"]]}
    project["observations"]["day 2"] = images
    project["observations"]["day 1"]["events"] = [[float("nan"), "Anna", "sit", "", ""], *BORIS_EVENTS]
    labels = read_project(tmp_path / "p.boris", project)
    assert recognize(tmp_path / "p.boris") == "boris"
    assert labels.dropped["observations without a video"] == 1 and labels.dropped["events without a time"] == 2
    assert len(labels.intervals) == 2


def test_a_gzipped_boris_project(tmp_path: Path) -> None:
    path = tmp_path / "p.boris.gz"
    path.write_bytes(gzip.compress(json.dumps(boris_project()).encode()))
    assert recognize(path) == "boris"
    assert len(read_boris(path, lookup(path)).intervals) == 2
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FormatError, match=r"p\.boris\.gz: the json cannot be read"):
        read_boris(path, lookup(path))


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ({"type": "LIVE", "file": []}, "observations without a video"),
        ({"type": "IMAGES"}, "observations without a video"),
        ({"media_creation_date_as_offset": True}, "observations whose times are dates"),
        ({"media_info": {}}, "observations of several videos without their lengths"),
    ],
)
def test_observations_that_cannot_be_read_are_counted(tmp_path: Path, changes: dict, dropped: str) -> None:
    labels = read_project(tmp_path / "p.boris", boris_project(**changes))
    assert labels.intervals == [] and labels.dropped == {dropped: 1}


@pytest.mark.parametrize(
    ("project", "told"),
    [
        ({**boris_project(), "behaviors_conf": []}, "not as BORIS writes a project"),
        ({**boris_project(), "subjects_conf": {"0": {}}}, "not as BORIS writes a project (name is missing)"),
        ({**boris_project(), "observations": {"x": {}}}, "observation 'x': not as BORIS writes it (type is missing)"),
        (boris_project(events=[[1]]), "observation 'day 1': not as BORIS writes it"),
        (boris_project(events=[["soon", "", "", ""]]), "observation 'day 1', event 0: the time is a finite number"),
        (boris_project(events=[[True, "", "", ""]]), "event 0: the time is a finite number"),
        (boris_project(**{"time offset": "x"}), "observation 'day 1': time offset is a finite number"),
        (boris_project(file={"1": 3}), "observation 'day 1': not as BORIS writes it"),
    ],
)
def test_a_boris_project_that_is_damaged(tmp_path: Path, project: object, told: str) -> None:
    with pytest.raises(FormatError, match=re.escape(told)) as raised:
        read_project(tmp_path / "p.boris", project)
    assert "p.boris" in str(raised.value)


OLD_TABLE = """Observation id\tday 1
Media file(s)
Player #1\t/films/a b.mp4
Time offset (s)\t2.5

Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tModifier #1\tComment\tStatus
3.0\t/films/a b.mp4\t10\t25\tAnna\tsit\t\t\t\tSTART
4.0\t/films/a b.mp4\t10\t25\tAnna\tjump\t\t\t\tPOINT
5.0\t/films/a b.mp4\t10\t25\tAnna\tsit\t\t\t\tSTOP
6.0\t/films/a b.mp4\t10\t25\tAnna\tsit\t\tslow\t\tSTART
6.5\t/films/a b.mp4\t10\t25\tAnna\tsit\t\t\t\tSTOP
7.0\t/films/a b.mp4\t10\t25\tNo focal subject\tsit\t\t\t\tSTART
8.0\t/films/a b.mp4\t10\t25\tNo focal subject\tsit\t\t\t\tSTOP
"""


def test_tabular_events_of_an_old_boris(tmp_path: Path) -> None:
    path = tmp_path / "old.tsv"
    path.write_text(OLD_TABLE)
    assert recognize(path) == "boris"
    labels = read_boris(path, lookup(path))
    (video,) = labels.intervals
    assert video.names == ("/films/a b.mp4", "day 1")
    assert video.people["Anna"].actions == [("sit", 0.5, 2.5)]
    assert labels.dropped == {
        "point events, which last no time": 1,
        "state events without a start": 1,
        "state events without an end": 1,
        "events without a subject": 1,
    }


def test_tabular_events_of_a_playlist(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    start = "day 1,player #1:/f/one.mp4;/f/two.mp4|player #2:/f/three.mp4,0.0,4.000;3.000|7.000,Anna,sit"
    lines = ["Observation id,Source,Time offset (s),Media duration (s),Subject,Behavior,Behavior type,Time"]
    path.write_text("\n".join([*lines, f"{start},START,3.5", f"{start},STOP,4.5"]))
    one, two = read_boris(path, lookup(path)).intervals
    assert (one.names, two.names) == (("/f/one.mp4",), ("/f/two.mp4",))
    assert one.people["Anna"].actions == [("sit", 3.5, 4.0)]
    assert two.people["Anna"].actions == [("sit", 0.0, 0.5)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Observation id,Subject,Behavior\n",
            "have the columns Time and Behavior type, or Start (s) and Stop (s); got",
        ),
        ("Observation id,Behavior\n", "no line has the columns Subject, Behavior"),
        ("Observation id,Subject,Subject,Behavior\n", "two columns have the same name"),
        ("Observation id,Subject,Behavior,Behavior type,Time\nx,a,sit,START,soon\n", "line 2: Time is a finite number"),
        ("Observation id,Subject,Behavior,Behavior type,Time\nx,a,sit,START\n", "line 2: 4 cells in a table of 5"),
        ("Observation id,Subject,Behavior,Start (s),Stop (s)\nx,a,sit,1,inf\n", "line 2: Stop (s) is a finite number"),
    ],
)
def test_a_table_of_events_that_is_damaged(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=re.escape(told)) as raised:
        read_boris(path, lookup(path))
    assert "t.csv" in str(raised.value)


def test_a_table_of_intervals_that_is_damaged(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    for row, told in [
        (",person 1,stand,0,1", "line 2: a row has a video_id and a person"),
        ("a b,,stand,0,1", "line 2: a row has a video_id and a person"),
        ("a b,1,stand,x,1", "line 2: start_seconds is a finite number"),
        ("a b,1,stand,0,1e999", "line 2: end_seconds is a finite number"),
    ]:
        with pytest.raises(FormatError, match=re.escape(told)):
            come_back(write_table(tmp_path / "t.csv", row), results)


def test_a_spreadsheet_saves_with_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    path = handed_over(results, "intervals")
    text = path.read_text().replace(f'"{TALK_NAME}"', "talk").replace(",", ";").replace("talk", TALK_NAME)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert come_back(path, results)[0] >= {row for row in ROWS if row[2] is not None}


def test_intervals_must_fit_one_video_of_the_results(tmp_path: Path) -> None:
    results = write_results(tmp_path)
    file = handed_over(results, "elan")
    other = tmp_path / "other" / "a b.mp4"
    other.parent.mkdir()
    shutil.copy(tmp_path / "a b.mp4", other)
    shutil.copy(results / "a b.jsonl", results / "b.jsonl")
    lines = (results / "manifest.jsonl").read_text()
    record = json.loads(lines.splitlines()[1])
    twin = {**record, "video_id": "c", "source": str(other), "outputs": ["b.jsonl"]}
    text = (results / "b.jsonl").read_text().replace('"video_id": "a b"', '"video_id": "c"')
    (results / "b.jsonl").write_text(text)
    (results / "manifest.jsonl").write_text(lines + json.dumps(twin) + "\n")
    # The id in the file tells; without it the path does; the name of the file alone may be of either.
    without_id = re.compile(r"\s*<PROPERTY NAME=\"ava_detect:video_id\">.*?</PROPERTY>")
    assert come_back(file, results)[1].num_videos == 1
    edited(file, lambda text: without_id.sub("", text))
    assert come_back(file, results)[0] and read_ava_csv(tmp_path / "back" / "truth.csv").video_ids == ("a b",)
    edited(file, lambda text: text.replace(f"file://{tmp_path}/a b.mp4", "file:///elsewhere/a b.mp4"))
    file = file.rename(tmp_path / "session.eaf")
    assert come_back(file, results)[0], "the id is the stem of one file only"
    edited(file, lambda text: re.sub(r'MEDIA_URL="[^"]*"', 'MEDIA_URL="x.mp4"', text))
    with pytest.raises(FormatError, match=r"left out: 4 intervals of videos that the results do not have"):
        come_back(file, results)
