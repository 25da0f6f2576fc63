"""One video in, everybody's actions out: decode, detect, cut clips, score, link. Streaming, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from ava_detect import boxes as box_ops
from ava_detect.detectors.base import PersonDetector
from ava_detect.errors import ConfigError
from ava_detect.labels import LabelMap
from ava_detect.linking import Linker
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.structures import ActionDetections, Clip, Frame, PersonBoxes
from ava_detect.video.clips import ClipSampler, Keyframe, keyframe_times
from ava_detect.video.reader import VideoReader
from ava_detect.video.transforms import normalize

Precision = Literal["fp32", "bf16"]


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
        every_seconds: float = 1.0,
        keyframes_per_batch: int = 8,
        clips_per_batch: int = 1,
        decoder_threads: int = 1,
    ) -> None:
        """``label_map``: the actions that the model's columns stand for, AVA's 80 by default.

        ``every_seconds``: the time between keyframes, the first being at 0. ``keyframes_per_batch``: so many go through
        the detector at once, and so many clips are held in memory. ``clips_per_batch``: so many go through the network
        at once. ``precision``: ``bf16`` runs the network's convolutions in bfloat16: faster where the
        processor has it, with scores that differ a little.
        """
        if isinstance(model, ActionClassifier):
            raise ConfigError(
                "this model is a classifier: it says what a whole clip shows, not what each person does; choose a "
                "config whose model.task is detection"
            )
        keyframe_times(every_seconds)
        self.detector = detector
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.label_map = label_map or LabelMap.ava()
        if len(self.label_map) != model.head.num_classes:
            raise ValueError(
                f"the label map names {len(self.label_map)} actions, but the model scores "
                f"{model.head.num_classes}; give the map that the model was trained with"
            )
        self.precision: Precision = precision
        self.every_seconds = every_seconds
        self.keyframes_per_batch = keyframes_per_batch
        self.clips_per_batch = clips_per_batch
        self.decoder_threads = decoder_threads

    def __call__(self, source: str | Path, *, video_id: str | None = None) -> VideoRun:
        """Start on one video; ``VideoError`` when it cannot be opened. ``video_id``: by default the file's stem."""
        video = VideoReader(source, num_threads=self.decoder_threads)
        return VideoRun(self, video, Path(source).stem if video_id is None else video_id)

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

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> list[npt.NDArray[np.float32]]:
        """Action scores ``[N, C]`` in 0..1 of the people on each clip; boxes in pixels of the clip.

        A clip without people is not looked at.
        """
        num_actions = len(self.label_map)
        scores = [np.zeros((0, num_actions), np.float32) for _ in clips]
        occupied = [i for i, boxes in enumerate(people) if len(boxes)]
        for start in range(0, len(occupied), self.clips_per_batch):
            batch = occupied[start : start + self.clips_per_batch]
            batch_scores = self._forward([clips[i] for i in batch], [people[i] for i in batch])
            split = np.split(batch_scores, np.cumsum([len(people[i]) for i in batch])[:-1])
            for i, part in zip(batch, split, strict=True):
                scores[i] = part
        return scores

    def _forward(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> npt.NDArray[np.float32]:
        settings = self.model.clip_settings
        inputs = torch.stack([normalize(clip.frames, settings.mean, settings.std) for clip in clips]).to(self.device)
        rois = np.concatenate(
            [_rois(i, boxes, clip) for i, (boxes, clip) in enumerate(zip(people, clips, strict=True))]
        )
        with (
            torch.inference_mode(),
            # cuDNN would otherwise compute "fp32" convolutions with 10-bit mantissas.
            torch.backends.cudnn.flags(allow_tf32=False),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            logits: torch.Tensor = self.model(inputs, torch.from_numpy(rois).to(self.device))
            return logits.float().sigmoid().cpu().numpy()


class VideoRun(Iterator[ActionDetections]):
    """One video's keyframes, in order of time, as they become known; iterate once.

    ``seconds``: time spent so far in ``decode``, ``detect`` and ``score``. ``num_keyframes``, ``num_people``: counts so
    far. ``video``: the reader, whose ``damage()`` after the last keyframe says what could not be read.
    """

    def __init__(self, pipeline: Pipeline, video: VideoReader, video_id: str) -> None:
        self.video = video
        self.video_id = video_id
        self.seconds = {"decode": 0.0, "detect": 0.0, "score": 0.0}
        self.num_keyframes = 0
        self.num_people = 0
        self._pipeline = pipeline
        self._results = self._run()

    def __next__(self) -> ActionDetections:
        return next(self._results)

    def _run(self) -> Iterator[ActionDetections]:
        pipeline = self._pipeline
        settings = pipeline.model.clip_settings
        sampler = ClipSampler(self.video, settings, keyframe_images=pipeline.detector.needs_images)
        keyframes = sampler.sample(keyframe_times(pipeline.every_seconds))
        linker = Linker(max_gap_seconds=2.5 * pipeline.every_seconds)
        action_ids = np.array(pipeline.label_map.ids, np.int64)
        while batch := self._next_batch(keyframes):
            with self.timed("detect"):
                people = pipeline.detect(batch, self.video_id)
            clips = [keyframe.clip for keyframe in batch]
            with self.timed("score"):
                scores = pipeline.score(clips, people)
            for clip, boxes, action_scores in zip(clips, people, scores, strict=True):
                self.num_keyframes += 1
                self.num_people += len(boxes)
                fractions = box_ops.pixels_to_fractions(boxes.boxes_xyxy, clip.width, clip.height)
                yield linker.update(
                    ActionDetections(
                        self.video_id,
                        clip.timestamp_seconds,
                        fractions.astype(np.float32),
                        boxes.scores,
                        action_scores,
                        action_ids,
                    )
                )

    def _next_batch(self, keyframes: Iterator[Keyframe]) -> list[Keyframe]:
        with self.timed("decode"):
            return list(islice(keyframes, self._pipeline.keyframes_per_batch))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of the block to ``seconds[stage]``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def _image_of(keyframe: Keyframe) -> npt.NDArray[np.uint8]:
    """What the detector sees: the keyframe's own picture, or, where none was wanted, its frame of the clip."""
    return keyframe.clip.frames[keyframe.clip.keyframe_index] if keyframe.image is None else keyframe.image


def _on_clip(people: PersonBoxes, image: npt.NDArray[np.uint8], clip: Clip) -> PersonBoxes:
    """The detector's people in the clip's pixels, cut to the frame; who lies wholly outside is left out."""
    height, width = image.shape[:2]
    scaled = box_ops.scale(people.boxes_xyxy, clip.width / width, clip.height / height)
    inside = box_ops.clip(scaled, clip.width, clip.height).astype(np.float32)
    return PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0]


def _rois(clip_index: int, people: PersonBoxes, clip: Clip) -> npt.NDArray[np.float32]:
    """``[N, 5]`` RoIs, by the rules of PySlowFast, which trained the field's weights (``docs/parity.md``).

    Boxes are cut at W - 1 and H - 1 of the video's own frame, scaled by one factor, that of the long side, and cut at
    W - 1 and H - 1 of the clip.
    """
    width, height = clip.source_size or (clip.width, clip.height)
    boxes = box_ops.scale(people.boxes_xyxy.astype(np.float64), width / clip.width, height / clip.height)
    factor = clip.height / height if width < height else clip.width / width
    scaled = factor * box_ops.clip(boxes, width - 1, height - 1)
    cut = box_ops.clip(scaled, clip.width - 1, clip.height - 1)
    indices = np.full((len(people), 1), clip_index)
    return np.concatenate([indices, cut], axis=1).astype(np.float32)
