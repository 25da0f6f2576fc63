"""What other tools are given: frame numbers and boxes by hand, round trips, and each tool's own layout.

The layouts were tried with the tools themselves; docs/hand-over.md says which versions and how.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from people import detections
from tolerances import FLOAT32, WRITTEN_BOXES

from ava_detect.errors import FormatError
from ava_detect.formats.coco_json import read_coco_json
from ava_detect.results.export.annotated_video import AnnotatedVideo
from ava_detect.results.export.coco import write_coco
from ava_detect.results.export.cvat import write_cvat
from ava_detect.results.export.fiftyone import write_fiftyone
from ava_detect.results.export.label_studio import storage_note, write_label_studio
from ava_detect.results.export.tubes import write_tubes
from ava_detect.results.export.via import write_via
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.structures.tubes import action_tubes

AVA = LabelMap.ava()
STAND, READ = 12, 48
FEW = LabelMap((*AVA.subset([STAND, READ, 80]), Action(7, "score"), Action(9, "track_id"), Action(81, "stand")))
WIDTH, HEIGHT, FPS, NUM_FRAMES = 200, 100, 10, 40


def keyframe(time: float, people: dict[int, tuple[float, ...]]) -> ActionDetections:
    """Each person stands with 0.9; person 2 also reads with 0.6."""
    actions = [{STAND: 0.9, READ: 0.6 if track_id == 2 else 0} for track_id in people]
    boxes = list(people.values())
    return detections(boxes, actions, video_id="a.b", seconds=time, person_scores=0.75, track_ids=[*people])


ONE, ONE_LATER, TWO = (0.1, 0.2, 0.3, 0.8), (0.2, 0.2, 0.4, 0.8), (0.6, 0.5, 1.2, 1.0)


@pytest.fixture
def video(tmp_path: Path) -> AnnotatedVideo:
    """Person 1 on the keyframes 0, 1 and 3, person 2 (who reaches past the edge) on 1 alone; 40 frames, 10 a second."""
    path = tmp_path / "videos" / "a.b.mp4"
    path.parent.mkdir()
    path.touch()
    keyframes = [
        keyframe(0, {1: ONE}),
        keyframe(1, {1: ONE_LATER, 2: TWO}),
        keyframe(2, {}),
        keyframe(3, {1: ONE}),
    ]
    tubes = list(action_tubes(keyframes, smoothing_seconds=0))
    times = np.arange(NUM_FRAMES) / FPS
    return AnnotatedVideo("a.b", path, WIDTH, HEIGHT, times, AVA, keyframes, tubes, min_score=0.5)


def with_own_classes(video: AnnotatedVideo) -> AnnotatedVideo:
    """The same video, where person 1 does the class 7 "score" and one of two classes called "stand"."""
    ids = np.array(FEW.ids, np.int64)
    scores = np.array([[0.9 if action.id in (7, 81) else 0.1 for action in FEW]], np.float32)
    boxes = np.array([ONE], np.float32)
    keyframes = [
        ActionDetections("v", float(t), boxes, np.ones(1, np.float32), scores, ids, np.array([1])) for t in range(2)
    ]
    tubes = list(action_tubes(keyframes, smoothing_seconds=0))
    return replace(video, label_map=FEW, keyframes=keyframes, tubes=tubes)


OWN_NAMES = ["score (7)", "track_id (9)", "stand (12)", "read", "watch (a person)", "stand (81)"]


def test_own_classes_in_every_tool(video: AnnotatedVideo, tmp_path: Path) -> None:
    """Classes called like an attribute of the tool, twice the same name, and those that do not occur."""
    videos, out = [with_own_classes(video)], tmp_path / "out"
    labels, xml = write_cvat(videos, out)
    choices = [attribute["name"] for attribute in json.loads(labels.read_text())[0]["attributes"]]
    assert choices == ["score", *OWN_NAMES]
    (track,) = ElementTree.parse(xml).getroot().findall("track")
    texts = {a.get("name"): a.text for a in track[0].findall("attribute")}
    assert texts == {"score": "1.000", "score (7)": "true", "stand (81)": "true"}
    (path,) = write_coco(videos, out)
    attributes = json.loads(path.read_text())["annotations"][0]["attributes"]
    assert attributes == {"track_id": 1, "score (7)": 0.9, "stand (81)": 0.9}
    tasks, config = write_label_studio(videos, out)
    assert [e.get("value") for e in ElementTree.parse(config).getroot().findall("TimelineLabels/Label")] == OWN_NAMES
    spans = [r for r in json.loads(tasks.read_text())[0]["predictions"][0]["result"] if r["type"] == "timelinelabels"]
    assert [span["value"]["timelinelabels"] for span in spans] == [["score (7)"], ["stand (81)"]]
    labels = write_fiftyone(videos, out)[1]
    person = json.loads(labels.read_text())["frames"]["1"]["objects"]["objects"][0]
    assert [attribute["name"] for attribute in person["attrs"]["attrs"]] == ["score (7)", "stand (81)"]
    (path,) = write_via(videos, out)
    project = json.loads(path.read_text())
    assert list(project["attribute"]["2"]["options"].values()) == OWN_NAMES
    assert project["metadata"]["1_0"]["av"] == {"1": "1", "2": "7,81"}
    assert project["metadata"]["1_2"]["av"] == {"3": "1: score (7)"}


def test_boxes_in_the_pixels_that_each_tool_sees(video: AnnotatedVideo, tmp_path: Path) -> None:
    """Pixels twice as wide as they are high: CVAT and FFmpeg see frames 100 wide, a player shows them 200 wide."""
    wide, out = replace(video, unstretched_size=(100, 100)), tmp_path / "out"
    root = ElementTree.parse(write_cvat([wide], out)[1]).getroot()
    assert [root.findtext(f"meta/task/original_size/{side}") for side in ("width", "height")] == ["100", "100"]
    box = root.findall("track")[1].find("box")
    assert box is not None and (box.get("xtl"), box.get("ytl"), box.get("xbr")) == ("60.00", "50.00", "100.00")
    content = json.loads(write_coco([wide], out)[0].read_text())
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (100, 100)
    assert content["annotations"][2]["bbox"] == [60, 50, 40, 50]
    np.testing.assert_allclose(read_coco_json(out / "instances.json").boxes_fraction[0], ONE, atol=WRITTEN_BOXES)
    project = json.loads(write_via([wide], out)[0].read_text())
    assert [2, 120.0, 50.0, 80.0, 50.0] in [entry["xy"] for entry in project["metadata"].values()]


def test_times_on_the_clock_of_a_player(video: AnnotatedVideo, tmp_path: Path) -> None:
    """Pictures from 3 s on: VIA and Label Studio show the player's time, CVAT and FiftyOne number the frames.

    Label Studio's own times are one frame later than what it shows.
    """
    late, out = replace(video, start_seconds=3.0), tmp_path / "out"
    times = [entry["z"] for entry in json.loads(write_via([late], out)[0].read_text())["metadata"].values()]
    assert times == [[3.0], [4.0], [4.0], [6.0], [3.0, 6.5], [3.5, 4.5], [3.5, 4.5]]
    results = json.loads(write_label_studio([late], out)[0].read_text())[0]["predictions"][0]["result"]
    steps = results[0]["value"]["sequence"]
    assert [(step["frame"], step["time"]) for step in steps] == [(31, 3.1), (41, 4.1), (45, 4.5), (61, 6.1), (65, 6.5)]
    assert results[0]["value"]["framesCount"] == 70 and results[2]["value"]["ranges"] == [{"start": 31, "end": 65}]
    assert write_cvat([late], out / "late")[1].read_text() == write_cvat([video], out / "now")[1].read_text()


def test_label_studio_numbers_frames_by_time(video: AnnotatedVideo, tmp_path: Path) -> None:
    """Frames at 0, 0.2 ... 0.8, then at 1 + i / 30: each has a number at 30 a second, not at the average of 17.4."""
    times = np.concatenate([np.arange(5) / 5, 1 + np.arange(30) / 30])
    moments = [keyframe(t, {1: ONE}) for t in (0, 0.4, 1.5)]
    uneven = replace(video, frame_times=times, keyframes=moments, tubes=())
    (task,) = json.loads(write_label_studio([uneven], tmp_path)[0].read_text())
    fps = task["data"]["fps"]
    steps = [s for s in task["predictions"][0]["result"][0]["value"]["sequence"] if s["enabled"]]
    assert [step["frame"] for step in steps] == [round(t * fps) + 1 for t in (0, 0.4, 1.5)] == [1, 13, 46]
    jitter = replace(video, frame_times=np.round(np.arange(300) / 30, 3), keyframes=moments, tubes=())
    (task,) = json.loads(write_label_studio([jitter], tmp_path / "jitter")[0].read_text())
    assert task["data"]["fps"] == pytest.approx(30, abs=0.02)


def test_label_studio_finds_videos_below_one_root(video: AnnotatedVideo, tmp_path: Path) -> None:
    odd = tmp_path / "more videos" / "b & c#1.mp4"
    odd.parent.mkdir()
    odd.touch()
    videos = [video, replace(video, video_id="b", path=odd)]
    tasks = json.loads(write_label_studio(videos, tmp_path / "out")[0].read_text())
    found = [parse_qs(urlsplit(task["data"]["video"]).query)["d"][0] for task in tasks]
    root = tmp_path.parent
    assert found == [f"{tmp_path.name}/videos/a.b.mp4", f"{tmp_path.name}/more videos/b & c#1.mp4"]
    assert all((root / name).is_file() for name in found)
    note = storage_note(videos)
    assert "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true" in note
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}, and add {tmp_path} to" in note


def test_frames_sizes_and_when_people_leave(video: AnnotatedVideo) -> None:
    assert (video.fps, video.num_frames, video.duration_seconds) == (pytest.approx(10), 40, pytest.approx(4))
    assert [video.frame_at(t) for t in (0, 1, 1.04, 1.09, 3, 99)] == [0, 10, 10, 11, 30, 39]
    tracks = video.tracks()
    assert {track: [s.frame for s in sightings] for track, sightings in tracks.items()} == {1: [0, 10, 30], 2: [10]}
    assert tracks[2][0].box_xyxy == (120, 50, 200, 100), "cut at the frame"
    first, second, third = tracks[1]
    assert video.leaves_after(first, second) is None, "on the very next keyframe"
    assert video.leaves_after(second, third) == 15, "missing on the next: held for half a second"
    assert video.leaves_after(third, None) == 35
    assert [(a.id, round(score, 2)) for a, score in tracks[2][0].actions] == [(STAND, 0.9), (READ, 0.6)]


def test_a_variable_frame_rate_gives_other_frame_numbers(video: AnnotatedVideo) -> None:
    times = np.concatenate([np.arange(5) / 5, 1 + np.arange(30) / 30])
    slow_then_fast = AnnotatedVideo("x", video.path, 2, 2, times, AVA, video.keyframes, (), 0.5)
    assert [slow_then_fast.frame_at(t) for t in (0, 0.5, 1, 1.5)] == [0, 2, 5, 20]


def test_coco_reads_back_with_our_reader_and_keeps_tracks_and_actions(video: AnnotatedVideo, tmp_path: Path) -> None:
    (path,) = write_coco([video], tmp_path / "out")
    table = read_coco_json(path)
    assert len(table) == 5, "four boxes, and a row for the empty keyframe"
    assert table.video_ids == ("a.b",) and sorted(table.timestamps_seconds) == [0, 1, 1, 2, 3]
    boxes = table.boxes_fraction[table.timestamps_seconds == 1]
    np.testing.assert_allclose(boxes, [ONE_LATER, (0.6, 0.5, 1.0, 1.0)], atol=WRITTEN_BOXES)
    content = json.loads(path.read_text())
    two = content["annotations"][2]
    assert two["bbox"] == [120, 50, 80, 50] and two["area"] == 4000 and two["iscrowd"] == 0
    assert two["attributes"] == {"track_id": 2, "stand": 0.9, "read": 0.6}
    assert content["images"][1]["file_name"] == "a.b/0001.jpg" and content["images"][1]["frame"] == 10


def test_cvat_tracks(video: AnnotatedVideo, tmp_path: Path) -> None:
    labels, path = write_cvat([video], tmp_path / "out")
    assert path.name == "a.b.xml"
    root = ElementTree.parse(path).getroot()
    assert root.findtext("version") == "1.1" and root.findtext("meta/task/size") == "40"
    assert root.findtext("meta/task/original_size/width") == "200"
    one, two = root.findall("track")
    shown = [(box.get("frame"), box.get("outside"), box.get("keyframe")) for box in one.findall("box")]
    assert shown == [("0", "0", "1"), ("10", "0", "1"), ("15", "1", "1"), ("30", "0", "1"), ("35", "1", "1")]
    box = two.find("box")
    assert box is not None and [box.get(corner) for corner in ("xtl", "ytl", "xbr", "ybr")] == [
        "120.00",
        "50.00",
        "200.00",
        "100.00",
    ]
    assert {a.get("name"): a.text for a in box.findall("attribute")} == {
        "score": "0.750",
        "stand": "true",
        "read": "true",
    }
    # What person 1 never does is false by default.
    assert {a.get("name") for a in one[0].findall("attribute")} == {"score", "stand"}
    spec = json.loads(labels.read_text())
    declared = {e.findtext("name") for e in root.iter("attribute") if e.find("name") is not None}
    assert {a["name"] for a in spec[0]["attributes"]} == declared == {"score", *(action.name for action in AVA)}
    assert {e.findtext("default_value") for e in root.iter("attribute") if e.findtext("name") == "read"} == {"false"}


def test_label_studio_tasks(video: AnnotatedVideo, tmp_path: Path) -> None:
    tasks, config = write_label_studio([video], tmp_path / "out")
    (task,) = json.loads(tasks.read_text())
    assert task["data"]["video"] == "/data/local-files/?d=videos/a.b.mp4" and task["data"]["fps"] == 10
    results = task["predictions"][0]["result"]
    people = [r for r in results if r["type"] == "videorectangle"]
    steps = [(s["frame"], s["enabled"]) for s in people[0]["value"]["sequence"]]
    # A step that is not enabled is the last frame on which Label Studio shows the person.
    assert steps == [(1, True), (11, True), (15, False), (31, True), (35, False)]
    assert task["data"]["keyframes"] == [1, 11, 21, 31]
    first = people[0]["value"]["sequence"][0]
    assert [first[side] for side in ("x", "y", "width", "height", "time")] == pytest.approx([10, 20, 20, 60, 0.1])
    spans = {(r["meta"]["text"][0], *r["value"]["timelinelabels"]): r["value"]["ranges"][0] for r in results[2:]}
    # From the first keyframe with the action until the person leaves; frames count from 1.
    assert spans == {
        ("person 1", "stand"): {"start": 1, "end": 35},
        ("person 2", "stand"): {"start": 11, "end": 15},
        ("person 2", "read"): {"start": 11, "end": 15},
    }
    view = ElementTree.parse(config).getroot()
    names = {element.get("name") for element in view}
    assert {r["from_name"] for r in results} <= names and {r["to_name"] for r in results} <= names
    assert [label.get("value") for label in view.findall("TimelineLabels/Label")] == [action.name for action in AVA]


def test_label_studio_spans_say_what_the_boxes_of_keyframes_say(video: AnnotatedVideo, tmp_path: Path) -> None:
    """Who stands on two keyframes, not on the third, and again on the fourth has two spans."""
    actions = [{STAND: 0.9}, {STAND: 0.6}, {READ: 0.9}, {STAND: 0.8}]
    moments = [detections([ONE], [a], video_id="a.b", seconds=t, track_ids=[1]) for t, a in enumerate(actions)]
    (task,) = json.loads(write_label_studio([replace(video, keyframes=moments, tubes=())], tmp_path)[0].read_text())
    results = task["predictions"][0]["result"][1:]
    spans = [(*r["value"]["timelinelabels"], *r["value"]["ranges"][0].values(), r["score"]) for r in results]
    assert spans == [("stand", 1, 15, 0.75), ("stand", 31, 35, 0.8), ("read", 21, 25, 0.9)]


def test_fiftyone_manifest_and_labels(video: AnnotatedVideo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest, labels = write_fiftyone([video], out)
    (entry,) = json.loads(manifest.read_text())["index"]
    assert (out / entry["data"]).resolve() == video.path.resolve() and (out / entry["labels"]) == labels
    content = json.loads(labels.read_text())
    assert sorted(map(int, content["frames"])) == [1, 11, 21, 31]
    assert content["frames"]["21"]["objects"]["objects"] == []
    one, two = content["frames"]["11"]["objects"]["objects"]
    assert (one["index"], two["index"]) == (1, 2)
    assert two["bounding_box"]["bottom_right"] == {"x": 1.0, "y": 1.0}
    assert {a["name"]: a["value"] for a in two["attrs"]["attrs"]} == {"stand": 0.9, "read": 0.6}
    events = content["events"]["events"]
    assert [e["support"]["ranges"] for e in events] == ["1-36", "6-16", "6-16"]
    assert [[(a["name"], a["value"]) for a in e["attrs"]["attrs"]] for e in events] == [
        [("person", 1)],
        [("person", 2)],
        [("person", 2)],
    ]


def test_fiftyone_takes_no_dots_in_names(video: AnnotatedVideo, tmp_path: Path) -> None:
    """AVA's "answer phone" has none; "talk to (e.g., self, a person, a group)" has two."""
    talk = next(action for action in AVA if action.name.startswith("talk to (e.g."))
    scores = np.zeros((1, 80), np.float32)
    scores[0, talk.id - 1] = 0.9
    talking = ActionDetections("v", 0, [ONE], [1.0], scores, track_ids=np.array([1]))
    other = AnnotatedVideo("v", video.path, 10, 10, video.frame_times, AVA, [talking], (), 0.5)
    labels = write_fiftyone([other], tmp_path / "out")[1]
    (person,) = json.loads(labels.read_text())["frames"]["1"]["objects"]["objects"]
    assert person["attrs"]["attrs"][0]["name"] == "talk to (eg, self, a person, a group)"


