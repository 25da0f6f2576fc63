"""``data check`` says of extracted frames what training does with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.checks.check_data import check_data
from ava_detect.errors import VideoError

ROW = ",0.1,0.1,0.4,0.9,12,0\n"


def picture(path: Path, size: tuple[int, int] = (40, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number := sum(path.name.encode()) % 200, number, number)).save(path)


def config_of(folder: Path, seconds: list[float], sampling_fps: float = 10.0) -> Config:
    annotations = folder / "gt.csv"
    annotations.write_text("".join(f"clip1,{second}{ROW}" for second in seconds))
    return Config.model_validate(
        {
            "clip": {"num_frames": 8, "sampling_rate": 1, "short_side": 32, "sampling_fps": sampling_fps},
            "data": {"train": {"annotations": str(annotations), "frames": str(folder / "frames")}},
        }
    )


def check_and_training(config: Config) -> tuple[set[str], str]:
    """The kinds of problems that the check finds, and what training says of the first clip that it cannot read."""
    problems = {finding.kind for finding in check_data(config).problems}
    try:
        dataset = build_dataset(config, "train", training=False)
        for index in range(len(dataset)):
            dataset[index]
    except VideoError as error:
        return problems, str(error)
    return problems, ""


@pytest.mark.parametrize(
    "name",
    ["clip1_{:06d}.jpg", "img_{:05d}.jpg", "{:06d}.png", "{}.jpg", "frame{:d}.PNG", "2021-03-04_{:04d}.jpeg"],
)
@pytest.mark.parametrize("first", [0, 1])
def test_frames_of_any_name_are_read_and_nothing_is_said_of_them(tmp_path, name, first):
    for index in range(12):
        picture(tmp_path / "frames" / "clip1" / name.format(first + index))
    assert check_and_training(config_of(tmp_path, [0, 1, 1.149])) == (set(), "")


@pytest.mark.parametrize("others", [["flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg"], ["._img_{:05d}.jpg"], ["notes.txt"]])
def test_what_lies_beside_the_frames_does_not_matter(tmp_path, others):
    for index in range(1, 13):
        for name in ("img_{:05d}.jpg", *others):
            path = tmp_path / "frames" / "clip1" / name.format(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(path) if name.startswith("img") else path.write_bytes(b"no image")
    assert check_and_training(config_of(tmp_path, [0, 1])) == (set(), "")


@pytest.mark.parametrize("sampling_fps", [10.0, 24.0, 25.0, 29.97, 30.0])
def test_the_end_is_that_of_the_sampling_rate(tmp_path, sampling_fps):
    for index in range(1, 31):
        picture(tmp_path / "frames" / "clip1" / f"img_{index:05d}.jpg")
    last = (30 - 0.5) / sampling_fps
    for seconds in (last - 0.6, last - 1e-3, last + 1e-3, 30 / sampling_fps - 1e-4, 30 / sampling_fps, last + 5):
        problems, refusal = check_and_training(config_of(tmp_path, [0, round(seconds, 6)], sampling_fps))
        assert problems == ({"second-past-end"} if seconds > last else set())
        assert ("lies outside its 30 frames" in refusal) == (seconds > last)


def broken(folder: Path) -> None:
    (folder / "img_00007.jpg").write_bytes((folder / "img_00007.jpg").read_bytes()[:200])


def test_a_config_is_refused_by_both_or_by_none(tmp_path):
    faults = {
        "a gap": (lambda folder: (folder / "img_00005.jpg").unlink(), "the first that is missing is 5"),
        "the beginning": (lambda folder: (folder / "img_00001.jpg").unlink(), "the first that is missing is 1"),
        "no image": (lambda folder: [path.unlink() for path in folder.iterdir()], "there are no frames here"),
        "cut short": (broken, r"img_00007.jpg: the frame cannot be read"),
        "another size": (lambda folder: picture(folder / "img_00009.jpg", (50, 32)), "50x32 pixels"),
        "another suffix": (lambda folder: picture(folder / "img_00013.png"), "2 series of images are here"),
        "one number twice": (lambda folder: picture(folder / "img_1.jpg"), "have one number"),
        "other digits": (lambda folder: picture(folder / "img_013.jpg"), "img_013.jpg does not have the digits"),
        "a long number": (lambda folder: picture(folder / f"img_{'9' * 40}.jpg"), "is no number of a frame"),
    }
    for name, (spoil, message) in faults.items():
        folder = tmp_path / name / "frames" / "clip1"
        for index in range(1, 13):
            picture(folder / f"img_{index:05d}.jpg")
        spoil(folder)
        config = config_of(tmp_path / name, [0, 1])
        problems, refusal = check_and_training(config)
        assert problems == {"unusable-frames"}, name
        assert message in refusal and message in str(check_data(config)), name


@pytest.mark.parametrize(
    ("frames", "truth", "fps"),
    [("mmaction2_img_05d", "gt", 30), ("plain", "gt", 30), ("png", "gt", 30), ("fps25", "gt25", 25)],
)
def test_reported_layouts(shared, frames, truth, fps):
    case = shared / "cases" / "faults" / "frames_check_vs_train"
    seconds = [float(line.split(",")[1]) for line in (case / f"{truth}.csv").read_text().splitlines()]
    split = {"annotations": str(case / f"{truth}.csv"), "frames": str(case / frames)}
    clip = {"num_frames": 8, "sampling_rate": 1, "short_side": 32, "sampling_fps": fps}
    problems, refusal = check_and_training(Config.model_validate({"clip": clip, "data": {"train": split}}))
    num_frames = len(list((case / frames / "clip1").iterdir()))
    are_past = max(seconds) * fps + 0.5 >= num_frames
    assert (problems, bool(refusal)) == ({"second-past-end"} if are_past else set(), are_past)


def test_the_values_are_those_of_the_files(tmp_path):
    for index in range(1, 13):
        picture(tmp_path / "frames" / "clip1" / f"{index}.png")
    dataset = build_dataset(config_of(tmp_path, [0.4]), "train", training=False)
    expected = [sum(f"{index}.png".encode()) % 200 for index in range(1, 9)]
    assert dataset[0].frames[:, 0, 0, 0].tolist() == expected
    assert np.ptp(dataset[0].frames.numpy(), axis=(1, 2, 3)).max() == 0
