"""Heads: pooled features -> logits.

Activations belong to post-processing, so that the loss can be computed from logits, safely in mixed precision.

Shapes: B clips, C channels, T frames, H, W feature map, t, h, w positions of the pooling window, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["softmax", "sigmoid", "none"]
ScoreRule = Literal["action", "action_x_person", "softmax", "softmax_with_background"]


class ProjectionHead(nn.Module):
    """Dropout and one linear layer (PySlowFast ``ResNetRoIHead`` without its sigmoid), or two with a ReLU between."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        dropout: float = 0.5,
        background_class: bool = False,
        mlp: bool = False,
        score: ScoreRule = "action",
    ) -> None:
        """Create and initialise the linear layers.

        Args:
            in_features: Length of a feature vector.
            num_classes: K, number of classes that are scored.
            dropout: Probability that a feature is dropped in training, 0..1.
            background_class: Whether the linear layer has a row 0 for "no action", as mmaction2's AVA models with 81
                rows (``BBoxHeadAVA``). The row stays in the weights; its logit is taken off here and nowhere else. With
                ``softmax_with_background`` the others are relative to it, else it is unused.
            mlp: Whether a hidden layer of ``in_features`` with a ReLU comes before the last layer, as in mmaction2's
                "nl-head" models (``BBoxHeadAVA``, ``mlp_head``).
            score: The rule by which the family's figures were scored; see ``detection_scores``.

        Raises:
            ValueError: ``score`` is ``softmax_with_background`` and there is no ``background_class``.
        """
        super().__init__()
        if score == "softmax_with_background" and not background_class:
            raise ValueError("softmax_with_background needs the row of the background_class")
        self.score: ScoreRule = score
        self.num_classes = num_classes
        self.num_background = int(background_class)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(in_features, self.num_background + num_classes)
        nn.init.normal_(self.projection.weight, std=0.01)
        nn.init.zeros_(self.projection.bias)
        self.hidden = nn.Linear(in_features, in_features) if mlp else None
        if self.hidden is not None:
            # He initialisation, as before every ReLU of the backbone: the features keep their size.
            nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
            nn.init.zeros_(self.hidden.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Compute the logits of pooled features.

        Args:
            pooled: Features ``[..., in_features]``.

        Returns:
            Logits ``[..., K]``; with ``softmax_with_background`` each less the logit of the background, whose own is
            then 0: a softmax depends on differences alone.
        """
        features = self.dropout(pooled)  # [..., in_features]
        if self.hidden is not None:
            features = self.hidden(features).relu()  # [..., in_features]
        logits = cast(Tensor, self.projection(features))  # [..., num_background + K]
        if not self.num_background:
            return logits
        actions, background = logits[..., 1:], logits[..., :1]
        return actions - background if self.score == "softmax_with_background" else actions


class ClassificationHead(ProjectionHead):
    """The clip classifier's head (Kinetics, Charades; PySlowFast ``ResNetBasicHead``), fully convolutional."""

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        pool_sizes: Sequence[Sequence[int] | None],
        dropout: float = 0.5,
    ) -> None:
        """Create the linear layer over the pathways' concatenated channels.

        Args:
            in_channels: Channels of each pathway's features.
            num_classes: K, number of classes.
            pool_sizes: Averaging window (t, h, w) of each pathway, moved with stride 1: the whole map at the training
                crop's size, several positions at a larger test size. None averages the whole map at any size.
            dropout: Probability that a feature is dropped in training, 0..1.

        Raises:
            ValueError: ``pool_sizes`` and ``in_channels`` differ in length.
        """
        super().__init__(sum(in_channels), num_classes, dropout=dropout)
        if len(pool_sizes) != len(in_channels):
            raise ValueError(f"{len(in_channels)} pathways need as many pool_sizes, got {len(pool_sizes)}")
        self.pool_sizes = [None if size is None else tuple(size) for size in pool_sizes]

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # type: ignore[override]  # one tensor per pathway
        """Compute the logits at each position of the averaging window.

        Args:
            features: ``[B, C, T, H, W]`` of each pathway.

        Returns:
            Logits ``[B, t, h, w, K]``.

        Raises:
            ValueError: A feature map is smaller than its window, or a pathway is missing.
        """
        pooled = [self._pool(x, size) for x, size in zip(features, self.pool_sizes, strict=True)]  # [B, C, t, h, w]
        joined = torch.cat(pooled, dim=1)  # [B, sum of C, t, h, w]
        return super().forward(joined.movedim(1, -1))  # [B, t, h, w, sum of C] -> [B, t, h, w, K]

    @staticmethod
    def _pool(features: Tensor, size: tuple[int, ...] | None) -> Tensor:
        """``[B, C, T, H, W]`` -> means of the window at each position, ``[B, C, t, h, w]``."""
        if size is None:
            return features.mean(dim=(2, 3, 4), keepdim=True)  # [B, C, 1, 1, 1]
        if any(have < want for have, want in zip(features.shape[2:], size, strict=True)):
            raise ValueError(f"a feature map of (t, h, w) {tuple(features.shape[2:])} is smaller than the pool {size}")
        return functional.avg_pool3d(features, size, stride=1)


