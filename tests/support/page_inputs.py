"""The files that the pages of the documentation name, as small as they may be: movies, annotations, networks, tubes."""

from __future__ import annotations

import csv
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from annotate_inputs import write_boxes
from corrections import accepted, write_corrections
from networks import save_pyslowfast
from onnx_files import write_constant_onnx
from tube_sets import tube, tube_truth, write_images, write_set
from weights_files import pyslowfast_cfg, write_family

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.config import Config, load_config
from ava_detect.config.build import build_model, self_contained
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.environment import resource_dir
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.tube_pickles import write_detected_boxes, write_detected_tubes
from ava_detect.models.weights import save_weights
from ava_detect.models.zoo import SHIPPED
from ava_detect.models.zoo_download import cached_path
from ava_detect.models.zoo_table import ZOO
from ava_detect.results.corrections.events import Box
from ava_detect.results.importing.import_labels import import_labels
from ava_detect.structures.labels import LabelMap

SECONDS, FPS, WIDTH, HEIGHT = 2.2, 15, 320, 180
# Where the files that are cut from AVA's movies start in them.
AVA_START = 900
# By the hashes of their ids, training on corrections holds one of them out.
MOVIES = {"movie_000": "movie", "movie_001": "other"}
SMALL_BACKBONES: dict[str, dict[str, Any]] = {
    "slowfast": {"depths": [1, 1, 1, 1], "width": 8},
    "vit": {"width": 48, "depth": 1, "heads": 3},
}
SMALL_CLIP = {"num_frames": 8, "sampling_rate": 4, "short_side": 32}
# With these a training is over after a step.
SMALL_TRAINING: dict[str, dict[str, Any]] = {
    "data": {"short_side": [32, 32], "crop": 32, "num_workers": 0, "test_views": [1, 1]},
    "train": {"epochs": 1, "batch_size": 2, "eval_keyframes": 2, "precision": "fp32", "warmup_epochs": 0},
}
OWN_ACTIONS = ("knead dough", "wash dishes", "cut bread")
ZOO_FILES = ("slowfast_r50_32x2_ava22_ptv", "slowfast_r50_8x8_k400", "slowfast_r50_4x16_multisports_mm")


def write_small_configs(folder: Path) -> Path:
    """The configs that ship, with networks that run in milliseconds; that of the demo weights as it is."""
    folder.mkdir()
    for path in resource_dir("configs").glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        backbone = content.setdefault("model", {}).setdefault("backbone", {})
        if not path.stem.startswith("demo") and "nonlocal_blocks" not in backbone:
            content = made_small(content)
        if path.stem.endswith("multisports"):  # as the tubes of ``write_page_inputs`` have them
            content["model"]["head"]["num_classes"] = 3
            del content["labels"]
        (folder / path.name).write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with the changes of a second mapping."""
    result = dict(values)
    for key, value in changes.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return result


def made_small(content: Mapping[str, Any]) -> dict[str, Any]:
    """A config, as in its file, with a network that runs in milliseconds and a training of a step."""
    model = content.get("model", {})
    backbone = SMALL_BACKBONES[model.get("backbone", {}).get("kind", "slowfast")]
    head = {"pool_size": 1} if "pool_size" in model.get("head", {}) else {}
    sizes = {"model": {"backbone": backbone, "head": head}, "clip": {"short_side": 32}}
    return merged(merged(content, sizes), SMALL_TRAINING)


def write_page_inputs(folder: Path) -> Path:
    """Every file that more than one page names, in ``folder``; the zoo's names are files of ``folder/cache``."""
    world = folder / "world"
    settings = WorldSettings(seed=28, num_movies=2, seconds=SECONDS, fps=FPS, width=WIDTH, height=HEIGHT)
    write_world(world, settings)
    for name in ("videos", "ava/videos", "trainval", "new_videos", "mine/videos"):
        (folder / name).mkdir(parents=True)
        for ours, called in MOVIES.items():
            shutil.copy(world / "videos" / f"{ours}.mp4", folder / name / f"{called}.mp4")
    shutil.copytree(world, folder / "world_val")
    for name in ("movie.mp4", "video.mp4"):
        shutil.copy(folder / "videos/movie.mp4", folder / name)
    _write_truth(folder)
    _write_tubes(folder)
    _write_labels_of_tools(folder)
    _write_weights(folder)
    _write_own_weights(folder)
    _write_configs(folder)
    _write_detectors(folder)
    annotate_videos(folder / "videos", folder / "results", weights="demo")
    shutil.copytree(folder / "results", folder / "ava_results")
    rows = [row for path in sorted((folder / "results").glob("*.csv")) for row in csv.reader(path.open())]
    _write_rows(folder / "detections.csv", rows, AVA_START)
    for name in ("before.csv", "after.csv"):
        _write_rows(folder / name, rows)
    return folder


