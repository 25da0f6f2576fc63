"""Saved results -> other tools' files, tubes and pictures, through the functions and the commands."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import typer
from people import detections
from PIL import Image
from typer.testing import CliRunner
from videos import constant_rate, frame_number, numbered_frame, write_numbered_video

from ava_detect.cli import hand_over as commands
from ava_detect.errors import AvaDetectError, AvaDetectWarning, ConfigError, FormatError
from ava_detect.formats.ava_csv import AvaTable, write_ava_csv, write_ava_table
from ava_detect.formats.jsonl import read_jsonl, write_jsonl
from ava_detect.results.export.hand_over import TOOLS, find_tubes, hand_over
from ava_detect.results.saved import ReadOptions, read_saved_results, with_columns_of
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.video.reader import VideoReader
from ava_detect.visualization.page.write_page import visualize
from ava_detect.visualization.pictures import make_pictures

STAND, SWIM, WALK = 12, 13, 14


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of two videos: in "one" a person stands for three seconds, in "two" there is no person."""
    folder = tmp_path / "results"
    folder.mkdir()
    box, actions = (0.2, 0.1, 0.6, 0.9), {STAND: 0.9, WALK: 0.2}
    one = [
        detections([box], [actions], video_id="one", seconds=float(t), person_scores=0.8, track_ids=[1])
        for t in range(3)
    ]
    two = [ActionDetections.empty("two", float(t)) for t in range(3)]
    lines = [{"settings": {"start_seconds": 900.0}}]
    for video_id, keyframes in (("one", one), ("two", two)):
        video = write_numbered_video(
            tmp_path / f"{video_id}.mp4", constant_rate(30, 10), rate=10, width=320, height=240
        )
        write_jsonl(folder / f"{video_id}.jsonl", keyframes, LabelMap.ava())
        record = {
            "video_id": video_id,
            "status": "done",
            "source": str(video),
            "message": "",
            "source_bytes": video.stat().st_size,
        }
        lines.append({**record, "outputs": [f"{video_id}.jsonl"]})
    (folder / "summary.json").write_text(json.dumps({"note": "untrained network", "videos": []}))
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """In the movie's seconds; the person also swims, which the results need not know."""
    path = tmp_path / "truth.csv"
    boxes, actions = [[0.2, 0.1, 0.6, 0.9]] * 3, [STAND, SWIM, STAND]
    write_ava_table(path, AvaTable.from_columns(["one"] * 3, [900, 900, 901], boxes, actions, person_ids=[0] * 3))
    return path


def test_saved_results_come_back_linked_with_their_video(results: Path, tmp_path: Path) -> None:
    one, two = read_saved_results(results)
    assert (one.video_id, len(one.keyframes), one.start_seconds) == ("one", 3, 900)
    assert one.note == "untrained network", "every picture must say so"
    assert one.video() == tmp_path / "one.mp4"
    assert one.keyframes[2].track_ids.tolist() == [1] and one.label_map.name(STAND) == "stand"
    assert [len(keyframe) for keyframe in two.keyframes] == [0, 0, 0]
    wide = with_columns_of(one.keyframes[0], LabelMap.ava())
    assert wide.action_scores.shape == (1, 80) and wide.action_scores[0, STAND - 1] == np.float32(0.9)


def test_actions_that_results_lack_can_be_asked_for(tmp_path: Path) -> None:
    keyframe = ActionDetections("v", 0, [[0, 0, 1, 1]], [1.0], [[0.9]], np.array([STAND]))
    write_ava_csv(tmp_path / "v.csv", [keyframe])
    (saved,) = read_saved_results(tmp_path / "v.csv", also_actions=[WALK])
    assert saved.label_map.ids == (STAND, WALK) and saved.keyframes[0].action_scores.shape == (1, 2)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_gets_its_files(results: Path, tmp_path: Path, tool: str) -> None:
    done = hand_over(results, tool, tmp_path / "out")
    assert (done.num_videos, done.num_tracks, done.num_boxes, done.num_tubes) == (2, 1, 3, 1)
    assert all(path.is_file() for path in done.files)


