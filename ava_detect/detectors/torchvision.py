"""Any detection model of torchvision, reduced to the people or other actors among COCO's objects."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torchvision import models

from ava_detect.detectors.base import BatchDetector, Converters, Image
from ava_detect.detectors.classes import Wanted, chosen_classes, names_by_index, read_classes, select_actors
from ava_detect.errors import DetectorError, shown, suggestion
from ava_detect.structures import PersonBoxes


class TorchvisionDetector(BatchDetector):
    """Finds persons with a model of ``torchvision.models.detection``, for example ``fasterrcnn_resnet50_fpn_v2``.

    Frames of one size go through the network together, at most 8 at a time.
    """

    spec_options: ClassVar[Converters] = {"weights": str, "classes": read_classes}

    def __init__(
        self,
        name: str,
        *,
        weights: str | Path = "DEFAULT",
        classes: Wanted | None = None,
        min_score: float = 0.8,
        device: str = "cpu",
    ) -> None:
        """Build the model and load its weights.

        Args:
            name: Name of a torchvision detection model.
            weights: ``"DEFAULT"`` (torchvision downloads them), a file with a state dict, or ``"none"`` for random
                weights.
            classes: The classes that are the actors, by name or by COCO's id; by default person, which is 1.
            min_score: Lowest score of a person, 0..1.
            device: Device of the model.

        Raises:
            DetectorError: The name or a class is unknown, or the weights cannot be downloaded, read or do not fit.
        """
        known = models.list_models(module=models.detection)
        if name not in known:
            raise DetectorError(
                f"torchvision has no detection model {name!r}{suggestion(name, known)}; it has {', '.join(known)}"
            )
        origin = {"none": "random weights", "DEFAULT": "default weights"}.get(str(weights), Path(weights).name)
        self.name = f"torchvision:{name} ({origin})"
        # Every detection model of torchvision has COCO's classes, with its ids and gaps.
        categories = names_by_index(models.get_model_weights(name).DEFAULT.meta["categories"])
        self._classes = chosen_classes(classes, _without_gaps(categories), f"torchvision:{name}")
        self._min_score = min_score
        self._device = torch.device(device)
        self._model = _load(name, weights).eval().to(self._device)

    @torch.inference_mode()
    def _run(self, images: Sequence[Image]) -> list[PersonBoxes]:
        """The persons on images of one size."""
        # [H, W, 3] in 0..255 -> [3, H, W] in 0..1.
        tensors = [torch.tensor(image).permute(2, 0, 1).to(self._device).float() / 255 for image in images]
        return [self._people(found, image) for found, image in zip(self._model(tensors), images, strict=True)]

    def _people(self, found: dict[str, torch.Tensor], image: Image) -> PersonBoxes:
        boxes_xyxy, scores, labels = (found[key].cpu().numpy() for key in ("boxes", "scores", "labels"))
        return select_actors((boxes_xyxy, scores, labels), self._classes, self._min_score, image)


def _without_gaps(categories: dict[int, str]) -> dict[int, str]:
    """The classes that are objects: index 0 is the background, and COCO leaves some ids out."""
    return {index: name for index, name in categories.items() if name not in ("__background__", "N/A")}


def _load(name: str, weights: str | Path) -> torch.nn.Module:
    """The model with the weights of a file, torchvision's own or random ones."""
    if weights == "DEFAULT":
        return _pretrained(name)
    try:
        state = None if weights == "none" else torch.load(weights, map_location="cpu", weights_only=True)
        model: torch.nn.Module = models.get_model(name, weights=None, weights_backbone=None)
        if state is not None:
            # torchvision's own training script keeps the state dict under "model"
            model.load_state_dict(state.get("model", state))
    except (AttributeError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise DetectorError(
            f"{weights}: these weights cannot be loaded into torchvision's {name} ({shown(error)}); "
            "give a state dict of that model"
        ) from error
    return model


def _pretrained(name: str) -> torch.nn.Module:
    """The model with torchvision's default weights, downloaded if they are not in its cache."""
    weights = models.get_model_weights(name).DEFAULT
    try:
        model: torch.nn.Module = models.get_model(name, weights=weights)
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise DetectorError(
            f"the weights of torchvision's {name} could not be downloaded ({shown(error)}); get {weights.url} on "
            f"another machine and put it into {folder}, or say weights=FILE"
        ) from error
    return model
