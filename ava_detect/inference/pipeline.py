"""One video in, the people and their actions out: decode, detect, sample clips, score, link; in bounded memory.

Decoding and detection run in threads of their own, a few keyframes ahead of the network; so does the network where
several clips in parallel are faster (``prefetch.py``, ``scorer.py``).
"""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import islice, tee
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from ava_detect.detectors.base import ListedPeople, PersonDetector, find_people
from ava_detect.errors import ConfigError
from ava_detect.inference.prefetch import ordered_map, prefetch
from ava_detect.inference.scorer import ClipScorer, Scorer, Scores
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.storage.file_names import valid_id
from ava_detect.structures import ActionDetections, Clip, Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.clip import MAX_SIDE_PIXELS, keyframe_times
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker, max_gap_seconds
from ava_detect.video.clip_sampler import ClipSampler, Keyframe
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo, as_video_file

# A clip of 32 frames with a larger short side takes more than 2 GiB.
_MIN_SHORT_SIDE = 32
# Keyframes of a batch are all held at once.
_MAX_KEYFRAMES_PER_BATCH = 1024
_MAX_DECODER_THREADS = 256
# Keyframes that wait for the detector, and batches that wait for the network: enough to even out their varying times.
_KEYFRAMES_AHEAD, _BATCHES_AHEAD = 2, 1

# One keyframe at each scale.
ScaledKeyframe = tuple[Keyframe, ...]
# Keyframes, and the people on each of them.
_Batch = tuple[list[ScaledKeyframe], list[PersonBoxes]]


def check_scales(scales: Sequence[int]) -> None:
    """Refuse short sides at which no clip can be scored.

    Args:
        scales: Short sides in pixels.

    Raises:
        ConfigError: One is out of range, or there twice.
    """
    if not all(_MIN_SHORT_SIDE <= side <= MAX_SIDE_PIXELS for side in scales) or len(set(scales)) != len(scales):
        raise ConfigError(
            f"`scales` are short sides in pixels, each once and from {_MIN_SHORT_SIDE} to {MAX_SIDE_PIXELS}, got "
            f"{list(scales)}"
        )


