"""detectron2's models, with which AVA's published person boxes were made. Only this module imports detectron2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ava_detect.detectors.base import BatchDetector, Converters, Image
from ava_detect.detectors.classes import Wanted, chosen_classes, names_by_index, read_classes, select_actors
from ava_detect.detectors.libraries import not_importable
from ava_detect.errors import DetectorError, shown
from ava_detect.structures import PersonBoxes


class Detectron2Detector(BatchDetector):
    """Finds persons with a detectron2 model, on images prepared as by its own ``DefaultPredictor``.

    Frames of one size go through the network together, at most 8 at a time.
    """

    spec_options: ClassVar[Converters] = {"weights": str, "classes": read_classes}

    def __init__(
        self,
        config: str | Path,
        *,
        weights: str | Path | None = None,
        classes: Wanted | None = None,
        min_score: float = 0.8,
        device: str = "cpu",
    ) -> None:
        """Build the model and load its weights.

        Args:
            config: A yaml file, or a name of the model zoo (``COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml``).
            weights: A file or URL, or ``"none"`` for random weights; by default the zoo's for a name of the zoo, else
                those that the yaml file names. detectron2 unpickles ``.pkl`` files: use only files that you trust.
            classes: The model's classes that are the actors, by number or name; by default its person class.
            min_score: Lowest score of a person, 0..1.
            device: Device of the model.

        Raises:
            MissingDependencyError: detectron2 cannot be imported.
            DetectorError: The config or the weights cannot be used, or the model has no such class.
        """
        origin = "random weights" if weights == "none" else Path(weights).name if weights else "its own weights"
        self.name = f"detectron2:{config} ({origin})"
        self._min_score = min_score
        self._predictor = _predictor(str(config), weights, min_score, device)
        # The names that belong to the config's data set; an unregistered one has none.
        names = names_by_index(getattr(getattr(self._predictor, "metadata", None), "thing_classes", None))
        self._classes = chosen_classes(classes, names, self.name)

    @torch.inference_mode()
    def _run(self, images: Sequence[Image]) -> list[PersonBoxes]:
        """The persons on images of one size."""
        outputs = self._predictor.model([self._prepared(image) for image in images])
        return [self._people(found["instances"], image) for found, image in zip(outputs, images, strict=True)]

    def _prepared(self, image: Image) -> dict[str, Any]:
        """An image as detectron2's models take it; their boxes are in pixels of ``height`` x ``width``."""
        ordered = image[:, :, ::-1] if self._predictor.input_format == "BGR" else image
        resized = self._predictor.aug.get_transform(ordered).apply_image(ordered)
        tensor = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1), dtype=np.float32))
        return {"image": tensor, "height": image.shape[0], "width": image.shape[1]}

    def _people(self, found: Any, image: Image) -> PersonBoxes:
        tensors = (found.pred_boxes.tensor, found.scores, found.pred_classes)
        boxes_xyxy, scores, labels = (values.cpu().numpy() for values in tensors)
        return select_actors((boxes_xyxy, scores, labels), self._classes, self._min_score, image)


def _predictor(config: str, weights: str | Path | None, min_score: float, device: str) -> Any:
    """detectron2's ``DefaultPredictor``: the built model, its weights, its resizing and its channel order."""
    try:
        from detectron2 import model_zoo
        from detectron2.config import get_cfg
        from detectron2.engine import DefaultPredictor
    except ImportError as error:
        raise not_importable("detectron2", error) from error
    from_file = Path(config).is_file()
    settings = get_cfg()
    try:
        settings.merge_from_file(config if from_file else model_zoo.get_config_file(config))
        if weights is not None:
            settings.MODEL.WEIGHTS = "" if weights == "none" else str(weights)
        elif not from_file:
            settings.MODEL.WEIGHTS = model_zoo.get_checkpoint_url(config)
    except (AssertionError, KeyError, OSError, RuntimeError, ValueError) as error:
        raise DetectorError(
            f"detectron2 cannot use the config {config!r} ({shown(error)}); give a yaml file, or a name of its "
            "model zoo such as COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
        ) from error
    if weights is None and not settings.MODEL.WEIGHTS:
        raise DetectorError(
            f"{config} names no weights (MODEL.WEIGHTS); say weights=FILE, or weights=none for random ones"
        )
    settings.MODEL.DEVICE = device
    settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = settings.MODEL.RETINANET.SCORE_THRESH_TEST = min_score
    try:
        return DefaultPredictor(settings)
    except (OSError, AssertionError) as error:
        raise DetectorError(
            f"detectron2 cannot load the weights {settings.MODEL.WEIGHTS} ({shown(error)}); say weights=FILE with a "
            "file that is on this machine"
        ) from error
