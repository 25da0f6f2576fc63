"""The result viewer for a dataset of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ava_detect.errors import FormatError, shown
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.collect import iter_videos, open_dataset
from ava_detect.results.saved import ReadOptions
from ava_detect.results.saved_run import SavedRun, SavedVideo
from ava_detect.storage.outputs import refuse_same_address
from ava_detect.storage.scratch import scratch_folder
from ava_detect.visualization.page.write_page import PageOptions, VisualizeSummary, write_page


def collect_page(
    dataset: str | Path,
    out: str | Path,
    *,
    videos: str | Path | None = None,
    only: Sequence[str] | None = None,
    min_score: float = 0.0,
) -> VisualizeSummary:
    """Write the page of a dataset of results.

    Args:
        dataset: Address or folder of the dataset.
        out: The folder of the page.
        videos: A folder with the video files; by default they are looked for at the paths at which they were annotated.
        only: Ids of the videos to show; by default all.
        min_score: Least score of an action that the page shows, 0..1.

    Returns:
        The files and notices of the page.

    Raises:
        ConfigError: There is no dataset, a video of ``only`` is not in it, or ``out`` is the dataset.
        FormatError: A file of the dataset cannot be read.
    """
    refuse_same_address(out, {"dataset": dataset})
    results = open_dataset(dataset)
    about = results.about() or {}
    options = PageOptions(ReadOptions(videos=videos), min_score=min_score)
    saved = []
    with scratch_folder(out) as folder:
        # The page reads results from files: one parquet file per video.
        for number, rows in enumerate(iter_videos(results, only)):
            file = folder / f"{number}-{Path(rows.name).name}"
            for _ in iter_parquet(rows.content, name=rows.name):
                pass  # checked here, where errors name the file of the dataset and not its copy
            try:
                pq.write_table(rows.content.read(), file)
            except (OSError, pa.ArrowException) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                raise FormatError(f"{shown(rows.name)}: the Parquet file cannot be read ({shown(error)})") from error
            saved.append(SavedVideo.from_record(rows.record, file))
        run = SavedRun(tuple(saved), about["settings"], about.get("note", ""))
        return write_page(run, Path(out), results.out.name, options)
