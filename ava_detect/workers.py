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
from ava_detect.run_record import VideoRecord, file_state
from ava_detect.sources import AnyVideo

_WORKER_BYTES = 3 << 30


def annotate_one(annotator: Annotator, video: AnyVideo, out: Path, tick: Tick | None = None) -> VideoRecord:
    """The record of one video, a failed one where anything went wrong. ``tick``: see ``Annotator.annotate``."""
    try:
        return annotator.annotate(video, out, tick)
    except Exception as error:  # Whatever one video does must not stop the others; the record says what it was.
        return _failure(video, error)


def usable_cores() -> int:
    """Of this process: a container or ``taskset`` may leave it less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sensible_workers(num_videos: int, device: str) -> int:
    """So many processes for ``--workers auto``, at least 1.

    On a CPU one per core and per 3 GB of memory: single threads wait for nobody, and a network of the size of R101 with
    its clips fits. Network and detector of each take an equal share of the cores. On a GPU, which all share, one per 4
    cores and at most 4: they are there to decode.
    """
    if device == "cpu":
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else _WORKER_BYTES
        most = min(usable_cores(), total // _WORKER_BYTES)
    else:
        most = min(usable_cores() // 4, 4)
    return max(1, min(num_videos, most))


def _size(video: AnyVideo) -> int:
    return file_state(video.path)[0]


def _failure(video: AnyVideo, error: BaseException) -> VideoRecord:
    # A ValueError is a sentence for people; anything else needs its kind to be understood.
    message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return VideoRecord(video.video_id, video.place, "failed", message)


def annotate_in_processes(
    settings: AnnotateSettings, videos: Sequence[AnyVideo], out: Path, workers: int
) -> Iterator[VideoRecord]:
    """Records as they come; a process that is free takes the next video, the largest first: none is left for the end.

    Videos that were under way when a process died are tried again, each in its own process.
    """
    remaining = {video.video_id: video for video in sorted(videos, key=_size, reverse=True)}
    # The number of threads decides the last bits of a score: it must not depend on how many videos are left.
    threads = max(1, usable_cores() // workers)
    try:
        for record in _pooled(settings, list(remaining.values()), out, min(workers, len(videos)), threads):
            del remaining[record.video_id]
            yield record
    except BrokenProcessPool:
        for video in list(remaining.values()):
            try:
                yield from _pooled(settings, [video], out, 1, threads)
            except BrokenProcessPool:
                message = f"{video.path}: the process that read it died (a crash, or out of memory)"
                yield _failure(video, ValueError(message))


def _pooled(
    settings: AnnotateSettings, videos: Sequence[AnyVideo], out: Path, processes: int, threads: int
) -> Iterator[VideoRecord]:
    """The records of ``videos`` from a pool of processes; whatever ends this generator early ends the processes."""
    others = set(multiprocessing.active_children())
    # A forked process would inherit torch's thread pools in an undefined state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start_worker, (settings, threads))
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
    _annotator = Annotator(settings, num_threads=num_threads)


def _end_with_parent() -> None:
    """Without this a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(video: AnyVideo, out: Path) -> VideoRecord:
    return annotate_one(_annotator, video, out)
