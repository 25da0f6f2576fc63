"""One video in, everybody's actions out: decode, detect, cut clips, score, link. Streaming, in bounded memory.

Decoding and detection run in threads of their own, a few keyframes ahead of the network, and so does the network
where several clips at once are the faster way (``background.py``, ``scoring.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from itertools import islice, tee
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.detectors.base import PersonDetector
from ava_detect.errors import ConfigError
from ava_detect.inference.prefetch import ordered_map, prefetch
from ava_detect.inference.scorer import ClipScorer, Scorer, Scores
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.execution import Execution, Precision
from ava_detect.structures import ActionDetections, Clip, Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.linking import Linker
from ava_detect.video.clip_sampler import ClipSampler, Keyframe, keyframe_times
from ava_detect.video.reader import VideoReader
from ava_detect.video.remote import RemoteVideo, as_video_file

_LEAST_SHORT_SIDE = 32
# Keyframes that wait for the detector, and batches that wait for the network: enough to even out how long each takes.
_KEYFRAMES_AHEAD, _BATCHES_AHEAD = 2, 1


# One keyframe at every scale.
Views = tuple[Keyframe, ...]
# Keyframes and the people on each.
_Batch = tuple[list[Views], list[PersonBoxes]]


class Pipeline:
    """A detector and a network, ready for any number of videos.

    >>> for keyframe in Pipeline(detector, model)("movie.mp4"):
    ...     keyframe.timestamp_seconds, keyframe.boxes_fraction, keyframe.action_scores

    The scores of a keyframe depend on that keyframe's clip and boxes alone: not on the batch it was in, nor on which
    other keyframes are asked for.
    """

    def __init__(
        self,
        detector: PersonDetector,
        model: ActionDetector | ActionClassifier,
        *,
        label_map: LabelMap | None = None,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        execution: Execution = "auto",
        every_seconds: float = 1.0,
        new_person_score: float = 0.0,
        keyframes_per_batch: int | None = None,
        clips_per_batch: int = 1,
        decoder_threads: int = 1,
        scales: Sequence[int] = (),
        flip: bool = False,
    ) -> None:
        """``label_map``: the actions that the model's columns stand for, AVA's 80 by default.

        ``every_seconds``: the time between keyframes, the first being at 0. ``new_person_score``: somebody below it is
        left out unless known from an earlier keyframe (``linking.py``); 0 keeps everybody. ``clips_per_batch``: so
        many go through the network at once. ``keyframes_per_batch``: so many go through the detector at once, by
        default as many. On a CPU as many batches are scored side by side as PyTorch has threads now, at most 4, on CUDA
        two (``scoring.py``); for each, and for two that wait, that many clips are held in memory, and two.
        ``precision``: ``bf16`` runs the network's convolutions in bfloat16: faster where the processor has it, with
        scores that differ a little.
        ``execution``: see ``models/execution.py``; the weights that count are those which ``model`` has now.

        Test-time augmentation: ``scales``, the short sides in pixels at which each clip is scored in the place of the
        network's own, and ``flip``, each also with left and right exchanged; the scores are averaged. The video is
        decoded once a scale.
        """
        scorer = Scorer(
            model,
            device=device,
            precision=precision,
            execution=execution,
            clips_per_batch=clips_per_batch,
            flip=flip,
        )
        self._set_up(
            detector,
            scorer,
            label_map=label_map,
            every_seconds=every_seconds,
            new_person_score=new_person_score,
            keyframes_per_batch=keyframes_per_batch,
            decoder_threads=decoder_threads,
            scales=scales,
        )

    @classmethod
    def with_scorer(
        cls,
        detector: PersonDetector,
        scorer: ClipScorer,
        *,
        label_map: LabelMap | None = None,
        every_seconds: float = 1.0,
        new_person_score: float = 0.0,
        keyframes_per_batch: int | None = None,
        decoder_threads: int = 1,
        scales: Sequence[int] = (),
    ) -> Pipeline:
        """A pipeline without a network of its own: ``scorer`` has it, here or elsewhere, and settles how it is run.

        The other settings are those of a pipeline with a network.
        """
        pipeline = cls.__new__(cls)
        pipeline._set_up(
            detector,
            scorer,
            label_map=label_map,
            every_seconds=every_seconds,
            new_person_score=new_person_score,
            keyframes_per_batch=keyframes_per_batch,
            decoder_threads=decoder_threads,
            scales=scales,
        )
        return pipeline

    def _set_up(
        self,
        detector: PersonDetector,
        scorer: ClipScorer,
        *,
        label_map: LabelMap | None,
        every_seconds: float,
        new_person_score: float,
        keyframes_per_batch: int | None,
        decoder_threads: int,
        scales: Sequence[int],
    ) -> None:
        keyframe_times(every_seconds)
        if any(side < _LEAST_SHORT_SIDE for side in scales) or len(set(scales)) != len(scales):
            raise ConfigError(
                f"scales are short sides in pixels, each once and at least {_LEAST_SHORT_SIDE}, got {list(scales)}"
            )
        self.detector = detector
        self.scorer = scorer
        self.label_map = label_map or LabelMap.ava()
        if len(self.label_map) != scorer.num_actions:
            raise ValueError(
                f"the label map names {len(self.label_map)} actions, but the model scores "
                f"{scorer.num_actions}; give the map that the model was trained with"
            )
        self.every_seconds = every_seconds
        self.new_person_score = new_person_score
        self.keyframes_per_batch = keyframes_per_batch or scorer.clips_per_batch
        self.decoder_threads = decoder_threads
        self.scales = tuple(scales) or (scorer.clip_settings.short_side,)

    @property
    def model(self) -> ActionDetector:
        """The network; ``AttributeError`` for a pipeline whose scorer has it elsewhere."""
        if not isinstance(self.scorer, Scorer):
            raise AttributeError("this pipeline has no network of its own: its scorer has it; use pipeline.score")
        return self.scorer.model

    def __call__(
        self,
        source: str | Path | RemoteVideo,
        *,
        video_id: str | None = None,
        at_seconds: Iterable[float] | None = None,
    ) -> VideoRun:
        """Start on one video; ``VideoError`` when it cannot be opened. ``video_id``: by default the file's stem.

        ``at_seconds``: the keyframes' times, ascending from 0 or later, in the place of every ``every_seconds``; those
        behind the video's end are left out.
        """
        times = keyframe_times(self.every_seconds) if at_seconds is None else at_seconds
        video = as_video_file(source)
        return VideoRun(self, video, video.stem if video_id is None else video_id, times)

    def detect(self, keyframes: Sequence[Keyframe], video_id: str) -> list[PersonBoxes]:
        """The people on each keyframe, in pixels of its clip."""
        images = [_image_of(keyframe) for keyframe in keyframes]
        frames = [
            Frame(image, keyframe.timestamp_seconds, video_id)
            for image, keyframe in zip(images, keyframes, strict=True)
        ]
        found = self.detector(frames)
        return [
            _on_clip(people, image, keyframe.clip)
            for people, image, keyframe in zip(found, images, keyframes, strict=True)
        ]

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Action scores ``[N, C]`` in 0..1 of the people on each clip; boxes in pixels of the clip."""
        return self.scorer.score(clips, people)


