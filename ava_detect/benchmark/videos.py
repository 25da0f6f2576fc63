"""Scoring the keyframes of many videos, one file of detections each, so that a run can be cut and resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from ava_detect.formats.writers import result_path, results_writer
from ava_detect.inference.keyframe_plan import KeyframePlan, VideoKeyframes
from ava_detect.inference.pipeline import Pipeline
from ava_detect.results.manifest import Manifest, VideoRecord, file_state
from ava_detect.storage.local_files import atomic_path, remove_stale_temporaries
from ava_detect.structures.progress import OnProgress, Progress

DETECTIONS = "detections.csv"
# Of each video, beside the whole: what a resumed run builds on.
PARTS = "videos"


def score_videos(
    pipeline: Pipeline, plan: KeyframePlan, run: Manifest, *, on_progress: OnProgress | None = None
) -> list[VideoRecord]:
    """The record of every video of ``plan``, in its order; ``detections.csv`` in the run's folder holds them all.

    Videos that an earlier run has finished are not looked at again. A video that cannot be read is recorded as failed
    and the others go on.
    """
    (run.out / PARTS).mkdir(exist_ok=True)
    remove_stale_temporaries(run.out)
    remove_stale_temporaries(run.out / PARTS)
    num_done, num_planned = 0, sum(len(video.seconds) for video in plan.videos)
    records = []
    for video in plan.videos:
        record = run.finished(video.source)
        if record is None:
            with _reporting(on_progress, video, num_done, num_planned) as tick:
                record = _score_or_fail(pipeline, video, run.out, tick)
            run.add(record)
        records.append(record)
        num_done += len(video.seconds)
    _join(run.out, records)
    return records


@contextmanager
def _reporting(
    on_progress: OnProgress | None, video: VideoKeyframes, num_before: int, num_planned: int
) -> Iterator[Callable[[int], None]]:
    def tick(num_keyframes: int) -> None:
        if on_progress is not None:
            on_progress(Progress("keyframes", num_before + num_keyframes, num_planned, video.source.video_id))

    tick(0)
    yield tick
    tick(len(video.seconds))


def _score_or_fail(pipeline: Pipeline, video: VideoKeyframes, out: Path, tick: Callable[[int], None]) -> VideoRecord:
    try:
        return _score(pipeline, video, out, tick)
    except (ValueError, OSError, FFmpegError) as error:
        # What a video or its boxes can be guilty of; the record says what it was, and the run's exit code that it was.
        return VideoRecord(video.source.video_id, str(video.source.path.resolve()), "failed", str(error))


def _score(pipeline: Pipeline, video: VideoKeyframes, out: Path, tick: Callable[[int], None]) -> VideoRecord:
    """Write the detections of one video; whatever goes wrong is raised, and then no file is left."""
    video_id, path = video.source.video_id, video.source.path
    size, modified = file_state(path)
    run = pipeline(path, video_id=video_id, at_seconds=video.readable_seconds)
    num_rows = 0
    with results_writer(
        out / PARTS, video_id, ("csv",), pipeline.label_map, start_seconds=video.start_seconds
    ) as write:
        for keyframe in run:
            write(keyframe)
            num_rows += keyframe.action_scores.size
            tick(run.num_keyframes)
    trouble = video.shortfall(run.num_keyframes, run.video.damaged_packets)
    return VideoRecord(
        video_id=video_id,
        source=str(path.resolve()),
        status="damaged" if trouble else "done",
        message=trouble,
        num_keyframes=run.num_keyframes,
        num_people=run.num_people,
        num_rows=num_rows,
        seconds={stage: round(seconds, 3) for stage, seconds in run.seconds.items()},
        outputs=(f"{PARTS}/{result_path(out, video_id, 'csv').name}",),
        source_bytes=size,
        source_modified=modified,
    )


def _join(out: Path, records: list[VideoRecord]) -> None:
    """All detections as one file, in the order of the records."""
    with atomic_path(out / DETECTIONS) as temporary, temporary.open("wb") as whole:
        for record in records:
            for name in record.outputs:
                with (out / name).open("rb") as part:
                    shutil.copyfileobj(part, whole)


def pipeline_seconds(records: list[VideoRecord]) -> dict[str, float]:
    """Time per stage over all videos: ``data`` (decode, resize), ``detection``, ``action``."""
    stages = {"data": "decode", "detection": "detect", "action": "score"}
    return {name: round(sum(record.seconds.get(key, 0.0) for record in records), 3) for name, key in stages.items()}
