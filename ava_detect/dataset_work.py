"""What a worker does for a dataset of results: build the network once, then annotate and publish video after video."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from ava_detect.annotate_dataset import Task
from ava_detect.annotator import AnnotateSettings, Annotator
from ava_detect.build import RANDOM_WEIGHTS
from ava_detect.engines.base import SignOfLife
from ava_detect.errors import ConfigError, StoreError
from ava_detect.files import sha256_of
from ava_detect.formats.parquet import add_metadata
from ava_detect.models.zoo import resolve
from ava_detect.publishing import RECORD, START, PublishedResults, safe_name
from ava_detect.run_record import VideoRecord


@dataclass(frozen=True)
class AnnotateWork:
    """Makes the work of one worker, on whatever machine that is: a network, and one video after another published.

    ``settings.weights``: a file that all machines see, or a name that each resolves for itself. ``weights_sha256``:
    what they must hold. ``num_threads``: of the network; their number decides the last bits of a score.
    """

    settings: AnnotateSettings
    results: PublishedResults
    weights_sha256: str | None
    num_threads: int

    def __call__(self) -> Callable[[Task, SignOfLife], VideoRecord]:
        """Build the network. ``ConfigError`` where the weights here are others."""
        torch.set_num_threads(self.num_threads)
        settings = self.settings
        if settings.weights is not None and settings.weights != RANDOM_WEIGHTS:
            settings = replace(settings, weights=str(resolve(settings.weights)))
            if sha256_of(str(settings.weights)) != self.weights_sha256:
                raise ConfigError(
                    f"{settings.weights} on this machine is another file than where the run was started (by SHA-256); "
                    "give weights that all machines share"
                )
        formats = tuple(dict.fromkeys((*settings.formats, "parquet")))
        annotator = Annotator(replace(settings, formats=formats), num_threads=self.num_threads)

        def work(task: Task, sign: SignOfLife) -> VideoRecord:
            try:
                return _annotate_and_publish(annotator, self.results, task, sign)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    # Another machine, or this one a little later, may have room.
                    raise StoreError(f"{task.source.place}: the disk for temporary files is full") from error
                raise

        return work


def _annotate_and_publish(annotator: Annotator, results: PublishedResults, task: Task, sign: SignOfLife) -> VideoRecord:
    source = task.source
    if not task.again and results.is_published(source):
        # Another run was faster.
        return VideoRecord(source.video_id, source.place, "done")
    name = safe_name(source.video_id)
    with tempfile.TemporaryDirectory(prefix="ava-detect-") as scratch:
        folder = Path(scratch)
        record = annotator.annotate(source, folder, lambda *where: sign(where), name=name)
        outputs = {output.removeprefix(f"{name}."): folder / output for output in record.outputs}
        start = annotator.settings.start_seconds if source.start_seconds is None else source.start_seconds
        # Nothing of this day or machine: whoever makes these rows makes the same file.
        lasting = asdict(replace(record, seconds={}, source_modified=0.0, outputs=()))
        add_metadata(outputs["parquet"], {RECORD: json.dumps(lasting), START: repr(start)})
        results.publish(source, outputs, record)
    return record
