"""What ``data check`` lets through, a training, its validation and ``evaluate`` read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from videos import constant_rate, write_numbered_video

from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.checks.check_data import check_data
from ava_detect.errors import AvaDetectError
from ava_detect.evaluation.frame_map import load_metric
from ava_detect.training.validation import build_validation

B = "0.1,0.1,0.4,0.9"
GOOD = f"v,1,{B},12,0\nv,2,{B},14,1\n"
IMAGE = {"id": 1, "width": 100, "height": 100, "video_id": "v", "timestamp": 1}


def coco(*names: str, **changes) -> str:
    categories = [{"id": 11 + number, "name": name} for number, name in enumerate(names)]
    annotations = [{"image_id": 1, "category_id": 11, "bbox": [10, 10, 30, 80], "track_id": 3}]
    return json.dumps({"images": [IMAGE], "categories": categories, "annotations": annotations} | changes)


# Name -> the annotations, and what else the config says: exclude, proposals, ids, and the suffix of the annotations.
READ = {
    "a csv": (GOOD, {}),
    "a person without an action": (f"v,1,{B},12,0\nv,2,{B},,1\n", {}),
    "id 0": (f"v,1,{B},0,0\nv,2,{B},2,1\n", {"map": "0: sit\n2: run\n"}),
    "COCO": (coco("sit", "run"), {"suffix": ".json"}),
    "COCO with people, too": (coco("sit", "person"), {"suffix": ".json"}),
    "an exclusion": (GOOD, {"exclude": "v,1\n"}),
    "an excluded second after the end": (f"{GOOD}v,30,{B},12,0\n", {"exclude": "v,30\n"}),
    "proposals": (GOOD, {"proposals": f"v,1,{B},,0.9\nv,2,{B},,0.95\n"}),
    "the last frame": (f"v,2.85,{B},12,0\n", {}),
}
REFUSED = {
    "nothing": ("", "unusable-annotations"),
    "a header alone": ("video_id,timestamp,x1,y1,x2,y2,action_id,person_id\n", "unusable-annotations"),
    "no people": ("v,1\nv,2\n", "unusable-annotations"),
    "all excluded": (GOOD, {"exclude": "v,1\nv,2\n"}, "unusable-annotations"),
    "other actions alone": (GOOD, {"map": "0: sit\n1: run\n", "ids": [0, 1]}, "unknown-action"),
    "actions that are not learnt": (GOOD, {"ids": [1, 3]}, "unusable-annotations"),
    "no action at all": (f"v,1,{B},,0\n", "unreadable-file"),
    "COCO of people alone": (coco("person"), {"suffix": ".json"}, "unreadable-file"),
    "COCO with nulls": (coco("sit", images=None), {"suffix": ".json"}, "unreadable-file"),
    "COCO results": ("[]", {"suffix": ".json"}, "unreadable-file"),
    "COCO without the category": (coco("sit", categories=[{"id": 9}]), {"suffix": ".json"}, "unreadable-file"),
    "json as an exclusion": (GOOD, {"exclude": json.dumps({"images": [IMAGE]})}, "unreadable-file"),
    "the end": (f"v,3,{B},12,0\n", "second-past-end"),
    "a keyframe without people after the end": (f"{GOOD}v,30\n", {}, "second-past-end"),
    "no such video": (f"{GOOD}w,1\n", {}, "missing-video"),
    "a box in pixels": ("v,1,10,10,60,90,12,0\n", "box-in-pixels"),
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_numbered_video(folder / "v.mp4", constant_rate(30, 10))
    return folder


def config_of(folder: Path, videos: Path, text: str, files: dict) -> Config:
    split = {"annotations": str(folder / f"gt{files.get('suffix', '.csv')}"), "videos": str(videos)}
    Path(split["annotations"]).write_text(text)
    for name in ("exclude", "proposals"):
        if name in files:
            split[name] = str(folder / f"{name}.csv")
            Path(split[name]).write_text(files[name])
    labels, num_classes = {"ids": files.get("ids", [])}, len(files.get("ids", [])) or 80
    if "map" in files:
        (folder / "map.txt").write_text(files["map"])
        labels, num_classes = labels | {"map": str(folder / "map.txt")}, len(files["map"].splitlines())
    return Config.model_validate(
        {
            "model": {"head": {"num_classes": num_classes}},
            "clip": {"num_frames": 8, "sampling_rate": 1, "short_side": 32, "sampling_fps": 10},
            "labels": labels,
            "data": {"train": split, "val": split, "short_side": [32, 32], "crop": 32, "num_workers": 0},
        }
    )


def read_all(config: Config, detections: Path) -> None:
    """Read all samples as a training does, score all samples of the validation, and evaluate a file."""
    for training in (True, False):
        dataset = build_dataset(config, "train", training=training)
        for index in range(len(dataset)):
            dataset[(0, index)]
    validation = build_validation(config)
    clips = build_dataset(config, "val", training=False)
    scores = [np.full((len(clips[i].labels), len(clips.label_map)), 0.5, np.float32) for i in range(len(clips))]
    validation.score([validation.outcome(i, clips[i], scores[i]) for i in range(len(clips))])
    detections.write_text(f"v,1,{B},12,0.5\n")
    split = config.data.val
    load_metric(split.annotations, detections, label_map=clips.label_map, exclude=split.exclude).compute()


def problems(config: Config) -> set[str]:
    # The same files as both splits are a leak, and nothing else.
    return {finding.kind for finding in check_data(config).problems} - {"split-leak"}


@pytest.mark.parametrize("name", READ)
def test_what_is_let_through_is_read(videos, tmp_path, name):
    config = config_of(tmp_path, videos, *READ[name])
    assert problems(config) == set()
    read_all(config, tmp_path / "detections.csv")


@pytest.mark.parametrize("name", REFUSED)
def test_what_training_refuses_is_a_problem(videos, tmp_path, name):
    text, *files, kind = REFUSED[name]
    config = config_of(tmp_path, videos, text, files[0] if files else {})
    with pytest.raises(AvaDetectError):
        read_all(config, tmp_path / "detections.csv")
    assert kind in problems(config)
