"""Models of Ultralytics: YOLO and RT-DETR, by name or from a .pt file. Only this module imports the library.

Ultralytics is under AGPL-3.0, and so are its weights (https://www.ultralytics.com/license).
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ava_detect.detectors.base import BatchDetector, Converters, Image, read_size
from ava_detect.detectors.classes import Wanted, chosen_classes, names_by_index, read_classes, select_actors
from ava_detect.detectors.libraries import not_importable
from ava_detect.errors import DetectorError, shown, suggestion
from ava_detect.storage.cache import cache_dir, cache_lock
from ava_detect.structures import PersonBoxes

# Models for other tasks give no upright boxes.
TASKS = ("detect", "segment", "pose")
# Unless the user has said otherwise: nothing is installed while detecting, and a .pt file is read with weights_only.
_ENVIRONMENT = {"YOLO_AUTOINSTALL": "false", "ULTRALYTICS_SAFE_LOAD": "true"}


class UltralyticsDetector(BatchDetector):
    """Finds persons with a model of Ultralytics, on images prepared and boxes read by its own predictor.

    Frames of one size go through the network together, at most 8 at a time.
    """

    spec_options: ClassVar[Converters] = {"classes": read_classes, "size": read_size}

    def __init__(
        self,
        model: str | Path,
        *,
        classes: Wanted | None = None,
        size: tuple[int, int] | None = None,
        min_score: float = 0.3,
        device: str = "cpu",
    ) -> None:
        """Load the model; Ultralytics downloads the weights of a known name into its weights folder.

        Args:
            model: A name (``yolo11n``, ``rtdetr-l``), a ``.pt`` file, or a model's ``.yaml``: random weights.
            classes: The model's classes that are the actors, by number or name; by default its person class.
            size: Width and height in pixels of the input into which a frame is fitted; by default the model's, 640.
            min_score: Lowest score of a person, 0..1.
            device: Device of the model.

        Raises:
            MissingDependencyError: ultralytics cannot be imported.
            DetectorError: The name is unknown, the weights cannot be had, or the model has no such class.
        """
        is_random = Path(model).suffix in (".yaml", ".yml")
        self.name = f"ultralytics:{Path(model).name}" + (" (random weights)" if is_random else "")
        self._min_score = min_score
        with _kept_aside():
            yolo = _load(str(model))
            self._predictor = _predictor(yolo, min_score, size, torch.device(device))
        self._classes = chosen_classes(classes, names_by_index(self._predictor.model.names), self.name)

    def _run(self, images: Sequence[Image]) -> list[PersonBoxes]:
        """The persons on images of one size."""
        # Ultralytics takes arrays in OpenCV's order, BGR.
        found = self._predictor([np.ascontiguousarray(image[:, :, ::-1]) for image in images])
        return [self._people(objects.boxes, image) for objects, image in zip(found, images, strict=True)]

    def _people(self, found: Any, image: Image) -> PersonBoxes:
        objects = tuple(values.cpu().numpy() for values in (found.xyxy, found.conf, found.cls))
        return select_actors((objects[0], objects[1], objects[2]), self._classes, self._min_score, image)


def _predictor(yolo: Any, min_score: float, size: tuple[int, int] | None, device: torch.device) -> Any:
    """Ultralytics' predictor of a model: its letterbox, its network, its NMS."""
    settings = {"mode": "predict", "conf": min_score, "batch": 1, "rect": True, "save": False, "verbose": False}
    if size is not None:
        settings["imgsz"] = [size[1], size[0]]
    predictor = yolo.task_map[yolo.task]["predictor"](overrides={**yolo.overrides, **settings, "device": device})
    predictor.setup_model(yolo.model, verbose=False)
    # They report each use to Ultralytics.
    predictor.callbacks = defaultdict(list)
    return predictor


def _load(model: str) -> Any:
    """The model with its weights."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ultralytics
    except ImportError as error:
        raise not_importable("ultralytics", error) from error
    path = _path_of(model)
    model_class = ultralytics.RTDETR if "rtdetr" in path.stem else ultralytics.YOLO
    try:
        if path.suffix == ".pt" and not path.is_file():
            # One process downloads, the others wait for it.
            with cache_lock(path):
                yolo = model_class(str(path))
        else:
            yolo = model_class(str(path))
    except ConnectionError as error:
        raise DetectorError(
            f"ultralytics could not download {path.name} ({_one_line(error)}); get it on another machine and put it "
            f"into {path.parent}, or give the file: ultralytics:FILE.pt"
        ) from error
    except Exception as error:  # their loader raises whatever unpickling raises
        raise DetectorError(
            f"ultralytics cannot load {shown(model)} ({_one_line(error)}); give a detection model's .pt file. Where "
            "it holds classes of its own and you trust it, set ULTRALYTICS_SAFE_LOAD=0"
        ) from error
    if yolo.task not in TASKS:
        raise DetectorError(
            f"ultralytics:{shown(model)}: the model's task is {yolo.task}; give one for {', '.join(TASKS)}"
        )
    return yolo


def _path_of(model: str) -> Path:
    """The file of a model, which for a name of Ultralytics need not be there yet."""
    from ultralytics import SETTINGS
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

    path = Path(model)
    if path.suffix in (".yaml", ".yml") or (path.suffix == ".pt" and path.is_file()):
        return path
    if path.suffix not in (".pt", "") and f"{model}.pt" not in GITHUB_ASSETS_NAMES:
        instead = f"onnx:{shown(model)}" if path.suffix == ".onnx" else "an export to ONNX, as onnx:FILE"
        raise DetectorError(f"ultralytics:{shown(model)}: give a .pt file or a model's name; or {instead}")
    name = f"{model.removesuffix('.pt')}.pt"
    if Path(name).is_file():
        return Path(name)
    if name not in GITHUB_ASSETS_NAMES:
        known = sorted(known.removesuffix(".pt") for known in GITHUB_ASSETS_NAMES if known.endswith(".pt"))
        raise DetectorError(
            f"ultralytics:{shown(model)}: there is no such file, and Ultralytics has no model of that name"
            f"{suggestion(path.stem, known)}; give a .pt file or a name such as yolo11n, yolov8m, rtdetr-l"
        )
    folder = Path(SETTINGS["weights_dir"])
    if not folder.is_absolute() and not (folder / name).is_file():
        # Outside of a checkout their default is "weights" in the current folder: one download for each folder.
        folder = cache_dir() / "ultralytics"
    return folder / name


@contextmanager
def _kept_aside() -> Iterator[None]:
    """Keep what importing and building changes outside of Ultralytics, and its messages off the standard output."""
    num_threads, print_options = torch.get_num_threads(), np.get_printoptions()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        torch.set_num_threads(num_threads)
        np.set_printoptions(**print_options)


def _one_line(error: Exception) -> str:
    return shown(" ".join(str(error).replace("❌", "").split()))
