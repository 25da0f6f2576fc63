"""The whole network: clip and boxes in, a logit per person and action out."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ava_detect.models.heads import Activation, ClassificationHead, ProjectionHead, clip_scores
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import SlowFast
from ava_detect.structures import ClipSettings


class ActionDetector(nn.Module):
    """Backbone, RoI pooling, head.

    ``clip_settings`` says how the clips must be cut; it travels with the network because weights mean nothing
    without it.
    """

    def __init__(
        self, backbone: SlowFast, roi_pool: RoIPool, head: ProjectionHead, clip_settings: ClipSettings | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.roi_pool = roi_pool
        self.head = head
        self.clip_settings = clip_settings or ClipSettings()

    def forward(self, clip: Tensor, rois: Tensor) -> Tensor:
        """``clip``: normalised RGB ``[B, 3, T, H, W]`` at the fast rate; ``rois``: ``[M, 5]`` (clip index, then xyxy in
        pixels of the clip). Returns logits ``[M, num_classes]``; ``.sigmoid()`` makes them scores in 0..1.
        """
        features = self.backbone(clip)
        pooled = self.roi_pool(features, rois)
        return cast(Tensor, self.head(pooled))


class ActionClassifier(nn.Module):
    """Backbone and classification head: what a whole clip shows (Kinetics, Charades).

    ``activation``: what makes its logits scores; it was part of the training, as ``clip_settings`` were.
    """

    def __init__(
        self,
        backbone: SlowFast,
        head: ClassificationHead,
        clip_settings: ClipSettings | None = None,
        *,
        activation: Activation = "softmax",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.clip_settings = clip_settings or ClipSettings()
        self.activation: Activation = activation

    def forward(self, clip: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> logits per position ``[B, t, h, w, num_classes]``; see ``scores``."""
        return cast(Tensor, self.head(self.backbone(clip)))

    def scores(self, clip: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` -> scores ``[B, num_classes]``: activated at each position, averaged over them."""
        return clip_scores(self(clip), self.activation)
