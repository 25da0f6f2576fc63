"""`ava-detect visualize`: which files belong together, what the folder holds, and a sentence for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from page_data import (
    AVA,
    movie_keyframes,
    read_piece,
    record,
    write_ground_truth,
    write_manifest,
    write_movie,
    write_results,
)

from ava_detect.cli.visualize import visualize as command
from ava_detect.errors import ConfigError, FormatError
from ava_detect.formats.ava_csv import write_ava_csv
from ava_detect.formats.jsonl import write_jsonl
from ava_detect.results.saved import ReadOptions, read_saved_results
from ava_detect.structures.labels import Action, LabelMap
from ava_detect.visualization.page.write_page import visualize


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "walk.mp4")


def notices(summary) -> list[tuple[str, ...]]:
    return [video.notices for video in summary.videos]


def test_a_folder_of_results_becomes_a_folder_that_stands_alone(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie, "again": movie})
    summary = visualize(results, tmp_path / "page")
    assert summary.index == tmp_path / "page" / "index.html"
    assert summary.all_well
    assert [(v.video_id, v.num_people, v.num_boxes, v.notices) for v in summary.videos] == [
        ("walk", 2, 12, ()),
        ("again", 2, 12, ()),
    ]
    names = {path.relative_to(tmp_path / "page").as_posix() for path in (tmp_path / "page").rglob("*")}
    assert {
        "index.html",
        "video.html",
        "page.css",
        "core.js",
        "page-data/list.js",
        "page-media/0001.mp4",
        "page-media/0002.jpg",
    } <= names
    assert {"page-data/0001/meta.js", "page-data/0001/people-0.js", "page-data/0001/action-11.js"} <= names
    assert not [name for name in names if ".unfinished" in name]
    meta = read_piece(tmp_path / "page", "0001/meta")
    assert (meta["id"], meta["duration"], meta["fps"], meta["video"]) == ("walk", 8.0, 10.0, "page-media/0001.mp4")
    # Nothing in it names the machine or an outside address.
    for path in (tmp_path / "page").glob("*.*"):
        assert "://" not in path.read_text(), path


def test_a_new_page_leaves_nothing_of_the_old_one(movie, tmp_path):
    visualize(write_results(tmp_path / "a", {"walk": movie, "again": movie}), tmp_path / "page")
    visualize(write_results(tmp_path / "b", {"walk": movie}), tmp_path / "page")
    assert not (tmp_path / "page" / "page-data" / "0002").exists()
    assert [video["id"] for video in read_piece(tmp_path / "page", "list")["videos"]] == ["walk"]


def test_no_foreign_file_is_overwritten_or_removed(movie, tmp_path):
    """A page may be written where other things are, twice."""
    results = write_results(tmp_path / "results", {"walk": movie})
    mine = [tmp_path / "media" / "0001.mp4", tmp_path / "data" / "list.js"]
    for path in mine:
        path.parent.mkdir()
        path.write_text("mine")
    for _ in range(2):
        visualize(results, tmp_path)
        assert [path.read_text() for path in mine] == ["mine", "mine"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("mine")
    with pytest.raises(ConfigError, match=r"has an index\.html that is not this page's; choose another `out`"):
        visualize(results, tmp_path / "other")


def test_a_file_of_results_with_several_videos(movie, tmp_path):
    write_ava_csv(tmp_path / "all.csv", movie_keyframes("walk") + movie_keyframes("b"), start_seconds=900)
    summary = visualize(tmp_path / "all.csv", tmp_path / "page", ReadOptions(movie.parent, start_seconds=900))
    assert [(v.video_id, v.num_boxes, v.is_whole) for v in summary.videos] == [("walk", 12, True), ("b", 12, False)]
    assert read_piece(tmp_path / "page", "0001/meta")["times"] == [float(second) for second in range(8)]


def test_a_run_that_was_cut_and_one_that_failed(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    with (results / "manifest.jsonl").open("a") as file:
        file.write('{"video_id": "half')
    failed = record("broken", tmp_path / "broken.mp4", outputs=[], message="broken.mp4 is no video", status="failed")
    (results / "summary.json").write_text(json.dumps({"note": "untrained network", "videos": [failed]}))
    summary = visualize(results, tmp_path / "page")
    assert notices(summary) == [(), ("broken.mp4 is no video.",)]
    assert not summary.all_well
    listed = read_piece(tmp_path / "page", "list")
    assert listed["note"] == "untrained network"
    assert [video["hasPage"] for video in listed["videos"]] == [True, False]


def test_a_video_that_has_moved_is_found_again_or_missed(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    moved = tmp_path / "elsewhere" / "walk.mp4"
    write_manifest(results, [record("walk", tmp_path / "walk.mp4", source_bytes=movie.stat().st_size)])
    summary = visualize(results, tmp_path / "page")
    assert notices(summary) == [
        (
            f"The video {tmp_path / 'walk.mp4'} is not there any more: boxes are shown without a picture; "
            "give the folder where it is now (`videos`).",
        )
    ]
    assert not summary.all_well
    assert read_piece(tmp_path / "page", "0001/meta")["video"] is None
    moved.parent.mkdir()
    moved.write_bytes(movie.read_bytes())
    assert visualize(results, tmp_path / "page", ReadOptions(moved.parent)).all_well


def test_a_video_of_another_length_rate_or_content(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    other = write_movie(tmp_path / "other" / "walk.mp4", seconds=5, fps=5)
    (said,) = notices(visualize(results, tmp_path / "page", ReadOptions(other.parent)))
    assert said[0] == "walk.mp4 is 5.0 s long and the results go on to 7.0 s: is it the video that was annotated?"
    assert "now 5 frames a second, 5.0 s): boxes may lie beside the people." in said[1]
    other.write_bytes(b"no video")
    (said,) = notices(visualize(results, tmp_path / "page", ReadOptions(other.parent)))
    assert said[0].startswith("The video cannot be shown: ")


@pytest.mark.parametrize(
    ("change", "now"),
    [
        ({"fps": 20}, "20 frames a second where it had 10"),
        ({"seconds": 9}, "9.0 s long where it was 8.0 s"),
        ({"seconds": 4, "fps": 20}, "20 frames a second where it had 10 and 4.0 s long where it was 8.0 s"),
    ],
)
def test_a_video_of_another_rate_or_length_than_the_run_wrote_down(movie, tmp_path, run_cli, change, now):
    """The new rate alone moves no keyframe and changes no length: only the run record can tell."""
    results = write_results(tmp_path / "results", {"walk": movie})
    other = write_movie(tmp_path / "other" / "walk.mp4", **change)
    write_manifest(results, [record("walk", movie, source_fps=10.0, source_seconds=8.0)])
    code, _, err = run_cli("visualize", results, "--out", tmp_path / "page", "--videos", other.parent, "--quiet")
    sentence = (
        f"walk.mp4 is not the file that was annotated: it is now {now}, so boxes may lie beside the people; "
        "give the folder with the one that was (`videos`), or annotate this one."
    )
    assert read_piece(tmp_path / "page", "0001/meta")["notices"] == [sentence]
    assert (code, err) == (0, f"ava-detect: walk: {sentence.replace('`videos`', '--videos')}\n")
    visualize(results, tmp_path / "page")
    assert read_piece(tmp_path / "page", "0001/meta")["notices"] == []


def test_the_runs_cuts_reach_the_page_and_end_the_tracks_of_results_without_ids(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    write_manifest(results, [record("walk", movie, cuts_seconds=[3.5, 4.25])])
    assert visualize(results, tmp_path / "page").videos[0].num_people == 2
    assert read_piece(tmp_path / "page", "0001/meta")["cuts"] == [3.5, 4.25]
    (results / "walk.jsonl").unlink()
    write_ava_csv(results / "walk.csv", movie_keyframes("walk"))
    for cuts, num_people in (([], 2), ([3.5], 4)):
        write_manifest(results, [record("walk", movie, outputs=["walk.csv"], cuts_seconds=cuts)])
        assert visualize(results, tmp_path / "page").videos[0].num_people == num_people


def test_ids_without_a_name_are_shown_by_their_number(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie})
    (tmp_path / "few.pbtxt").write_text(LabelMap.ava().subset(range(1, 80)).to_pbtxt())
    (said,) = notices(visualize(results, tmp_path / "page", ReadOptions(label_map=tmp_path / "few.pbtxt")))
    assert said == (
        "Id 80 is not in the label map: such actions are shown by their number; give the label map that "
        "the results were made with.",
    )
    assert read_piece(tmp_path / "page", "0001/meta")["actions"][79]["name"] == "action 80"


def test_that_avas_names_are_assumed_is_said_and_recorded_names_are_taken(movie, tmp_path):
    write_ava_csv(tmp_path / "all.csv", movie_keyframes("walk"))
    (said,) = notices(visualize(tmp_path / "all.csv", tmp_path / "page", ReadOptions(movie.parent)))
    assert said[0].startswith("The results have no names of actions, so AVA's are shown")
    assert "give the label map that the results were made with (`label_map`)" in said[0]
    own = LabelMap(tuple(Action(action.id, f"step {action.id}") for action in AVA))
    (tmp_path / "label_map.pbtxt").write_text(own.to_pbtxt())
    assert notices(visualize(tmp_path / "all.csv", tmp_path / "named", ReadOptions(movie.parent))) == [()]
    assert read_piece(tmp_path / "named", "0001/meta")["actions"][3]["name"] == "step 4"
    (saved,) = read_saved_results(tmp_path / "all.csv", ReadOptions(movie.parent))
    assert saved.label_map.name(4) == "step 4"


def test_ground_truth_of_other_times_and_of_other_videos(movie, tmp_path):
    results = write_results(tmp_path / "results", {"walk": movie, "again": movie})
    truth = write_ground_truth(tmp_path / "truth.csv", "walk", start_seconds=900)
    said = notices(visualize(results, tmp_path / "page", ground_truth=truth))
    assert "No keyframe of the ground truth is at the time of one of the results: give `start_seconds`" in said[0][0]
    assert said[1] == ("The ground truth has no rows for this video, so nothing is marked as right or wrong.",)
    assert notices(visualize(results, tmp_path / "page", ReadOptions(start_seconds=900), ground_truth=truth))[0] == ()
    assert read_piece(tmp_path / "page", "0001/truth-0")["counts"] == [1, 1, 1, 1, 1, 1, 2, 1]
    write_ground_truth(tmp_path / "truth.csv", "stranger")
    with pytest.raises(ValueError, match=r"none of its videos \(stranger \.\.\.\) is among the results \(again, walk"):
        visualize(results, tmp_path / "page", ground_truth=truth)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: p / "none", "there is no such file or folder; give the output folder of `ava-detect annotate`"),
        (lambda p: p, "holds no results (NAME.jsonl, NAME.parquet or NAME.csv, or the run.json of a dataset)"),
    ],
)
def test_what_is_no_folder_of_results(tmp_path, make, sentence):
    with pytest.raises(FormatError) as error:
        visualize(make(tmp_path), tmp_path / "page")
    assert sentence in str(error.value)


def test_wrong_settings(tmp_path):
    with pytest.raises(ConfigError, match="`min_score` is a score from 0 to 1, got 30"):
        visualize(tmp_path, tmp_path / "page", min_score=30)
    with pytest.raises(
        ConfigError, match=r"`placing` is link, symlink, copy, refer, got 'copi' \(did you mean 'copy'\?\)"
    ):
        visualize(tmp_path, tmp_path / "page", placing="copi")


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"settings": {}}\n{"video_id": 3}\n')
    with pytest.raises(FormatError, match=r"manifest\.jsonl, line 2, cannot be read \(outputs is missing\)"):
        visualize(tmp_path, tmp_path / "page")


def test_the_command_says_what_it_did_and_what_is_missing(movie, tmp_path, capsys):
    results = write_results(tmp_path / "results", {"walk": movie})
    write_jsonl(results / "gone.jsonl", movie_keyframes("gone"), AVA)
    write_manifest(results, [record("walk", movie), record("gone", tmp_path / "gone.mp4")])
    with pytest.raises(typer.Exit) as ended:
        command(results, tmp_path / "page")
    said = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert said.out == f"2 videos, 24 boxes.\nOpen in a browser: {tmp_path / 'page' / 'index.html'}\n"
    assert said.err.startswith(f"ava-detect: gone: The video {tmp_path / 'gone.mp4'} is not there any more")
    write_manifest(results, [record("walk", movie)])
    command(results, tmp_path / "page", as_json=True)
    assert json.loads(capsys.readouterr().out)["videos"][0]["num_boxes"] == 12
