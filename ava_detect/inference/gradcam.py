"""Where the network looked when it believed an action of a person: Grad-CAM (Selvaraju et al., ICCV 2017,
arXiv:1610.02391), for detection and through both pathways.

For one person's logit of one action, each channel of a pathway's last feature map (before RoI pooling) is weighted with
the mean of its gradient; their sum, where it is above 0, is the map. The gradient goes back through the person's own
RoI alone, so that two people on one clip have two maps. Cells outside the box light up where the same channels fire:
they look like what decided, and the box is drawn so that one can tell.

Pooling and head are piecewise linear, so the logit is exactly the bias plus what each pathway puts in
(``contributions``): it says which pathway an action was seen by.

Shapes: C channels, T frames of a pathway, h, w its feature map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.errors import AvaDetectError
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.slowfast import SlowFast, slow_frame_indices
from ava_detect.structures import Clip, PersonBoxes
from ava_detect.video.transforms import normalize, roi_boxes


@dataclass(frozen=True, eq=False)
class PathwayAttention:
    """One pathway's share. ``heat``: float32 ``[T, h, w]`` in 0..1, 1 being the pathway's own greatest value.

    ``frames``: which frames of the clip the T are. ``contribution``: what the pathway puts into the logit.
    """

    pathway: str
    heat: npt.NDArray[np.float32]
    frames: tuple[int, ...]
    contribution: float

    def __repr__(self) -> str:
        return f"PathwayAttention({self.pathway!r}, heat={list(self.heat.shape)}, contribution={self.contribution:.3f})"


@dataclass(frozen=True, eq=False)
class Attention:
    """Where one action of one person was seen. ``logit`` is ``bias`` plus the pathways' contributions."""

    pathways: tuple[PathwayAttention, ...]
    logit: float
    bias: float

    @property
    def score(self) -> float:
        """The action's score, in 0..1."""
        return float(1 / (1 + np.exp(-self.logit)))


def attention(model: ActionDetector, clip: Clip, people: PersonBoxes, person: int, column: int) -> Attention:
    """The maps of the ``person``-th of ``people`` (pixels of the clip) and the network's score column ``column``.

    The network's parameters and mode are left as they are; it must be in evaluation mode. Raises ``AvaDetectError``
    where there is no such person or column.
    """
    if not 0 <= person < len(people):
        raise AvaDetectError(f"there are {len(people)} people, counted from 0, got {person}")
    if not 0 <= column < model.head.num_classes:
        raise AvaDetectError(f"the network has {model.head.num_classes} score columns, counted from 0, got {column}")
    settings = model.clip_settings
    device = next(model.parameters()).device
    inputs = normalize(clip.frames, settings.mean, settings.std)[None].to(device)
    box = np.insert(roi_boxes(people.boxes_xyxy[person : person + 1], clip), 0, 0, axis=1)
    with torch.no_grad():
        features = model.backbone(inputs)
    with torch.enable_grad():
        leaves = [pathway.detach().float().requires_grad_() for pathway in features]
        logit = model.head(model.roi_pool(leaves, torch.from_numpy(box).to(device)))[0, column]
        gradients = torch.autograd.grad(logit, leaves)
    frames = frames_of_pathways(model.backbone, len(clip))
    pathways = tuple(
        _of_pathway(name, feature, gradient, of_pathway)
        for name, feature, gradient, of_pathway in zip(model.backbone.pathways, leaves, gradients, frames, strict=True)
    )
    return Attention(pathways, logit.item(), logit.item() - sum(pathway.contribution for pathway in pathways))


def frames_of_pathways(backbone: SlowFast, num_frames: int) -> list[tuple[int, ...]]:
    """Which frames of a clip each pathway reads."""
    everything = tuple(range(num_frames))
    slow = tuple(slow_frame_indices(num_frames, backbone.alpha, backbone.slow_frames))
    return [slow if name == "slow" and backbone.alpha > 1 else everything for name in backbone.pathways]


def _of_pathway(name: str, feature: torch.Tensor, gradient: torch.Tensor, frames: tuple[int, ...]) -> PathwayAttention:
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    heat = (weights * feature).sum(dim=1)[0].relu().detach().cpu().numpy()
    heat = heat / max(float(heat.max()), np.finfo(np.float32).tiny)
    return PathwayAttention(name, heat.astype(np.float32), frames, float((gradient * feature).detach().sum()))
