"""AVA's data set on videos whose every frame tells its number: 80x48 pixels, 30 fps, 4 s."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import SMALL_CONFIG, lively_model
from PIL import Image
from torch.utils.data import DataLoader
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.samples import collate, network_input
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.errors import ConfigError, FormatError, VideoError
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import normalize

CLIP = {"num_frames": 8, "sampling_rate": 4, "short_side": 32}
TRUTH = """one,1,0.1,0.1,0.5,0.9,12,0
one,1,0.1,0.1,0.5,0.9,80,0
one,1,0.6,0.2,0.9,0.8,11,1
one,2,0.2,0.2,0.45,0.45,1,0
two,2,0,0,1,1,14,3
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "videos").mkdir()
    write_numbered_video(folder / "videos" / "one.mp4", constant_rate(120, 30))
    write_numbered_video(folder / "videos" / "two.mp4", constant_rate(120, 30), width=48, height=80)
    (folder / "gt.csv").write_text(TRUTH)
    return folder


def config_of(world: Path, *, split=None, data=None, **sections) -> Config:
    files = {"annotations": str(world / "gt.csv"), "videos": str(world / "videos")} | (split or {})
    data = {"train": files, "val": files, "short_side": [40, 60], "crop": 32} | (data or {})
    return Config.model_validate({"clip": CLIP, "data": data} | sections)


def numbers(sample) -> list[int]:
    return [frame_number(image) for image in sample.frames.numpy()]


def same(one, other) -> bool:
    return (
        torch.equal(one.frames, other.frames)
        and torch.equal(one.labels, other.labels)
        and torch.equal(one.boxes_xyxy, other.boxes_xyxy)
        and (one.video_id, one.timestamp_seconds) == (other.video_id, other.timestamp_seconds)
    )


def test_the_frames_around_each_keyframe(world):
    dataset = build_dataset(config_of(world), "val", training=False)
    assert list(dataset.keys) == [("one", 1.0), ("one", 2.0), ("two", 2.0)]
    assert len(dataset) == 3
    assert numbers(dataset[0]) == [14, 18, 22, 26, 30, 34, 38, 42]
    assert numbers(dataset[1]) == [44, 48, 52, 56, 60, 64, 68, 72]
    assert (dataset[1].video_id, dataset[1].timestamp_seconds) == ("one", 2.0)
    assert np.flatnonzero(dataset[0].labels[0]).tolist() == [11, 79]


def test_a_training_sample_shows_the_same_moment(world):
    whole = {"crop": None, "flip": 0, "short_side": [48, 48]}
    dataset = build_dataset(config_of(world, data=whole), "train", training=True)
    assert numbers(dataset[0]) == [14, 18, 22, 26, 30, 34, 38, 42]
    assert dataset[0].frames.shape == (8, 48, 80, 3)
    torch.testing.assert_close(dataset[0].boxes_xyxy[1], torch.tensor([48.0, 9.6, 72.0, 38.4]))


def test_start_seconds_is_where_the_file_begins(world):
    dataset = build_dataset(config_of(world, data={"start_seconds": 0.5}), "val", training=False)
    assert dataset[0].timestamp_seconds == 0.5
    assert numbers(dataset[0])[4] == 15
    assert dataset.keys[0] == ("one", 1.0)


@pytest.mark.parametrize("rule", ["pyslowfast", "alphaction", "mmaction2"])
def test_a_test_sample_is_what_the_pipeline_gives_the_network(world, monkeypatch, rule):
    roi = {"roi": {"box_rule": rule}}
    model = lively_model(model=SMALL_CONFIG["model"] | roi)
    seen = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda clip, rois: seen.append((clip, rois)) or forward(clip, rois))
    people = PrecomputedBoxes(world / "gt.csv", last_column="person_id")
    for video in ("one", "two"):
        list(Pipeline(people, Scorer(model, execution="eager"))(world / f"videos/{video}.mp4"))
    dataset = build_dataset(config_of(world, model=roi), "val", training=False)
    assert len(seen) == len(dataset) == 3
    for index, (clip, rois) in enumerate(seen):
        batch = collate([dataset[index]])
        torch.testing.assert_close(network_input(batch.frames, (0.45,) * 3, (0.225,) * 3), clip)
        # Boxes of up to 60 pixels in float32, whose steps are 4e-6 there.
        torch.testing.assert_close(
            batch.rois[batch.rois[:, 1].argsort()], rois[rois[:, 1].argsort()], rtol=0, atol=1e-5
        )


