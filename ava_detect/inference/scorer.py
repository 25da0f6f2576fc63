"""Action scores of the people in clips: pixels and boxes in, scores out."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.errors import AvaDetectWarning, ConfigError
from ava_detect.inference.freed_memory import FreedMemory
from ava_detect.models.action_detector import ActionClassifier, ActionDetector, require_detector
from ava_detect.models.execution import prepare
from ava_detect.models.heads import ScoreRule, detection_scores
from ava_detect.models.network_options import Execution, Precision, check_clips_per_batch
from ava_detect.models.torch_threads import set_threads_here
from ava_detect.structures import Clip, ClipSettings, PersonBoxes
from ava_detect.structures.boxes import BoxRule
from ava_detect.video.transforms import flip as mirror
from ava_detect.video.transforms import normalize, roi_boxes

# More calls at once would take more memory for feature maps than they save in waiting.
_MAX_CALLS_AT_ONCE = 4
# One batch is sent while the network runs on the one before it.
_CALLS_AT_ONCE_ON_CUDA = 2

# Per clip float32 [N, C] in 0..1: of its N people, in the order of the label map's C actions.
Scores = list[npt.NDArray[np.float32]]


class ClipScorer(Protocol):
    """The part of a pipeline that scores clips: with a network in this process, or one elsewhere.

    Scores are final: the network's rule (``models/heads.py``, ``detection_scores``) is applied.

    Attributes:
        clip_settings: How the clips must be sampled.
        num_actions: Number of score columns.
        clips_per_batch: Number of clips per call that uses the network well.
        calls_at_once: Number of threads that may be inside ``score`` at the same time.
    """

    clip_settings: ClipSettings
    num_actions: int
    clips_per_batch: int
    calls_at_once: int

    def start_thread(self) -> None:
        """Prepare a thread for scoring; called first in each of them where ``calls_at_once`` is above 1."""
        ...

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Score the people on each clip.

        Args:
            clips: B clips, sampled as ``clip_settings`` says.
            people: The people on each clip's keyframe with their scores, boxes in pixels of the clip.

        Returns:
            Per clip float32 ``[N, C]`` in 0..1.
        """
        ...


