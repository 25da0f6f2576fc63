"""The benchmark on extracted frames: the rows are those of the video that the frames were written from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmark_calls import as_arguments
from networks import SMALL_CONFIG, lively_model, save_pyslowfast
from PIL import Image
from tube_sets import HEIGHT, NAMES, WIDTH, tube, tube_truth
from videos import write_frames

from ava_detect.benchmark import run_benchmark
from ava_detect.config import Config
from ava_detect.errors import ConfigError
from ava_detect.formats.tube_pickles import write_tube_annotations

FPS, NUM_FRAMES, START = 25, 30, 900
#: AVA's keyframes, 0 and 1 second after the first frame.
TRUTH = "".join(f"{{0}},{second},0.1,0.1,0.6,0.9,{action},0\n" for second in (900, 901) for action in (1, 2))
VIDEO = "throw/three"


def write_pictures(folder: Path, name: str) -> None:
    """``NAME_000001.png`` and on, or ``00001.png`` in a folder below, as MOC lays out its sets."""
    folder.mkdir(parents=True)
    for number, image in enumerate(pictures(), start=1):
        Image.fromarray(image).save(folder / name.format(number))


def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(3).integers(0, 256, (NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """One video without loss, its frames as PySlowFast and MOC name them, and what is true of it."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "videos/throw").mkdir(parents=True)
    for path in ("one.mov", f"{VIDEO}.mov"):
        write_frames(folder / "videos" / path, pictures(), codec="png", pixel_format="rgb24", rate=FPS)
    write_pictures(folder / "ava/one", "one_{:06d}.png")
    write_pictures(folder / "rgb-images" / VIDEO, "{:05d}.png")
    (folder / "truth.csv").write_text(TRUTH.format("one"))
    tubes = {VIDEO: (tube(VIDEO, 1, 1, 12), tube(VIDEO, 0, 5, NUM_FRAMES, (40, 2, 75, 46)))}
    one = tube_truth(
        tubes=tubes, num_frames={VIDEO: NUM_FRAMES}, train_splits=(("jump/one",),), test_splits=((VIDEO,),)
    )
    write_tube_annotations(folder / "GT.pkl", one)
    head = {"head": {"num_classes": len(NAMES)}}
    save_pyslowfast(lively_model(model=SMALL_CONFIG["model"] | head), folder / "net.pyth")
    return folder


def bench(world: Path, out: Path, files: dict[str, object], **settings):
    kind = "tubes" if str(files["annotations"]).endswith(".pkl") else "ava"
    labels = {} if kind == "tubes" else {"labels": {"ids": [1, 2, 3]}}
    config = Config.model_validate(
        labels
        | {
            "model": SMALL_CONFIG["model"] | {"head": {"num_classes": len(NAMES)}},
            "clip": SMALL_CONFIG["clip"] | {"sampling_fps": FPS},
            "data": {"kind": kind, "val": {name: str(value) for name, value in files.items()}},
        }
    )
    arguments = as_arguments({"boxes": "ground-truth"} | settings)
    return run_benchmark(config, world / "net.pyth", out, **arguments)


def test_tubes_on_frames_have_the_rows_of_the_video(world, tmp_path):
    truth = {"annotations": world / "GT.pkl"}
    of_frames = bench(world, tmp_path / "frames", truth | {"frames": world / "rgb-images"})
    of_video = bench(world, tmp_path / "video", truth | {"videos": world / "videos"})
    assert of_frames.all_well and of_frames.counts["clips"] == NUM_FRAMES
    for name in ("detections.pkl", "detections.csv"):
        assert (tmp_path / "frames" / name).read_bytes() == (tmp_path / "video" / name).read_bytes()
    assert of_frames.score.summary() == of_video.score.summary()
    # The option takes the place of the frames that the config names.
    replaced = bench(world, tmp_path / "x", truth | {"frames": world / "ava"}, videos=world / "videos")
    assert replaced.score.summary() == of_video.score.summary()


def test_keyframes_on_frames_have_the_rows_of_the_video_and_a_finished_run_is_kept(world, tmp_path):
    truth = {"annotations": world / "truth.csv"}
    frames = Path(shutil.copytree(world / "ava", tmp_path / "ava"))
    of_frames = bench(world, tmp_path / "frames", truth | {"frames": frames}, start_seconds=START)
    bench(world, tmp_path / "video", truth | {"videos": world / "videos"}, start_seconds=START)
    rows = (tmp_path / "frames/detections.csv").read_bytes()
    assert of_frames.all_well and rows.count(b"\n") == 2 * len(NAMES)
    assert rows == (tmp_path / "video/detections.csv").read_bytes()
    again = bench(world, tmp_path / "frames", truth | {"frames": frames}, start_seconds=START)
    assert again.seconds["action"] == of_frames.seconds["action"]
    Image.new("RGB", (WIDTH, HEIGHT)).save(frames / "one/one_000001.png")
    bench(world, tmp_path / "frames", truth | {"frames": frames}, start_seconds=START)
    assert (tmp_path / "frames/detections.csv").read_bytes() != rows


def test_folders_with_faults_are_named_and_the_others_are_scored(world, tmp_path):
    names = ("good", "gap", "broken", "sizes", "empty", "absent", "short")
    for name in names:
        shutil.copytree(world / "ava/one", tmp_path / name)
    (tmp_path / "gap/one_000007.png").unlink()
    (tmp_path / "broken/one_000024.png").write_bytes((tmp_path / "broken/one_000024.png").read_bytes()[:99])
    Image.new("RGB", (WIDTH, HEIGHT - 2)).save(tmp_path / "sizes/one_000024.png")
    shutil.rmtree(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    shutil.rmtree(tmp_path / "absent")
    for number in range(20, NUM_FRAMES + 1):
        (tmp_path / f"short/one_{number:06d}.png").unlink()
    (tmp_path / "truth.csv").write_text("".join(TRUTH.format(name) for name in names))
    files = {"annotations": tmp_path / "truth.csv", "frames": tmp_path}
    result = bench(world, tmp_path / "out", files, start_seconds=START)
    assert (result.counts["videos_failed"], result.counts["videos_missing"], result.counts["clips"]) == (4, 1, 3)
    absent, gap, broken, sizes, empty, short = result.problems
    assert f"1 of the 7 videos of the ground truth are not in {tmp_path}: absent" in absent
    assert "gap: of the frames 1 to 30 only 29 are there, the first that is missing is 7; extract them again" in gap
    assert "broken/one_000024.png: the frame cannot be read" in broken and "; extract it again" in broken
    assert "sizes/one_000024.png: 80x46 pixels, and one_000001.png has 80x48" in sizes
    assert "empty: there are no frames here; they are called empty_000001.jpg, img_00001.jpg" in empty
    assert "short: 1 of 2 keyframes lie outside the frames (25 a second; the first is the movie's second 901," in short
    assert all(f"the people of {name} count as not found" in text for name, text in zip(
        ("gap", "broken", "sizes", "empty"), (gap, broken, sizes, empty), strict=True
    ))  # fmt: skip


@pytest.mark.parametrize(("truth", "message"), [
    ("GT.pkl", r"no folder of .*videos is one of the 1 videos of .*GT\.pkl, such as 'throw/three'"),
    ("truth.csv", r"no folder in .*videos is a video of the ground truth, which begins with 'one'; the frames of"),
])  # fmt: skip
def test_a_folder_without_any_of_the_videos_is_refused(world, tmp_path, truth, message):
    with pytest.raises(ConfigError, match=message):
        bench(world, tmp_path / "out", {"annotations": world / truth, "frames": world / "videos"})
    assert not (tmp_path / "out").exists()