def test_via_project(video: AnnotatedVideo, tmp_path: Path) -> None:
    (path,) = write_via([video], tmp_path / "out")
    project = json.loads(path.read_text())
    assert project["project"]["vid_list"] == ["1"] and project["view"] == {"1": {"fid_list": ["1"]}}
    assert project["file"]["1"]["src"] == video.path.resolve().as_uri()
    entries = list(project["metadata"].values())
    assert all(entry["vid"] == "1" for entry in entries)
    regions, spans = [e for e in entries if e["xy"]], [e for e in entries if not e["xy"]]
    assert {"z": [1.0], "xy": [2, 120.0, 50.0, 80.0, 50.0], "av": {"1": "2", "2": "12,48"}} in [
        {key: entry[key] for key in ("z", "xy", "av")} for entry in regions
    ]
    assert [(s["z"], s["av"]) for s in spans] == [
        ([0.0, 3.5], {"3": "1: stand"}),
        ([0.5, 1.5], {"3": "2: stand"}),
        ([0.5, 1.5], {"3": "2: read"}),
    ]
    assert project["attribute"]["2"]["options"] == {str(action.id): action.name for action in AVA}


def test_tubes_in_every_format_say_the_same(video: AnnotatedVideo, tmp_path: Path) -> None:
    files = {suffix: tmp_path / f"tubes.{suffix}" for suffix in ("parquet", "csv", "jsonl")}
    assert [write_tubes(path, video.tubes, AVA) for path in files.values()] == [3, 3, 3]
    table = pq.read_table(files["parquet"]).to_pylist()
    lines = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
    with files["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = lines[0]
    assert list(first) == list(rows[0]) == list(table[0])
    assert (first["action_name"], first["action_kind"], first["track_id"]) == ("stand", "pose", 1)
    assert (first["start_seconds"], first["end_seconds"], first["timestamps_seconds"]) == (0, 3.5, [0, 1, 3])
    assert first["boxes"][1] == list(ONE_LATER) and first["scores"] == [0.9, 0.9, 0.9]
    for line, row, record in zip(lines, rows, table, strict=True):
        assert json.loads(row["boxes"]) == line["boxes"] and float(row["mean_score"]) == line["mean_score"]
        assert math.isclose(record["mean_score"], line["mean_score"], rel_tol=FLOAT32)
        np.testing.assert_allclose(record["boxes"], line["boxes"], rtol=FLOAT32)
    assert write_tubes(tmp_path / "none.parquet", [], AVA) == 0
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0


def test_tubes_in_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"tubes.xlsx: tubes are written as .parquet, .csv, .jsonl"):
        write_tubes(tmp_path / "tubes.xlsx", [], AVA)