class PlannedScorer:
    """What is known of a scorer before its network is built (a ``ClipScorer`` that cannot score).

    A pipeline with it can start to read a video (``VideoRun.start``); the scorer takes its place before the results are
    asked for.

    Args:
        clip_settings: How the clips must be sampled.
        num_actions: Number of score columns.
        clips_per_batch: Number of clips per forward pass.
    """

    calls_at_once = 1

    def __init__(self, clip_settings: ClipSettings, num_actions: int, clips_per_batch: int) -> None:
        self.clip_settings = clip_settings
        self.num_actions = num_actions
        self.clips_per_batch = clips_per_batch

    def start_thread(self) -> None:
        """Do nothing: nothing is scored."""

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Refuse: the network has not taken its place.

        Args:
            clips: B clips.
            people: The people on each clip's keyframe.

        Raises:
            AssertionError: Always.
        """
        raise AssertionError("the network that scores is not built yet")


class Scorer:
    """A network in this process, with the way it is run.

    The scores of a clip depend on that clip, its boxes and the number of clips per batch.

    On a CPU, two clips in parallel with one thread each take less time than one after the other with two threads,
    which wait for each other at every layer; most of all where a decoder wants a core as well. So ``calls_at_once`` is
    PyTorch's number of threads when the scorer is made, at most 4, and each call's thread has an equal share of them.
    The rule does not look at load or video, because the number of threads can decide the last bits of a score.

    On CUDA the bytes of a clip are sent as uint8, from pinned memory on a stream of their own, and normalised there.
    Two calls take turns at the network, so that one batch is sent while the other is computed. A batch for which the
    GPU has too little memory is scored in halves, and later batches have that size.

    Args:
        model: A detector with its weights, moved to ``device``.
        device: Where the network runs.
        precision: ``fp32``, or ``bf16`` for convolutions in bfloat16: faster where the processor has it, with slightly
            different scores.
        execution: How the network is run, see ``models/execution.py``.
        clips_per_batch: Number of clips per forward pass.
        flip: Score each clip and its mirror image, and average (test-time augmentation).

    Raises:
        ConfigError: The model is a classifier of whole clips, or ``clips_per_batch`` is out of range.
    """

    def __init__(
        self,
        model: ActionDetector | ActionClassifier,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        execution: Execution = "auto",
        clips_per_batch: int = 1,
        flip: bool = False,
    ) -> None:
        model = require_detector(model)
        check_clips_per_batch(clips_per_batch)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.network = prepare(self.model, execution=execution, precision=precision, device=self.device)
        self.clip_settings = model.clip_settings
        self.num_actions = model.head.num_classes
        # A module that merely has a detector's signature is run by the default rules.
        self._score_rule: ScoreRule = getattr(model.head, "score", "action")
        self._box_rule: BoxRule = getattr(getattr(model, "roi_pool", None), "box_rule", "pyslowfast")
        self.clips_per_batch = clips_per_batch
        self.flip = flip
        self.calls_at_once = self._num_threads = 1
        # Held while the network is called: on CUDA that changes a flag of the process (``execution.py``).
        self._turn: AbstractContextManager[object] = nullcontext()
        self._copy_stream: torch.cuda.Stream | None = None
        self._freed_memory = FreedMemory()
        divide_threads(self)
        if self.device.type == "cuda":
            self._turn = threading.Lock()
            self._copy_stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def start_thread(self) -> None:
        """Let PyTorch use this thread's share of its threads, in this thread only."""
        set_threads_here(max(1, self._num_threads // self.calls_at_once), self._num_threads)

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Score the people on each clip; a clip without people does not go through the network.

        Args:
            clips: B clips, sampled as ``clip_settings`` says.
            people: The people on each clip's keyframe with their scores, boxes in pixels of the clip.

        Returns:
            Per clip float32 ``[N, C]`` in 0..1.

        Raises:
            ConfigError: The GPU's memory does not suffice for one clip.
        """
        scores = [np.zeros((0, self.num_actions), np.float32) for _ in clips]
        occupied = [i for i, boxes in enumerate(people) if len(boxes)]
        while occupied:
            batch = occupied[: self.clips_per_batch]
            pairs = [(clips[i], people[i]) for i in batch]
            try:
                batch_scores = self._forward(pairs)  # [sum of N, C]
                if self.flip:
                    batch_scores = np.mean([batch_scores, self._forward([_mirrored(*pair) for pair in pairs])], axis=0)
            except torch.OutOfMemoryError:
                self._halve(len(batch), clips[batch[0]])
                continue
            occupied = occupied[len(batch) :]
            # Split the rows by clip again.
            ends = np.cumsum([len(people[i]) for i in batch])
            for i, of_clip in zip(batch, np.split(batch_scores, ends[:-1]), strict=True):
                scores[i] = of_clip
        self._freed_memory.give_back()
        return scores

    def _halve(self, num_clips: int, clip: Clip) -> None:
        """Let later batches have half the size of one for which the GPU's memory did not suffice."""
        if num_clips == 1:
            frames, height, width = clip.frames.shape[:3]
            raise ConfigError(
                f"{self.device} has too little free memory for one clip of {frames} frames of {width} x {height}; end "
                "other programs on it, or use `precision=bf16`, `device=cpu` or a smaller `clip.short_side`"
            ) from None
        torch.cuda.empty_cache()
        self.clips_per_batch = (num_clips + 1) // 2
        warnings.warn(
            f"{self.device} has too little free memory for {num_clips} clips at once; going on with "
            f"`clips_per_batch={self.clips_per_batch}`",
            AvaDetectWarning,
            stacklevel=3,
        )

    def _forward(self, batch: Sequence[tuple[Clip, PersonBoxes]]) -> npt.NDArray[np.float32]:
        """Scores ``[sum of N, C]`` of the people in B clips, in the order of the clips."""
        settings, frames = self.clip_settings, [clip.frames for clip, _ in batch]
        pixels = frames[0][None] if len(frames) == 1 else np.stack(frames)  # uint8 [B, T, H, W, 3]
        inputs = [normalize(self._to_device(pixels), settings.mean, settings.std)]  # [B, 3, T, H, W]
        rois = np.concatenate([self._rois(i, *pair) for i, pair in enumerate(batch)])  # [sum of N, 5]
        on_device = torch.from_numpy(rois).to(self.device)
        with self._turn:
            logits = self.network.consume(inputs, on_device)
        person_scores = torch.from_numpy(np.concatenate([people.scores for _, people in batch]))  # [sum of N]
        scores = detection_scores(logits, person_scores.to(self.device), self._score_rule)
        by_person: npt.NDArray[np.float32] = scores.cpu().numpy()
        return by_person

    def _rois(self, clip_index: int, clip: Clip, people: PersonBoxes) -> npt.NDArray[np.float32]:
        """RoIs ``[N, 5]``: the clip's index in the batch, then the box in pixels of the network's input."""
        return np.insert(roi_boxes(people.boxes_xyxy, clip, self._box_rule), 0, clip_index, axis=1)

    def _to_device(self, frames: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The frames on the device, ready for the next work of its current stream."""
        # Ray hands over what cannot be written to. PyTorch would warn of it, which takes forever in a thread of Ray's.
        pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        if self._copy_stream is None:
            return pixels.to(self.device)
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._copy_stream):
            copied = pixels.pin_memory().to(self.device, non_blocking=True)
        computing.wait_stream(self._copy_stream)
        # Keep the allocator from reusing this memory while the network still reads it.
        copied.record_stream(computing)
        return copied


def divide_threads(scorer: Scorer) -> None:
    """Divide PyTorch's threads of now among a scorer's calls, as was done with those that it had at first.

    Args:
        scorer: The scorer, made in this process or in one with another number of threads that it was forked from.
    """
    scorer._num_threads = torch.get_num_threads()
    on_cpu = min(scorer._num_threads, _MAX_CALLS_AT_ONCE)
    scorer.calls_at_once = {"cpu": on_cpu, "cuda": _CALLS_AT_ONCE_ON_CUDA}.get(scorer.device.type, 1)


def _mirrored(clip: Clip, people: PersonBoxes) -> tuple[Clip, PersonBoxes]:
    frames, boxes = mirror(clip.frames, people.boxes_xyxy)
    return replace(clip, frames=frames), PersonBoxes(boxes, people.scores)
