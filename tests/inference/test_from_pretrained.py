"""A pipeline in one line, and what it gives: tables, dictionaries, pictures, and the way to other libraries."""

from __future__ import annotations

import json
import warnings

import fsspec
import numpy as np
import pandas as pd
import pytest
from fixed_detector import FixedDetector
from networks import lively_model, small_config_file
from videos import constant_rate, write_numbered_video

from ava_detect import Pipeline, PrecomputedBoxes, read_results
from ava_detect.annotation.annotate import annotate_videos
from ava_detect.errors import AvaDetectError, AvaDetectWarning, ConfigError, DetectorError, WeightsError
from ava_detect.models.zoo import DEMO_NOTE, SHIPPED, UNTRAINED_NOTE
from ava_detect.structures import PersonBoxes
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo

BOX = (8.0, 4.0, 40.0, 44.0)  # of a frame of 80 x 48 pixels


def one_person(image: np.ndarray) -> PersonBoxes:
    return PersonBoxes([BOX], [0.75])


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_numbered_video(tmp_path_factory.mktemp("movies") / "movie.mp4", constant_rate(70, 30))


@pytest.fixture(scope="module")
def pipeline():
    with pytest.warns(AvaDetectWarning, match=DEMO_NOTE) as caught:
        pipeline = Pipeline.from_pretrained("demo", detector=one_person, device="cpu")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return pipeline


def test_two_lines_give_a_table(pipeline, video):
    table = pipeline(video).to_pandas(min_score=0.0)
    assert table["timestamp_seconds"].unique().tolist() == [0, 1, 2]
    assert len(table) == 3 * len(pipeline.label_map)
    assert table["person_score"].unique().tolist() == [0.75]
    np.testing.assert_allclose(table.loc[0, ["x1", "y1", "x2", "y2"]].tolist(), [0.1, 4 / 48, 0.5, 44 / 48], atol=1e-6)


def test_a_pipeline_gives_what_annotate_writes(video, tmp_path):
    """The same detector, network and threshold, from the same names."""
    small_config_file(tmp_path)
    config = str(tmp_path / "small.yaml")
    settings = {"config": config, "overrides": ["detector.min_score=0.1"], "device": "cpu"}
    summary = annotate_videos(video, tmp_path / "out", weights="random", every_seconds=2, **settings)
    with pytest.warns(AvaDetectWarning, match="untrained"):
        pipeline = Pipeline.from_pretrained("random", every_seconds=2, **settings)
    run = pipeline(video)
    pd.testing.assert_frame_equal(run.to_pandas(), summary.to_pandas())
    assert summary.results().note == UNTRAINED_NOTE == run.collect().note


def test_iterating_streams_and_collecting_keeps(pipeline, video):
    run = pipeline(video)
    first = next(run)
    assert first.timestamp_seconds == 0
    assert first.note == DEMO_NOTE
    with pytest.raises(AvaDetectError, match="has given 1 keyframe already, so it cannot give all of them together"):
        run.to_pandas()
    assert [keyframe.timestamp_seconds for keyframe in run] == [1, 2]
    run = pipeline(video)
    pd.testing.assert_frame_equal(run.to_pandas(), run.to_pandas())
    assert [keyframe.timestamp_seconds for keyframe in run] == [0, 1, 2] == [k.timestamp_seconds for k in run.collect()]
    assert len(list(pipeline(video))) == 3
    closed = pipeline(video)
    closed.close()
    with pytest.raises(AvaDetectError, match="was closed"):
        closed.collect()


def test_dictionaries_hold_plain_values(pipeline, video):
    values = pipeline(video).to_dict(min_score=0.5)
    assert json.loads(json.dumps(values)) == values
    assert values["source"] == str(video)
    person = values["keyframes"][0]["people"][0]
    assert (person["track_id"], person["score"]) == (1, 0.75)
    assert values["keyframes"][0]["note"] == DEMO_NOTE