def detection_scores(logits: Tensor, person_scores: Tensor, rule: ScoreRule) -> Tensor:
    """Compute a detector's scores of people: how much a detection counts in the evaluation, and what is written.

    ``"action"``: the sigmoid of the logit (PySlowFast ``ResNetRoIHead``, commit 287ec007; mmaction2 ``BBoxHeadAVA``,
    commit 4d6c9347). ``"action_x_person"``: that times the score of the person's box (AlphAction's ``PostProcessor``,
    which UMT, commit 4fb4049, and VideoMAE-Action-Detection, commit 15615db, have in ``engine_for_finetuning.py``):
    their figures on AVA are of these products. Training is the same by both. ``"softmax"``: over the actions, of which
    each person does one (``BBoxHeadAVA`` with ``multilabel=False``, mmaction2's MultiSports models); it is trained with
    the cross entropy. ``"softmax_with_background"``: over the actions and "none of them", of which the score is left
    out (``BBoxHeadAVA`` with ``background_class=True`` besides; ACT's detectors).

    Args:
        logits: ``[M, K]`` of M people, as ``ProjectionHead`` gives them.
        person_scores: ``[M]`` in 0..1, of the person detector; 1 for a box without a score, such as a true one.
        rule: Which of the four.

    Returns:
        Scores ``[M, K]`` in 0..1.
    """
    if rule == "softmax":
        return logits.softmax(dim=1)
    if rule == "softmax_with_background":
        return with_background(logits).softmax(dim=1)[:, 1:]
    scores = logits.sigmoid()
    return scores if rule == "action" else scores * person_scores[:, None]


def with_background(logits: Tensor) -> Tensor:
    """Add the logit of the background to logits that are relative to it: a column of zeros in front.

    Args:
        logits: ``[M, K]`` of a head with ``softmax_with_background``.

    Returns:
        ``[M, 1 + K]``.
    """
    return functional.pad(logits, (1, 0))


def clip_scores(logits: Tensor, activation: Activation) -> Tensor:
    """Compute a classifier's test-time scores: activate at each position, then average the positions.

    Args:
        logits: ``[B, t, h, w, K]``.
        activation: ``"softmax"`` for one label a clip (Kinetics) and ``"sigmoid"`` for several (Charades) give scores
            in 0..1; ``"none"`` averages the logits, as pytorchvideo's Kinetics models do.

    Returns:
        Scores ``[B, K]``.
    """
    if activation == "softmax":
        logits = logits.softmax(dim=-1)
    elif activation == "sigmoid":
        logits = logits.sigmoid()
    return logits.mean(dim=(1, 2, 3))
