"""The whole network: clip and boxes in, one logit per person and action out."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from ava_detect.errors import ConfigError
from ava_detect.models.backbone import Backbone
from ava_detect.models.heads import Activation, ClassificationHead, ProjectionHead, clip_scores
from ava_detect.models.roi import RoIPool
from ava_detect.structures import ClipSettings


class ActionDetector(nn.Module):
    """Backbone, RoI pooling and projection head.

    The clip settings travel with the network because its weights are only valid for clips cut in that way.
    """

    def __init__(
        self, backbone: Backbone, roi_pool: RoIPool, head: ProjectionHead, clip_settings: ClipSettings | None = None
    ) -> None:
        """Assemble the network from its three parts.

        Args:
            backbone: Clip -> feature maps; an ``nn.Module``.
            roi_pool: Feature maps and boxes -> one feature vector per box.
            head: Feature vector -> logits.
            clip_settings: How clips must be cut and normalised; by default ``ClipSettings()``.
        """
        super().__init__()
        self.backbone = backbone
        self.roi_pool = roi_pool
        self.head = head
        self.clip_settings = clip_settings or ClipSettings()

    def forward(self, clip: Tensor, rois: Tensor) -> Tensor:
        """Score the actions of each person.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` of the clip settings.
            rois: Boxes ``[M, 5]``: clip index, then xyxy in pixels of the clip.

        Returns:
            Logits ``[M, num_classes]``; ``heads.detection_scores`` makes them scores in 0..1.
        """
        features = self.backbone(clip)
        pooled = self.roi_pool(features, rois, clip.shape[-2:])
        return cast(Tensor, self.head(pooled))


class ActionClassifier(nn.Module):
    """Backbone and classification head: the actions of a whole clip (Kinetics, Charades)."""

    def __init__(
        self,
        backbone: Backbone,
        head: ClassificationHead,
        clip_settings: ClipSettings | None = None,
        *,
        activation: Activation = "softmax",
    ) -> None:
        """Assemble the network from its two parts.

        Args:
            backbone: Clip -> feature maps; an ``nn.Module``.
            head: Feature maps -> logits at each position.
            clip_settings: How clips must be cut and normalised; by default ``ClipSettings()``.
            activation: Function from logits to scores; the one that the network was trained with.
        """
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.clip_settings = clip_settings or ClipSettings()
        self.activation: Activation = activation

    def forward(self, clip: Tensor) -> Tensor:
        """Compute the logits at each position of the feature map.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` at the fast pathway's frame rate.

        Returns:
            Logits ``[B, t, h, w, num_classes]``; ``scores`` reduces them to one row per clip.
        """
        return cast(Tensor, self.head(self.backbone(clip)))

    def scores(self, clip: Tensor) -> Tensor:
        """Score the actions of each clip: activate at each position, then average over the positions.

        Args:
            clip: Normalised RGB ``[B, 3, T, H, W]`` at the fast pathway's frame rate.

        Returns:
            Scores ``[B, num_classes]``.
        """
        return clip_scores(self(clip), self.activation)


def require_detector(model: ActionDetector | ActionClassifier) -> ActionDetector:
    """Return ``model`` if it scores persons; refuse a classifier of whole clips.

    Args:
        model: A network from ``build_model``. Other modules with a detector's signature are accepted.

    Returns:
        The same object, typed as a detector.

    Raises:
        ConfigError: ``model`` is an ``ActionClassifier``.
    """
    if isinstance(model, ActionClassifier):
        raise ConfigError(
            "this model is a classifier: it says what a whole clip shows, not what each person does; choose a "
            "config whose model.task is detection"
        )
    return model