class VideoRun(Iterator[ActionDetections]):
    """One video's keyframes, in order of time, as they become known; iterate once, and ``close`` what is left early.

    ``video``: the reader, whose ``damage()`` after the last keyframe says what could not be read.
    """

    def __init__(self, pipeline: Pipeline, source: Path | RemoteVideo, video_id: str, times: Iterable[float]) -> None:
        # The threads hold the stages and never the run, so that a run which is dropped takes its threads along.
        self._stages = _Stages(pipeline, source, video_id)
        self._results = self._stages.run(times)
        self.video = self._stages.readers[0]
        self.video_id = video_id

    def __next__(self) -> ActionDetections:
        return next(self._results)

    def close(self) -> None:
        """End the run where it is; its threads end with it."""
        self._results.close()

    @property
    def seconds(self) -> dict[str, float]:
        """Time spent so far in ``decode``, ``detect`` and ``score``, which overlap."""
        return self._stages.seconds

    @property
    def num_keyframes(self) -> int:
        """How many have been handed out."""
        return self._stages.num_keyframes

    @property
    def num_people(self) -> int:
        """How many people those had."""
        return self._stages.num_people

    @property
    def cuts_seconds(self) -> tuple[float, ...]:
        """When the video's hard cuts were, as far as it has been read."""
        first_pass = self._stages.first_pass
        return () if first_pass is None else first_pass.cuts_seconds

    def timed(self, stage: str) -> AbstractContextManager[None]:
        """Add the time of the block to ``seconds[stage]``."""
        return self._stages.timed(stage)


