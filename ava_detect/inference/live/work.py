"""The work of a live run: readers in threads of their own, the detector a keyframe ahead of the network.

At most three keyframes of a source are on their way: one in the network, one with the detector, and the newest one,
which waits. A newer one takes its place, so lag is bounded by the time that two keyframes take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import numpy as np

from ava_detect.errors import ConfigError
from ava_detect.inference.background import Background
from ava_detect.inference.live.keyframe import LiveKeyframe
from ava_detect.inference.live.measures import LiveStatus, Measures
from ava_detect.inference.live.newest import NewestKeyframes
from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.live.spacing import Spacing
from ava_detect.inference.prefetch import prefetch
from ava_detect.inference.stages import StageSettings, keyframe_detections
from ava_detect.structures import PersonBoxes
from ava_detect.structures.linking import Linker, max_gap_seconds
from ava_detect.video.live.previews import Previews
from ava_detect.video.live.reader import LiveReader, ReadSettings, SeenKeyframe, ending_now
from ava_detect.video.live.source import LiveSource
from ava_detect.video.live.status import LiveNotice, OnNotice
from ava_detect.video.reader import VideoReader
from ava_detect.visualization.keyframe_result import KeyframeResult

_SECONDS_TO_END = 3.0
# (Number of the source, keyframe, number of dropped ones before it), and the people on each of them.
_Batch = tuple[list[tuple[int, SeenKeyframe, int]], list[PersonBoxes]]


class LiveWork:
    """Reads sources, and scores their keyframes.

    Args:
        pipeline: The detector, the network and their settings.
        sources: The sources.
        options: How the run goes about its work.
        on_notice: Told what happens to sources, by any thread; None for no one.
        preview_seconds: Keep small pictures of so many seconds of each source; 0 for none.

    Attributes:
        sources: The sources.
        readers: Their readers.

    Raises:
        ConfigError: The pipeline averages over several scales.
        VideoError: A file cannot be read.
    """

    def __init__(
        self,
        pipeline: StageSettings,
        sources: Sequence[LiveSource],
        options: LiveOptions | None = None,
        *,
        on_notice: OnNotice | None = None,
        preview_seconds: float = 0.0,
    ) -> None:
        if len(pipeline.scales) > 1:
            raise ConfigError(f"live, clips are scored at one of the `scales`, got {list(pipeline.scales)}")
        self.sources = tuple(sources)
        for source in sources:
            if source.kind == "file":
                VideoReader(source.path)  # a file that is no video is refused before any work
        self._options = options or LiveOptions()
        self._pipeline = pipeline
        self._stop = threading.Event()
        self._on_notice = on_notice or _ignore
        self.readers = [
            LiveReader(
                source,
                self._read_settings(),
                self._stop,
                self._on_notice,
                Previews(preview_seconds) if preview_seconds else None,
            )
            for source in sources
        ]
        self._newest = NewestKeyframes(len(self.sources), self._stop)
        self._measures = [Measures() for _ in sources]

    def _read_settings(self) -> ReadSettings:
        pipeline, options = self._pipeline, self._options
        clip = pipeline.scorer.clip_settings
        return ReadSettings(
            ending_now(clip) if options.latency == "now" else clip,
            pipeline.every_seconds,
            pipeline.detector.needs_images,
            options.lost_seconds,
            options.speed,
            pipeline.decoder_threads,
        )

    def stop(self) -> None:
        """Ask the run to end; returns at once, and may be called by a signal's handler or another thread."""
        self._stop.set()

    def status(self) -> list[LiveStatus]:
        """Return how each source is doing; any thread may ask."""
        return [
            measures.status(reader.status, self._newest.num_dropped(number))
            for number, (reader, measures) in enumerate(zip(self.readers, self._measures, strict=True))
        ]

    def run(self) -> Generator[LiveKeyframe, None, None]:
        """Yield the keyframes as soon as they are scored, until the end; threads start with the first one.

        Closing the generator ends them.
        """
        if self._stop.is_set():
            return
        limit = self._options.max_seconds
        until = None if limit is None else time.monotonic() + limit
        background = Background(self._stop.set)
        try:
            for number, reader in enumerate(self.readers):
                background.start_thread(partial(self._read, number, reader), "live reader")
            with closing(prefetch(self._detected(until), 1)) as batches:
                try:
                    yield from self._scored(batches)
                finally:
                    self.stop()  # before the thread of the detector is waited for
        finally:
            # A reader may wait for a source that does not answer; it ends by itself.
            background.stop()
            background.join(_SECONDS_TO_END)

    def _read(self, number: int, reader: LiveReader) -> None:
        """Offer the keyframes of one source, in its thread."""
        try:
            with closing(reader.keyframes()) as keyframes:
                for keyframe in keyframes:
                    # Once stopped it has few more, and is read to its end, of which it tells.
                    if not self._stop.is_set():
                        self._newest.offer(number, keyframe)
        except Exception as error:  # One source that fails must not end the others.
            reader.fail(error)
        finally:
            self._newest.close(number)

    def _detected(self, until: float | None) -> Generator[_Batch, None, None]:
        most = self._pipeline.scorer.clips_per_batch
        while taken := self._newest.take(most, _clip_shape, until):
            people = [self._pipeline.detect([seen.keyframe], self.sources[number].name)[0] for number, seen, _ in taken]
            yield taken, people
        # Nothing is read any more for a run whose time is over.
        self._stop.set()

    def _scored(self, batches: Iterator[_Batch]) -> Iterator[LiveKeyframe]:
        pipeline = self._pipeline
        linkers = [_linker(pipeline) for _ in self.sources]
        spacings = [Spacing(pipeline.every_seconds) for _ in self.sources]
        action_ids = np.array(pipeline.label_map.ids, np.int64)
        for taken, people in batches:
            scores = pipeline.scorer.score([seen.keyframe.clip for _, seen, _ in taken], people)
            for (number, seen, num_dropped), boxes, action_scores in zip(taken, people, scores, strict=True):
                source, keyframe = self.sources[number], seen.keyframe
                found = keyframe_detections(source.name, keyframe.clip, boxes, action_scores, action_ids)
                # People stay linked over the distance that is usual just now.
                usual = spacings[number].update(keyframe.timestamp_seconds, num_dropped)
                linkers[number].max_gap_seconds = max_gap_seconds(usual)
                linked = linkers[number].update(found, shot=keyframe.shot)
                path = source.path if source.kind == "file" else None
                result = KeyframeResult.of(linked, pipeline.label_map, path, note=pipeline.note)
                lag = time.monotonic() - seen.arrival_seconds
                self._measures[number].add(lag)
                seen_at = datetime.fromtimestamp(time.time() - lag, UTC)
                yield LiveKeyframe.seen_at(result, seen_at, lag, num_dropped, keyframe.image)


def _linker(pipeline: StageSettings) -> Linker:
    return Linker(max_gap_seconds(pipeline.every_seconds), start_score=pipeline.new_person_score)


def _clip_shape(seen: SeenKeyframe) -> object:
    """Clips of one shape can go through the network together."""
    return seen.keyframe.clip.frames.shape


def _ignore(notice: LiveNotice) -> None:
    pass
