"""Any detection model of torchvision, kept to COCO's people."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torchvision import models

from ava_detect.detectors.base import Converters, Image, images_of, people_by_size
from ava_detect.errors import DetectorError, suggestion
from ava_detect.structures import Frame, PersonBoxes, boxes

_PERSON = 1  # COCO's id, in every detection model of torchvision


class TorchvisionDetector:
    """People found by ``torchvision.models.detection``, for example ``fasterrcnn_resnet50_fpn_v2``.

    Frames of one size go through the network together, at most 8 at a time.
    """

    needs_images: bool = True
    spec_options: ClassVar[Converters] = {"weights": str}

    def __init__(
        self, name: str, *, weights: str | Path = "DEFAULT", min_score: float = 0.8, device: str = "cpu"
    ) -> None:
        """``weights``: ``DEFAULT`` (torchvision downloads them), a file with a state dict, or ``none`` (random).

        ``min_score``: people below it are left out. ``device``: where torch runs it.
        Raises ``DetectorError`` for an unknown name and for weights that cannot be had or do not fit.
        """
        known = models.list_models(module=models.detection)
        if name not in known:
            raise DetectorError(
                f"torchvision has no detection model {name!r}{suggestion(name, known)}; it has {', '.join(known)}"
            )
        origin = {"none": "random weights", "DEFAULT": "default weights"}.get(str(weights), Path(weights).name)
        self.name = f"torchvision:{name} ({origin})"
        self._min_score = min_score
        self._device = torch.device(device)
        self._model = _load(name, weights).eval().to(self._device)

    def __call__(self, frames: Sequence[Frame | Image]) -> list[PersonBoxes]:
        """The people on each frame, in pixels of the frame, best score first."""
        return people_by_size(images_of(frames), self._run)

    @torch.inference_mode()
    def _run(self, images: Sequence[Image]) -> list[PersonBoxes]:
        pictures = [torch.tensor(image).permute(2, 0, 1).to(self._device).float() / 255 for image in images]
        return [self._people(found, image) for found, image in zip(self._model(pictures), images, strict=True)]

    def _people(self, found: dict[str, torch.Tensor], image: Image) -> PersonBoxes:
        """The people among all that was found on one frame."""
        sure = (found["labels"] == _PERSON) & (found["scores"] >= self._min_score)
        order = found["scores"][sure].argsort(descending=True, stable=True)
        boxes_xyxy, scores = (found[key][sure][order].float().cpu().numpy() for key in ("boxes", "scores"))
        return PersonBoxes(boxes.clip(boxes_xyxy, image.shape[1], image.shape[0]), scores)


def _load(name: str, weights: str | Path) -> torch.nn.Module:
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
            f"{weights}: these weights cannot be loaded into torchvision's {name} ({error}); "
            "give a state dict of that model"
        ) from error
    return model


def _pretrained(name: str) -> torch.nn.Module:
    weights = models.get_model_weights(name).DEFAULT
    try:
        model: torch.nn.Module = models.get_model(name, weights=weights)
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise DetectorError(
            f"the weights of torchvision's {name} could not be downloaded ({error}); get {weights.url} on another "
            f"machine and put it into {folder}, or say weights=FILE"
        ) from error
    return model
