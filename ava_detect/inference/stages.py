"""The stages of one video: decode, detect, sample clips, score, link; each a generator over the one before it.

Decoding and detection run in threads of their own, a few keyframes ahead of the network; so does the network where
several clips in parallel are faster (``prefetch.py``, ``scorer.py``).
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import islice, tee
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ava_detect.detectors.base import PersonDetector, find_people
from ava_detect.inference.prefetch import ordered_map, prefetch
from ava_detect.inference.scorer import ClipScorer, Scores
from ava_detect.storage.addresses import Address
from ava_detect.structures import ActionDetections, Clip, Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker, max_gap_seconds
from ava_detect.video.clip_sampler import ClipSampler, Keyframe
from ava_detect.video.frame_folder import FrameFolder
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo
from ava_detect.visualization.keyframe_result import KeyframeResult

# Keyframes that wait for the detector, and batches that wait for the network: enough to even out their varying times.
_KEYFRAMES_AHEAD, BATCHES_AHEAD = 2, 1

# One keyframe at each scale.
ScaledKeyframe = tuple[Keyframe, ...]
# Keyframes, and the people on each of them.
Batch = tuple[list[ScaledKeyframe], list[PersonBoxes]]


class StageSettings(Protocol):
    """The part of a pipeline that its stages use; ``Pipeline`` explains each."""

    detector: PersonDetector
    scorer: ClipScorer
    label_map: LabelMap
    every_seconds: float
    new_person_score: float
    keyframes_per_batch: int
    decoder_threads: int
    scales: tuple[int, ...]
    note: str

    def detect(self, keyframes: Sequence[Keyframe], video_id: str) -> list[PersonBoxes]:
        """Find the people on each keyframe; see ``Pipeline.detect``."""


def detect_people(detector: PersonDetector, keyframes: Sequence[Keyframe], video_id: str) -> list[PersonBoxes]:
    """Find the people on each keyframe.

    Args:
        detector: The detector.
        keyframes: Keyframes of one video.
        video_id: The video's name, for detectors that look boxes up.

    Returns:
        The people on each keyframe, boxes in pixels of its clip.
    """
    images = [_image_of(keyframe) for keyframe in keyframes]
    frames = [
        Frame(image, keyframe.timestamp_seconds, video_id) for image, keyframe in zip(images, keyframes, strict=True)
    ]
    found = find_people(detector, frames)
    return [
        _to_clip_pixels(people, image, keyframe.clip)
        for people, image, keyframe in zip(found, images, keyframes, strict=True)
    ]


def keyframe_detections(
    video_id: str,
    clip: Clip,
    people: PersonBoxes,
    scores: npt.NDArray[np.float32],
    action_ids: npt.NDArray[np.int64],
) -> ActionDetections:
    """Put together what was found on a keyframe.

    Args:
        video_id: The video's name.
        clip: The clip around the keyframe.
        people: The N people on it, boxes in pixels of the clip.
        scores: Their action scores ``[N, C]``.
        action_ids: Ids ``[C]`` of the actions.

    Returns:
        The detections, boxes as fractions of the frame.
    """
    fractions = box_ops.pixels_to_fractions(people.boxes_xyxy, clip.width, clip.height).astype(np.float32)
    return ActionDetections(video_id, clip.timestamp_seconds, fractions, people.scores, scores, action_ids)


class Stages:
    """The stages of one video, each a generator over the one before it, and their counters.

    Args:
        pipeline: The detector, the scorer and their settings.
        source: The video file, or the folder of its frames.
        video_id: The video's name.

    Raises:
        VideoError: The video cannot be opened.
    """

    def __init__(self, pipeline: StageSettings, source: Path | RemoteVideo | FrameFolder, video_id: str) -> None:
        # One reader per scale, because a reader counts what is damaged in its own pass.
        self.readers = [_reader(source, pipeline.decoder_threads) for _ in pipeline.scales]
        self.clock = _StageClock("decode", "detect", "score")
        self.num_keyframes = 0
        self.num_boxes = 0
        self.track_ids: set[int] = set()
        self.times_seconds = array("d")
        self.first_pass: ClipSampler | None = None
        # Pictures are read later, perhaps from another working directory.
        self.source = _source_of_pictures(source)
        self.last: KeyframeResult | None = None
        self._video_id = video_id
        self.pipeline = pipeline

    def batches(self, times: Iterable[float]) -> Generator[Batch, None, None]:
        """Decode and detect.

        Args:
            times: The keyframes' times in seconds, ascending.

        Returns:
            A generator of batches of keyframes and the people on them.
        """
        return self._detected(prefetch(self._decoded(times), _KEYFRAMES_AHEAD))

    def run(self, batches: Generator[Batch, None, None]) -> Generator[KeyframeResult, None, None]:
        """Score and link.

        Args:
            batches: Those of ``batches``, which may run ahead in a thread.

        Yields:
            Each keyframe, once it is known.
        """
        pipeline, scorer = self.pipeline, self.pipeline.scorer
        scored = ordered_map(self._score, batches, scorer.calls_at_once, scorer.start_thread)
        linker = Linker(max_gap_seconds=max_gap_seconds(pipeline.every_seconds), start_score=pipeline.new_person_score)
        action_ids = np.array(pipeline.label_map.ids, np.int64)
        with ExitStack() as stages:
            # A stage is closed by the thread that takes from it, also where an interrupt ends this generator.
            stages.enter_context(closing(batches))
            if isinstance(scored, Generator):
                stages.enter_context(closing(scored))
            for (batch, people), scores in scored:
                for scaled, boxes, action_scores in zip(batch, people, scores, strict=True):
                    detections = keyframe_detections(self._video_id, scaled[0].clip, boxes, action_scores, action_ids)
                    linked = linker.update(detections, shot=scaled[0].shot)
                    self.num_keyframes += 1
                    self.times_seconds.append(linked.timestamp_seconds)
                    self.num_boxes += len(linked)
                    if linked.track_ids is not None:
                        self.track_ids.update(linked.track_ids.tolist())
                    self.last = KeyframeResult.of(linked, pipeline.label_map, self.source, note=pipeline.note)
                    yield self.last

    def _decoded(self, times: Iterable[float]) -> Generator[ScaledKeyframe, None, None]:
        keyframes = self._keyframes(times)
        while True:
            with self.clock.timed("decode"):
                scaled = next(keyframes, None)
            if scaled is None:
                return
            yield scaled

    def _detected(self, keyframes: Generator[ScaledKeyframe, None, None]) -> Generator[Batch, None, None]:
        with closing(keyframes):
            while batch := list(islice(keyframes, self.pipeline.keyframes_per_batch)):
                with self.clock.timed("detect"):
                    people = self.pipeline.detect([scaled[0] for scaled in batch], self._video_id)
                yield batch, people

    def _score(self, batch_and_people: Batch) -> tuple[Batch, Scores]:
        """The mean scores over the scales; the boxes are in pixels of the first scale's clips."""
        batch, people = batch_and_people
        per_scale = []
        with self.clock.timed("score"):
            for same_scale in zip(*batch, strict=True):
                clips = [keyframe.clip for keyframe in same_scale]
                boxes = [_rescaled(p, of[0].clip, clip) for p, of, clip in zip(people, batch, clips, strict=True)]
                per_scale.append(self.pipeline.scorer.score(clips, boxes))
            mean = [np.mean(scores, axis=0) for scores in zip(*per_scale, strict=True)]
        return batch_and_people, mean if len(per_scale) > 1 else per_scale[0]

    def _keyframes(self, times: Iterable[float]) -> Iterator[ScaledKeyframe]:
        """Each keyframe at every scale, the first with the detector's image; the scales are decoded in parallel."""
        pipeline = self.pipeline
        passes = []
        for index, (short_side, video) in enumerate(zip(pipeline.scales, self.readers, strict=True)):
            settings = replace(pipeline.scorer.clip_settings, short_side=short_side)
            is_first = index == 0
            wants_images = pipeline.detector.needs_images and is_first
            passes.append(ClipSampler(video, settings, keyframe_images=wants_images, find_shots=is_first))
        self.first_pass = passes[0]
        times_per_pass = tee(times, len(passes))
        return zip(*(sampler.sample(t) for sampler, t in zip(passes, times_per_pass, strict=True)), strict=True)


