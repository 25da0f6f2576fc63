"""One video in, the people and their actions out: decode, detect, sample clips, score, link; in bounded memory.

Decoding and detection run in threads of their own, a few keyframes ahead of the network; so does the network where
several clips in parallel are faster (``prefetch.py``, ``scorer.py``).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from torch import nn

from ava_detect.config import Config
from ava_detect.config.build import label_map_of
from ava_detect.config.choice import choose_network
from ava_detect.detectors.base import ListedPeople, PersonDetector
from ava_detect.detectors.function import DetectorFunction, as_detector
from ava_detect.errors import AvaDetectError, AvaDetectWarning, ConfigError, counted, shown
from ava_detect.inference.build import build_scorer
from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.live.run import LiveRun
from ava_detect.inference.live.work import LiveWork
from ava_detect.inference.people_detector import people_detector
from ava_detect.inference.prefetch import prefetch, start_prefetch
from ava_detect.inference.scorer import ClipScorer, Scorer
from ava_detect.inference.stages import BATCHES_AHEAD, Batch, Stages, detect_people
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.network_options import NetworkOptions, check_names, resolve_device
from ava_detect.models.zoo import note_on_weights
from ava_detect.storage.file_names import valid_id
from ava_detect.structures import Frame, PersonBoxes
from ava_detect.structures.clip import MAX_SIDE_PIXELS, keyframe_times
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress
from ava_detect.video.clip_sampler import Keyframe
from ava_detect.video.frame_folder import FrameFolder
from ava_detect.video.live.source import live_sources
from ava_detect.video.live.status import LiveNotice
from ava_detect.video.remote import RemoteVideo, as_video_file
from ava_detect.visualization.keyframe_result import KeyframeResult
from ava_detect.visualization.video_frames import frames_at
from ava_detect.visualization.video_result import VideoResult

if TYPE_CHECKING:
    import pandas as pd

# A clip of 32 frames with a larger short side takes more than 2 GiB.
_MIN_SHORT_SIDE = 32
# Keyframes of a batch are all held at once.
_MAX_KEYFRAMES_PER_BATCH = 1024
_MAX_DECODER_THREADS = 256


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
        detector: Finds the people on a keyframe: a detector, or a function from one uint8 RGB image ``[H, W, 3]`` to
            ``supervision.Detections`` or ``PersonBoxes``.
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
        note: A warning that all results carry, such as that the weights are untrained; empty: none.

    Raises:
        ConfigError: A setting is out of range, or the model is a classifier of whole clips.
        ValueError: ``label_map`` has another number of actions than the model.

    Example:
        >>> for keyframe in Pipeline(detector, model)("movie.mp4"):
        ...     print(keyframe.timestamp_seconds, keyframe.boxes_fraction, keyframe.action_scores)
    """

    def __init__(
        self,
        detector: PersonDetector | DetectorFunction,
        model: ActionDetector | ActionClassifier | ClipScorer,
        *,
        label_map: LabelMap | None = None,
        every_seconds: float = 1.0,
        new_person_score: float = 0.0,
        keyframes_per_batch: int | None = None,
        decoder_threads: int = 1,
        scales: Sequence[int] = (),
        note: str = "",
    ) -> None:
        _check_keyframes(every_seconds, new_person_score)
        check_scales(scales)
        if keyframes_per_batch is not None and not 1 <= keyframes_per_batch <= _MAX_KEYFRAMES_PER_BATCH:
            raise ConfigError(
                f"`keyframes_per_batch` is from 1 to {_MAX_KEYFRAMES_PER_BATCH}, got {keyframes_per_batch}"
            )
        if not 1 <= decoder_threads <= _MAX_DECODER_THREADS:
            raise ConfigError(f"`decoder_threads` is from 1 to {_MAX_DECODER_THREADS}, got {decoder_threads}")
        self.detector = as_detector(detector)
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
        self.note = note

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path | None = None,
        *,
        config: Config | str | Path | None = None,
        overrides: Sequence[str] = (),
        detector: str | PersonDetector | DetectorFunction | None = None,
        min_person_score: float | None = None,
        new_person_score: float = 0.0,
        every_seconds: float = 1.0,
        device: str = "auto",
        precision: str = "auto",
        execution: str = "auto",
        on_progress: OnProgress | None = None,
    ) -> Self:
        """Build a pipeline from weights by name, with everything that belongs to them.

        Args:
            weights: A name of the zoo (downloaded into the cache when it is not there), ``"demo"``, a weights file of
                any family or its address, or ``"random"`` for an untrained network. None for the weights that the zoo
                recommends for the device; a ``ChoiceWarning`` says which.
            config: A config, a file, or a name in ``configs/``; by default that of the weights.
            overrides: ``section.key=value`` each, in place of the config's values.
            detector: A spec (docs/detectors.md) such as ``"builtin"`` or ``"boxes:people.csv"``, a detector, or a
                function from one uint8 RGB image ``[H, W, 3]`` to ``supervision.Detections`` or ``PersonBoxes``; by
                default the config's.
            min_person_score: People with a lower score, in 0..1, are left out; by default the config's for a spec, and
                none for a function.
            new_person_score: People with a lower score, in 0..1, are kept only where they continue a track.
            every_seconds: Time between keyframes in seconds.
            device: ``auto``, ``cpu`` or ``cuda``.
            precision: ``auto``, ``fp32``, ``bf16`` or ``fast``.
            execution: ``auto``, ``eager`` or ``fused``.
            on_progress: Told of the bytes of a download.

        Returns:
            The pipeline. Where its scores mean nothing on real people, an ``AvaDetectWarning`` says so, and so do all
            results.

        Raises:
            ConfigError: A setting cannot be used.
            WeightsError: There are no such weights, they cannot be had, or they do not fit the config.
            DetectorError: The detector cannot be built.

        Example:
            >>> pipeline = Pipeline.from_pretrained("demo")
            >>> pipeline("movie.mp4").to_pandas(min_score=0.5)
        """
        options = NetworkOptions(device, precision, execution)
        check_names(device, precision, execution)
        _check_keyframes(every_seconds, new_person_score)
        choice = choose_network(weights, config, overrides=overrides, device=device)
        choice.config.require_detection()
        label_map = label_map_of(choice.config)
        people = people_detector(
            choice.config, detector, min_person_score=min_person_score, device=resolve_device(device)
        )
        choice.announce()
        file = choice.weights_file(on_progress)
        note = note_on_weights(file or choice.weights)
        if note:
            warnings.warn(note, AvaDetectWarning, stacklevel=2)
        scorer, _ = build_scorer(choice.config, file, options, choice.overrides)
        return cls(
            people,
            scorer,
            label_map=label_map,
            every_seconds=every_seconds,
            new_person_score=new_person_score,
            note=note,
        )

    def __repr__(self) -> str:
        return (
            f"Pipeline(detector={self.detector.name!r}, actions={len(self.label_map)}, "
            f"clip_frames={self.scorer.clip_settings.num_frames}, every_seconds={self.every_seconds:g})"
        )

    def __call__(
        self,
        source: str | Path | RemoteVideo | FrameFolder,
        *,
        video_id: str | None = None,
        at_seconds: Iterable[float] | None = None,
    ) -> VideoRun:
        """Start on one video.

        Args:
            source: The video file, an open file at an address, or a folder of extracted frames
                (``FrameFolder(folder, fps)`` of ``ava_detect.video.frame_folder``), of which results draw no pictures.
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
        if isinstance(source, FrameFolder):
            return VideoRun(self, source, valid_id(source.path.name) if video_id is None else video_id, times)
        video = as_video_file(source)
        return VideoRun(self, video, valid_id(video.stem) if video_id is None else video_id, times)

    def live(
        self,
        sources: str | Path | Iterable[str | Path],
        options: LiveOptions | None = None,
        *,
        on_notice: Callable[[LiveNotice], None] | None = None,
    ) -> LiveRun:
        """Start on cameras and streams, which share the network.

        Args:
            sources: Each an address (``rtsp://``, ``http://``, ``udp://``, ``srt://`` ...), a camera (``0`` or
                ``/dev/video0``), ``-`` for a container on the standard input, or a file, which is played in real time.
                ``NAME=SOURCE`` gives a name.
            options: How the run goes about its work.
            on_notice: Told when a source is connected, lost, or ends; called by any thread.

        Returns:
            The run, an iterator over keyframes. When the network is busy, keyframes are left out and counted.

        Raises:
            ConfigError: A source or an option is wrong.
            VideoError: There is no such file or camera, or the file is no video.

        Example:
            >>> for keyframe in pipeline.live("rtsp://camera/stream"):
            ...     print(keyframe.seen, keyframe.lag_seconds, keyframe.to_dict(min_score=0.5)["people"])
        """
        options = options or LiveOptions()
        found = live_sources(sources, transport=options.transport, certificates=options.certificates)
        work = LiveWork(self, found, options, on_notice=on_notice)
        return LiveRun(work.run(), work.stop, work.status)

    def detect(self, keyframes: Sequence[Keyframe], video_id: str) -> list[PersonBoxes]:
        """Find the people on each keyframe.

        Args:
            keyframes: Keyframes of one video.
            video_id: The video's name, for detectors that look boxes up.

        Returns:
            The people on each keyframe, boxes in pixels of its clip.
        """
        return detect_people(self.detector, keyframes, video_id)


class VideoRun(Iterator[KeyframeResult]):
    """The keyframes of one video in order of time, each as soon as it is scored; iterate once, ``close`` to stop early.

    Iterating takes bounded memory. ``to_pandas``, ``to_dict``, ``at``, ``draw`` and ``show`` run the whole video first,
    once, and keep its results (``collect``).

    Attributes:
        video: The reader; after the last keyframe, its ``damage()`` names what could not be read.
        video_id: The video's name.

    Args:
        pipeline: The detector, the network and their settings.
        source: The video file, or the folder of its frames.
        video_id: The video's name.
        times: The keyframes' times in seconds, ascending.
    """

    def __init__(
        self, pipeline: Pipeline, source: Path | RemoteVideo | FrameFolder, video_id: str, times: Iterable[float]
    ) -> None:
        # The threads hold the stages and never the run, so that a run which is dropped ends its threads.
        self._stages = Stages(pipeline, source, video_id)
        self._batches = self._stages.batches(times)
        self._results = self._stages.run(prefetch(self._batches, BATCHES_AHEAD))
        self._started: Generator[Batch, None, None] | None = None
        self.video = self._stages.readers[0]
        self.video_id = video_id
        self._collected: VideoResult | None = None
        self._is_closed = False

    def __iter__(self) -> Iterator[KeyframeResult]:
        return self._results if self._collected is None else iter(self._collected)

    def __next__(self) -> KeyframeResult:
        return next(self._results)

    def start(self) -> None:
        """Begin to decode and to find people now, and not when the first keyframe is asked for; then ``close`` the run.

        The pipeline's scorer may be replaced until then: only its ``clip_settings`` and ``clips_per_batch`` are used.
        """
        self._started = start_prefetch(self._batches, BATCHES_AHEAD)
        self._results = self._stages.run(self._started)

    def close(self) -> None:
        """Stop the run and its threads."""
        self._is_closed = True
        self._results.close()
        if self._started is not None:
            self._started.close()

    def collect(self) -> VideoResult:
        """Run the whole video and keep all of its keyframes; a second call returns the same value.

        Returns:
            The results of the video.

        Raises:
            AvaDetectError: Some keyframes have been read by iterating already, or the run was closed.
            StoreError: The store of a remote video stopped answering.
        """
        if self._collected is None:
            if self.num_keyframes or self._is_closed:
                done = (
                    "was closed" if self._is_closed else f"has given {counted(self.num_keyframes, 'keyframe')} already"
                )
                raise AvaDetectError(
                    f"{shown(self.video_id)}: this run {done}, so it cannot give all of them together; call the "
                    "pipeline again for a new run"
                )
            keyframes = tuple(self._results)
            if isinstance(self.video.path, RemoteVideo) and self.video.path.failure is not None:
                # The decoder may have taken a broken connection for the end of the file.
                raise self.video.path.failure
            pipeline = self._stages.pipeline
            message = " and ".join(filter(None, (self.video.damage(), self.video.time_jumps(), self.mismatch())))
            self._collected = VideoResult(
                self.video_id, keyframes, pipeline.label_map, self._stages.source, pipeline.note, message
            )
        return self._collected

    def at(self, timestamp_seconds: float) -> KeyframeResult:
        """Run the whole video, and return the keyframe nearest to a time; see ``VideoResult.at``."""
        return self.collect().at(timestamp_seconds)

    def to_pandas(self, *, min_score: float = 0.0, wide: bool = False) -> pd.DataFrame:
        """Run the whole video, and convert its results to a table; see ``VideoResult.to_pandas``."""
        return self.collect().to_pandas(min_score=min_score, wide=wide)

    def to_dict(self, *, min_score: float = 0.0) -> dict[str, Any]:
        """Run the whole video, and convert its results to plain values; see ``VideoResult.to_dict``."""
        return self.collect().to_dict(min_score=min_score)

    def draw(self, frame: Frame | None = None) -> npt.NDArray[np.uint8]:
        """Run the whole video, and draw the people on one of its frames or a sheet; see ``VideoResult.draw``."""
        return self.collect().draw(frame)

    def show(self) -> None:
        """Run the whole video, and show a sheet of drawn keyframes; see ``VideoResult.show``."""
        self.collect().show()

    def __repr__(self) -> str:
        info = self.video.info
        seconds = "" if info.duration_seconds is None else f", seconds={info.duration_seconds:g}"
        return (
            f"VideoRun({self.video_id!r}, size={info.width}x{info.height}{seconds}, keyframes={self.num_keyframes}, "
            f"boxes={self.num_boxes})"
        )

    def _repr_html_(self) -> str:
        if self._collected is not None:
            return self._collected._repr_html_()
        # Running a video can take hours, so a notebook that only shows this value does not start it.
        from ava_detect.visualization.notebook import PICTURE_WIDTH, paragraph, picture_html

        last = self._stages.last
        text = f"{self!r}: iterate over it for one keyframe after another; to_pandas() and show() run the whole video"
        if last is not None:
            return paragraph(text) + last._repr_html_()
        source, width = self._stages.source, PICTURE_WIDTH
        if source is None:
            return paragraph(text)
        return paragraph(text) + picture_html(lambda: next(frames_at(source, [0.0], max_width=width)))

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


def _check_keyframes(every_seconds: float, new_person_score: float) -> None:
    """Refuse settings with which no keyframe can be cut or linked, before a network is loaded."""
    keyframe_times(every_seconds)
    if not 0 <= new_person_score <= 1:
        raise ConfigError(f"`new_person_score` is a score from 0 to 1, got {new_person_score}")


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