class _Stages:
    """What happens to one video's keyframes, each stage a generator, and the books of it."""

    def __init__(self, pipeline: Pipeline, source: Path | RemoteVideo, video_id: str) -> None:
        # One reader a scale: each keeps the books of its own pass.
        self.readers = [VideoReader(source, num_threads=pipeline.decoder_threads) for _ in pipeline.scales]
        self.seconds = {"decode": 0.0, "detect": 0.0, "score": 0.0}
        self._clock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._counted_until: dict[str, float] = {}
        self.num_keyframes = 0
        self.num_people = 0
        self.first_pass: ClipSampler | None = None
        self._video_id = video_id
        self._pipeline = pipeline

    def run(self, times: Iterable[float]) -> Generator[ActionDetections, None, None]:
        decoded = prefetch(self._decoded(times), _KEYFRAMES_AHEAD)
        batches = prefetch(self._detected(decoded), _BATCHES_AHEAD)
        scorer = self._pipeline.scorer
        scored = ordered_map(self._score_batch, batches, scorer.calls_at_once, scorer.start_thread)
        # Each stage is closed by whoever takes from it and by no other thread, even where an interrupt breaks this off.
        with closing(batches), closing(scored):
            yield from self._linked(scored)

    def _decoded(self, times: Iterable[float]) -> Generator[Views, None, None]:
        keyframes = self._keyframes(times)
        while True:
            with self.timed("decode"):
                views = next(keyframes, None)
            if views is None:
                return
            yield views

    def _detected(self, keyframes: Generator[Views, None, None]) -> Generator[_Batch, None, None]:
        with closing(keyframes):
            while batch := list(islice(keyframes, self._pipeline.keyframes_per_batch)):
                with self.timed("detect"):
                    people = self._pipeline.detect([views[0] for views in batch], self._video_id)
                yield batch, people

    def _score_batch(self, batch: _Batch) -> tuple[_Batch, Scores]:
        with self.timed("score"):
            return batch, self._score(*batch)

    def _linked(self, scored: Iterable[tuple[_Batch, Scores]]) -> Iterator[ActionDetections]:
        pipeline = self._pipeline
        linker = Linker(max_gap_seconds=2.5 * pipeline.every_seconds, start_score=pipeline.new_person_score)
        action_ids = np.array(pipeline.label_map.ids, np.int64)
        for (batch, people), scores in scored:
            clips = [views[0].clip for views in batch]
            shots = [views[0].shot for views in batch]
            for clip, shot, boxes, action_scores in zip(clips, shots, people, scores, strict=True):
                fractions = box_ops.pixels_to_fractions(boxes.boxes_xyxy, clip.width, clip.height)
                linked = linker.update(
                    ActionDetections(
                        self._video_id,
                        clip.timestamp_seconds,
                        fractions.astype(np.float32),
                        boxes.scores,
                        action_scores,
                        action_ids,
                    ),
                    shot=shot,
                )
                self.num_keyframes += 1
                self.num_people += len(linked)
                yield linked

    def _keyframes(self, times: Iterable[float]) -> Iterator[Views]:
        """Each keyframe at every scale, the first with the detector's picture; the scales are read side by side."""
        pipeline = self._pipeline
        passes = []
        for index, (short_side, video) in enumerate(zip(pipeline.scales, self.readers, strict=True)):
            settings = replace(pipeline.scorer.clip_settings, short_side=short_side)
            is_first = index == 0
            wants_images = pipeline.detector.needs_images and is_first
            passes.append(ClipSampler(video, settings, keyframe_images=wants_images, find_shots=is_first))
        self.first_pass = passes[0]
        shares = tee(times, len(passes))
        return zip(*(sampler.sample(share) for sampler, share in zip(passes, shares, strict=True)), strict=True)

    def _score(self, batch: Sequence[Views], people: Sequence[PersonBoxes]) -> Scores:
        """The mean over the scales; ``people`` are in pixels of the first scale's clips."""
        views = []
        for same_scale in zip(*batch, strict=True):
            clips = [keyframe.clip for keyframe in same_scale]
            boxes = [_rescaled(p, of[0].clip, clip) for p, of, clip in zip(people, batch, clips, strict=True)]
            views.append(self._pipeline.score(clips, boxes))
        return [np.mean(scores, axis=0) for scores in zip(*views, strict=True)] if len(views) > 1 else views[0]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to ``seconds[stage]``; what several threads spend there at once counts once."""
        self._count(stage, 1)
        try:
            yield
        finally:
            self._count(stage, -1)

    def _count(self, stage: str, change: int) -> None:
        """Count the time since the stage was looked at last, if anybody was in it; then so many more are."""
        with self._clock:
            now, busy = time.perf_counter(), self._busy.get(stage, 0)
            since = now - self._counted_until[stage] if busy else 0.0
            self.seconds[stage] = self.seconds.get(stage, 0.0) + since
            self._counted_until[stage], self._busy[stage] = now, busy + change


def _image_of(keyframe: Keyframe) -> npt.NDArray[np.uint8]:
    """What the detector sees: the keyframe's own picture, or, where none was wanted, its frame of the clip."""
    return keyframe.clip.frames[keyframe.clip.keyframe_index] if keyframe.image is None else keyframe.image


def _rescaled(people: PersonBoxes, clip: Clip, other: Clip) -> PersonBoxes:
    """Boxes in pixels of ``clip`` in those of the same clip at another scale."""
    boxes = box_ops.scale(people.boxes_xyxy, other.width / clip.width, other.height / clip.height)
    return PersonBoxes(boxes.astype(np.float32), people.scores)


def _on_clip(people: PersonBoxes, image: npt.NDArray[np.uint8], clip: Clip) -> PersonBoxes:
    """The detector's people in the clip's pixels, cut to the frame; who lies wholly outside is left out."""
    height, width = image.shape[:2]
    scaled = box_ops.scale(people.boxes_xyxy, clip.width / width, clip.height / height)
    inside = box_ops.clip(scaled, clip.width, clip.height).astype(np.float32)
    return PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0]
