"""The result viewer for the results of many videos, of a folder or a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.arrow_files import READ_ERRORS
from ava_detect.formats.parquet_reader import iter_parquet
from ava_detect.results.collect import is_dataset, iter_videos, open_dataset
from ava_detect.results.dataset import ResultsDataset, dataset_folders
from ava_detect.results.saved import ReadOptions
from ava_detect.results.saved_run import SavedRun, SavedVideo, open_run
from ava_detect.storage.addresses import is_address
from ava_detect.storage.outputs import refuse_same_address
from ava_detect.storage.scratch import scratch_folder
from ava_detect.structures.progress import OnProgress, report_stage
from ava_detect.visualization.page.write_page import PageOptions, VisualizeSummary, write_page


def collect_page(
    results: str | Path,
    out: str | Path,
    *,
    videos: str | Path | None = None,
    only: Sequence[str] | None = None,
    min_score: float = 0.0,
    on_progress: OnProgress | None = None,
) -> VisualizeSummary:
    """Write the page of the results of many videos.

    Args:
        results: Address or folder of a dataset, the output folder of a run, or another folder of results files.
        out: The folder of the page.
        videos: A folder with the video files; by default they are looked for at the paths at which they were annotated.
        only: Ids of the videos to show; by default all.
        min_score: Least score of an action that the page shows, 0..1.
        on_progress: Told of each video.

    Returns:
        The files and notices of the page.

    Raises:
        ConfigError: There are no results, a video of ``only`` is not among them, or ``out`` is where they are.
        FormatError: A file cannot be read.
    """
    refuse_same_address(out, {"results": dataset_folders(results)})
    options = PageOptions(ReadOptions(videos=videos), min_score=min_score)
    if is_address(results) or is_dataset(results):
        return _page_of_dataset(open_dataset(results), Path(out), options, only, on_progress)
    folder = Path(results)
    run = open_run(folder)
    if only is not None:
        missing = set(only) - {video.video_id for video in run.videos}
        if missing:
            raise ConfigError(f"{shown(folder)} holds no video called {', '.join(map(shown, sorted(missing)))}")
        run = replace(run, videos=tuple(video for video in run.videos if video.video_id in only))
    return write_page(run, Path(out), folder.resolve().name, options, on_progress)


def _page_of_dataset(
    results: ResultsDataset,
    out: Path,
    options: PageOptions,
    only: Sequence[str] | None,
    on_progress: OnProgress | None,
) -> VisualizeSummary:
    about = results.about() or {}
    saved = []
    with scratch_folder(out) as folder:
        # The page reads results from files: one parquet file per video.
        for number, rows in enumerate(iter_videos(results, only)):
            report_stage(on_progress, f"reading {rows.record.video_id}")
            file = folder / f"{number}-{Path(rows.name).name}"
            for _ in iter_parquet(rows.content, name=rows.name):
                pass  # checked here, where errors name the file of the dataset and not its copy
            try:
                pq.write_table(rows.content.read(), file)
            except READ_ERRORS as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                raise FormatError(f"{shown(rows.name)}: the Parquet file cannot be read ({shown(error)})") from error
            saved.append(SavedVideo.from_record(rows.record, file))
        run = SavedRun(tuple(saved), about["settings"], about.get("note", ""))
        return write_page(run, out, results.out.name, options, on_progress)