def test_a_sample_depends_on_seed_epoch_and_number_alone(world):
    dataset = build_dataset(config_of(world), "train", training=True)
    again = build_dataset(config_of(world), "train", training=True)
    other_seed = build_dataset(config_of(world, train={"seed": 1}), "train", training=True)
    later = [dataset[(3, 1)], dataset[(2, 0)], dataset[(3, 0)]]
    assert same(again[(3, 0)], later[2])
    assert same(dataset[0], again[(0, 0)])
    assert not same(later[1], later[2])
    assert not same(other_seed[(3, 0)], later[2])


@pytest.mark.parametrize(("num_workers", "context"), [(2, "fork"), pytest.param(1, "spawn", marks=pytest.mark.slow)])
def test_workers_change_nothing(world, num_workers, context):
    dataset = build_dataset(config_of(world), "train", training=True)
    order = [(1, 2), (1, 0), (1, 1)]
    loader = DataLoader(
        dataset, sampler=order, batch_size=2, collate_fn=list, num_workers=num_workers, multiprocessing_context=context
    )
    samples = [sample for batch in loader for sample in batch]
    assert all(same(sample, dataset[key]) for sample, key in zip(samples, order, strict=True))


def test_clips_of_different_widths_make_one_batch(world):
    dataset = build_dataset(config_of(world), "val", training=False)
    batch = collate([dataset[0], dataset[2], dataset[1]])
    assert batch.frames.shape == (3, 8, 53, 53, 3)
    assert batch.rois[:, 0].tolist() == [0, 0, 1, 2]
    assert batch.labels.shape == (4, 80)
    assert batch.keys == (("one", 1.0), ("two", 2.0), ("one", 2.0))
    assert batch.frames[0, :, 32:].max() == 0 and batch.frames[1, :, :, 32:].max() == 0
    assert torch.equal(batch.frames[1, :, :53, :32], dataset[2].frames)


def test_people_outside_the_crop_take_their_labels_with_them(world):
    """The two people of the first keyframe fill columns 5 to 27 and 32 to 48 of 53; the crop is 32 wide."""
    data = {"short_side": [32, 32], "flip": 0, "min_visible": 0.9}
    dataset = build_dataset(config_of(world, data=data), "train", training=True)
    first_labels = {tuple(np.flatnonzero(row)) for row in dataset.table.label_matrix(0)}
    met = set()
    for epoch in range(12):
        sample = dataset[(epoch, 0)]
        rows = [tuple(np.flatnonzero(row)) for row in sample.labels]
        assert len(rows) == len(sample.boxes_xyxy) and set(rows) <= first_labels
        met.add(len(rows))
    assert met == {1, 2}


def test_a_keyframe_without_people_is_a_sample_of_a_test_and_batches(world, tmp_path):
    truth = tmp_path / "gt.csv"
    truth.write_text(TRUTH + "two,1\n")
    dataset = build_dataset(config_of(world, split={"annotations": str(truth)}), "val", training=False)
    sample = dataset[2]
    assert (sample.video_id, sample.boxes_xyxy.shape, sample.labels.shape) == ("two", (0, 4), (0, 80))
    batch = collate([sample, dataset[0]])
    assert batch.rois[:, 0].tolist() == [1, 1]
    assert dataset.boxes_fraction(2).shape == (0, 4)


def test_the_columns_are_those_of_the_label_map(world):
    config = config_of(world, labels={"ids": [80, 11]}, model={"head": {"num_classes": 2}})
    dataset = build_dataset(config, "train", training=True)
    assert [action.id for action in dataset.label_map] == [80, 11]
    np.testing.assert_array_equal(dataset.table.label_matrix(0), [[1, 0], [0, 1]])
    assert dataset.table.unknown_labels == {1: 1, 12: 1, 14: 1}


