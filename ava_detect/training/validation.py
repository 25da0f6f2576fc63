"""Score the network on the validation split during a training: frame-mAP, top-1 and top-5 accuracy, or mAP.

Every process scores its share of the clips, each clip as in annotation and in the benchmark; the metric is computed
from the scores of all processes. A classifier is scored on one view per clip; ``ava_detect.benchmark`` scores all.

Shapes: B clips, T frames, H height, W width, N people of one clip, M people of a batch, C classes, V clips of the
split.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ava_detect.config import Config
from ava_detect.config.build import label_map_of
from ava_detect.datasets.ava import AvaDataset
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.build import build_dataset, true_rows
from ava_detect.datasets.samples import Sample, collate, network_input
from ava_detect.evaluation.clip_scores import average_precisions, top_k_accuracy
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.evaluation.keyframes import KeyframeKeys
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.heads import detection_scores
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.training.batches import samples_in_order
from ava_detect.training.processes import gather

Network = ActionDetector | ActionClassifier
Floats = npt.NDArray[np.float32]
_CLIPS_PER_BATCH = 8
FRAME_MAP, TOP1, MULTI_LABEL_MAP = "frame_mAP", "top1", "mAP"


@dataclass(frozen=True)
class Score:
    """The score of a network.

    Attributes:
        value: The metric by which networks are compared, in 0..1.
        details: That metric and the others by name, such as the AP of each class.
    """

    value: float
    details: dict[str, float]


class Validation(ABC):
    """A validation split that networks are scored on repeatedly.

    Args:
        config: The config; ``train.eval_keyframes`` limits the number of clips.
        clips: The clips of the split.
    """

    def __init__(self, config: Config, clips: ClipDataset) -> None:
        self._clips = clips
        self._indices = chosen_clips(config, len(clips))
        self._num_workers = config.data.num_workers

    def __call__(self, network: Network, accelerator: Any) -> Score:
        """Score a network and leave it in evaluation mode. A collective call: every process must make it.

        Args:
            network: The network.
            accelerator: The ``accelerate.Accelerator`` of the training.

        Returns:
            The score over the clips of all processes, the same in every process.
        """
        network.eval()
        indices = self._indices[accelerator.process_index :: accelerator.num_processes]
        batches = samples_in_order(self._clips, indices, num_workers=self._num_workers, size=_CLIPS_PER_BATCH)
        outcomes: list[Any] = []
        for samples in batches:
            # Only clips of one size share a forward pass: padding would change their scores.
            for _, group in groupby(samples, key=lambda sample: sample.frames.shape):
                same_size = list(group)
                of_group = indices[len(outcomes) : len(outcomes) + len(same_size)]
                person_scores = [self.person_scores(index) for index in of_group]
                scored = _scores(network, same_size, person_scores, accelerator)
                outcomes += map(self.outcome, of_group, same_size, scored)
        return self.score(gather(outcomes))

    def person_scores(self, index: int) -> Floats:
        """Return the scores of a clip's people; a clip of a classifier has none.

        Args:
            index: Index of the clip.

        Returns:
            Scores in 0..1, ``[N]``.
        """
        return np.zeros(0, np.float32)

    @abstractmethod
    def outcome(self, index: int, sample: Sample, scores: Floats) -> Any:
        """Return what the metric needs of one clip.

        Args:
            index: Index of the clip.
            sample: The clip and its labels.
            scores: Scores in 0..1: ``[N, C]`` of its people, or ``[1, C]`` of the clip.

        Returns:
            A value that ``score`` takes, which can be sent between processes.
        """

    @abstractmethod
    def score(self, outcomes: Sequence[Any]) -> Score:
        """Compute the metric.

        Args:
            outcomes: The values of ``outcome`` for all clips.

        Returns:
            The score.
        """


class FrameMapValidation(Validation):
    """Frame-mAP by the official rules, over the chosen keyframes.

    The mean is over AVA's 60 evaluated classes for a network of all 80 actions, else over all of the network's classes.

    Args:
        config: The config; its test split is ``data.val`` or the corrections that are held out.
        clips: The keyframes of the split.
    """

    def __init__(self, config: Config, clips: AvaDataset) -> None:
        super().__init__(config, clips)
        self._ava = clips
        self._evaluated = _evaluated_classes(clips.label_map)
        self._truth = self._read_truth(config)

    def person_scores(self, index: int) -> Floats:
        """Return the scores of a keyframe's people: those of the proposals, 1 of true boxes.

        Args:
            index: Index of the keyframe.

        Returns:
            Scores in 0..1, ``[N]``.
        """
        return self._ava.person_scores(index)

    def outcome(self, index: int, sample: Sample, scores: Floats) -> ActionDetections:
        """Return the people of a keyframe: boxes as the annotations or proposals have them, and action scores.

        Args:
            index: Index of the keyframe.
            sample: The clip.
            scores: Scores in 0..1, ``[N, C]``.

        Returns:
            The detections of the keyframe.
        """
        action_ids = np.array(self._clips.label_map.ids, np.int64)  # [C]
        boxes = self._ava.boxes_fraction(index)  # [N, 4]
        return ActionDetections(*self._video_and_second(index), boxes, self.person_scores(index), scores, action_ids)

    def score(self, outcomes: Sequence[ActionDetections]) -> Score:
        """Compute the frame-mAP and the average precision of each class.

        Args:
            outcomes: The detections of all chosen keyframes.

        Returns:
            The score.
        """
        metric = FrameMAP(self._evaluated)
        metric.update(ground_truth=self._truth, detections=AvaTable.from_detections(outcomes))
        result = metric.compute()
        per_class = {entry.name: entry.ap for entry in result.per_class.values()}
        return Score(result.mAP, {FRAME_MAP: result.mAP} | per_class)

    def _read_truth(self, config: Config) -> AvaTable:
        """The true rows that lie on the chosen keyframes."""
        table = true_rows(config, "val")
        videos, seconds = zip(*map(self._video_and_second, self._indices), strict=True)
        # Number the keyframes of both tables alike, then keep the rows whose number was chosen.
        numbering = KeyframeKeys()
        chosen = numbering.of_rows(AvaTable.from_columns(videos, seconds, np.full((len(videos), 4), np.nan)))
        return table[np.isin(numbering.of_rows(table), chosen)]

    def _video_and_second(self, index: int) -> tuple[str, float]:
        """The video id and timestamp of a keyframe, as in the annotations."""
        return self._ava.keys[index][0], float(self._ava.table.seconds[index])


class TopKValidation(Validation):
    """Top-1 and top-5 accuracy of clips with one true class (Kinetics)."""

    def outcome(self, index: int, sample: Sample, scores: Floats) -> tuple[Floats, int]:
        """Return the scores and the true class of a clip.

        Args:
            index: Index of the clip.
            sample: The clip and its one-hot labels ``[C]``.
            scores: Scores in 0..1, ``[1, C]``.

        Returns:
            Scores ``[C]`` and the column of the true class.
        """
        return scores[0], int(sample.labels.argmax())

    def score(self, outcomes: Sequence[tuple[Floats, int]]) -> Score:
        """Compute the top-1 and top-5 accuracy.

        Args:
            outcomes: Scores ``[C]`` and true class of each clip.

        Returns:
            The score.
        """
        scores = np.stack([scores for scores, _ in outcomes])  # [V, C]
        true_classes = np.array([true_class for _, true_class in outcomes])  # [V]
        accuracies = {f"top{k}": top_k_accuracy(scores, true_classes, k) for k in (1, 5)}
        return Score(accuracies[TOP1], accuracies)


class MultiLabelValidation(Validation):
    """Mean average precision of clips with any number of true classes (Charades)."""

    def outcome(self, index: int, sample: Sample, scores: Floats) -> tuple[Floats, Floats]:
        """Return the scores and the labels of a clip.

        Args:
            index: Index of the clip.
            sample: The clip and its labels ``[C]``.
            scores: Scores in 0..1, ``[1, C]``.

        Returns:
            Scores ``[C]`` and labels ``[C]``.
        """
        return scores[0], sample.labels.numpy()

    def score(self, outcomes: Sequence[tuple[Floats, Floats]]) -> Score:
        """Compute the mAP and the average precision of each class.

        Args:
            outcomes: Scores ``[C]`` and labels ``[C]`` of each clip.

        Returns:
            The score; its mean leaves out classes without a true clip.
        """
        scores, labels = (np.stack(column) for column in zip(*outcomes, strict=True))  # [V, C], [V, C]
        names = [action.name for action in self._clips.label_map]
        per_class = dict(zip(names, average_precisions(scores, labels > 0).tolist(), strict=True))
        known = [ap for ap in per_class.values() if not math.isnan(ap)]
        mean = float(np.mean(known)) if known else math.nan
        return Score(mean, {MULTI_LABEL_MAP: mean} | per_class)


def build_validation(config: Config) -> Validation:
    """Build the validation of a config, by its ``data.kind``.

    Args:
        config: The config; its test split is ``data.val`` or the corrections that are held out.

    Returns:
        The validation, over one view per clip.

    Raises:
        AvaDetectError: The annotations or videos of the test split cannot be used.
    """
    # One clip from the middle of the video, one centre crop.
    config = config.model_copy(update={"data": config.data.model_copy(update={"test_views": (1, 1)})})
    clips = build_dataset(config, "val", training=False)
    if isinstance(clips, AvaDataset):
        return FrameMapValidation(config, clips)
    return TopKValidation(config, clips) if config.data.kind == "kinetics" else MultiLabelValidation(config, clips)


def metric_name(config: Config) -> str:
    """Return the name of the metric by which networks are compared.

    Args:
        config: The config; ``data.kind`` decides.

    Returns:
        ``"frame_mAP"``, ``"top1"`` or ``"mAP"``.
    """
    if config.data.is_of_people:
        return FRAME_MAP
    return TOP1 if config.data.kind == "kinetics" else MULTI_LABEL_MAP


def chosen_clips(config: Config, num_clips: int) -> list[int]:
    """Choose the clips that are validated: the same ones at every validation of a training.

    Args:
        config: The config; ``train.eval_keyframes`` is the number of clips (None for all), drawn with ``train.seed``.
        num_clips: Number of clips of the split.

    Returns:
        Indices of the chosen clips, ascending.
    """
    num_chosen = config.train.eval_keyframes
    if num_chosen is None or num_chosen >= num_clips:
        return list(range(num_clips))
    chosen: list[int] = np.random.default_rng(config.train.seed).choice(num_clips, num_chosen, replace=False).tolist()
    return sorted(chosen)


def detail_names(config: Config) -> list[str]:
    """Return the names of ``Score.details``.

    Args:
        config: The config.

    Returns:
        The names in order; the first is ``metric_name(config)``.
    """
    if config.data.kind == "kinetics":
        return [TOP1, "top5"]
    label_map = label_map_of(config)
    shown = _evaluated_classes(label_map) if config.data.kind == "ava" else label_map
    return [metric_name(config), *(action.name for action in shown)]


def _evaluated_classes(label_map: LabelMap) -> LabelMap:
    """AVA evaluates 60 of its 80 actions; of any other set of actions all are evaluated."""
    return LabelMap.ava_evaluated() if label_map.ids == LabelMap.ava().ids else label_map


def _scores(
    network: Network, samples: Sequence[Sample], person_scores: Sequence[Floats], accelerator: Any
) -> list[Floats]:
    """The action scores of each sample's people ``[N, C]``, or of the clip ``[1, C]``."""
    batch = collate(samples).to(accelerator.device)
    clip = network_input(batch.frames, network.clip_settings.mean, network.clip_settings.std)  # [B, 3, T, H, W]
    with torch.inference_mode(), accelerator.autocast():
        if isinstance(network, ActionClassifier):
            return [scores[None] for scores in network.scores(clip).float().cpu().numpy()]
        logits: Tensor = network(clip, batch.rois)  # [M, C]
    of_people = torch.from_numpy(np.concatenate(person_scores)).to(accelerator.device)  # [M]
    scores = detection_scores(logits.float(), of_people, network.head.score).cpu().numpy()
    # Split the M people of the batch by clip.
    counts = [len(sample.labels) for sample in samples]
    return np.split(scores, np.cumsum(counts)[:-1])
