"""One view after another through a classifier; a view that cannot be read stops nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ava_detect.benchmark.result import StageTimes
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.samples import Batch, Sample, collate, network_input
from ava_detect.errors import VideoError
from ava_detect.models.action_detector import ActionClassifier
from ava_detect.models.execution import Execution, Precision, prepare
from ava_detect.models.heads import clip_scores
from ava_detect.structures import Float32Array


class ViewScorer:
    """A classifier on its device: uint8 frames ``[B, T, H, W, 3]`` -> scores ``[B, K]``."""

    def __init__(
        self, model: ActionClassifier, device: str, precision: Precision, execution: Execution, clips_per_batch: int
    ) -> None:
        self.model = model.eval()
        self.clips_per_batch = clips_per_batch
        self._device = torch.device(device)
        self._network = prepare(self.model, execution=execution, precision=precision, device=self._device)

    def __call__(self, batch: Batch) -> Float32Array:
        """The scores of each clip of the batch."""
        settings = self.model.clip_settings
        clip = network_input(batch.frames.to(self._device), settings.mean, settings.std)
        scores: Float32Array = clip_scores(self._network(clip), self.model.activation).cpu().numpy()
        return scores


def score_views(
    scorer: ViewScorer, dataset: ClipDataset, indices: Sequence[int], num_workers: int, times: StageTimes
) -> Iterator[tuple[Float32Array, tuple[int, ...]] | str]:
    """For each of ``indices`` its scores and the columns of its labels, or why it cannot be read."""
    loader = DataLoader(
        _Readable(dataset, indices),
        batch_size=scorer.clips_per_batch,
        num_workers=num_workers,
        collate_fn=_collate,
    )
    batches = iter(loader)
    while True:
        with times.of("data"):
            loaded = next(batches, None)
        if loaded is None:
            return
        batch, troubles = loaded
        rows: Iterator[tuple[Float32Array, tuple[int, ...]]] = iter(())
        if batch is not None:
            with times.of("action"):
                scores = scorer(batch)
            columns = [tuple(np.flatnonzero(row).tolist()) for row in batch.labels.numpy()]
            rows = zip(scores, columns, strict=True)
        for trouble in troubles:
            yield trouble or next(rows)


class _Readable(Dataset[Sample | str]):
    """Some samples of a data set; in the place of one that cannot be read, the reason."""

    def __init__(self, dataset: ClipDataset, indices: Sequence[int]) -> None:
        self._dataset = dataset
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> Sample | str:
        try:
            return self._dataset[self._indices[place]]
        except VideoError as error:
            return str(error)


def _collate(items: Sequence[Sample | str]) -> tuple[Batch | None, list[str]]:
    """The samples among ``items`` as a batch, and for every item its trouble, "" for none."""
    samples = [item for item in items if isinstance(item, Sample)]
    return collate(samples) if samples else None, [item if isinstance(item, str) else "" for item in items]
