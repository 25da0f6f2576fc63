from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from concurrency import wait_until
from fixed_detector import FixedDetector
from networks import lively_model, torch_threads
from tolerances import AVERAGED_SCORES, BOX_FRACTIONS, FP32_SCORES, GPU_SCORES
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.errors import ConfigError, DetectorError, VideoError
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import PlannedScorer, Scorer
from ava_detect.structures import ClipSettings
from ava_detect.structures.labels import LabelMap
from ava_detect.video.reader import DecodedFrame
from ava_detect.video.writer import VideoWriter

PEOPLE = ((0.1, 0.1, 0.5, 0.9), (0.4, 0.2, 0.95, 0.8))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_numbered_video(tmp_path_factory.mktemp("pipeline") / "a.mp4", constant_rate(170, 30))


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    return write_numbered_video(tmp_path_factory.mktemp("pipeline") / "long.mp4", constant_rate(600, 30))


@pytest.fixture(scope="module")
def model():
    return lively_model()


@pytest.fixture(params=[1, 2], ids=["one at a time", "two at once"])
def calls_at_once(request):
    """The number of clips that a new pipeline scores in parallel."""
    with torch_threads(request.param):
        yield request.param


def scores_by_second(run) -> dict[float, np.ndarray]:
    return {keyframe.timestamp_seconds: keyframe.action_scores for keyframe in run}


def test_a_run_that_starts_before_its_network_gives_the_same(video, model):
    expected = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model)(video))
    scorer = Scorer(model)
    planned = PlannedScorer(scorer.clip_settings, scorer.num_actions, scorer.clips_per_batch)
    pipeline = Pipeline(FixedDetector(*PEOPLE), planned)
    run = pipeline(video)
    run.start()
    wait_until(lambda: run.seconds["detect"] > 0)
    pipeline.scorer = scorer
    assert all(np.array_equal(scores, expected[second]) for second, scores in scores_by_second(run).items())
    assert run.num_keyframes == len(expected)


def test_a_run_that_starts_and_is_not_wanted_ends_its_threads(video, model):
    before = threading.active_count()
    run = Pipeline(FixedDetector(*PEOPLE), model)(video)
    run.start()
    run.close()
    assert threading.active_count() <= before


def test_people_with_low_scores_are_left_out_unless_they_continue_a_track(video, model):
    """The scores are 0.9 and 0.5: above 0.5 the second person never begins a track; at 0.5 they do."""
    for new_person_score, counts in ((0.6, [1] * 6), (0.5, [2] * 6)):
        run = Pipeline(FixedDetector(*PEOPLE), model, new_person_score=new_person_score)(video)
        assert [len(keyframe) for keyframe in run] == counts
        # The video has three hard cuts, after each of which a person is counted as another.
        assert (run.num_boxes, run.num_people) == (sum(counts), 4 * counts[0])


def test_every_second_has_its_people(video, model, calls_at_once):
    detector = FixedDetector(*PEOPLE)
    run = Pipeline(detector, model)(video, video_id="movie")
    keyframes = list(run)
    assert [k.timestamp_seconds for k in keyframes] == [0, 1, 2, 3, 4, 5]
    assert [frame_number(f.image) for f in detector.seen] == [0, 30, 60, 90, 120, 150]
    assert {f.video_id for f in detector.seen} == {"movie"} == {k.video_id for k in keyframes}
    for keyframe in keyframes:
        np.testing.assert_allclose(keyframe.boxes_fraction, PEOPLE, atol=BOX_FRACTIONS)
        assert keyframe.action_scores.shape == (2, 80)
        assert ((keyframe.action_scores > 0) & (keyframe.action_scores < 1)).all()
        assert len(set(keyframe.track_ids.tolist())) == 2
    tracks = {track for keyframe in keyframes for track in keyframe.track_ids.tolist()}
    assert (run.num_keyframes, run.num_boxes, run.num_people) == (6, 12, len(tracks))
    assert min(run.seconds.values()) > 0
    assert run.video.damage() == ""
    # The clips differ, so the scores must.
    assert np.abs(keyframes[0].action_scores - keyframes[3].action_scores).max() > 1e-3


