"""Annotating one video after another, in this process or in several: a video that fails never stops the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType

import torch

from ava_detect.annotator import AnnotateSettings, Annotator, Tick
from ava_detect.run_record import VideoRecord
from ava_detect.sources import VideoSource


def annotate_one(annotator: Annotator, video: VideoSource, out: Path, tick: Tick | None = None) -> VideoRecord:
    """The record of one video, a failed one where anything went wrong. ``tick``: see ``Annotator.annotate``."""
    try:
        return annotator.annotate(video, out, tick)
    except Exception as error:  # Whatever one video does must not stop the others; the record says what it was.
        return _failure(video, error)


def _failure(video: VideoSource, error: BaseException) -> VideoRecord:
    # A ValueError is a sentence for people; anything else needs its kind to be understood.
    message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return VideoRecord(video.video_id, str(video.path.resolve()), "failed", message)


class _Worker:
    """What one process works with. Ctrl-C reaches every process: it ends the video under way, and no other is begun."""

    def __init__(self, settings: AnnotateSettings) -> None:
        self._annotator = Annotator(settings)
        self._busy = self._stopped = False
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, signal_number: int, frame: FrameType | None) -> None:
        self._stopped = True
        if self._busy:
            raise KeyboardInterrupt

    def annotate(self, video: VideoSource, out: Path) -> VideoRecord:
        if self._stopped:
            raise KeyboardInterrupt
        self._busy = True
        try:
            return annotate_one(self._annotator, video, out)
        finally:
            self._busy = False


_worker: _Worker


def _start_worker(settings: AnnotateSettings, num_threads: int) -> None:
    global _worker
    torch.set_num_threads(num_threads)
    _worker = _Worker(settings)


def _work(video: VideoSource, out: Path) -> VideoRecord:
    return _worker.annotate(video, out)


def annotate_in_processes(
    settings: AnnotateSettings, videos: Sequence[VideoSource], out: Path, workers: int
) -> Iterator[VideoRecord]:
    """Records as they come. Videos that were under way when a process died are tried again, each in its own process."""
    remaining = {video.video_id: video for video in videos}
    try:
        for record in _pooled(settings, list(remaining.values()), out, min(workers, len(videos))):
            del remaining[record.video_id]
            yield record
    except BrokenProcessPool:
        for video in list(remaining.values()):
            try:
                yield from _pooled(settings, [video], out, 1)
            except BrokenProcessPool:
                yield _failure(
                    video, ValueError(f"{video.path}: the process that read it died (a crash, or out of memory)")
                )


def _pooled(
    settings: AnnotateSettings, videos: Sequence[VideoSource], out: Path, workers: int
) -> Iterator[VideoRecord]:
    threads = max(1, (os.cpu_count() or 1) // workers)
    # A forked process would inherit torch's thread pools in an undefined state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (settings, threads)) as pool:
        futures = [pool.submit(_work, video, out) for video in videos]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
