"""How good the network is on the validation split: frame-mAP of a detector, top-1/top-5 or mAP of a classifier.

Every process scores its share of the clips, each as it is when it is annotated or benchmarked; the numbers come
from all of them together. The full test of a classifier, of many views, is ``ava_detect.benchmark``'s.
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
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.samples import Sample, collate, network_input
from ava_detect.evaluation.clip_scores import average_precisions, top_k_accuracy
from ava_detect.evaluation.frame_map import FrameMAP
from ava_detect.evaluation.keyframes import KeyframeKeys
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
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
    """``value``: what is compared, in 0..1. ``details``: it and the other numbers, by name."""

    value: float
    details: dict[str, float]


class Validation(ABC):
    """A validation split, ready to be scored again and again."""

    def __init__(self, config: Config, clips: ClipDataset) -> None:
        self._clips = clips
        self._indices = chosen_clips(config, len(clips))
        self._num_workers = config.data.num_workers

    def __call__(self, network: Network, accelerator: Any) -> Score:
        """The score of ``network``, left in evaluation mode. Every process must call this, and gets the same."""
        network.eval()
        mine = self._indices[accelerator.process_index :: accelerator.num_processes]
        samples_read = samples_in_order(self._clips, mine, num_workers=self._num_workers, size=_CLIPS_PER_BATCH)
        found: list[Any] = []
        for samples in samples_read:
            # Side by side only clips of one size: none is padded, and so its scores are those that it has alone.
            for _, equal in groupby(samples, key=lambda sample: sample.frames.shape):
                part = list(equal)
                for sample, scores in zip(part, _scores(network, part, accelerator), strict=True):
                    found.append(self.outcome(mine[len(found)], sample, scores))
        return self.score(gather(found))

    @abstractmethod
    def outcome(self, index: int, sample: Sample, scores: Floats) -> Any:
        """What the metric needs of clip ``index``, whose ``scores`` are ``[N, C]`` of its people or ``[1, C]``."""

    @abstractmethod
    def score(self, outcomes: Sequence[Any]) -> Score:
        """The metric of all clips."""


class FrameMapValidation(Validation):
    """Frame-mAP, official dialect, on the keyframes looked at; of AVA's 80 actions over 60, of a choice over all."""

    def __init__(self, config: Config, clips: AvaDataset) -> None:
        super().__init__(config, clips)
        assert config.data.val is not None
        self._ava = clips
        self._evaluated = _evaluated(clips.label_map)
        self._truth = self._read_truth(config.data.val.annotations)

    def outcome(self, index: int, sample: Sample, scores: Floats) -> ActionDetections:
        """The people of a keyframe, with the boxes that the files have."""
        ids = np.array(self._clips.label_map.ids, np.int64)
        persons = np.ones(len(scores), np.float32)
        return ActionDetections(*self._moment(index), self._ava.boxes_fraction(index), persons, scores, ids)

    def score(self, outcomes: Sequence[ActionDetections]) -> Score:
        """The mean and each class's average precision."""
        metric = FrameMAP(self._evaluated)
        metric.update(ground_truth=self._truth, detections=AvaTable.from_detections(outcomes))
        result = metric.compute()
        per_class = {entry.name: entry.ap for entry in result.per_class.values()}
        return Score(result.mAP, {FRAME_MAP: result.mAP} | per_class)

    def _read_truth(self, annotations: str) -> AvaTable:
        """The rows of the annotations that are on the chosen keyframes."""
        table = read_ava_csv(annotations, last_column="person_id")
        videos, seconds = zip(*map(self._moment, self._indices), strict=True)
        numbering = KeyframeKeys()
        chosen = numbering.of_rows(AvaTable.from_columns(videos, seconds, np.full((len(videos), 4), np.nan)))
        return table[np.isin(numbering.of_rows(table), chosen)]

    def _moment(self, index: int) -> tuple[str, float]:
        """Video and second of a keyframe, as the annotations state them."""
        return self._ava.keys[index][0], float(self._ava.table.seconds[index])


