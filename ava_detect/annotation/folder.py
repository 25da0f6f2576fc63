"""Many videos -> files in one folder: resumable, in this process or in several, and one bad video stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ava_detect.annotation.engines.base import Ask, Engine, Heartbeat, ServiceFactory
from ava_detect.annotation.model_server import RemoteScorer
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.errors import ConfigError, sentence_of
from ava_detect.results.dataset import safe_name
from ava_detect.results.manifest import Manifest, VideoRecord, failed_record, file_state
from ava_detect.storage.addresses import address_of, is_address
from ava_detect.storage.local_files import remove_stale_temporaries, write_text_atomic
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.source_stream import is_list, stream_videos
from ava_detect.video.sources import SourceVideo, find_videos

if TYPE_CHECKING:
    from ava_detect.annotation.video_annotator import VideoAnnotator

# From videos to their records, as they end; told of how far each one is.
Annotate = Callable[[Sequence[SourceVideo], Heartbeat], Generator[VideoRecord, None, None]]


def videos_of_folder(sources: Sequence[str | Path], out: Path) -> list[SourceVideo]:
    """The videos of a run into the folder ``out``, whose results are files called by the videos' ids."""
    if not any(is_list(source) or is_address(source) for source in sources):
        return [*find_videos(sources, inside_out=out)]
    videos = list(stream_videos(sources, inside_out=address_of(out)))
    seen: dict[str, SourceVideo] = {}
    for number, video in enumerate(videos):
        if "/" in video.video_id:
            # What lies deeper is called as two files of one name are.
            videos[number] = video = replace(video, video_id=video.video_id.replace("/", "__"))
        if video.problem:
            raise ConfigError(f"{video.problem}; mend the list, or have `out` be a dataset, where others go on")
        if safe_name(video.video_id) != video.video_id:
            raise ConfigError(
                f"{video.video_id!r} is no name for a file in {out}: such ids need letters, digits, '.', '_' and '-' "
                "and no more than 60; have `out` be a dataset (file:///...), which takes any id"
            )
        other = seen.setdefault(video.video_id.casefold(), video)
        if other is not video:
            raise ConfigError(
                f"two videos are called {video.video_id!r} ({other.place} and {video.place}); give them other ids in a "
                "list, or have `out` be a dataset (file:///...)"
            )
    return videos


def make_writable(out: Path) -> None:
    """Have the folder, without what killed runs left unfinished in it. ``ConfigError`` where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(out)
        write_text_atomic(out / ".writable", "")
        (out / ".writable").unlink()
    except OSError as error:
        raise ConfigError(
            f"`out` {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


def annotate_folder(
    videos: Sequence[SourceVideo], run: Manifest, annotate: Annotate, on_progress: OnProgress | None
) -> Generator[VideoRecord, None, None]:
    """The record of every video, those first that an earlier run has finished."""
    num_finished = 0

    def report(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(progress)

    def on_heartbeat(where: tuple[str, float, float | None]) -> None:
        report(Progress("videos", num_finished, len(videos), *where))

    waiting = []
    for video in videos:
        record = run.finished(video)
        if record is None:
            waiting.append(video)
            continue
        num_finished += 1
        report(Progress("videos", num_finished, len(videos), video.video_id, result=record))
        yield record
    if not waiting:
        return
    with closing(annotate(waiting, on_heartbeat)) as records:
        for record in records:
            run.add(record)
            num_finished += 1
            report(Progress("videos", num_finished, len(videos), record.video_id, result=record))
            yield record


def in_this_process(annotator: VideoAnnotator, out: Path) -> Annotate:
    """One video after another, in their order."""

    def annotate(videos: Sequence[SourceVideo], on_heartbeat: Heartbeat) -> Generator[VideoRecord, None, None]:
        for video in videos:
            try:
                record = annotator.annotate(video, out, lambda *where: on_heartbeat(where))
            except Exception as error:  # Whatever one video does must not stop the others; the record says what it was.
                record = failed_record(video, sentence_of(error))
            yield record

    return annotate


def on_engine(engine: Engine, work: FolderWork, service: ServiceFactory | None = None) -> Annotate:
    """In the engine's processes, the largest video first: none is left for the end."""

    def annotate(videos: Sequence[SourceVideo], on_heartbeat: Heartbeat) -> Generator[VideoRecord, None, None]:
        largest_first = sorted(videos, key=lambda video: file_state(video.path)[0], reverse=True)
        try:
            with closing(engine.run(work, largest_first, on_heartbeat, service)) as outcomes:
                for outcome in outcomes:
                    yield outcome.result or failed_record(outcome.item, outcome.reason, outcome.tries)
        finally:
            # Of processes that their videos, or the end of this run, stopped in the middle.
            remove_stale_temporaries(work.out)

    return annotate


@dataclass(frozen=True)
class FolderWork:
    """Makes the work of one process of several: a network, and one video after another annotated into ``out``.

    ``num_threads``: of the network and of the detector each; their number decides the last bits of a score, so it must
    not depend on how many videos are left; None: as many as in a process that is alone. ``served``: the network is with
    the engine's servers.
    """

    settings: AnnotateSettings
    out: Path
    num_threads: int | None
    served: bool = False

    def __call__(self, ask: Ask) -> Callable[[SourceVideo, Heartbeat], VideoRecord]:
        """Build the pipeline."""
        import torch

        from ava_detect.annotation.video_annotator import VideoAnnotator

        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        if self.served:
            here = replace(self.settings, device="cpu")
            annotator = VideoAnnotator(here, num_threads=self.num_threads, scorer=RemoteScorer(ask))
        else:
            annotator = VideoAnnotator(self.settings, num_threads=self.num_threads)
        return lambda video, sign: annotator.annotate(video, self.out, lambda *where: sign(where))
