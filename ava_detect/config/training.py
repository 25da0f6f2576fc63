"""The config sections of data and training.

The defaults are those of the SlowFast paper on AVA (arXiv 1812.03982, section 5; PySlowFast's AVA configs); the configs
of plain ViTs state their own. Relative paths refer to the working directory.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ava_detect.config.section import AS_LIST, Section, Text
from ava_detect.structures.clip import MAX_SIDE_PIXELS

_LEAST_SHORT_SIDE = 32
# Beyond these lie slips of the pen; each is far above what is used.
_MAX_SECONDS, _MAX_EPOCHS, _MAX_BATCH, _MAX_WORKERS, _MAX_COUNT = 1e7, 100_000, 65_536, 256, 10**9
_MAX_SPLITS = 1000
_MAX_SEED = 4_000_000_000  # NumPy's are below 2**32, and each process adds its number
_Side = Annotated[int, Field(ge=_LEAST_SHORT_SIDE, le=MAX_SIDE_PIXELS)]
_Views = Annotated[int, Field(ge=1, le=1000)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Degrees = Annotated[float, Field(ge=0, le=180)]
_Beta = Annotated[float, Field(ge=0, lt=1)]
_Epoch = Annotated[int, Field(ge=0, le=_MAX_EPOCHS)]


class SplitConfig(Section):
    """One split of a dataset; exactly one of ``videos`` and ``frames`` is given.

    Attributes:
        annotations: An AVA or AVA-Kinetics csv; for tubes the pickle of the data set, which names the videos of both
            splits; for Kinetics a csv of path and label; for Charades its own csv.
        videos: Folder of video files.
        frames: Folder of extracted frames.
        proposals: Person boxes of a detector: csv, COCO json or mmaction2's pickle; AVA and tubes only.
        exclude: A csv of video and second, the keyframes to leave out; AVA and tubes only. In these two files of a data
            set of tubes the number of the frame, from 1, stands in place of the second.
    """

    annotations: Text
    videos: Text | None = None
    frames: Text | None = None
    proposals: Text | None = None
    exclude: Text | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.videos is None) == (self.frames is None):
            raise ValueError("give the folder of videos or the folder of frames, one of the two")
        return self


class CorrectionsConfig(Section):
    """Keyframes that people have reviewed (``ava-detect review``), to learn from; AVA only.

    Attributes:
        folder: The folder of corrections.
        videos: Folder of the video files; None for where they were when they were annotated.
        held_out: Share of the videos (of the keyframes, where they are of one video) that is not trained on: 0 for
            none.
    """

    folder: Text
    videos: Text | None = None
    held_out: float = Field(0.2, ge=0, le=0.9)


class DataConfig(Section):
    """The data and its augmentation.

    Attributes:
        kind: The dataset's format; ``tubes`` is that of MultiSports, UCF101-24 and JHMDB, in which every frame of a
            tube is a keyframe.
        split: Number of the data set's division into training and test videos, from 1; tubes only (JHMDB has 3).
        train: The training split.
        val: The test split; None for the part of ``corrections`` that is held out.
        corrections: Reviewed keyframes that are trained on, alone or beside ``train``.
        start_seconds: Time in the movie at which each AVA video file starts: 900 for the usual trimmed files, 0 for
            whole movies.
        min_proposal_score: Lowest score, 0..1, of a proposal that is trained on.
        match_iou: A proposal takes the labels of the ground-truth box that it overlaps by at least this IoU; without
            such a box it is a person without actions.
        short_side: Range [low, high] of the training clips' short side in pixels, drawn as 1 / U(1 / high, 1 / low).
        crop: Side of the training crop in pixels; None for the whole frame.
        min_visible: Smallest fraction of a person's box inside the crop with which the person is trained on.
        flip: Probability of a horizontal flip.
        color_jitter: Greatest relative change of brightness, contrast and saturation; 0 for none.
        hsv_jitter: Greatest shifts of hue (degrees), saturation and value (0..1); zeros for none.
        test_frames: Frames of the test videos on which ``benchmark`` scores tubes: ``all`` as in ACT and MOC, or those
            with a tube (``labelled``), on which mmaction2 measured its MultiSports models; tubes only.
        test_views: Number of clips over time and of crops over space in a classifier's test.
        num_workers: Number of loading processes.
    """

    kind: Literal["ava", "tubes", "kinetics", "charades"] = "ava"
    split: int = Field(1, ge=1, le=_MAX_SPLITS)
    train: SplitConfig | None = None
    val: SplitConfig | None = None
    corrections: CorrectionsConfig | None = None
    start_seconds: float = Field(0.0, ge=0, le=_MAX_SECONDS)
    min_proposal_score: float = Field(0.8, ge=0, le=1)
    match_iou: float = Field(0.9, gt=0, le=1)
    short_side: Annotated[tuple[_Side, _Side], AS_LIST] = (256, 320)
    crop: int | None = Field(224, ge=_LEAST_SHORT_SIDE, le=MAX_SIDE_PIXELS)
    min_visible: float = Field(0.0, ge=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    color_jitter: float = Field(0.0, ge=0, lt=1)
    hsv_jitter: Annotated[tuple[_Degrees, _Share, _Share], AS_LIST] = (0.0, 0.0, 0.0)
    test_frames: Literal["all", "labelled"] = "all"
    test_views: Annotated[tuple[_Views, _Views], AS_LIST] = (10, 3)
    num_workers: int = Field(2, ge=0, le=_MAX_WORKERS)

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        low, high = self.short_side
        if not (self.crop or _LEAST_SHORT_SIDE) <= low <= high:
            least = f"crop {self.crop}" if self.crop else str(_LEAST_SHORT_SIDE)
            raise ValueError(f"short_side must be [low, high] with {least} <= low <= high, got [{low}, {high}]")
        if self.test_views[1] not in (1, 3):
            raise ValueError(
                f"test_views must be at least 1 clip over time and 1 or 3 crops, got {list(self.test_views)}"
            )
        if self.corrections is not None and self.kind != "ava":
            has = "tubes on numbered frames" if self.kind == "tubes" else "labels of whole clips"
            raise ValueError(f"corrections are of people on AVA's keyframes, and kind {self.kind} has {has}")
        if self.kind == "tubes" and self.start_seconds:
            raise ValueError("start_seconds is for times in seconds, and tubes count the frames of their files")
        if self.kind != "tubes" and self.split != 1:
            raise ValueError(f"split chooses among those of a pickle of tubes, and kind {self.kind} has its own files")
        return self

    @property
    def is_of_people(self) -> bool:
        """Whether boxes of people are labelled, not whole clips."""
        return self.kind in ("ava", "tubes")

    @property
    def has_training_data(self) -> bool:
        """Whether there is anything to train on."""
        return self.train is not None or self.corrections is not None

    @property
    def is_validated_on_corrections(self) -> bool:
        """Whether the part of the corrections that is held out is the test split."""
        return self.val is None and self.corrections is not None and self.corrections.held_out > 0


class TrainConfig(Section):
    """The optimisation, its schedule, its evaluations and its checkpoints.

    Attributes:
        epochs: Number of passes over the training split.
        batch_size: Clips per step, over all processes and ``accumulate`` forward passes.
        accumulate: Forward passes per step; must divide ``batch_size``.
        loss: By default ``bce``, and ``cross_entropy`` where each sample has one label: for Kinetics, and with
            ``model.head.score`` ``softmax`` or ``softmax_with_background``.
        focal_alpha: Weight of the focal loss.
        focal_gamma: Exponent of the focal loss.
        optimiser: ``sgd`` is the SlowFast recipe's, ``adamw`` that of plain ViTs.
        learning_rate: Learning rate after the warm-up, for ``batch_size`` clips; it is updated at each step. AdamW has
            no default.
        layer_decay: Factor of the learning rate from each layer of the backbone to the layer before it; the last
            layer and the head have the full rate. 1 gives all layers the same rate.
        momentum: Momentum of SGD.
        nesterov: Whether SGD's momentum is Nesterov's.
        betas: AdamW's decay rates of the mean and of the square of the gradient.
        weight_decay: Decay of the weights: SGD's as an L2 penalty in the gradient, AdamW's beside it.
        schedule: After the warm-up, ``step`` multiplies the learning rate by ``step_factor`` at each of
            ``step_epochs``, and ``cosine`` lets it fall to ``cosine_end``.
        step_epochs: Rising epochs at which ``step`` lowers the learning rate.
        step_factor: Factor of each of these steps.
        cosine_end: Learning rate at the end of ``cosine``.
        cosine_after_warmup: Whether half the cosine's period lasts from the end of the warm-up to the last epoch; if
            not, from epoch 0.
        warmup_epochs: Epochs in which the learning rate rises linearly from ``warmup_start``.
        warmup_start: Learning rate at the first step of the warm-up.
        clip_norm: Greatest norm of the gradient; None for no limit.
        precision: Number type of the forward pass.
        ema_decay: Decay per step of a moving average of the weights, which is then evaluated and saved; None for none.
        sync_batchnorm: Whether batch norm statistics are shared by all processes.
        compile: Whether the network runs through ``torch.compile``.
        initialise: Weights to start from: a file, an address or a name of the zoo.
        seed: Seed of the weights, of the order of the data and of its augmentation.
        eval_every: Epochs between evaluations; 0 for never.
        eval_keyframes: Number of keyframes (or clips) per evaluation; None for all.
        save_every: Steps between checkpoints, in addition to the one at each epoch's end; None for no others.
        log_every: Steps between lines of the log.
    """

    epochs: int = Field(20, ge=1, le=_MAX_EPOCHS)
    batch_size: int = Field(64, ge=1, le=_MAX_BATCH)
    accumulate: int = Field(1, ge=1, le=_MAX_BATCH)
    loss: Literal["bce", "focal", "cross_entropy"] | None = None
    focal_alpha: float = Field(3.0, gt=0)
    focal_gamma: float = Field(1.0, ge=0)
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    layer_decay: float = Field(1.0, gt=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    betas: Annotated[tuple[_Beta, _Beta], AS_LIST] = (0.9, 0.999)
    weight_decay: float = Field(1e-7, ge=0)
    schedule: Literal["step", "cosine"] = "step"
    step_epochs: Annotated[tuple[_Epoch, ...], AS_LIST] = (10, 15, 20)
    step_factor: float = Field(0.1, gt=0, lt=1)
    cosine_end: float = Field(0.0, ge=0)
    cosine_after_warmup: bool = False
    warmup_epochs: float = Field(5.0, ge=0, le=_MAX_EPOCHS)
    warmup_start: float = Field(0.000125, ge=0)
    clip_norm: float | None = Field(None, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema_decay: float | None = Field(None, gt=0, lt=1)
    sync_batchnorm: bool = False
    compile: bool = False
    initialise: Text | None = None
    seed: int = Field(0, ge=0, le=_MAX_SEED)
    eval_every: int = Field(1, ge=0, le=_MAX_COUNT)
    eval_keyframes: int | None = Field(None, ge=1, le=_MAX_COUNT)
    save_every: int | None = Field(None, ge=1, le=_MAX_COUNT)
    log_every: int = Field(10, ge=1, le=_MAX_COUNT)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} does not divide by accumulate {self.accumulate}")
        if list(self.step_epochs) != sorted(set(self.step_epochs)):
            raise ValueError(f"step_epochs must rise, got {list(self.step_epochs)}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        if self.optimiser == "adamw" and "learning_rate" not in self.model_fields_set:
            raise ValueError(
                f"adamw needs a learning_rate: the default {self.learning_rate:g} is SGD's; try 1.25e-4 for batch_size "
                "64, and in proportion to it"
            )
        if self.cosine_end > self.learning_rate:
            raise ValueError(f"cosine_end {self.cosine_end:g} is above the learning_rate {self.learning_rate:g}")
        return self
