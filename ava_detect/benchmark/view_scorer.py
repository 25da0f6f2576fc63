"""Score the views of a classification split, clip by clip; a view that cannot be read does not end the run.

Shapes: B clips, T frames, H height, W width, K classes.
"""

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
from ava_detect.models.execution import prepare
from ava_detect.models.heads import clip_scores
from ava_detect.models.network_options import ResolvedNetworkOptions
from ava_detect.structures import Float32Array

# The scores [K] of a view and the columns of its true labels.
ViewScores = tuple[Float32Array, tuple[int, ...]]


class ViewScorer:
    """A classifier on its device: uint8 frames ``[B, T, H, W, 3]`` -> scores ``[B, K]``.

    Args:
        model: The classifier, already on the device; it is put into evaluation mode.
        options: Where and how it runs.
    """

    def __init__(self, model: ActionClassifier, options: ResolvedNetworkOptions) -> None:
        self.model = model.eval()
        self.clips_per_batch = options.clips_per_batch
        self._device = torch.device(options.device)
        self._network = prepare(
            self.model, execution=options.execution, precision=options.precision, device=self._device
        )

    def __call__(self, batch: Batch) -> Float32Array:
        """Score the clips of a batch.

        Args:
            batch: The clips, uint8 frames ``[B, T, H, W, 3]``.

        Returns:
            Scores in 0..1, float32 ``[B, K]``.
        """
        settings = self.model.clip_settings
        clip = network_input(batch.frames.to(self._device), settings.mean, settings.std)  # [B, 3, T, H, W]
        scores: Float32Array = clip_scores(self._network(clip), self.model.activation).cpu().numpy()
        return scores


def score_views(
    scorer: ViewScorer, dataset: ClipDataset, indices: Sequence[int], num_workers: int, times: StageTimes
) -> Iterator[ViewScores | str]:
    """Score the samples of a data set in order.

    Args:
        scorer: The classifier.
        dataset: The views of every video.
        indices: Numbers of the samples to score.
        num_workers: Number of processes that load clips; 0 loads them in this process.
        times: Receives the time for ``data`` and ``action``.

    Yields:
        For each index the scores ``[K]`` and the columns of the true labels, or the reason why it cannot be read.
    """
    loader = DataLoader(
        _ReadableViews(dataset, indices),
        batch_size=scorer.clips_per_batch,
        num_workers=num_workers,
        collate_fn=_collate_readable,
    )
    batches = iter(loader)
    while True:
        with times.measure("data"):
            loaded = next(batches, None)
        if loaded is None:
            return
        batch, errors = loaded
        scored: Iterator[ViewScores] = iter(())
        if batch is not None:
            with times.measure("action"):
                scores = scorer(batch)  # [B, K]
            columns = [tuple(np.flatnonzero(row).tolist()) for row in batch.labels.numpy()]
            scored = zip(scores, columns, strict=True)
        # The batch holds the readable samples only; put the errors back at their positions between them.
        for error in errors:
            yield error or next(scored)


class _ReadableViews(Dataset[Sample | str]):
    """Chosen samples of a data set; a sample that cannot be read is replaced by the reason."""

    def __init__(self, dataset: ClipDataset, indices: Sequence[int]) -> None:
        self._dataset = dataset
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> Sample | str:
        try:
            return self._dataset[self._indices[position]]
        except VideoError as error:
            return str(error)


def _collate_readable(items: Sequence[Sample | str]) -> tuple[Batch | None, list[str]]:
    """Collate the samples among ``items``; the second value is the error of each item, "" for a sample."""
    samples = [item for item in items if isinstance(item, Sample)]
    return collate(samples) if samples else None, [item if isinstance(item, str) else "" for item in items]