class Pipeline:
    """A person detector and an action network, ready for any number of videos.

    The scores of a keyframe depend only on that keyframe's clip and boxes: not on the batch it is in, nor on which
    other keyframes are requested.

    Args:
        detector: Finds the people on a keyframe.
        model: The network, run on the CPU in fp32 one clip at a time; or a scorer around it, such as
            ``Scorer(model, device="cuda", precision="bf16", clips_per_batch=8)``, which decides how it is run.
        label_map: The actions of the model's score columns; AVA's 80 by default.
        every_seconds: Time between keyframes in seconds; the first is at 0.
        new_person_score: A person with a lower detector score, in 0..1, is kept only if the person was already seen on
            an earlier keyframe (``structures/linking.py``); 0 keeps all.
        keyframes_per_batch: Number of keyframes per call of the detector; by default the scorer's clips per batch.
        decoder_threads: Number of FFmpeg threads per video.
        scales: Short sides in pixels at which each clip is scored instead of the network's own; the scores are
            averaged. The video is decoded once per scale.

    Raises:
        ConfigError: A setting is out of range, or the model is a classifier of whole clips.
        ValueError: ``label_map`` has another number of actions than the model.

    Example:
        >>> for keyframe in Pipeline(detector, model)("movie.mp4"):
        ...     print(keyframe.timestamp_seconds, keyframe.boxes_fraction, keyframe.action_scores)
    """

    def __init__(
        self,
        detector: PersonDetector,
        model: ActionDetector | ActionClassifier | ClipScorer,
        *,
        label_map: LabelMap | None = None,
        every_seconds: float = 1.0,
        new_person_score: float = 0.0,
        keyframes_per_batch: int | None = None,
        decoder_threads: int = 1,
        scales: Sequence[int] = (),
    ) -> None:
        keyframe_times(every_seconds)
        check_scales(scales)
        if not 0 <= new_person_score <= 1:
            raise ConfigError(f"`new_person_score` is a score from 0 to 1, got {new_person_score}")
        if keyframes_per_batch is not None and not 1 <= keyframes_per_batch <= _MAX_KEYFRAMES_PER_BATCH:
            raise ConfigError(
                f"`keyframes_per_batch` is from 1 to {_MAX_KEYFRAMES_PER_BATCH}, got {keyframes_per_batch}"
            )
        if not 1 <= decoder_threads <= _MAX_DECODER_THREADS:
            raise ConfigError(f"`decoder_threads` is from 1 to {_MAX_DECODER_THREADS}, got {decoder_threads}")
        self.detector = detector
        self.scorer: ClipScorer = Scorer(model) if isinstance(model, nn.Module) else model
        self.label_map = label_map or LabelMap.ava()
        if len(self.label_map) != self.scorer.num_actions:
            raise ValueError(
                f"the label map names {len(self.label_map)} actions, but the model scores "
                f"{self.scorer.num_actions}; give the map that the model was trained with"
            )
        self.every_seconds = every_seconds
        self.new_person_score = new_person_score
        self.keyframes_per_batch = keyframes_per_batch or self.scorer.clips_per_batch
        self.decoder_threads = decoder_threads
        self.scales = tuple(scales) or (self.scorer.clip_settings.short_side,)

    def __call__(
        self,
        source: str | Path | RemoteVideo,
        *,
        video_id: str | None = None,
        at_seconds: Iterable[float] | None = None,
    ) -> VideoRun:
        """Start on one video.

        Args:
            source: The video file, or an open file at an address.
            video_id: The name in the results; by default the file's stem.
            at_seconds: The keyframes' times in seconds, ascending from 0 or later, instead of one every
                ``every_seconds``; times after the end of the video are left out.

        Returns:
            The run, an iterator over the video's keyframes.

        Raises:
            VideoError: The video cannot be opened.
            ConfigError: A time of ``at_seconds`` is not one, raised when the run comes to it.
        """
        times = keyframe_times(self.every_seconds) if at_seconds is None else _ascending(at_seconds)
        video = as_video_file(source)
        return VideoRun(self, video, valid_id(video.stem) if video_id is None else video_id, times)

    def detect(self, keyframes: Sequence[Keyframe], video_id: str) -> list[PersonBoxes]:
        """Find the people on each keyframe.

        Args:
            keyframes: Keyframes of one video.
            video_id: The video's name, for detectors that look boxes up.

        Returns:
            The people on each keyframe, boxes in pixels of its clip.
        """
        images = [_image_of(keyframe) for keyframe in keyframes]
        frames = [
            Frame(image, keyframe.timestamp_seconds, video_id)
            for image, keyframe in zip(images, keyframes, strict=True)
        ]
        found = find_people(self.detector, frames)
        return [
            _to_clip_pixels(people, image, keyframe.clip)
            for people, image, keyframe in zip(found, images, keyframes, strict=True)
        ]


class VideoRun(Iterator[ActionDetections]):
    """The keyframes of one video in order of time, each as soon as it is scored; iterate once, ``close`` to stop early.

    Attributes:
        video: The reader; after the last keyframe, its ``damage()`` names what could not be read.
        video_id: The video's name.

    Args:
        pipeline: The detector, the network and their settings.
        source: The video file.
        video_id: The video's name.
        times: The keyframes' times in seconds, ascending.
    """

    def __init__(self, pipeline: Pipeline, source: Path | RemoteVideo, video_id: str, times: Iterable[float]) -> None:
        # The threads hold the stages and never the run, so that a run which is dropped ends its threads.
        self._stages = _Stages(pipeline, source, video_id)
        self._results = self._stages.run(times)
        self.video = self._stages.readers[0]
        self.video_id = video_id

    def __iter__(self) -> Iterator[ActionDetections]:
        return self._results

    def __next__(self) -> ActionDetections:
        return next(self._results)

    def close(self) -> None:
        """Stop the run and its threads."""
        self._results.close()

    @property
    def seconds(self) -> dict[str, float]:
        """Time spent so far in ``decode``, ``detect`` and ``score``, which overlap."""
        return self._stages.clock.seconds

    @property
    def num_keyframes(self) -> int:
        """Number of keyframes returned so far."""
        return self._stages.num_keyframes

    @property
    def num_people(self) -> int:
        """Number of different people on those keyframes: of distinct tracks."""
        return len(self._stages.track_ids)

    @property
    def num_boxes(self) -> int:
        """Number of boxes on those keyframes; a person has one on each."""
        return self._stages.num_boxes

    @property
    def cuts_seconds(self) -> tuple[float, ...]:
        """Times of the video's hard cuts, as far as it has been read."""
        first_pass = self._stages.first_pass
        return () if first_pass is None else first_pass.cuts_seconds

    def mismatch(self) -> str:
        """Describe why boxes of a file meet none of the keyframes returned so far.

        Returns:
            A sentence with the ranges of both; empty where they meet, and where a detector looks at pictures.
        """
        detector: object = self._stages.pipeline.detector
        if not isinstance(detector, ListedPeople):
            return ""
        return detector.mismatch(self.video_id, self._stages.times_seconds)

    def timed(self, stage: str) -> AbstractContextManager[None]:
        """Return a context that adds the time of its block to ``seconds[stage]``.

        Args:
            stage: A name, such as ``draw``.
        """
        return self._stages.clock.timed(stage)


