"""No command costs its user a file: outputs that are inputs, or other files of the same names, are refused at once."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from annotate_inputs import BOX, write_boxes
from networks import small_config_file
from people import detections
from videos import constant_rate, write_numbered_video

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.structures.labels import LabelMap
from ava_detect.video.gif import GifWriter

SIZE = ("--videos", 1, "--seconds", 1, "--width", 64, "--height", 64, "--fps", 5)
GROUND_TRUTH = "one,0900,0.1,0.1,0.6,0.9,12,1\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder as people have them: videos, ground truth, results, weights and notes of their own."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "videos").mkdir()
    video = write_numbered_video(folder / "videos" / "one.mp4", constant_rate(10, 5), rate=5)
    with GifWriter(folder / "videos" / "moving.gif", 5) as writer:
        for shade in (0, 100, 200):
            writer.write(np.full((64, 64, 3), shade, np.uint8))
    (folder / "gt.csv").write_text(GROUND_TRUTH)
    (folder / "det.csv").write_text(GROUND_TRUTH.replace(",1\n", ",0.9\n"))
    (folder / "labels.pbtxt").write_text(LabelMap.ava().to_pbtxt())
    write_boxes(folder / "boxes.csv", [("one", 0, BOX)])
    small_config_file(folder)
    results = folder / "results"
    results.mkdir()
    keyframes = [detections([BOX], [{12: 0.9}], video_id="one", seconds=t, track_ids=[1]) for t in (0.0, 1.0)]
    write_jsonl(results / "one.jsonl", keyframes, LabelMap.ava())
    record = {"video_id": "one", "status": "done", "source": str(video), "message": "", "source_bytes": 1}
    lines = [{"settings": {}}, {**record, "outputs": ["one.jsonl"]}]
    (results / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mine = folder / "mine"
    (mine / "videos").mkdir(parents=True)
    for name in (
        "ground_truth.csv", "index.html", "plots.html", "instances.json", "labels.json", "tasks.json", "manifest.json",
        "one.csv", "via_project.json", "videos/movie_000.mp4", "detections.csv", "model.safetensors", "w.pyth",
        "x.onnx", "x.png", "x.json", "x.jsonl", "summary.json", "one.gif",
        "one.eaf", "project.boris", "intervals.csv", "one.srt",
    ):  # fmt: skip
        (mine / name).write_text("by hand")
    return folder


@pytest.fixture
def work(template, tmp_path, monkeypatch):
    folder = tmp_path / "work"
    shutil.copytree(template, folder)
    manifest = folder / "results" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace(str(template), str(folder)))
    (folder / "link.csv").symlink_to("gt.csv")
    monkeypatch.chdir(folder)
    return folder


EVALUATE = ("evaluate", "--ground-truth", "gt.csv", "--detections", "det.csv", "--label-map", "labels.pbtxt")
PROPOSE = ("data", "propose", "--videos", "videos", "--ground-truth", "gt.csv", "--out")
EXPLAIN = ("explain", "videos/one.mp4", "--at", 0, "--weights", "random", "--out")
ANNOTATE = ("annotate", "videos/one.mp4", "--config", "small.yaml", "--weights", "random", "--boxes")
BENCHMARK = ("benchmark", "--config", "small.yaml", "--weights", "random", "--videos", "videos",
             "--ground-truth")  # fmt: skip
REFUSED = {
    "json on truth": (*EVALUATE, "--json", "gt.csv"),
    "json on a link to truth": (*EVALUATE, "--json", "link.csv"),
    "json on detections": (*EVALUATE, "--json", "./results/../det.csv", "--overwrite"),
    "json on labels": (*EVALUATE, "--json", "labels.pbtxt"),
    "json on a folder": (*EVALUATE, "--json", "results"),
    "json on a foreign file": (*EVALUATE, "--json", "mine/x.json"),
    "json on a video": (*EVALUATE, "--json", "videos/one.mp4"),
    "report on truth": (*EVALUATE, "--report", "gt.csv"),
    "report on a foreign page": (*EVALUATE, "--report", "mine"),
    "propose on truth": (*PROPOSE, "gt.csv"),
    "propose on a video": (*PROPOSE, "videos/one.mp4"),
    "propose on another truth": (*PROPOSE, "det.csv"),
    "explain on its video": (*EXPLAIN, "videos/one.mp4"),
    "explain on a foreign file": (*EXPLAIN, "mine/x.png"),
    "synthesize": ("data", "synthesize", "--out", "mine", *SIZE),
    "tubes on results": ("tubes", "results", "--out", "results/one.jsonl", "--overwrite"),
    "tubes on one file": ("tubes", "results/one.jsonl", "--out", "results/one.jsonl"),
    "tubes on a foreign csv": ("tubes", "results", "--out", "gt.csv"),
    "tubes on a foreign jsonl": ("tubes", "results", "--out", "mine/x.jsonl"),
    "hand-over coco": ("hand-over", "results", "--to", "coco", "--out", "mine"),
    "hand-over cvat": ("hand-over", "results", "--to", "cvat", "--out", "mine"),
    "hand-over label-studio": ("hand-over", "results", "--to", "label-studio", "--out", "mine"),
    "hand-over fiftyone": ("hand-over", "results", "--to", "fiftyone", "--out", "mine"),
    "hand-over via": ("hand-over", "results", "--to", "via", "--out", "mine"),
    "hand-over elan": ("hand-over", "results", "--to", "elan", "--out", "mine"),
    "hand-over boris": ("hand-over", "results", "--to", "boris", "--out", "mine"),
    "hand-over intervals": ("hand-over", "results", "--to", "intervals", "--out", "mine"),
    "hand-over srt": ("hand-over", "results", "--to", "srt", "--out", "mine"),
    "hand-over into a file": ("hand-over", "results", "--to", "via", "--out", "gt.csv"),
    "import on itself": ("import", "gt.csv", "--out", "gt.csv", "--overwrite"),
    "import on another truth": ("import", "gt.csv", "--out", "det.csv"),
    "visualize over a page": ("visualize", "results", "--out", "mine"),
    "visualize into a file": ("visualize", "results", "--out", "gt.csv"),
    "collect": ("collect", "results", "--out", "gt.csv"),
    "collect a page into its dataset": ("collect", "results", "--out", "./results"),
    "collect a page into a folder of its dataset": ("collect", "results", "--out", "results/./progress"),
    "pictures over foreign files": ("pictures", "results", "--out", "mine", "--gif", "--contact-sheet"),
    "plots over a foreign page": ("pictures", "results", "--out", "mine", "--plots"),
    "convert on itself": ("weights", "convert", "mine/w.pyth", "mine/w.pyth", "--overwrite"),
    "convert on other weights": ("weights", "convert", "mine/w.pyth", "mine/model.safetensors"),
    "export": ("export", "mine/x.onnx", "--config", "small.yaml", "--weights", "random"),
    "annotate on its boxes": (*ANNOTATE, "mine/one.csv", "--out", "mine"),
    "annotate on a foreign csv": (*ANNOTATE, "boxes.csv", "--out", "mine"),
    "benchmark on its truth": (*BENCHMARK, "mine/detections.csv", "--out", "mine"),
    "benchmark on foreign detections": (*BENCHMARK, "gt.csv", "--out", "mine"),
}


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_call_that_would_cost_a_file_is_2_and_changes_nothing(run_cli, work, name):
    before = content(work)
    code, out, err = run_cli(*REFUSED[name])
    assert (code, out) == (2, "")
    assert err.startswith("ava-detect: ")
    assert err.count("\n") == 1
    assert content(work) == before
    assert (work / "link.csv").is_symlink()


AGAIN = {
    "evaluate": (*EVALUATE, "--json", "new/x.json", "--report", "new"),
    "synthesize": ("data", "synthesize", "--out", "new", *SIZE),
    "tubes": ("tubes", "results", "--out", "results/tubes.csv"),
    "tubes jsonl": ("tubes", "results", "--out", "new/tubes.jsonl"),
    "tubes parquet": ("tubes", "results", "--out", "new/tubes.parquet"),
    "hand-over coco": ("hand-over", "results", "--to", "coco", "--out", "new"),
    "hand-over cvat": ("hand-over", "results", "--to", "cvat", "--out", "new"),
    "hand-over label-studio": ("hand-over", "results", "--to", "label-studio", "--out", "new"),
    "hand-over fiftyone": ("hand-over", "results", "--to", "fiftyone", "--out", "new"),
    "hand-over via": ("hand-over", "results", "--to", "via", "--out", "new"),
    "hand-over elan": ("hand-over", "results", "--to", "elan", "--out", "new"),
    "hand-over boris": ("hand-over", "results", "--to", "boris", "--out", "new"),
    "hand-over intervals": ("hand-over", "results", "--to", "intervals", "--out", "new"),
    "hand-over srt": ("hand-over", "results", "--to", "srt", "--out", "new"),
    "visualize": ("visualize", "results", "--out", "new"),
    "pictures": ("pictures", "results", "--out", "results", "--contact-sheet"),
}


@pytest.mark.parametrize("name", list(AGAIN))
def test_the_same_call_goes_again(run_cli, work, name):
    first = run_cli(*AGAIN[name])
    assert first[0] == 0, first[2]
    written = content(work)
    assert run_cli(*AGAIN[name]) == first
    assert content(work).keys() == written.keys()


def test_overwrite_replaces_what_is_foreign(run_cli, work):
    assert run_cli(*EVALUATE, "--json", "mine/x.json", "--report", "mine", "--overwrite", "--quiet") == (0, "", "")
    assert json.loads((work / "mine" / "x.json").read_text())["dialect"] == "official"
    assert "<!DOCTYPE html>" in (work / "mine" / "index.html").read_text()


def test_pictures_never_replace_their_video(run_cli, work):
    """The GIF of a video has its name, and the video may be a GIF."""
    manifest = work / "results" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("one.mp4", "moving.gif").replace('"one"', '"moving"'))
    lines = (work / "results" / "one.jsonl").read_text()
    (work / "results" / "one.jsonl").write_text(lines.replace('"one"', '"moving"'))
    before = content(work)
    code, _, err = run_cli("pictures", "results", "--out", "videos", "--gif")
    assert code == 2
    assert "moving.gif is also an input" in err
    assert content(work) == before


def test_a_page_is_not_renewed_over_its_own_inputs(run_cli, work):
    assert run_cli("visualize", "results", "--out", "page", "--quiet")[0] == 0
    before = content(work)
    code, _, err = run_cli("visualize", "results", "--videos", "page/page-media", "--out", "page")
    assert code == 2
    assert "passed over 1 file of a page (page/page-media/" in err
    assert content(work) == before


def test_what_goes_to_stdout_is_alone_there(run_cli, work):
    code, out, err = run_cli(*EVALUATE, "--json", "-")
    assert code == 0
    assert json.loads(out)["dialect"] == "official"
    assert "mAP" in err
    assert not (work / "-").exists()


def test_tubes_go_to_stdout_as_csv(run_cli, work):
    code, text, err = run_cli("tubes", "results", "--out", "-")
    assert code == 0
    assert text.startswith("video_id,track_id,")
    assert re.search(r"\d action tubes?: -", err)
    assert not (work / "-").exists()