def test_pictures_of_a_run(pipeline, video, monkeypatch, tmp_path):
    run = pipeline(video)
    before = run._repr_html_()
    assert "base64" in before
    assert "to_pandas()" in before
    keyframe = next(run)
    assert (run.num_keyframes, "base64" in run._repr_html_()) == (1, True)
    monkeypatch.chdir(tmp_path)
    drawn = keyframe.draw()
    assert drawn.shape == (48, 80, 3)
    image = next(iter(VideoReader(video))).image
    np.testing.assert_array_equal(keyframe.draw(image), drawn)
    whole = pipeline(video)
    assert whole.draw().ndim == 3
    assert "best score" in whole._repr_html_()


def test_a_relative_path_is_found_from_another_folder(pipeline, video, monkeypatch, tmp_path):
    monkeypatch.chdir(video.parent)
    keyframe = next(pipeline("movie.mp4"))
    monkeypatch.chdir(tmp_path)
    assert keyframe.draw().shape == (48, 80, 3)


def test_showing_without_a_screen_says_what_else_to_do(pipeline, video, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(AvaDetectError, match=r"no screen .*`draw\(\)`"):
        next(pipeline(video)).show()


def test_representations_have_names_and_sizes(pipeline, video):
    assert repr(pipeline).startswith("Pipeline(detector='one_person', actions=")
    run = pipeline(video)
    assert repr(run).startswith("VideoRun('movie', size=80x48, seconds=2.3")
    assert repr(next(run)).startswith(
        "KeyframeResult('movie', t=0s, people=1, boxes_fraction=[1, 4], action_scores=[1, "
    )


def test_people_are_selected_as_before(pipeline, video):
    keyframe = next(pipeline(video))
    nobody = keyframe[keyframe.person_scores > 0.9]
    assert (len(nobody), type(nobody)) == (0, type(keyframe))
    assert nobody.to_pandas().dtypes.equals(keyframe.to_pandas().dtypes)
    assert nobody.to_pandas(wide=True).dtypes.equals(keyframe.to_pandas(wide=True).dtypes)
    assert nobody.note == DEMO_NOTE


def test_an_address_is_a_source(pipeline, video):
    fsspec.filesystem("memory").pipe_file("/movies/far.mp4", video.read_bytes())
    far, near = pipeline("memory://movies/far.mp4"), pipeline(video)
    np.testing.assert_array_equal(next(far).draw(), next(near).draw())
    with RemoteVideo("memory://movies/far.mp4") as opened:
        assert pipeline(opened).to_dict()["source"] == "memory://movies/far.mp4"
    fsspec.filesystem("memory").rm("/movies", recursive=True)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"weights": "slowfast_r50_32x"}, WeightsError, "did you mean"),
        ({"weights": "demo", "device": "tpu"}, ConfigError, "`device` is auto, cpu or cuda, got 'tpu'"),
        ({"weights": "demo", "precision": "fp8"}, ConfigError, "`precision` is"),
        ({"weights": "demo", "detector": "yolo"}, DetectorError, "there is no kind 'yolo'"),
        (
            {"weights": "demo", "detector": 7},
            DetectorError,
            "a function from an image to supervision.Detections; got int",
        ),
        ({"weights": "demo", "detector": FixedDetector}, DetectorError, "got type"),
        (
            {"weights": "demo", "detector": FixedDetector(), "min_person_score": 0.5},
            DetectorError,
            "lowest score of its",
        ),
        ({"weights": "demo", "every_seconds": 0}, AvaDetectError, "keyframes must be a positive number"),
        ({"weights": "demo", "config": "kinetics_slow_r50_8x8"}, ConfigError, "classif"),
    ],
)
def test_what_cannot_be_is_said_at_once(settings, error, message, monkeypatch):
    def loading(*args):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr("ava_detect.inference.build.build_with_weights", loading)
    with pytest.raises(error, match=message):
        Pipeline.from_pretrained(settings.pop("weights"), **settings)


