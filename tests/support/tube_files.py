"""Small data sets of tubes, and detections of them in every form that ``evaluate`` and ``data convert`` read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.formats.tube_pickles import TubeAnnotations
from ava_detect.structures import ActionDetections
from ava_detect.structures.frame_tubes import FrameTube
from ava_detect.structures.labels import Action, LabelMap

FPS = 25.0
HEIGHT, WIDTH = 240, 320
LABELS = LabelMap((Action(0, "jump"), Action(1, "throw"), Action(2, "lie")))
# As the results of a network that was trained on the data set name them.
OWN_LABELS = LabelMap((Action(1, "jump"), Action(2, "throw"), Action(3, "lie")))
BOX = (32.0, 24.0, 96.0, 120.0)


def tube(
    video: str = "jump/a",
    action: int = 0,
    first: int = 1,
    last: int = 20,
    box: npt.ArrayLike = BOX,
    score: float = float("nan"),
) -> FrameTube:
    """A tube whose box stays where it is."""
    frames = np.arange(first, last + 1)
    return FrameTube(video, action, frames, np.tile(np.array(box, np.float64), (len(frames), 1)), score)


def data_set(*tubes: FrameTube, num_frames: int = 40) -> TubeAnnotations:
    """Videos ``jump/a`` and ``throw/b`` to measure on, ``train/c`` to train with; a second split the other way."""
    videos = ("jump/a", "throw/b", "train/c")
    return TubeAnnotations(
        LABELS,
        {video: tuple(one for one in tubes if one.video_id == video) for video in videos},
        dict.fromkeys(videos, num_frames),
        (videos[2:], videos[:2]),
        (videos[:2], videos[2:]),
        dict.fromkeys(videos, (HEIGHT, WIDTH)),
    )


def results_folder(folder: Path, tubes: list[FrameTube], *, step: int = 1, labels: LabelMap = OWN_LABELS) -> Path:
    """What ``annotate`` would write: a jsonl for each video, a keyframe on every ``step``-th frame, a track a tube."""
    folder.mkdir()
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    for video_id in dict.fromkeys(one.video_id for one in tubes):
        of_video = [one for one in tubes if one.video_id == video_id]
        last = max(int(one.frames[-1]) for one in of_video)
        keyframes = []
        for frame in range(1, last + 1, step):
            seen = [(track, one) for track, one in enumerate(of_video, start=1) if frame in one.frames]
            scores = np.zeros((len(seen), len(labels)), np.float32)
            for row, (_, one) in enumerate(seen):
                scores[row, one.action_id] = one.score
            keyframes.append(
                ActionDetections(
                    Path(video_id).name,
                    (frame - 1) / FPS,
                    np.array([one.boxes_xyxy[one.frames == frame][0] / size for _, one in seen]).reshape(-1, 4),
                    np.ones(len(seen), np.float32),
                    scores,
                    np.array(labels.ids),
                    np.array([track for track, _ in seen], np.int64),
                )
            )
        write_jsonl(folder / f"{Path(video_id).name}.jsonl", keyframes, labels)
    (folder / "label_map.pbtxt").write_text(labels.to_pbtxt())
    return folder
