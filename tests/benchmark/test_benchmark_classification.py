"""The benchmark of a classifier on toy sets laid out like Kinetics and Charades."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from benchmark_calls import as_arguments
from networks import SMALL_CONFIG, lively_model, save_pyslowfast
from tolerances import AVERAGED_SCORES, FP32_SCORES
from videos import constant_rate, write_numbered_video

from ava_detect.benchmark import run_benchmark
from ava_detect.benchmark.classification import SCORES, VideoScores, _read_scores, merge_views, score_classification
from ava_detect.config import load_config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.samples import network_input
from ava_detect.errors import AvaDetectError, FormatError
from ava_detect.structures.labels import Action, LabelMap

NAMES = ("a", "b", "c", "d")
LABELS = (0, 2, 1, 2)
VIEWS = [2, 3]


def model_section(activation):
    backbone = SMALL_CONFIG["model"]["backbone"]
    return {"task": "classification", "backbone": backbone, "head": {"num_classes": 3, "activation": activation}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Four videos, lists of both kinds, a config for each, and weights that fit both."""
    folder = tmp_path_factory.mktemp("classification")
    (folder / "videos").mkdir()
    # Of different rates, so that no view is that of another video.
    for name, fps in zip(NAMES, (30, 20, 25, 15), strict=True):
        write_numbered_video(folder / "videos" / f"{name}.mp4", constant_rate(60, fps), rate=fps)
    lines = [f"{name}.mp4 {label}" for name, label in zip(NAMES, LABELS, strict=True)]
    (folder / "kinetics.csv").write_text("\n".join(lines) + "\n")
    (folder / "charades.csv").write_text(
        'id,actions\na,"c000 0.0 1.0;c002 0.5 2.0"\nb,c002 0.0 1.0\nc,\nd,c000 1.0 2.0\n'
    )
    for kind, activation in (("kinetics", "softmax"), ("charades", "sigmoid")):
        val = {"annotations": str(folder / f"{kind}.csv"), "videos": str(folder / "videos")}
        data = {"kind": kind, "val": val, "test_views": VIEWS, "num_workers": 0}
        content = {"model": model_section(activation), "clip": SMALL_CONFIG["clip"], "data": data}
        (folder / f"{kind}.yaml").write_text(yaml.safe_dump(content))
    save_pyslowfast(lively_model(model=model_section("softmax")), folder / "weights.pyth")
    return folder


def bench(world, kind, out, **settings):
    return run_benchmark(world / f"{kind}.yaml", world / "weights.pyth", out, **as_arguments(settings))


def scores_by_view(world, kind):
    """The scores ``[videos, views, classes]`` of each view alone."""
    dataset = build_dataset(load_config(world / f"{kind}.yaml"), "val", training=False)
    model = lively_model(model=model_section("softmax" if kind == "kinetics" else "sigmoid"))
    frames = torch.stack([dataset[i].frames for i in range(len(dataset))])
    with torch.inference_mode():
        scores = [model.scores(network_input(clip[None], model.clip_settings.mean, model.clip_settings.std))[0]
                  for clip in frames]  # fmt: skip
    return torch.stack(scores).numpy().reshape(len(NAMES), 6, 3)


def written(out):
    return [VideoScores.from_line(line) for line in (out / SCORES).read_text().splitlines()]


def test_kinetics_is_the_mean_over_the_views(world, tmp_path):
    result = bench(world, "kinetics", tmp_path)
    wanted = scores_by_view(world, "kinetics").mean(axis=1)
    videos = written(tmp_path)
    assert [(video.video_id, video.labels) for video in videos] == [
        (f"{name}.mp4", (label,)) for name, label in zip(NAMES, LABELS, strict=True)
    ]
    np.testing.assert_allclose([video.scores for video in videos], wanted, atol=AVERAGED_SCORES)
    np.testing.assert_allclose(wanted.sum(axis=1), 1, atol=FP32_SCORES)
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["top1"] == np.mean(wanted.argmax(axis=1) == LABELS)
    assert content["top5"] == 1
    assert (content["num_videos"], content["num_views"], content["counts"]["clips"]) == (4, 6, 24)
    assert set(content["seconds"]) == {"data", "action", "evaluation"}
    assert result.all_well
    assert result.score.summary().endswith("over 4 videos of 6 views")


def test_charades_is_the_greatest_over_the_views(world, tmp_path):
    result = bench(world, "charades", tmp_path)
    views = scores_by_view(world, "charades")
    wanted = views.max(axis=1)
    videos = written(tmp_path)
    assert [video.labels for video in videos] == [(0, 2), (2,), (), (0,)]
    np.testing.assert_allclose([video.scores for video in videos], wanted, atol=AVERAGED_SCORES)
    assert not np.allclose(wanted, views.mean(axis=1), atol=1e-4)
    aps = []
    for column, right in ((0, {0, 3}), (2, {0, 1})):
        order = np.argsort(-wanted[:, column])
        ranks = [rank for rank, video in enumerate(order) if video in right]
        aps.append(np.mean([(i + 1) / (rank + 1) for i, rank in enumerate(ranks)]))
    assert result.score.metrics["mAP"] == pytest.approx(np.mean(aps))
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["per_class"]["2"] == {"name": "action 2", "ap": None}
    assert result.score.summary().endswith("over 2 classes and 4 videos of 6 views")


