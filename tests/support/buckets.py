"""Short videos in a bucket, and the rows of datasets on disk and in a bucket."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
from annotate_inputs import BOX, write_boxes
from annotate_inputs import settings as default_settings
from networks import small_config_file
from videos import constant_rate, write_numbered_video

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.annotation.summary import AnnotateSummary

NUM_VIDEOS = int(os.environ.get("AVA_DETECT_BUCKET_VIDEOS", "6"))
NAMES = tuple(f"v{number:02}" for number in range(NUM_VIDEOS))
_LENGTHS = 7


def fill(folder: Path, files: Any, *, more_boxes: tuple[str, ...] = ()) -> None:
    """Videos in the bucket ``videos``; their boxes, and a network that runs in milliseconds, in ``folder``.

    ``more_boxes``: ids of other videos that have a person on their first frame.
    """
    small_config_file(folder)
    files.mkdir("videos")
    rows = [(name, 0, BOX) for name in more_boxes]
    for number, name in enumerate(NAMES):
        frames = 30 + 20 * (number % _LENGTHS)
        video = write_numbered_video(folder / f"{name}.mp4", constant_rate(frames, 30))
        files.put_file(str(video), f"videos/in/{name}.mp4")
        rows += [(name, second, BOX) for second in range(-(-frames // 30))]
    write_boxes(folder / "boxes.csv", rows)


def run(place: Path, out: str, *sources: str | Path, **settings: Any) -> AnnotateSummary:
    """Annotate ``sources``, by default the bucket's videos."""
    settings = {**default_settings(place), "workers": 1, **settings}
    return annotate_videos(list(sources) or ["s3://videos/in"], out, **settings)


def rows_on_disk(place: Path) -> pd.DataFrame:
    """The rows that the local engine makes of the same videos on this machine's disk."""
    run(place, f"file://{place}/out", *sorted(place.glob("*.mp4")))
    return rows_below(place / "out")


def rows_below(out: Path) -> pd.DataFrame:
    """The rows of a dataset on this machine's disk."""
    return _in_order([path.read_bytes() for path in (out / "rows").rglob("*.parquet")])


def rows_in(files: Any, out: str) -> pd.DataFrame:
    """The rows of a dataset in a bucket."""
    return _in_order([files.cat_file(path) for path in files.find(f"{out}/rows")])


def _in_order(tables: list[bytes]) -> pd.DataFrame:
    table = pd.concat([pd.read_parquet(io.BytesIO(table)) for table in tables]).astype({"video_id": str})
    return table.sort_values(["video_id", "timestamp_seconds", "action_id"]).reset_index(drop=True)