def test_a_video_that_has_moved(results: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).rename(elsewhere / name)
    with pytest.raises(
        FormatError, match="one: its video is not where it was annotated; give the folder where it is now"
    ):
        hand_over(results, "cvat", tmp_path / "out")
    assert hand_over(results, "cvat", tmp_path / "out", ReadOptions(elsewhere)).num_boxes == 3


UNSAFE = ("../../x", "/tmp/x", "..", "", "a\0b", "A", "a", "..\\\\..\\\\y", "e\u0301", "\u00e9", "x" * 300)


@pytest.mark.parametrize("tool", [*TOOLS, "images", "pictures", "page"])
def test_no_id_leads_out_of_the_folder(results: Path, tmp_path: Path, tool: str) -> None:
    """Ids that are paths, or names that meet on some file systems: a file for each, all of them inside."""
    unsafe = tmp_path / "deep" / "deeper" / "unsafe"
    unsafe.mkdir(parents=True)
    lines = []
    for number, video_id in enumerate(UNSAFE):
        keyframes = [replace(k, video_id=video_id) for k in read_jsonl(results / "one.jsonl", LabelMap.ava())]
        write_jsonl(unsafe / f"{number}.jsonl", keyframes, LabelMap.ava())
        source, outputs = str(tmp_path / "one.mp4"), [f"{number}.jsonl"]
        lines.append({"video_id": video_id, "source": source, "status": "done", "outputs": outputs})
    manifest = "".join(f"{json.dumps(line)}\n" for line in [{"settings": {}}, *lines])
    (unsafe / "manifest.jsonl").write_text(manifest)
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "deep" / "deeper" / "out"
    if tool == "page":
        assert visualize(unsafe, out, placing="refer").all_well
    elif tool == "pictures":
        made = make_pictures(unsafe, out, ["contact-sheet"])
        assert made.problems == () and len(set(made.files)) == len(UNSAFE)
    else:
        done = hand_over(unsafe, "coco" if tool == "images" else tool, out, images=tool == "images")
        assert len(set(done.files)) == len(done.files) and all(path.is_relative_to(out) for path in done.files)
    new = set(tmp_path.rglob("*")) - before
    assert all(path.resolve().is_relative_to(out) for path in new)
    named = [path for path in new if path.is_file() and tool in ("cvat", "fiftyone") and path.name[0] not in "lm"]
    assert len(named) in (0, len(UNSAFE)), "a file for each"
    for path in (path for path in named if path.suffix == ".xml"):
        ElementTree.parse(path)


