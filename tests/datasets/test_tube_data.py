"""Data sets of tubes on videos whose every frame tells its number: frame n of a tube is the n-th frame of the file."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tube_sets import NAMES, tube_truth, write_images, write_set
from videos import frame_number

from ava_detect.config import Config
from ava_detect.config.build import label_map_of, self_contained
from ava_detect.datasets.build import build_dataset, true_rows
from ava_detect.datasets.tubes import ids_of_labels, with_ids_of
from ava_detect.errors import ConfigError, FormatError, VideoError
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import write_tube_annotations
from ava_detect.structures.labels import NO_ACTION, Action, LabelMap

CLIP = {"num_frames": 8, "sampling_rate": 2, "short_side": 48, "sampling_fps": 25.0}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = write_set(tmp_path_factory.mktemp("tubes"))
    write_images(folder / "frames")
    return folder


def config_of(world: Path, *, files=None, head=None, labels=None, clip=None, **data) -> Config:
    split = {"annotations": str(world / "GT.pkl"), "videos": str(world / "videos")} | (files or {})
    split = {name: value for name, value in split.items() if value is not None}
    return Config.model_validate(
        {
            "model": {"head": {"num_classes": len(NAMES)} | (head or {})},
            "clip": CLIP | (clip or {}),
            "labels": labels or {},
            "data": {"kind": "tubes", "train": split, "val": split, "short_side": [48, 48], "crop": 48, **data},
        }
    )


def numbers(sample) -> list[int]:
    return [frame_number(image) for image in sample.frames.numpy()]


def test_every_frame_of_a_tube_is_a_keyframe_and_its_own_frame_is_in_the_middle(world):
    dataset = build_dataset(config_of(world), "val", training=False)
    frames = {video: [n for name, n in dataset.keys if name == video] for video in ("throw/two", "throw/three")}
    assert frames == {"throw/two": list(range(5, 46)), "throw/three": list(range(1, 41))}
    middle = dataset.settings.keyframe_index
    for index in (0, 7, 40, 41, 60, 80):  # of 29.97 frames a second, then of 25
        video, number = dataset.keys[index]
        assert numbers(dataset[index])[middle] == number - 1, (video, number)
    train = build_dataset(config_of(world), "train", training=False)
    assert {video for video, _ in train.keys} == {"jump/one"}
    assert len(train) == 60


@pytest.mark.parametrize("sampling", ["time", "frames"])
def test_clips_of_a_video_of_the_grids_rate_are_every_second_frame(world, sampling):
    dataset = build_dataset(config_of(world, clip={"sampling": sampling}), "train", training=False)
    assert numbers(dataset[29]) == [21, 23, 25, 27, 29, 31, 33, 35]
    assert dataset[29].timestamp_seconds == pytest.approx(29 / 25)


@pytest.mark.parametrize("nested", [True, False])
def test_extracted_frames_are_the_same_samples(world, tmp_path, nested):
    frames = world / "frames" if nested else write_images(tmp_path / "flat", nested=False)
    of_videos = build_dataset(config_of(world), "train", training=False)
    of_frames = build_dataset(config_of(world, files={"videos": None, "frames": str(frames)}), "train", training=False)
    assert list(of_frames.keys) == list(of_videos.keys)
    for index in (0, 30, 59):
        assert numbers(of_frames[index]) == numbers(of_videos[index])
        assert torch.equal(of_frames[index].boxes_xyxy, of_videos[index].boxes_xyxy)


def test_videos_are_found_without_the_folder_of_their_id(world, tmp_path):
    for path in (world / "videos").rglob("*.mp4"):
        shutil.copy(path, tmp_path)
    flat = build_dataset(config_of(world, files={"videos": str(tmp_path)}), "val", training=False)
    assert numbers(flat[0])[flat.settings.keyframe_index] == 4
    (tmp_path / "two.mp4").unlink()
    with pytest.raises(VideoError, match=r"1 of the 2 videos that the annotations name are not there: throw/two;.*GT"):
        build_dataset(config_of(world, files={"videos": str(tmp_path)}), "val", training=False)


def test_labels_are_columns_and_boxes_are_fractions_of_the_resolution(world):
    dataset = build_dataset(config_of(world), "train", training=False)
    assert dataset.label_map == LabelMap((Action(1, "jump"), Action(2, "throw"), Action(3, "sit down")))
    assert dataset.table.label_matrix(24).tolist() == [[1, 0, 0], [0, 0, 1]]
    expected = [[10.4 / 80, 6 / 48, 42.4 / 80, 42 / 48], [44.4 / 80, 4 / 48, 70.4 / 80, 40 / 48]]
    np.testing.assert_allclose(dataset.boxes_fraction(24), expected, rtol=1e-6)
    rows = true_rows(config_of(world), "val")
    assert (len(rows), set(rows.action_ids.tolist())) == (41 + 20 + 30, {1, 2})


def test_divisions_are_chosen_by_number(world):
    second = build_dataset(config_of(world, split=2), "train", training=False)
    assert {video for video, _ in second.keys} == {"throw/two", "throw/three"}
    with pytest.raises(ConfigError, match="`split` is a number from 1 to 2 for this data set, got 3"):
        build_dataset(config_of(world, split=3), "train", training=False)


def test_the_network_takes_the_names_of_the_pickle_and_keeps_them(world):
    config = config_of(world)
    assert [action.name for action in label_map_of(config)] == list(NAMES)
    kept = self_contained(config)
    assert label_map_of(kept.model_copy(update={"data": Config().data})) == label_map_of(config)
    with pytest.raises(ConfigError, match=r"GT.pkl labels 3 actions, but model.head.num_classes is 4; the two"):
        label_map_of(config_of(world, head={"num_classes": 4}))


def test_labels_are_matched_by_name(world):
    labels = tube_truth().label_map
    other = LabelMap((Action(7, "Sit_Down"), Action(3, "jump"), Action(5, "throw")))
    assert ids_of_labels(labels, other, "GT.pkl").tolist() == [3, 5, 7]
    numbered = LabelMap(tuple(Action(i, f"action {i}") for i in (1, 2, 3)))
    assert ids_of_labels(labels, numbered, "GT.pkl").tolist() == [1, 2, 3]
    chosen = LabelMap((Action(3, "jump"),))
    assert ids_of_labels(labels, chosen, "GT.pkl", is_chosen=True).tolist() == [3, NO_ACTION, NO_ACTION]
    with pytest.raises(ConfigError, match=r"GT.pkl: 2 of its 3 labels are no actions of the network: throw, sit down;"):
        ids_of_labels(labels, chosen, "GT.pkl")
    with pytest.raises(ConfigError, match="3 of its 3 labels are no actions of the network"):
        build_dataset(config_of(world, labels={"text": "1: a\n2: b\n3: c"}), "train", training=False)


def test_chosen_actions_leave_the_other_people_without_a_label(world, tmp_path):
    (tmp_path / "map.pbtxt").write_text("1: jump\n2: throw\n3: sit down\n")
    labels = {"map": str(tmp_path / "map.pbtxt"), "ids": [3]}
    dataset = build_dataset(config_of(world, head={"num_classes": 1}, labels=labels), "train", training=False)
    assert dataset.table.label_matrix(24).tolist() == [[0], [1]]


def test_proposals_by_number_of_the_frame_as_mmaction2_and_multisports_name_videos(world, tmp_path):
    boxes = np.array([[0.12, 0.12, 0.5, 0.9, 0.95], [0.8, 0.1, 0.99, 0.3, 0.9], [0.0, 0.0, 0.2, 0.2, 0.1]])
    for name in ("jump/one.mp4,0007", "one,7", "jump/one,0007"):
        (tmp_path / "boxes.pkl").write_bytes(pickle.dumps({name: boxes, "elsewhere,3": boxes}))
        files = {"proposals": str(tmp_path / "boxes.pkl")}
        dataset = build_dataset(config_of(world, files=files, match_iou=0.8), "train", training=True)
        # The true box, the proposal that takes its label, and one of nobody.
        assert dataset.table.label_matrix(6).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
        assert len(dataset.table.label_matrix(7)) == 1


def test_excluded_frames(world, tmp_path):
    (tmp_path / "no.csv").write_text("one,0007\njump/one,8\n")
    files = {"exclude": str(tmp_path / "no.csv")}
    keys = list(build_dataset(config_of(world, files=files), "train", training=True).keys)
    assert [number for _, number in keys][:8] == [1, 2, 3, 4, 5, 6, 9, 10]


def test_names_that_several_videos_share_are_left_alone():
    table = AvaTable.from_columns(["x", "a/x", "y.mp4", "b/z.avi"], [1, 2, 3, 4], np.zeros((4, 4)))
    renamed = with_ids_of(table, ["a/x", "b/x", "c/y", "b/z"])
    assert [renamed.video_ids[number] for number in renamed.video_index] == ["x", "a/x", "c/y", "b/z"]


def test_a_pickle_without_a_resolution_is_refused(world, tmp_path):
    truth = replace(tube_truth(), resolutions={})
    write_tube_annotations(tmp_path / "GT.pkl", truth)
    with pytest.raises(FormatError, match=r"GT.pkl: video 'jump/one' has no resolution \(height and width in pixels\)"):
        build_dataset(config_of(world, files={"annotations": str(tmp_path / "GT.pkl")}), "train", training=True)


def test_one_video_in_two_files_is_refused(world, tmp_path):
    shutil.copytree(world / "videos", tmp_path / "videos")
    shutil.copy(tmp_path / "videos/jump/one.mp4", tmp_path / "videos/jump/one.mkv")
    with pytest.raises(ConfigError, match=r"2 files are the video 'jump/one' \(listed in .*GT.pkl\): .*; keep one"):
        build_dataset(config_of(world, files={"videos": str(tmp_path / "videos")}), "train", training=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"start_seconds": 900.0}, "start_seconds is for times in seconds, and tubes count the frames of their files"),
        ({"corrections": {"folder": "x"}}, "corrections are of people on AVA's keyframes, and kind tubes has tubes on"),
        ({"kind": "ava", "split": 2}, "split chooses among those of a pickle of tubes, and kind ava has its own files"),
    ],
)
def test_settings_that_tubes_do_not_have(world, data, message):
    with pytest.raises(ValueError, match=message):
        config_of(world, **data)
