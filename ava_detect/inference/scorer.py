"""What each person in a clip is doing: pixels and boxes in, action scores out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from ava_detect.errors import ConfigError
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.execution import Execution, Precision, prepare
from ava_detect.structures import Clip, ClipSettings, PersonBoxes
from ava_detect.video.transforms import flip as mirror
from ava_detect.video.transforms import normalize, roi_boxes

# More calls at once would hold more of the network's maps in memory than they save in waiting.
_MOST_CALLS_AT_ONCE = 4
# One batch is sent while the network runs on the one before it.
_CALLS_AT_ONCE_ON_CUDA = 2

# Per clip, float32 [N, C]: in 0..1, of its N people, in the order of the label map's C actions.
Scores = list[npt.NDArray[np.float32]]


class ClipScorer(Protocol):
    """What a pipeline needs of whoever scores its clips: a network in this process, or one elsewhere.

    ``clip_settings``: how the clips must be cut. ``num_actions``: the columns of the scores. ``clips_per_batch``: how
    many are worth a call. ``calls_at_once``: so many threads may be inside ``score``.
    """

    clip_settings: ClipSettings
    num_actions: int
    clips_per_batch: int
    calls_at_once: int

    def start_thread(self) -> None:
        """What a thread for scoring does first; there are such threads where ``calls_at_once`` is above 1."""
        ...

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Action scores ``[N, C]`` in 0..1 of the people on each clip; boxes in pixels of the clip."""
        ...


class Scorer:
    """A network in this process.

    The scores of a clip depend on that clip, its boxes and how many go through the network at once.

    On a CPU, two clips side by side, each with one thread, take less time than one after the other with two, which
    wait for each other at every layer: longest where a decoder wants a core as well. So ``calls_at_once`` is as many
    as PyTorch has threads when the scorer is made, at most 4, and each call's thread has its share of them: a rule that
    does not look at load or video, since the number of threads may decide the last bits of a score.

    On CUDA the bytes of a clip are sent as they are, from pinned memory on a stream of their own, and normalised there.
    Two calls take turns at the network, so that one batch is sent while the other is computed.
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
        """``model``: a detector; its weights are those that it has now. ``clips_per_batch``: so many go in at once.

        ``precision``: ``bf16`` runs its convolutions in bfloat16. ``execution``: see ``models/execution.py``. ``flip``:
        the scores are the mean of the clip's and its mirror image's.
        """
        if isinstance(model, ActionClassifier):
            raise ConfigError(
                "this model is a classifier: it says what a whole clip shows, not what each person does; choose a "
                "config whose model.task is detection"
            )
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.network = prepare(self.model, execution=execution, precision=precision, device=self.device)
        self.clip_settings = model.clip_settings
        self.num_actions = model.head.num_classes
        self.clips_per_batch = clips_per_batch
        self._num_threads = torch.get_num_threads()
        self.calls_at_once = 1
        # Held while the network is called: on CUDA that changes a flag of the process (``execution.py``).
        self._turn: AbstractContextManager[object] = nullcontext()
        self._sending: torch.cuda.Stream | None = None
        if self.device.type == "cpu":
            self.calls_at_once = min(self._num_threads, _MOST_CALLS_AT_ONCE)
        elif self.device.type == "cuda":
            self.calls_at_once = _CALLS_AT_ONCE_ON_CUDA
            self._turn = threading.Lock()
            self._sending = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.flip = flip

    def start_thread(self) -> None:
        """Have PyTorch use this thread's share of its threads, in this thread alone."""
        # A thread takes the process's number when it first needs one, even if it has set its own before.
        torch.get_num_threads()
        torch.set_num_threads(max(1, self._num_threads // self.calls_at_once))
        # The number is also that of threads which have not computed yet, whoever starts them: another one puts it back.
        others = threading.Thread(target=torch.set_num_threads, args=(self._num_threads,))
        others.start()
        others.join()

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Action scores ``[N, C]`` in 0..1 of the people on each clip; boxes in pixels of the clip.

        A clip without people is not looked at.
        """
        scores = self._score_as_given(clips, people)
        if self.flip:
            mirrored = [_mirrored(clip, boxes) for clip, boxes in zip(clips, people, strict=True)]
            others = self._score_as_given([clip for clip, _ in mirrored], [boxes for _, boxes in mirrored])
            scores = [np.mean(pair, axis=0) for pair in zip(scores, others, strict=True)]
        return scores

    def _score_as_given(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        scores = [np.zeros((0, self.num_actions), np.float32) for _ in clips]
        occupied = [i for i, boxes in enumerate(people) if len(boxes)]
        for start in range(0, len(occupied), self.clips_per_batch):
            batch = occupied[start : start + self.clips_per_batch]
            batch_scores = self._forward([clips[i] for i in batch], [people[i] for i in batch])
            split = np.split(batch_scores, np.cumsum([len(people[i]) for i in batch])[:-1])
            for i, part in zip(batch, split, strict=True):
                scores[i] = part
        return scores

    def _forward(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> npt.NDArray[np.float32]:
        settings = self.clip_settings
        frames = clips[0].frames[None] if len(clips) == 1 else np.stack([clip.frames for clip in clips])
        inputs = normalize(self._sent(frames), settings.mean, settings.std)
        rois = np.concatenate(
            [_rois(i, boxes, clip) for i, (boxes, clip) in enumerate(zip(people, clips, strict=True))]
        )
        on_device = torch.from_numpy(rois).to(self.device)
        with self._turn:
            logits = self.network(inputs, on_device)
        scores: npt.NDArray[np.float32] = logits.sigmoid().cpu().numpy()
        return scores

    def _sent(self, frames: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The bytes on the device, there for whatever its current stream does next."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames))
        if self._sending is None:
            return pixels.to(self.device)
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._sending):
            sent = pixels.pin_memory().to(self.device, non_blocking=True)
        computing.wait_stream(self._sending)
        # Its memory is not to be given to the next batch while the network still reads it.
        sent.record_stream(computing)
        return sent


def _mirrored(clip: Clip, people: PersonBoxes) -> tuple[Clip, PersonBoxes]:
    frames, boxes = mirror(clip.frames, people.boxes_xyxy)
    return replace(clip, frames=frames), PersonBoxes(boxes, people.scores)


def _rois(clip_index: int, people: PersonBoxes, clip: Clip) -> npt.NDArray[np.float32]:
    """``[N, 5]``: the clip's place in the batch, then the network's own idea of the box."""
    return np.insert(roi_boxes(people.boxes_xyxy, clip), 0, clip_index, axis=1)