@pytest.mark.parametrize("settings", [{"clips_per_batch": 5}, {"workers": 2}])
def test_batches_and_workers_change_nothing(world, tmp_path, settings):
    bench(world, "kinetics", tmp_path / "one")
    config = load_config(world / "kinetics.yaml", [f"data.num_workers={settings.pop('workers', 0)}"])
    run_benchmark(config, world / "weights.pyth", tmp_path / "two", **as_arguments(settings))
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    np.testing.assert_allclose([v.scores for v in one], [v.scores for v in two], atol=AVERAGED_SCORES)


def test_a_cut_run_goes_on_and_ends_as_if_undisturbed(world, tmp_path):
    def interrupt(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench(world, "kinetics", tmp_path / "cut", on_progress=interrupt)
    assert [video.video_id for video in written(tmp_path / "cut")] == ["a.mp4", "b.mp4"]
    # A line that was cut while it was written is as good as none.
    path = tmp_path / "cut" / SCORES
    path.write_text(path.read_text()[:-9])
    seen = []

    def note(progress):
        if progress.unit:  # and no stage, such as loading the network
            seen.append(progress)

    bench(world, "kinetics", tmp_path / "cut", on_progress=note)
    bench(world, "kinetics", tmp_path / "whole")
    assert [progress.name for progress in seen] == ["b.mp4", "c.mp4", "d.mp4"]
    assert path.read_bytes() == (tmp_path / "whole" / SCORES).read_bytes()
    bench(world, "kinetics", tmp_path / "cut", on_progress=note)
    assert len(seen) == 3
    bench(world, "kinetics", tmp_path / "cut", on_progress=note, resume=False)
    assert len(seen) == 7
    with pytest.raises(AvaDetectError, match="made with other settings"):
        bench(world, "charades", tmp_path / "cut")


def test_a_video_that_cannot_be_read_is_left_out_and_named(world, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in NAMES:
        (videos / f"{name}.mp4").write_bytes((world / "videos" / f"{name}.mp4").read_bytes())
    (videos / "b.mp4").write_text("no video")
    result = bench(world, "kinetics", tmp_path / "out", videos=videos, clips_per_batch=4)
    assert not result.all_well
    assert len(result.problems) == 1
    assert "b.mp4 cannot be opened as a video" in result.problems[0]
    assert result.problems[0].endswith("b.mp4 is left out of the score")
    assert [video.video_id for video in written(tmp_path / "out")] == ["a.mp4", "c.mp4", "d.mp4"]
    assert (result.score.num_videos, result.counts["videos"], result.counts["videos_failed"]) == (3, 4, 1)
    (videos / "b.mp4").write_bytes((world / "videos" / "b.mp4").read_bytes())
    assert bench(world, "kinetics", tmp_path / "out", videos=videos).all_well
    assert [video.video_id for video in written(tmp_path / "out")] == [f"{name}.mp4" for name in NAMES]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("kinetics", {"boxes": "x.csv", "flip": True}, "`boxes`, `flip`: this config is a classifier"),
        ("kinetics", {"dialect": "pyslowfast"}, "`dialect`: this config is a classifier"),
        ("kinetics", {"videos": "gone"}, "4 of 4 listed videos are not there"),
        ("charades", {"ground_truth": "gone.csv"}, r"gone\.csv: the list cannot be read"),
    ],
)
def test_a_wrong_call_is_refused_before_any_work(world, tmp_path, kind, settings, message):
    with pytest.raises(AvaDetectError, match=message):
        bench(world, kind, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_kind_that_does_not_fit_the_task_is_refused(world, tmp_path):
    config = load_config(world / "kinetics.yaml", ["data.kind=ava"])
    with pytest.raises(AvaDetectError, match=r"data\.kind ava does not fit model.task classification"):
        run_benchmark(config, world / "weights.pyth", tmp_path / "out")


def test_merging_by_hand():
    views = [np.array([0.1, 0.9], np.float32), np.array([0.5, 0.3], np.float32)]
    np.testing.assert_allclose(merge_views(views, "kinetics"), [0.3, 0.6], atol=AVERAGED_SCORES)
    np.testing.assert_array_equal(merge_views(views, "charades"), np.array([0.5, 0.9], np.float32))


def test_a_line_keeps_every_bit():
    video = VideoScores("a/b é.mp4", (1, 3), np.random.default_rng(0).random(5, np.float32))
    again = VideoScores.from_line(video.to_line())
    assert (again.video_id, again.labels) == (video.video_id, video.labels)
    np.testing.assert_array_equal(again.scores, video.scores)


def test_no_video_at_all_is_no_score():
    label_map = LabelMap((Action(1, "one"), Action(2, "two")))
    assert score_classification([], label_map, "kinetics", 30).to_json()["top1"] is None
    assert score_classification([], label_map, "charades", 30).to_json()["mAP"] is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no JSON"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ('{"video_id": "b", "labels": [0]}', "scores is missing"),
        ('{"video_id": "b", "labels": [0], "scores": [null]}', "scores is a number, got None"),
        ('{"video_id": "b", "labels": [0], "scores": [1e300]}', "scores is a number from -1e.09 to 1e.09"),
        ('{"video_id": "b", "labels": [1' + "0" * 5000 + '], "scores": [0]}', "thousands of digits"),
    ],
)
def test_scores_that_were_edited_are_named_with_their_line(tmp_path, line, reason):
    path = tmp_path / SCORES
    path.write_text(VideoScores("a", (0,), np.zeros(3, np.float32)).to_line() + line + "\n")
    with pytest.raises(FormatError, match=rf"scores\.jsonl, line 2: cannot be read \(.*{reason}.*`resume=False`"):
        _read_scores(path)