def test_tracks_end_at_a_hard_cut(tmp_path, model):
    """Grey for 1.5 s, then another grey."""
    path = tmp_path / "cut.mp4"
    with VideoWriter(path, 10) as writer:
        for index in range(30):
            writer.write(np.full((48, 80, 3), 60 if index < 15 else 190, np.uint8))
    run = Pipeline(FixedDetector(*PEOPLE), model)(path)
    assert [keyframe.track_ids.tolist() for keyframe in run] == [[1, 2], [1, 2], [3, 4]]
    assert run.cuts_seconds == pytest.approx((1.5,))


@pytest.mark.parametrize(("keyframes_per_batch", "clips_per_batch"), [(1, 1), (4, 3), (8, 8)])
def test_scores_do_not_depend_on_the_batch(video, model, keyframes_per_batch, clips_per_batch):
    expected = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model)(video))
    scorer = Scorer(model, clips_per_batch=clips_per_batch)
    batched = Pipeline(FixedDetector(*PEOPLE), scorer, keyframes_per_batch=keyframes_per_batch)
    for second, scores in scores_by_second(batched(video)).items():
        np.testing.assert_allclose(scores, expected[second], atol=FP32_SCORES)


def test_scores_do_not_depend_on_which_keyframes_are_asked_for(video, model):
    dense = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model, every_seconds=0.5)(video))
    sparse = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model, every_seconds=2.5)(video))
    assert list(sparse) == [0, 2.5, 5]
    for second, scores in sparse.items():
        np.testing.assert_array_equal(scores, dense[second])


def test_scores_do_not_depend_on_threads(video, model):
    with torch_threads(1):
        one = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model)(video))
    with torch_threads(2):
        two = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model, decoder_threads=3)(video))
    for second, scores in one.items():
        np.testing.assert_allclose(scores, two[second], atol=FP32_SCORES)


@pytest.mark.bf16
def test_bf16_stays_near_fp32(video, model):
    exact = scores_by_second(Pipeline(FixedDetector(*PEOPLE), model)(video))
    rough = scores_by_second(Pipeline(FixedDetector(*PEOPLE), Scorer(model, precision="bf16"))(video))
    differences = [np.abs(scores - rough[second]).max() for second, scores in exact.items()]
    # Real networks differ by about 0.005; this one's head is wide open on purpose. It must be near, and must be used.
    assert 0 < max(differences) < 0.2


def test_the_rois_that_the_network_gets(video, model, monkeypatch):
    """80x48 at short side 32 is 53x32; PySlowFast scales both ways by 53 / 80, and cuts at W - 1 and H - 1."""
    seen = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda clip, rois: seen.append((clip.shape, rois)) or forward(clip, rois))
    detector = FixedDetector((0, 0, 1, 1), (0.5, 0.25, 0.75, 0.5))
    list(Pipeline(detector, Scorer(model, clips_per_batch=2, execution="eager"))(video))
    shape, rois = seen[0]
    assert tuple(shape) == (2, 3, 8, 32, 53)
    expected = [[0, 0, 52, 31], [26.5, 7.95, 39.75, 15.9]]
    torch.testing.assert_close(rois, torch.tensor([[i, *box] for i in (0.0, 1.0) for box in expected]))


def test_a_box_outside_the_frame_is_dropped_and_one_across_its_edge_is_cut(video, model):
    run = Pipeline(FixedDetector((1.2, 0, 1.5, 1), (-0.5, 0.5, 0.5, 1.5)), model)(video)
    keyframe = next(run)
    np.testing.assert_allclose(keyframe.boxes_fraction, [[0, 0.5, 0.5, 1]], atol=BOX_FRACTIONS)
    # The first person's score was 0.9, the second's 0.5.
    assert keyframe.person_scores.tolist() == [0.5]


def test_keyframes_without_people_cost_no_forward_and_have_their_line(video, model, monkeypatch):
    monkeypatch.setattr(model, "forward", lambda *_: pytest.fail("the network was run without people"))
    keyframes = list(Pipeline(FixedDetector(), Scorer(model, execution="eager"))(video))
    assert [(k.timestamp_seconds, len(k), k.action_scores.shape) for k in keyframes] == [
        (float(second), 0, (0, 80)) for second in range(6)
    ]


