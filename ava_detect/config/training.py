"""Data and training: where the clips and labels are, and how the weights are learnt from them.

The defaults are those of the SlowFast paper on AVA (arXiv 1812.03982, section 5; PySlowFast's AVA configs). Paths are
taken from the folder in which the command runs.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ava_detect.config.model import Section

_LEAST_SHORT_SIDE = 32


class SplitConfig(Section):
    """One split: ``videos``, a folder of video files, or ``frames``, one of extracted frames; and its ``annotations``.

    ``annotations``: an AVA or AVA-Kinetics csv; for Kinetics a csv of path and label; for Charades its own csv.
    Of AVA only: ``proposals``, person boxes of a detector, as csv or COCO json; ``exclude``, a csv of video and second.
    """

    annotations: str
    videos: str | None = None
    frames: str | None = None
    proposals: str | None = None
    exclude: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.videos is None) == (self.frames is None):
            raise ValueError("give the folder of videos or the folder of frames, one of the two")
        return self


class DataConfig(Section):
    """What is learnt from.

    ``start_seconds``: where in its movie each AVA file starts (900 for the usual trimmed files, 0 for whole movies).
    ``min_proposal_score`` and ``match_iou``: a proposal of at least that score joins the boxes, with the labels of the
    ground-truth box that it overlaps by ``match_iou``, else as a person of no action. ``short_side``: the range of the
    training clips' short side, drawn as 1 / U(1 / high, 1 / low). ``crop``: side of the training crop in pixels,
    None for the whole frame. ``min_visible``: a person of whom a smaller share of the box is left in the crop is not
    learnt from. ``flip``: its probability. ``color_jitter``: greatest relative change of brightness, contrast and
    saturation. ``test_views``: clips over time and crops over space of a classifier's test.
    """

    kind: Literal["ava", "kinetics", "charades"] = "ava"
    train: SplitConfig | None = None
    val: SplitConfig | None = None
    start_seconds: float = Field(0.0, ge=0)
    min_proposal_score: float = Field(0.8, ge=0, le=1)
    match_iou: float = Field(0.9, gt=0, le=1)
    short_side: tuple[int, int] = (256, 320)
    crop: int | None = Field(224, ge=_LEAST_SHORT_SIDE)
    min_visible: float = Field(0.0, ge=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    color_jitter: float = Field(0.0, ge=0, lt=1)
    test_views: tuple[int, int] = (10, 3)
    num_workers: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        low, high = self.short_side
        if not (self.crop or _LEAST_SHORT_SIDE) <= low <= high:
            least = f"crop {self.crop}" if self.crop else str(_LEAST_SHORT_SIDE)
            raise ValueError(f"short_side must be [low, high] with {least} <= low <= high, got [{low}, {high}]")
        if self.test_views[0] < 1 or self.test_views[1] not in (1, 3):
            raise ValueError(
                f"test_views must be at least 1 clip over time and 1 or 3 crops, got {list(self.test_views)}"
            )
        return self


class TrainConfig(Section):
    """How the weights are learnt.

    ``batch_size``: clips a step, over all processes and ``accumulate`` forward passes. ``loss``: by default ``bce``,
    and ``cross_entropy`` for Kinetics. ``learning_rate`` is that of ``batch_size``; every iteration has its own.
    Until ``warmup_epochs`` it rises from ``warmup_start`` in a line; then ``step`` multiplies it by ``step_factor`` at
    each of ``step_epochs``, or ``cosine`` lets it fall to 0. ``clip_norm``: greatest norm of the gradient.
    ``ema_decay``: a moving average of the weights, which is then what is evaluated and kept. ``initialise``: weights to
    start from. ``eval_every``: epochs between evaluations, 0 for never; ``eval_keyframes``: how many keyframes (or
    clips), None for all. ``save_every``: steps between checkpoints beside the one at each epoch's end.
    """

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=1)
    accumulate: int = Field(1, ge=1)
    loss: Literal["bce", "focal", "cross_entropy"] | None = None
    focal_alpha: float = Field(3.0, gt=0)
    focal_gamma: float = Field(1.0, ge=0)
    learning_rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(1e-7, ge=0)
    schedule: Literal["step", "cosine"] = "step"
    step_epochs: tuple[int, ...] = (10, 15, 20)
    step_factor: float = Field(0.1, gt=0, lt=1)
    warmup_epochs: float = Field(5.0, ge=0)
    warmup_start: float = Field(0.000125, ge=0)
    clip_norm: float | None = Field(None, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema_decay: float | None = Field(None, gt=0, lt=1)
    sync_batchnorm: bool = False
    compile: bool = False
    initialise: str | None = None
    seed: int = Field(0, ge=0)
    eval_every: int = Field(1, ge=0)
    eval_keyframes: int | None = Field(None, ge=1)
    save_every: int | None = Field(None, ge=1)
    log_every: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} does not divide by accumulate {self.accumulate}")
        if list(self.step_epochs) != sorted(set(self.step_epochs)):
            raise ValueError(f"step_epochs must rise, got {list(self.step_epochs)}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self
