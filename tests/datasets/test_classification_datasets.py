"""Kinetics and Charades on videos whose every frame tells its number: 80x48 pixels, 30 fps."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tolerances import EXACT_SECONDS
from videos import constant_rate, frame_number, write_numbered_video

from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.charades import read_charades
from ava_detect.datasets.classification import ViewGrid
from ava_detect.datasets.kinetics import read_kinetics
from ava_detect.datasets.samples import collate
from ava_detect.errors import ConfigError, FormatError, VideoError
from ava_detect.video.reader import VideoReader

CLIP = {"num_frames": 8, "sampling_rate": 4, "short_side": 48}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "a b").mkdir()
    write_numbered_video(folder / "a b" / "long.mp4", constant_rate(122, 30))
    write_numbered_video(folder / "tall.mp4", constant_rate(62, 30), width=48, height=80)
    write_numbered_video(folder / "short.mp4", constant_rate(10, 30))
    return folder


def config_of(kind: str, annotations: Path, *, videos=None, frames=None, data=None, num_classes=5, clip=CLIP) -> Config:
    files = {"annotations": str(annotations)} | ({"videos": str(videos)} if videos else {"frames": str(frames)})
    data = {"kind": kind, "train": files, "val": files, "short_side": [48, 60], "crop": 32} | (data or {})
    return Config.model_validate(
        {"model": {"task": "classification", "head": {"num_classes": num_classes}}, "clip": clip, "data": data}
    )


@pytest.fixture
def kinetics(tmp_path, videos):
    path = tmp_path / "list.csv"
    path.write_text("a b/long.mp4 4\ntall.mp4 0\nshort.mp4 2\n")
    return path


def numbers(sample) -> list[int]:
    return [frame_number(image) for image in sample.frames.numpy()]


def test_a_test_has_ten_clips_by_three_squares(kinetics, videos):
    dataset = build_dataset(config_of("kinetics", kinetics, videos=videos), "val", training=False)
    assert (len(dataset), dataset.views_per_video) == (90, 30)
    assert [dataset.view(index) for index in (0, 1, 3, 29, 30)] == [
        (0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 9, 2), (1, 0, 0),
    ]  # fmt: skip
    assert dataset.keys[29] == ("a b/long.mp4", 0.0) and dataset.keys[30] == ("tall.mp4", 0.0)
    sample = dataset[4]
    assert sample.boxes_xyxy is None and sample.frames.shape == (8, 48, 48, 3)
    assert sample.labels.tolist() == [0, 0, 0, 0, 1]
    batch = collate([dataset[0], dataset[31]])
    assert batch.frames.shape == (2, 8, 48, 48, 3) and batch.labels.shape == (2, 5) and batch.rois is None


@pytest.mark.parametrize(("kind", "starts"), [("kinetics", [0, 10, 20]), ("charades", [0, 15, 30])])
def test_clips_are_spread_over_the_video_as_pyslowfast_spreads_them(videos, tmp_path, kind, starts):
    """62 frames leave room for 30 before a clip of 32."""
    (tmp_path / "list.csv").write_text({"kinetics": "tall.mp4 0\n", "charades": "id,actions\ntall,\n"}[kind])
    config = config_of(kind, tmp_path / "list.csv", videos=videos, data={"test_views": [3, 1]})
    dataset = build_dataset(config, "val", training=False)
    assert [numbers(dataset[index])[0] for index in range(3)] == starts
    middles = [dataset[index].timestamp_seconds for index in range(3)]
    np.testing.assert_allclose(middles, [(start + 16) / 30 for start in starts], atol=EXACT_SECONDS)


def test_one_view_is_the_middle(kinetics, videos):
    dataset = build_dataset(
        config_of("kinetics", kinetics, videos=videos, data={"test_views": [1, 1]}), "val", training=False
    )
    assert len(dataset) == 3
    assert dataset[0].timestamp_seconds == pytest.approx(61 / 30)
    # 10 frames are less than a clip: the clip is around their middle, and its ends repeat.
    assert dataset[2].timestamp_seconds == pytest.approx(5 / 30)


def test_clips_of_uneven_offsets_lie_inside_the_video(kinetics, videos):
    # From 4 before the keyframe to 26 after it, and the last of four frames is shown for 10 as well: 40 of 122 frames.
    clip = {"num_frames": 4, "short_side": 48, "frame_offsets": [-4, 0, 20, 26]}
    config = config_of("kinetics", kinetics, videos=videos, data={"test_views": [3, 1]}, clip=clip)
    dataset = build_dataset(config, "val", training=False)
    keyframes = [dataset[index].timestamp_seconds for index in range(3)]
    # They start at 0, a third and two thirds of the other 82 frames.
    assert keyframes == pytest.approx([4 / 30, (82 / 3 + 4) / 30, (164 / 3 + 4) / 30])
    # 10 frames are less than a clip, which is then around their middle.
    assert dataset[6].timestamp_seconds == pytest.approx(5 / 30)
    data = {"crop": None, "flip": 0, "short_side": [48, 48]}
    trained = build_dataset(
        config_of("kinetics", kinetics, videos=videos, data=data, clip=clip), "train", training=True
    )
    clips = [numbers(trained[(epoch, 0)]) for epoch in range(20)]
    assert all(np.diff(clip).tolist() == [4, 20, 6] for clip in clips)
    assert min(clip[0] for clip in clips) >= 0 and max(clip[0] for clip in clips) <= 82


def test_the_squares_of_a_wide_and_of_a_tall_frame(kinetics, videos):
    config = config_of("kinetics", kinetics, videos=videos, data={"test_views": [1, 3]})
    dataset = build_dataset(config, "val", training=False)
    config = config_of("kinetics", kinetics, videos=videos, data={"test_views": [1, 1]})
    middle = build_dataset(config, "val", training=False)
    for video, along in ((0, 2), (1, 1)):
        squares = [dataset[3 * video + place].frames for place in range(3)]
        assert {tuple(square.shape) for square in squares} == {(8, 48, 48, 3)}
        # Side by side with 16 of 80 pixels between them: what two squares share is the same.
        assert torch.equal(squares[0].narrow(along, 16, 32), squares[1].narrow(along, 0, 32))
        assert torch.equal(squares[1].narrow(along, 16, 32), squares[2].narrow(along, 0, 32))
        assert torch.equal(middle[video].frames, squares[1])


def test_training_takes_a_clip_anywhere(kinetics, videos):
    data = {"crop": None, "flip": 0, "short_side": [48, 48]}
    dataset = build_dataset(config_of("kinetics", kinetics, videos=videos, data=data), "train", training=True)
    assert len(dataset) == 3
    starts = {numbers(dataset[(epoch, 0)])[0] for epoch in range(20)}
    assert len(starts) > 10 and min(starts) >= 0 and max(starts) <= 122 - 32
    frames = numbers(dataset[(0, 0)])
    assert np.diff(frames).tolist() == [4] * 7
    assert numbers(dataset[(7, 0)]) == numbers(dataset[(7, 0)])
    cropped = build_dataset(config_of("kinetics", kinetics, videos=videos), "train", training=True)
    assert cropped[(0, 1)].frames.shape == (8, 32, 32, 3)


def test_a_list_with_commas_and_a_header(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\na b/c.mp4,3\n\nd.mp4, 0\n")
    videos, labels = read_kinetics(tmp_path / "list.csv", 5)
    assert videos == ["a b/c.mp4", "d.mp4"]
    assert labels.of_video(0).tolist() == [0, 0, 0, 1, 0]
    assert labels.of_video(1).tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4 4\nb.mp4 5\n", r"line 2: expected a path and a label from 0 to 4 .* got 'b\.mp4 5'"),
        ("a.mp4 -1\n", "line 1: expected a path and a label"),
        ("a.mp4 dancing\n", "line 1: expected a path and a label"),
        ("a.mp4\n", "line 1: expected a path and a label"),
        ("\n", "the list is empty"),
    ],
)
def test_a_wrong_list_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_kinetics(tmp_path / "list.csv", 5)


@pytest.mark.parametrize("read", [read_kinetics, partial(read_charades, frames_per_second=24)])
def test_a_file_too_large_for_a_list_is_not_read(tmp_path, read):
    with (tmp_path / "list.csv").open("wb") as file:
        file.truncate((512 << 20) + 1)  # sparse: it takes no space
    with pytest.raises(FormatError, match=r"list\.csv: the list cannot be read .*at most 536,870,912"):
        read(tmp_path / "list.csv", 5)


def test_missing_files_and_folders_of_frames(tmp_path, videos, kinetics):
    (tmp_path / "list.csv").write_text("a b/long.mp4 1\ngone.mp4 1\n")
    with pytest.raises(VideoError, match=r"1 of 2 listed videos are not there: .*gone\.mp4.*\(listed in .*list\.csv\)"):
        build_dataset(config_of("kinetics", tmp_path / "list.csv", videos=videos), "train", training=True)
    with pytest.raises(ConfigError, match="names video files"):
        build_dataset(config_of("kinetics", kinetics, frames=videos), "train", training=True)


CHARADES = """id,subject,script,actions,length
long,ZW9N,"A person, at home",c001 0.50 1.00;c004 3.00 4.00,4.07
tall,ZW9N,"",,2.07
short,ZW9N,"",c000 0.00 0.30,0.33
"""


@pytest.fixture
def charades(tmp_path):
    (tmp_path / "charades.csv").write_text(CHARADES)
    return tmp_path / "charades.csv"


def test_a_test_has_all_labels_of_the_video(charades, videos):
    dataset = build_dataset(config_of("charades", charades, videos=videos), "val", training=False)
    assert [dataset[30 * video].labels.tolist() for video in range(3)] == [
        [0, 1, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]


def test_a_training_clip_has_the_labels_of_its_own_moment(charades, videos):
    data = {"crop": None, "flip": 0, "short_side": [48, 48]}
    dataset = build_dataset(config_of("charades", charades, videos=videos, data=data), "train", training=True)
    met = set()
    for epoch in range(25):
        sample = dataset[(epoch, 0)]
        first, last = (number / 30 for number in (numbers(sample)[0], numbers(sample)[-1]))
        expected = [0, float(first <= 1.0 and last >= 0.5), 0, 0, float(last >= 3.0)]
        assert sample.labels.tolist() == expected
        met.add(tuple(expected))
    assert len(met) == 3


FRAME_LIST = """original_vido_id video_id frame_id path labels
long 0 0 long/long-000001.jpg "1,3"
long 0 1 long/long-000002.jpg "1"
long 0 2 long/long-000003.jpg ""
long 0 3 long/long-000004.jpg "1"
tall 1 0 tall/tall-000001.jpg ""
"""


def test_a_frame_list_is_actions_from_frame_to_frame(tmp_path):
    (tmp_path / "list.csv").write_text(FRAME_LIST)
    video_ids, labels = read_charades(tmp_path / "list.csv", 5, frames_per_second=2.0)
    assert video_ids == ["long", "tall"]
    found = zip(labels.columns[0].tolist(), labels.starts.tolist(), labels.ends.tolist(), strict=True)
    assert list(found) == [(1, 0.0, 0.5), (1, 1.5, 1.5), (3, 0.0, 0.0)]
    assert labels.between(0, 0.6, 1.4).tolist() == [0, 0, 0, 0, 0]
    assert labels.between(0, 0.5, 1.4).tolist() == [0, 1, 0, 0, 0]
    assert labels.of_video(1).tolist() == [0] * 5


def test_charades_from_frames_at_their_own_rate(tmp_path, videos):
    for name, path in (("long", videos / "a b" / "long.mp4"), ("tall", videos / "tall.mp4")):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for number, frame in enumerate(VideoReader(path), start=1):
            Image.fromarray(frame.image).save(tmp_path / "frames" / name / f"{name}-{number:06d}.jpg")
    rows = [f'long 0 {i} long/long-{i + 1:06d}.jpg "{2 if i >= 100 else ""}"' for i in range(122)]
    rows += [f'tall 1 {i} tall/tall-{i + 1:06d}.jpg "0"' for i in range(62)]
    (tmp_path / "list.csv").write_text("\n".join([FRAME_LIST.splitlines()[0], *rows]) + "\n")
    data = {"crop": None, "flip": 0, "short_side": [48, 48]}
    config = config_of(
        "charades", tmp_path / "list.csv", frames=tmp_path / "frames", data=data, clip=CLIP | {"sampling_fps": 24.0}
    )
    dataset = build_dataset(config, "train", training=True)
    met = set()
    for epoch in range(20):
        sample = dataset[(epoch, 0)]
        shown = numbers(sample)
        assert np.diff(shown).tolist() == [4] * 7
        assert sample.labels.tolist() == [0, 0, float(shown[-1] >= 100), 0, 0]
        met.add(shown[-1] >= 100)
    assert met == {True, False}
    assert build_dataset(config, "val", training=False)[0].labels.tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,actions\nlong,c1 0 1\n", r"line 2: an action is 'c092 11\.90 21\.20' .* got 'c1 0 1'"),
        ("id,actions\nlong,c005 0 1\n", r"video 'long' has the class 5, but classes are numbered from 0 to 4"),
        ("name,actions\nlong,\n", "line 1: the header must name the columns id and actions"),
        ("id,actions\n", "the list is empty"),
        (FRAME_LIST.replace('"1,3"', '"a"'), "the labels of a frame are numbers"),
        (FRAME_LIST.replace('"1,3"', '"7"'), "video 'long' has the class 7"),
    ],
)
def test_a_wrong_charades_list_is_named(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_charades(tmp_path / "list.csv", 5, frames_per_second=24.0)


def test_a_grid_of_views_has_a_clip_and_one_or_three_crops():
    assert [len(ViewGrid()), len(ViewGrid(4, 1))] == [30, 4]
    for clips, crops in ((0, 3), (10, 2)):
        with pytest.raises(ValueError, match=f"at least 1 clip by 1 or 3 crops, got {clips} by {crops}"):
            ViewGrid(clips, crops)
