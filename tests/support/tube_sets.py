"""Small data sets of tubes, laid out as the published ones, on videos whose frames tell their number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from videos import constant_rate, numbered_frame, write_numbered_video

from ava_detect.formats.tube_pickles import TubeAnnotations, write_tube_annotations
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

NAMES = ("jump", "throw", "sit down")
WIDTH, HEIGHT = 80, 48
#: Number of frames and frames a second of each video; ids have a folder, as those of the published sets.
VIDEOS = {"jump/one": (60, Fraction(25)), "throw/two": (45, Fraction(30_000, 1001)), "throw/three": (40, Fraction(25))}


def tube(video: str, label: int, first: int, last: int, box: tuple[float, ...] = (8, 6, 40, 42)) -> FrameTube:
    """A tube whose box moves right by a tenth of a pixel with each frame."""
    frames = np.arange(first, last + 1)
    boxes = np.tile(np.array(box, np.float64), (len(frames), 1))
    boxes[:, [0, 2]] += (frames - first)[:, None] / 10
    return FrameTube(video, label, frames, boxes)


def tube_truth(**changes: object) -> TubeAnnotations:
    """One video to train with and two to measure on; in the second division the other way around."""
    content: dict[str, object] = {
        "label_map": LabelMap(tuple(Action(number, name) for number, name in enumerate(NAMES))),
        "tubes": {
            "jump/one": (tube("jump/one", 0, 1, 30), tube("jump/one", 2, 21, 60, (44, 4, 70, 40))),
            "throw/two": (tube("throw/two", 1, 5, 45),),
            "throw/three": (tube("throw/three", 1, 1, 20), tube("throw/three", 0, 11, 40, (40, 2, 75, 46))),
        },
        "num_frames": {video: number for video, (number, _) in VIDEOS.items()},
        "train_splits": (("jump/one",), ("throw/two", "throw/three")),
        "test_splits": (("throw/two", "throw/three"), ("jump/one",)),
        "resolutions": dict.fromkeys(VIDEOS, (HEIGHT, WIDTH)),
    }
    return TubeAnnotations(**(content | changes))  # type: ignore[arg-type]


def write_set(folder: Path, truth: TubeAnnotations | None = None) -> Path:
    """``folder/GT.pkl`` and ``folder/videos/SPORT/VIDEO.mp4``."""
    write_tube_annotations(folder / "GT.pkl", tube_truth() if truth is None else truth)
    for video, (number, fps) in VIDEOS.items():
        path = folder / "videos" / f"{video}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_numbered_video(path, constant_rate(number, fps), rate=fps, width=WIDTH, height=HEIGHT)
    return folder


def write_images(folder: Path, *, nested: bool = True) -> Path:
    """Extracted frames ``folder/SPORT/VIDEO/00001.png``, or without the folder of the sport."""
    for video, (number, _) in VIDEOS.items():
        target = folder / video if nested else folder / Path(video).name
        target.mkdir(parents=True)
        for index in range(number):
            Image.fromarray(numbered_frame(index, WIDTH, HEIGHT)).save(target / f"{index + 1:05d}.png")
    return folder
