"""A dataset of results as the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from ava_detect.results.collect import iter_videos, open_dataset
from ava_detect.results.saved import ReadOptions, SavedRun, SavedVideo
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
    """Write the page of a dataset of results into the folder ``out``.

    Args:
        dataset: The dataset's address or folder.
        out: The folder of the page.
        videos: A folder with the videos, where they are not where they were annotated.
        only: The ids of some videos; by default all.
        min_score: Actions with a lower score, in 0..1, are left off.

    Raises:
        ConfigError: There is no dataset, or no such video.
    """
    results = open_dataset(dataset)
    about = results.about() or {}
    options = PageOptions(ReadOptions(videos=videos), min_score=min_score)
    saved = []
    with scratch_folder(out) as folder:
        for number, (content, record) in enumerate(iter_videos(results, only)):
            file = folder / f"{number}.parquet"
            pq.write_table(content.read(), file)
            saved.append(SavedVideo.from_record(record, file))
        run = SavedRun(tuple(saved), about["settings"], about.get("note", ""))
        return write_page(run, Path(out), results.out.name, options)
