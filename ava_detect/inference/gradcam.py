"""Grad-CAM for detection, through both pathways (Selvaraju et al., ICCV 2017, arXiv:1610.02391).

For one person's logit of one action, each channel of a pathway's last feature map (before RoI pooling) is weighted with
the mean of its gradient; their sum, where it is above 0, is the map. The gradient goes back through the person's own
RoI alone, so that two people on one clip have two maps. Cells outside the box are high where the same channels are
active; the box is drawn so that they can be told apart.

Pooling and head are piecewise linear, so the logit is exactly the bias plus the pathways' contributions.

Shapes: C channels, T frames of a pathway, h, w its feature map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.errors import AvaDetectError
from ava_detect.models.action_detector import ActionDetector
from ava_detect.structures import Clip, PersonBoxes
from ava_detect.video.transforms import normalize, roi_boxes


@dataclass(frozen=True, eq=False)
class PathwayAttention:
    """The map and the contribution of one pathway.

    Attributes:
        pathway: ``slow`` or ``fast``.
        heat: float32 ``[T, h, w]`` in 0..1, where 1 is the pathway's own maximum.
        frames: Indices in the clip of the T frames.
        contribution: The pathway's part of the logit.
    """

    pathway: str
    heat: npt.NDArray[np.float32]
    frames: tuple[int, ...]
    contribution: float

    def __repr__(self) -> str:
        return f"PathwayAttention({self.pathway!r}, heat={list(self.heat.shape)}, contribution={self.contribution:.3f})"


@dataclass(frozen=True, eq=False)
class Attention:
    """The maps of one action of one person.

    Attributes:
        pathways: One map per pathway.
        logit: The action's logit, which is ``bias`` plus the pathways' contributions.
        bias: The part that no feature has a share in: the head's bias of the action; with a hidden layer or a relation
            also what the biases before it add.
    """

    pathways: tuple[PathwayAttention, ...]
    logit: float
    bias: float

    @property
    def score(self) -> float:
        """The sigmoid of the logit, in 0..1: the action's score, before any product with the person's."""
        return float(1 / (1 + np.exp(-self.logit)))


def attention(model: ActionDetector, clip: Clip, people: PersonBoxes, person: int, column: int) -> Attention:
    """Compute the Grad-CAM maps of one action of one person.

    The network's parameters and mode are not changed.

    Args:
        model: The network, in evaluation mode.
        clip: The clip.
        people: The people on its keyframe, boxes in pixels of the clip.
        person: Index of the person, from 0.
        column: Score column of the action, from 0.

    Returns:
        A map per pathway, and the logit's parts.

    Raises:
        AvaDetectError: There is no such person or column.
    """
    if not 0 <= person < len(people):
        raise AvaDetectError(f"there are {len(people)} people, counted from 0, got {person}")
    if not 0 <= column < model.head.num_classes:
        raise AvaDetectError(f"the network has {model.head.num_classes} score columns, counted from 0, got {column}")
    settings = model.clip_settings
    device = next(model.parameters()).device
    inputs = normalize(clip.frames, settings.mean, settings.std)[None].to(device)
    box = np.insert(roi_boxes(people.boxes_xyxy[person : person + 1], clip, model.roi_pool.box_rule), 0, 0, axis=1)
    with torch.no_grad():
        features = model.backbone(inputs)
    # Only RoI pooling and head are differentiated: their inputs are the leaves of the graph.
    with torch.enable_grad():
        leaves = [pathway.detach().float().requires_grad_() for pathway in features]
        logit = model.head(model.roi_pool(leaves, torch.from_numpy(box).to(device), inputs.shape[-2:]))[0, column]
        gradients = torch.autograd.grad(logit, leaves)
    frames = model.backbone.frames_of_maps(len(clip))
    pathways = tuple(
        _pathway_attention(name, feature, gradient, indices)
        for name, feature, gradient, indices in zip(model.backbone.map_names, leaves, gradients, frames, strict=True)
    )
    return Attention(pathways, logit.item(), logit.item() - sum(pathway.contribution for pathway in pathways))


def _pathway_attention(
    name: str, feature: torch.Tensor, gradient: torch.Tensor, frames: tuple[int, ...]
) -> PathwayAttention:
    # Weight of a channel: the mean of its gradient over time and space.
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)  # [1, C, 1, 1, 1]
    # Weighted sum of the channels, its positive part only.
    heat = (weights * feature).sum(dim=1)[0].relu().detach().cpu().numpy()  # [T, h, w]
    heat = heat / max(float(heat.max()), np.finfo(np.float32).tiny)
    return PathwayAttention(name, heat.astype(np.float32), frames, float((gradient * feature).detach().sum()))