class TopKValidation(Validation):
    """How often the one true class is the best, and among the best five (Kinetics)."""

    def outcome(self, index: int, sample: Sample, scores: Floats) -> tuple[Floats, int]:
        """The clip's scores and its class."""
        return scores[0], int(sample.labels.argmax())

    def score(self, outcomes: Sequence[tuple[Floats, int]]) -> Score:
        """The share of clips."""
        scores, truth = np.stack([s for s, _ in outcomes]), np.array([t for _, t in outcomes])
        shares = {f"top{k}": top_k_accuracy(scores, truth, k) for k in (1, 5)}
        return Score(shares[TOP1], shares)


class MultiLabelValidation(Validation):
    """Mean average precision over clips that show several things (Charades)."""

    def outcome(self, index: int, sample: Sample, scores: Floats) -> tuple[Floats, Floats]:
        """The clip's scores and its labels."""
        return scores[0], sample.labels.numpy()

    def score(self, outcomes: Sequence[tuple[Floats, Floats]]) -> Score:
        """The mean and each class's average precision."""
        scores, labels = (np.stack(column) for column in zip(*outcomes, strict=True))
        names = [action.name for action in self._clips.label_map]
        per_class = dict(zip(names, average_precisions(scores, labels > 0).tolist(), strict=True))
        known = [ap for ap in per_class.values() if not math.isnan(ap)]
        mean = float(np.mean(known)) if known else math.nan
        return Score(mean, {MULTI_LABEL_MAP: mean} | per_class)


def build_validation(config: Config) -> Validation:
    """The validation that ``data.kind`` has, over one view a clip."""
    # The centre of the clip's middle: the full test, of many views, is the benchmark's.
    config = config.model_copy(update={"data": config.data.model_copy(update={"test_views": (1, 1)})})
    clips = build_dataset(config, "val", training=False)
    if isinstance(clips, AvaDataset):
        return FrameMapValidation(config, clips)
    return TopKValidation(config, clips) if config.data.kind == "kinetics" else MultiLabelValidation(config, clips)


def metric_of(config: Config) -> str:
    """The name of the number by which one network is better than another."""
    return {"ava": FRAME_MAP, "kinetics": TOP1, "charades": MULTI_LABEL_MAP}[config.data.kind]


def chosen_clips(config: Config, num_clips: int) -> list[int]:
    """The clips of ``train.eval_keyframes``, in order: drawn by the seed, the same ones at every evaluation."""
    wanted = config.train.eval_keyframes
    if wanted is None or wanted >= num_clips:
        return list(range(num_clips))
    chosen: list[int] = np.random.default_rng(config.train.seed).choice(num_clips, wanted, replace=False).tolist()
    return sorted(chosen)


def names_of_details(config: Config) -> list[str]:
    """The names of ``Score.details``, in order, the compared number first."""
    if config.data.kind == "kinetics":
        return [TOP1, "top5"]
    label_map = label_map_of(config)
    shown = _evaluated(label_map) if config.data.kind == "ava" else label_map
    return [metric_of(config), *(action.name for action in shown)]


def _evaluated(label_map: LabelMap) -> LabelMap:
    return LabelMap.ava_evaluated() if label_map.ids == LabelMap.ava().ids else label_map


def _scores(network: Network, samples: Sequence[Sample], accelerator: Any) -> list[Floats]:
    """The action scores of each sample's people ``[N, C]``, or of the clip ``[1, C]``."""
    batch = collate(samples).to(accelerator.device)
    clip = network_input(batch.frames, network.clip_settings.mean, network.clip_settings.std)
    with torch.inference_mode(), accelerator.autocast():
        if isinstance(network, ActionClassifier):
            return [scores[None] for scores in network.scores(clip).float().cpu().numpy()]
        logits: Tensor = network(clip, batch.rois)
    counts = [len(sample.labels) for sample in samples]
    return np.split(logits.float().sigmoid().cpu().numpy(), np.cumsum(counts)[:-1])