def test_trained_weights_warn_of_nothing(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(SHIPPED["demo"].read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = Pipeline.from_pretrained(tmp_path / "mine.safetensors", device="cpu")
    assert pipeline.note == ""


# supervision


def test_a_function_of_another_library_is_a_detector(video):
    sv = pytest.importorskip("supervision", reason="supervision is not installed (the extra [test])")
    seen = []

    def detect(image: np.ndarray) -> sv.Detections:
        seen.append(image.shape)
        boxes = np.array([[0, 0, 20, 20], BOX, [30, 10, 500, 400], [-9, -9, -1, -1]], np.float32)
        return sv.Detections(boxes, confidence=np.array([0.2, 0.6, 0.9, 0.9], np.float32), class_id=np.zeros(4, int))

    keyframe = next(Pipeline(detect, lively_model())(video))
    assert seen[0] == (48, 80, 3)
    assert keyframe.person_scores.tolist() == [np.float32(0.9), np.float32(0.6), np.float32(0.2)]
    np.testing.assert_allclose(keyframe.boxes_fraction[0], [30 / 80, 10 / 48, 1, 1], atol=1e-6)
    with pytest.warns(AvaDetectWarning):
        pipeline = Pipeline.from_pretrained("demo", detector=detect, min_person_score=0.5, device="cpu")
    assert len(next(pipeline(video))) == 2


def test_a_function_that_returns_something_else_is_named(video):
    run = Pipeline(lambda image: [1, 2, 3], lively_model())(video)
    with pytest.raises(DetectorError, match=r"the function must return supervision.Detections.*got list"):
        next(run)


def test_to_supervision_and_back(pipeline, video):
    sv = pytest.importorskip("supervision", reason="supervision is not installed (the extra [test])")
    results = pipeline(video).collect()
    found = {keyframe.timestamp_seconds: keyframe.to_supervision() for keyframe in results}
    people = found[1.0]
    assert isinstance(people, sv.Detections)
    np.testing.assert_allclose(people.xyxy, [BOX], atol=1e-4)
    assert (people.confidence.tolist(), people.tracker_id.tolist()) == ([0.75], [1])
    best = results[1].to_dict()["people"][0]["actions"][0]
    assert people.class_id.tolist() == [best["id"]]
    assert people["class_name"].tolist() == [best["name"]]
    assert people["action_scores"].shape == (1, len(pipeline.label_map))
    assert people["action_names"][0].tolist() == [action.name for action in pipeline.label_map]
    assert people.metadata["note"] == DEMO_NOTE
    assert len(results[1][:0].to_supervision((80, 48))) == 0
    with pytest.raises(ConfigError, match="`size`"):
        results[1].to_supervision((0, 48))

    boxes = PrecomputedBoxes.from_supervision(found, (80, 48), video_id="movie")
    again = Pipeline(boxes, pipeline.scorer, label_map=pipeline.label_map, note=pipeline.note)(video)
    pd.testing.assert_frame_equal(again.to_pandas(), results.to_pandas(), rtol=1e-4)
    assert len(sv.BoxAnnotator().annotate(next(iter(VideoReader(video))).image.copy(), people)) == 48


def test_saved_results_lead_to_supervision(video, tmp_path):
    pytest.importorskip("supervision", reason="supervision is not installed (the extra [test])")
    path = tmp_path / "movie.csv"
    path.write_text("movie,0,0.1,0.1,0.5,0.9,12,0.8\nmovie,0,0.1,0.1,0.5,0.9,80,0.4\n")
    people = read_results(path, videos=video.parent)["movie"][0].to_supervision()
    assert (people.class_id.tolist(), people["action_ids"].tolist()) == ([12], [[12, 80]])
    np.testing.assert_allclose(people.xyxy, [[8, 4.8, 40, 43.2]], atol=1e-4)
