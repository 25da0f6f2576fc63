"""``ava-detect data``, through the same sub-app that the command mounts."""

from __future__ import annotations

import json

import pytest
import typer
import yaml
from typer.testing import CliRunner

from ava_detect.cli import data
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.structures.labels import LabelMap


@pytest.fixture(scope="module")
def run():
    app = typer.Typer()
    app.add_typer(data.app)
    return lambda *arguments: CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def world(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    result = run("synthesize", "--out", folder, "--videos", 2, "--seed", 3, "--seconds", 3,
                 "--width", 96, "--height", 64, "--fps", 20, "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def files_of(folder):
    truth, label_map = folder / "ground_truth.csv", folder / "label_map.pbtxt"
    return "--videos", folder / "videos", "--ground-truth", truth, "--label-map", label_map


def test_synthesize_writes_what_it_says(world):
    folder, said = world
    truth = read_ava_csv(folder / "ground_truth.csv", last_column="person_id")
    assert sorted(path.name for path in (folder / "videos").iterdir()) == ["movie_000.mp4", "movie_001.mp4"]
    assert (said["videos"], said["rows"], said["out"]) == (2, len(truth), str(folder))
    people = {*zip(truth.video_index, truth.timestamps_seconds, truth.person_ids, strict=True)}
    assert said["people_on_keyframes"] == len(people)
    assert set(truth.action_ids) <= set(LabelMap.from_pbtxt(folder / "label_map.pbtxt").ids)


def test_synthesize_says_where_everything_is_or_nothing(run, tmp_path):
    size = ("--videos", 1, "--seconds", 1, "--width", 96, "--height", 64)
    said = run("synthesize", "--out", tmp_path / "a", *size).stdout
    assert "1 video, " in said and str(tmp_path / "a" / "ground_truth.csv") in said
    assert run("synthesize", "--out", tmp_path / "b", *size, "--quiet").stdout == ""
    same = [(tmp_path / name / "ground_truth.csv").read_bytes() for name in "ab"]
    assert same[0] == same[1]


def test_check_of_files_says_nothing_of_a_clean_world(run, world):
    result = run("check", *files_of(world[0]), "--fast")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "no problems, no notes"
    assert "frames a second: 20 (2 videos); from the headers alone" in result.stdout
    assert run("check", *files_of(world[0]), "--quiet").stdout == ""


def test_check_names_problems_and_ends_with_1(run, world, tmp_path):
    folder = world[0]
    excluded = tmp_path / "excluded.csv"
    excluded.write_text("movie_000,0001\nnobody,0001\n")
    result = run("check", *files_of(folder), "--start-seconds", 900, "--exclude", excluded, "--fast")
    assert result.exit_code == 1
    assert "PROBLEM second-outside" in result.stdout and "NOTE    exclusion-matches-nothing" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 problem, 1 note"
    quiet = run("check", *files_of(folder), "--start-seconds", 900, "--exclude", excluded, "--quiet").stdout
    assert "PROBLEM second-outside" in quiet and "NOTE" not in quiet
    written = json.loads(run("check", *files_of(folder), "--start-seconds", 900, "--json").stdout)
    assert (written["num_problems"], written["decoded"]) == (1, True)
    assert written["findings"][0]["kind"] == "second-outside" and written["findings"][0]["advice"]


def test_check_of_a_config_and_what_is_set_in_it(run, world, tmp_path):
    folder = world[0]
    label_map = folder / "label_map.pbtxt"
    files = {"annotations": str(folder / "ground_truth.csv"), "videos": str(folder / "videos")}
    settings = {
        "model": {"head": {"num_classes": len(LabelMap.from_pbtxt(label_map))}},
        "labels": {"map": str(label_map)},
        "data": {"train": files},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    assert run("check", "--config", tmp_path / "c.yaml").exit_code == 0
    result = run("check", "--config", tmp_path / "c.yaml", "--set", "data.start_seconds=2", "--json")
    assert result.exit_code == 1
    assert {finding["split"] for finding in json.loads(result.stdout)["findings"]} == {"train"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --config FILE"),
        (("--videos", "x"), "give --config FILE"),
        (("--config", "demo", "--videos", "x"), "give --config or --videos, not both"),
    ],
)
def test_check_says_what_it_needs(run, arguments, said):
    result = run("check", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_config_without_data_is_named(run_cli, tmp_path):
    (tmp_path / "bare.yaml").write_text("{}\n")
    code, out, err = run_cli("data", "check", "--config", tmp_path / "bare.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"ava-detect: {tmp_path / 'bare.yaml'}: this config names no data; give data.train")
