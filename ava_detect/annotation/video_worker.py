"""The work of a worker process: a pipeline built once, then one video after another annotated into a folder or dataset.

PyTorch is loaded in the process that does the work, not in the one that sends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ava_detect.annotation.engines.base import Ask, Heartbeat
from ava_detect.annotation.model_server import RemoteScorer, require_same_weights
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.formats.parquet import add_metadata
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.file_names import file_stem, safe_name
from ava_detect.storage.scratch import scratch_folder
from ava_detect.video.sources import SourceVideo

if TYPE_CHECKING:
    from ava_detect.annotation.video_annotator import VideoAnnotator
    from ava_detect.inference.scorer import Scorer

# Width by height of most videos.
_USUAL_ASPECT = 16 / 9


class Destination(Protocol):
    """Where a worker's results go. It pickles. ``formats``: those that it needs beside the settings' own."""

    @property
    def formats(self) -> tuple[str, ...]: ...  # noqa: D102

    def annotate(self, annotator: VideoAnnotator, item: Any, heartbeat: Heartbeat) -> VideoRecord:
        """Annotate one item and store its results; errors are raised, and then nothing is stored.

        Args:
            annotator: The pipeline.
            item: The item of the work queue.
            heartbeat: Called after every keyframe.

        Returns:
            The video's record.
        """
        ...


@dataclass(frozen=True)
class VideoWork:
    """Makes the work of one worker process, on any machine.

    Attributes:
        settings: What decides the results. ``weights`` is a file that all machines see, or a name that each resolves.
        destination: Where the results go.
        weights_sha256: The hash that the weights must have; None for an untrained network.
        num_threads: Number of threads of the detector and of the network each. It can decide the last bits of a score,
            so it must not depend on how many videos are left. None: as in a process that works alone.
        served: The network is with the engine's servers; this process needs neither it nor a GPU.
        scorer: The network, where ``load`` has built it for this process and others.
    """

    settings: AnnotateSettings
    destination: Destination
    weights_sha256: str | None
    num_threads: int | None
    served: bool = False
    scorer: Scorer | None = field(default=None, repr=False)

    @property
    def is_forkable(self) -> bool:
        """Whether the process uses no GPU."""
        return self.served or self.settings.device == "cpu"

    def load(self) -> VideoWork:
        """Import what the work needs and build the network, in one thread. See ``SharedWork.load``.

        Returns:
            The same work with the network, which it has in this process and its forks only.

        Raises:
            ConfigError: The weights on this machine are others than where the run was started.
        """
        import torch

        from ava_detect.annotation.video_annotator import build_scorer

        if self.served:
            return self
        torch.set_num_threads(1)
        scorer, _ = build_scorer(require_same_weights(self.settings, self.weights_sha256))
        clip = scorer.clip_settings
        scorer.network.order_weights(clip.num_frames, (clip.short_side, round(clip.short_side * _USUAL_ASPECT)))
        return replace(self, scorer=scorer)

    def __call__(self, ask: Ask) -> Callable[[Any, Heartbeat], VideoRecord]:
        """Build the pipeline.

        Args:
            ask: Sends a request to the engine's servers.

        Returns:
            Annotates one item.

        Raises:
            ConfigError: The weights on this machine are others than where the run was started.
        """
        import torch

        from ava_detect.annotation.video_annotator import VideoAnnotator
        from ava_detect.inference.scorer import divide_threads

        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        settings = replace(
            self.settings, formats=tuple(dict.fromkeys((*self.settings.formats, *self.destination.formats)))
        )
        if self.served:
            annotator = VideoAnnotator(replace(settings, device="cpu"), self.num_threads, RemoteScorer(ask))
        elif self.scorer is not None:
            divide_threads(self.scorer)
            annotator = VideoAnnotator(settings, self.num_threads, self.scorer)
        else:
            annotator = VideoAnnotator(require_same_weights(settings, self.weights_sha256), self.num_threads)
        return lambda item, heartbeat: self.destination.annotate(annotator, item, heartbeat)


@dataclass(frozen=True)
class IntoFolder:
    """Results as files in a folder.

    Attributes:
        out: The folder.
        formats: None beside those of the settings.
    """

    out: Path
    formats: tuple[str, ...] = ()

    def annotate(self, annotator: VideoAnnotator, item: SourceVideo, heartbeat: Heartbeat) -> VideoRecord:
        """Annotate one video; see ``Destination.annotate``."""
        return annotator.annotate(item, self.out, heartbeat)


@dataclass(frozen=True)
class DatasetTask:
    """A video to annotate into a dataset.

    Attributes:
        source: The video.
        again: Its rows exist, and it has changed since.
    """

    source: SourceVideo
    again: bool = False


@dataclass(frozen=True)
class IntoDataset:
    """Results as rows of a dataset, through a scratch folder.

    Attributes:
        results: The dataset.
        formats: ``parquet``, which the rows are.
    """

    results: ResultsDataset
    formats: tuple[str, ...] = ("parquet",)

    def annotate(self, annotator: VideoAnnotator, item: DatasetTask, heartbeat: Heartbeat) -> VideoRecord:
        """Annotate one video; see ``Destination.annotate``."""
        source = item.source
        if not item.again and self.results.has_video(source):
            # Another run was faster.
            return VideoRecord(source.video_id, source.location, "done")
        name = file_stem(safe_name(source.video_id))
        with scratch_folder(source.location) as folder:
            record = annotator.annotate(source, folder, heartbeat, name=name)
            outputs = {output.removeprefix(f"{name}."): folder / output for output in record.outputs}
            start = annotator.settings.start_seconds if source.start_seconds is None else source.start_seconds
            # Nothing of this day or machine, so that every worker makes the same bytes of the same video.
            lasting = asdict(replace(record, seconds={}, source_modified=0.0, outputs=()))
            add_metadata(outputs["parquet"], {RECORD_KEY: json.dumps(lasting), START_SECONDS_KEY: repr(start)})
            self.results.put_video(source, outputs, record)
        return record