def test_missing_videos_are_named_before_the_first_sample(world, tmp_path):
    truth = tmp_path / "gt.csv"
    truth.write_text(TRUTH + "".join(f"gone_{i},1,0,0,1,1,12,0\n" for i in range(5)))
    with pytest.raises(VideoError, match=r"5 of the 7 .* gone_0, gone_1, gone_2 and 2 more.*\(listed in .*csv\)"):
        build_dataset(config_of(world, split={"annotations": str(truth)}), "train", training=True)


def test_a_keyframe_behind_the_end_is_named(world, tmp_path):
    truth = tmp_path / "gt.csv"
    truth.write_text(TRUTH + "one,9,0,0,1,1,12,0\n")
    dataset = build_dataset(config_of(world, split={"annotations": str(truth)}), "train", training=True)
    with pytest.raises(
        VideoError, match=r"one\.mp4: second 9 lies outside the video, which ends at 4\.00 s; .*data check"
    ):
        dataset[2]


def test_a_file_that_is_no_video_is_named(world, tmp_path):
    (tmp_path / "one.mp4").write_bytes(b"no video")
    shutil.copy(world / "videos" / "two.mp4", tmp_path)
    dataset = build_dataset(config_of(world, split={"videos": str(tmp_path)}), "train", training=True)
    with pytest.raises(VideoError, match=r"one\.mp4 cannot be opened as a video .*data check"):
        dataset[0]


def test_damage_is_said_and_does_not_stop(world, tmp_path, shared):
    shutil.copy(shared / "videos" / "dc_corrupted.mp4", tmp_path / "one.mp4")
    (tmp_path / "gt.csv").write_text("one,3,0,0,1,1,12,0\n")
    config = config_of(world, split={"annotations": str(tmp_path / "gt.csv"), "videos": str(tmp_path)})
    dataset = build_dataset(config, "val", training=False)
    with pytest.warns(UserWarning, match=r"one\.mp4: damaged"):
        assert dataset[0].frames.shape[0] == 8


def test_a_split_that_is_not_there(world):
    config = config_of(world)
    config = config.model_copy(update={"data": config.data.model_copy(update={"val": None})})
    with pytest.raises(ConfigError, match=r"the config names no data\.val"):
        build_dataset(config, "val", training=False)


def test_a_wrong_number_is_an_index_error(world):
    dataset = build_dataset(config_of(world), "val", training=False)
    for number in (3, -1):
        with pytest.raises(IndexError, match="is not one of the 3"):
            dataset[number]


def test_kinetics_cuts_begin_where_their_names_say(world, tmp_path):
    shutil.copy(world / "videos" / "one.mp4", tmp_path / "ab_c_000012_000022.mp4")
    (tmp_path / "gt.csv").write_text("ab_c,13.0,0,0,1,1,12,-1\nab_c,14\n")
    split = {"annotations": str(tmp_path / "gt.csv"), "videos": str(tmp_path)}
    dataset = build_dataset(config_of(world, split=split), "train", training=True)
    assert list(dataset.keys) == [("ab_c", 13.0)]
    assert dataset[0].timestamp_seconds == 1.0
    tested = build_dataset(config_of(world, split=split), "val", training=False)
    assert numbers(tested[1])[4] == 60


@pytest.fixture
def frames(world, tmp_path) -> Path:
    """The videos as ``FRAMES/one/one_000001.png`` and on: png, so that their pixels are those of the video."""
    for name in ("one", "two"):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for number, frame in enumerate(VideoReader(world / "videos" / f"{name}.mp4"), start=1):
            Image.fromarray(frame.image).save(tmp_path / "frames" / name / f"{name}_{number:06d}.png")
    return tmp_path / "frames"


@pytest.mark.parametrize("resize", ["opencv", "swscale"])
def test_extracted_frames_give_what_the_videos_give(world, frames, resize):
    clip = CLIP | {"resize": resize}
    from_frames = build_dataset(
        config_of(world, split={"videos": None, "frames": str(frames)}, clip=clip), "val", training=False
    )
    from_videos = build_dataset(config_of(world, clip=clip), "val", training=False)
    for index in range(3):
        one, other = from_frames[index], from_videos[index]
        assert numbers(one) == numbers(other)
        if resize == "opencv":
            assert same(one, other)
        else:
            # swscale rounds once on the way from YUV to small RGB, and twice by way of large RGB.
            assert np.abs(one.frames.numpy().astype(int) - other.frames.numpy().astype(int)).mean() < 2