def _write_rows(path: Path, rows: list[list[str]], start: int = 0) -> None:
    """Rows of an AVA csv, later by some seconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([row[0], f"{float(row[1]) + start:04.0f}", *row[2:]] for row in rows)


def _write_truth(folder: Path) -> None:
    with (folder / "world/ground_truth.csv").open() as file:
        rows = [[MOVIES[row[0]], *row[1:]] for row in csv.reader(file)]
    for name in ("ground_truth.csv", "gt.csv"):
        _write_rows(folder / name, rows)
    for name, video in (("train", "movie"), ("val", "other")):
        _write_rows(folder / f"ava_{name}_v2.2.csv", rows, AVA_START)
        _write_rows(folder / f"{name}.csv", [row for row in rows if row[0] == video], 902)
        (folder / f"ava_{name}_excluded_timestamps_v2.2.csv").write_text(f"movie,{AVA_START + 2:04d}\n")
    boxes = [(row[0], float(row[1]) + AVA_START, [float(corner) for corner in row[2:6]]) for row in rows]
    for name in ("train_predicted_boxes", "val_predicted_boxes", "detection_val_boxes_and_labels"):
        write_boxes(folder / f"ava_{name}.csv", boxes)


def _write_tubes(folder: Path) -> None:
    # Few labelled frames to train on, and two videos to measure on in both splits.
    few, both = {"jump/one": (tube("jump/one", 0, 1, 6),)}, ("throw/two", "throw/three")
    truth = tube_truth(tubes={**tube_truth().tubes, **few}, train_splits=(("jump/one",),) * 2, test_splits=(both, both))
    tubes = write_set(folder / "tubes_set", truth)
    for name in ("multisports_GT.pkl", "JHMDB-GT.pkl", "UCF101v2-GT.pkl"):
        shutil.copy(tubes / "GT.pkl", folder / name)
    for name in ("trainval", "ReCompress_Videos"):
        shutil.copytree(tubes / "videos", folder / name, dirs_exist_ok=True)
    write_images(folder / "Frames")
    found = [replace(one, score=0.9 - 0.1 * number) for number, one in enumerate(truth.tubes_of(truth.test_videos()))]
    write_detected_tubes(folder / "tubes.pkl", found, truth.label_map)
    tables = [
        AvaTable.from_columns(
            [one.video_id] * len(one), one.frames, one.boxes_xyxy, [one.action_id] * len(one),
            scores=[one.score] * len(one),
        )
        for one in found
    ]  # fmt: skip
    write_detected_boxes(folder / "boxes.pkl", AvaTable.concatenate(tables), truth.test_videos())
    proposals = {
        f"{one.video_id},{frame:04d}": np.array([[*(box / [80, 48, 80, 48]), 0.95]])
        for one in found
        for frame, box in zip(one.frames.tolist(), one.boxes_xyxy, strict=True)
    }
    (folder / "MultiSports_box").mkdir()
    (folder / "MultiSports_box/val.recall_96.13.pkl").write_bytes(pickle.dumps(proposals))


def write_tube_results(folder: Path) -> None:
    """``ava_results`` of the videos with tubes, a keyframe on every fifth frame."""
    shutil.rmtree(folder / "ava_results")
    weights = folder / "runs/jhmdb/model.safetensors"
    annotate_videos(folder / "trainval/throw", folder / "ava_results", weights=weights, every_seconds=0.2)


def _write_labels_of_tools(folder: Path) -> None:
    """A task of CVAT with three actions of one's own, the ground truth of it, and annotations of mmaction2."""
    attributes = "".join(
        f"<attribute><name>{name}</name><mutable>True</mutable><input_type>checkbox</input_type>"
        "<default_value>false</default_value><values></values></attribute>"
        for name in OWN_ACTIONS
    )
    meta = (
        f"<meta><task><id>7</id><name>mine</name><mode>interpolation</mode><labels><label><name>person</name><attributes>"
        f"{attributes}</attributes></label></labels><original_size><width>{WIDTH}</width><height>{HEIGHT}</height>"
        "</original_size><source>VIDEO.mp4</source></task></meta>"
    )
    boxes = "".join(
        f'<box frame="{frame}" outside="0" occluded="0" keyframe="1" xtl="32" ytl="24" xbr="96" ybr="120" z_order="0">'
        f'<attribute name="{name}">true</attribute></box>'
        for frame, name in zip((0, FPS, 2 * FPS), OWN_ACTIONS, strict=True)
    )
    track = f'<track id="3" label="person" source="manual">{boxes}</track>'
    text = f"<annotations><version>1.1</version>{meta}{track}</annotations>"
    for name, video in (("task_7.zip", "movie"), ("corrected.zip", "movie"), ("task_8.zip", "other")):
        with zipfile.ZipFile(folder / name, "w") as file:
            whole = '<?xml version="1.0" encoding="utf-8"?>\n' + text.replace("VIDEO", video)
            file.writestr("annotations.xml", whole)
    for name, task in (("train", "task_7.zip"), ("val", "task_8.zip")):
        import_labels(folder / task, folder / f"mine/{name}.csv", videos=folder / "videos", overwrite=True)
    labels = np.zeros((1, 81))
    labels[0, 12] = 1
    ann = {"gt_bboxes": np.array([[0.1, 0.2, 0.6, 0.9]]), "gt_labels": labels, "entity_ids": np.array([3])}
    annotations = [{"video_id": "movie", "timestamp": 1, "ann": ann}]
    (folder / "annotations.pkl").write_bytes(pickle.dumps(annotations))


