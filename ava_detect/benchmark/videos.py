"""Score the keyframes of many videos into one csv per video, so that an interrupted run can be resumed.

The csv files of all videos together are ``detections.csv``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from ava_detect.formats.keyframe_writer import BoolArray, kept_scores
from ava_detect.formats.writers import result_path, results_writer
from ava_detect.inference.keyframe_plan import KeyframePlan, VideoKeyframes
from ava_detect.inference.pipeline import Pipeline
from ava_detect.results.manifest import Manifest, VideoRecord, file_state
from ava_detect.storage.local_files import atomic_path, remove_stale_temporaries
from ava_detect.structures import ActionDetections
from ava_detect.structures.progress import OnProgress, Progress

DETECTIONS = "detections.csv"
# The folder of the csv files by video, which a resumed run keeps.
PARTS = "videos"


#: Says which scores ``[N, C]`` of a keyframe are written.
Kept = Callable[[ActionDetections], BoolArray]


def score_videos(
    pipeline: Pipeline,
    plan: KeyframePlan,
    run: Manifest,
    *,
    kept: Kept = lambda keyframe: kept_scores(keyframe, None),
    on_progress: OnProgress | None = None,
) -> list[VideoRecord]:
    """Score the videos of a plan and write ``detections.csv`` into the run's folder.

    Videos that an earlier run finished are kept. A video that cannot be read is recorded as failed, and the run
    continues with the next one.

    Args:
        pipeline: The person detector and the network.
        plan: The videos and their keyframes.
        run: The run; it gets a record of each video that is scored.
        kept: Which scores are written; by default all.
        on_progress: Called for each keyframe; None for no reports.

    Returns:
        A record of each video, in the order of ``plan``.
    """
    (run.out / PARTS).mkdir(exist_ok=True)
    remove_stale_temporaries(run.out)
    remove_stale_temporaries(run.out / PARTS)
    num_done, num_planned = 0, sum(len(video.seconds) for video in plan.videos)
    records = []
    for video in plan.videos:
        record = run.finished(video.source)
        if record is None:
            with _reporting(on_progress, video, num_done, num_planned) as report:
                record = _score_or_fail(pipeline, video, run.out, kept, report)
            run.add(record)
        records.append(record)
        num_done += len(video.seconds)
    _concatenate(run.out, records)
    return records


@contextmanager
def _reporting(
    on_progress: OnProgress | None, video: VideoKeyframes, num_before: int, num_planned: int
) -> Iterator[Callable[[int], None]]:
    """Yield a function that reports the number of keyframes done in ``video``; report its start and its end too."""

    def report(num_keyframes: int) -> None:
        if on_progress is not None:
            on_progress(Progress("keyframes", num_before + num_keyframes, num_planned, video.source.video_id))

    report(0)
    yield report
    report(len(video.seconds))


def _score_or_fail(
    pipeline: Pipeline, video: VideoKeyframes, out: Path, kept: Kept, report: Callable[[int], None]
) -> VideoRecord:
    """Score one video; an error that the video or its boxes can cause becomes a record with the status ``failed``."""
    try:
        return _score(pipeline, video, out, kept, report)
    except (ValueError, OSError, FFmpegError) as error:
        return VideoRecord(video.source.video_id, str(video.source.path.resolve()), "failed", str(error))


def _score(
    pipeline: Pipeline, video: VideoKeyframes, out: Path, kept: Kept, report: Callable[[int], None]
) -> VideoRecord:
    """Write the detections of one video atomically: an error leaves no file."""
    video_id, path = video.source.video_id, video.source.path
    size, modified = file_state(path)
    run = pipeline(video.open(), video_id=video_id, at_seconds=video.readable_seconds)
    num_rows = 0
    with results_writer(
        out / PARTS, video_id, ("csv",), pipeline.label_map, start_seconds=video.start_seconds
    ) as write:
        for keyframe in run:
            written = kept(keyframe)
            write(keyframe, written)
            num_rows += int(written.sum())
            report(run.num_keyframes)
    shortfall = video.shortfall(run.num_keyframes, run.video.damaged_packets)
    return VideoRecord(
        video_id=video_id,
        source=str(path.resolve()),
        status="damaged" if shortfall else "done",
        message=" and ".join(filter(None, (shortfall, run.video.time_jumps()))),
        num_keyframes=run.num_keyframes,
        num_people=run.num_people,
        num_boxes=run.num_boxes,
        num_rows=num_rows,
        seconds={stage: round(seconds, 3) for stage, seconds in run.seconds.items()},
        outputs=(f"{PARTS}/{result_path(out, video_id, 'csv').name}",),
        source_bytes=size,
        source_modified=modified,
        warning=run.mismatch(),
    )


def _concatenate(out: Path, records: list[VideoRecord]) -> None:
    """Write ``detections.csv``: the csv files of all videos, in the order of the records."""
    with atomic_path(out / DETECTIONS) as temporary, temporary.open("wb") as whole:
        for record in records:
            for name in record.outputs:
                with (out / name).open("rb") as part:
                    shutil.copyfileobj(part, whole)


def pipeline_seconds(records: list[VideoRecord]) -> dict[str, float]:
    """Sum the time per stage over all videos.

    Args:
        records: The records of the videos, those of earlier runs included.

    Returns:
        Seconds for ``data`` (decode and resize), ``detection`` (people) and ``action`` (the network).
    """
    stages = {"data": "decode", "detection": "detect", "action": "score"}
    return {name: round(sum(record.seconds.get(key, 0.0) for record in records), 3) for name, key in stages.items()}