def test_extracted_frames_take_offsets_and_the_rounded_size(world, frames):
    offsets = [-29, -21, -13, -5, 3, 11, 19, 27]
    clip = {"num_frames": 8, "short_side": 34, "frame_offsets": offsets, "long_side": "round"}
    from_frames = build_dataset(
        config_of(world, split={"videos": None, "frames": str(frames)}, clip=clip), "val", training=False
    )
    from_videos = build_dataset(config_of(world, clip=clip), "val", training=False)
    assert numbers(from_frames[1]) == [60 + offset for offset in offsets]
    # 80x48 at 34: 56.67 pixels wide, which is rounded up.
    assert from_frames[1].frames.shape == (8, 34, 57, 3)
    assert all(same(from_frames[index], from_videos[index]) for index in range(3))


def test_the_edges_of_extracted_frames_repeat(world, frames):
    config = config_of(world, split={"videos": None, "frames": str(frames)}, data={"start_seconds": 1.0})
    assert numbers(build_dataset(config, "val", training=False)[0]) == [0, 0, 0, 0, 0, 4, 8, 12]


def test_faults_of_extracted_frames_are_named(world, frames):
    config = config_of(world, split={"videos": None, "frames": str(frames)})
    dataset = build_dataset(config, "val", training=False)
    (frames / "one" / "one_000031.png").write_bytes(b"")
    with pytest.raises(VideoError, match=r"one_000031\.png: the frame cannot be read"):
        dataset[0]
    (frames / "two" / "two_000031.png").unlink()
    with pytest.raises(VideoError, match=r"two: of the frames 1 to 120 only 119 are there"):
        dataset[2]
    shutil.rmtree(frames / "two")
    with pytest.raises(VideoError, match=r"1 of the 2 videos .* are not there: two"):
        build_dataset(config, "val", training=False)


def test_network_input_is_normalize(world):
    dataset = build_dataset(config_of(world), "val", training=False)
    mean, std = (0.4, 0.45, 0.5), (0.2, 0.225, 0.25)
    expected = normalize(dataset[0].frames.numpy(), mean, std)
    torch.testing.assert_close(network_input(dataset[0].frames[None], mean, std)[0], expected)


def test_the_padding_of_a_smaller_clip_is_0_after_normalising(world):
    large = build_dataset(config_of(world), "val", training=False)[0]
    small = replace(large, frames=large.frames[:, :-8, :-24])
    batch = collate([large, small])
    mean, std = (0.4, 0.45, 0.5), (0.2, 0.225, 0.25)
    first, second = network_input(batch.frames, mean, std, batch.sizes)  # [3, T, H, W] each
    torch.testing.assert_close(first, network_input(large.frames[None], mean, std)[0], rtol=0, atol=0)
    alone = network_input(small.frames[None], mean, std)[0]
    torch.testing.assert_close(second, torch.nn.functional.pad(alone, (0, 24, 0, 8)), rtol=0, atol=0)


def test_wrong_annotations_are_a_format_error(world, tmp_path):
    (tmp_path / "gt.csv").write_text("one,1,0,0\n")
    with pytest.raises(FormatError, match=r"gt\.csv, line 1"):
        build_dataset(config_of(world, split={"annotations": str(tmp_path / "gt.csv")}), "train", training=True)


def test_settings_reach_the_augmentation(world):
    data = {"short_side": [50, 70], "crop": 48, "flip": 0.25, "color_jitter": 0.1, "min_visible": 0.3}
    data["hsv_jitter"] = [20.0, 0.1, 0.2]
    dataset = build_dataset(config_of(world, data=data), "train", training=True)
    assert replace(dataset.augmentation) == dataset.augmentation
    assert vars(dataset.augmentation) == data | {"short_side": (50, 70), "hsv_jitter": (20.0, 0.1, 0.2)}
    assert dataset[0].frames.shape == (8, 48, 48, 3)