def test_a_detector_that_needs_no_images_gets_the_frames_of_the_clip(video, model):
    detector = FixedDetector(*PEOPLE, needs_images=False)
    keyframes = list(Pipeline(detector, model)(video))
    assert {f.image.shape for f in detector.seen} == {(32, 53, 3)}
    assert [frame_number(f.image) for f in detector.seen] == [0, 30, 60, 90, 120, 150]
    np.testing.assert_allclose(keyframes[0].boxes_fraction, PEOPLE, atol=BOX_FRACTIONS)


def test_the_label_map_must_fit_the_model(model):
    with pytest.raises(ValueError, match="names 60 actions, but the model scores 80"):
        Pipeline(FixedDetector(), model, label_map=LabelMap.ava_evaluated())


def test_results_stream_and_a_slow_reader_stops_the_decoder(long_video, model, calls_at_once):
    """The first keyframes come before the video is read, and while the caller takes no more, no more is read."""
    run = Pipeline(FixedDetector(*PEOPLE), model, keyframes_per_batch=1)(long_video)
    next(run)
    read = -1
    while read != run.video.num_frames:
        read = run.video.num_frames
        time.sleep(0.5)
    # A clip ends 16 frames behind its keyframe: the first is scored, one waits for the network, two for the detector;
    # where two are scored at once, two more have been.
    assert read <= 16 + 30 * (4 if calls_at_once == 1 else 6)
    assert run.video.info.duration_seconds == pytest.approx(20)


def threads():
    """The package's threads that still run, but for runs that earlier tests dropped."""
    gc.collect()
    return [thread for thread in threading.enumerate() if thread.name.startswith("ava-detect")]


def test_a_run_that_is_closed_or_dropped_leaves_no_thread(long_video, model, calls_at_once):
    pipeline = Pipeline(FixedDetector(*PEOPLE), model)
    run, dropped = pipeline(long_video), pipeline(long_video)
    next(run)
    next(dropped)
    # Those that score are begun as there is work for them.
    assert 4 <= len(threads()) <= (4 if calls_at_once == 1 else 8)
    run.close()
    assert 2 <= len(threads()) <= (2 if calls_at_once == 1 else 4)
    assert list(run) == []
    del dropped
    assert not threads()


@pytest.mark.parametrize("stage", ["decode", "detect", "score"])
def test_an_error_in_any_thread_surfaces_and_ends_the_others(long_video, model, monkeypatch, stage, calls_at_once):
    detector = FixedDetector(*PEOPLE)
    pipeline = Pipeline(detector, model, keyframes_per_batch=1)

    def broken(*_, **__):
        raise VideoError(f"{stage} broke")

    run = pipeline(long_video)
    if stage == "decode":
        monkeypatch.setattr(DecodedFrame, "image", broken)
    else:
        monkeypatch.setattr(pipeline.scorer if stage == "score" else pipeline, stage, broken)
    with pytest.raises(VideoError, match=f"{stage} broke"):
        list(run)
    assert not threads()


def test_an_interrupt_ends_all_threads(long_video, model, monkeypatch, calls_at_once):
    pipeline = Pipeline(FixedDetector(*PEOPLE), model)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.scorer, "score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(pipeline(long_video))
    assert not threads()


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.bf16)])
def test_clips_scored_in_parallel_have_the_scores_of_one_alone(video, model, precision):
    """To the bit: each has one thread either way; and the threads that others use stay as they were."""
    with torch_threads(1):
        alone = scores_by_second(Pipeline(FixedDetector(*PEOPLE), Scorer(model, precision=precision))(video))
    with torch_threads(2):
        pipeline = Pipeline(FixedDetector(*PEOPLE), Scorer(model, precision=precision))
        seen = threads_of_calls(pipeline.scorer)
        together = scores_by_second(pipeline(video))
        here, elsewhere = torch.get_num_threads(), in_new_thread(torch.get_num_threads)
    assert set(seen) == {1}
    assert (here, elsewhere) == (2, 2)
    assert list(together) == list(alone)
    for second, scores in alone.items():
        np.testing.assert_array_equal(together[second], scores)


