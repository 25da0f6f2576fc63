"""Annotating one video after another, in this process or in several: a video that fails never stops the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch

from ava_detect.annotator import AnnotateSettings, Annotator, Tick
from ava_detect.files import remove_stale_temporaries
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
                message = f"{video.path}: the process that read it died (a crash, or out of memory)"
                yield _failure(video, ValueError(message))


def _pooled(
    settings: AnnotateSettings, videos: Sequence[VideoSource], out: Path, workers: int
) -> Iterator[VideoRecord]:
    """The records of ``videos`` from a pool of processes; whatever ends this generator early ends the processes."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    others = set(multiprocessing.active_children())
    # A forked process would inherit torch's thread pools in an undefined state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_worker, (settings, threads))
    try:
        with _interrupts_ignored():
            futures = [pool.submit(_work, video, out) for video in videos]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        remove_stale_temporaries(out)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C for good, and leave it to this one to end them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_annotator: Annotator


def _start_worker(settings: AnnotateSettings, num_threads: int) -> None:
    global _annotator
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(num_threads)
    _annotator = Annotator(settings)


def _end_with_parent() -> None:
    """Without this a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(video: VideoSource, out: Path) -> VideoRecord:
    return annotate_one(_annotator, video, out)
