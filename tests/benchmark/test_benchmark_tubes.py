"""The benchmark on tubes: which frames are scored, whose boxes, and that the written detections give the score."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_calls import as_arguments
from networks import SMALL_CONFIG, lively_model, save_pyslowfast
from tube_sets import NAMES, tube, tube_truth, write_set

from ava_detect.benchmark import run_benchmark
from ava_detect.config import Config
from ava_detect.errors import ConfigError, FormatError
from ava_detect.evaluation.tube_runs import TubeOptions, evaluate_tubes
from ava_detect.formats.tube_pickles import read_tube_detections, write_tube_annotations

HEADS = {"action": {}, "softmax": {"score": "softmax"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = write_set(tmp_path_factory.mktemp("tubes"))
    for name, head in HEADS.items():
        model = lively_model(model=SMALL_CONFIG["model"] | {"head": {"num_classes": len(NAMES)} | head})
        save_pyslowfast(model, folder / f"{name}.pyth")
    return folder


def config_of(name: str, **data: object) -> Config:
    head = {"num_classes": len(NAMES)} | HEADS[name]
    return Config.model_validate(SMALL_CONFIG | {"model": SMALL_CONFIG["model"] | {"head": head}, "data": data})


def bench(world: Path, out: Path, *, name: str = "action", data: dict | None = None, **settings):
    defaults = {"videos": world / "videos", "ground_truth": world / "GT.pkl", "boxes": "ground-truth"}
    arguments = as_arguments({**defaults, **settings})
    return run_benchmark(config_of(name, **(data or {})), world / f"{name}.pyth", out, **arguments)


def detected(out: Path):
    truth = tube_truth()
    return read_tube_detections(out / "detections.pkl", truth.label_map, truth.test_videos())


@pytest.fixture(scope="module")
def scored(world, tmp_path_factory):
    """The true boxes of all frames of the test videos, by the rules of MultiSports."""
    return bench(world, tmp_path_factory.mktemp("scored"))


def test_the_score_is_that_of_the_written_boxes(world, scored, tmp_path):
    with_softmax = bench(world, tmp_path, name="softmax", dialect="act")
    for result, dialect in ((scored, "multisports"), (with_softmax, "act")):
        assert result.all_well
        frame, video = (
            evaluate_tubes(world / "GT.pkl", [result.out / "detections.pkl"], TubeOptions(metric, dialect))[0]
            for metric in ("frame", "video")
        )
        written = json.loads((result.out / "result.json").read_text())
        assert written["frame"]["mAP"] == written["mAP"] == frame.results[0].mAP
        assert [one["mAP"] for one in written["video"]["per_iou"]] == [one.mAP for one in video.results]
        assert written["video"]["averages"] == video.averages
        assert written["frame"]["dialect"] == dialect
        assert written["kind"] == "tubes"
        assert result.score.summary().startswith("frame-mAP ")
        assert 0 < written["mAP"] < 1
    # A box counts for each action, unless its score says nothing.
    assert 91 < with_softmax.counts["rows"] <= 3 * 91
    assert (detected(tmp_path).scores >= 0.01).all()


def test_every_frame_of_the_test_videos_is_scored_with_the_boxes_of_its_own(scored):
    assert scored.counts["keyframes"] == scored.counts["clips"] == 45 + 40
    assert scored.counts["boxes"] == 41 + 20 + 30
    table = detected(scored.out)
    truth = {
        (video, frame): box
        for video, tubes in tube_truth().tubes.items()
        for tube in tubes
        for frame, box in zip(tube.frames.tolist(), tube.boxes_xyxy, strict=True)
        if tube.action_id == 1
    }
    of_two = table.video_index == table.video_ids.index("throw/two")
    frames = table.timestamps_seconds[of_two]
    assert set(frames) == set(range(5, 46))
    expected = [truth["throw/two", int(frame)] for frame in frames]
    np.testing.assert_allclose(table.boxes_fraction[of_two], expected, atol=0.01)  # pixels; csv has six decimals


def test_labelled_frames_alone_in_the_other_division(world, tmp_path):
    truth = tube_truth()
    fewer = dict(truth.tubes) | {"jump/one": (tube("jump/one", 0, 3, 6), tube("jump/one", 1, 5, 9))}
    write_tube_annotations(tmp_path / "GT.pkl", replace(truth, tubes=fewer))
    data = {"kind": "tubes", "split": 2, "test_frames": "labelled"}
    result = bench(world, tmp_path / "out", ground_truth=tmp_path / "GT.pkl", data=data)
    assert (result.counts["videos"], result.counts["keyframes"], result.counts["boxes"]) == (1, 7, 9)


def test_a_softmax_counts_each_box_once_in_multisports(world, tmp_path):
    data = {"kind": "tubes", "test_frames": "labelled"}
    once = bench(world, tmp_path, name="softmax", data=data)
    assert once.counts["rows"] == once.counts["boxes"] == 91
    assert (detected(tmp_path).scores >= 1 / len(NAMES)).all()


def test_boxes_of_a_file_count_frames(world, tmp_path):
    boxes = np.array([[0.1, 0.1, 0.6, 0.9, 0.9], [0.5, 0.1, 0.9, 0.9, 0.2]])
    content = {"throw/two.mp4,0007": boxes, "three,40": boxes, "jump/one,3": boxes}
    (tmp_path / "boxes.pkl").write_bytes(pickle.dumps(content))
    bench(world, tmp_path / "out", boxes=tmp_path / "boxes.pkl", min_person_score=0.5)
    table = detected(tmp_path / "out")
    places = {(table.video_ids[v], t) for v, t in zip(table.video_index, table.timestamps_seconds, strict=True)}
    assert places == {("throw/two", 7), ("throw/three", 40)}


def test_a_finished_run_is_not_done_again_and_a_missing_video_is_named(world, scored, tmp_path):
    again = bench(world, scored.out)
    assert again.seconds["action"] == scored.seconds["action"]
    videos = Path(shutil.copytree(world / "videos", tmp_path / "videos"))
    (videos / "throw/two.mp4").unlink()
    partly = bench(world, tmp_path / "out", videos=videos, data={"kind": "tubes", "test_frames": "labelled"})
    (problem,) = partly.problems
    assert "1 of the 2 videos of the ground truth are not in" in problem and "throw/two" in problem
    assert "their 41 keyframes count as not found" in problem
    assert partly.score.to_json()["mAP"] < scored.score.to_json()["mAP"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exclude": "x.csv"}, "`exclude`: not for tubes, whose pickle says which frames and actions count"),
        ({"label_map": "x.pbtxt"}, "`label_map`: not for tubes"),
        ({"start_seconds": 900.0}, "`start_seconds`: not for tubes"),
        ({"dialect": "official"}, "`dialect` is multisports or act, got 'official'"),
        ({"detector": "builtin"}, "`boxes` gives the people, so there is nothing for a `detector` to find"),
    ],
)
def test_options_that_tubes_do_not_take(world, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        bench(world, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_video_without_a_size_is_refused_before_any_is_scored(world, tmp_path):
    write_tube_annotations(tmp_path / "GT.pkl", tube_truth(resolutions={"throw/two": (48, 80)}))
    with pytest.raises(FormatError, match="video 'throw/three' has no resolution"):
        bench(world, tmp_path / "out", ground_truth=tmp_path / "GT.pkl")
    assert not (tmp_path / "out").exists()