def threads_of_calls(scorer):
    """A list that each call of the scorer's network adds its number of threads to."""
    seen, consume = [], scorer.network.consume

    def counted(*inputs):
        seen.append(torch.get_num_threads())
        return consume(*inputs)

    scorer.network.consume = counted
    return seen


def in_new_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def test_the_threads_are_shared_out_by_rule(model):
    for threads, calls, share in ((1, 1, 1), (3, 3, 1), (4, 4, 1), (9, 4, 2)):
        with torch_threads(threads):
            scorer = Scorer(model)
            assert scorer.calls_at_once == calls
            assert in_new_thread(lambda: (scorer.start_thread(), torch.get_num_threads())[1]) == share  # noqa: B023


class Elsewhere:
    """A scorer without a network: each person's score is the clip's second over ten."""

    clip_settings = ClipSettings(num_frames=8, sampling_rate=4, short_side=32)
    num_actions, clips_per_batch, calls_at_once = 80, 2, 1

    def __init__(self):
        self.calls = []

    def start_thread(self):
        pytest.fail("there is one call at a time, so no thread is for scoring only")

    def score(self, clips, people):
        self.calls.append(len(clips))
        return [np.full((len(p), 80), c.timestamp_seconds / 10, np.float32) for c, p in zip(clips, people, strict=True)]


def test_the_network_may_be_elsewhere(video):
    scorer = Elsewhere()
    pipeline = Pipeline(FixedDetector(*PEOPLE), scorer)
    keyframes = list(pipeline(video))
    assert [float(k.action_scores.max()) for k in keyframes] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert scorer.calls == [2, 2, 2]
    with pytest.raises(ValueError, match="names 60 actions, but the model scores 80"):
        Pipeline(FixedDetector(), scorer, label_map=LabelMap.ava_evaluated())


def test_every_execution_gives_the_same_scores(video, model):
    eager = scores_by_second(Pipeline(FixedDetector(*PEOPLE), Scorer(model, execution="eager"))(video))
    fused = scores_by_second(Pipeline(FixedDetector(*PEOPLE), Scorer(model, execution="fused"))(video))
    for second, scores in eager.items():
        np.testing.assert_allclose(fused[second], scores, atol=FP32_SCORES)


@pytest.mark.gpu
def test_the_gpu_gives_the_scores_of_the_cpu(video):
    cpu = scores_by_second(Pipeline(FixedDetector(*PEOPLE), lively_model())(video))
    gpu = scores_by_second(
        Pipeline(FixedDetector(*PEOPLE), Scorer(lively_model(), device="cuda", clips_per_batch=8))(video)
    )
    for second, scores in cpu.items():
        np.testing.assert_allclose(gpu[second], scores, atol=GPU_SCORES)


@pytest.mark.gpu
def test_two_calls_at_once_on_the_gpu_give_the_scores_of_one(video):
    pipeline = Pipeline(FixedDetector(*PEOPLE), Scorer(lively_model(), device="cuda"))
    assert pipeline.scorer.calls_at_once == 2
    ordered_map = scores_by_second(pipeline(video))
    pipeline.scorer.calls_at_once = 1
    for second, scores in scores_by_second(pipeline(video)).items():
        np.testing.assert_allclose(ordered_map[second], scores, atol=AVERAGED_SCORES)


def test_a_classifier_is_refused():
    small = {"depths": [1, 1, 1, 1], "width": 8}
    classifier = build_model(Config.model_validate({"model": {"task": "classification", "backbone": small}}))
    with pytest.raises(ConfigError, match=r"this model is a classifier: .* whose model\.task is detection"):
        Pipeline(FixedDetector(), classifier)


@pytest.mark.parametrize("score", [1.01, 164.0, -0.1])
def test_a_detectors_scores_outside_0_to_1_are_refused(video, model, score):
    detector = FixedDetector(PEOPLE[0], scores=[score])
    with pytest.raises(DetectorError, match=rf"detector fixed: scores lie in 0\.\.1, got {score:g} in .* at 0 s"):
        next(Pipeline(detector, model)(video))
