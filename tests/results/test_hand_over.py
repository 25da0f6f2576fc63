"""Saved results -> other tools' files, tubes and pictures, through the functions and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from people import detections
from PIL import Image
from typer.testing import CliRunner
from videos import constant_rate, write_numbered_video

from ava_detect.cli import hand_over as commands
from ava_detect.errors import AvaDetectError, ConfigError, FormatError
from ava_detect.formats.ava_csv import AvaTable, write_ava_csv, write_ava_table
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.export.hand_over import TOOLS, find_tubes, hand_over
from ava_detect.results.saved import ReadOptions, read_saved_results, with_columns_of
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
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


def test_faults(results: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"`to` is coco, cvat, .*, got 'cvta' \(did you mean 'cvat'\?\)"):
        hand_over(results, "cvta", tmp_path)
    with pytest.raises(AvaDetectError, match="`min_score` is a score from 0 to 1, got 2"):
        hand_over(results, "coco", tmp_path, min_score=2)
    with pytest.raises(ConfigError, match="pictures are video, gif, contact-sheet, plots; got poster"):
        make_pictures(results, tmp_path, ["poster"])
    with pytest.raises(FormatError, match="there is no such folder"):
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


def test_commands(results: Path, tmp_path: Path) -> None:
    code, output = run("hand-over", results, "--to", "coco", "--out", tmp_path / "coco")
    assert code == 0 and "3 boxes of 1 people in 2 videos, 1 action tubes." in output
    assert (tmp_path / "coco" / "instances.json").is_file()
    code, output = run("tubes", results, "--out", tmp_path / "tubes.csv", "--min-peak", 0.5)
    assert code == 0 and output.startswith("1 action tubes:")
    code, output = run("pictures", results, "--out", tmp_path / "pictures", "--plots", "--quiet")
    assert (code, output) == (0, "") and "untrained network" in (tmp_path / "pictures" / "plots.html").read_text()