def _write_weights(folder: Path) -> None:
    """Networks as the configs of ``write_small_configs`` have them, which must be in use."""
    for name in ZOO_FILES:
        path = cached_path(ZOO[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_family(build_model(ZOO[name].config), ZOO[name].layout, path)
    write_family(build_model("slowfast_r50_32x2_c2"), "caffe2", folder / "SLOWFAST_32x2_R50.pkl")
    write_family(build_model("mmaction2_slowonly_r50_8x8"), "mmaction2", folder / "slowonly_r50_8x8.pth")
    config = load_config("slowfast_r50_32x2")
    for name in ("SLOWFAST_32x2_R50_SHORT.pyth", "checkpoint_epoch_00020.pyth"):
        save_pyslowfast(build_model(config), folder / name, cfg=pyslowfast_cfg(config))
    write_family(build_model("videomae_ad_vit_b"), "videomae", folder / "vit_b_k400.pth")


def _write_own_weights(folder: Path) -> None:
    """Files of this package, each of a small network with its config inside."""
    tubes = {"kind": "tubes", "train": {"annotations": str(folder / "JHMDB-GT.pkl"), "videos": str(folder)}}
    contents: dict[str, dict[str, Any]] = {
        "first": {"model": {"head": {"num_classes": 20}}, "labels": {"map": str(folder / "world/label_map.pbtxt")}},
        "jhmdb": {"model": {"head": {"num_classes": 3}}, "data": tubes},
        "multisports": {"model": {"head": {"num_classes": 3}}, "data": tubes},
        "kinetics": {"model": {"task": "classification", "head": {"num_classes": 2, "activation": "softmax"}}},
    }
    for name, content in contents.items():
        (folder / "runs" / name).mkdir(parents=True)
        config = self_contained(Config.model_validate(made_small({**content, "clip": SMALL_CLIP})))
        path = folder / "runs" / name / "model.safetensors"
        save_weights(build_model(config), path, config=config.model_dump(mode="json"))
    shutil.copy(folder / "runs/jhmdb/model.safetensors", folder / "model.safetensors")
    # Of the classes of ``results``.
    shutil.copy(SHIPPED["demo"], folder / "net.pth")


def _write_configs(folder: Path) -> None:
    """Configs that pages name without showing them."""
    tubes = {"annotations": "JHMDB-GT.pkl", "videos": "ReCompress_Videos"}
    clips = {"annotations": "kinetics.csv", "videos": "videos"}
    (folder / "kinetics.csv").write_text("movie.mp4 0\nother.mp4 1\n")
    data = {"kind": "tubes", "train": tubes, "val": tubes}
    contents: dict[str, dict[str, Any]] = {
        "jhmdb": {"model": {"head": {"num_classes": 3}}, "data": data},
        "mine": {"model": {"head": {"num_classes": 3}}, "data": data},
        "my_kinetics": {
            "model": {"task": "classification", "head": {"num_classes": 2, "activation": "softmax"}},
            "data": {"kind": "kinetics", "train": clips, "val": clips},
        },
    }
    for name, content in contents.items():
        small = made_small({**content, "clip": SMALL_CLIP})
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")


def _write_detectors(folder: Path) -> None:
    """ONNX files that find a person in the middle, as YOLO11 is exported and in another layout."""
    grid = np.zeros((1, 6, 84), np.float32)
    grid[0, :5, 0] = (32, 32, 32, 48, 0.9)
    metadata = {"author": "Ultralytics", "task": "detect", "imgsz": "[64, 64]", "names": "{0: 'person', 1: 'dog'}"}
    write_constant_onnx(folder / "yolo11n.onnx", {"output0": grid}, shape=(1, 3, 64, 64), metadata=metadata, fixed=True)
    write_constant_onnx(folder / "detector.onnx", {"output": grid.transpose(0, 2, 1)}, shape=(1, 3, 64, 64))


def write_small_builtin(path: Path) -> Path:
    """A network in the place of that of the builtin detector: it finds the person of ``task_7.zip``, and another."""
    boxes = np.array([[[0.1, 24 / 180, 0.3, 120 / 180], [0.58, 0.41, 0.82, 1]]])
    return write_constant_onnx(path, {"boxes": boxes, "scores": np.array([[0.95, 0.9]])}, shape=("n", 3, 32, 32))


def write_accepted(folder: Path) -> None:
    """``corrections`` as a person leaves them who accepts every keyframe with its true people."""
    table = read_ground_truth(folder / "ground_truth.csv")
    people: dict[str, dict[float, dict[int, tuple[Box, tuple[int, ...]]]]] = {}
    for row, person in enumerate(table.person_ids.tolist()):
        video = people.setdefault(table.video_ids[table.video_index[row]], {})
        keyframe = video.setdefault(float(table.timestamps_seconds[row]), {})
        actions = keyframe[person][1] if person in keyframe else ()
        x1, y1, x2, y2 = table.boxes_fraction[row].tolist()
        keyframe[person] = ((x1, y1, x2, y2), (*actions, int(table.action_ids[row])))
    label_map = LabelMap.from_pbtxt(folder / "world/label_map.pbtxt")
    shutil.rmtree(folder / "corrections")
    write_corrections(folder / "corrections", label_map, people, accepted(people), folder / "results")