def write_anamorphic(path: Path, sample_aspect: Fraction) -> Path:
    """30 numbered frames of 160x96, 10 a second, whose pixels are not square."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = sample_aspect
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, 160, 96), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def one_person(path: Path, video_id: str) -> Path:
    keyframes = [
        detections([(0.25, 0.25, 0.5, 0.75)], [{STAND: 0.9}], video_id=video_id, seconds=float(t), track_ids=[1])
        for t in range(3)
    ]
    write_jsonl(path, keyframes, LabelMap.ava())
    return path


def test_pictures_of_coco_have_the_pixels_of_its_boxes(tmp_path: Path) -> None:
    """Of anamorphic video they are those that FFmpeg cuts, not stretched, and show the frames of the keyframes."""
    video = write_anamorphic(tmp_path / "v.mp4", Fraction(4, 3))
    assert VideoReader(video).info.width == 213
    results, out = one_person(tmp_path / "v.jsonl", "v"), tmp_path / "out"
    done = hand_over(results, "coco", out, ReadOptions(tmp_path), images=True)
    content = json.loads((out / "instances.json").read_text())
    assert done.files == (out / "instances.json", out / "images")
    assert [(image["width"], image["height"]) for image in content["images"]] == [(160, 96)] * 3
    assert content["annotations"][0]["bbox"] == [40, 24, 40, 48]
    for image in content["images"]:
        with Image.open(out / "images" / image["file_name"]) as picture:
            assert picture.size == (160, 96) and frame_number(np.array(picture)) == image["frame"]
    hand_over(results, "coco", out, ReadOptions(tmp_path), images=True)
    (out / "images" / "v" / "0001.jpg").write_bytes(b"\xff\xd8\xff my own")
    with pytest.raises(ConfigError, match=r"0001\.jpg exists"):
        hand_over(results, "coco", out, ReadOptions(tmp_path), images=True)
    with pytest.raises(ConfigError, match="`images` is for `to=coco`; cvat shows the videos themselves"):
        hand_over(results, "cvat", out, ReadOptions(tmp_path), images=True)


def test_a_video_that_starts_late_has_the_times_of_its_player(tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "v.mp4", [3 + i / 10 for i in range(30)], rate=10)
    assert VideoReader(video).start_seconds == 3
    hand_over(one_person(tmp_path / "v.jsonl", "v"), "via", tmp_path / "out", ReadOptions(tmp_path))
    entries = json.loads((tmp_path / "out" / "via_project.json").read_text())["metadata"].values()
    assert [entry["z"] for entry in entries if entry["xy"]] == [[3.0], [4.0], [5.0]]


@pytest.mark.parametrize(
    ("size", "turn", "aspect", "unstretched"),
    [((213, 96), 0, 4 / 3, (160, 96)), ((96, 213), 90, 4 / 3, (96, 160)), ((160, 192), 180, 0.5, (160, 96))],
)
def test_upright_frames_in_the_files_own_pixels(
    size: tuple[int, int], turn: int, aspect: float, unstretched: tuple[int, int], tmp_path: Path
) -> None:
    info = VideoReader(write_anamorphic(tmp_path / "v.mp4", Fraction(1))).info
    assert info.unstretched_size == (160, 96)
    turned = replace(info, width=size[0], height=size[1], rotation_degrees=turn, sample_aspect=aspect)
    assert turned.unstretched_size == unstretched


def test_correctors_may_choose_any_class(results: Path, tmp_path: Path) -> None:
    def offered(results: Path, **options: object) -> list[str]:
        hand_over(results, "via", tmp_path / "out", ReadOptions(tmp_path, **options))  # type: ignore[arg-type]
        project = json.loads((tmp_path / "out" / "via_project.json").read_text())
        return list(project["attribute"]["2"]["options"].values())

    # A run that wrote only the actions that it found: with AVA's names, of own classes, and with a label map beside it.
    few = replace(read_one(results), action_scores=np.ones((1, 2), np.float32), action_ids=np.array([STAND, WALK]))
    write_jsonl(results / "one.jsonl", [few], LabelMap.ava())
    assert offered(results / "one.jsonl") == [action.name for action in LabelMap.ava()]
    own = LabelMap((Action(STAND, "hop"), Action(WALK, "walk"), Action(99, "juggle")))
    write_jsonl(results / "one.jsonl", [few], own)
    assert offered(results / "one.jsonl") == ["hop", "walk"]
    (tmp_path / "own.pbtxt").write_text(own.to_pbtxt())
    assert offered(results / "one.jsonl", label_map=tmp_path / "own.pbtxt") == ["hop", "walk", "juggle"]
    lines = (results / "manifest.jsonl").read_text().splitlines()
    lines[0] = json.dumps({"settings": {"config": {"labels": {"text": own.to_pbtxt()}}}})
    (results / "manifest.jsonl").write_text("".join(f"{line}\n" for line in lines[:2]))
    assert offered(results) == ["hop", "walk", "juggle"]


def read_one(results: Path) -> ActionDetections:
    return next(read_jsonl(results / "one.jsonl", LabelMap.ava()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_a_start_that_is_no_time_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="`start_seconds` is a time in seconds, got"):
        ReadOptions(start_seconds=value)


def test_faults(results: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"`to` is coco, cvat, .*, got 'cvta' \(did you mean 'cvat'\?\)"):
        hand_over(results, "cvta", tmp_path)
    with pytest.raises(AvaDetectError, match="`min_score` is a score from 0 to 1, got 2"):
        hand_over(results, "coco", tmp_path, min_score=2)
    with pytest.raises(ConfigError, match="pictures are video, gif, contact-sheet, plots; got poster"):
        make_pictures(results, tmp_path, ["poster"])
    with pytest.raises(FormatError, match="there is no such file or folder"):
        find_tubes(tmp_path / "nowhere", tmp_path / "tubes.csv")


def test_tubes_of_saved_results(results: Path, tmp_path: Path) -> None:
    assert find_tubes(results, tmp_path / "tubes.jsonl") == 1
    (line,) = map(json.loads, (tmp_path / "tubes.jsonl").read_text().splitlines())
    assert (line["video_id"], line["track_id"], line["action_name"]) == ("one", 1, "stand")
    assert (line["start_seconds"], line["end_seconds"]) == (0, 2.5)
    assert find_tubes(results, tmp_path / "tubes.jsonl", min_peak=0.95) == 0


def test_pictures_beside_ground_truth(results: Path, truth: Path, tmp_path: Path) -> None:
    out, kinds = tmp_path / "out", ["video", "gif", "contact-sheet", "plots"]
    one = results / "one.jsonl"
    made = make_pictures(one, out, kinds, ReadOptions(tmp_path, start_seconds=900), ground_truth=truth)
    files = made.files
    assert made.problems == ()
    assert [path.name for path in files] == ["one.annotated.mp4", "one.gif", "one.sheet.png", "plots.html"]
    page = files[3].read_text()
    assert "AP of each class" in page and "stand" in page
    with Image.open(files[1]) as gif:
        assert gif.size == (320, 240) and gif.n_frames == 24
    with Image.open(files[2]) as sheet:
        assert sheet.width == 3 * (640 + 8) + 8


def test_a_video_that_is_gone_stops_no_other_and_an_empty_one_has_a_sheet(results: Path, tmp_path: Path) -> None:
    (tmp_path / "one.mp4").unlink()
    made = make_pictures(results, tmp_path / "out", ["contact-sheet"])
    assert [path.name for path in made.files] == ["two.sheet.png"]
    assert len(made.problems) == 1 and made.problems[0].startswith("one: its video is not where it was annotated")
    code, output = run("pictures", results, "--out", tmp_path / "out", "--contact-sheet")
    assert code == 1 and "ava-detect: one: its video is not where" in output


def run(name: str, *arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command("other")(lambda: None)
    app.command(name)(getattr(commands, name.replace("-", "_")))
    done = CliRunner().invoke(app, [name, *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("command", ["tubes", "pictures", "hand-over"])
def test_where_no_names_are_known_every_command_says_that_avas_are_assumed(command: str, tmp_path: Path) -> None:
    write_numbered_video(tmp_path / "v.mp4", constant_rate(10, 10), rate=10, width=64, height=48)
    for name in ("v", "w"):
        write_ava_csv(tmp_path / f"{name}.csv", [detections([(0.1, 0.1, 0.5, 0.9)], [{WALK: 0.9}], video_id="v")])
    options = {
        "tubes": ["--out", tmp_path / "tubes.csv"],
        "pictures": ["--out", tmp_path / "out", "--plots"],
        "hand-over": ["--out", tmp_path / "out", "--to", "coco", "--videos", tmp_path],
    }[command]
    with pytest.warns(
        AvaDetectWarning, match=r"v\.csv: The results have no names of actions, so AVA's are shown"
    ) as told:
        assert run(command, tmp_path / "v.csv", *options)[0] == 0
    assert len(told) == 1
    names = tmp_path / "names.pbtxt"
    names.write_text(f'item {{ name: "stroll" id: {WALK} }}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(command, tmp_path / "v.csv", *options, "--label-map", names)[0] == 0


def test_commands(results: Path, tmp_path: Path) -> None:
    code, output = run("hand-over", results, "--to", "coco", "--out", tmp_path / "coco")
    assert code == 0 and "3 boxes of 1 person in 2 videos, 1 action tube." in output
    assert (tmp_path / "coco" / "instances.json").is_file()
    code, output = run("hand-over", results, "--to", "label-studio", "--out", tmp_path / "tasks")
    assert code == 0 and "Next: start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and" in output
    code, output = run("tubes", results, "--out", tmp_path / "tubes.csv", "--min-peak", 0.5)
    assert code == 0 and output.startswith("1 action tube:")
    code, output = run("pictures", results, "--out", tmp_path / "pictures", "--plots", "--quiet")
    assert (code, output) == (0, "") and "untrained network" in (tmp_path / "pictures" / "plots.html").read_text()
