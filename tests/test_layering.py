"""The arrows of the house: imports point strictly down, and rooms on one layer keep apart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ava_detect"

# A room is a folder or a file at the package's top; "__init__" and "__main__" are its doors.
LAYER = {
    "boxes": 0,
    "environment": 0,
    "errors": 0,
    "addresses": 0,
    "files": 0,
    "labels": 0,
    "resources": 0,
    "scratch": 0,
    "workers": 0,
    "config": 1,
    "structures": 1,
    "patience": 1,
    "engines": 1,
    "store": 2,
    "cache": 3,
    "detectors": 4,
    "evaluation": 4,
    "formats": 4,
    "linking": 4,
    "listing": 4,
    "models": 4,
    "sources": 4,
    "tubes": 4,
    "video": 4,
    "background": 4,
    "annotate_settings": 5,
    "build": 5,
    "config_choice": 5,
    "datasets": 5,
    "keyframe_plan": 5,
    "pipeline": 5,
    "run_record": 5,
    "scoring": 5,
    "source_lists": 5,
    "synthetic": 5,
    "visualization": 5,
    "annotate": 6,
    "annotate_dataset": 6,
    "annotate_folder": 6,
    "collect": 6,
    "dataset_work": 6,
    "engine_choice": 6,
    "model_service": 6,
    "publishing": 6,
    "annotator": 6,
    "benchmark": 6,
    "demo": 6,
    "doctor": 6,
    "evaluate": 6,
    "explain": 6,
    "export": 6,
    "hand_over": 6,
    "network_check": 6,
    "pictures": 6,
    "propose": 6,
    "saved_results": 6,
    "training": 6,
    "visualize": 6,
    "cli": 7,
    "cli_annotate": 7,
    "cli_benchmark": 7,
    "cli_data": 7,
    "cli_dataset": 7,
    "cli_handover": 7,
    "cli_text": 7,
    "cli_train": 7,
    "cli_visualize": 7,
    "cli_weights": 7,
}
COMMANDS = ("", "_annotate", "_benchmark", "_data", "_dataset", "_handover", "_train", "_visualize", "_weights")
# Neighbours on one layer that may see each other, each for a reason.
NEIGHBOURS = {
    ("labels", "errors"),  # a bad label map is a FormatError
    ("labels", "resources"),  # the shipped label maps
    ("detectors", "formats"),  # precomputed boxes are read from csv and COCO json
    ("evaluation", "formats"),  # a csv is evaluated as it is
    ("formats", "tubes"),  # action tubes are rows of their own
    ("datasets", "build"),  # which actions the columns of the labels stand for
    ("pipeline", "scoring"),  # the last stage of every video
    ("benchmark", "annotator"),  # the same devices, precisions and notes
    ("propose", "annotator"),  # the same devices
    ("explain", "annotator"),  # one keyframe as it is annotated
    ("saved_results", "visualize"),  # results are found in one way
    ("hand_over", "saved_results"),  # written again for other tools
    ("pictures", "saved_results"),  # or drawn
    ("annotate", "network_check"),  # what is wrong is said before any work
    ("network_check", "annotator"),  # by building what would do it
    ("annotate", "annotator"),  # in this process
    ("annotate", "annotate_folder"),  # or in several, into a folder
    ("annotate_folder", "annotator"),  # many videos are one video, many times
    ("annotate_folder", "model_service"),  # whose network may be elsewhere
    ("annotate_folder", "publishing"),  # the same names for files
    ("addresses", "errors"),  # an unknown kind of address is a ConfigError
    ("scratch", "errors"),  # a full disk is a StoreError
    ("annotate", "annotate_dataset"),  # results anywhere, work anywhere
    ("annotate", "engine_choice"),  # on the engine that was asked for
    ("annotate", "publishing"),  # beside the results of the same settings
    ("annotate", "dataset_work"),  # by workers who publish
    ("annotate_dataset", "publishing"),  # what is there is kept
    ("dataset_work", "annotate_dataset"),  # a worker is given the driver's tasks
    ("dataset_work", "annotator"),  # many videos are one video, many times
    ("dataset_work", "model_service"),  # whose network may be elsewhere
    ("annotate", "model_service"),  # and that is held apart
    ("model_service", "annotator"),  # built in one way
    ("dataset_work", "publishing"),  # each published by whoever annotated it
    ("collect", "publishing"),  # in the order of its listing
    ("collect", "visualize"),  # the same page
    ("demo", "annotate"),  # the demo is a run of annotate
    ("cli", "cli_annotate"),  # mounts its commands, and so on
    ("cli", "cli_benchmark"),
    ("cli", "cli_data"),
    ("cli", "cli_dataset"),
    ("cli", "cli_handover"),
    ("cli", "cli_train"),
    ("cli", "cli_visualize"),
    ("cli", "cli_weights"),
    *((f"cli{command}", "cli_text") for command in COMMANDS),  # they all print alike
    ("cli_annotate", "cli_weights"),  # shows the same bar while weights are fetched
    ("cli_benchmark", "cli_weights"),  # likewise
}
NO_CONFIG_OBJECTS_BELOW = 5


def room_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE).parts
    return inside[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "ava_detect" and len(parts) > 1 and not parts[1].startswith("__"):
                rooms.add(parts[1])
    return rooms


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.stem.startswith("__"))


def test_every_room_has_its_layer():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    rooms |= {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert rooms == set(LAYER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    room = room_of(path)
    for other in imported_rooms(path) - {room}:
        down = LAYER[other] < LAYER[room]
        assert down or (room, other) in NEIGHBOURS, f"{room} (layer {LAYER[room]}) imports {other} ({LAYER[other]})"
        assert other != "config" or LAYER[room] >= NO_CONFIG_OBJECTS_BELOW, f"{room} must take plain arguments"


def test_no_permission_is_left_over():
    used = {(room_of(path), other) for path in FILES for other in imported_rooms(path)}
    assert used >= NEIGHBOURS


def test_one_file_imports_detectron2():
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if name.split(".")[0] == "detectron2"
    }
    assert importers == {"detectors/detectron2.py"}