class _Stages:
    """The stages of one video, each a generator over the one before it, and their counters."""

    def __init__(self, pipeline: Pipeline, source: Path | RemoteVideo, video_id: str) -> None:
        # One reader per scale, because a reader counts what is damaged in its own pass.
        self.readers = [VideoReader(source, num_threads=pipeline.decoder_threads) for _ in pipeline.scales]
        self.clock = _StageClock("decode", "detect", "score")
        self.num_keyframes = 0
        self.num_boxes = 0
        self.track_ids: set[int] = set()
        self.times_seconds = array("d")
        self.first_pass: ClipSampler | None = None
        self._video_id = video_id
        self.pipeline = pipeline

    def run(self, times: Iterable[float]) -> Generator[ActionDetections, None, None]:
        """Decode, detect, score and link; each keyframe once it is known."""
        pipeline, scorer = self.pipeline, self.pipeline.scorer
        batches = prefetch(self._detected(prefetch(self._decoded(times), _KEYFRAMES_AHEAD)), _BATCHES_AHEAD)
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
                    detections = self._detections(scaled[0].clip, boxes, action_scores, action_ids)
                    linked = linker.update(detections, shot=scaled[0].shot)
                    self.num_keyframes += 1
                    self.times_seconds.append(linked.timestamp_seconds)
                    self.num_boxes += len(linked)
                    if linked.track_ids is not None:
                        self.track_ids.update(linked.track_ids.tolist())
                    yield linked

    def _decoded(self, times: Iterable[float]) -> Generator[ScaledKeyframe, None, None]:
        keyframes = self._keyframes(times)
        while True:
            with self.clock.timed("decode"):
                scaled = next(keyframes, None)
            if scaled is None:
                return
            yield scaled

    def _detected(self, keyframes: Generator[ScaledKeyframe, None, None]) -> Generator[_Batch, None, None]:
        with closing(keyframes):
            while batch := list(islice(keyframes, self.pipeline.keyframes_per_batch)):
                with self.clock.timed("detect"):
                    people = self.pipeline.detect([scaled[0] for scaled in batch], self._video_id)
                yield batch, people

    def _score(self, batch_and_people: _Batch) -> tuple[_Batch, Scores]:
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

    def _detections(
        self, clip: Clip, people: PersonBoxes, scores: npt.NDArray[np.float32], action_ids: npt.NDArray[np.int64]
    ) -> ActionDetections:
        fractions = box_ops.pixels_to_fractions(people.boxes_xyxy, clip.width, clip.height).astype(np.float32)
        return ActionDetections(self._video_id, clip.timestamp_seconds, fractions, people.scores, scores, action_ids)

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


def _ascending(times: Iterable[float]) -> Iterator[float]:
    """The caller's times; ``ConfigError`` at the first that is negative, not finite or before the one before it."""
    last = 0.0
    for time_seconds in times:
        if not last <= time_seconds < math.inf:
            raise ConfigError(
                f"`at_seconds` are times in seconds, from 0 on and ascending, got {time_seconds} after {last}"
            )
        last = time_seconds
        yield time_seconds


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
