"""What a worker does for a dataset of results: build the pipeline once, then annotate and publish video after video.

It loads PyTorch where the work is made, and not where it is sent from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from ava_detect.annotation.dataset import Task
from ava_detect.annotation.engines.base import Ask, Heartbeat
from ava_detect.annotation.model_server import RemoteScorer, with_weights_here
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.formats.parquet import add_metadata
from ava_detect.results.dataset import RECORD_KEY, START_SECONDS_KEY, ResultsDataset, safe_name
from ava_detect.results.manifest import VideoRecord
from ava_detect.storage.scratch import scratch_folder

if TYPE_CHECKING:
    from ava_detect.annotation.video_annotator import VideoAnnotator


@dataclass(frozen=True)
class DatasetWork:
    """Makes the work of one worker, on whatever machine that is: a pipeline, and one video after another published.

    ``settings.weights``: a file that all machines see, or a name that each resolves for itself. ``weights_sha256``:
    what they must hold. ``num_threads``: of the detector and of the network each; their number decides the last bits of
    a score. ``served``: the network is with the servers, and this process needs neither it nor a GPU.
    """

    settings: AnnotateSettings
    results: ResultsDataset
    weights_sha256: str | None
    num_threads: int
    served: bool = False

    def __call__(self, ask: Ask) -> Callable[[Task, Heartbeat], VideoRecord]:
        """Build the pipeline. ``ConfigError`` where the weights here are others."""
        import torch

        from ava_detect.annotation.video_annotator import VideoAnnotator

        torch.set_num_threads(self.num_threads)
        settings = replace(self.settings, formats=tuple(dict.fromkeys((*self.settings.formats, "parquet"))))
        if self.served:
            here, scorer = replace(settings, device="cpu"), RemoteScorer(ask)
            annotator = VideoAnnotator(here, num_threads=self.num_threads, scorer=scorer)
        else:
            annotator = VideoAnnotator(with_weights_here(settings, self.weights_sha256), num_threads=self.num_threads)
        return lambda task, sign: _annotate_and_publish(annotator, self.results, task, sign)


def _annotate_and_publish(
    annotator: VideoAnnotator, results: ResultsDataset, task: Task, sign: Heartbeat
) -> VideoRecord:
    source = task.source
    if not task.again and results.has_video(source):
        # Another run was faster.
        return VideoRecord(source.video_id, source.place, "done")
    name = safe_name(source.video_id)
    with scratch_folder(source.place) as folder:
        record = annotator.annotate(source, folder, lambda *where: sign(where), name=name)
        outputs = {output.removeprefix(f"{name}."): folder / output for output in record.outputs}
        start = annotator.settings.start_seconds if source.start_seconds is None else source.start_seconds
        # Nothing of this day or machine: whoever makes these rows makes the same file.
        lasting = asdict(replace(record, seconds={}, source_modified=0.0, outputs=()))
        add_metadata(outputs["parquet"], {RECORD_KEY: json.dumps(lasting), START_SECONDS_KEY: repr(start)})
        results.put_video(source, outputs, record)
    return record