def _reader(source: Path | RemoteVideo | FrameFolder, num_threads: int) -> VideoReader | FrameFolder:
    return source if isinstance(source, FrameFolder) else VideoReader(source, num_threads=num_threads)


def _source_of_pictures(source: Path | RemoteVideo | FrameFolder) -> Path | Address | None:
    """Where pictures are read from after the run; None for a folder of frames, whose rate its path does not say."""
    if isinstance(source, FrameFolder):
        return None
    return source.address if isinstance(source, RemoteVideo) else source.absolute()


class _StageClock:
    """Wall time per stage; time that several threads spend in a stage at once counts once."""

    def __init__(self, *stages: str) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)
        self._lock = threading.Lock()
        self._num_threads: dict[str, int] = {}
        self._counted_until: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to ``seconds[stage]``."""
        self._count(stage, 1)
        try:
            yield
        finally:
            self._count(stage, -1)

    def _count(self, stage: str, change: int) -> None:
        """Add the elapsed time if a thread was inside the stage, then change the thread count."""
        with self._lock:
            now, num_threads = time.perf_counter(), self._num_threads.get(stage, 0)
            elapsed = now - self._counted_until[stage] if num_threads else 0.0
            self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed
            self._counted_until[stage], self._num_threads[stage] = now, num_threads + change


def _image_of(keyframe: Keyframe) -> npt.NDArray[np.uint8]:
    """The detector's input: the keyframe's full image or, where none was requested, its frame of the clip."""
    return keyframe.clip.frames[keyframe.clip.keyframe_index] if keyframe.image is None else keyframe.image


def _rescaled(people: PersonBoxes, clip: Clip, other: Clip) -> PersonBoxes:
    """Boxes in pixels of ``clip``, as pixels of the same clip at another scale."""
    boxes = box_ops.scale(people.boxes_xyxy, other.width / clip.width, other.height / clip.height)
    return PersonBoxes(boxes.astype(np.float32), people.scores)


def _to_clip_pixels(people: PersonBoxes, image: npt.NDArray[np.uint8], clip: Clip) -> PersonBoxes:
    """Boxes in pixels of ``image``, as pixels of the clip and clipped to it; people wholly outside are dropped."""
    height, width = image.shape[:2]
    scaled = box_ops.scale(people.boxes_xyxy, clip.width / width, clip.height / height)
    inside = box_ops.clip(scaled, clip.width, clip.height).astype(np.float32)
    return PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0]
